//! Owner names of the discovery zone, and what each asks for.
//!
//! With `Z` the zone, `S` a service and `I` an instance:
//!
//! ```text
//! S.Z                          the service
//! _S._tcp.Z   _S._udp.Z        the service, by RFC 2782
//! _P._tcp.S.Z _P._udp.S.Z      the service's port P, or its protocol P
//! I.S.Z                        one instance
//! V.K.tag.S.Z                  instances whose tag K is V; pairs chain to the left
//! 1.4.version.S.Z              version 1.4 and every 1.4.x
//! L.locality.S.Z               instances in L
//! _config.S.Z                  configuration values of the service
//! _grpc_config.S.Z             gRPC's service config
//! _services._dns-sd._udp.Z     kinds of instances, for browsing (RFC 6763 §9)
//! _P._tcp.Z   _P._udp.Z        instances of a kind: with port P or protocol P
//! I._P._tcp.Z I._P._udp.Z      one instance, for what it has of that kind
//! b._dns-sd._udp.Z, db, lb     the zone to browse in (RFC 6763 §11)
//! ```
//!
//! `_P._tcp.Z` is one name with `_S._tcp.Z`: SRV is asked of the service, PTR of
//! the kind, and it's there when either is.
//!
//! What lies between these and `Z` exists without records of its own, so it's
//! NODATA, never NXDOMAIN ([RFC 8020], [RFC 4592] §2.2.2): resolvers that
//! minimise names ask for it first.
//!
//! Only the grammar is here; whether a service or a tag exists is asked of the
//! registry. A service's or port's name of 63 octets has no underscored form,
//! since a label holds 63 with the underscore.
//!
//! [RFC 4592]: https://www.rfc-editor.org/rfc/rfc4592
//! [RFC 8020]: https://www.rfc-editor.org/rfc/rfc8020

use crate::registry::instance::{Instance, Transport};

