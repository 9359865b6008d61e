//! The ends of leases and of clean leaves, as they come.

use std::sync::Arc;

use super::Table;
use crate::name::InstanceId;
use crate::registry::view::Entry;
use crate::time::Moment;

impl Table {
    /// Removes the instances whose leases have ended, and ends clean leaves that
    /// are over; gives back the registrations that ended.
    pub fn expire(&mut self, now: Moment) -> Vec<Arc<Entry>> {
        self.look_ahead(now);
        for entry in self.wheel.fire_over(now) {
            let is_renewed =
                self.is_current(&entry) && self.expire_one(&entry.instance.id, now).is_some();
            if is_renewed {
                self.wheel.file(&entry);
            }
        }
        self.look_after_guards(now);
        while self
            .leaving
            .first()
            .is_some_and(|(until, ..)| *until <= now)
        {
            let Some((_, service, id)) = self.leaving.pop_first() else {
                break;
            };
            let over = self
                .services
                .get(&service)
                .and_then(|all| all.get(id.as_str()));
            if over.is_some_and(|member| member.left) {
                self.take(&service, &id);
            } else {
                self.touched.insert(service);
            }
        }
        std::mem::take(&mut self.ended)
    }

    /// Removes an instance if its lease has ended; if not, says when it ends.
    pub(super) fn expire_one(&mut self, id: &InstanceId, now: Moment) -> Option<Moment> {
        let home = self.homes.get(id)?.clone();
        let lease = &self.services.get(&home)?.get(id.as_str())?.entry.lease;
        if !lease.expire(now) {
            return lease.ends();
        }
        self.set_home(id, None);
        if let Some(member) = self.take(&home, id) {
            if member.draining && self.drained.len() < self.config.max_instances {
                self.set_drained(id, true);
            }
            self.ended.push(member.entry);
        }
        None
    }
}
