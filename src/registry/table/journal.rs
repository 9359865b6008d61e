//! What was done to the table since the last state that's on disk: each step, so that
//! it can be undone when the disk refuses it, and whom it concerned, so that it can be
//! written.
//!
//! Off until it's turned on: a registry that keeps nothing pays nothing. Whom it
//! concerned is bounded by twice the ids there are and [`SLACK`]; the steps by a batch of
//! commands.

use std::sync::Arc;

use super::{HashSet, Member, ServiceName, ServiceSettings};
use crate::name::InstanceId;

/// Ids that may be noted more than once before anybody counts.
const SLACK: usize = 4096;

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
    concerned: Concerned,
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
        self.concerned.note(id);
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
    pub(super) fn concerned(&self) -> &[InstanceId] {
        &self.concerned.ids
    }

    /// Services whose settings changed, which may not be on disk.
    pub(super) fn services(&self) -> &HashSet<ServiceName> {
        &self.services
    }

    /// Notes that what concerned all of them is on disk.
    pub(super) fn forget_concerned(&mut self) {
        self.services = HashSet::default();
        self.concerned.forget();
    }
}

/// Ids in the order in which they came, which is that in which they lie in memory;
/// seldom one twice.
#[derive(Debug, Default)]
struct Concerned {
    ids: Vec<InstanceId>,
    /// How many there were when each was there once.
    distinct: usize,
}

impl Concerned {
    fn note(&mut self, id: InstanceId) {
        if self.ids.last() == Some(&id) {
            return;
        }
        self.ids.push(id);
        // While the disk refuses them the same ones come again and again.
        if 2 * self.distinct + SLACK < self.ids.len() {
            self.ids.sort_unstable();
            self.ids.dedup();
            self.distinct = self.ids.len();
        }
    }

    fn forget(&mut self) {
        self.distinct = 0;
        self.ids.clear();
        // What a large batch needed isn't kept.
        self.ids.shrink_to(SLACK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_it_concerned_has_a_bound() {
        let mut concerned = Concerned::default();
        let id = |n: usize| format!("i{n}").parse::<InstanceId>().unwrap();
        for n in 0..100 * SLACK {
            concerned.note(id(n % 10));
            assert!(concerned.ids.len() <= 2 * 10 + SLACK);
        }
        for n in 0..10 {
            assert!(concerned.ids.contains(&id(n)));
        }
        concerned.forget();
        assert!(concerned.ids.is_empty());
    }
}
