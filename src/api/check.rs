//! The JSON of checks.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// What to probe, in a [`Registration`](super::Registration) and in an
/// [`Instance`](super::Instance). Which fields go with which kind is in each one's line.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// `http`, `https`, `grpc`, `tcp`, `udp`, `dns` or `none`; follows `protocol` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Another port than the instance's: a number, or a name in `ports`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<PortReference>,
    /// Path of the request: http, https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Method of the request: http, https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers of the request: http, https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// Status codes that pass, such as `200-299,401`: http, https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<String>,
    /// Status codes that pass with a warning: http, https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning_status: Option<String>,
    /// Text that the body must hold: http, https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_body: Option<String>,
    /// Service that is asked about: grpc.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Whether it's over TLS: grpc.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    /// Whether the certificate must be valid: https, grpc.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_verify: Option<bool>,
    /// Name that is asked for in TLS, and that the certificate is to have: https, grpc.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
    /// What is sent, as text or as `hex:` and digits: tcp, udp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// What must come back: tcp, udp, dns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// Name and type that are asked for, such as `health.example. A`: dns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Time from one probe's end to the next one's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// The same while the state is in doubt: the last probes speak against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt_interval: Option<String>,
    /// Longest time that a probe may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Failures in a row until the instance is failing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// Successes in a row until it's passing again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rise: Option<i64>,
    /// `passing` lists the instance before its first probe; `starting` is the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
}

/// One of an instance's ports, or another one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(
    untagged,
    expecting = "expected a port number or the name of one of ports"
)]
pub enum PortReference {
    /// By number.
    Number(i64),
    /// By its name in `ports`.
    Named(String),
}

/// The fields of a [`HealthCheck`].
const FIELDS: [&str; 21] = [
    "kind",
    "port",
    "endpoint",
    "method",
    "headers",
    "expected_status",
    "warning_status",
    "expected_body",
    "service",
    "tls",
    "tls_verify",
    "tls_server_name",
    "send",
    "expect",
    "query",
    "interval",
    "doubt_interval",
    "timeout",
    "retries",
    "rise",
    "initial",
];

/// Reads a check as a client does, who knows less than a newer server: leaves unknown
/// fields aside.
pub(super) fn tolerated_check<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<HealthCheck>, D::Error> {
    let fields = Option::<BTreeMap<String, serde_json::Value>>::deserialize(deserializer)?;
    let Some(mut fields) = fields else {
        return Ok(None);
    };
    fields.retain(|field, _| FIELDS.contains(&&**field));
    let known = serde_json::Value::Object(fields.into_iter().collect());
    serde_json::from_value(known).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_all_there() {
        let error = serde_json::from_str::<HealthCheck>(r#"{"other": 1}"#).unwrap_err();
        let named: Vec<String> = FIELDS.iter().map(|field| format!("`{field}`")).collect();
        let text = error.to_string();
        assert!(
            text.contains(&format!("one of {} at", named.join(", "))),
            "{text}"
        );
    }

    #[test]
    fn a_client_leaves_unknown_fields_aside() {
        #[derive(Deserialize)]
        struct Read(#[serde(deserialize_with = "tolerated_check")] Option<HealthCheck>);

        let Read(check) = serde_json::from_str(r#"{"kind": "tcp", "mood": 1}"#).unwrap();
        assert_eq!(check.unwrap().kind.as_deref(), Some("tcp"));
        let Read(none) = serde_json::from_str("null").unwrap();
        assert!(none.is_none());
    }
}
