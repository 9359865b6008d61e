//! Calls about services: discover with filters, and totals.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::json::{Segment, respond};
use super::problem::Problem;
use super::shown::Services;
use super::watch::{self, Poll};
use super::{Api, convert};
use crate::api;
use crate::name::ServiceName;
use crate::registry::history::Wanted;
use crate::registry::instance::Protocol;
use crate::registry::registration::InvalidField;
use crate::registry::view::{Member, ServiceView};
use crate::time::{Moment, TimeSpan};

/// `GET /v1/services`.
pub(super) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let filter = Filter::parse(query.as_deref())?;
    api.instruments.discovered();
    if let Some(poll) = filter.poll {
        watch::wait(&api, Wanted::All, poll).await?;
    }
    let (directory, now) = (api.registry.directory(), api.registry.now());
    let revision = directory.revision();
    let mut views = directory.services();
    views.retain(|view| view.is_known());
    views.sort_by(|a, b| a.service.cmp(&b.service));
    let shown = convert::Now::of(&api.registry);
    let services = views
        .iter()
        .map(|view| convert::service(view, filter.choose(view, now), shown))
        .collect();
    Ok(respond(StatusCode::OK, &Services { revision, services }))
}

/// `GET /v1/services/{name}`.
pub(super) async fn read(
    State(api): State<Api>,
    Segment(name): Segment,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let filter = Filter::parse(query.as_deref())?;
    let name: ServiceName = name
        .parse()
        .map_err(|error| InvalidField::new("name", format!("{name:?} {error}")))?;
    api.instruments.discovered();
    if let Some(poll) = filter.poll {
        let wanted = Wanted::Services(Box::new([name.clone()]));
        watch::wait(&api, wanted, poll).await?;
    }
    let view = api
        .registry
        .directory()
        .service(name.as_str())
        .filter(|view| view.is_known())
        .ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, "unknown-service", "No such service").detail(
                format!(
                    "no instance of service \"{name}\" is registered and nothing is set of it; GET /v1/services lists all"
                ),
            )
        })?;
    let members = filter.choose(&view, api.registry.now());
    Ok(respond(
        StatusCode::OK,
        &convert::service(&view, members, convert::Now::of(&api.registry)),
    ))
}

/// `GET /v1/stats`.
pub(super) async fn stats(State(api): State<Api>) -> Response {
    let (directory, now) = (api.registry.directory(), api.registry.now());
    let mut stats = api::Stats {
        revision: directory.revision(),
        ..api::Stats::default()
    };
    for view in directory.services() {
        let mut registered = false;
        for member in view.registered() {
            registered = true;
            stats.instances += 1;
            stats.held += usize::from(member.entry.lease.is_held());
            match member.withdrawn(now) {
                None => stats.healthy += 1,
                Some(_) => stats.unhealthy += 1,
            }
            *stats
                .by_protocol
                .entry(member.instance().protocol.as_str().into())
                .or_default() += 1;
        }
        stats.services += usize::from(registered);
    }
    respond(StatusCode::OK, &stats)
}

/// Which instances of a service are asked for.
#[derive(Debug, Default)]
struct Filter {
    all: bool,
    tags: Vec<(String, String)>,
    version: Option<String>,
    protocol: Option<Protocol>,
    poll: Option<Poll>,
}

/// Shortest and longest time to wait for a change.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(300));

impl Filter {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut filter = Self::default();
        let (mut wait, mut since) = (None, None);
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        for (key, value) in pairs {
            match &*key {
                "all" => {
                    filter.all = value
                        .parse()
                        .map_err(|_| Problem::parameter("all is true or false"))?
                }
                "tag" => {
                    let (key, value) = value
                        .split_once(':')
                        .ok_or_else(|| Problem::parameter("write tag=KEY:VALUE"))?;
                    filter
                        .tags
                        .push((key.to_ascii_lowercase(), value.to_ascii_lowercase()));
                }
                "wait" => {
                    let span: Option<TimeSpan> = value.parse().ok();
                    let span = span.filter(|span| (WAIT.0..=WAIT.1).contains(&span.0));
                    wait = Some(span.ok_or_else(|| {
                        Problem::parameter("wait is a duration from 500ms to 5m, such as 30s")
                    })?);
                }
                "since" => since = Some(watch::revision(&value)?),
                "version" => filter.version = Some(value.into_owned()),
                "protocol" => {
                    let known = Protocol::named(&value).ok_or_else(|| {
                        Problem::parameter(format!(
                            "protocol={value} is unknown; allowed are http, https, grpc, tcp and udp"
                        ))
                    })?;
                    filter.protocol = Some(known);
                }
                key => {
                    return Err(Problem::parameter(format!(
                        "{key:?} is unknown; allowed are all, tag, version, protocol, wait and since"
                    )));
                }
            }
        }
        filter.poll = match (wait, since) {
            (Some(TimeSpan(wait)), Some(since)) => Some(Poll { since, wait }),
            (None, None) => None,
            _ => {
                return Err(Problem::parameter(
                    "wait and since go together: wait for what changes since a revision",
                ));
            }
        };
        Ok(filter)
    }

    /// The members of `view` that are asked for at `now`.
    fn choose<'a>(
        &'a self,
        view: &'a ServiceView,
        now: Moment,
    ) -> impl Iterator<Item = &'a Member> {
        view.registered().filter(move |member| {
            let instance = member.instance();
            (self.all || member.withdrawn(now).is_none())
                && self
                    .tags
                    .iter()
                    .all(|(key, value)| instance.has_tag(key, value))
                && self
                    .version
                    .as_deref()
                    .is_none_or(|version| instance.is_version(version))
                && self
                    .protocol
                    .is_none_or(|protocol| instance.protocol == protocol)
        })
    }
}
