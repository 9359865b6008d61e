//! The guard against mass expiry: when many leases run out together, the likelier cause
//! is on this side, a cut network or a stopped machine, and not that all of them died.
//!
//! A lease that is about to end is then held for a while, at most once until its next
//! heartbeat: so nothing can be held for longer, and the guard can't stick. It's about
//! the loss of heartbeats alone: who deregisters or drains has said so, and who fails
//! its check is withdrawn as ever.
//!
//! Of a service those count as late whose lease has run for more than two thirds of
//! its term without a heartbeat; of the whole registry those that were looked at
//! lately, shortly before the ends of their leases, and hadn't been renewed.
//!
//! Pure: nothing here reads a clock.

use std::time::Duration;

use super::expiry::AHEAD;
use crate::time::Moment;

/// Seconds that the registry's share is taken over.
const WINDOW: usize = 10;

/// When the guard holds leases, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GuardConfig {
    /// Longest time that a lease is held; zero holds none.
    pub hold: Duration,
    /// Percent of a service's instances, or of those in the registry that were looked
    /// at, that are late together.
    pub share: u8,
    /// Fewest instances of a service that are late together, or a tenth of those in the
    /// whole registry.
    pub least: usize,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(30),
            share: 60,
            least: 5,
        }
    }
}

/// What a service's policy has otherwise than the server's settings.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct GuardPolicy {
    /// Longest time that its leases are held, up to [`MAX_HOLD`]; zero holds none.
    pub hold: Option<Duration>,
    /// Percent of its instances that are late together, 1 to 100.
    pub share: Option<u8>,
    /// Fewest of them that are, 1 or more.
    pub least: Option<u32>,
}

/// Longest time that leases may be held.
pub const MAX_HOLD: Duration = Duration::from_secs(600);

/// How many times [`GuardConfig::least`] have to be late for the whole registry.
const REGISTRY: usize = 10;

impl GuardConfig {
    /// These settings but for what a policy says.
    pub(super) fn under(self, policy: GuardPolicy) -> Self {
        let least = policy.least.map(|least| least as usize);
        Self {
            hold: policy.hold.unwrap_or(self.hold),
            share: policy.share.unwrap_or(self.share),
            least: least.unwrap_or(self.least),
        }
    }

    /// Whether a service of so many instances with leases, `late` of them late, has
    /// lost more than is likely.
    pub(super) fn is_unlikely(&self, late: usize, instances: usize) -> bool {
        self.least <= late && self.exceeds(late, instances)
    }

    fn exceeds(&self, part: usize, all: usize) -> bool {
        part.saturating_mul(100) >= all.saturating_mul(self.share.into()) && part != 0
    }
}

/// Whether an instance with this term and this time left is late with its heartbeat,
/// or its lease about to be looked at.
pub(super) fn is_late(term: Duration, left: Duration) -> bool {
    left < (term / 3).max(AHEAD)
}

/// What was found of leases in the last seconds.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Renewed and ending, second by second, in the place of the second's number.
    seconds: [(usize, usize); WINDOW],
    /// The second that was counted last.
    last: u64,
}

impl Losses {
    /// Counts what was found at `now`.
    pub(super) fn count(&mut self, renewed: usize, ending: usize, now: Moment) {
        let second = now.as_millis() / 1000;
        let passed = second.saturating_sub(self.last).min(WINDOW as u64);
        for later in 0..passed {
            self.seconds[(second - later) as usize % WINDOW] = (0, 0);
        }
        self.last = self.last.max(second);
        let counted = &mut self.seconds[second as usize % WINDOW];
        counted.0 += renewed;
        counted.1 += ending;
    }

    /// Whether the registry has lost more than is likely.
    pub(super) fn are_unlikely(&self, config: &GuardConfig) -> bool {
        let (renewed, ending) = self
            .seconds
            .iter()
            .fold((0, 0), |all, second| (all.0 + second.0, all.1 + second.1));
        config.least.saturating_mul(REGISTRY) <= ending && config.exceeds(ending, renewed + ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: GuardConfig = GuardConfig {
        hold: Duration::from_secs(30),
        share: 60,
        least: 3,
    };

    #[test]
    fn a_service_needs_the_number_and_the_share() {
        for (late, instances, unlikely) in [
            (2, 2, false),
            (3, 3, true),
            (3, 5, true),
            (3, 6, false),
            (0, 0, false),
            (600, 1000, true),
            (599, 1000, false),
        ] {
            assert_eq!(
                CONFIG.is_unlikely(late, instances),
                unlikely,
                "{late} of {instances}"
            );
        }
    }

    #[test]
    fn the_registry_forgets_after_the_window() {
        let at = |second: u64| Moment::from_millis(second * 1000 + 7);
        let mut losses = Losses::default();
        losses.count(100, 0, at(100));
        losses.count(0, 50, at(101));
        assert!(!losses.are_unlikely(&CONFIG), "a third");
        losses.count(0, 100, at(103));
        assert!(losses.are_unlikely(&CONFIG));
        losses.count(0, 0, at(109));
        assert!(losses.are_unlikely(&CONFIG));
        // The good ones are forgotten first, the last bad ones 10 s after they were counted.
        losses.count(1, 0, at(112));
        assert!(losses.are_unlikely(&CONFIG));
        losses.count(1, 0, at(113));
        assert!(!losses.are_unlikely(&CONFIG));
        losses.count(0, 29, at(1_000_000));
        assert!(!losses.are_unlikely(&CONFIG));
        losses.count(0, 1, at(1_000_001));
        assert!(losses.are_unlikely(&CONFIG));
    }
}
