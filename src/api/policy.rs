//! The JSON of policies and configuration values.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::time::TimeSpan;

/// Body of `PUT /v1/services/{name}/policy`. What is left out is as the server's
/// settings have it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyFields {
    /// TTL of answers, whole seconds up to 1h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// TTL of negative answers, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_ttl: Option<String>,
    /// Most records of an answer, 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_answers: Option<i64>,
    /// `nodata`, `all` or `nxdomain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_none_healthy: Option<String>,
    /// `instances`, `none` or `{"strings": [...]}`; of any shape here, so that an
    /// error tells all that is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub txt: Option<serde_json::Value>,
    /// When leases of the service are held that run out together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardFields>,
    /// Set by the server. Taken and left aside, so that what was read can be sent back.
    #[serde(skip_serializing)]
    pub revision: IgnoredAny,
}

/// When leases of a service are held that run out together.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardFields {
    /// For how long, up to 10m; 0s holds none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// Percent of the instances whose heartbeats are late, 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<i64>,
    /// Fewest of them, 1 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least: Option<i64>,
}

/// A policy as it's read back.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Policy {
    /// Left out when none was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TimeSpan>,
    /// Left out when none was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_ttl: Option<TimeSpan>,
    /// Left out when none was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_answers: Option<u16>,
    /// `nodata`, `all` or `nxdomain`.
    pub when_none_healthy: Cow<'static, str>,
    /// What TXT at the service's name says.
    pub txt: Txt,
    /// Left out when none was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// Moves whenever the policy is set; also the `ETag`.
    pub revision: u64,
}

/// When leases of a service are held, as far as its policy says so.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Guard {
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<TimeSpan>,
    /// Percent of the instances whose heartbeats are late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u8>,
    /// Fewest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<u32>,
}

/// What TXT at a service's name says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Txt {
    /// `instances` or `none`.
    Word(Cow<'static, str>),
    /// One record of these strings.
    Fixed {
        /// The strings.
        strings: Vec<String>,
    },
}

/// Body of `PUT /v1/services/{name}/config/{key}`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigValueFields {
    /// Any text of at most 4096 octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// May be left out; the path has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Set by the server; left aside.
    #[serde(skip_serializing)]
    pub revision: IgnoredAny,
}

/// A configuration value as it's read back.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ConfigValue {
    /// The key, lower case.
    pub key: String,
    /// The value.
    pub value: String,
    /// Moves whenever the value is set; also the `ETag`.
    pub revision: u64,
}

/// Answer to `GET /v1/services/{name}/config`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ConfigValues {
    /// The service.
    pub name: String,
    /// Its values by key.
    pub config: Vec<ConfigValue>,
}
