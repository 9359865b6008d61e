//! From single probes to health: so many in a row, one way or the other.
//!
//! Pure. One probe that fails, or one that succeeds, changes nothing unless the
//! check asks for a row of one.

use crate::registry::check::{Check, Health};

/// The health of one instance and the row of probes that may change it.
#[derive(Clone, Debug)]
pub(super) struct Hysteresis {
    health: Health,
    retries: u16,
    rise: u16,
    /// Probes in a row that speak against `health`, or, while it's starting,
    /// that were alike.
    row: u16,
    last_passed: bool,
}

impl Hysteresis {
    /// Begins at `health`, with the rows that `check` asks for.
    pub(super) fn new(check: &Check, health: Health) -> Self {
        Self {
            health,
            retries: check.retries,
            rise: check.rise,
            row: 0,
            last_passed: false,
        }
    }

    /// The judged state.
    pub(super) fn health(&self) -> Health {
        self.health
    }

    /// Takes a probe's result; says so when it changes the health.
    pub(super) fn observe(&mut self, passed: bool) -> Option<Health> {
        self.row = if passed == self.last_passed {
            self.row.saturating_add(1)
        } else {
            1
        };
        self.last_passed = passed;
        let (verdict, needed) = match passed {
            true => (Health::Passing, self.rise),
            false => (Health::Failing, self.retries),
        };
        if verdict == self.health || self.row < needed {
            return None;
        }
        self.health = verdict;
        Some(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::check::CheckKind;
    use proptest::prelude::*;
    use std::time::Duration;

    fn check(retries: u16, rise: u16) -> Check {
        Check {
            kind: CheckKind::Tcp,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            retries,
            rise,
            initially_passing: false,
        }
    }

    #[test]
    fn changes_after_the_row() {
        let mut health = Hysteresis::new(&check(3, 2), Health::Starting);
        let seen = [
            true, true, false, false, true, false, false, false, true, false, true, true,
        ]
        .map(|passed| health.observe(passed));
        let (up, down) = (Some(Health::Passing), Some(Health::Failing));
        assert_eq!(
            seen,
            [
                None, up, None, None, None, None, None, down, None, None, None, up
            ]
        );
    }

    proptest! {
        /// After every change, the last probes were as many alike as it takes.
        #[test]
        fn never_changes_on_less_than_its_row(
            retries in 1u16..5, rise in 1u16..5,
            probes in prop::collection::vec(any::<bool>(), 0..200),
        ) {
            let mut health = Hysteresis::new(&check(retries, rise), Health::Starting);
            for end in 1..=probes.len() {
                let passed = probes[end - 1];
                let needed = usize::from(if passed { rise } else { retries });
                let alike = probes[..end].iter().rev().take_while(|p| **p == passed).count();
                let before = health.health();
                let changed = health.observe(passed);
                let verdict = if passed { Health::Passing } else { Health::Failing };
                prop_assert_eq!(changed.is_some(), alike >= needed && before != verdict);
            }
        }
    }
}
