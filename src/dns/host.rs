//! What our own zones say of an instance's host name: its addresses, without a network.
//!
//! ```text
//! host name ─▶ does it lead back to itself? ─▶ resolve A, AAAA ─▶ addresses and TTL
//! ```
//!
//! Addresses are those that DNS answers with, TTL and all, so a host name here is what
//! it's to any other client. An instance is answered with what its host name was found
//! to be, so a name that depends on itself would keep addresses alive that nobody has
//! any more. Therefore every way that leads on from a name is followed first, through
//! aliases and host names of instances, listed or not; one that comes back, or goes on
//! for too long, gives no address at all.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use super::basis::Basis;
use super::compose::ClientClass;
use super::outcome::Outcome;
use super::owner::Owner;
use super::resolve::{Resolver, resolve, static_alias};
use super::rr::{RecordType, RrSet};
use super::ttl::Ttl;
use super::zones::{Closest, DiscoveryZone, Zones};
use crate::name::{DomainName, Labels};
use crate::registry::directory::Directory;
use crate::registry::instance::{Host, Instance};
use crate::registry::resolution::{Members, OwnAnswer};
use crate::registry::view::Entry;
use crate::time::Moment;

/// Most names, one after the other, that a host name may lead through.
const MAX_DEPTH: usize = 16;

/// Most names that it may lead to in all.
const MAX_NAMES: usize = 1024;

/// Most instances that are looked at on the way: some milliseconds' work.
const MAX_INSTANCES: usize = 65_536;

/// A name on the way, and how it was come by.
struct Place {
    name: DomainName,
    depth: usize,
    /// The place before, and the own name of the instance whose host this is.
    from: Option<(usize, Option<DomainName>)>,
}

/// The ways that lead on from a name.
struct Ways<'a> {
    zones: &'a Zones,
    members: &'a dyn Members,
    /// An instance that is about to be registered, in the place of what has its id.
    newcomer: Option<&'a Instance>,
    places: Vec<Place>,
    seen: HashSet<DomainName>,
    looked_at: usize,
}

impl Zones {
    /// How the host name of `instance`, if it's in our zones, leads back to itself once
    /// it's registered beside `members`; or that it leads too far to tell.
    pub fn host_loop(&self, instance: &Instance, members: &dyn Members) -> Option<String> {
        let Host::Name(host) = &instance.host else {
            return None;
        };
        self.closest(host.as_wire(), RecordType::A)?;
        let mut ways = Ways::new(self, members, host);
        ways.newcomer = Some(instance);
        let way = ways.back_to(host)?;
        let own = ways.own_name(instance);
        let own = own.map_or(String::new(), |own| format!("{own} → "));
        let way = match way {
            Way::Back(names) => format!("leads back to itself: {own}{names}"),
            Way::TooFar(what) => format!("leads too far: {own}{host} → …, {what}"),
        };
        Some(format!(
            "{host} {way}; give an address, or a name that doesn't depend on this instance"
        ))
    }

    /// What our zones say of `host`, the host name of an instance, at `name`: the same,
    /// or one that it's an alias of by way of others' zones.
    pub fn host_addresses(
        &self,
        directory: &Directory,
        now: Moment,
        host: &DomainName,
        name: &DomainName,
    ) -> OwnAnswer {
        match self.closest(name.as_wire(), RecordType::A) {
            None => return OwnAnswer::Foreign,
            Some(Closest::Static(_)) => {}
            Some(_) if !directory.is_loaded() => return OwnAnswer::NotYet,
            Some(_) => {}
        }
        match Ways::new(self, directory, name).back_to(host) {
            Some(Way::Back(names)) => {
                return OwnAnswer::Loop(format!("{host} leads back to itself: {names}"));
            }
            Some(Way::TooFar(what)) => {
                return OwnAnswer::Loop(format!("{host} leads too far: {what}"));
            }
            None => {}
        }
        let (mut rng, mut addresses) = (fastrand::Rng::new(), Vec::new());
        let mut ttl = Ttl::MAX;
        let mut negative = None;
        for rtype in [RecordType::A, RecordType::AAAA] {
            let mut basis = Basis::default();
            let resolver = Resolver {
                zones: self,
                directory,
                now,
                class: ClientClass::of(IpAddr::from([127, 0, 0, 1])),
                rng: &mut rng,
                basis: &mut basis,
            };
            match self.read(resolve(resolver, name.as_wire(), rtype), name, rtype) {
                Read::Addresses(found, lives) => {
                    addresses.extend(found);
                    ttl = ttl.min(lives);
                }
                Read::Nothing(why, lives) => negative = negative.or(Some((why, lives))),
                Read::Other(answer) => return answer,
            }
        }
        match negative {
            Some((why, ttl)) if addresses.is_empty() => OwnAnswer::Nothing {
                why,
                ttl: span(ttl),
            },
            _ => OwnAnswer::Found {
                addresses,
                ttl: span(ttl),
            },
        }
    }

