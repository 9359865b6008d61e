//! Records: what is on disk of the registry, each the whole of what is known of one
//! thing. A later record of the same thing replaces an earlier one, so that it does
//! no harm to read one twice, and a snapshot may be newer than the log that follows.
//!
//! Heartbeats have no record: a lease begins anew with the server. The forms here
//! are those of the format's version; types elsewhere may change without them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::super::check::Health;
use super::super::instance::{Host, Instance, Protocol};
use super::super::policy::{MAX_TTL, ServiceSettings};
use super::super::view::{Member, Report, ReportedStatus};
use super::stored_check::StoredCheck;
use super::stored_settings::StoredSettings;
use crate::name::{DomainName, InstanceId, Label, LabelError, NameError, ServiceName};
use crate::time::{Clock, Moment, TimeOfDay};

/// One thing that is known.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(in crate::registry) enum Record<'a> {
    /// An instance is registered.
    #[serde(borrow)]
    Registered(Stored<'a>),
    /// No instance of that id is; an operator's drain may outlast it.
    Gone {
        /// The id.
        id: &'a str,
        /// Whether it's drained when it comes back.
        drained: bool,
    },
    /// No revision above this one was published.
    Ceiling(u64),
    /// What an operator set of a service; nothing, if that was taken back.
    Settings(StoredSettings<'a>),
    /// The end of a snapshot, with the number of records before it.
    End(u64),
    /// When it was written, answers may have been given with that TTL, whatever is set.
    Held {
        /// Whose answers; those of any service when it's empty.
        service: &'a str,
        /// The TTL, or what is left of it, in milliseconds.
        millis: u64,
    },
}

impl<'a> Record<'a> {
    /// Answers of a service, or of any, may be held for so long.
    pub(in crate::registry) fn held(service: Option<&'a ServiceName>, left: Duration) -> Self {
        Self::Held {
            service: service.map_or("", ServiceName::as_str),
            // Rounded up: rather too long than too short.
            millis: u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX),
        }
    }

    /// Appends the record to `out`.
    pub(in crate::registry) fn encode(&self, out: &mut Vec<u8>) {
        let taken = std::mem::take(out);
        // Nothing in these types can't be written, and a vector takes everything.
        *out = postcard::to_extend(self, taken).unwrap_or_default();
    }

    /// The first record of `octets`, and what follows it.
    pub(in crate::registry) fn decode(octets: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        postcard::take_from_bytes(octets).map_err(|error| Malformed(error.to_string()))
    }
}

/// A record that can't be what was written, though its checksum is right.
#[derive(Debug, thiserror::Error)]
#[error("a record can't be read ({0})")]
pub(in crate::registry) struct Malformed(pub(in crate::registry) String);

impl From<LabelError> for Malformed {
    fn from(error: LabelError) -> Self {
        Self(error.to_string())
    }
}

impl From<NameError> for Malformed {
    fn from(error: NameError) -> Self {
        Self(error.to_string())
    }
}

