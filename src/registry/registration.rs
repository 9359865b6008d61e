//! From a registration's JSON to an [`Instance`]: every field, its limits and defaults.
//!
//! An error names the field, what was wrong and what is allowed. The first one
//! found is told; nothing is taken of a registration that has one.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::check::Check;
use super::instance::{Host, Instance, Metadata, Protocol};
use super::view::{Report, ReportedStatus};
use crate::api::{Heartbeat, Registration};
use crate::name::{DomainName, InstanceId, Label, LabelError};
use crate::time::TimeSpan;

/// Most octets of `version`.
pub const MAX_VERSION_LEN: usize = 64;
/// Most `addresses` of an instance.
pub const MAX_ADDRESSES: usize = 8;
/// Most further `ports` of an instance.
pub const MAX_PORTS: usize = 16;
/// Most `tags` of an instance.
pub const MAX_TAGS: usize = 32;
/// Most entries of `metadata`.
pub const MAX_METADATA: usize = 64;
/// Most octets of `metadata`, keys and values together.
pub const MAX_METADATA_LEN: usize = 4096;
/// Most octets of one `key=value` string of TXT ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §3.3.14).
pub const MAX_PAIR_LEN: usize = 255;
/// Most octets of the note of a heartbeat.
pub const MAX_NOTE_LEN: usize = 200;
/// Shortest term of a lease.
pub const MIN_TERM: Duration = Duration::from_secs(2);
/// Longest term of a lease.
pub const MAX_TERM: Duration = Duration::from_secs(24 * 3600);
/// Term of a lease that names none.
pub const DEFAULT_TERM: Duration = Duration::from_secs(30);
/// SRV weight unless given. HAProxy divides weights by 256, so this is its 1.
pub const DEFAULT_WEIGHT: u16 = 256;
/// SRV priority unless given.
pub const DEFAULT_PRIORITY: u16 = 10;

/// A field of a registration that can't be taken, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{field} {detail}")]
pub struct InvalidField {
    /// Path of the field, such as `tags.env` or `health_check.interval`.
    pub field: String,
    /// What was wrong and what is allowed.
    pub detail: String,
}

impl InvalidField {
    /// Names a field and what is wrong with it.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            detail: detail.into(),
        }
    }
}

impl TryFrom<Registration> for Instance {
    type Error = InvalidField;

    fn try_from(from: Registration) -> Result<Self, InvalidField> {
        let id: InstanceId = label("id", required("id", from.id)?.as_str())?;
        let service = label("name", required("name", from.name)?.as_str())?;
        let protocol = protocol(from.protocol.as_deref())?;
        let ports = ports(from.ports)?;
        let check = from
            .health_check
            .map(|check| Check::from_api(check, protocol, &ports))
            .transpose()?
            .flatten();
        let instance = Self {
            id,
            service,
            version: version(from.version)?,
            host: host(from.host.as_deref(), from.addresses.as_deref())?,
            port: port_number("port", required("port", from.port)?)?,
            ports,
            protocol,
            tags: tags(from.tags)?,
            metadata: metadata(from.metadata)?,
            weight: number("weight", from.weight, DEFAULT_WEIGHT)?,
            priority: number("priority", from.priority, DEFAULT_PRIORITY)?,
            locality: from
                .locality
                .map(|text| label("locality", &text))
                .transpose()?,
            term: term(from.lease, check.is_some())?,
            check: check.map(Arc::new),
        };
        if instance
            .ports
            .iter()
            .any(|(name, port)| name.as_str() == protocol.as_str() && *port != instance.port)
        {
            return Err(InvalidField::new(
                format!("ports.{}", protocol.as_str()),
                "has the protocol's name and another number than port; give it another name",
            ));
        }
        Ok(instance)
    }
}

impl TryFrom<Heartbeat> for Option<Report> {
    type Error = InvalidField;

    fn try_from(from: Heartbeat) -> Result<Self, InvalidField> {
        let Some(status) = from.status else {
            return match from.note {
                Some(_) => Err(InvalidField::new(
                    "note",
                    "is given without status; give both",
                )),
                None => Ok(None),
            };
        };
        let status = [
            ReportedStatus::Passing,
            ReportedStatus::Warning,
            ReportedStatus::Failing,
        ]
        .into_iter()
        .find(|known| known.as_str() == status)
        .ok_or_else(|| {
            InvalidField::new(
                "status",
                format!(
                    "{status:?} is unknown; allowed are \"passing\", \"warning\" and \"failing\""
                ),
            )
        })?;
        let note = from.note.map(|note| match note.len() {
            0..=MAX_NOTE_LEN => Ok(note.into()),
            len => Err(InvalidField::new(
                "note",
                format!("has {len} octets; at most {MAX_NOTE_LEN} are allowed"),
            )),
        });
        Ok(Some(Report {
            status,
            note: note.transpose()?,
        }))
    }
}