    /// What an outcome means for a host name.
    fn read(&self, outcome: Outcome<'_>, name: &DomainName, rtype: RecordType) -> Read {
        let why = outcome.extended_error().map(|error| error.text.clone());
        match &outcome {
            Outcome::Hit { answer, .. } => {
                let lives = answer.iter().map(|set| set.ttl).min();
                let lives = lives.unwrap_or(Ttl::ZERO);
                let found = answer.iter().find(|set| set.rtype == rtype);
                if let Some(set) = found {
                    return Read::Addresses(addresses(set), lives);
                }
                let last = answer.iter().rfind(|set| set.rtype == RecordType::CNAME);
                let target = last.and_then(|set| DomainName::from_wire(set.rdata(0)).ok());
                match target {
                    Some(name) if self.closest(name.as_wire(), rtype).is_none() => {
                        Read::Other(OwnAnswer::Elsewhere {
                            name: name.folded(),
                            ttl: span(lives),
                        })
                    }
                    _ => Read::Other(OwnAnswer::Loop(format!(
                        "the aliases of {name} have no end"
                    ))),
                }
            }
            Outcome::NoData { soa, .. } => {
                let why = match why {
                    Some(why) => format!("nobody is listed at {name}: {why}"),
                    None => format!("{name} has no address"),
                };
                Read::Nothing(why, negative_ttl(soa))
            }
            Outcome::NxDomain { soa, .. } => Read::Nothing(
                format!("{name} doesn't exist (NXDOMAIN)"),
                negative_ttl(soa),
            ),
            // A delegation: the records are another server's. Only when no alias of ours led there can
            // the name itself be asked for.
            Outcome::Referral { aliases, .. } => {
                let last = aliases.iter().rfind(|set| set.rtype == RecordType::CNAME);
                let target = last.and_then(|set| DomainName::from_wire(set.rdata(0)).ok());
                let lives = aliases.iter().map(|set| set.ttl).min().unwrap_or(Ttl::MAX);
                Read::Other(OwnAnswer::Elsewhere {
                    name: target.map_or_else(|| name.clone(), |target| target.folded()),
                    ttl: span(lives),
                })
            }
            Outcome::YxDomain { .. } => {
                Read::Nothing(format!("a DNAME makes {name} too long"), Ttl::ZERO)
            }
            Outcome::Refused { .. } => Read::Other(OwnAnswer::NotYet),
        }
    }
}

/// What an outcome means for a host name.
enum Read {
    Addresses(Vec<IpAddr>, Ttl),
    Nothing(String, Ttl),
    Other(OwnAnswer),
}

fn span(ttl: Ttl) -> Duration {
    Duration::from_secs(ttl.as_secs().into())
}