/// A registered instance, with what was decided about it.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::registry) struct Stored<'a> {
    id: &'a str,
    service: &'a str,
    version: Option<&'a str>,
    #[serde(borrow)]
    host: StoredHost<'a>,
    port: u16,
    ports: Vec<(&'a str, u16)>,
    protocol: &'a str,
    tags: Vec<(&'a str, &'a str)>,
    metadata: Vec<(&'a str, &'a str)>,
    weight: u16,
    priority: u16,
    locality: Option<&'a str>,
    term: Option<Duration>,
    #[serde(borrow)]
    check: Option<StoredCheck<'a>>,
    /// Of a host name, as found last.
    addresses: Vec<IpAddr>,
    health: StoredHealth,
    output: Option<&'a str>,
    report: Option<(StoredHealth, Option<&'a str>)>,
    draining: bool,
    /// Nanoseconds since 1970.
    drained_at: Option<i64>,
    registered: i64,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StoredHost<'a> {
    Address(IpAddr),
    Addresses(Vec<IpAddr>),
    /// As master files have it.
    Name(Cow<'a, str>),
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StoredHealth {
    Starting,
    Passing,
    Warning,
    Failing,
}

impl<'a> Stored<'a> {
    /// What is kept of a member.
    pub(in crate::registry) fn of(member: &'a Member, shown: &TimeOfDay) -> Self {
        let instance = member.instance();
        let wall = |moment| shown.of(moment).timestamp_nanos_opt().unwrap_or(i64::MAX);
        let report = member.report.as_ref();
        Self {
            id: instance.id.as_str(),
            service: instance.service.as_str(),
            version: instance.version.as_deref(),
            host: match &instance.host {
                Host::Address(address) => StoredHost::Address(*address),
                Host::Addresses(addresses) => StoredHost::Addresses(addresses.to_vec()),
                Host::Name(name) => StoredHost::Name(name.to_string().into()),
            },
            port: instance.port,
            ports: instance
                .ports
                .iter()
                .map(|(n, p)| (n.as_str(), *p))
                .collect(),
            protocol: instance.protocol.as_str(),
            tags: instance
                .tags
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect(),
            metadata: instance
                .metadata
                .iter()
                .map(|(k, v)| (&**k, &**v))
                .collect(),
            weight: instance.weight,
            priority: instance.priority,
            locality: instance.locality.as_ref().map(Label::as_str),
            term: instance.term,
            check: instance.check.as_deref().map(StoredCheck::of),
            addresses: match &instance.host {
                Host::Name(_) => member.addresses.to_vec(),
                Host::Address(_) | Host::Addresses(_) => Vec::new(),
            },
            health: match member.health {
                Health::Starting => StoredHealth::Starting,
                Health::Passing => StoredHealth::Passing,
                Health::Warning => StoredHealth::Warning,
                Health::Failing => StoredHealth::Failing,
            },
            output: member.output.as_deref(),
            report: report.map(|report| {
                let status = match report.status {
                    ReportedStatus::Passing => StoredHealth::Passing,
                    ReportedStatus::Warning => StoredHealth::Warning,
                    ReportedStatus::Failing => StoredHealth::Failing,
                };
                (status, report.note.as_deref())
            }),
            draining: member.draining,
            drained_at: member.drained_at.map(wall),
            registered: wall(member.entry.registered),
        }
    }

    /// The member that it is. Names are checked again, so that nothing else gets in.
    ///
    /// What is equal in the instance `before` it in the file is shared with that.
    pub(super) fn restore(
        self,
        clock: &Clock,
        before: Option<&Instance>,
    ) -> Result<Restored, Malformed> {
        let pair = |(key, value): (&str, &str)| Ok((key.parse()?, value.parse()?));
        let port = |(name, port): (&str, u16)| Ok((name.parse()?, port));
        let text = |(key, value): (&str, &str)| (key.into(), value.into());
        let moment = |nanos| clock.moment(DateTime::from_timestamp_nanos(nanos));
        let protocol = Protocol::named(self.protocol);
        let protocol = protocol.ok_or_else(|| Malformed("unknown protocol".to_owned()))?;
        let ports = self.ports.into_iter().map(port);
        let ports: Arc<[_]> = ports.collect::<Result<_, LabelError>>()?;
        let check = self.check.map(|check| check.restore(protocol, &ports));
        let tags = before.filter(|before| {
            let known = before.tags.iter().map(|(k, v)| (k.as_str(), v.as_str()));
            known.eq(self.tags.iter().copied())
        });
        let metadata = before.filter(|before| {
            let known = before.metadata.iter().map(|(k, v)| (&**k, &**v));
            known.eq(self.metadata.iter().copied())
        });
        let version = before.filter(|before| before.version.as_deref() == self.version);
        let service = before.filter(|before| before.service.as_str() == self.service);
        let host = match self.host {
            StoredHost::Address(address) => Host::Address(address),
            StoredHost::Addresses(addresses) => Host::Addresses(addresses.into()),
            StoredHost::Name(name) => Host::Name(DomainName::parse(&name, None)?),
        };
        let addresses = match &host {
            Host::Name(_) => self.addresses.into(),
            host => host.addresses().into(),
        };
        Ok(Restored {
            instance: Instance {
                id: self.id.parse()?,
                service: match service {
                    Some(before) => before.service.clone(),
                    None => self.service.parse()?,
                },
                version: match version {
                    Some(before) => before.version.clone(),
                    None => self.version.map(Into::into),
                },
                host,
                port: self.port,
                ports,
                protocol,
                tags: match tags {
                    Some(before) => before.tags.clone(),
                    None => {
                        let tags = self.tags.into_iter().map(pair);
                        tags.collect::<Result<_, LabelError>>()?
                    }
                },
                metadata: match metadata {
                    Some(before) => before.metadata.clone(),
                    None => self.metadata.into_iter().map(text).collect(),
                },
                weight: self.weight,
                priority: self.priority,
                locality: self.locality.map(str::parse).transpose()?,
                term: self.term,
                check: check.transpose()?.map(Arc::new),
            },
            addresses,
            health: match self.health {
                StoredHealth::Starting => Health::Starting,
                StoredHealth::Passing => Health::Passing,
                StoredHealth::Warning => Health::Warning,
                StoredHealth::Failing => Health::Failing,
            },
            output: self.output.map(Into::into),
            report: self.report.map(|(status, note)| Report {
                status: match status {
                    StoredHealth::Starting | StoredHealth::Passing => ReportedStatus::Passing,
                    StoredHealth::Warning => ReportedStatus::Warning,
                    StoredHealth::Failing => ReportedStatus::Failing,
                },
                note: note.map(Into::into),
            }),
            draining: self.draining,
            drained_at: self.drained_at.map(moment),
            registered: moment(self.registered),
        })
    }
}

/// An instance that was registered when the server last ran.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Restored {
    /// What registered.
    pub(in crate::registry) instance: Instance,
    /// The addresses of its host.
    pub(in crate::registry) addresses: Arc<[IpAddr]>,
    /// What its check said last.
    pub(in crate::registry) health: Health,
    /// And with what.
    pub(in crate::registry) output: Option<Arc<str>>,
    /// What it said of itself.
    pub(in crate::registry) report: Option<Report>,
    /// Whether an operator withdrew it.
    pub(in crate::registry) draining: bool,
    /// Until when its own name answers in spite of that.
    pub(in crate::registry) drained_at: Option<Moment>,
    /// When it registered first.
    pub(in crate::registry) registered: Moment,
}

/// What a record says, in types that live on.
#[derive(Debug)]
pub(in crate::registry) enum Known {
    /// An instance is registered.
    Registered(Box<Restored>),
    /// None of that id is.
    Gone(InstanceId, bool),
    /// No revision above this one was published.
    Ceiling(u64),
    /// What an operator set of a service.
    Settings(ServiceName, ServiceSettings),
    /// For how long answers of a service, or of any, may have been given.
    Held(Option<ServiceName>, Duration),
}

impl Known {
    /// What a record says that stands behind `before`; of the end of a snapshot, the
    /// number of records before it.
    pub(in crate::registry) fn of(
        record: Record<'_>,
        clock: &Clock,
        before: Option<&Known>,
    ) -> Result<Result<Self, u64>, Malformed> {
        Ok(Ok(match record {
            Record::Registered(stored) => {
                let before = match before {
                    Some(Self::Registered(before)) => Some(&before.instance),
                    _ => None,
                };
                Self::Registered(Box::new(stored.restore(clock, before)?))
            }
            Record::Gone { id, drained } => Self::Gone(id.parse()?, drained),
            Record::Settings(stored) => {
                let (service, settings) = stored.restore()?;
                Self::Settings(service, settings)
            }
            Record::Ceiling(revision) => Self::Ceiling(revision),
            Record::Held { service, millis } => {
                let service = (!service.is_empty()).then(|| service.parse()).transpose()?;
                Self::Held(service, Duration::from_millis(millis).min(MAX_TTL))
            }
            Record::End(count) => return Ok(Err(count)),
        }))
    }
}