fn required<T>(field: &str, value: Option<T>) -> Result<T, InvalidField> {
    value.ok_or_else(|| InvalidField::new(field, "is missing; it is required"))
}

/// Reads a label-like name, and names the field when it isn't one.
fn label<T: std::str::FromStr<Err = LabelError>>(
    field: &str,
    text: &str,
) -> Result<T, InvalidField> {
    text.parse()
        .map_err(|error| InvalidField::new(field, format!("{text:?} {error}")))
}

fn protocol(text: Option<&str>) -> Result<Protocol, InvalidField> {
    let Some(text) = text else {
        return Ok(Protocol::Http);
    };
    Protocol::named(text).ok_or_else(|| {
        InvalidField::new(
            "protocol",
            format!("{text:?} is unknown; allowed are \"http\", \"https\", \"grpc\", \"tcp\" and \"udp\""),
        )
    })
}

fn version(text: Option<String>) -> Result<Option<Arc<str>>, InvalidField> {
    let Some(text) = text else {
        return Ok(None);
    };
    if text.is_empty() || text.len() > MAX_VERSION_LEN {
        return Err(InvalidField::new(
            "version",
            format!(
                "has {} octets; allowed are 1 to {MAX_VERSION_LEN}",
                text.len()
            ),
        ));
    }
    Ok(Some(text.into()))
}

fn host(host: Option<&str>, addresses: Option<&[String]>) -> Result<Host, InvalidField> {
    match (host, addresses) {
        (Some(_), Some(_)) => Err(InvalidField::new(
            "addresses",
            "is given beside host; give one of them",
        )),
        (None, None) => Err(InvalidField::new(
            "host",
            "is missing; give an IP address or a host name, or several IP addresses in addresses",
        )),
        (Some(text), None) => match text.parse() {
            Ok(ip) => Ok(Host::Address(dialable("host", ip)?)),
            Err(_) => host_name(text).map(Host::Name),
        },
        (None, Some(texts)) => {
            if texts.is_empty() || texts.len() > MAX_ADDRESSES {
                return Err(InvalidField::new(
                    "addresses",
                    format!(
                        "has {} entries; allowed are 1 to {MAX_ADDRESSES}",
                        texts.len()
                    ),
                ));
            }
            let mut seen = HashSet::new();
            let mut addresses = Vec::with_capacity(texts.len());
            for (index, text) in texts.iter().enumerate() {
                let field = format!("addresses.{index}");
                let ip = text.parse().map_err(|_| {
                    InvalidField::new(&field, format!("{text:?} is no IPv4 or IPv6 address"))
                })?;
                if seen.insert(ip) {
                    addresses.push(dialable(&field, ip)?);
                }
            }
            Ok(Host::Addresses(addresses.into()))
        }
    }
}

/// Whether it's an address that a client can connect to.
pub fn is_dialable(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}

/// Lets through an address that a client can connect to.
fn dialable(field: &str, ip: IpAddr) -> Result<IpAddr, InvalidField> {
    if !is_dialable(ip) {
        return Err(InvalidField::new(
            field,
            format!("{ip} can't be connected to; give the address that clients dial"),
        ));
    }
    Ok(ip)
}

/// Reads a host name: labels of letters, digits and hyphens, the last not a number.
fn host_name(text: &str) -> Result<DomainName, InvalidField> {
    let wrong = || {
        InvalidField::new(
            "host",
            format!(
                "{text:?} is neither an IP address nor a host name; a host name is labels of a-z, 0-9 \
                 and \"-\" with dots between, the last not a number"
            ),
        )
    };
    let relative = text.strip_suffix('.').unwrap_or(text);
    let mut labels = relative.split('.').map(str::parse::<Label>);
    let well_formed = labels.all(|label| label.is_ok());
    let last = relative.rsplit('.').next().unwrap_or_default();
    if !well_formed || last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    DomainName::parse(&format!("{relative}."), None)
        .map(|name| name.folded())
        .map_err(|_| wrong())
}

/// Reads a port.
pub(super) fn port_number(field: &str, value: i64) -> Result<u16, InvalidField> {
    u16::try_from(value)
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| {
            InvalidField::new(
                field,
                format!("{value} is out of range; allowed are 1 to 65535"),
            )
        })
}

fn number(field: &str, value: Option<i64>, default: u16) -> Result<u16, InvalidField> {
    value.map_or(Ok(default), |value| {
        u16::try_from(value).map_err(|_| {
            InvalidField::new(
                field,
                format!("{value} is out of range; allowed are 0 to 65535"),
            )
        })
    })
}

