//! From a question to its [`Outcome`]: [RFC 1034] §4.3.2.
//!
//! Pure but for what it is handed: zones, the registry's directory, the moment
//! and a source of random numbers. One loop follows aliases from zone to zone;
//! what each zone says of a name is a [`Step`].
//!
//! [RFC 1034]: https://www.rfc-editor.org/rfc/rfc1034

use std::borrow::Cow;
use std::collections::HashSet;

use super::basis::Basis;
use super::compose::ClientClass;
use super::discovery::Registered;
use super::message::{ExtendedError, Rcode};
use super::outcome::{Outcome, RrSets};
use super::rr::{RecordType, RrSet};
use super::step::Step;
use super::target::{folded, target_wire};
use super::ttl::Ttl;
use super::zone::{Lookup, Zone};
use super::zones::{Closest, DiscoveryZone, Zones};
use crate::name::{DomainName, Labels};
use crate::registry::directory::Directory;
use crate::time::Moment;

/// Most aliases that one answer follows. Those of one server seldom need two.
const MAX_ALIASES: usize = 16;

/// Most targets whose addresses are added, so that one question's work has a bound.
const MAX_TARGETS: usize = 64;

/// What questions are answered from.
pub(super) struct Resolver<'z, 'a> {
    /// Static zones, the discovery zone and reverse zones.
    pub zones: &'z Zones,
    /// What is registered.
    pub directory: &'a Directory,
    /// The moment of the question.
    pub now: Moment,
    /// The client's class.
    pub class: ClientClass,
    /// Draws the order of records.
    pub rng: &'a mut fastrand::Rng,
    /// Notes what the answer is made from.
    pub basis: &'a mut Basis,
}

/// Answers the question for `qname`, in wire form and lower case, and `qtype`.
pub(super) fn resolve<'z>(
    mut resolver: Resolver<'z, '_>,
    qname: &[u8],
    qtype: RecordType,
) -> Outcome<'z> {
    let mut aliases: RrSets<'z> = Vec::new();
    let mut seen: Vec<DomainName> = Vec::new();
    let Ok(mut name) = DomainName::from_wire(qname) else {
        return Outcome::Refused {
            rcode: Rcode::FORMERR,
            error: None,
        };
    };
    loop {
        let Some(zone) = resolver.zones.closest(name.as_wire(), qtype) else {
            if aliases.is_empty() {
                let text = "the name is in no zone of this server";
                let code = ExtendedError::NOT_AUTHORITATIVE;
                return Outcome::refused(Rcode::REFUSED, code, text);
            }
            // The rest of the chain is another server's to tell.
            return Outcome::aliases(aliases);
        };
        if !matches!(zone, Closest::Static(_)) && !resolver.directory.is_loaded() {
            // Nothing can be said yet of what was registered before a restart.
            let text = "the registry is being loaded";
            return Outcome::refused(Rcode::SERVFAIL, ExtendedError::NOT_READY, text);
        }
        match resolver.step(zone, &name, qtype) {
            Step::Alias { sets, target } => {
                append(&mut aliases, sets);
                seen.push(name);
                let target = target.folded();
                if seen.contains(&target) || seen.len() > MAX_ALIASES {
                    return Outcome::aliases(aliases);
                }
                name = target;
            }
            last => return resolver.finish(zone, aliases, last),
        }
    }
}

