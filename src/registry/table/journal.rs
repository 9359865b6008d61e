//! What was done to the table since the last state that's on disk: each step, so that
//! it can be undone when the disk refuses it, and whom it concerned, so that it can be
//! written.
//!
//! Off until it's turned on: a registry that keeps nothing pays nothing. Whom it
//! concerned is bounded by the ids there are; the steps by a batch of commands.

use std::sync::Arc;

use super::{HashSet, Member, ServiceName, ServiceSettings};
use crate::name::InstanceId;

/// One step, with what undoes it.
#[derive(Debug)]
pub(super) enum Step {
    /// A member was put into a service.
    Put(ServiceName, InstanceId),
    /// A member was taken out of its service.
    Took(Member),
    /// It was in the place of one that was put there.
    Swapped(Member),
    /// An id was registered elsewhere before, or nowhere.
    Home(InstanceId, Option<ServiceName>),
    /// An id was drained without being registered, or not.
    Drained(InstanceId, bool),
    /// A service had other settings, or none.
    Settings(ServiceName, Option<Arc<ServiceSettings>>),
}

/// Steps, and whom they concerned.
#[derive(Debug, Default)]
pub(super) struct Journal {
    is_on: bool,
    steps: Vec<Step>,
    concerned: HashSet<InstanceId>,
    /// Services whose settings it concerned.
    services: HashSet<ServiceName>,
}

impl Journal {
    /// Begins to note steps.
    pub(super) fn turn_on(&mut self) {
        self.is_on = true;
    }

    /// A member is about to be put into its service.
    pub(super) fn put(&mut self, member: &Member) {
        if self.is_on {
            let instance = member.instance();
            let (service, id) = (instance.service.clone(), instance.id.clone());
            self.note(id.clone(), Step::Put(service, id));
        }
    }

    /// A member was taken out of its service.
    pub(super) fn took(&mut self, member: &Member) {
        if self.is_on {
            self.note(member.instance().id.clone(), Step::Took(member.clone()));
        }
    }

    /// A member was in the place of one that was put there.
    pub(super) fn swapped(&mut self, former: Member) {
        if self.is_on {
            self.note(former.instance().id.clone(), Step::Swapped(former));
        }
    }

    /// An id was registered under `before`.
    pub(super) fn set_home(&mut self, id: &InstanceId, before: &Option<ServiceName>) {
        if self.is_on {
            self.note(id.clone(), Step::Home(id.clone(), before.clone()));
        }
    }

    /// An id was `before` drained.
    pub(super) fn set_drained(&mut self, id: &InstanceId, before: bool) {
        if self.is_on {
            self.note(id.clone(), Step::Drained(id.clone(), before));
        }
    }

    /// A service had the settings `before`.
    pub(super) fn set_settings(
        &mut self,
        service: &ServiceName,
        before: &Option<Arc<ServiceSettings>>,
    ) {
        if self.is_on {
            self.services.insert(service.clone());
            self.steps
                .push(Step::Settings(service.clone(), before.clone()));
        }
    }

    fn note(&mut self, id: InstanceId, step: Step) {
        self.concerned.insert(id);
        self.steps.push(step);
    }

    /// Takes the steps, the first of them first.
    pub(super) fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// Lets go of the steps: they stand.
    pub(super) fn forget_steps(&mut self) {
        self.steps.clear();
    }

    /// Whom something concerned that may not be on disk.
    pub(super) fn concerned(&self) -> &HashSet<InstanceId> {
        &self.concerned
    }

    /// Services whose settings changed, which may not be on disk.
    pub(super) fn services(&self) -> &HashSet<ServiceName> {
        &self.services
    }

    /// Notes that what concerned all of them is on disk.
    pub(super) fn forget_concerned(&mut self) {
        self.services = HashSet::default();
        // What a large batch needed isn't kept.
        self.concerned = HashSet::default();
    }
}