/// Refuses a map with more than `most` entries.
fn bounded<V>(field: &str, map: &BTreeMap<String, V>, most: usize) -> Result<(), InvalidField> {
    if map.len() > most {
        return Err(InvalidField::new(
            field,
            format!("has {} entries; at most {most} are allowed", map.len()),
        ));
    }
    Ok(())
}

/// Refuses a `key=value` that is no single TXT string.
fn fits_txt(field: &str, key: &str, value: &str) -> Result<(), InvalidField> {
    let len = key.len() + 1 + value.len();
    if len > MAX_PAIR_LEN {
        return Err(InvalidField::new(
            field,
            format!("has {len} octets as key=value; a TXT string holds {MAX_PAIR_LEN}"),
        ));
    }
    Ok(())
}

fn ports(map: BTreeMap<String, i64>) -> Result<Arc<[(Label, u16)]>, InvalidField> {
    bounded("ports", &map, MAX_PORTS)?;
    let ports = map.into_iter().map(|(name, value)| {
        let field = format!("ports.{name}");
        let name: Label = label(&field, &name)?;
        // The owner name writes an underscore before it.
        if name.as_str().len() == crate::name::MAX_LABEL_LEN {
            return Err(InvalidField::new(
                field,
                "has 63 octets; a port's name may have 62",
            ));
        }
        Ok((name, port_number(&field, value)?))
    });
    distinct("ports", ports)
}

fn tags(map: BTreeMap<String, String>) -> Result<Arc<[(Label, Label)]>, InvalidField> {
    bounded("tags", &map, MAX_TAGS)?;
    let tags = map.into_iter().map(|(key, value)| {
        let field = format!("tags.{key}");
        Ok((label(&field, &key)?, label(&field, &value)?))
    });
    distinct("tags", tags)
}

/// Collects pairs by key; two keys that differ only in letter case are one too many.
fn distinct<V>(
    field: &str,
    pairs: impl Iterator<Item = Result<(Label, V), InvalidField>>,
) -> Result<Arc<[(Label, V)]>, InvalidField> {
    let mut sorted = BTreeMap::new();
    for pair in pairs {
        let (key, value) = pair?;
        if sorted.contains_key(&key) {
            return Err(InvalidField::new(
                format!("{field}.{key}"),
                "is given twice; letter case doesn't tell keys apart",
            ));
        }
        sorted.insert(key, value);
    }
    Ok(sorted.into_iter().collect())
}

fn metadata(map: BTreeMap<String, String>) -> Result<Metadata, InvalidField> {
    bounded("metadata", &map, MAX_METADATA)?;
    let total: usize = map.iter().map(|(key, value)| key.len() + value.len()).sum();
    if total > MAX_METADATA_LEN {
        return Err(InvalidField::new(
            "metadata",
            format!("has {total} octets in all; at most {MAX_METADATA_LEN} are allowed"),
        ));
    }
    map.into_iter()
        .map(|(key, value)| {
            let field = format!("metadata.{key}");
            // RFC 6763 §6.4: a key is printable ASCII without "=".
            let printable = key.bytes().all(|b| (0x20..=0x7e).contains(&b) && b != b'=');
            if key.is_empty() || !printable {
                return Err(InvalidField::new(
                    field,
                    "has a key that TXT can't hold; allowed is printable ASCII without \"=\"",
                ));
            }
            fits_txt(&field, &key, &value)?;
            Ok((key.into(), value.into()))
        })
        .collect()
}

/// Reads the lease: left out is the default, `null` needs a check in its place.
fn term(lease: Option<Option<String>>, checked: bool) -> Result<Option<Duration>, InvalidField> {
    match lease {
        None => Ok(Some(DEFAULT_TERM)),
        Some(None) if checked => Ok(None),
        Some(None) => Err(InvalidField::new(
            "lease",
            "is null and nothing is probed, so nothing would tell that it ended; give a term such as \"30s\", or a health_check whose kind isn't \"none\"",
        )),
        Some(Some(text)) => span("lease", &text, MIN_TERM, MAX_TERM).map(Some),
    }
}

/// Reads a duration between `min` and `max`.
pub(super) fn span(
    field: &str,
    text: &str,
    min: Duration,
    max: Duration,
) -> Result<Duration, InvalidField> {
    let TimeSpan(span) = text
        .parse()
        .map_err(|error| InvalidField::new(field, format!("{text:?} {error}")))?;
    if span < min || max < span {
        return Err(InvalidField::new(
            field,
            format!(
                "{text:?} is out of range; allowed are {} to {}",
                TimeSpan(min),
                TimeSpan(max)
            ),
        ));
    }
    Ok(span)
}
