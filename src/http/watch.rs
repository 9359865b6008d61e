//! Waiting for changes: long polls, and a stream of server-sent events
//! ([HTML] §9.2).
//!
//! Nothing is queued for a watcher. It's woken, looks for what changed since the last
//! revision that it was sent, and is sent the newest state of that: a slow one misses
//! steps on the way and no state that lasts. What a state looks like as JSON is made
//! once for all who are sent it.
//!
//! [HTML]: https://html.spec.whatwg.org/multipage/server-sent-events.html

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use tokio::time::Instant;

use super::problem::Problem;
use super::{Api, convert};
use crate::name::ServiceName;
use crate::registry::history::{TooOld, Wanted, Watcher};
use crate::registry::view::ServiceView;

/// Most services that a stream can name.
const MAX_NAMED: usize = 64;

/// Time without an event after which a comment shows that the stream goes on.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// States that are kept as JSON, so that several watchers share them.
const KEPT: usize = 256;

/// A call that waits for changes, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poll {
    /// The state that is known.
    pub(super) since: u64,
    /// Longest time to wait.
    pub(super) wait: Duration,
}

/// Waits until something wanted changes, or until that is over. Goes on at once when
/// it has changed already, or when the server stops.
pub(super) async fn wait(api: &Api, wanted: Wanted, poll: Poll) -> Result<(), Problem> {
    let watcher = api.registry.history().watch(wanted.clone())?;
    let changed = async {
        while changes(api, &wanted, poll.since)?.is_empty() {
            watcher.changed().await;
        }
        Ok(())
    };
    tokio::select! {
        changed = changed => changed.map_err(|error: TooOld| error.into()),
        () = tokio::time::sleep(poll.wait) => Ok(()),
        () = api.stop.cancelled() => Ok(()),
    }
}

/// `GET /v1/watch`.
pub(super) async fn stream(
    State(api): State<Api>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (wanted, mut since) = parse(query.as_deref())?;
    // What a browser or a library sends when it comes back goes before.
    if let Some(last) = headers.get("last-event-id") {
        let last = last.to_str().ok().and_then(|text| text.parse().ok());
        since = Some(last.ok_or_else(|| Problem::parameter("Last-Event-ID is a revision"))?);
    }
    let watcher = api.registry.history().watch(wanted.clone())?;
    let (since, pending) = match since {
        Some(since) => (since, changes(&api, &wanted, since)?),
        None => {
            let now = api.registry.directory().revision();
            (now, everything(&api, &wanted))
        }
    };
    let events = Events {
        api,
        wanted,
        watcher,
        since,
        pending: pending.into(),
        is_over: false,
    };
    let stream = futures_util::stream::unfold(events, |mut events| async {
        let event = events.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), events))
    });
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/event-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    // An answer of that moment is none of another.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A stream's state: what was sent, and what is to be.
struct Events {
    api: Api,
    wanted: Wanted,
    watcher: Watcher,
    /// Everything up to this revision was sent, or is pending.
    since: u64,
    /// Revision and service, in order. No more than there are services.
    pending: VecDeque<(u64, ServiceName)>,
    is_over: bool,
}

impl Events {
    /// The next event, once there is one; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let patience = Instant::now() + KEEP_ALIVE;
        loop {
            if let Some((revision, service)) = self.pending.pop_front() {
                self.since = self.since.max(revision);
                // A client that comes back names the last one: so of several that
                // changed together, the last one alone says which it was.
                let is_last = self
                    .pending
                    .front()
                    .is_none_or(|(next, _)| revision < *next);
                return Some(self.event(&service, is_last.then_some(revision)));
            }
            if self.is_over {
                return None;
            }
            match changes(&self.api, &self.wanted, self.since) {
                Ok(changed) if !changed.is_empty() => self.pending = changed.into(),
                Ok(_) => {
                    tokio::select! {
                        () = self.watcher.changed() => {}
                        () = tokio::time::sleep_until(patience) => {
                            return Some(Bytes::from_static(b": alive\n\n"));
                        }
                        () = self.api.stop.cancelled() => return None,
                    }
                }
                Err(error) => {
                    self.is_over = true;
                    return Some(format!("event: too-old\ndata: {error}\n\n").into());
                }
            }
        }
    }

    fn event(&self, service: &ServiceName, id: Option<u64>) -> Bytes {
        let data = match self.api.registry.directory().service(service.as_str()) {
            Some(view) => self.api.rendered.get(&self.api, &view),
            None => {
                let gone =
                    serde_json::json!({"name": service.as_str(), "revision": id, "instances": []});
                gone.to_string().into()
            }
        };
        let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
        let head = format!("{id}event: service\ndata: ");
        [head.as_bytes(), &data, b"\n\n"].concat().into()
    }
}

