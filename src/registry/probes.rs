//! What the checks found of one registration, or of several in a row of what is checked
//! in the same place: written by them after each probe, read
//! by whoever answers or explains. Nothing of it is durable, and no probe that
//! changes nothing costs the registry a command.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::instance::Instance;
use crate::time::Moment;

/// The probes of one registration.
#[derive(Debug)]
pub struct Probes {
    /// In nanoseconds, as [`Self::fails_at`] has it.
    fails_at: AtomicU64,
    last: Mutex<Option<LastProbe>>,
}

/// A probe that was made, and what follows from it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LastProbe {
    /// When its result was there.
    pub at: Moment,
    /// How long it took.
    pub took: Duration,
    /// `passed`, `warned` or `failed`.
    pub result: &'static str,
    /// Why, for people; at most 200 characters.
    pub output: Box<str>,
    /// How many in a row, this one included, have gone the same way.
    pub in_a_row: u16,
    /// When the next one is due.
    pub next_at: Moment,
    /// How often it has failed again soon after it came back.
    pub flaps: u32,
    /// It passes and isn't listed until then, for it flaps.
    pub damped_until: Option<Moment>,
}

impl Probes {
    /// For an instance with a check; `None` for others.
    pub(super) fn of(instance: &Instance) -> Option<Arc<Self>> {
        instance.check.as_ref()?;
        Some(Arc::new(Self {
            fails_at: AtomicU64::new(Moment::MAX.as_nanos()),
            last: Mutex::new(None),
        }))
    }

    /// The earliest moment at which the check could withdraw an instance that has
    /// begun to fail, past when it has failed; [`Moment::MAX`] when it hasn't begun.
    pub fn fails_at(&self) -> Moment {
        Moment::from_nanos(self.fails_at.load(Ordering::Relaxed))
    }

    /// Notes that moment. Answers that were prepared before don't know of it: whoever
    /// sets it has the service published.
    pub(crate) fn set_fails_at(&self, moment: Moment) {
        self.fails_at.store(moment.as_nanos(), Ordering::Relaxed);
    }

    /// The last probe, if there was one.
    pub fn last(&self) -> Option<LastProbe> {
        self.lock().clone()
    }

    /// Notes a probe.
    pub(crate) fn note(&self, probe: LastProbe) {
        *self.lock() = Some(probe);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<LastProbe>> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
