//! The JSON of the HTTP API, as it is on the wire.
//!
//! Nothing here is checked beyond its shape: `registry::registration` turns a
//! [`Registration`] into an instance that is valid by construction, and says
//! which field is wrong when it can't. Numbers are wide and texts are plain for
//! that reason, so that the error names what is allowed, not a Rust type.
//!
//! Both sides share these types. What the server reads refuses fields that it doesn't
//! know; what a client reads leaves those aside, as a newer server may have more.

mod check;
pub mod explain;
pub mod policy;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use self::check::tolerated_check;
pub use self::check::{HealthCheck, PortReference};
use crate::time::{TimeSpan, rfc3339};

/// Body of `PUT /v1/instances/{id}` and, alone or in an array, of `POST /v1/instances`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registration {
    /// The instance's id; may be left out of a `PUT`, which has it in its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text, up to 64 octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// An IP address or a host name; this or `addresses`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Up to 8 IP addresses; this or `host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// 1 to 65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i64>,
    /// Further ports by name, up to 16.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, i64>,
    /// `http`, `https`, `grpc`, `tcp` or `udp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Up to 32 pairs of labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Up to 64 pairs, 4 KiB in all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// SRV weight, 0 to 65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i64>,
    /// SRV priority, 0 to 65535.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// A label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// The term; `Some(None)` is JSON's `null`, a lease that needs no heartbeat.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub lease: Option<Option<String>>,
    /// What to probe.
    #[serde(
        deserialize_with = "optional_object",
        skip_serializing_if = "Option::is_none"
    )]
    pub health_check: Option<HealthCheck>,
    /// Set by the server. Taken and left aside, so that what was read can be sent back.
    #[serde(skip_serializing)]
    pub registration_time: IgnoredAny,
    /// Set by the server; left aside likewise.
    #[serde(skip_serializing)]
    pub last_heartbeat: IgnoredAny,
    /// Set by the server; left aside likewise.
    #[serde(skip_serializing)]
    pub state: IgnoredAny,
}

/// Tells `"lease": null` from a `lease` that was left out.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn optional_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let object = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(object.map(|Object(inner)| inner))
}

/// A `T` read from a JSON object alone. What serde derives would take an array
/// of the fields in their order, too.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// An instance as it's read back: what was registered, with defaults filled in,
/// and what the server knows of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Instance {
    /// The id, lower case.
    pub id: String,
    /// The service.
    pub name: String,
    /// Left out when none was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Left out when `addresses` was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Left out when `host` was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<String>>,
    /// The port.
    pub port: u16,
    /// Further ports by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, u16>,
    /// The application protocol.
    pub protocol: Cow<'static, str>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
    /// SRV weight.
    pub weight: u16,
    /// SRV priority.
    pub priority: u16,
    /// Left out when none was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// The term, or `null` when no heartbeat is needed.
    pub lease: Option<TimeSpan>,
    /// Left out when there is none.
    #[serde(
        default,
        deserialize_with = "tolerated_check",
        skip_serializing_if = "Option::is_none"
    )]
    pub health_check: Option<HealthCheck>,
    /// When this id was first registered without a gap since.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub registration_time: DateTime<Utc>,
    /// When the lease was last renewed; the registration counts as a renewal.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub last_heartbeat: DateTime<Utc>,
    /// What the server knows of it now.
    pub state: InstanceState,
}

/// What the server knows of an instance now.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct InstanceState {
    /// Whether DNS answers with it.
    pub listed: bool,
    /// `passing`, `failing` or `starting`.
    pub health: Cow<'static, str>,
    /// What the instance said of itself with a heartbeat; left out when nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Cow<'static, str>>,
    /// The note with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether an operator withdrew it.
    pub draining: bool,
    /// Whether its lease is held, because too many ran out together; left out when not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Why it isn't listed; left out when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is known of its host name; left out when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<explain::Resolved>,
    /// What the check said at its last change of mind; left out when nothing yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// End of the lease; left out when it needs no heartbeat.
    #[serde(
        default,
        serialize_with = "rfc3339::option::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires_at: Option<DateTime<Utc>>,
    /// From then on no cache holds it any more; only while draining.
    #[serde(
        default,
        serialize_with = "rfc3339::option::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub drained_at: Option<DateTime<Utc>>,
}