/// What an owner name, taken relative to the zone, asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Owner<'a> {
    /// The zone itself.
    Apex,
    /// `_tcp.Z` or `_udp.Z`: above the names of RFC 2782.
    Transports,
    /// Instances of a service.
    Service {
        /// The service.
        service: &'a str,
        /// Which of its instances.
        selection: Selection<'a>,
    },
    /// One instance.
    Instance {
        /// The service.
        service: &'a str,
        /// The instance's id.
        id: &'a str,
    },
    /// `_config.S.Z`: configuration values of a service.
    Config(&'a str),
    /// `_grpc_config.S.Z`: gRPC's service config of a service.
    GrpcConfig(&'a str),
    /// `_services._dns-sd._udp.Z`: the kinds of what is registered.
    Kinds,
    /// `b._dns-sd._udp.Z`, `db` and `lb`: the zone to browse in. An instance of kind
    /// `_dns-sd._udp` may be called so, too.
    BrowsingDomain(&'a str),
    /// One instance of a kind.
    OfKind {
        /// What it runs over.
        transport: Transport,
        /// Its protocol, or the name of one of its ports.
        kind: &'a str,
        /// The instance's id.
        id: &'a str,
    },
    /// None of these; nothing dynamic has such a name.
    Unknown,
}

/// Which instances of a service a name selects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selection<'a> {
    /// All.
    All,
    /// `_S._tcp.Z`: those over that transport, for SRV only. PTR there is of the
    /// kind of that name.
    Transport(Transport),
    /// `_P._tcp.S.Z`: those with that protocol or named port, for SRV only.
    Port(Transport, &'a str),
    /// Those with every one of these tags (key, value), then perhaps a key
    /// without its value: the name in between.
    Tags(Vec<(&'a str, &'a str)>, Option<&'a str>),
    /// Those of a version, its parts from left to right.
    Version(Vec<&'a str>),
    /// Those in a locality.
    Locality(&'a str),
    /// `_tcp.S.Z`, `version.S.Z` and the like: a name in between.
    Between(Between),
}

/// A name that exists only because names below it do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Between {
    /// Above `_P._tcp` or `_P._udp`.
    Transport(Transport),
    /// Above versions.
    Version,
    /// Above localities.
    Locality,
}

/// Reads `_tcp` or `_udp`.
fn transport_of(label: &str) -> Option<Transport> {
    Transport::ALL
        .into_iter()
        .find(|transport| transport.label() == label)
}

/// Whether `transport` is what `instance` runs over.
fn carries(transport: Transport, instance: &Instance) -> bool {
    instance.protocol.transport() == transport
}

/// Whether `instance` is of a kind.
pub(super) fn is_of_kind(instance: &Instance, transport: Transport, kind: &str) -> bool {
    carries(transport, instance) && instance.port_named(kind).is_some()
}

impl<'a> Owner<'a> {
    /// Reads labels relative to the zone, from left to right and in lower case.
    pub fn parse(labels: &[&'a [u8]]) -> Self {
        // Labels that are no text name nothing here.
        let mut texts = Vec::with_capacity(labels.len());
        for label in labels {
            match std::str::from_utf8(label) {
                Ok(text) => texts.push(text),
                Err(_) => return Self::Unknown,
            }
        }
        let Some((&last, below)) = texts.split_last() else {
            return Self::Apex;
        };
        match transport_of(last) {
            Some(transport) => Self::over(transport, below),
            None => Self::of_service(last, below),
        }
    }

    /// Reads the labels to the left of `_tcp` or `_udp`.
    fn over(transport: Transport, below: &[&'a str]) -> Self {
        match below {
            [] => Self::Transports,
            ["_services", "_dns-sd"] if transport == Transport::Udp => Self::Kinds,
            [label @ ("b" | "db" | "lb"), "_dns-sd"] if transport == Transport::Udp => {
                Self::BrowsingDomain(label)
            }
            [name] => name
                .strip_prefix('_')
                .map_or(Self::Unknown, |service| Self::Service {
                    service,
                    selection: Selection::Transport(transport),
                }),
            [id, kind] => kind
                .strip_prefix('_')
                .map_or(Self::Unknown, |kind| Self::OfKind {
                    transport,
                    kind,
                    id,
                }),
            _ => Self::Unknown,
        }
    }

    /// Reads the labels to the left of a service.
    fn of_service(service: &'a str, below: &[&'a str]) -> Self {
        let selection = match below {
            [] => Selection::All,
            [pairs @ .., "tag"] => tags(pairs),
            ["version"] => Selection::Between(Between::Version),
            [parts @ .., "version"] => Selection::Version(parts.to_vec()),
            ["locality"] => Selection::Between(Between::Locality),
            [locality, "locality"] => Selection::Locality(locality),
            ["_config"] => return Self::Config(service),
            ["_grpc_config"] => return Self::GrpcConfig(service),
            [label] => match transport_of(label) {
                Some(transport) => Selection::Between(Between::Transport(transport)),
                None => return Self::Instance { service, id: label },
            },
            [port, transport] => match (port.strip_prefix('_'), transport_of(transport)) {
                (Some(port), Some(transport)) => Selection::Port(transport, port),
                _ => return Self::Unknown,
            },
            _ => return Self::Unknown,
        };
        Self::Service { service, selection }
    }
}

/// Reads `V.K` pairs; the one next to `tag` is the last in the name and the
/// first of the chain.
fn tags<'a>(labels: &[&'a str]) -> Selection<'a> {
    let mut chunks = labels.rchunks_exact(2);
    let pairs = chunks.by_ref().map(|pair| (pair[1], pair[0])).collect();
    Selection::Tags(pairs, chunks.remainder().first().copied())
}

impl Selection<'_> {
    /// Whether `instance` makes this name exist: it's selected, or a name below
    /// this one selects it.
    pub fn is_reached_by(&self, instance: &Instance) -> bool {
        match self {
            Self::All => true,
            Self::Transport(transport) | Self::Between(Between::Transport(transport)) => {
                carries(*transport, instance)
            }
            Self::Port(transport, port) => is_of_kind(instance, *transport, port),
            Self::Tags(pairs, open) => {
                pairs
                    .iter()
                    .all(|(key, value)| instance.has_tag(key, value))
                    && match open {
                        Some(open) => instance.tags.iter().any(|(key, _)| key.as_str() == *open),
                        None => !pairs.is_empty() || !instance.tags.is_empty(),
                    }
            }
            // `4.version` lies above `1.4.version`: any run of the parts exists.
            Self::Version(asked) => {
                let parts: Vec<&str> = instance.version_parts().collect();
                parts.windows(asked.len()).any(|run| run == asked)
            }
            Self::Locality(locality) => instance
                .locality
                .as_ref()
                .is_some_and(|known| known.as_str() == *locality),
            Self::Between(Between::Version) => instance.version_parts().next().is_some(),
            Self::Between(Between::Locality) => instance.locality.is_some(),
        }
    }

    /// Whether records at this name are made from `instance`, one that
    /// [reaches](Selection::is_reached_by) it.
    pub fn selects(&self, instance: &Instance) -> bool {
        match self {
            Self::Tags(pairs, open) => !pairs.is_empty() && open.is_none(),
            Self::Version(asked) => {
                let parts: Vec<&str> = instance.version_parts().collect();
                parts.starts_with(asked)
            }
            Self::Between(_) => false,
            Self::All | Self::Transport(_) | Self::Port(..) | Self::Locality(_) => true,
        }
    }

    /// Whether there are so many names like this one that a client could ask for
    /// new ones without end: tags chain in any order and as often as one likes.
    pub fn has_no_end(&self) -> bool {
        matches!(self, Self::Tags(pairs, _) if pairs.len() > 2)
    }

    /// Whether SRV is the only type at this name.
    pub fn is_srv_only(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Port(..))
    }

    /// The port of `instance` that an SRV at this name gives.
    pub fn port(&self, instance: &Instance) -> u16 {
        match self {
            Self::Port(_, name) => instance.port_named(name).unwrap_or(instance.port),
            _ => instance.port,
        }
    }
}

#[cfg(test)]
#[path = "owner_tests.rs"]
mod tests;
