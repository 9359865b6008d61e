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
//! ```
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

use crate::registry::instance::Instance;

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
    /// None of these; nothing dynamic has such a name.
    Unknown,
}

/// Which instances of a service a name selects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Selection<'a> {
    /// All.
    All,
    /// `_S._tcp.Z`: those over that transport, for SRV only.
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

/// The transport in an SRV owner name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// `_tcp`.
    Tcp,
    /// `_udp`.
    Udp,
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

impl Transport {
    fn from_label(label: &str) -> Option<Self> {
        match label {
            "_tcp" => Some(Self::Tcp),
            "_udp" => Some(Self::Udp),
            _ => None,
        }
    }

    fn carries(self, instance: &Instance) -> bool {
        instance.protocol.is_udp() == (self == Self::Udp)
    }
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
        if let Some(transport) = Transport::from_label(last) {
            return match below {
                [] => Self::Transports,
                [name] => name
                    .strip_prefix('_')
                    .map_or(Self::Unknown, |service| Self::Service {
                        service,
                        selection: Selection::Transport(transport),
                    }),
                _ => Self::Unknown,
            };
        }
        Self::of_service(last, below)
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
            [label] => match Transport::from_label(label) {
                Some(transport) => Selection::Between(Between::Transport(transport)),
                None => return Self::Instance { service, id: label },
            },
            [port, transport] => match (port.strip_prefix('_'), Transport::from_label(transport)) {
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
                transport.carries(instance)
            }
            Self::Port(transport, port) => {
                transport.carries(instance) && instance.port_named(port).is_some()
            }
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(name: &str) -> Owner<'_> {
        let labels: Vec<&[u8]> = name
            .split('.')
            .filter(|label| !label.is_empty())
            .map(str::as_bytes)
            .collect();
        Owner::parse(&labels)
    }

    fn of_web(selection: Selection<'_>) -> Owner<'_> {
        Owner::Service {
            service: "web",
            selection,
        }
    }

    #[test]
    fn reads_the_table_of_names() {
        assert_eq!(parse(""), Owner::Apex);
        assert_eq!(parse("_tcp"), Owner::Transports);
        assert_eq!(parse("web"), of_web(Selection::All));
        assert_eq!(
            parse("_web._tcp"),
            of_web(Selection::Transport(Transport::Tcp))
        );
        assert_eq!(
            parse("_web._udp"),
            of_web(Selection::Transport(Transport::Udp))
        );
        assert_eq!(
            parse("_http._tcp.web"),
            of_web(Selection::Port(Transport::Tcp, "http"))
        );
        assert_eq!(
            parse("web-1.web"),
            Owner::Instance {
                service: "web",
                id: "web-1"
            }
        );
        assert_eq!(
            parse("prod.env.blue.color.tag.web"),
            of_web(Selection::Tags(
                vec![("color", "blue"), ("env", "prod")],
                None
            ))
        );
        assert_eq!(
            parse("1.4.version.web"),
            of_web(Selection::Version(vec!["1", "4"]))
        );
        assert_eq!(
            parse("eu-1.locality.web"),
            of_web(Selection::Locality("eu-1"))
        );
    }

    #[test]
    fn reads_the_names_in_between() {
        assert_eq!(parse("tag.web"), of_web(Selection::Tags(vec![], None)));
        assert_eq!(
            parse("env.tag.web"),
            of_web(Selection::Tags(vec![], Some("env")))
        );
        assert_eq!(
            parse("version.web"),
            of_web(Selection::Between(Between::Version))
        );
        assert_eq!(
            parse("locality.web"),
            of_web(Selection::Between(Between::Locality))
        );
        assert_eq!(
            parse("_udp.web"),
            of_web(Selection::Between(Between::Transport(Transport::Udp)))
        );
    }

    #[test]
    fn knows_nothing_else() {
        for name in [
            "a.b.web",
            "x._http._tcp.web",
            "http._tcp.web",
            "web._tcp",
            "a._web._tcp",
        ] {
            assert_eq!(parse(name), Owner::Unknown, "{name}");
        }
        assert_eq!(Owner::parse(&[b"\xff", b"web"]), Owner::Unknown);
    }

    fn label() -> impl Strategy<Value = String> {
        "[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?".prop_filter("no reserved word", |l| {
            !crate::name::RESERVED.contains(&l.as_str())
        })
    }

    proptest! {
        /// Whatever is written by the table of names reads back as what was meant.
        #[test]
        fn names_read_as_they_are_written(
            service in label(), id in label(), pairs in prop::collection::vec((label(), label()), 1..4),
            parts in prop::collection::vec("[0-9]{1,3}", 1..4), locality in label(),
        ) {
            let selection = |selection| Owner::Service { service: &service, selection };
            let name = format!("{id}.{service}");
            prop_assert_eq!(parse(&name), Owner::Instance { service: &service, id: &id });
            let name = pairs.iter().fold(format!("tag.{service}"), |name, (key, value)| {
                format!("{value}.{key}.{name}")
            });
            let tags = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            prop_assert_eq!(parse(&name), selection(Selection::Tags(tags, None)));
            let version = parts.iter().map(String::as_str).collect();
            let name = format!("{}.version.{service}", parts.join("."));
            prop_assert_eq!(
                parse(&name),
                selection(Selection::Version(version)));
            let name = format!("{locality}.locality.{service}");
            prop_assert_eq!(
                parse(&name),
                selection(Selection::Locality(&locality)));
        }

        #[test]
        fn no_labels_panic(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..5), 0..8)) {
            let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
            let _ = Owner::parse(&labels);
        }
    }
}
