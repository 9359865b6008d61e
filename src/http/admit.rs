//! What may keep a request from being looked at.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header, request};

use super::Api;
use super::problem::Problem;
use crate::registry::storage::Unavailable;

/// Longest time that a call waits for the state to be loaded.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a request of `client` isn't let through.
pub(super) fn refused(api: &Api, client: IpAddr, request: &request::Parts) -> Option<Problem> {
    if is_foreign(&request.headers) {
        let title = "Sent by a foreign page";
        let problem = Problem::new(StatusCode::FORBIDDEN, "foreign-origin", title);
        return Some(problem.detail(
            "the Origin header isn't this server by its address or as localhost; \
             call the API from a program, which sends no Origin",
        ));
    }
    let is_change = !request.method.is_safe();
    let taken = is_change.then(|| api.rate.take(client, api.registry.now()));
    taken.and_then(Result::err)
}

/// Why a request can't be answered yet: an instance that isn't known before the state
/// is loaded may well be registered.
pub(super) async fn unloaded(api: &Api, path: &str) -> Option<Problem> {
    if !api.registry.directory().is_loaded() && path.starts_with("/v1/") {
        let loaded = tokio::time::timeout(PATIENCE, api.registry.storage().is_loaded());
        // What can't be loaded ends the server.
        if !matches!(loaded.await, Ok(Ok(()))) {
            return Some(Unavailable::Loading.into());
        }
    }
    None
}

/// Whether a page of another site had a browser send it: without tokens, the browser's
/// place on this network is all that such a request would need.
///
/// A page is at home here when its origin is the host it calls, by an address or
/// as `localhost`. Any other name could be made to point here by its owner.
fn is_foreign(headers: &HeaderMap) -> bool {
    if !headers.contains_key(header::ORIGIN) {
        return false;
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    let at_home = text(header::HOST)
        .is_some_and(|host| is_own(host) && origin.is_some_and(|(_, origin)| origin == host));
    !at_home
}

/// Whether a host, with or without a port, is an address or `localhost`.
fn is_own(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    host.parse::<SocketAddr>().is_ok()
        || host.parse::<IpAddr>().is_ok()
        || name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
}
