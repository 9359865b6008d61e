//! From keys to groups of those that share them, by how they stand.
//!
//! A service shares its kinds with other services, an instance its addresses with
//! other instances. Readers get a [`Group`] without waiting; one writer changes
//! them. A set of few is a slice that is swapped whole; a set of many is a
//! concurrent map, so that neither a key for every instance nor a million under
//! one key costs more memory or time than it must.
//!
//! Invariant: a key is there for as long as somebody stands under it, however
//! often those change how they stand.

use std::hash::Hash;
use std::ops::ControlFlow;
use std::sync::Arc;

use papaya::HashMap;

/// Most members of a set that is a slice: copying so many is cheap, and a map of
/// its own, of some 1500 octets, is then dear by comparison.
const FEW: usize = 32;

/// How somebody stands under a key, the best first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    /// Listed for as long as its lease runs.
    Listable,
    /// Registered, but not listed.
    Withdrawn,
    /// Deregistered, while its own name still answers.
    Left,
}

impl Standing {
    /// Every way to stand, the best first.
    pub const ALL: [Self; 3] = [Self::Listable, Self::Withdrawn, Self::Left];
}

/// Groups by key.
#[derive(Debug)]
pub(super) struct Groups<K: Eq + Hash, V: Eq + Hash> {
    groups: HashMap<K, Arc<Group<V>>, Seeded>,
}

/// Hashes come from a random seed: keys and members are an attacker's choice.
type Seeded = foldhash::quality::RandomState;

/// Those who stand under one key.
#[derive(Clone, Debug)]
pub struct Group<V: Eq + Hash>([Set<V>; Standing::ALL.len()]);

#[derive(Clone, Debug)]
enum Set<V: Eq + Hash> {
    /// At most [`FEW`].
    Few(Box<[V]>),
    /// Shared by all versions of the group.
    Many(Arc<HashMap<V, (), Seeded>>),
}

impl<K: Eq + Hash, V: Eq + Hash> Default for Groups<K, V> {
    fn default() -> Self {
        Self {
            groups: HashMap::default(),
        }
    }
}

impl<K: Eq + Hash, V: Clone + Eq + Hash> Groups<K, V> {
    /// Those who stand under `key`.
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<Group<V>>>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.groups.pin().get(key).cloned()
    }

    /// Shows each key with its group, in no order, until told to stop.
    pub(super) fn each(&self, show: &mut dyn FnMut(&K, &Group<V>) -> ControlFlow<()>) {
        for (key, group) in &self.groups.pin() {
            if show(key, group).is_break() {
                return;
            }
        }
    }

    /// Notes that `member` now stands under `key` as `to`, and no more as `from`.
    pub(super) fn change(&self, key: K, member: &V, from: Option<Standing>, to: Option<Standing>) {
        let groups = self.groups.pin();
        let mut group = groups
            .get(&key)
            .map_or_else(Group::default, |known| Group::clone(known));
        if let Some(to) = to {
            group.0[to as usize].insert(member);
        }
        if let Some(from) = from {
            group.0[from as usize].remove(member);
        }
        match group.0.iter().all(Set::is_empty) {
            true => groups.remove(&key),
            false => groups.insert(key, Arc::new(group)),
        };
    }
}

impl<V: Eq + Hash> Default for Group<V> {
    fn default() -> Self {
        Self(Standing::ALL.map(|_| Set::Few(Box::default())))
    }
}

impl<V: Clone + Eq + Hash> Group<V> {
    /// Whether somebody stands so.
    pub fn has(&self, standing: Standing) -> bool {
        !self.0[standing as usize].is_empty()
    }

    /// Shows those who stand so, in no order, until told to stop. It's the same
    /// order again for as long as nobody comes or goes.
    pub fn each(&self, standing: Standing, show: &mut dyn FnMut(&V) -> ControlFlow<()>) {
        match &self.0[standing as usize] {
            Set::Few(members) => {
                let _ = members.iter().try_for_each(show);
            }
            Set::Many(members) => {
                let _ = members.pin().keys().try_for_each(show);
            }
        }
    }
}

impl<V: Clone + Eq + Hash> Set<V> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Few(members) => members.is_empty(),
            Self::Many(members) => members.is_empty(),
        }
    }

    fn insert(&mut self, member: &V) {
        match self {
            Self::Few(members) if members.contains(member) => {}
            Self::Few(members) if members.len() < FEW => {
                *members = members.iter().chain([member]).cloned().collect();
            }
            Self::Few(members) => {
                let all = members.iter().chain([member]);
                let all = all.map(|member| (member.clone(), ())).collect();
                *self = Self::Many(Arc::new(all));
            }
            Self::Many(members) => {
                members.pin().insert(member.clone(), ());
            }
        }
    }

    fn remove(&mut self, member: &V) {
        match self {
            Self::Few(members) => {
                *members = members
                    .iter()
                    .filter(|one| *one != member)
                    .cloned()
                    .collect();
            }
            Self::Many(members) => {
                members.pin().remove(member);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn standing(number: u8) -> Option<Standing> {
        Standing::ALL.get(usize::from(number)).copied()
    }

    proptest! {
        /// Groups are what a map of who stands where says, however many there are.
        #[test]
        fn groups_are_what_was_put(changes in prop::collection::vec((0u8..2, 0u8..100, 0u8..4), 0..400)) {
            let groups: Groups<u8, u8> = Groups::default();
            let mut known: BTreeMap<(u8, u8), Standing> = BTreeMap::new();
            for (key, member, to) in changes {
                let to = standing(to);
                let from = match to {
                    Some(to) => known.insert((key, member), to),
                    None => known.remove(&(key, member)),
                };
                if from != to {
                    groups.change(key, &member, from, to);
                }
            }
            for key in 0..2 {
                let group = groups.get(&key);
                prop_assert_eq!(group.is_some(), known.keys().any(|known| known.0 == key));
                for standing in Standing::ALL {
                    let mut shown = Vec::new();
                    if let Some(group) = &group {
                        group.each(standing, &mut |member| {
                            shown.push(*member);
                            ControlFlow::Continue(())
                        });
                        prop_assert_eq!(group.has(standing), !shown.is_empty());
                    }
                    shown.sort_unstable();
                    let expected: Vec<u8> = known
                        .iter()
                        .filter(|(known, to)| known.0 == key && **to == standing)
                        .map(|(known, _)| known.1)
                        .collect();
                    prop_assert_eq!(shown, expected);
                }
            }
        }
    }
}
