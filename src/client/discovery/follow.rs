//! Changes over HTTP, so that a cached answer is given up when it isn't true any more.
//!
//! One stream tells of all services that were looked for. When one changes, what is
//! cached of it is asked for again if namebeat is asked straight. Resolvers in between
//! may have the former answer for a while: behind them the endpoints are those that the
//! stream told, for as long as a resolver may go on.
//!
//! Without a stream nothing is lost but time: TTLs end as ever.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cache::Life;
use super::query::Query;
use super::{Found, Shared, fetch};
use crate::api;
use crate::client::backoff::Backoff;
use crate::client::dns::Srv;
use crate::client::{Client, Watch, WatchEvent};

/// Most services that a stream can name. With more, it tells of all that there are.
const MAX_NAMED: usize = 64;

/// Most services that are followed by name here; with more, their TTLs alone count.
const MAX_FOLLOWED: usize = 4096;

/// How long resolvers may keep an answer at least, and how late some are.
const RESOLVERS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

/// Follows services.
pub(super) struct Follower {
    client: Client,
    followed: Arc<Followed>,
    /// Ends the task with the discovery.
    stop: CancellationToken,
    _stops: DropGuard,
}

#[derive(Default)]
struct Followed {
    state: Mutex<State>,
    grown: Notify,
}

#[derive(Default)]
struct State {
    services: BTreeSet<String>,
    task: Option<JoinHandle<()>>,
}

impl Followed {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn services(&self) -> Vec<String> {
        self.state().services.iter().cloned().collect()
    }
}

impl Follower {
    pub(super) fn new(client: Client) -> Self {
        let stop = CancellationToken::new();
        Self {
            client,
            followed: Arc::default(),
            _stops: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Follows a service from now on, if it isn't yet.
    pub(super) fn follow(&self, service: &str, shared: &Arc<Shared>) {
        let mut state = self.followed.state();
        let is_known = state.services.contains(service);
        let runs = state.task.as_ref().is_some_and(|task| !task.is_finished());
        if is_known && runs {
            return;
        }
        if !is_known && state.services.len() < MAX_FOLLOWED {
            state.services.insert(service.to_owned());
            self.followed.grown.notify_one();
        }
        if !runs {
            let task = follow(
                self.client.clone(),
                self.followed.clone(),
                Arc::downgrade(shared),
                self.stop.clone(),
            );
            state.task = Some(tokio::spawn(task));
        }
    }
}

/// The task: from stream to stream.
async fn follow(
    client: Client,
    followed: Arc<Followed>,
    shared: Weak<Shared>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut watch = watch(&client, &followed.services(), None);
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            () = followed.grown.notified() => {
                let since = watch.since();
                watch = self::watch(&client, &followed.services(), since);
                continue;
            }
            event = watch.next() => event,
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        match event {
            Ok(event) => {
                backoff.reset();
                apply(&shared, &followed, &event);
            }
            Err(error) => {
                tracing::debug!(%error, "changes can't be watched");
                let wait = backoff.after_failure(fastrand::f64());
                drop(shared);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
}

fn watch(client: &Client, services: &[String], since: Option<u64>) -> Watch {
    let named: Vec<&str> = match services.len() <= MAX_NAMED {
        true => services.iter().map(String::as_str).collect(),
        false => Vec::new(),
    };
    client.watch(&named, since)
}

fn apply(shared: &Shared, followed: &Followed, event: &WatchEvent) {
    match event {
        WatchEvent::Changed(service) => {
            shared.changed(&service.name, |query| pushed(shared, service, query));
        }
        // Whatever changed meanwhile.
        WatchEvent::Restarted => {
            for service in followed.services() {
                shared.changed(&service, |_| None);
            }
        }
    }
}

/// What a query is to find, where a stream can say that and DNS may be late.
fn pushed(shared: &Shared, service: &api::Service, query: &Query) -> Option<(Found, Life)> {
    if shared.fetcher.is_straight() || query.txt {
        return None;
    }
    let mut endpoints = Vec::new();
    for instance in service.instances.iter().filter(|it| it.state.listed) {
        let Some(port) = selected(instance, query) else {
            continue;
        };
        // A host name is for DNS to look up.
        let ips: Vec<IpAddr> = match (&instance.host, &instance.addresses) {
            (Some(host), _) => vec![host.parse().ok()?],
            (None, Some(addresses)) => {
                let parsed = addresses.iter().map(|ip| ip.parse());
                parsed.collect::<Result<_, _>>().ok()?
            }
            (None, None) => return None,
        };
        if ips.is_empty() {
            return None;
        }
        let srv = Srv {
            priority: instance.priority,
            weight: instance.weight,
            port,
            target: format!("{}.{}.{}", instance.id, service.name, shared.fetcher.zone()),
        };
        let near = shared.fetcher.locality().map(|it| it.as_str());
        let is_local = near.is_some() && instance.locality.as_deref() == near;
        endpoints.push(shared.fetcher.make(&srv, &ips, is_local, None));
    }
    if endpoints.is_empty() {
        // Only DNS says what is answered then.
        return None;
    }
    let life = Life {
        ttl: shared.cache().longest(query).max(RESOLVERS.0) + RESOLVERS.1,
        may_be_stale: true,
    };
    Some((Ok(fetch::of(endpoints)), life))
}

/// The port by which a query finds an instance, as DNS has it; `None` if it doesn't.
fn selected(instance: &api::Instance, query: &Query) -> Option<u16> {
    let is = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let has_tags = query.tags.iter().all(|(key, value)| {
        instance
            .tags
            .iter()
            .any(|(k, v)| is(k, key) && is(v, value))
    });
    let has_version = query.version.as_deref().is_none_or(|asked| {
        let version = instance.version.as_deref().unwrap_or_default();
        let is_dotted = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let rest = version.strip_prefix(asked).filter(|_| is_dotted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    let is_there = query
        .locality
        .as_deref()
        .is_none_or(|asked| instance.locality.as_deref().is_some_and(|it| is(it, asked)));
    if !(has_tags && has_version && is_there) {
        return None;
    }
    let Some((transport, name)) = &query.port else {
        return Some(instance.port);
    };
    let is_udp = instance.protocol == "udp";
    if is_udp != (*transport == "_udp") {
        return None;
    }
    if is(&instance.protocol, name) {
        return Some(instance.port);
    }
    let named = instance.ports.iter().find(|(known, _)| is(known, name));
    named.map(|(_, port)| *port)
}
