//! What changed lately, and who waits for more.
//!
//! The writer notes each published change; whoever watches is woken by changes of the
//! services it named, or by any when it named none, and then looks for itself. So a
//! slow watcher costs no more than a quick one: nothing is queued for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::name::ServiceName;

/// Changes that are remembered: who has seen a state from before them reads anew.
const REMEMBERED: usize = 16_384;

/// Most watchers at once.
pub const MAX_WATCHERS: usize = 16_384;

/// Changes and watchers.
#[derive(Debug, Default)]
pub struct History(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Revision and service, in order; at most [`REMEMBERED`].
    changes: VecDeque<(u64, ServiceName)>,
    /// Changes up to this revision may be forgotten.
    forgotten: u64,
    /// Watchers of single services, each under every service it named.
    of_services: HashMap<ServiceName, HashMap<u64, Arc<Notify>>>,
    of_all: HashMap<u64, Arc<Notify>>,
    /// At most [`MAX_WATCHERS`].
    watchers: usize,
    next: u64,
}

/// What somebody watches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// Every service.
    All,
    /// These.
    Services(Box<[ServiceName]>),
}

/// A state that is too long ago for what changed since to be known.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "what changed since revision {since} isn't known any more; read GET /v1/services again and watch from its revision"
)]
pub struct TooOld {
    /// The state.
    pub since: u64,
}

/// There are as many watchers as there may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{MAX_WATCHERS} calls wait for changes already, which is the limit; try again later")]
pub struct TooMany;

/// Somebody who waits. Waits no more when dropped.
#[derive(Debug)]
pub struct Watcher {
    history: Arc<History>,
    wanted: Wanted,
    number: u64,
    woken: Arc<Notify>,
}

impl Watcher {
    /// Returns when something that is watched changed since the last call, or since
    /// the watch began.
    pub async fn changed(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut inner = self.history.lock();
        inner.watchers -= 1;
        match &self.wanted {
            Wanted::All => drop(inner.of_all.remove(&self.number)),
            Wanted::Services(services) => {
                for service in services {
                    if let Some(watchers) = inner.of_services.get_mut(service) {
                        watchers.remove(&self.number);
                        if watchers.is_empty() {
                            inner.of_services.remove(service);
                        }
                    }
                }
            }
        }
    }
}

impl History {
    /// Nothing is known of changes up to `revision`.
    pub(super) fn begin(&self, revision: u64) {
        self.lock().forgotten = revision;
    }

    /// Notes that these services changed, and wakes who watches them. To be called once
    /// the change can be seen.
    pub(super) fn note(&self, revision: u64, services: &[ServiceName]) {
        let mut inner = self.lock();
        for service in services {
            if inner.changes.len() == REMEMBERED
                && let Some((forgotten, _)) = inner.changes.pop_front()
            {
                inner.forgotten = forgotten;
            }
            inner.changes.push_back((revision, service.clone()));
            let watchers = inner.of_services.get(service);
            watchers
                .into_iter()
                .flat_map(HashMap::values)
                .for_each(|watcher| watcher.notify_one());
        }
        if !services.is_empty() {
            inner
                .of_all
                .values()
                .for_each(|watcher| watcher.notify_one());
        }
    }

    /// Begins to watch. What changes from now on wakes the watcher.
    pub fn watch(self: &Arc<Self>, wanted: Wanted) -> Result<Watcher, TooMany> {
        let mut inner = self.lock();
        if inner.watchers == MAX_WATCHERS {
            return Err(TooMany);
        }
        inner.watchers += 1;
        inner.next += 1;
        let (number, woken) = (inner.next, Arc::new(Notify::new()));
        match &wanted {
            Wanted::All => drop(inner.of_all.insert(number, woken.clone())),
            Wanted::Services(services) => {
                for service in services {
                    let watchers = inner.of_services.entry(service.clone()).or_default();
                    watchers.insert(number, woken.clone());
                }
            }
        }
        drop(inner);
        Ok(Watcher {
            history: self.clone(),
            wanted,
            number,
            woken,
        })
    }

