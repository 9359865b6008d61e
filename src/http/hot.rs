//! The calls that instances make all the time, without the router.
//!
//! Nearly all that comes to this port are registrations and heartbeats. The router and
//! its extractors cost these a tenth of their CPU time (`benches/api.py`), so the two are
//! told by their paths and go to the same handlers.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{ConnectInfo, State};
use axum::http::{Method, request};
use axum::response::Response;
use hyper::body::Incoming;

use super::json::{Segment, read_body};
use super::problem::Problem;
use super::{Api, instances};

/// A call that is made all the time, of an instance's id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hot<'r> {
    /// `PUT /v1/instances/{id}`
    Put(&'r str),
    /// `POST /v1/instances/{id}/heartbeat`
    Heartbeat(&'r str),
}

impl<'r> Hot<'r> {
    /// The call that a request makes, if it's one of them and as plain as they are.
    pub(super) fn of(request: &'r request::Parts) -> Option<Self> {
        Self::at(&request.method, request.uri.path())
    }

    fn at(method: &Method, path: &'r str) -> Option<Self> {
        let rest = path.strip_prefix("/v1/instances/")?;
        let (id, what) = match rest.split_once('/') {
            Some((id, what)) => (id, Some(what)),
            None => (rest, None),
        };
        // What is escaped is for the router to read.
        if id.is_empty() || id.contains('%') {
            return None;
        }
        match (method, what) {
            (&Method::PUT, None) => Some(Self::Put(id)),
            (&Method::POST, Some("heartbeat")) => Some(Self::Heartbeat(id)),
            _ => None,
        }
    }

    /// Answers it.
    pub(super) async fn answer(
        self,
        api: Api,
        peer: SocketAddr,
        body: Incoming,
    ) -> Result<Response, Problem> {
        let body = read_body(body).await?;
        let api = State(api);
        match self {
            Self::Put(id) => {
                let registrant = Some(Extension(ConnectInfo(peer)));
                instances::put(api, Segment(id.to_owned()), registrant, body).await
            }
            Self::Heartbeat(id) => instances::heartbeat(api, Segment(id.to_owned()), body).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_told_by_its_path() {
        let of = |method: &str, path| Hot::at(&method.parse().unwrap(), path);
        assert_eq!(of("PUT", "/v1/instances/web-1"), Some(Hot::Put("web-1")));
        let heartbeat = of("POST", "/v1/instances/web-1/heartbeat");
        assert_eq!(heartbeat, Some(Hot::Heartbeat("web-1")));
        for (method, path) in [
            ("GET", "/v1/instances/web-1"),
            ("POST", "/v1/instances/web-1"),
            ("PUT", "/v1/instances"),
            ("PUT", "/v1/instances/"),
            ("PUT", "/v1/instances/web-1/"),
            ("PUT", "/v1/instances/web%2d1"),
            ("POST", "/v1/instances//heartbeat"),
            ("PUT", "/v1/instances/web-1/heartbeat"),
            ("POST", "/v1/instances/web-1/heartbeat/"),
            ("POST", "/v1/instances/web-1/drain"),
            ("POST", "/v2/instances/web-1/heartbeat"),
        ] {
            assert_eq!(of(method, path), None, "{method} {path}");
        }
    }
}
