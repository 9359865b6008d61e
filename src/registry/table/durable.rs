//! The table and the disk: what is written of it, how it comes back, and how a batch
//! is undone that can't be written.

use std::sync::Arc;

use super::journal::Step;
use super::{DRAIN_MARGIN, Lease, Member, Table};
use crate::name::{InstanceId, ServiceName};
use crate::registry::log::record::{Known, Record, Restored, Stored};
use crate::registry::log::stored_settings::StoredSettings;
use crate::registry::policy::{MAX_TTL, ServiceSettings};
use crate::registry::view::Entry;
use crate::time::{Clock, Moment};

impl Table {
    /// Takes in what was known when the server last ran. What comes later of the same
    /// id replaces it. What is counted and shown of services waits for
    /// [`begin`](Table::begin), since a million may come.
    pub(in crate::registry) fn restore(&mut self, known: Restored) {
        let Restored {
            mut instance,
            addresses,
            health,
            output,
            report,
            draining,
            drained_at,
            registered,
        } = known;
        let (id, service) = (instance.id.clone(), instance.service.clone());
        if let Some(home) = self.homes.insert(id.clone(), service.clone()) {
            self.take(&home, &id);
        }
        self.set_drained(&id, false);
        if let Some(until) = drained_at {
            self.leaving.insert((until, service.clone(), id));
        }
        let members = self.services.entry(service).or_default();
        if let Some(sibling) = members.last() {
            instance.share_with(sibling.instance());
        }
        self.generation += 1;
        // Nobody reads it until all are there: see `begin`.
        let lease = Lease::grant(instance.term, Moment::default());
        let member = Member {
            addresses,
            health,
            output,
            report,
            draining,
            left: false,
            drained_at,
            entry: Arc::new(Entry::new(instance, lease, self.generation, registered)),
        };
        self.listed += usize::from(member.is_listable());
        members.insert(member);
    }

    /// Takes in that no instance of an id is registered, and whether it's drained.
    pub(in crate::registry) fn restore_gone(&mut self, id: &InstanceId, drained: bool) {
        if let Some(home) = self.homes.remove(id) {
            self.take(&home, id);
        }
        self.set_drained(id, drained);
    }

    /// Begins with what was restored: every lease gets a whole new term, and what
    /// changes from now on is noted for the disk.
    pub(in crate::registry) fn begin(&mut self, now: Moment) -> Vec<Arc<Entry>> {
        // Nobody can hold anything for longer, however the clock was set meanwhile.
        let latest = now.after(MAX_TTL.saturating_add(DRAIN_MARGIN));
        let mut entries = Vec::with_capacity(self.homes.len());
        let leaving = std::mem::take(&mut self.leaving);
        for members in self.services.values_mut() {
            members.each_mut(|member| {
                member.entry.lease.restart(now);
                member.drained_at = member.drained_at.map(|until| until.min(latest));
                entries.push(member.entry.clone());
            });
        }
        for (_, service, id) in leaving {
            let member = self
                .services
                .get(&service)
                .and_then(|all| all.get(id.as_str()));
            if let Some(until) = member.and_then(|member| member.drained_at) {
                self.leaving.insert((until, service, id));
            }
        }
        for entry in &entries {
            self.wheel.file(entry);
        }
        self.touched = self.services.keys().cloned().collect();
        self.touched.extend(self.settings.keys().cloned());
        let with_settings = self.settings.keys();
        self.unmanned = with_settings
            .filter(|service| !self.services.contains_key(*service))
            .count();
        self.begin_former(now);
        self.journal.turn_on();
        entries
    }

    /// The member of that id that is registered.
    pub(in crate::registry) fn registered(&self, id: &InstanceId) -> Option<&Member> {
        self.services.get(self.homes.get(id)?)?.get(id.as_str())
    }

    /// Every member that is registered.
    pub(in crate::registry) fn all_registered(&self) -> impl Iterator<Item = &Member> {
        self.homes.keys().filter_map(|id| self.registered(id))
    }

    /// What operators set of services.
    pub(in crate::registry) fn all_settings(
        &self,
    ) -> impl Iterator<Item = (&ServiceName, &ServiceSettings)> {
        self.settings
            .iter()
            .map(|(service, settings)| (service, &**settings))
    }

    /// Ids that are drained when they come back.
    pub(in crate::registry) fn drained(&self) -> Vec<InstanceId> {
        self.drained.iter().cloned().collect()
    }

    /// Whether something changed that isn't on disk.
    pub(in crate::registry) fn is_unwritten(&self) -> bool {
        !self.journal.concerned().is_empty() || !self.journal.services().is_empty()
    }

    /// Appends the records of what changed since it was last written.
    pub(in crate::registry) fn encode_unwritten(&self, clock: &Clock, out: &mut Vec<u8>) {
        let shown = clock.time_of_day();
        for id in self.journal.concerned() {
            let record = match self.registered(id) {
                Some(member) => Record::Registered(Stored::of(member, &shown)),
                None => Record::Gone {
                    id: id.as_str(),
                    drained: self.drained.contains(id),
                },
            };
            record.encode(out);
        }
        if let Some(ttl) = self.unwritten_ttl() {
            Record::held(None, ttl).encode(out);
        }
        for service in self.journal.services() {
            let settings = self.settings.get(service).unwrap_or(&self.no_settings);
            Record::Settings(StoredSettings::of(service, settings)).encode(out);
        }
    }

    /// Notes that what changed is on disk.
    pub(in crate::registry) fn written(&mut self) {
        self.noted_ttl = self.noted_ttl.max(self.config.ttl);
        self.journal.forget_concerned();
    }

    /// Lets what was done stand, whether it's on disk or not.
    pub(in crate::registry) fn accept(&mut self) {
        self.journal.forget_steps();
    }

    /// Undoes all that was done since the last [`accept`](Table::accept).
    pub(in crate::registry) fn undo(&mut self) {
        let mut steps = self.journal.take_steps();
        // Those whose leases had ended are still there, to end once more.
        self.ended.clear();
        while let Some(step) = steps.pop() {
            match step {
                Step::Put(service, id) => drop(self.take(&service, &id)),
                Step::Took(member) => {
                    if member.entry.lease.has_ended() {
                        self.wheel.file(&member.entry);
                    }
                    self.put(member);
                }
                Step::Swapped(former) => self.swap(former),
                Step::Home(id, before) => drop(self.set_home(&id, before)),
                Step::Settings(service, before) => self.set_settings(&service, before),
                Step::Drained(id, before) => drop(self.set_drained(&id, before)),
            }
        }
        // What undid them needs no undoing.
        self.journal.forget_steps();
    }

    /// Turns a thing that was known into a part of the table; gives back a revision
    /// that is no part of it.
    pub(in crate::registry) fn take_in(&mut self, known: Known) -> Option<u64> {
        self.is_restoring = true;
        match known {
            Known::Registered(restored) => self.restore(*restored),
            Known::Gone(id, drained) => self.restore_gone(&id, drained),
            Known::Settings(service, settings) => {
                let settings = (!settings.is_empty()).then(|| Arc::new(settings));
                self.set_settings(&service, settings);
            }
            Known::Held(service, held) => self.restore_held(service, held),
            Known::Ceiling(revision) => return Some(revision),
        }
        None
    }
}
