//! Where probes may go. A registration can make this server send something, so it's
//! not left to the registrant where that goes.
//!
//! Whatever is set, some addresses are never probed: those at which clouds hand out
//! credentials, link-local ones among them, and those that no host has. An IPv4
//! address counts as itself in whatever IPv6 address it's carried.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Check;
use crate::network::Network;
use crate::registry::instance::{Host, Instance};
use crate::registry::registration::InvalidField;

/// Networks that aren't routed in the internet ([RFC 1918], [RFC 6598], [RFC 4193]).
///
/// [RFC 1918]: https://www.rfc-editor.org/rfc/rfc1918
/// [RFC 4193]: https://www.rfc-editor.org/rfc/rfc4193
/// [RFC 6598]: https://www.rfc-editor.org/rfc/rfc6598
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

/// This machine ([RFC 1122](https://www.rfc-editor.org/rfc/rfc1122) §3.2.1.3, [RFC 4291](https://www.rfc-editor.org/rfc/rfc4291) §2.5.3).
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1"];

/// Everything.
const ANY: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// What is never probed: link-local addresses, the others at which clouds serve
/// metadata, and those that no host has.
const NEVER: [&str; 16] = [
    "169.254.0.0/16",
    "fe80::/10",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:ec2::23",
    "fd00:a9fe:a9fe::1",
    "fd00:42::42",
    "fd00:c1::a9fe:a9fe",
    "fd00:100::100:200",
    "0.0.0.0/8",
    "224.0.0.0/3",
    "ff00::/8",
    "::",
];

/// Where probes may go, by one rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CheckNetwork {
    /// Addresses that aren't routed in the internet.
    Private,
    /// This machine.
    Loopback,
    /// The address that a registration comes from.
    Registrant,
    /// Everywhere.
    Any,
    /// A network.
    Network(Network),
}

impl CheckNetwork {
    /// The rules that have a name.
    const NAMED: [(&str, Self); 4] = [
        ("private", Self::Private),
        ("loopback", Self::Loopback),
        ("registrant", Self::Registrant),
        ("any", Self::Any),
    ];
}

impl FromStr for CheckNetwork {
    type Err = CheckNetworkError;

    fn from_str(text: &str) -> Result<Self, CheckNetworkError> {
        let named = Self::NAMED.into_iter().find(|(name, _)| *name == text);
        match named {
            Some((_, rule)) => Ok(rule),
            None => text
                .parse()
                .map(Self::Network)
                .map_err(|_| CheckNetworkError),
        }
    }
}

impl fmt::Display for CheckNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Network(network) = self {
            return network.fmt(f);
        }
        let named = Self::NAMED.into_iter().find(|(_, rule)| rule == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl Serialize for CheckNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CheckNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|error| de::Error::custom(format_args!("{text:?} {error}")))
    }
}

/// A text that is no [`CheckNetwork`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "is nowhere that probes could go; write private, loopback, registrant, any, or a network such \
     as 203.0.113.0/24"
)]
pub struct CheckNetworkError;

/// Where probes may go. The default is private networks, this machine, and the
/// address that a registration comes from.
#[derive(Clone, Debug)]
pub struct CheckNetworks {
    rules: Vec<CheckNetwork>,
    networks: Vec<Network>,
    never: Vec<Network>,
}

impl Default for CheckNetworks {
    fn default() -> Self {
        Self::new(vec![
            CheckNetwork::Private,
            CheckNetwork::Loopback,
            CheckNetwork::Registrant,
        ])
    }
}

impl CheckNetworks {
    /// Lets probes go where one of `rules` has them.
    pub fn new(rules: Vec<CheckNetwork>) -> Self {
        let networks = rules.iter().flat_map(|rule| match rule {
            CheckNetwork::Private => parsed(&PRIVATE),
            CheckNetwork::Loopback => parsed(&LOOPBACK),
            CheckNetwork::Any => parsed(&ANY),
            CheckNetwork::Registrant => Vec::new(),
            CheckNetwork::Network(network) => vec![*network],
        });
        Self {
            networks: networks.collect(),
            never: parsed(&NEVER),
            rules,
        }
    }

    /// The rules, as given.
    pub fn rules(&self) -> &[CheckNetwork] {
        &self.rules
    }

