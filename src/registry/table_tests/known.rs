//! Members and settings as the model has them, in plain lists.

use super::commands::Asked;
use super::*;

/// A member as the model has it; times are in ms.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: &'static str,
    pub(super) asked: Asked,
    pub(super) registered: u64,
    pub(super) ends: Option<u64>,
    pub(super) health: Health,
    pub(super) reports_failing: bool,
    pub(super) addresses: usize,
    pub(super) draining: bool,
    pub(super) drained_at: Option<u64>,
    pub(super) left: bool,
    pub(super) entry: Arc<Entry>,
}

impl Known {
    /// Whether nothing but the end of its lease keeps it from being listed.
    pub(super) fn is_listable(&self) -> bool {
        !self.left && !self.draining && self.is_sound()
    }

    pub(super) fn is_sound(&self) -> bool {
        self.health == Health::Passing && !self.reports_failing && self.addresses != 0
    }

    pub(super) fn reason(&self, now: u64) -> Option<Withdrawn> {
        [
            (self.left, Withdrawn::Left),
            (
                self.ends.is_some_and(|ends| ends <= now),
                Withdrawn::Expired,
            ),
            (self.draining, Withdrawn::Draining),
            (self.reports_failing, Withdrawn::Failing),
            (self.health == Health::Failing, Withdrawn::Failing),
            (self.health == Health::Starting, Withdrawn::Starting),
            (self.addresses == 0, Withdrawn::HostUnknown),
        ]
        .into_iter()
        .find_map(|(holds, reason)| holds.then_some(reason))
    }

    /// How long its own name answers.
    pub(super) fn answers(&self, now: u64) -> Option<Duration> {
        let left = |end: Option<u64>| match end {
            Some(end) => Duration::from_millis(end.saturating_sub(now)),
            None => Duration::MAX,
        };
        // Whoever left has promised to stay until then, lease or not.
        let lease = left(self.ends.filter(|_| !self.left));
        let until = match self.draining || self.left {
            true => left(Some(self.drained_at.unwrap_or(now))),
            false => Duration::MAX,
        };
        Some(lease.min(until)).filter(|left| !left.is_zero() && self.is_sound())
    }

    /// Withdraws it cleanly, to be forgotten at that time; says when that is over.
    pub(super) fn leave(&mut self, forgotten: u64) -> u64 {
        *self.drained_at.get_or_insert(forgotten)
    }

    pub(super) fn is_over(&self, now: u64) -> bool {
        self.left && self.drained_at.is_some_and(|at| at <= now)
    }
}

/// What is set of a service, as the model has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    /// Seconds.
    pub(super) policy_ttl: Option<u64>,
    pub(super) has_value: bool,
    /// Each TTL that was in use, in ms, and when its time ended.
    pub(super) former: Vec<(u64, u64)>,
}

impl Set {
    pub(super) fn ttl(&self) -> u64 {
        self.policy_ttl.map_or(TTL, |secs| 1_000 * secs)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.policy_ttl.is_none() && !self.has_value
    }

    /// When nobody holds any more what was answered before `now`.
    pub(super) fn forgotten(&self, now: u64) -> u64 {
        let current = [(self.ttl(), now)];
        let all = self.former.iter().chain(&current);
        let ends = all.map(|(ttl, until)| until + ttl + DRAIN - TTL);
        ends.max().unwrap()
    }
}
