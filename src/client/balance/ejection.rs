//! For how long an endpoint that failed is kept away from. Pure.

use std::time::Duration;

use crate::client::Outcome;
use crate::client::backoff::Backoff;
use crate::time::Moment;

/// Shortest and longest ejection, before a random half of it is left out.
pub(in crate::client) const EJECTION: (Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(60));

/// What is remembered of an endpoint's requests.
#[derive(Debug)]
pub(in crate::client) struct Ejection {
    until: Moment,
    backoff: Backoff,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            until: Moment::default(),
            backoff: Backoff::new(EJECTION.0, EJECTION.1),
        }
    }
}

impl Ejection {
    /// Takes note of an outcome; `random` is from 0 up to 1.
    ///
    /// Failures while it's ejected don't count: they're of requests that were sent
    /// before, and say nothing new.
    pub(in crate::client) fn report(&mut self, outcome: Outcome, now: Moment, random: f64) {
        match outcome {
            Outcome::Ok => *self = Self::default(),
            Outcome::Failed if now < self.until => {}
            Outcome::Failed => self.until = now.after(self.backoff.after_failure(random)),
        }
    }

    /// When it may be tried again; the first of all moments when it isn't ejected.
    pub(in crate::client) fn until(&self) -> Moment {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ejections_grow_and_are_forgiven() {
        let mut ejection = Ejection::default();
        let mut now = Moment::from_millis(1_000_000);
        for secs in [1, 2, 4, 8, 16, 32, 60, 60] {
            ejection.report(Outcome::Failed, now, 1.0);
            // Those that were on their way don't count.
            ejection.report(Outcome::Failed, now, 1.0);
            assert_eq!(ejection.until().left_at(now), Duration::from_secs(secs));
            now = ejection.until();
        }
        ejection.report(Outcome::Ok, now, 1.0);
        assert_eq!(ejection.until().left_at(now), Duration::ZERO);
        ejection.report(Outcome::Failed, now, 0.0);
        assert_eq!(ejection.until().left_at(now), Duration::from_millis(500));
    }

    proptest! {
        #[test]
        fn no_ejection_is_longer_than_the_longest(
            reports in prop::collection::vec((any::<bool>(), 0u64..90_000, 0.0f64..1.0), 0..100)
        ) {
            let mut ejection = Ejection::default();
            let mut now = Moment::from_millis(1_000_000);
            for (is_ok, passed, random) in reports {
                now = now.after(Duration::from_millis(passed));
                let outcome = if is_ok { Outcome::Ok } else { Outcome::Failed };
                let before = ejection.until();
                ejection.report(outcome, now, random);
                let left = ejection.until().left_at(now);
                match outcome {
                    Outcome::Ok => prop_assert_eq!(left, Duration::ZERO),
                    Outcome::Failed if now < before => prop_assert_eq!(ejection.until(), before),
                    Outcome::Failed => prop_assert!(EJECTION.0 / 2 <= left && left <= EJECTION.1),
                }
            }
        }
    }
}
