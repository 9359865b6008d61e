//! How long to wait before trying again.
//!
//! The wait doubles with each failure up to a bound, and a random half of it is left
//! out, so that many who lost the same server don't come back together. Pure: whoever
//! asks brings the random number.

use std::time::Duration;

/// Waits that grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Waits from `first` to `longest`.
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// After another failure: from a half of the wait on to all of it, as `random` (from
    /// 0 up to 1) says.
    pub(super) fn after_failure(&mut self, random: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        let wait = self.first.saturating_mul(doubled).min(self.longest);
        wait.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// Something went well.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waits_double_up_to_the_longest(
            first in 1u64..5_000,
            longest in 5_000u64..100_000,
            randoms in prop::collection::vec(0.0f64..1.0, 1..80),
        ) {
            let (first, longest) = (Duration::from_millis(first), Duration::from_millis(longest));
            let mut backoff = Backoff::new(first, longest);
            let mut whole = first;
            for random in randoms {
                let wait = backoff.after_failure(random);
                prop_assert!(whole.mul_f64(0.49) <= wait && wait <= whole, "{wait:?} of {whole:?}");
                whole = (whole * 2).min(longest);
            }
            backoff.reset();
            prop_assert!(backoff.after_failure(1.0) <= first);
        }
    }
}
