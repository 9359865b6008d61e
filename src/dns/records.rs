//! Records made of instances.
//!
//! Every RRset here has one TTL: the service's, cut to end no later than the
//! first lease among the instances in it (promise 2). Equal rdata is one record.
//!
//! A and AAAA come in weighted random order, each instance first with a
//! probability that is its share of the weights; SRV comes in random order with
//! the weights as registered, for the client to draw by ([RFC 2782]).
//!
//! [RFC 2782]: https://www.rfc-editor.org/rfc/rfc2782

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use super::rr::{RecordType, RrSet};
use super::ttl::Ttl;
use crate::name::{DomainName, NameError};
use crate::registry::view::Member;
use crate::time::Moment;

/// Instances that records are made of, and what holds for all of them.
pub(super) struct Source<'a> {
    /// The service's TTL.
    pub ttl: Duration,
    /// The instances and how long each may be answered with.
    pub members: Vec<(&'a Member, Duration)>,
}

impl<'a> Source<'a> {
    /// Takes those of `members` that are listed at `now`.
    pub(super) fn listed(
        ttl: Duration,
        members: impl Iterator<Item = &'a Member>,
        now: Moment,
    ) -> Self {
        let members = members
            .filter(|member| member.withdrawn(now).is_none())
            .filter_map(|member| Some((member, member.answers_for(now)?)))
            .collect();
        Self { ttl, members }
    }

    /// Takes one instance under its own name, where it answers while it leaves, too.
    pub(super) fn own_name(ttl: Duration, member: &'a Member, now: Moment) -> Self {
        let answered = member.answers_for(now).map(|left| (member, left));
        Self {
            ttl,
            members: answered.into_iter().collect(),
        }
    }

    /// Whether there is nobody to answer with.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The addresses of one family, drawn by weight. Those of weight 0 are left
    /// out unless there are no others.
    pub(super) fn addresses(
        &self,
        owner: DomainName,
        rtype: RecordType,
        rng: &mut fastrand::Rng,
    ) -> RrSet {
        let of_family = |(member, left): &(&'a Member, Duration)| {
            let addresses: Vec<IpAddr> = member
                .addresses
                .iter()
                .copied()
                .filter(|ip| ip.is_ipv4() == (rtype == RecordType::A))
                .collect();
            (!addresses.is_empty()).then_some((member.instance().weight, addresses, *left))
        };
        let mut drawn: Vec<_> = self.members.iter().filter_map(of_family).collect();
        if drawn.iter().any(|(weight, ..)| *weight != 0) {
            drawn.retain(|(weight, ..)| *weight != 0);
        }
        let mut set = RrSet::new(
            owner,
            rtype,
            self.ttl_over(drawn.iter().map(|(.., left)| *left)),
        );
        // One draw an instance: its addresses share it, however many they are.
        let mut keyed: Vec<(f64, IpAddr)> = drawn
            .into_iter()
            .flat_map(|(weight, addresses, _)| {
                let key = draw(weight, rng);
                addresses.into_iter().map(move |ip| (key, ip))
            })
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut seen = HashSet::with_capacity_and_hasher(keyed.len(), Seeded::default());
        for (_, ip) in keyed {
            if seen.insert(ip) {
                match ip {
                    IpAddr::V4(ip) => set.push_distinct(&ip.octets()),
                    IpAddr::V6(ip) => set.push_distinct(&ip.octets()),
                }
            }
        }
        set
    }

    /// SRV of each instance, with the port that `port` picks. Gives back the
    /// members in the order of their records, for the additional section.
    pub(super) fn srv(
        &self,
        owner: DomainName,
        zone: &DomainName,
        port: impl Fn(&Member) -> u16,
        rng: &mut fastrand::Rng,
    ) -> (RrSet, Vec<&'a Member>) {
        let mut set = RrSet::new(owner, RecordType::SRV, self.ttl_of_all());
        let mut order: Vec<&'a Member> = self.members.iter().map(|(member, _)| *member).collect();
        rng.shuffle(&mut order);
        let mut seen = HashSet::with_capacity_and_hasher(order.len(), Seeded::default());
        order.retain(|member| {
            let Ok(target) = target(member, zone) else {
                return false;
            };
            let instance = member.instance();
            let mut rdata = Vec::with_capacity(6 + target.as_wire().len());
            for word in [instance.priority, instance.weight, port(member)] {
                rdata.extend_from_slice(&word.to_be_bytes());
            }
            rdata.extend_from_slice(target.as_wire());
            let new = !seen.contains(&rdata);
            if new {
                set.push_distinct(&rdata);
                seen.insert(rdata);
            }
            new
        });
        (set, order)
    }

    /// TXT of each instance, one record an instance.
    pub(super) fn txt(&self, owner: DomainName, rng: &mut fastrand::Rng) -> RrSet {
        let mut set = RrSet::new(owner, RecordType::TXT, self.ttl_of_all());
        let mut order: Vec<&Member> = self.members.iter().map(|(member, _)| *member).collect();
        rng.shuffle(&mut order);
        for member in order {
            // Each holds the instance's id, so no two are equal.
            set.push_distinct(&description(member));
        }
        set
    }

    fn ttl_of_all(&self) -> Ttl {
        self.ttl_over(self.members.iter().map(|(_, left)| *left))
    }

    fn ttl_over(&self, left: impl Iterator<Item = Duration>) -> Ttl {
        left.fold(Ttl::from_duration(self.ttl), Ttl::capped_at)
    }
}

/// Hashes by a random seed: what is hashed was registered by anybody.
type Seeded = foldhash::fast::RandomState;

/// The name that an instance's SRV points at: its own, or its host's.
pub(super) fn target(member: &Member, zone: &DomainName) -> Result<DomainName, NameError> {
    match member.host_name() {
        Some(name) => Ok(name.clone()),
        None => own_name(member, zone),
    }
}

/// `I.S.Z`.
pub(super) fn own_name(member: &Member, zone: &DomainName) -> Result<DomainName, NameError> {
    let instance = member.instance();
    zone.prepend(instance.service.as_str().as_bytes())?
        .prepend(instance.id.as_str().as_bytes())
}

/// A sort key that puts `weight` in front of others with its share of
/// probability: an exponential draw with that rate. Weight 0 counts as 1, since
/// it's only drawn among its like.
fn draw(weight: u16, rng: &mut fastrand::Rng) -> f64 {
    // 1 - [0, 1) is never 0, whose logarithm is infinite.
    -(1.0 - rng.f64()).ln() / f64::from(weight.max(1))
}

/// The TXT rdata of an instance: `id`, `version`, `protocol`, then tags, then
/// metadata, each `key=value` in a string of its own
/// ([RFC 6763](https://www.rfc-editor.org/rfc/rfc6763) §6).
fn description(member: &Member) -> Vec<u8> {
    let instance = member.instance();
    let mut rdata = Vec::with_capacity(128);
    let mut pair = |key: &str, value: &str| {
        // Registration refuses longer pairs, so nothing is ever cut here.
        let len = (key.len() + 1 + value.len()).min(255);
        rdata.push(len as u8);
        rdata.extend(key.bytes().chain([b'=']).chain(value.bytes()).take(len));
    };
    pair("id", instance.id.as_str());
    if let Some(version) = &instance.version {
        pair("version", version);
    }
    pair("protocol", instance.protocol.as_str());
    for (key, value) in &instance.tags {
        pair(key.as_str(), value.as_str());
    }
    for (key, value) in &instance.metadata {
        pair(key, value);
    }
    rdata
}
