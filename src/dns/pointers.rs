//! PTR records that lead to instances, whatever services they belong to.
//!
//! Who may be in such an RRset is found by the registry's index; who is, when it's
//! answered, by the views as everywhere. Its TTL is the least of those services'
//! TTLs, cut to end no later than the first lease among the instances in it
//! (promise 2).
//!
//! The work for a question has bounds. An RRset has at most [`MAX_POINTERS`]
//! records: a record takes 24 octets or more, so a message of 65 535 octets has
//! no room for as many, and the composer sets TC (promise 4). Which ones those
//! are stays the same while the registry does. At most [`MAX_LOOKED_AT`] services
//! or instances are looked at. The index has all of them as listable, so more are
//! needed only while very many leases have just ended that the registry is about to
//! withdraw; then the answer is SERVFAIL, since one without the others would be
//! cut silently. Looking at a service is looking through its members, as it is for
//! its own name.

use std::hash::Hash;
use std::ops::ControlFlow;
use std::time::Duration;

use super::discovery::{Registered, nobody};
use super::rr::{RecordType, RrSet, Varies};
use super::step::Step;
use super::ttl::Ttl;
use crate::name::{DomainName, NameError};
use crate::registry::groups::{Group, Standing};
use crate::registry::view::{Member, ServiceView};

/// Most records of one RRset: more than a message can hold.
pub(super) const MAX_POINTERS: usize = 4096;

/// Most services or instances that are looked at for one answer.
const MAX_LOOKED_AT: usize = 10_000;

/// Most members by whom it's told why nobody is listed.
const MAX_TALLIED: usize = 10_000;

/// Shown members of a group, one after the other, with their service.
type Show<'s> = dyn FnMut(&ServiceView, &Member) -> ControlFlow<()> + 's;

/// A name whose PTR records lead to a group's instances.
pub(super) struct Pointing<'a, V: Eq + Hash> {
    /// The name, lower case.
    pub owner: &'a DomainName,
    /// Who may be in it.
    pub group: &'a Group<V>,
    /// Shows the members that one of the group stands for, until told to stop.
    pub members: &'a dyn Fn(&V, &mut Show<'_>) -> ControlFlow<()>,
    /// What a record says of a member. One without room for its name has none.
    pub target: &'a dyn Fn(&Member) -> Result<DomainName, NameError>,
}

impl Registered<'_> {
    /// Records at a name whose PTR records lead to instances.
    pub(super) fn pointers<V>(&mut self, name: &Pointing<'_, V>, qtype: RecordType) -> Step<'static>
    where
        V: Clone + Eq + Hash,
    {
        // Whoever is registered next may be in it, or make somebody's view appear.
        self.basis.read_all();
        // For other types it's enough to know that there's somebody.
        let limit = match qtype {
            RecordType::PTR => MAX_POINTERS,
            _ => 1,
        };
        let (mut looked_at, mut targets) = (0, Vec::new());
        let (mut ttl, mut left) = (Duration::MAX, Duration::MAX);
        let now = self.now;
        name.group.each(Standing::Listable, &mut |one| {
            looked_at += 1;
            if looked_at > MAX_LOOKED_AT {
                return ControlFlow::Break(());
            }
            (name.members)(one, &mut |view, member| {
                let listed = member.withdrawn(now).is_none();
                if let Some(remains) = member.answers_for(now).filter(|_| listed)
                    && let Ok(target) = (name.target)(member)
                {
                    targets.push(target);
                    (ttl, left) = (ttl.min(view.ttl), left.min(remains));
                }
                match targets.len() < limit {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })
        });
        if targets.len() < limit && looked_at > MAX_LOOKED_AT {
            return Step::Failed("too many leases have just ended; ask again");
        }
        if targets.is_empty() {
            return self.nobody_there(name);
        }
        if qtype != RecordType::PTR {
            self.basis.ttl_holds(now, Ttl::ZERO, left);
            return match qtype {
                RecordType::ANY => Step::any(name.owner, Ttl::from_duration(ttl)),
                _ => Step::no_data(),
            };
        }
        let ttl = Ttl::from_duration(ttl).capped_at(left);
        self.basis.ttl_holds(now, ttl, left);
        // One that moves between services may have been met in both.
        targets.sort_unstable();
        targets.dedup();
        Step::record_set(pointer_set(name.owner, ttl, &targets))
    }

    /// NODATA, with the reason why nobody is listed unless there are too many.
    fn nobody_there<V>(&mut self, name: &Pointing<'_, V>) -> Step<'static>
    where
        V: Clone + Eq + Hash,
    {
        let mut members = Vec::new();
        for standing in Standing::ALL {
            name.group.each(standing, &mut |one| {
                (name.members)(one, &mut |_, member| {
                    members.push(member.clone());
                    match members.len() <= MAX_TALLIED {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                })
            });
        }
        // A service may stand under one key with some of its members, and is shown
        // with all; it stands there once, so nobody is counted twice.
        match members.len() > MAX_TALLIED {
            true => Step::no_data(),
            false => nobody(self.negative_ttl, members.iter(), self.now, self.basis),
        }
    }
}

/// PTR records that lead to `targets`, each of which is there once.
pub(super) fn pointer_set(owner: &DomainName, ttl: Ttl, targets: &[DomainName]) -> RrSet {
    let mut set = RrSet::new(owner.clone(), RecordType::PTR, ttl);
    for target in targets {
        set.push_distinct(target.as_wire());
    }
    set.varies = Varies::First(vec![1; set.len()]);
    set
}
