//! Leases: an instance's right to stay listed.
//!
//! A lease is shared by the table, which expires it, and the views, whose TTLs
//! are bounded by it. A heartbeat is one atomic store here and visits no queue.
//!
//! Invariant: a lease that has ended stays ended. A heartbeat that comes late
//! is told so, and the instance registers again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::time::Moment;

/// End of a lease that has expired: before every moment at which it could be read.
const EXPIRED: u64 = 0;

/// End of a lease without a term.
const NEVER: u64 = u64::MAX;

/// The right of one instance to stay listed.
#[derive(Debug)]
pub struct Lease {
    term: Option<Duration>,
    /// Nanoseconds of the [`Moment`] at which it ends; [`EXPIRED`] or [`NEVER`].
    ends: AtomicU64,
    /// Nanoseconds of the [`Moment`] of the last renewal.
    renewed: AtomicU64,
    /// Whether it was held since then.
    held: AtomicBool,
}

impl Lease {
    /// Grants a lease at `now`; without a `term` it never ends by itself.
    pub fn grant(term: Option<Duration>, now: Moment) -> Self {
        let ends = term.map_or(NEVER, |term| now.after(term).as_nanos());
        Self {
            term,
            ends: AtomicU64::new(ends),
            renewed: AtomicU64::new(now.as_nanos()),
            held: AtomicBool::new(false),
        }
    }

    /// Its length; `None` when no heartbeat is needed.
    pub fn term(&self) -> Option<Duration> {
        self.term
    }

    /// The moment at which it ends, unless it's renewed; `None` when it has no term.
    pub fn ends(&self) -> Option<Moment> {
        match self.ends.load(Ordering::Acquire) {
            NEVER => None,
            ends => Some(Moment::from_nanos(ends)),
        }
    }

    /// The moment of the grant or of the last heartbeat.
    pub fn renewed(&self) -> Moment {
        Moment::from_nanos(self.renewed.load(Ordering::Relaxed))
    }

    /// The time it still runs at `now`: `None` when it has ended,
    /// [`Duration::MAX`] when it has no term.
    pub fn left(&self, now: Moment) -> Option<Duration> {
        match self.ends.load(Ordering::Acquire) {
            NEVER => Some(Duration::MAX),
            ends if ends <= now.as_nanos() => None,
            ends => Some(Moment::from_nanos(ends).left_at(now)),
        }
    }

    /// Renews it for a whole term from `now`, or says that it has ended.
    pub fn renew(&self, now: Moment) -> Result<Option<Moment>, LeaseEnded> {
        let extended = self.term.map_or(NEVER, |term| now.after(term).as_nanos());
        self.ends
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |ends| {
                // A slower heartbeat that was read earlier never shortens it.
                (now.as_nanos() < ends).then_some(extended.max(ends))
            })
            .map_err(|_| LeaseEnded)?;
        self.renewed.fetch_max(now.as_nanos(), Ordering::Relaxed);
        self.held.store(false, Ordering::Relaxed);
        Ok(self.ends())
    }

    /// Lets it run until `until` at least, if it still runs at `now` and wasn't held
    /// since its last renewal; says whether it does.
    pub(super) fn hold(&self, now: Moment, until: Moment) -> bool {
        if self.held.swap(true, Ordering::Relaxed) {
            return false;
        }
        self.ends
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |ends| {
                (now.as_nanos() < ends).then_some(ends.max(until.as_nanos()))
            })
            .is_ok()
    }

    /// Whether it goes on without a heartbeat only because it's held.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether its end was seen, so that nothing renews it.
    pub(super) fn has_ended(&self) -> bool {
        self.ends.load(Ordering::Acquire) == EXPIRED
    }

    /// Begins it anew at `now`, as after a restart of the server. For leases that nobody
    /// has seen yet.
    pub(super) fn restart(&self, now: Moment) {
        let ends = self.term.map_or(NEVER, |term| now.after(term).as_nanos());
        self.ends.store(ends, Ordering::Release);
        self.renewed.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Ends it for good if it has run out at `now`; says whether it has.
    pub fn expire(&self, now: Moment) -> bool {
        self.ends
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |ends| {
                (ends <= now.as_nanos()).then_some(EXPIRED)
            })
            .is_ok()
    }
}

/// The lease had ended before it could be renewed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the lease has ended")]
pub struct LeaseEnded;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    const LAST: Moment = Moment::from_nanos(u64::MAX - 1);

    #[test]
    fn ends_at_its_term_and_stays_ended() {
        let lease = Lease::grant(Some(Duration::from_secs(30)), at(1_000));
        assert_eq!(lease.left(at(30_999)), Some(Duration::from_millis(1)));
        assert_eq!(lease.left(at(31_000)), None);
        assert_eq!(lease.renew(at(31_000)), Err(LeaseEnded));
        assert!(lease.expire(at(31_000)));
        assert_eq!(lease.renew(at(1_000)), Err(LeaseEnded));
    }

    #[test]
    fn without_a_term_it_never_ends() {
        let lease = Lease::grant(None, at(0));
        assert_eq!(lease.left(LAST), Some(Duration::MAX));
        assert_eq!(lease.renew(at(5)), Ok(None));
        assert!(!lease.expire(LAST));
    }

    #[test]
    fn is_held_once_until_it_is_renewed() {
        let lease = Lease::grant(Some(Duration::from_secs(30)), at(1_000));
        assert!(lease.hold(at(30_000), at(60_000)) && lease.is_held());
        assert_eq!(lease.ends(), Some(at(60_000)));
        assert!(!lease.hold(at(59_000), at(99_000)), "a guard can't stick");
        assert_eq!(lease.ends(), Some(at(60_000)));
        // What was answered meanwhile may be cached until then.
        assert_eq!(lease.renew(at(29_000)), Ok(Some(at(60_000))));
        assert!(!lease.is_held());
        assert!(lease.hold(at(59_000), at(99_000)));
        assert!(lease.expire(at(99_000)));
        let over = Lease::grant(Some(Duration::from_secs(30)), at(1_000));
        assert!(!over.hold(at(31_000), at(60_000)));
        assert_eq!(over.left(at(31_000)), None);
    }

    proptest! {
        /// Whatever the order of heartbeats and expiry looks, a lease runs for a
        /// whole term after each accepted heartbeat, and never after its end was seen.
        #[test]
        fn runs_a_whole_term_after_each_heartbeat(
            term in 1u64..100,
            steps in prop::collection::vec((any::<bool>(), 1u64..60), 1..200),
        ) {
            let lease = Lease::grant(Some(Duration::from_millis(term)), at(1));
            let (mut now, mut ends, mut over) = (1, 1 + term, false);
            for (heartbeat, pass) in steps {
                now += pass;
                over |= ends <= now;
                if heartbeat {
                    prop_assert_eq!(lease.renew(at(now)).is_err(), over);
                    if !over {
                        ends = now + term;
                    }
                } else {
                    prop_assert_eq!(lease.expire(at(now)), over);
                }
                prop_assert_eq!(lease.left(at(now)).is_none(), over);
            }
        }
    }
}
