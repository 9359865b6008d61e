//! What is probed of an instance, and when its health changes.
//!
//! The scheduler in `health` runs the probes; this is what it is told.

mod http;
mod kind;
pub mod networks;
mod status;

use std::net::IpAddr;
use std::time::Duration;

pub use self::http::{Headers, HttpCheck};
pub use self::kind::{CheckKind, Tls};
pub use self::status::StatusRanges;
use super::instance::Protocol;
use super::registration::{InvalidField, port_number, span};
use crate::api::{self, PortReference};
use crate::name::Label;
use crate::time::TimeSpan;

/// Time between probes unless given.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time of a probe unless given.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// Failures in a row until failing, unless given.
const DEFAULT_RETRIES: u16 = 3;
/// Successes in a row until passing, unless given.
const DEFAULT_RISE: u16 = 2;
/// Time between probes in doubt, unless given: this part of the interval, but no less
/// than [`LEAST_DOUBT`] unless the interval itself is.
const DOUBT_PART: u32 = 3;
/// See [`DOUBT_PART`].
const LEAST_DOUBT: Duration = Duration::from_secs(1);
/// Least and most time between probes.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));
/// Least and most time of a probe.
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
/// Least and most of `retries` and `rise`.
const ROW: (i64, i64) = (1, 100);

/// What to probe and how to judge it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// What a probe does.
    pub kind: CheckKind,
    /// Where it goes, if that isn't the instance's port.
    pub port: Option<CheckPort>,
    /// Time from the end of a probe to the start of the next.
    pub interval: Duration,
    /// The same while the last probes speak against the health; at most `interval`.
    pub doubt_interval: Duration,
    /// Longest time a probe may take; longer is a failure.
    pub timeout: Duration,
    /// Failures in a row until the instance is failing.
    pub retries: u16,
    /// Successes in a row until it is passing.
    pub rise: u16,
    /// Whether it counts as passing before the first result.
    pub initially_passing: bool,
    /// Who registered it, where probes are allowed for that reason alone.
    pub registrant: Option<IpAddr>,
}

/// A port that is probed instead of the instance's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckPort {
    /// By number.
    Number(u16),
    /// By its name in the instance's `ports`.
    Named(Label),
}

impl Check {
    /// Reads a check of an instance with such ports; kind `none` is no check.
    pub(super) fn from_api(
        mut from: api::HealthCheck,
        protocol: Protocol,
        ports: &[(Label, u16)],
    ) -> Result<Option<Self>, InvalidField> {
        let Some(kind) = CheckKind::from_api(&mut from, protocol)? else {
            return Ok(None);
        };
        let interval = spanned("interval", from.interval, INTERVAL, DEFAULT_INTERVAL)?;
        let doubt = Self::default_doubt(interval);
        let doubt_range = (INTERVAL.0, interval);
        Ok(Some(Self {
            kind,
            port: from.port.map(|port| check_port(port, ports)).transpose()?,
            interval,
            doubt_interval: spanned("doubt_interval", from.doubt_interval, doubt_range, doubt)?,
            timeout: spanned("timeout", from.timeout, TIMEOUT, DEFAULT_TIMEOUT)?,
            retries: in_a_row("retries", from.retries, DEFAULT_RETRIES)?,
            rise: in_a_row("rise", from.rise, DEFAULT_RISE)?,
            initially_passing: initial(from.initial.as_deref())?,
            registrant: None,
        }))
    }

    /// Whether it's the same but for who registered it.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let Self {
            kind,
            port,
            interval,
            doubt_interval,
            timeout,
            retries,
            rise,
            initially_passing,
            registrant: _,
        } = self;
        *kind == other.kind
            && *port == other.port
            && (*interval, *doubt_interval) == (other.interval, other.doubt_interval)
            && (*timeout, *retries, *rise) == (other.timeout, other.retries, other.rise)
            && *initially_passing == other.initially_passing
    }

    /// Time between probes in doubt that goes with an interval, unless one is given.
    pub(super) fn default_doubt(interval: Duration) -> Duration {
        // In whole milliseconds, as it's written.
        let part = (interval / DOUBT_PART).as_millis();
        let part = Duration::from_millis(u64::try_from(part).unwrap_or(u64::MAX));
        part.max(LEAST_DOUBT).min(interval)
    }

    /// As it's read back, with defaults filled in.
    pub fn to_api(&self) -> api::HealthCheck {
        let span = |span| Some(TimeSpan(span).to_string());
        let initial = match self.initially_passing {
            true => "passing",
            false => "starting",
        };
        api::HealthCheck {
            port: self.port.as_ref().map(|port| match port {
                CheckPort::Number(port) => PortReference::Number((*port).into()),
                CheckPort::Named(name) => PortReference::Named(name.to_string()),
            }),
            interval: span(self.interval),
            doubt_interval: span(self.doubt_interval),
            timeout: span(self.timeout),
            retries: Some(self.retries.into()),
            rise: Some(self.rise.into()),
            initial: Some(initial.to_owned()),
            ..self.kind.to_api()
        }
    }
}

/// Reads which port is probed: one by number, or one of `ports`.
fn check_port(port: PortReference, ports: &[(Label, u16)]) -> Result<CheckPort, InvalidField> {
    let field = "health_check.port";
    match port {
        PortReference::Number(number) => port_number(field, number).map(CheckPort::Number),
        PortReference::Named(name) => {
            let known = ports.iter().find(|(known, _)| known.as_str() == name);
            let known = known.ok_or_else(|| {
                let detail = format!(
                    "{name:?} is none of the instance's ports; name one of them, or give a number"
                );
                InvalidField::new(field, detail)
            })?;
            Ok(CheckPort::Named(known.0.clone()))
        }
    }
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
    /// Its check passes, and says that it's worth a look. It's listed like one that passes.
    Warning,
    /// Its check fails.
    Failing,
}

impl Health {
    /// Its name in JSON, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Failing => "failing",
        }
    }

    /// Whether the check lets it be listed.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Passing | Self::Warning)
    }
}