/// A lease, in answers to registrations and heartbeats.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Lease {
    /// The term.
    pub term: TimeSpan,
    /// When it ends unless it's renewed.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub expires_at: DateTime<Utc>,
}

/// Answer to a registration.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Registered {
    /// What was registered.
    pub instance: Instance,
    /// Its lease; `null` when it needs no heartbeat.
    pub lease: Option<Lease>,
}

/// What became of one item of an array of registrations.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ItemResult {
    /// As it was sent; `null` when it wasn't.
    pub id: serde_json::Value,
    /// What the item's own call would have answered.
    pub status: u16,
    /// When it was registered.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Registered>,
    /// When it wasn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// Body of a heartbeat, which may be left out.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Heartbeat {
    /// How the instance says it is: `passing`, `warning` or `failing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// For people, up to 200 octets; only with a `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Answer to a heartbeat.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Renewed {
    /// The renewed lease; `null` when it needs no heartbeat.
    pub lease: Option<Lease>,
}

/// Body of `POST /v1/heartbeats`; the array of ids alone is taken, too.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeats {
    /// Ids of the instances to renew.
    pub ids: Vec<String>,
}

/// Answer to [`Heartbeats`].
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct HeartbeatsAnswer {
    /// How many leases were renewed.
    pub renewed: usize,
    /// Ids that must be registered again.
    pub unknown: Vec<String>,
}

/// Answer to a deregistration and to a drain.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Drained {
    /// From then on no cache that honours TTLs holds the instance.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub drained_at: DateTime<Utc>,
}

/// A service and its instances.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Service {
    /// The service's name.
    pub name: String,
    /// Number of the registry's state in which it last changed.
    pub revision: u64,
    /// The listed instances, or all that were asked for.
    pub instances: Vec<Instance>,
}

/// Answer to `GET /v1/services`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Services {
    /// Number of the registry's state.
    pub revision: u64,
    /// Services by name.
    pub services: Vec<Service>,
}

/// Answer to `GET /v1/stats`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Stats {
    /// Number of the registry's state; also the SOA serial, modulo 2^32.
    pub revision: u64,
    /// Registered services.
    pub services: usize,
    /// Registered instances.
    pub instances: usize,
    /// Those that are listed.
    pub healthy: usize,
    /// Those that aren't.
    pub unhealthy: usize,
    /// Those whose leases are held, because too many ran out together.
    pub held: usize,
    /// Registered instances by application protocol.
    pub by_protocol: BTreeMap<Cow<'static, str>, usize>,
}

/// Answer to `GET /readyz`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Readiness {
    /// `ready`, or `loading` until the state is loaded.
    pub status: Cow<'static, str>,
    /// The zones that DNS answers from.
    pub zones: ZonesInUse,
    /// Why changes are refused, while the state can't be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageUnwritable>,
}

/// The disk can't be written to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StorageUnwritable {
    /// Since when.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub since: DateTime<Utc>,
    /// What the system said last.
    pub error: String,
}

/// The zones that DNS answers from; also the answer to `POST /v1/reload`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ZonesInUse {
    /// How many, the discovery zone included.
    pub count: usize,
    /// When their files were read.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub loaded_at: DateTime<Utc>,
    /// Why what the files say now isn't in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ReloadFailure>,
}

/// A reload that changed nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReloadFailure {
    /// When it was tried.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub at: DateTime<Utc>,
    /// What is wrong, with file, line and column where that applies.
    pub error: String,
}

/// What the kind of each [`Problem`] begins with.
pub const PROBLEM_PREFIX: &str = "urn:namebeat:problem:";

/// An error, as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) wants it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Problem {
    /// Kind of the problem, a URI: [`PROBLEM_PREFIX`] and a word.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for people.
    pub title: Cow<'static, str>,
    /// HTTP status.
    pub status: u16,
    /// What was wrong here and what is allowed.
    pub detail: String,
    /// The field that was wrong; left out when it's none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
