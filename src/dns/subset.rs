//! Which records of a service a class of clients has, where a policy has a limit
//! of answers (`max_answers`, promise 4).
//!
//! Each class ranks the instances by a hash of its own and has the first ones. So
//! its subset stays the same while they do, an instance that comes or goes moves no
//! other one's rank, and over all clients each instance is in somebody's subset.
//! Instances of a lower priority value rank before others, as clients want to try
//! them first (RFC 2782), and those of weight 0 after all of their priority.
//!
//! A, AAAA, SRV and TXT are chosen by the same ranks, so that they tell of the same
//! instances as far as those have such records.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use super::compose::ClientClass;
use crate::registry::view::Member;

/// How many records a class of clients has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// Most records of a set, at least 1.
    pub most: usize,
    /// The class.
    pub class: ClientClass,
}

/// Where an instance ranks; the first is the least.
type Rank = (u16, bool, u64);

/// Hashes by a random seed: addresses were registered by anybody.
type Seeded = foldhash::fast::RandomState;

impl Limit {
    /// Leaves the first of `members`; says whether others had to go.
    pub(super) fn cut(self, members: &mut Vec<(&Member, Duration)>) -> bool {
        if members.len() <= self.most {
            return false;
        }
        members.select_nth_unstable_by_key(self.most, |(member, _)| self.rank(member));
        members.truncate(self.most);
        true
    }

    /// The first addresses of `members` among those that `counts` lets through;
    /// `None` when that is all of them.
    pub(super) fn addresses<'m>(
        self,
        members: impl Iterator<Item = &'m Member> + Clone,
        counts: impl Fn(&IpAddr) -> bool,
    ) -> Option<HashSet<IpAddr, Seeded>> {
        let all = members.clone().flat_map(|member| member.addresses.iter());
        if all.filter(|ip| counts(ip)).take(self.most + 1).count() <= self.most {
            return None;
        }
        let mut ranked: Vec<(Rank, u64, IpAddr)> = members
            .flat_map(|member| {
                let rank = self.rank(member);
                let addresses = member.addresses.iter().filter(|ip| counts(ip));
                // One that has several isn't known by the first of them alone.
                addresses.map(move |ip| (rank, self.hash(ip), *ip))
            })
            .collect();
        ranked.sort_unstable();
        let mut chosen = HashSet::default();
        for (_, _, ip) in ranked {
            if chosen.len() == self.most && !chosen.contains(&ip) {
                return Some(chosen);
            }
            chosen.insert(ip);
        }
        None
    }

    fn rank(self, member: &Member) -> Rank {
        let instance = member.instance();
        let hash = self.hash(instance.id.as_str());
        (instance.priority, instance.weight == 0, hash)
    }

    /// The same in every server and forever.
    fn hash(self, value: impl std::hash::Hash) -> u64 {
        foldhash::quality::FixedState::default().hash_one((self.class, value))
    }
}

#[cfg(test)]
#[path = "subset_tests.rs"]
mod tests;