fn negative_ttl(soa: &[std::borrow::Cow<'_, RrSet>]) -> Ttl {
    soa.first().map_or(Ttl::ZERO, |soa| soa.ttl)
}

/// The addresses of a set of A or AAAA.
fn addresses(set: &RrSet) -> Vec<IpAddr> {
    let address = |rdata: &[u8]| match (<[u8; 4]>::try_from(rdata), <[u8; 16]>::try_from(rdata)) {
        (Ok(v4), _) => Some(IpAddr::from(v4)),
        (_, Ok(v6)) => Some(IpAddr::from(v6)),
        _ => None,
    };
    set.iter().filter_map(address).collect()
}

/// Where the ways from a name lead that can't be taken.
enum Way {
    /// Back, through these names.
    Back(String),
    /// Further than is looked.
    TooFar(String),
}

impl<'a> Ways<'a> {
    /// Those from `first`.
    fn new(zones: &'a Zones, members: &'a dyn Members, first: &DomainName) -> Self {
        Self {
            zones,
            members,
            newcomer: None,
            places: vec![Place {
                name: first.clone(),
                depth: 0,
                from: None,
            }],
            seen: HashSet::from([first.clone()]),
            looked_at: 0,
        }
    }

    /// Whether one of them leads to `host`; the shortest does first.
    fn back_to(&mut self, host: &DomainName) -> Option<Way> {
        let mut at = 0;
        while let Some(place) = self.places.get(at) {
            let (name, depth) = (place.name.clone(), place.depth);
            for (via, next) in self.next(&name) {
                if next == *host {
                    return Some(Way::Back(self.told(at, via.as_ref(), host)));
                }
                if !self.seen.insert(next.clone()) {
                    continue;
                }
                if depth == MAX_DEPTH {
                    return Some(Way::TooFar(format!("through more than {MAX_DEPTH} names")));
                }
                if self.places.len() == MAX_NAMES {
                    return Some(Way::TooFar(format!("to more than {MAX_NAMES} names")));
                }
                self.places.push(Place {
                    name: next,
                    depth: depth + 1,
                    from: Some((at, via)),
                });
            }
            if self.looked_at > MAX_INSTANCES {
                return Some(Way::TooFar(format!(
                    "to more than {MAX_INSTANCES} instances"
                )));
            }
            at += 1;
        }
        None
    }

    /// The names that `name` leads to, with the instance whose host each is.
    fn next(&mut self, name: &DomainName) -> Vec<(Option<DomainName>, DomainName)> {
        let alias = |target| (None, target);
        match self.zones.closest(name.as_wire(), RecordType::A) {
            None | Some(Closest::Reverse(_)) => Vec::new(),
            Some(Closest::Static(zone)) => {
                static_alias(zone, name).map(alias).into_iter().collect()
            }
            Some(Closest::Discovery(zone)) => {
                let fixed = zone
                    .statics
                    .iter()
                    .find(|zone| zone.contains(name.as_wire()));
                if let Some(fixed) = fixed {
                    return static_alias(fixed, name).map(alias).into_iter().collect();
                }
                let own = &name.as_wire()[..name.as_wire().len() - zone.origin.as_wire().len()];
                let labels: Vec<&[u8]> = Labels::of_wire(own).collect();
                if self.is_registered(labels.last().copied().unwrap_or_default()) {
                    return self.hosts_at(zone, &labels);
                }
                // What isn't registered may be a wildcard's.
                let mut wild = zone
                    .statics
                    .iter()
                    .filter_map(|zone| static_alias(zone, name));
                wild.next().map(alias).into_iter().collect()
            }
        }
    }

    /// Whether there is, or will be, a service of that name.
    fn is_registered(&self, label: &[u8]) -> bool {
        let newcomer = self.newcomer.map(|newcomer| newcomer.service.as_str());
        std::str::from_utf8(label)
            .is_ok_and(|service| newcomer == Some(service) || self.members.has(service))
    }

    /// The host names of the instances that a name, `labels` in the discovery zone, has
    /// the addresses of.
    fn hosts_at(
        &mut self,
        zone: &DiscoveryZone,
        labels: &[&[u8]],
    ) -> Vec<(Option<DomainName>, DomainName)> {
        let (service, id, selection) = match Owner::parse(labels) {
            Owner::Instance { service, id } => (service, Some(id), None),
            Owner::Service { service, selection } if !selection.is_srv_only() => {
                (service, None, Some(selection))
            }
            // These have no addresses.
            _ => return Vec::new(),
        };
        let has = |instance: &Instance| {
            let selected = |selection: &super::owner::Selection<'_>| {
                selection.is_reached_by(instance) && selection.selects(instance)
            };
            instance.service.as_str() == service
                && id.is_none_or(|id| instance.id.as_str() == id)
                && selection.as_ref().is_none_or(selected)
        };
        let (mut found, newcomer) = (Vec::new(), self.newcomer);
        let mut looked_at = 0;
        self.members.each(service, id, &mut |entry: &Entry| {
            looked_at += 1;
            let instance = &entry.instance;
            let is_replaced = newcomer.is_some_and(|newcomer| newcomer.id == instance.id);
            if let Host::Name(host) = &instance.host
                && found.len() <= MAX_NAMES
                && !is_replaced
                && has(instance)
            {
                let own = own_name(instance, zone);
                found.push((own.clone(), host.clone()));
                let known = entry.resolved();
                let inner = known.iter().flat_map(|known| &known.inner);
                found.extend(inner.map(|inner| (own.clone(), inner.clone())));
            }
        });
        self.looked_at += looked_at;
        if let Some(newcomer) = newcomer
            && let Host::Name(host) = &newcomer.host
            && has(newcomer)
        {
            found.push((own_name(newcomer, zone), host.clone()));
        }
        found
    }

    /// The own name of an instance in the discovery zone.
    fn own_name(&self, instance: &Instance) -> Option<DomainName> {
        own_name(instance, self.zones.discovery())
    }

    /// The way from the first place to the one at `at`, and on to `host`.
    fn told(&self, at: usize, via: Option<&DomainName>, host: &DomainName) -> String {
        let mut names = vec![host];
        names.extend(via);
        let mut next = Some(at);
        while let Some(place) = next.map(|at| &self.places[at]) {
            names.push(&place.name);
            next = place.from.as_ref().map(|(before, via)| {
                names.extend(via);
                *before
            });
        }
        if names.last() != Some(&host) {
            names.push(host);
        }
        // An instance's own name is often what the host name before it was.
        names.dedup();
        let names: Vec<String> = names.iter().rev().map(ToString::to_string).collect();
        names.join(" → ")
    }
}

fn own_name(instance: &Instance, zone: &DiscoveryZone) -> Option<DomainName> {
    let labels = [instance.id.as_str(), instance.service.as_str()];
    zone.origin.prepend_all(&labels.map(str::as_bytes)).ok()
}
