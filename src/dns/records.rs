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

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use super::basis::Basis;
use super::message::ExtendedError;
use super::rr::{RecordType, RrSet, Varies};
use super::subset::Limit;
use super::ttl::Ttl;
use crate::name::{DomainName, MAX_NAME_LEN, NameError};
use crate::registry::view::Member;
use crate::time::Moment;

/// Records among which an equal one is looked for one by one.
const FEW: usize = 16;

/// Instances that records are made of, and what holds for all of them.
pub(super) struct Source<'a> {
    /// The service's TTL.
    pub ttl: Duration,
    /// The instances and how long each may be answered with.
    pub members: Vec<(&'a Member, Duration)>,
    /// The moment they were taken at.
    pub now: Moment,
    /// Most records that a set has, if that is limited.
    pub limit: Option<Limit>,
    /// What there is to say of them; nothing when they're listed.
    pub error: Option<ExtendedError>,
}

/// What making records takes beside instances: random numbers, and a note of
/// how long they hold.
pub(super) struct Maker<'a> {
    /// Draws orders.
    pub rng: &'a mut fastrand::Rng,
    /// Notes how long the records hold.
    pub basis: &'a mut Basis,
}

impl<'a> Source<'a> {
    /// Takes those of `members` that are listed at `now`.
    pub(super) fn listed(
        ttl: Duration,
        members: impl Iterator<Item = &'a Member>,
        now: Moment,
        basis: &mut Basis,
    ) -> Self {
        let members = members
            .filter(|member| member.withdrawn(now).is_none())
            .filter_map(|member| Some((member, member.answers_for(now)?)))
            .collect();
        Self::new(ttl, members, now, basis)
    }

    /// Takes one instance under its own name, where it answers while it leaves, too.
    pub(super) fn own_name(
        ttl: Duration,
        member: &'a Member,
        now: Moment,
        basis: &mut Basis,
    ) -> Self {
        let answered = member.answers_for(now).map(|left| (member, left));
        Self::new(ttl, answered.into_iter().collect(), now, basis)
    }

    /// Takes those of `members` that serve while nobody is listed.
    pub(super) fn unlisted(
        ttl: Duration,
        members: impl Iterator<Item = &'a Member>,
        now: Moment,
        basis: &mut Basis,
    ) -> Self {
        let members = members
            .filter_map(|member| Some((member, member.serves_for(now)?)))
            .collect();
        Self::new(ttl, members, now, basis)
    }