impl<'z> Resolver<'z, '_> {
    /// What `zone` says of `name`.
    fn step(&mut self, zone: Closest<'z>, name: &DomainName, qtype: RecordType) -> Step<'z> {
        match zone {
            Closest::Static(zone) => static_step(zone, name, qtype, self.basis),
            Closest::Discovery(zone) => self.discovery_step(zone, name, qtype),
            Closest::Reverse(zone) => {
                let mut registered = self.registered(zone.services(), zone.negative_ttl);
                zone.lookup(&mut registered, name, qtype)
            }
        }
    }

    /// Static names first: no registration may stand beside one. Then what is
    /// registered; then static wildcards, which what is registered blocks
    /// ([RFC 4592](https://www.rfc-editor.org/rfc/rfc4592) §2.2.1).
    fn discovery_step(
        &mut self,
        zone: &'z DiscoveryZone,
        name: &DomainName,
        qtype: RecordType,
    ) -> Step<'z> {
        if *name == zone.origin {
            return self.apex_step(zone, qtype);
        }
        let fixed = zone
            .statics
            .iter()
            .find(|statics| statics.contains(name.as_wire()));
        if let Some(statics) = fixed {
            return static_step(statics, name, qtype, self.basis);
        }
        let directory = self.directory;
        let step = self
            .registered(&zone.origin, zone.negative_ttl)
            .lookup(name, qtype);
        if !matches!(step, Step::NxDomain) || is_blocked(name, &zone.origin, directory) {
            return step;
        }
        let wild = zone
            .statics
            .iter()
            .map(|statics| static_step(statics, name, qtype, self.basis));
        wild.into_iter()
            .find(|step| !matches!(step, Step::NxDomain))
            .unwrap_or(Step::NxDomain)
    }

    /// What is registered, as answers from the discovery zone `zone` have it.
    fn registered<'s>(
        &'s mut self,
        zone: &'s DomainName,
        negative_ttl: std::time::Duration,
    ) -> Registered<'s> {
        Registered {
            zone,
            negative_ttl,
            directory: self.directory,
            now: self.now,
            class: self.class,
            rng: self.rng,
            basis: self.basis,
        }
    }

    fn apex_step(&mut self, zone: &'z DiscoveryZone, qtype: RecordType) -> Step<'z> {
        if qtype == RecordType::SOA {
            let soa = self.discovery_soa(zone, None);
            return Step::Records {
                sets: vec![soa],
                additional: Vec::new(),
                error: None,
            };
        }
        zone.statics
            .iter()
            .map(|statics| static_step(statics, &zone.origin, qtype, self.basis))
            .find(|step| !matches!(step, Step::NoData { .. }))
            .unwrap_or_else(Step::no_data)
    }

    fn finish(
        &mut self,
        zone: Closest<'z>,
        mut aliases: RrSets<'z>,
        last: Step<'z>,
    ) -> Outcome<'z> {
        match last {
            Step::Records {
                sets,
                mut additional,
                error,
            } => {
                additional.extend(self.addresses_of_targets(&sets, &additional));
                append(&mut aliases, sets);
                Outcome::Hit {
                    answer: aliases,
                    additional,
                    error,
                }
            }
            Step::NoData {
                error,
                negative_ttl,
            } => {
                let soa = vec![self.soa(zone, negative_ttl)];
                Outcome::NoData {
                    aliases,
                    soa,
                    error,
                }
            }
            Step::NxDomain => Outcome::NxDomain {
                aliases,
                soa: vec![self.soa(zone, None)],
                error: None,
            },
            Step::Absent {
                error,
                negative_ttl,
            } => Outcome::NxDomain {
                aliases,
                soa: vec![self.soa(zone, Some(negative_ttl))],
                error,
            },
            Step::Referral { ns, glue } => Outcome::Referral { aliases, ns, glue },
            Step::TooLong { sets } => {
                append(&mut aliases, sets);
                Outcome::YxDomain { aliases }
            }
            Step::Failed(text) => Outcome::refused(Rcode::SERVFAIL, ExtendedError::OTHER, text),
            // The loop above follows every alias.
            Step::Alias { sets, .. } => Outcome::aliases(sets),
        }
    }

    /// The SOA of a negative answer, whose TTL is how long that may be cached:
    /// the lower one of its own and its minimum ([RFC 2308](https://www.rfc-editor.org/rfc/rfc2308) §3).
    fn soa(&self, zone: Closest<'z>, negative_ttl: Option<std::time::Duration>) -> Cow<'z, RrSet> {
        let zone = match zone {
            Closest::Discovery(zone) => return self.discovery_soa(zone, negative_ttl),
            Closest::Reverse(zone) => {
                let ttl = negative_ttl.unwrap_or(zone.negative_ttl);
                return Cow::Owned(zone.soa.rrset(&zone.origin, ttl));
            }
            Closest::Static(zone) => zone,
        };
        // A zone without SOA isn't loaded.
        let Some(soa) = zone.soa() else {
            return Cow::Owned(RrSet::new(
                zone.origin().clone(),
                RecordType::SOA,
                Ttl::ZERO,
            ));
        };
        let minimum = soa
            .rdata(0)
            .last_chunk()
            .map_or(0, |last| u32::from_be_bytes(*last));
        let ttl = Ttl::from_secs(minimum).map_or(soa.ttl, |minimum| soa.ttl.min(minimum));
        if ttl == soa.ttl {
            return Cow::Borrowed(soa);
        }
        let mut negative = soa.clone();
        negative.ttl = ttl;
        Cow::Owned(negative)
    }

    fn discovery_soa(
        &self,
        zone: &DiscoveryZone,
        negative_ttl: Option<std::time::Duration>,
    ) -> Cow<'z, RrSet> {
        let ttl = negative_ttl.unwrap_or(zone.negative_ttl);
        Cow::Owned(zone.soa.rrset(&zone.origin, ttl))
    }

    /// Addresses of the names that `sets` point at, each once, as far as they're ours
    /// and not `known` already.
    fn addresses_of_targets(
        &mut self,
        sets: &[Cow<'z, RrSet>],
        known: &[Cow<'z, RrSet>],
    ) -> RrSets<'z> {
        let mut found = Vec::new();
        let known: HashSet<&[u8]> = known.iter().map(|set| set.owner.as_wire()).collect();
        let targets = sets
            .iter()
            .flat_map(|set| set.iter().filter_map(|rdata| target_wire(set, rdata)))
            // Names of our making are lower case, so most are known as they stand.
            .filter(|wire| !known.contains(wire))
            .filter_map(folded);
        let mut seen = HashSet::new();
        for target in targets.take(MAX_TARGETS) {
            if !seen.insert(target.clone()) {
                continue;
            }
            for rtype in [RecordType::A, RecordType::AAAA] {
                let Some(zone) = self.zones.closest(target.as_wire(), rtype) else {
                    break;
                };
                if let Step::Records { sets, .. } = self.step(zone, &target, rtype) {
                    found.extend(sets.into_iter().filter(|set| set.rtype == rtype));
                }
            }
        }
        found
    }
}

