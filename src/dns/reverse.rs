//! Reverse zones: from the addresses of registered instances to their names.
//!
//! ```text
//! 7.2.0.192.in-addr.arpa.   PTR   web-1.web.svc.internal.
//! ```
//!
//! There is a zone for each network that was set, with SOA and NS of its own and
//! otherwise nothing but addresses ([RFC 1035] §3.5, [RFC 3596] §2.5). An address
//! exists when something registered has it, and leads to each listed instance
//! there by its own name. Names above addresses always exist, without records: an
//! address may come below any of them, and whether one is there isn't worth an
//! index of its own.
//!
//! Where networks nest, the smallest one that holds an address answers for it.
//! The larger one knows of no cut: both are here.
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 3596]: https://www.rfc-editor.org/rfc/rfc3596

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{ControlFlow, RangeInclusive};
use std::time::Duration;

use super::discovery::{Registered, SoaFields};
use super::pointers::Pointing;
use super::records::own_name;
use super::rr::{RecordType, RrSet};
use super::step::Step;
use super::ttl::Ttl;
use crate::name::{DomainName, NameError};
use crate::network::Network;

/// Most networks that reverse zones are made for.
pub const MAX_REVERSE_ZONES: usize = 64;

/// Networks whose prefixes end at a label of their reverse name, each once.
#[derive(Clone, Debug, Default)]
pub struct ReverseNetworks(Vec<Network>);

/// Why there can't be reverse zones for some networks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReverseError {
    /// No name stands for just that network.
    #[error(
        "{0} has no reverse name; allowed is a network whose prefix ends at a label of its reverse \
         name: /8, /16 or /24, and with IPv6 a multiple of 4 from /4 to /124"
    )]
    Prefix(Network),
    /// More than [`MAX_REVERSE_ZONES`].
    #[error("{0} networks are too many; allowed is {MAX_REVERSE_ZONES}")]
    TooMany(usize),
}

impl ReverseNetworks {
    /// Takes networks that have a reverse name.
    pub fn new(mut networks: Vec<Network>) -> Result<Self, ReverseError> {
        if let Some(odd) = networks.iter().find(|network| origin(**network).is_none()) {
            return Err(ReverseError::Prefix(*odd));
        }
        networks.sort_unstable();
        networks.dedup();
        match networks.len() <= MAX_REVERSE_ZONES {
            true => Ok(Self(networks)),
            false => Err(ReverseError::TooMany(networks.len())),
        }
    }

    /// The networks, in order.
    pub fn as_slice(&self) -> &[Network] {
        &self.0
    }

    /// The addresses of each.
    pub fn ranges(&self) -> Box<[RangeInclusive<IpAddr>]> {
        self.0.iter().map(|network| network.range()).collect()
    }

    /// Each network with the name of its zone.
    pub(super) fn origins(&self) -> impl Iterator<Item = (Network, DomainName)> {
        self.0
            .iter()
            .filter_map(|network| Some((*network, origin(*network)?)))
    }
}

/// Labels above all reverse names of a family.
const ABOVE: usize = 2;

/// Bits of an address that one label stands for.
fn bits_per_label(address: IpAddr) -> u8 {
    if address.is_ipv4() { 8 } else { 4 }
}

/// The reverse name of a network, if there's one that stands for all of it and
/// nothing else.
fn origin(network: Network) -> Option<DomainName> {
    let (first, length) = (*network.range().start(), network.length());
    let labels = labels_of(first);
    let common = usize::from(length / bits_per_label(first));
    if length % bits_per_label(first) != 0 || !(1..labels.len()).contains(&common) {
        return None;
    }
    let top = match first {
        IpAddr::V4(_) => "in-addr.arpa.",
        IpAddr::V6(_) => "ip6.arpa.",
    };
    let name: Result<DomainName, NameError> = labels[..common]
        .iter()
        .try_fold(DomainName::parse(top, None).ok()?, |name, label| {
            name.prepend(label.as_bytes())
        });
    name.ok()
}

/// The labels of an address, the one next to `in-addr` or `ip6` first.
fn labels_of(address: IpAddr) -> Vec<String> {
    match address {
        IpAddr::V4(v4) => v4.octets().iter().map(ToString::to_string).collect(),
        IpAddr::V6(v6) => v6
            .octets()
            .iter()
            .flat_map(|octet| [octet >> 4, octet & 0xf])
            .map(|nibble| format!("{nibble:x}"))
            .collect(),
    }
}