    /// Lets a probe to `target` through, for what `registrant` registered.
    ///
    /// # Errors
    ///
    /// It may not be sent, and the error says why.
    pub fn permit(&self, target: IpAddr, registrant: Option<IpAddr>) -> Result<(), Forbidden> {
        let bare = carried(target);
        if self.never.iter().any(|network| network.contains(bare)) {
            return Err(Forbidden::Never(target));
        }
        if self.networks.iter().any(|network| network.contains(bare)) {
            return Ok(());
        }
        let own = registrant.filter(|_| self.rules.contains(&CheckNetwork::Registrant));
        match own.is_some_and(|own| carried(own) == bare) {
            true => Ok(()),
            false => Err(Forbidden::Elsewhere {
                target,
                rules: self.to_string(),
                registrant: own,
            }),
        }
    }

    /// Lets a registration through whose probes may be sent, and notes who registered
    /// it where they may for that reason alone.
    ///
    /// # Errors
    ///
    /// A probe of it would go where none may. A host name's addresses aren't known
    /// yet; they're looked at before each probe.
    pub fn admit(
        &self,
        instance: &mut Instance,
        registrant: Option<IpAddr>,
    ) -> Result<(), InvalidField> {
        let Some(check) = &instance.check else {
            return Ok(());
        };
        let mut is_own = matches!(instance.host, Host::Name(_));
        // Of several, the first one is probed.
        let probed = instance.host.addresses().first();
        if let Some(address) = probed.filter(|address| self.permit(**address, None).is_err()) {
            is_own = true;
            self.permit(*address, registrant).map_err(|forbidden| {
                let detail = format!("asks for probes that aren't sent: {forbidden}");
                InvalidField::new("health_check", detail)
            })?;
        }
        if let Some(registrant) =
            registrant.filter(|own| is_own && self.permit(*own, None).is_err())
        {
            instance.check = Some(std::sync::Arc::new(Check {
                registrant: Some(registrant),
                ..Check::clone(check)
            }));
        }
        Ok(())
    }
}

impl fmt::Display for CheckNetworks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.rules.iter().map(ToString::to_string).collect();
        f.write_str(&rules.join(", "))
    }
}

/// Why a probe isn't sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Forbidden {
    /// None is ever sent there.
    #[error(
        "{0} is link-local, serves a cloud's metadata, or is no host's address, and is never probed"
    )]
    Never(IpAddr),
    /// No rule lets it through.
    #[error(
        "{target} is in no network that may be probed (check_networks: {rules}){}",
        beside(registrant)
    )]
    Elsewhere {
        /// Where it would have gone.
        target: IpAddr,
        /// The rules.
        rules: String,
        /// Who registered, if that would have mattered.
        registrant: Option<IpAddr>,
    },
}

fn beside(registrant: &Option<IpAddr>) -> String {
    registrant.map_or_else(String::new, |own| {
        format!(", and the registration comes from {own}")
    })
}

/// Reads networks that are written in this file.
fn parsed(texts: &[&str]) -> Vec<Network> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// The IPv4 address that an IPv6 one stands for: mapped ([RFC 4291] §2.5.5.2),
/// compatible (§2.5.5.1), translated ([RFC 6052] §2.1, [RFC 8215]) or by 6to4
/// ([RFC 3056] §2). Others are themselves.
///
/// [RFC 3056]: https://www.rfc-editor.org/rfc/rfc3056
/// [RFC 4291]: https://www.rfc-editor.org/rfc/rfc4291
/// [RFC 6052]: https://www.rfc-editor.org/rfc/rfc6052
/// [RFC 8215]: https://www.rfc-editor.org/rfc/rfc8215
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else {
        return address.to_canonical();
    };
    let bits = v6.to_bits();
    let low = Ipv4Addr::from_bits(bits as u32);
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, ..] if v6 != Ipv6Addr::LOCALHOST && !v6.is_unspecified() => low.into(),
        // In the local prefix, where the address stands depends on who translates; the
        // end is usual.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => low.into(),
        [0x2002, ..] => Ipv4Addr::from_bits((bits >> 80) as u32).into(),
        _ => v6.into(),
    }
}

#[cfg(test)]
#[path = "networks_tests.rs"]
mod tests;