/// Adds RRsets to an answer, but none that is in it already: a chain of aliases can
/// lead below the same DNAME twice, or to it (RFC 2181 §5: no record twice).
fn append<'z>(answer: &mut RrSets<'z>, sets: RrSets<'z>) {
    for set in sets {
        let is_known = answer
            .iter()
            .any(|known| known.rtype == set.rtype && known.owner == set.owner);
        if !is_known {
            answer.push(set);
        }
    }
}

/// Whether something registered stands at the label of `name` below `zone`.
fn is_blocked(name: &DomainName, zone: &DomainName, directory: &Directory) -> bool {
    let own = &name.as_wire()[..name.as_wire().len() - zone.as_wire().len()];
    let top = Labels::of_wire(own).last().unwrap_or_default();
    top == b"_tcp"
        || top == b"_udp"
        || std::str::from_utf8(top).is_ok_and(|service| directory.slot(service).is_some())
}

/// The name that `name` stands for, if a zone's file says that it stands for one.
pub(super) fn static_alias(zone: &Zone, name: &DomainName) -> Option<DomainName> {
    match static_step(zone, name, RecordType::A, &mut Basis::default()) {
        Step::Alias { target, .. } => Some(target.folded()),
        _ => None,
    }
}

/// What a zone's file says of `name`.
fn static_step<'z>(
    zone: &'z Zone,
    name: &DomainName,
    qtype: RecordType,
    basis: &mut Basis,
) -> Step<'z> {
    // Of names that a wildcard, a DNAME or a cut answers for, there's no end.
    if !zone.has(name.as_wire()) {
        basis.discard();
    }
    match zone.lookup(name.as_wire(), qtype) {
        Lookup::Found { rrset, wildcard } => Step::Records {
            sets: vec![owned_by(rrset, name, wildcard)],
            additional: Vec::new(),
            error: None,
        },
        Lookup::Any { rrsets, wildcard } => match rrsets {
            // Beside an alias nothing may be made up (RFC 8482 §4.2).
            [alias] if alias.rtype == RecordType::CNAME => Step::Records {
                sets: vec![owned_by(alias, name, wildcard)],
                additional: Vec::new(),
                error: None,
            },
            _ => Step::any(
                name,
                rrsets.iter().map(|set| set.ttl).min().unwrap_or(Ttl::ZERO),
            ),
        },
        Lookup::Cname { rrset, wildcard } => match DomainName::from_wire(rrset.rdata(0)) {
            Ok(target) => Step::Alias {
                sets: vec![owned_by(rrset, name, wildcard)],
                target,
            },
            Err(_) => Step::no_data(),
        },
        Lookup::Dname(rrset) => below_dname(rrset, name, qtype),
        Lookup::Referral(ns) => {
            let targets = ns.iter().filter_map(folded);
            Step::Referral {
                ns: vec![Cow::Borrowed(ns)],
                glue: targets.flat_map(|target| glue(zone, &target)).collect(),
            }
        }
        Lookup::NoData => Step::no_data(),
        Lookup::NxDomain | Lookup::OutOfZone => Step::NxDomain,
    }
}

