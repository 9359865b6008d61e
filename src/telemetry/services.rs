//! Where the counts of queries for each service come from, and their series.
//!
//! The registry has the counts and lies above this part of the house, so it hands
//! in a function that shows them. It runs once an export, on the SDK's thread.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::top::{OTHER, Top};

/// Services that have a series of their own; all others share one.
pub(super) const MAX_SERVICES: usize = 100;

/// Calls its argument with each service's name, the queries answered for it in
/// all, and those that it hasn't been called with before.
type Source = Box<dyn Fn(&mut dyn FnMut(&str, u64, u64)) + Send>;

/// The series, once there is something to count.
#[derive(Debug, Default)]
pub(super) struct Services(Mutex<Option<Watched>>);

struct Watched {
    source: Source,
    top: Top,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.top.fmt(f)
    }
}

/// One series as it is now.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Series {
    /// A service's name, or [`OTHER`].
    pub(super) name: String,
    /// When it began, in nanoseconds since 1970 began.
    pub(super) since: u64,
    /// Queries answered since then.
    pub(super) queries: u64,
}

impl Services {
    /// Takes counts from `source` from now on; the series go on.
    pub(super) fn watch(&self, source: Source) {
        let mut watched = self.lock();
        let top = watched.take().map(|before| before.top);
        *watched = Some(Watched {
            source,
            top: top.unwrap_or_else(|| Top::new(MAX_SERVICES)),
        });
    }

    /// The series at a time in nanoseconds since 1970 began, at least `started`; none without a source.
    pub(super) fn collect(&self, started: u64, now: u64) -> Vec<Series> {
        let mut watched = self.lock();
        let Some(Watched { source, top }) = &mut *watched else {
            return Vec::new();
        };
        top.update(now, |visit| source(visit));
        let other = Series {
            name: OTHER.to_owned(),
            since: started,
            queries: top.other(),
        };
        let listed = top.listed().map(|(name, listed)| Series {
            name: name.to_owned(),
            since: listed.since,
            queries: listed.queries,
        });
        listed.chain([other]).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Watched>> {
        // A source that panics leaves numbers that are behind, not wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