/// The zone of one network.
#[derive(Debug)]
pub struct ReverseZone {
    /// Its name, lower case.
    pub origin: DomainName,
    /// Its SOA but for the serial, which is the discovery zone's.
    pub soa: SoaFields,
    /// TTL of negative answers, unless a service has its own.
    pub negative_ttl: Duration,
    /// The discovery zone, which names lead into.
    services: DomainName,
    /// Its name servers.
    ns: RrSet,
    is_ipv4: bool,
}

/// What a name in a reverse zone stands for.
#[derive(Debug, Eq, PartialEq)]
enum Spot {
    Address(IpAddr),
    /// A part of the network.
    Above,
    /// Nothing that an address could be at or below.
    Nowhere,
}

/// Reads a label as a part of an address.
type ReadLabel = fn(&[u8]) -> Option<u8>;

impl ReverseZone {
    /// The zone `origin` of a network. SOA, name servers and TTL are those of the
    /// discovery zone `services`.
    pub(super) fn new(
        network: Network,
        origin: DomainName,
        services: DomainName,
        soa: SoaFields,
        nameservers: &RrSet,
        negative_ttl: Duration,
    ) -> Self {
        let mut ns = nameservers.clone();
        ns.owner = origin.clone();
        Self {
            origin,
            soa,
            negative_ttl,
            services,
            ns,
            is_ipv4: network.range().start().is_ipv4(),
        }
    }

    /// The discovery zone, which names lead into.
    pub(super) fn services(&self) -> &DomainName {
        &self.services
    }

    /// Looks up `qname`, a name in the zone in lower case.
    pub(super) fn lookup<'z>(
        &'z self,
        registered: &mut Registered<'_>,
        qname: &DomainName,
        qtype: RecordType,
    ) -> Step<'z> {
        if *qname == self.origin {
            return self.apex(qtype);
        }
        let address = match self.spot(qname) {
            Spot::Address(address) => address,
            Spot::Above => {
                // Of these there are too many to keep answers for.
                registered.basis.discard();
                return Step::no_data();
            }
            Spot::Nowhere => return Step::NxDomain,
        };
        let (directory, services) = (registered.directory, registered.zone);
        let Some(group) = directory.at_address(address) else {
            return Step::NxDomain;
        };
        let pointing = Pointing {
            owner: qname,
            group: &group,
            members: &|place, show| {
                let view = directory.service(place.service.as_str());
                let member = view
                    .as_deref()
                    .and_then(|view| Some((view, view.member(place.id.as_str())?)))
                    .filter(|(_, member)| member.addresses.contains(&address));
                match member {
                    Some((view, member)) => show(view, member),
                    None => ControlFlow::Continue(()),
                }
            },
            target: &|member| own_name(member, services),
        };
        registered.pointers(&pointing, qtype)
    }

    fn apex<'z>(&'z self, qtype: RecordType) -> Step<'z> {
        let set = match qtype {
            RecordType::SOA => Cow::Owned(self.soa.rrset(&self.origin, self.negative_ttl)),
            RecordType::NS => Cow::Borrowed(&self.ns),
            RecordType::ANY => {
                return Step::any(&self.origin, Ttl::from_duration(self.negative_ttl));
            }
            _ => return Step::no_data(),
        };
        Step::Records {
            sets: vec![set],
            additional: Vec::new(),
            error: None,
        }
    }

    fn spot(&self, name: &DomainName) -> Spot {
        let labels: Vec<&[u8]> = name.labels().collect();
        let own = &labels[..labels.len().saturating_sub(ABOVE)];
        let (read, full): (ReadLabel, usize) = match self.is_ipv4 {
            true => (octet, 4),
            false => (nibble, 32),
        };
        // The last label stands for the first bits.
        let parts: Option<Vec<u8>> = own.iter().rev().map(|label| read(label)).collect();
        let Some(parts) = parts.filter(|parts| parts.len() <= full) else {
            return Spot::Nowhere;
        };
        if parts.len() < full {
            return Spot::Above;
        }
        let joined = |width: u32| {
            let join = |bits: u128, part: &u8| bits << width | u128::from(*part);
            parts.iter().fold(0, join)
        };
        Spot::Address(match self.is_ipv4 {
            // Four octets are 32 bits.
            true => Ipv4Addr::from_bits(joined(8) as u32).into(),
            false => Ipv6Addr::from_bits(joined(4)).into(),
        })
    }
}

