//! From single probes to health: so many in a row, one way or the other.
//!
//! Pure. One probe that fails, or one that succeeds, changes nothing unless the
//! check asks for a row of one.
//!
//! # Flapping
//!
//! An instance that comes back and soon fails again flaps. It's withdrawn at once
//! each time, but from the first such relapse on it's back only after a while: an
//! interval for each probe of `retries` and `rise` and at least a second, then twice
//! as long with every further relapse, up to [`MAX_DAMPING`]. Once it has passed for
//! [`STEADY`] times that without failing, all is forgotten. So DNS changes twice in
//! that while at most, however fast an instance flaps.

use std::time::Duration;

use super::probe::Outcome;
use crate::registry::check::{Check, Health};
use crate::time::Moment;

/// Longest time for which an instance that flaps is held back.
const MAX_DAMPING: Duration = Duration::from_secs(600);

/// How many times as long as it was, or would be, held back an instance must have
/// passed for its next failure to be no relapse.
const STEADY: u32 = 4;

/// Shortest time between two probes, of the interval that is meant: they're due a
/// little earlier or later at random.
pub(super) const LEAST_JITTER: f64 = 0.95;

/// The health of one instance and the row of probes that may change it.
#[derive(Clone, Debug)]
pub(super) struct Hysteresis {
    health: Health,
    retries: u16,
    rise: u16,
    interval: Duration,
    doubt_interval: Duration,
    /// Probes in a row that were alike.
    row: u16,
    last: Option<Outcome>,
    /// Since when it passes, if it failed before.
    back_since: Option<Moment>,
    /// Relapses in a row.
    flaps: u32,
    /// It's not to be listed again before.
    damped_until: Option<Moment>,
}

impl Hysteresis {
    /// Begins at `health`, with the rows that `check` asks for.
    pub(super) fn new(check: &Check, health: Health) -> Self {
        Self {
            health,
            retries: check.retries,
            rise: check.rise,
            interval: check.interval,
            doubt_interval: check.doubt_interval,
            row: 0,
            last: None,
            back_since: None,
            flaps: 0,
            damped_until: None,
        }
    }

    /// The judged state.
    pub(super) fn health(&self) -> Health {
        self.health
    }

    /// How many probes in a row went the same way.
    pub(super) fn row(&self) -> u16 {
        self.row
    }

    /// How often it relapsed.
    pub(super) fn flaps(&self) -> u32 {
        self.flaps
    }

    /// Until when it's held back, while it would be listed otherwise.
    pub(super) fn damped_until(&self) -> Option<Moment> {
        let ready = !self.last_failed() && self.rise <= self.row;
        self.damped_until
            .filter(|_| self.health == Health::Failing && ready)
    }

    /// Takes a probe's result at `now`; says so when it changes the health.
    pub(super) fn observe(&mut self, outcome: Outcome, now: Moment) -> Option<Health> {
        let failed = outcome == Outcome::Failed;
        self.row = match self.last.is_some() && failed == self.last_failed() {
            true => self.row.saturating_add(1),
            false => 1,
        };
        self.last = Some(outcome);
        let verdict = match outcome {
            Outcome::Passed => Health::Passing,
            Outcome::Warned => Health::Warning,
            Outcome::Failed => Health::Failing,
        };
        // Between the two that are listed it takes no row: DNS doesn't change.
        let within = self.health.is_good() && verdict.is_good();
        let needed = if failed { self.retries } else { self.rise };
        let damped = !failed && self.damped_until.is_some_and(|until| now < until);
        if verdict == self.health || !within && (self.row < needed || damped) {
            return None;
        }
        match (self.health.is_good(), verdict.is_good()) {
            (true, false) => self.fell(now),
            (false, true) if self.health == Health::Failing => {
                self.back_since = Some(now);
                self.damped_until = None;
            }
            _ => {}
        }
        self.health = verdict;
        Some(verdict)
    }

    /// Notes that it fails from now on, and how long that holds it back.
    fn fell(&mut self, now: Moment) {
        let steady = self.damping(self.flaps.max(1)) * STEADY;
        let relapsed = self
            .back_since
            .is_some_and(|since| now < since.after(steady));
        self.flaps = match relapsed {
            true => self.flaps.saturating_add(1),
            false => 0,
        };
        let damping = (self.flaps != 0).then(|| self.damping(self.flaps));
        self.damped_until = damping.map(|damping| now.after(damping));
    }

    /// How long the relapse of that number holds back.
    fn damping(&self, flaps: u32) -> Duration {
        let rows = u32::from(self.retries) + u32::from(self.rise);
        let first = (self.interval * rows).max(Duration::from_secs(1));
        let doubled = 1u32.checked_shl(flaps.saturating_sub(1));
        let damping = doubled.and_then(|times| first.checked_mul(times));
        damping.map_or(MAX_DAMPING, |damping| damping.min(MAX_DAMPING))
    }

    /// Time from a probe's end to the next one's start, before its jitter.
    pub(super) fn interval(&self) -> Duration {
        match self.is_in_doubt() {
            true => self.doubt_interval,
            false => self.interval,
        }
    }

    /// Whether the last probes speak against the health, or there is none yet.
    fn is_in_doubt(&self) -> bool {
        match self.health {
            Health::Starting => true,
            Health::Passing | Health::Warning => self.last_failed(),
            // One that is held back isn't in doubt: more probes tell nothing.
            Health::Failing => !self.last_failed() && self.row < self.rise,
        }
    }

    /// The earliest moment at which an instance that has begun to fail could be
    /// withdrawn: when all the probes that are still to fail do so at once.
    pub(super) fn fails_at(&self, now: Moment) -> Option<Moment> {
        let begun = self.health.is_good() && self.last_failed();
        let left = u32::from(self.retries.saturating_sub(self.row));
        begun.then(|| now.after((self.doubt_interval * left).mul_f64(LEAST_JITTER)))
    }

    /// Whether the last probe failed; before the first one, what the health says.
    fn last_failed(&self) -> bool {
        match self.last {
            Some(outcome) => outcome == Outcome::Failed,
            None => self.health == Health::Failing,
        }
    }
}

#[cfg(test)]
#[path = "hysteresis_tests.rs"]
mod tests;
