//! An instance as the registry holds it.
//!
//! Valid by construction: [`registration`](super::registration) checks every
//! field against its limits, so whoever holds an [`Instance`] need not look again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::check::{Check, CheckPort};
use crate::name::{DomainName, InstanceId, Label, MAX_LABEL_LEN, ServiceName};

/// One running copy of a service, as it registered.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Instance {
    /// Unique in the registry.
    pub id: InstanceId,
    /// The service it's an instance of.
    pub service: ServiceName,
    /// Up to [`MAX_VERSION_LEN`](super::registration::MAX_VERSION_LEN) octets.
    pub version: Option<Arc<str>>,
    /// Where it runs.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Further ports by name, sorted by it, at most [`MAX_PORTS`](super::registration::MAX_PORTS).
    pub ports: Arc<[(Label, u16)]>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Sorted by key, at most [`MAX_TAGS`](super::registration::MAX_TAGS).
    pub tags: Arc<[(Label, Label)]>,
    /// Sorted by key, at most [`MAX_METADATA`](super::registration::MAX_METADATA) and [`MAX_METADATA_LEN`](super::registration::MAX_METADATA_LEN).
    pub metadata: Metadata,
    /// SRV weight.
    pub weight: u16,
    /// SRV priority.
    pub priority: u16,
    /// Where it is, for names and filters.
    pub locality: Option<Label>,
    /// Length of its lease; `None` when it needs no heartbeat.
    pub term: Option<Duration>,
    /// What is probed, if anything.
    pub check: Option<Arc<Check>>,
}

/// Keys and values for TXT.
pub type Metadata = Arc<[(Box<str>, Box<str>)]>;

impl Instance {
    /// Takes over from another what is equal, so that it's in memory once: instances
    /// of a service are usually much alike.
    pub(super) fn share_with(&mut self, other: &Instance) {
        share(&mut self.service, &other.service);
        share(&mut self.version, &other.version);
        share(&mut self.ports, &other.ports);
        share(&mut self.tags, &other.tags);
        share(&mut self.metadata, &other.metadata);
        share(&mut self.locality, &other.locality);
        share(&mut self.check, &other.check);
    }

    /// The port that its check is to probe; none without a check.
    pub fn check_port(&self) -> Option<u16> {
        match &self.check.as_ref()?.port {
            None => Some(self.port),
            Some(CheckPort::Number(port)) => Some(*port),
            Some(CheckPort::Named(name)) => self.port_named(name.as_str()),
        }
    }

    /// Whether the same thing is checked in the same place, so that what was found of
    /// one goes for the other; whoever registered it.
    pub fn is_checked_like(&self, other: &Self) -> bool {
        let same_check = match (&self.check, &other.check) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_like(other),
            _ => false,
        };
        self.host == other.host
            && self.port == other.port
            && self.check_port() == other.check_port()
            && same_check
    }

    /// Whether something of it is found out regularly: its health, or the addresses of
    /// its host name.
    pub(super) fn is_watched(&self) -> bool {
        self.check.is_some() || matches!(self.host, Host::Name(_))
    }

    /// The port by the name `name`, or the main one when that is the protocol's name.
    pub fn port_named(&self, name: &str) -> Option<u16> {
        if name == self.protocol.as_str() {
            return Some(self.port);
        }
        self.ports
            .iter()
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, port)| *port)
    }

    /// The names `P` in its kinds `_P._tcp` or `_P._udp`: its protocol, and its named
    /// ports as far as their names leave room for the underscore in a label.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        let protocol = self.protocol.as_str();
        let ports = self.ports.iter().map(|(name, _)| name.as_str());
        let fits = move |name: &&str| *name != protocol && name.len() < MAX_LABEL_LEN;
        std::iter::once(protocol).chain(ports.filter(fits))
    }

    /// Whether tag `key` is `value`.
    pub fn has_tag(&self, key: &str, value: &str) -> bool {
        self.tags
            .iter()
            .any(|(k, v)| k.as_str() == key && v.as_str() == value)
    }

    /// The parts of a version of dotted numbers, which names can select; none of another.
    pub fn version_parts(&self) -> impl Iterator<Item = &str> + Clone {
        let text = self.version.as_deref().unwrap_or_default();
        let dotted = text.split('.').all(|part| {
            !part.is_empty() && part.len() <= 63 && part.bytes().all(|b| b.is_ascii_digit())
        });
        text.split('.').filter(move |_| dotted)
    }

    /// Whether the version is `asked` or begins with it at a dot: 1.4 selects 1.4.2.
    pub fn is_version(&self, asked: &str) -> bool {
        self.version.as_deref().is_some_and(|version| {
            version
                .strip_prefix(asked)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// Replaces `own` by an equal `other`, of which there then is one more reference.
fn share<T: Clone + PartialEq>(own: &mut T, other: &T) {
    if own == other {
        own.clone_from(other);
    }
}

/// Where an instance runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Host {
    /// One address.
    Address(IpAddr),
    /// Several addresses of one machine, at most [`MAX_ADDRESSES`](super::registration::MAX_ADDRESSES), each once.
    Addresses(Arc<[IpAddr]>),
    /// A host name, lower case, whose addresses are looked up in the background.
    Name(DomainName),
}

impl Host {
    /// The addresses that were registered; none of a host name.
    pub fn addresses(&self) -> &[IpAddr] {
        match self {
            Self::Address(address) => std::slice::from_ref(address),
            Self::Addresses(addresses) => addresses,
            Self::Name(_) => &[],
        }
    }
}

/// What an instance speaks on its port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// gRPC.
    Grpc,
    /// Anything else over TCP.
    Tcp,
    /// Anything over UDP.
    Udp,
}

impl Protocol {
    const ALL: [Self; 5] = [Self::Http, Self::Https, Self::Grpc, Self::Tcp, Self::Udp];

    /// The protocol of that name, in any letter case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.as_str().eq_ignore_ascii_case(name))
    }

    /// Its name in JSON and, after an underscore, in owner names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// Whether it runs over UDP rather than TCP.
    pub fn is_udp(self) -> bool {
        self == Self::Udp
    }

    /// What it runs over.
    pub fn transport(self) -> Transport {
        if self.is_udp() {
            Transport::Udp
        } else {
            Transport::Tcp
        }
    }
}

/// What a protocol runs over, as SRV owner names have it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Transport {
    /// `_tcp`.
    Tcp,
    /// `_udp`.
    Udp,
}

impl Transport {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// Its label in owner names.
    pub fn label(self) -> &'static str {
        match self {
            Self::Tcp => "_tcp",
            Self::Udp => "_udp",
        }
    }
}