/// Reads an octet as it's written in reverse names: decimal, without zeros before it.
fn octet(label: &[u8]) -> Option<u8> {
    let octet: u8 = std::str::from_utf8(label).ok()?.parse().ok()?;
    (octet.to_string().as_bytes() == label).then_some(octet)
}

/// Reads a nibble: one hexadecimal digit in lower case, as all names are here.
fn nibble(label: &[u8]) -> Option<u8> {
    match label {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        [letter @ b'a'..=b'f'] => Some(letter - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin_of(network: &str) -> Option<String> {
        origin(network.parse().unwrap()).map(|name| name.to_string())
    }

    fn zone(network: &str) -> ReverseZone {
        let network: Network = network.parse().unwrap();
        let root = DomainName::root();
        let soa = SoaFields {
            names: vec![0, 0],
            timers: [0; 3],
        };
        let ns = RrSet::new(root.clone(), RecordType::NS, Ttl::ZERO);
        let origin = origin(network).unwrap();
        ReverseZone::new(network, origin, root, soa, &ns, Duration::ZERO)
    }

    #[test]
    fn networks_end_at_labels() {
        for (network, origin) in [
            ("10.0.0.0/8", Some("10.in-addr.arpa.")),
            ("172.16.0.0/16", Some("16.172.in-addr.arpa.")),
            ("192.0.2.0/24", Some("2.0.192.in-addr.arpa.")),
            ("0.0.0.0/8", Some("0.in-addr.arpa.")),
            ("f000::/4", Some("f.ip6.arpa.")),
            ("fd00::/8", Some("d.f.ip6.arpa.")),
            ("2001:db8::/32", Some("8.b.d.0.1.0.0.2.ip6.arpa.")),
            ("0.0.0.0/0", None),
            ("10.0.0.0/12", None),
            ("192.0.2.0/25", None),
            ("192.0.2.7", None),
            ("::/0", None),
            ("fd00::/9", None),
            ("fd00::7", None),
        ] {
            assert_eq!(origin_of(network).as_deref(), origin, "{network}");
        }
        assert!(origin_of("fd00::/124").unwrap().starts_with("0.0.0."));
    }

    #[test]
    fn networks_are_counted_once() {
        let networks = |count: u8| {
            let network = |n: u8| Network::new([10, n, 0, 0].into(), 16).unwrap();
            ReverseNetworks::new((0..count).flat_map(|n| [network(n); 2]).collect())
        };
        assert_eq!(networks(64).unwrap().as_slice().len(), 64);
        assert_eq!(networks(65).unwrap_err(), ReverseError::TooMany(65));
    }

    #[test]
    fn other_labels_are_nowhere() {
        let (v4, v6) = (zone("10.0.0.0/8"), zone("fd00::/8"));
        let spot = |zone: &ReverseZone, name: &str| {
            let name = format!("{name}.{}", zone.origin);
            zone.spot(&DomainName::parse(&name, None).unwrap())
        };
        for name in ["1", "2.1", "255"] {
            assert_eq!(spot(&v4, name), Spot::Above, "{name}");
        }
        for name in [
            "256", "01", "+1", "x", "x.1", "1.x", "4.3.2.1", "x.3.2.1", "1-2",
        ] {
            assert_eq!(spot(&v4, name), Spot::Nowhere, "{name}");
        }
        assert_eq!(spot(&v6, "0.f"), Spot::Above);
        for name in ["g", "00", "10", "-", "x.0"] {
            assert_eq!(spot(&v6, name), Spot::Nowhere, "{name}");
        }
    }

    proptest! {
        /// A reverse name is read as the address that it was made of.
        #[test]
        fn names_read_as_they_are_written(mut v4 in any::<[u8; 4]>(), mut v6 in any::<[u8; 16]>()) {
            (v4[0], v6[0]) = (10, 0xfd);
            for (address, zone) in [
                (IpAddr::from(v4), zone("10.0.0.0/8")),
                (IpAddr::from(v6), zone("fd00::/8")),
            ] {
                let mut labels = labels_of(address);
                labels.reverse();
                let top = if address.is_ipv4() { "in-addr" } else { "ip6" };
                let name = format!("{}.{top}.arpa.", labels.join("."));
                let name = DomainName::parse(&name, None).unwrap();
                prop_assert!(name.is_within(&zone.origin));
                prop_assert_eq!(zone.spot(&name), Spot::Address(address));
            }
        }
    }
}
