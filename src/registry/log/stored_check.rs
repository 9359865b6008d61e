//! Checks on disk.
//!
//! One that says no more than a path is kept short, for there may be a million of
//! them. Any other is kept as the JSON that would register it, so that what checks
//! learn to do later needs no other version of the format.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::check::{Check, CheckKind, HttpCheck, Tls};
use super::super::instance::Protocol;
use super::record::Malformed;
use crate::name::Label;

/// A check, as it was registered.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct StoredCheck<'a> {
    #[serde(borrow)]
    kind: StoredKind<'a>,
    interval: Duration,
    timeout: Duration,
    retries: u16,
    rise: u16,
    initially_passing: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum StoredKind<'a> {
    Http(&'a str),
    Https(&'a str),
    Tcp,
    /// The check as JSON, and who registered it where that matters. What stands beside
    /// the kind is in it, too.
    Json(Cow<'a, str>, Option<IpAddr>),
}

impl<'a> StoredCheck<'a> {
    /// What is kept of a check.
    pub(super) fn of(check: &'a Check) -> Self {
        let short = StoredKind::short(check).map(|kind| Self::with(kind, check));
        let fits = |short: &Self| short.check(&short.kind).as_ref() == Some(check);
        short.filter(fits).unwrap_or_else(|| {
            // What was made of JSON can be written as such.
            let json = serde_json::to_string(&check.to_api()).unwrap_or_default();
            Self::with(StoredKind::Json(json.into(), check.registrant), check)
        })
    }

    fn with(kind: StoredKind<'a>, check: &Check) -> Self {
        Self {
            kind,
            interval: check.interval,
            timeout: check.timeout,
            retries: check.retries,
            rise: check.rise,
            initially_passing: check.initially_passing,
        }
    }

    /// The check that it is, of an instance that speaks `protocol` and has `ports`.
    pub(super) fn restore(
        self,
        protocol: Protocol,
        ports: &[(Label, u16)],
    ) -> Result<Check, Malformed> {
        let StoredKind::Json(json, registrant) = &self.kind else {
            let known = self.check(&self.kind);
            return known.ok_or_else(|| Malformed("a check without a kind".to_owned()));
        };
        let wrong = |error: &dyn std::fmt::Display| Malformed(format!("a check: {error}"));
        let from = serde_json::from_str(json).map_err(|error| wrong(&error))?;
        let check = Check::from_api(from, protocol, ports).map_err(|error| wrong(&error))?;
        let check = check.ok_or_else(|| wrong(&"it's none"))?;
        Ok(Check {
            registrant: *registrant,
            ..check
        })
    }

    /// The check of a short kind.
    fn check(&self, kind: &StoredKind<'_>) -> Option<Check> {
        let kind = match kind {
            StoredKind::Http(path) => CheckKind::Http(HttpCheck::plain(path, None)),
            StoredKind::Https(path) => {
                CheckKind::Http(HttpCheck::plain(path, Some(Tls::default())))
            }
            StoredKind::Tcp => CheckKind::Tcp {
                send: Box::default(),
                expect: Box::default(),
            },
            StoredKind::Json(..) => return None,
        };
        Some(Check {
            kind,
            port: None,
            interval: self.interval,
            doubt_interval: Check::default_doubt(self.interval),
            timeout: self.timeout,
            retries: self.retries,
            rise: self.rise,
            initially_passing: self.initially_passing,
            registrant: None,
        })
    }
}

impl<'a> StoredKind<'a> {
    /// The short kind that may be enough for a check.
    fn short(check: &'a Check) -> Option<Self> {
        match &check.kind {
            CheckKind::Http(HttpCheck { path, tls, .. }) if tls.is_none() => Some(Self::Http(path)),
            CheckKind::Http(HttpCheck { path, .. }) => Some(Self::Https(path)),
            CheckKind::Tcp { .. } => Some(Self::Tcp),
            CheckKind::Grpc { .. } | CheckKind::Udp { .. } | CheckKind::Dns { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::HealthCheck;

    fn check(json: &str, protocol: Protocol) -> Check {
        let from: HealthCheck = serde_json::from_str(json).unwrap();
        let ports = [("admin".parse().unwrap(), 9000)];
        Check::from_api(from, protocol, &ports).unwrap().unwrap()
    }

    #[test]
    fn every_check_comes_back_as_it_was() {
        for (json, protocol, is_short) in [
            ("{}", Protocol::Http, true),
            (
                r#"{"endpoint": "/live", "interval": "1s"}"#,
                Protocol::Https,
                true,
            ),
            (
                r#"{"initial": "passing", "retries": 1}"#,
                Protocol::Tcp,
                true,
            ),
            (r#"{"doubt_interval": "7s"}"#, Protocol::Http, false),
            (r#"{"port": "admin", "rise": 9}"#, Protocol::Http, false),
            (r#"{"port": 81}"#, Protocol::Tcp, false),
            (
                r#"{"method": "OPTIONS", "headers": {"Host": "a.example"}, "expected_status": "200,301-302",
                    "warning_status": "500", "expected_body": "fine"}"#,
                Protocol::Http,
                false,
            ),
            (
                r#"{"tls_verify": true, "tls_server_name": "a.example"}"#,
                Protocol::Https,
                false,
            ),
            (r#"{"service": "a.B", "tls": true}"#, Protocol::Grpc, false),
            (
                r#"{"send": "hex:00ff", "expect": "x"}"#,
                Protocol::Udp,
                false,
            ),
            (
                r#"{"send": "PING", "expect": "+PONG"}"#,
                Protocol::Tcp,
                false,
            ),
            (
                r#"{"kind": "dns", "query": "a.example. AAAA", "expect": "::1"}"#,
                Protocol::Udp,
                false,
            ),
        ] {
            let check = Check {
                registrant: (!is_short).then_some([192, 0, 2, 7].into()),
                ..check(json, protocol)
            };
            let stored = StoredCheck::of(&check);
            let is_json = matches!(stored.kind, StoredKind::Json(..));
            assert_eq!(!is_json, is_short, "{json}");
            let octets = postcard::to_extend(&stored, Vec::new()).unwrap();
            let read: StoredCheck<'_> = postcard::from_bytes(&octets).unwrap();
            let ports = [("admin".parse().unwrap(), 9000)];
            assert_eq!(read.restore(protocol, &ports).unwrap(), check, "{json}");
        }
    }

    /// A field that may be there, with one of these values.
    fn field(
        name: &'static str,
        values: &'static [&'static str],
    ) -> impl Strategy<Value = Option<(String, serde_json::Value)>> {
        let read = |text: &&str| serde_json::from_str(text).unwrap();
        let value =
            prop::sample::select(values).prop_map(move |text| (name.to_owned(), read(&text)));
        prop::option::of(value)
    }

    proptest! {
        /// Whatever is taken can be loaded again, as it was.
        #[test]
        fn what_is_taken_can_be_loaded(
            protocol in prop::sample::select(&["http", "https", "grpc", "tcp", "udp"][..]),
            fields in [
                (&["\"http\"", "\"https\"", "\"grpc\"", "\"tcp\"", "\"udp\"", "\"dns\""][..], "kind"),
                (&["80", "\"admin\""], "port"),
                (&["\"/a?b=c\"", "\"/\""], "endpoint"),
                (&["\"HEAD\"", "\"GET\""], "method"),
                (&["{}", "{\"Host\": \"a\", \"x\": \"\"}"], "headers"),
                (&["\"100-599\"", "\"200 , 201\""], "expected_status"),
                (&["\"\\u0000\"", "\"x\""], "expected_body"),
                (&["\"\"", "\"a.B\""], "service"),
                (&["true", "false"], "tls"),
                (&["true", "false"], "tls_verify"),
                (&["\"A.example.\"", "\"a\""], "tls_server_name"),
                (&["\"\"", "\"hex:\"", "\"hex:ff\"", "\"hex:6865783a\"", "\"x\""], "send"),
                (&["\"\"", "\"hex:00\"", "\"x\""], "expect"),
                (&["\"a.example\"", "\"A.example. srv\"", "\". NS\"", "\"a TYPE65280\""], "query"),
                (&["\"100ms\"", "\"1h\"", "\"7s\"", "\"9999ms\""], "interval"),
                (&["\"100ms\"", "\"3s\""], "doubt_interval"),
                (&["\"passing\"", "\"starting\""], "initial"),
            ].map(|(values, name)| field(name, values)),
        ) {
            let json = serde_json::Value::Object(fields.into_iter().flatten().collect());
            let protocol = Protocol::named(protocol).unwrap();
            let ports = [("admin".parse().unwrap(), 9000)];
            let from = serde_json::from_value(json).unwrap();
            if let Ok(Some(check)) = Check::from_api(from, protocol, &ports) {
                let octets = postcard::to_extend(&StoredCheck::of(&check), Vec::new()).unwrap();
                let read: StoredCheck<'_> = postcard::from_bytes(&octets).unwrap();
                prop_assert_eq!(read.restore(protocol, &ports).unwrap(), check);
            }
        }
    }
}