/// The wanted services that changed after `since`, each with its last change, in order.
///
/// What is named is looked at itself, so that of few services that seldom change no
/// state is too long ago.
fn changes(api: &Api, wanted: &Wanted, since: u64) -> Result<Vec<(u64, ServiceName)>, TooOld> {
    let (directory, history) = (api.registry.directory(), api.registry.history());
    // A view may be seen a moment before its state has its number.
    if directory.revision() + 1 < since {
        return Err(TooOld { since });
    }
    match wanted {
        Wanted::All => history.after(since),
        Wanted::Services(services) => {
            let last = |service: &ServiceName| match directory.service(service.as_str()) {
                Some(view) => view.revision,
                None => history.last_change(service),
            };
            let all = services
                .iter()
                .map(|service| (last(service), service.clone()));
            let mut all: Vec<_> = all.filter(|(revision, _)| since < *revision).collect();
            all.sort_unstable();
            Ok(all)
        }
    }
}

/// The wanted services that there are, in the order of their changes.
fn everything(api: &Api, wanted: &Wanted) -> Vec<(u64, ServiceName)> {
    let directory = api.registry.directory();
    let views = match wanted {
        Wanted::All => directory.services(),
        Wanted::Services(services) => {
            let views = services
                .iter()
                .map(|service| directory.service(service.as_str()));
            views.flatten().collect()
        }
    };
    let mut all: Vec<_> = views
        .iter()
        .filter(|view| view.is_known())
        .map(|view| (view.revision, view.service.clone()))
        .collect();
    all.sort_unstable();
    all
}

fn parse(query: Option<&str>) -> Result<(Wanted, Option<u64>), Problem> {
    let (mut services, mut since) = (Vec::new(), None);
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match &*key {
            "since" => since = Some(revision(&value)?),
            "service" => {
                let name = value
                    .parse()
                    .map_err(|error| Problem::parameter(format!("service={value} {error}")))?;
                if !services.contains(&name) {
                    services.push(name);
                }
            }
            key => {
                return Err(Problem::parameter(format!(
                    "{key:?} is unknown; allowed are since and service"
                )));
            }
        }
    }
    if services.len() > MAX_NAMED {
        return Err(Problem::parameter(format!(
            "{} services are named; at most {MAX_NAMED} can be, or none for all",
            services.len()
        )));
    }
    let wanted = match services.is_empty() {
        true => Wanted::All,
        false => Wanted::Services(services.into()),
    };
    Ok((wanted, since))
}

/// Reads a revision.
pub(super) fn revision(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| {
        Problem::parameter(format!(
            "since={text} is no revision; take one that was answered"
        ))
    })
}

/// States as JSON, made once for all who are sent them. At most [`KEPT`] are kept.
#[derive(Debug, Default)]
pub(super) struct Rendered(Mutex<HashMap<ServiceName, (u64, Bytes)>>);

impl Rendered {
    /// The listed instances of a service, as `GET /v1/services/{name}` has them.
    fn get(&self, api: &Api, view: &ServiceView) -> Bytes {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, text)) = kept().get(&view.service)
            && *revision == view.revision
        {
            return text.clone();
        }
        let now = api.registry.now();
        let listed = view
            .registered()
            .filter(|member| member.withdrawn(now).is_none());
        let service = convert::service(view, listed, convert::Now::of(&api.registry));
        // Types of `api` serialize into memory without fail.
        let text = Bytes::from(serde_json::to_vec(&service).unwrap_or_default());
        let mut kept = kept();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(view.service.clone(), (view.revision, text.clone()));
        text
    }
}
