//! The side port: registration, discovery and health over HTTP and JSON.
//!
//! ```text
//! request → trace → admit → handler: json → Instance → Registry → api → response
//! ```
//!
//! Handlers only translate. What may be registered is decided by
//! `registry::registration`, what becomes of it by the registry. Errors are problem
//! details ([RFC 9457]), for unknown paths and methods too. A body is read up to
//! 1 MiB and taken whole or not at all.
//!
//! There are no tokens yet, so this port is for loopback, or for a network in
//! which everybody may register; `config` holds people to that.
//!
//! [RFC 9457]: https://www.rfc-editor.org/rfc/rfc9457

mod conditional;
mod config_values;
mod convert;
mod explain;
mod instances;
mod json;
mod policy;
mod problem;
mod rate;
mod serve;
mod services;
mod shown;
mod trace;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

pub use self::rate::Rate;
pub use self::serve::serve;

use self::problem::Problem;
use self::watch::Rendered;
use crate::api::explain::Explanation;
use crate::api::{Readiness, StorageUnwritable};
use crate::registry::Registry;
use crate::registry::check::networks::CheckNetworks;
use crate::registry::storage::Unavailable;
use crate::reload::Reload;
use crate::telemetry::Instruments;

/// Most octets of a request's body.
pub const MAX_BODY_LEN: usize = 1 << 20;

/// Longest time that a call waits for the state to be loaded.
const PATIENCE: Duration = Duration::from_secs(2);

/// What handlers work with; cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

impl Api {
    /// One of these parts, whose waiting calls end when `stop` is cancelled.
    pub fn new(parts: Parts, stop: CancellationToken) -> Self {
        Self(Arc::new(Shared {
            parts,
            stop,
            rendered: Rendered::default(),
        }))
    }
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What all calls share.
pub struct Shared {
    parts: Parts,
    stop: CancellationToken,
    rendered: Rendered,
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Explains what a client at that address is answered to a question for that name and
/// type, or says what is wrong with them.
pub type Explainer = Arc<dyn Fn(&str, &str, IpAddr) -> Result<Explanation, String> + Send + Sync>;

/// What the API is in front of.
pub struct Parts {
    /// The registry that is read and changed.
    pub registry: Registry,
    /// What is counted.
    pub instruments: Arc<Instruments>,
    /// Reloads zones.
    pub reload: Reload,
    /// Explains answers.
    pub explain: Explainer,
    /// How often a client may change the registry.
    pub rate: Rate,
    /// Where what is registered may have probes go.
    pub probed: CheckNetworks,
}

/// The whole side port as one service; tests call it without a socket.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/instances", post(instances::create))
        .route(
            "/v1/instances/{id}",
            get(instances::read_one)
                .put(instances::put)
                .delete(instances::deregister),
        )
        .route("/v1/instances/{id}/heartbeat", post(instances::heartbeat))
        .route("/v1/instances/{id}/drain", post(instances::drain))
        .route("/v1/instances/{id}/resume", post(instances::resume))
        .route("/v1/heartbeats", post(instances::heartbeats))
        .route("/v1/services", get(services::list))
        .route("/v1/services/{name}", get(services::read))
        .route(
            "/v1/services/{name}/policy",
            get(policy::read).put(policy::put).delete(policy::delete),
        )
        .route("/v1/services/{name}/config", get(config_values::list))
        .route(
            "/v1/services/{name}/config/{key}",
            get(config_values::read)
                .put(config_values::put)
                .delete(config_values::delete),
        )
        .route("/v1/watch", get(watch::stream))
        .route("/v1/stats", get(services::stats))
        .route("/v1/explain", get(explain::explain))
        .route("/v1/reload", post(reload))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        // Inside the router, so that the trace knows which route was matched. One layer
        // for all, since each costs a request as much as parsing it.
        .layer(middleware::from_fn_with_state(api.clone(), admit))
        .with_state(api)
}

/// The process runs.
async fn alive() -> Response {
    json::respond(StatusCode::OK, &serde_json::json!({"status": "alive"}))
}

/// Whether the server may be sent queries and registrations: once its state is loaded.
/// That the files of zones are wrong doesn't change that, it answers from those it
/// has; nor that the disk is full, since lookups go on.
async fn ready(State(api): State<Api>) -> Response {
    let registry = &api.registry;
    let (code, status) = match registry.directory().is_loaded() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "loading"),
    };
    let failure = registry.storage().failure();
    let readiness = Readiness {
        status: status.into(),
        zones: api.reload.zones(),
        storage: failure.map(|failure| StorageUnwritable {
            since: registry.wall(failure.since),
            error: failure.error.to_string(),
        }),
    };
    json::respond(code, &readiness)
}

/// Lets a request through, inside of its span, when nothing speaks against it.
async fn admit(State(api): State<Api>, request: Request, next: Next) -> Response {
    trace::traced(request, async |request| {
        if let Some(problem) = refused(&api, &request) {
            return problem.into_response();
        }
        match unloaded(&api, request.uri().path()).await {
            Some(problem) => problem.into_response(),
            None => next.run(request).await,
        }
    })
    .await
}

/// Why a request isn't let through.
fn refused(api: &Api, request: &Request) -> Option<Problem> {
    if is_foreign(request.headers()) {
        let title = "Sent by a foreign page";
        let problem = Problem::new(StatusCode::FORBIDDEN, "foreign-origin", title);
        return Some(problem.detail(
            "the Origin header isn't this server by its address or as localhost; \
             call the API from a program, which sends no Origin",
        ));
    }
    let is_change = !request.method().is_safe();
    if is_change && let Err(problem) = api.rate.take(request, api.registry.now()) {
        return Some(problem);
    }
    None
}

/// Why a request can't be answered yet: an instance that isn't known before the state
/// is loaded may well be registered.
async fn unloaded(api: &Api, path: &str) -> Option<Problem> {
    if !api.registry.directory().is_loaded() && path.starts_with("/v1/") {
        let loaded = tokio::time::timeout(PATIENCE, api.registry.storage().is_loaded());
        // What can't be loaded ends the server.
        if !matches!(loaded.await, Ok(Ok(()))) {
            return Some(Unavailable::Loading.into());
        }
    }
    None
}

/// `POST /v1/reload`.
async fn reload(State(api): State<Api>) -> Result<Response, Problem> {
    let zones = api.reload.reload().await?;
    Ok(json::respond(StatusCode::OK, &zones))
}

async fn unknown_path(request: Request) -> Response {
    Problem::new(
        StatusCode::NOT_FOUND,
        "unknown-path",
        "There is nothing at this path",
    )
    .detail(format!("{} is no path of this API", request.uri().path()))
    .into_response()
}

async fn wrong_method(request: Request) -> Response {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method",
        "The path doesn't take this method",
    )
    .detail(format!(
        "{} can't be used on {}; the Allow header lists what can",
        request.method(),
        request.uri().path()
    ))
    .into_response()
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
