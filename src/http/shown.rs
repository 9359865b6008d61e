//! Answers about instances as they're written: what types of [`api`](crate::api) are
//! read from, borrowed from the registry for the moment in which that is done.
//!
//! An answer is some dozen texts, and one that holds many instances is a million of
//! them: they aren't copied first.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::api::explain::Resolved;
use crate::api::{HealthCheck, Lease, Problem};
use crate::name::Label;
use crate::time::{TimeSpan, rfc3339};

/// An instance as it's read back: what was registered, with defaults filled in,
/// and what the server knows of it.
///
/// Borrowed from the registry: it's made for the moment in which it's written.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Instance<'a> {
    /// The id, lower case.
    pub(super) id: &'a str,
    /// The service.
    pub(super) name: &'a str,
    /// Left out when none was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<&'a str>,
    /// Left out when `addresses` was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<Host<'a>>,
    /// Left out when `host` was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) addresses: Option<&'a [IpAddr]>,
    /// The port.
    pub(super) port: u16,
    /// Further ports by name.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub(super) ports: Pairs<'a, Label, u16>,
    /// The application protocol.
    pub(super) protocol: &'static str,
    /// Tags.
    pub(super) tags: Pairs<'a, Label, Label>,
    /// Metadata.
    pub(super) metadata: Pairs<'a, Box<str>, Box<str>>,
    /// SRV weight.
    pub(super) weight: u16,
    /// SRV priority.
    pub(super) priority: u16,
    /// Left out when none was registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) locality: Option<&'a str>,
    /// The term, or `null` when no heartbeat is needed.
    pub(super) lease: Option<TimeSpan>,
    /// Left out when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_check: Option<HealthCheck>,
    /// When this id was first registered without a gap since.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub(super) registration_time: DateTime<Utc>,
    /// When the lease was last renewed; the registration counts as a renewal.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub(super) last_heartbeat: DateTime<Utc>,
    /// What the server knows of it now.
    pub(super) state: InstanceState<'a>,
}

/// Where an instance runs, when that is in one piece.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Host<'a> {
    /// An address.
    Address(IpAddr),
    /// A host name, without the final dot.
    Name(Cow<'a, str>),
}

/// A map, in the order in which it's kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairs<'a, K, V>(pub(super) &'a [(K, V)]);

impl<K, V> Pairs<'_, K, V> {
    /// Whether there's nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Pairs<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// What the server knows of an instance now.
#[derive(Clone, Debug, Serialize)]
pub(super) struct InstanceState<'a> {
    /// Whether DNS answers with it.
    pub(super) listed: bool,
    /// `passing`, `failing` or `starting`.
    pub(super) health: &'static str,
    /// What the instance said of itself with a heartbeat; left out when nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reported: Option<&'static str>,
    /// The note with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<&'a str>,
    /// Whether an operator withdrew it.
    pub(super) draining: bool,
    /// Whether its lease is held, because too many ran out together; left out when not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) held: bool,
    /// Why it isn't listed; left out when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    /// What is known of its host name; left out when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resolved: Option<Resolved>,
    /// What the check said at its last change of mind; left out when nothing yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<&'a str>,
    /// End of the lease; left out when it needs no heartbeat.
    #[serde(
        serialize_with = "rfc3339::option::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) expires_at: Option<DateTime<Utc>>,
    /// From then on no cache holds it any more; only while draining.
    #[serde(
        serialize_with = "rfc3339::option::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) drained_at: Option<DateTime<Utc>>,
}

/// Answer to a registration.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Registered<'a> {
    /// What was registered.
    pub(super) instance: Instance<'a>,
    /// Its lease; `null` when it needs no heartbeat.
    pub(super) lease: Option<Lease>,
}

/// A service and its instances.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Service<'a> {
    /// The service's name.
    pub(super) name: &'a str,
    /// Number of the registry's state in which it last changed.
    pub(super) revision: u64,
    /// The listed instances, or all that were asked for.
    pub(super) instances: Vec<Instance<'a>>,
}

/// Answer to `GET /v1/services`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Services<'a> {
    /// Number of the registry's state.
    pub(super) revision: u64,
    /// Services by name.
    pub(super) services: Vec<Service<'a>>,
}

/// What became of one item of an array of registrations.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ItemResult<'a> {
    /// As it was sent; `null` when it wasn't.
    pub(super) id: &'a serde_json::Value,
    /// What the item's own call would have answered.
    pub(super) status: u16,
    /// When it was registered, with the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance: Option<Instance<'a>>,
    /// Its lease, which may be `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lease: Option<Option<Lease>>,
    /// When it wasn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<Problem>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::convert;
    use super::*;
    use crate::api;
    use crate::registry::table::{Table, TableConfig};
    use crate::time::{Clock, Moment};

    /// Whether what is written is read by `api`'s type, and is what that writes.
    fn is_as_api_has_it<T: serde::de::DeserializeOwned + Serialize>(written: &impl Serialize) {
        let written = serde_json::to_value(written).unwrap();
        let read: T = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), written);
    }

    #[test]
    fn what_is_written_is_what_api_reads() {
        let check = json!({"kind": "http", "endpoint": "/up"});
        let full = json!({
            "id": "a", "name": "web", "version": "1.2", "addresses": ["10.0.0.1", "2001:db8::1"],
            "port": 80, "ports": {"admin": 81}, "protocol": "https", "tags": {"env": "prod", "az": "1"},
            "metadata": {"owner": "\"me\""}, "weight": 1, "priority": 2, "locality": "here",
            "lease": null, "health_check": check,
        });
        let named = json!({"id": "b", "name": "web", "host": "db.example", "port": 1});
        let plain = json!({"id": "c", "name": "web", "host": "::1", "port": 1});
        let mut table = Table::new(TableConfig::default());
        let clock = Clock::start();
        for body in [full, named, plain] {
            let registration: api::Registration = serde_json::from_value(body).unwrap();
            let instance = registration.try_into().unwrap();
            let registered = table.register(instance, true, clock.now()).unwrap();
            for drains in [false, true] {
                let mut member = registered.member.clone();
                if drains {
                    (member.draining, member.drained_at) = (true, Some(Moment::default()));
                    member.output = Some("refused".into());
                }
                let now = convert::Now::at(clock.now(), clock.time_of_day());
                is_as_api_has_it::<api::Instance>(&convert::instance(&member, now));
                let (instance, lease) = (
                    convert::instance(&member, now),
                    convert::lease(&member.entry.lease, now),
                );
                is_as_api_has_it::<api::Registered>(&Registered { instance, lease });
            }
        }
    }
}