    /// The services that changed after `since`, each with its last change, in the order
    /// of these.
    pub fn after(&self, since: u64) -> Result<Vec<(u64, ServiceName)>, TooOld> {
        let inner = self.lock();
        if since < inner.forgotten {
            return Err(TooOld { since });
        }
        let mut last: HashMap<&ServiceName, u64> = HashMap::new();
        let begin = inner
            .changes
            .partition_point(|(revision, _)| *revision <= since);
        for (revision, service) in inner.changes.range(begin..) {
            last.insert(service, *revision);
        }
        let mut all: Vec<_> = last
            .into_iter()
            .map(|(name, at)| (at, name.clone()))
            .collect();
        all.sort_unstable();
        Ok(all)
    }

    /// When a service changed last, as far as that is remembered; else up to when it may
    /// have.
    pub fn last_change(&self, service: &ServiceName) -> u64 {
        let inner = self.lock();
        let mut latest = inner.changes.iter().rev();
        let found = latest.find(|(_, changed)| changed == service);
        found.map_or(inner.forgotten, |(revision, _)| *revision)
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.lock().watchers
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ServiceName {
        text.parse().unwrap()
    }

    /// Whether a watcher has been woken since it was last asked.
    fn is_woken(watcher: &Watcher) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        std::pin::pin!(watcher.changed())
            .poll(&mut context)
            .is_ready()
    }

    #[test]
    fn only_those_are_woken_who_watch_what_changed() {
        let history = Arc::new(History::default());
        let of = |names: &[&str]| Wanted::Services(names.iter().map(|text| name(text)).collect());
        let web = history.watch(of(&["web", "api"])).unwrap();
        let db = history.watch(of(&["db"])).unwrap();
        let all = history.watch(Wanted::All).unwrap();
        history.note(1, &[name("web"), name("other")]);
        assert!(is_woken(&web) && !is_woken(&web), "once");
        assert!(!is_woken(&db) && is_woken(&all));
        history.note(2, &[name("db")]);
        assert!(!is_woken(&web) && is_woken(&db) && is_woken(&all));
        assert_eq!(history.watchers(), 3);
        drop((web, db, all));
        let inner = history.lock();
        assert!(inner.of_services.is_empty() && inner.of_all.is_empty() && inner.watchers == 0);
    }

    #[test]
    fn watchers_are_bounded() {
        let history = Arc::new(History::default());
        let all: Vec<_> = (0..MAX_WATCHERS)
            .map(|_| history.watch(Wanted::All).unwrap())
            .collect();
        assert_eq!(history.watch(Wanted::All).err(), Some(TooMany));
        drop(all);
        assert!(history.watch(Wanted::All).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]
        /// What is told of a state is what changed after it, or that it's too long ago.
        #[test]
        fn what_changed_is_told_or_too_old(
            changes in prop::collection::vec(prop::collection::vec(0u8..50, 1..400), 1..120),
            since in 0u64..130,
        ) {
            let history = History::default();
            history.begin(5);
            let mut last = HashMap::new();
            let mut count = 0;
            for (at, services) in changes.iter().enumerate() {
                let services: Vec<_> = services.iter().map(|n| name(&format!("s{n}"))).collect();
                let revision = 6 + at as u64;
                history.note(revision, &services);
                count += services.len();
                for service in services {
                    last.insert(service, revision);
                }
            }
            let mut expected: Vec<_> = last.into_iter().map(|(name, at)| (at, name)).collect();
            expected.retain(|(at, _)| since < *at);
            expected.sort();
            match history.after(since) {
                Ok(told) => prop_assert_eq!(told, expected),
                Err(TooOld { .. }) => prop_assert!(since < 5 || count > REMEMBERED),
            }
            let now = 5 + changes.len() as u64;
            prop_assert_eq!(history.after(now), Ok(Vec::new()));
        }
    }
}
