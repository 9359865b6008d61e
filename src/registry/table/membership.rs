//! How members come into their services and out of them, with all that's counted and
//! noted on the way: what waits to be published, and what undoes it.

use super::{Member, Table};
use crate::name::{InstanceId, ServiceName};
use crate::registry::instance::Instance;

impl Table {
    /// Takes a member out of its service.
    pub(super) fn take(&mut self, service: &ServiceName, id: &InstanceId) -> Option<Member> {
        let members = self.services.get_mut(service)?;
        let member = members.remove(id)?;
        if members.is_empty() {
            self.services.remove(service);
            self.unmanned += usize::from(self.settings.contains_key(service));
        }
        self.count_out(&member);
        self.journal.took(&member);
        Some(member)
    }

    /// Puts a member into its service.
    pub(super) fn put(&mut self, member: Member) {
        self.count_in(&member);
        self.journal.put(&member);
        let service = member.instance().service.clone();
        let has_settings = self.settings.contains_key(&service);
        let members = self.services.entry(service).or_default();
        self.unmanned -= usize::from(members.is_empty() && has_settings);
        members.insert(member);
    }

    /// Puts a member in the place of the one with its id and service.
    pub(super) fn swap(&mut self, member: Member) {
        let members = self.services.get_mut(&member.instance().service);
        if let Some(former) = members.and_then(|members| members.insert(member.clone())) {
            self.count_out(&former);
            self.count_in(&member);
            self.journal.swapped(former);
        }
    }

    /// Takes note of a member that comes into its service.
    fn count_in(&mut self, member: &Member) {
        let Instance { id, service, .. } = member.instance();
        if let Some(drained_at) = member.drained_at {
            self.leaving
                .insert((drained_at, service.clone(), id.clone()));
        }
        self.left += usize::from(member.left);
        self.listed += usize::from(member.is_listable());
        self.touch(service);
    }

    /// Takes note of a member that's no more in its service.
    fn count_out(&mut self, member: &Member) {
        let Instance { id, service, .. } = member.instance();
        if let Some(drained_at) = member.drained_at {
            self.leaving
                .remove(&(drained_at, service.clone(), id.clone()));
        }
        self.left -= usize::from(member.left);
        self.listed -= usize::from(member.is_listable());
        self.touch(service);
    }

    /// Has a service published.
    fn touch(&mut self, service: &ServiceName) {
        if !self.touched.contains(service) {
            self.touched.insert(service.clone());
        }
    }

    /// Notes under which service an id is registered; gives back the one before.
    pub(super) fn set_home(
        &mut self,
        id: &InstanceId,
        home: Option<ServiceName>,
    ) -> Option<ServiceName> {
        let before = match home {
            Some(home) => self.homes.insert(id.clone(), home),
            None => self.homes.remove(id),
        };
        self.journal.set_home(id, &before);
        before
    }

    /// Notes whether an id without a registration is drained; says whether it was.
    pub(super) fn set_drained(&mut self, id: &InstanceId, drained: bool) -> bool {
        let before = match drained {
            true => !self.drained.insert(id.clone()),
            false => !self.drained.is_empty() && self.drained.remove(id),
        };
        if before != drained {
            self.journal.set_drained(id, before);
        }
        before
    }
}
