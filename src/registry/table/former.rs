//! Answers that had a longer TTL than their service has now, and until when they may be
//! held.
//!
//! A restart knows of them by what is on disk, where it has no times: what was answered
//! with before it may have been answered just before it. A log has each change of a
//! policy; what a snapshot would forget, and the server's own TTL, have a record
//! ([`Record::Held`](super::super::log::record::Record::Held)).

use std::collections::HashMap;
use std::time::Duration;

use super::{DRAIN_MARGIN, Table};
use crate::name::ServiceName;
use crate::time::Moment;

/// Most services whose former TTLs are known one by one; for more, the longest
/// holds for all.
pub(super) const MAX_FORMER: usize = 4096;

/// Until when answers may be held that had a longer TTL than their service has now.
#[derive(Debug, Default)]
pub(super) struct FormerTtls {
    /// At most [`MAX_FORMER`].
    pub(super) ends: HashMap<ServiceName, Moment>,
    /// The last end of all those that had no place.
    of_others: Moment,
    /// TTLs that were in use before a restart, until that is over; at most as many.
    restored: HashMap<ServiceName, Duration>,
    /// The longest of all those that had no place, and of the server's own.
    restored_of_others: Duration,
}

impl FormerTtls {
    /// Notes that answers of `service` from before `now` may be held until `until`.
    pub(super) fn note(&mut self, service: &ServiceName, until: Moment, now: Moment) {
        if let Some(known) = self.ends.get_mut(service) {
            *known = until.max(*known);
            return;
        }
        if self.ends.len() == MAX_FORMER {
            self.ends.retain(|_, end| now < *end);
        }
        match self.ends.len() < MAX_FORMER {
            true => drop(self.ends.insert(service.clone(), until)),
            false => self.of_others = self.of_others.max(until),
        }
    }

    /// Until when such answers of a service may be held, at the latest.
    pub(super) fn held_until(&self, service: &ServiceName) -> Moment {
        let own = self.ends.get(service).copied().unwrap_or_default();
        own.max(self.of_others)
    }

    /// Notes that answers of a service, or of any, had that TTL before a restart.
    pub(super) fn restore(&mut self, service: Option<&ServiceName>, ttl: Duration) {
        let has_place = self.restored.len() < MAX_FORMER;
        let known = match service {
            Some(service) if has_place || self.restored.contains_key(service) => {
                self.restored.entry(service.clone()).or_default()
            }
            Some(_) | None => &mut self.restored_of_others,
        };
        *known = ttl.max(*known);
    }

    /// The restart is over at `now`, and was so just before.
    fn begin(&mut self, now: Moment) {
        let until = |ttl: Duration| now.after(ttl.saturating_add(DRAIN_MARGIN));
        for (service, ttl) in std::mem::take(&mut self.restored) {
            self.note(&service, until(ttl), now);
        }
        let others = std::mem::take(&mut self.restored_of_others);
        if !others.is_zero() {
            self.of_others = self.of_others.max(until(others));
        }
    }
}

impl Table {
    /// Takes in that answers of a service, or of any, may have been given for so long.
    pub(super) fn restore_held(&mut self, service: Option<ServiceName>, held: Duration) {
        if service.is_none() {
            self.noted_ttl = held.max(self.noted_ttl);
        }
        self.former_ttls.restore(service.as_ref(), held);
    }

    /// Ends the restart for what was answered before it.
    pub(super) fn begin_former(&mut self, now: Moment) {
        self.is_restoring = false;
        self.former_ttls.begin(now);
    }

    /// The server's own TTL, if it isn't on disk.
    pub(super) fn unwritten_ttl(&self) -> Option<Duration> {
        Some(self.config.ttl).filter(|ttl| self.noted_ttl < *ttl)
    }

    /// For how long from `now` answers may be held whose TTL no setting has any more; of
    /// a service, or of any.
    pub(in crate::registry) fn held_for(
        &self,
        now: Moment,
    ) -> Vec<(Option<ServiceName>, Duration)> {
        let former = &self.former_ttls;
        let of_all = former.of_others.left_at(now).max(self.config.ttl);
        let ends = former.ends.iter();
        let left = ends.map(|(service, end)| (Some(service.clone()), end.left_at(now)));
        let restored = former.restored.iter();
        let restored = restored.map(|(service, ttl)| (Some(service.clone()), *ttl));
        let each = left.chain(restored).filter(|(_, left)| !left.is_zero());
        let of_all = of_all.max(former.restored_of_others);
        each.chain([(None, of_all)]).collect()
    }
}