    fn new(
        ttl: Duration,
        members: Vec<(&'a Member, Duration)>,
        now: Moment,
        basis: &mut Basis,
    ) -> Self {
        // Whatever is made of them, it's without the one that ends first from
        // then on; even where that one has no such record and only makes the
        // difference between nothing of the type and nobody at all.
        if let Some(first) = members.iter().map(|(_, left)| *left).min() {
            basis.ttl_holds(now, Ttl::ZERO, first);
        }
        Self {
            ttl,
            members,
            now,
            limit: None,
            error: None,
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
        maker: &mut Maker<'_>,
    ) -> RrSet {
        let of_family = |ip: &IpAddr| ip.is_ipv4() == (rtype == RecordType::A);
        let has_some = |(member, _): &&(&Member, Duration)| member.addresses.iter().any(of_family);
        let weight_counts = self
            .members
            .iter()
            .filter(has_some)
            .any(|(member, _)| member.instance().weight != 0);
        let counts = |member: &Member| !weight_counts || member.instance().weight != 0;
        let of_those = self.members.iter().filter(|(member, _)| counts(member));
        let subset = self.limit.and_then(|limit| {
            let members = of_those.clone().map(|(member, _)| *member);
            limit.addresses(members, of_family)
        });
        if subset.is_some() {
            maker.basis.read_class();
        }
        let of_family = |ip: &IpAddr| {
            let is_chosen = |subset: &HashSet<IpAddr, _>| subset.contains(ip);
            of_family(ip) && subset.as_ref().is_none_or(is_chosen)
        };
        let has_some = |(member, _): &&(&Member, Duration)| member.addresses.iter().any(of_family);
        let drawn = of_those.filter(has_some);
        let ttl = self.ttl_over(drawn.clone().map(|(_, left)| *left), maker.basis);
        let mut set = RrSet::new(owner, rtype, ttl);
        // One draw an instance: its addresses share it, however many they are,
        // and the first of them has the instance's share of first places.
        let alone = self.members.len() == 1;
        let mut keyed: Vec<(f64, u32, IpAddr)> = drawn
            .flat_map(|(member, _)| {
                let weight = member.instance().weight.max(1);
                let key = if alone { 0.0 } else { draw(weight, maker.rng) };
                let addresses = member.addresses.iter().copied().filter(of_family);
                let shares = std::iter::once(u32::from(weight)).chain(std::iter::repeat(0));
                addresses
                    .zip(shares)
                    .map(move |(ip, share)| (key, share, ip))
            })
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let few = keyed.len() <= FEW;
        let many = if few { 0 } else { keyed.len() };
        let mut places: HashMap<IpAddr, usize, Seeded> =
            HashMap::with_capacity_and_hasher(many, Seeded::default());
        let mut shares: Vec<u32> = Vec::with_capacity(keyed.len());
        for (_, share, ip) in keyed {
            let octets: &[u8] = match &ip {
                IpAddr::V4(ip) => &ip.octets(),
                IpAddr::V6(ip) => &ip.octets(),
            };
            let known = match few {
                true => set.iter().position(|known| known == octets),
                false => places.insert(ip, *places.get(&ip).unwrap_or(&shares.len())),
            };
            match known {
                // An address that several have is first for each of them.
                Some(place) => shares[place] += share,
                None => {
                    shares.push(share);
                    set.push_distinct(octets);
                }
            }
        }
        set.varies = Varies::First(shares);
        set
    }

    /// SRV of each instance, with the port that `port` picks. Gives back the
    /// members in the order of their records, for the additional section.
    pub(super) fn srv(
        &self,
        owner: DomainName,
        zone: &DomainName,
        port: impl Fn(&Member) -> u16,
        maker: &mut Maker<'_>,
    ) -> (RrSet, Vec<&'a Member>) {
        let (mut order, ttl) = self.chosen(maker.basis);
        let mut set = RrSet::new(owner, RecordType::SRV, ttl);
        maker.rng.shuffle(&mut order);
        let mut seen: HashSet<Vec<u8>, Seeded> = HashSet::default();
        let (mut rdata, mut name) = (Vec::new(), [0; MAX_NAME_LEN]);
        order.retain(|member| {
            let host = member.host_name();
            let target = match host {
                Some(host) => host.as_wire(),
                None => match zone.write_below(&own_labels(member), &mut name) {
                    Ok(own) => own,
                    Err(_) => return false,
                },
            };
            let instance = member.instance();
            rdata.clear();
            for word in [instance.priority, instance.weight, port(member)] {
                rdata.extend_from_slice(&word.to_be_bytes());
            }
            rdata.extend_from_slice(target);
            // An own name holds the instance's id; the name of a host may be there twice.
            let new = host.is_none() || seen.insert(rdata.clone());
            if new {
                set.push_distinct(&rdata);
            }
            new
        });
        set.varies = Varies::First(vec![1; set.len()]);
        (set, order)
    }

    /// TXT of each instance, one record an instance.
    pub(super) fn txt(&self, owner: DomainName, maker: &mut Maker<'_>) -> RrSet {
        let (mut order, ttl) = self.chosen(maker.basis);
        let mut set = RrSet::new(owner, RecordType::TXT, ttl);
        maker.rng.shuffle(&mut order);
        for member in order {
            // Each holds the instance's id, so no two are equal.
            set.push_distinct(&description(member));
        }
        set.varies = Varies::First(vec![1; set.len()]);
        set
    }

    /// The members that have a record each, and its TTL.
    fn chosen(&self, basis: &mut Basis) -> (Vec<&'a Member>, Ttl) {
        let mut members = self.members.clone();
        if let Some(limit) = self.limit
            && limit.cut(&mut members)
        {
            basis.read_class();
        }
        let ttl = self.ttl_over(members.iter().map(|(_, left)| *left), basis);
        (members.into_iter().map(|(member, _)| member).collect(), ttl)
    }

    fn ttl_over(&self, left: impl Iterator<Item = Duration>, basis: &mut Basis) -> Ttl {
        let first = left.min().unwrap_or(Duration::MAX);
        let ttl = Ttl::from_duration(self.ttl).capped_at(first);
        basis.ttl_holds(self.now, ttl, first);
        ttl
    }
}

/// Hashes by a random seed: what is hashed was registered by anybody.
type Seeded = foldhash::fast::RandomState;

/// `I.S.Z`.
pub(super) fn own_name(member: &Member, zone: &DomainName) -> Result<DomainName, NameError> {
    zone.prepend_all(&own_labels(member))
}

/// `I.S`.
fn own_labels(member: &Member) -> [&[u8]; 2] {
    let instance = member.instance();
    [instance.id.as_str(), instance.service.as_str()].map(str::as_bytes)
}

/// A sort key that puts `weight` in front of others with its share of
/// probability: an exponential draw with that rate. Weight 0 is drawn as 1, among
/// its like only.
fn draw(weight: u16, rng: &mut fastrand::Rng) -> f64 {
    // 1 - [0, 1) is never 0, whose logarithm is infinite.
    -(1.0 - rng.f64()).ln() / f64::from(weight)
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
    for (key, value) in instance.tags.iter() {
        pair(key.as_str(), value.as_str());
    }
    for (key, value) in instance.metadata.iter() {
        pair(key, value);
    }
    rdata
}