/// The addresses of a name server that a referral leads to, a wildcard's included.
fn glue<'z>(zone: &'z Zone, target: &DomainName) -> RrSets<'z> {
    if zone.has(target.as_wire()) {
        return zone.glue(target.as_wire()).map(Cow::Borrowed).collect();
    }
    let found = |rtype| match zone.lookup(target.as_wire(), rtype) {
        Lookup::Found { rrset, wildcard } => Some(owned_by(rrset, target, wildcard)),
        _ => None,
    };
    let types = [RecordType::A, RecordType::AAAA];
    types.into_iter().filter_map(found).collect()
}

/// The set as the answer has it: a wildcard's belongs to the name that was asked
/// for (RFC 4592 §2.1.1).
fn owned_by<'z>(set: &'z RrSet, name: &DomainName, wildcard: bool) -> Cow<'z, RrSet> {
    if !wildcard {
        return Cow::Borrowed(set);
    }
    let mut set = set.clone();
    set.owner = name.clone();
    Cow::Owned(set)
}

/// A name below a DNAME stands for one below its target, by a CNAME with the
/// DNAME's TTL ([RFC 6672](https://www.rfc-editor.org/rfc/rfc6672) §3.1).
fn below_dname<'z>(dname: &'z RrSet, name: &DomainName, qtype: RecordType) -> Step<'z> {
    let kept = name.as_wire().len() - dname.owner.as_wire().len();
    let mut wire = name.as_wire()[..kept].to_vec();
    wire.extend_from_slice(dname.rdata(0));
    let Ok(target) = DomainName::from_wire(&wire) else {
        return Step::TooLong {
            sets: vec![Cow::Borrowed(dname)],
        };
    };
    let cname = RrSet::new(name.clone(), RecordType::CNAME, dname.ttl).with(target.as_wire());
    let sets = vec![Cow::Borrowed(dname), Cow::Owned(cname)];
    match qtype {
        // The CNAME is what was asked for, so it isn't followed.
        RecordType::CNAME => Step::Records {
            sets,
            additional: Vec::new(),
            error: None,
        },
        _ => Step::Alias { sets, target },
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
