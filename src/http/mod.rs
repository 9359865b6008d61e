//! The side port: registration, discovery and health over HTTP and JSON.
//!
//! ```text
//! request → trace → admit → router → handler: json → Instance → Registry → api → response
//!                         └▶ hot ──────┘
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

mod admit;
mod conditional;
mod config_values;
mod convert;
mod explain;
mod hot;
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

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use tokio_util::sync::CancellationToken;

pub use self::rate::Rate;
pub use self::serve::serve;

use self::problem::Problem;
use self::watch::Rendered;
use crate::api::explain::Explanation;
use crate::api::{Readiness, StorageUnwritable};
use crate::registry::Registry;
use crate::registry::check::networks::CheckNetworks;
use crate::reload::Reload;
use crate::telemetry::Instruments;

/// Most octets of a request's body.
pub const MAX_BODY_LEN: usize = 1 << 20;

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
            paths: routes().map(|(path, _)| path).into(),
        }))
    }

    /// What is at `path`, as [`routes`] has it.
    fn route(&self, path: &str) -> Option<&'static str> {
        let found = self.paths.iter().find(|route| is_at(route, path));
        found.copied()
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
    /// Paths of what is called.
    paths: Box<[&'static str]>,
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

/// What is at each path, in parts of it: `{…}` is any one segment.
fn routes() -> [(&'static str, MethodRouter<Api>); 17] {
    [
        ("/v1/instances", post(instances::create)),
        (
            "/v1/instances/{id}",
            get(instances::read_one)
                .put(instances::put)
                .delete(instances::deregister),
        ),
        ("/v1/instances/{id}/heartbeat", post(instances::heartbeat)),
        ("/v1/instances/{id}/drain", post(instances::drain)),
        ("/v1/instances/{id}/resume", post(instances::resume)),
        ("/v1/heartbeats", post(instances::heartbeats)),
        ("/v1/services", get(services::list)),
        ("/v1/services/{name}", get(services::read)),
        (
            "/v1/services/{name}/policy",
            get(policy::read).put(policy::put).delete(policy::delete),
        ),
        ("/v1/services/{name}/config", get(config_values::list)),
        (
            "/v1/services/{name}/config/{key}",
            get(config_values::read)
                .put(config_values::put)
                .delete(config_values::delete),
        ),
        ("/v1/watch", get(watch::stream)),
        ("/v1/stats", get(services::stats)),
        ("/v1/explain", get(explain::explain)),
        ("/v1/reload", post(reload)),
        ("/healthz", get(alive)),
        ("/readyz", get(ready)),
    ]
}

/// Whether a path of [`routes`] is that of a request.
fn is_at(route: &str, path: &str) -> bool {
    let (mut parts, mut of_path) = (route.split('/'), path.split('/'));
    loop {
        match (parts.next(), of_path.next()) {
            (None, None) => return true,
            (Some(part), Some(found)) if part == found => {}
            (Some(part), Some(found)) if part.starts_with('{') && !found.is_empty() => {}
            _ => return false,
        }
    }
}

/// All calls as one service, behind what admits them.
fn router(api: Api) -> Router {
    let routed = |router: Router<Api>, (path, methods)| router.route(path, methods);
    routes()
        .into_iter()
        .fold(Router::new(), routed)
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_the_router_has_them() {
        let route = |path: &str| {
            let all = routes().into_iter().map(|(route, _)| route);
            all.filter(|route| is_at(route, path)).collect::<Vec<_>>()
        };
        assert_eq!(route("/v1/instances"), ["/v1/instances"]);
        assert_eq!(route("/v1/instances/a"), ["/v1/instances/{id}"]);
        assert_eq!(route("/v1/instances/%2f"), ["/v1/instances/{id}"]);
        let config = ["/v1/services/{name}/config/{key}"];
        assert_eq!(route("/v1/services/web/config/a.b"), config);
        for path in [
            "/",
            "/v1",
            "/v1/instances/",
            "/v1/instances/a/b",
            "/v1/instances/a/drain/",
        ] {
            assert!(route(path).is_empty(), "{path}");
        }
    }
}
