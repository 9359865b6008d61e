//! Holding leases that run out together with many others: see [`guard`](super::super::guard).

use std::sync::Arc;
use std::time::Duration;

use super::{HashMap, Table, is_current};
use crate::name::ServiceName;
use crate::registry::guard::{GuardConfig, Losses, is_late};
use crate::registry::view::Entry;
use crate::registry::view::members::Members;
use crate::time::Moment;

/// What is known of losses, and what is held because of them.
#[derive(Debug, Default)]
pub(super) struct Guards {
    losses: Losses,
    /// Services of which leases are held; there are no more than services.
    held: HashMap<ServiceName, Vec<Arc<Entry>>>,
    /// When they're looked at again.
    next_look: Moment,
    events: Vec<GuardEvent>,
}

/// What the guard began or ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GuardEvent {
    /// Leases of a service are held.
    Began {
        /// The service.
        service: ServiceName,
        /// Until when, at most, as far as is known now.
        until: Moment,
    },
    /// None is held any more.
    Ended {
        /// The service.
        service: ServiceName,
        /// Instances that have sent heartbeats again.
        returned: usize,
        /// Instances that haven't, or have left.
        lost: usize,
    },
}

/// How often held leases are looked at.
const LOOK: Duration = Duration::from_secs(1);

impl Table {
    /// What the guard began and ended since the last call.
    pub fn guard_events(&mut self) -> Vec<GuardEvent> {
        std::mem::take(&mut self.guards.events)
    }

    /// How many leases are held.
    pub fn held(&self) -> usize {
        let held = self.guards.held.values().flatten();
        held.filter(|entry| self.is_held(entry)).count()
    }

    fn is_held(&self, entry: &Entry) -> bool {
        entry.lease.is_held() && self.is_current(entry)
    }

    /// Looks at the leases that are about to end: those that are too many are held.
    pub(super) fn look_ahead(&mut self, now: Moment) {
        let services = &self.services;
        let fired = self
            .wheel
            .fire_near(now, |entry| is_current(services, entry));
        self.wheel
            .tidy(self.homes.len(), |entry| is_current(services, entry));
        self.guards
            .losses
            .count(fired.renewed, fired.ending.len(), now);
        let everywhere = self.guards.losses.are_unlikely(&self.config.guard);
        // For how long a service's are held, if they are.
        let mut holds: HashMap<ServiceName, Option<Duration>> = HashMap::default();
        for entry in fired.ending {
            let service = &entry.instance.service;
            let hold = *holds.entry(service.clone()).or_insert_with(|| {
                let config = self.guard_of(service);
                let is_unlikely = everywhere || self.has_lost_many(service, &config, now);
                Some(config.hold).filter(|hold| is_unlikely && !hold.is_zero())
            });
            let until = hold.map(|hold| now.after(hold));
            if let Some(until) = until.filter(|until| entry.lease.hold(now, *until)) {
                self.wheel.file(&entry);
                let service = service.clone();
                let events = &mut self.guards.events;
                let held = self.guards.held.entry(service.clone()).or_insert_with(|| {
                    events.push(GuardEvent::Began { service, until });
                    Vec::new()
                });
                held.push(entry);
            } else {
                self.wheel.file_ending(&entry);
            }
        }
    }

    /// When leases of a service are held.
    fn guard_of(&self, service: &ServiceName) -> GuardConfig {
        let policy = self.settings.get(service).and_then(|known| known.policy());
        let policy = policy.map(|policy| policy.guard);
        self.config.guard.under(policy.unwrap_or_default())
    }

    /// Whether more of a service is late than is likely.
    fn has_lost_many(&self, service: &ServiceName, config: &GuardConfig, now: Moment) -> bool {
        let (mut late, mut leased) = (0, 0);
        let members = self
            .services
            .get(service)
            .into_iter()
            .flat_map(Members::iter);
        for member in members.filter(|member| !member.left) {
            let lease = &member.entry.lease;
            if let (Some(term), Some(left)) = (lease.term(), lease.left(now)) {
                leased += 1;
                late += usize::from(is_late(term, left));
            }
        }
        config.is_unlikely(late, leased)
    }

    /// Ends the guards over services of which nothing is held any more.
    pub(super) fn look_after_guards(&mut self, now: Moment) {
        if self.guards.held.is_empty() || now < self.guards.next_look {
            return;
        }
        self.guards.next_look = now.after(LOOK);
        let services = &self.services;
        let events = &mut self.guards.events;
        self.guards.held.retain(|service, entries| {
            let runs = |entry: &Arc<Entry>| is_current(services, entry);
            if entries
                .iter()
                .any(|entry| runs(entry) && entry.lease.is_held())
            {
                return true;
            }
            let returned = entries.iter().filter(|entry| runs(entry)).count();
            events.push(GuardEvent::Ended {
                service: service.clone(),
                returned,
                lost: entries.len() - returned,
            });
            false
        });
    }
}
