//! What is probed of an instance, and when its health changes.
//!
//! The scheduler in `health` runs the probes; this is what it is told.

use std::time::Duration;

use super::instance::Protocol;
use super::registration::{InvalidField, span};
use crate::api;
use crate::time::TimeSpan;

/// Time between probes unless given.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time of a probe unless given.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// Failures in a row until failing, unless given.
const DEFAULT_RETRIES: u16 = 3;
/// Successes in a row until passing, unless given.
const DEFAULT_RISE: u16 = 2;
/// Path of an HTTP probe unless given.
const DEFAULT_ENDPOINT: &str = "/health";
/// Least and most time between probes.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
/// Least and most time of a probe.
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
/// Least and most of `retries` and `rise`.
const ROW: (i64, i64) = (1, 100);
/// Most octets of `endpoint`.
const MAX_ENDPOINT_LEN: usize = 1024;

/// What to probe and how to judge it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// What a probe does.
    pub kind: CheckKind,
    /// Time from the end of a probe to the start of the next.
    pub interval: Duration,
    /// Longest time a probe may take; longer is a failure.
    pub timeout: Duration,
    /// Failures in a row until the instance is failing.
    pub retries: u16,
    /// Successes in a row until it is passing.
    pub rise: u16,
    /// Whether it counts as passing before the first result.
    pub initially_passing: bool,
}

/// What a probe does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckKind {
    /// `GET` of a path over HTTP; a status of 200 to 299 passes.
    Http(Box<str>),
    /// The same over TLS; the certificate isn't verified.
    Https(Box<str>),
    /// A TCP connection that opens passes.
    Tcp,
}

impl CheckKind {
    /// Its name in JSON and in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Https(_) => "https",
            Self::Tcp => "tcp",
        }
    }
}

impl Check {
    /// Reads a check; kind `none` is no check.
    pub(super) fn from_api(
        from: api::HealthCheck,
        protocol: Protocol,
    ) -> Result<Option<Self>, InvalidField> {
        let kind = match (
            from.kind.as_deref().unwrap_or(protocol.as_str()),
            from.endpoint,
        ) {
            ("http", path) => CheckKind::Http(endpoint(path)?),
            ("https", path) => CheckKind::Https(endpoint(path)?),
            ("tcp", None) => CheckKind::Tcp,
            ("none", None) => return Ok(None),
            ("tcp" | "none", Some(_)) => {
                return Err(InvalidField::new(
                    "health_check.endpoint",
                    "is given, but the check's kind asks no path; leave it out",
                ));
            }
            (kind, _) => {
                return Err(InvalidField::new(
                    "health_check.kind",
                    format!(
                        "{kind:?} can't be probed; set kind to \"http\", \"https\", \"tcp\" or \"none\""
                    ),
                ));
            }
        };
        Ok(Some(Self {
            kind,
            interval: spanned("interval", from.interval, INTERVAL, DEFAULT_INTERVAL)?,
            timeout: spanned("timeout", from.timeout, TIMEOUT, DEFAULT_TIMEOUT)?,
            retries: in_a_row("retries", from.retries, DEFAULT_RETRIES)?,
            rise: in_a_row("rise", from.rise, DEFAULT_RISE)?,
            initially_passing: initial(from.initial.as_deref())?,
        }))
    }

    /// As it's read back, with defaults filled in.
    pub fn to_api(&self) -> api::HealthCheck {
        let (CheckKind::Http(path) | CheckKind::Https(path)) = &self.kind else {
            return self.to_api_with(None);
        };
        self.to_api_with(Some(path.to_string()))
    }

    fn to_api_with(&self, endpoint: Option<String>) -> api::HealthCheck {
        api::HealthCheck {
            kind: Some(self.kind.as_str().to_owned()),
            endpoint,
            interval: Some(TimeSpan(self.interval).to_string()),
            timeout: Some(TimeSpan(self.timeout).to_string()),
            retries: Some(self.retries.into()),
            rise: Some(self.rise.into()),
            initial: Some(
                if self.initially_passing {
                    "passing"
                } else {
                    "starting"
                }
                .to_owned(),
            ),
        }
    }
}

/// Reads the path of an HTTP check.
fn endpoint(text: Option<String>) -> Result<Box<str>, InvalidField> {
    let text = text.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    // What would end the request line or leave the path can't be in it.
    let clean = text
        .bytes()
        .all(|b| (0x21..=0x7e).contains(&b) && b != b'#');
    if !text.starts_with('/') || text.starts_with("//") || !clean || text.len() > MAX_ENDPOINT_LEN {
        return Err(InvalidField::new(
            "health_check.endpoint",
            format!(
                "{text:?} is no path; write one that begins with a single \"/\", in printable \
                 ASCII without \"#\", of at most {MAX_ENDPOINT_LEN} octets"
            ),
        ));
    }
    Ok(text.into())
}

fn spanned(
    field: &str,
    text: Option<String>,
    (min, max): (Duration, Duration),
    default: Duration,
) -> Result<Duration, InvalidField> {
    text.map_or(Ok(default), |text| {
        span(&format!("health_check.{field}"), &text, min, max)
    })
}

fn in_a_row(field: &str, value: Option<i64>, default: u16) -> Result<u16, InvalidField> {
    let value = value.unwrap_or(default.into());
    u16::try_from(value)
        .ok()
        .filter(|_| ROW.0 <= value && value <= ROW.1)
        .ok_or_else(|| {
            InvalidField::new(
                format!("health_check.{field}"),
                format!(
                    "{value} is out of range; allowed are {} to {}",
                    ROW.0, ROW.1
                ),
            )
        })
}

fn initial(text: Option<&str>) -> Result<bool, InvalidField> {
    match text {
        None | Some("starting") => Ok(false),
        Some("passing") => Ok(true),
        Some(text) => Err(InvalidField::new(
            "health_check.initial",
            format!("{text:?} is unknown; allowed are \"starting\" and \"passing\""),
        )),
    }
}

/// The judged state of an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// Checked, without a verdict yet.
    Starting,
    /// Its check passes, or it has none.
    Passing,
    /// Its check fails.
    Failing,
}

impl Health {
    /// Its name in JSON, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Passing => "passing",
            Self::Failing => "failing",
        }
    }
}
