//! Probes: one attempt each, bounded in time and in what is read.
//!
//! ```text
//! target ─▶ may it be probed? ─▶ connect to that very address ─▶ ask ─▶ outcome
//! ```
//!
//! A probe opens a connection of its own to the address that it's given, uses no
//! proxy, follows no redirect and hands over no credentials: it asks whether this
//! instance answers, not whether something else does. Names are never looked up
//! here, so that what was allowed is what is probed. Whatever comes back is read
//! up to [`MAX_RESPONSE_LEN`].
//!
//! HTTP goes over hyper's connections rather than reqwest's client, which has TLS
//! settings for all of its requests alone, where each check has its own.

mod datagram;
mod dns;
mod grpc;
mod http;
mod stream;
mod tls;

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tracing::{Instrument, Span};

use self::tls::TlsClients;
pub use self::tls::TlsError;
use super::HealthConfig;
use crate::registry::check::networks::CheckNetworks;
use crate::registry::check::{Check, CheckKind};
use crate::registry::instance::{Host, Instance};
use crate::telemetry::ProbeSpan;
use crate::time::TimeSpan;

/// Most octets of a response that are read.
const MAX_RESPONSE_LEN: usize = 64 * 1024;

/// Most characters of what a probe says.
const MAX_OUTPUT_LEN: usize = 200;

/// What one probe came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The instance is well.
    Passed,
    /// It's well, and says that it's worth a look.
    Warned,
    /// It isn't.
    Failed,
}

/// What one probe came to, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ProbeResult {
    /// What it came to.
    pub(super) outcome: Outcome,
    /// Why, for people.
    pub(super) output: String,
    /// Whether it ended for want of time.
    pub(super) timed_out: bool,
}

impl ProbeResult {
    fn new(outcome: Outcome, output: &str) -> Self {
        // What a peer sent may be in it.
        let output = output
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_OUTPUT_LEN);
        Self {
            outcome,
            output: output.collect(),
            timed_out: false,
        }
    }

    /// One that passed.
    pub(super) fn passed(output: impl AsRef<str>) -> Self {
        Self::new(Outcome::Passed, output.as_ref())
    }

    /// One that failed.
    pub(super) fn failed(output: impl AsRef<str>) -> Self {
        Self::new(Outcome::Failed, output.as_ref())
    }
}

/// What is probed.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The address and port that are connected to.
    pub(super) address: SocketAddr,
    /// The host's name, if it has one.
    pub(super) name: Option<Arc<str>>,
}

impl Target {
    /// What is probed of an instance whose addresses are these: of several, the first.
    pub(super) fn of(instance: &Instance, addresses: &[IpAddr]) -> Option<Self> {
        let port = instance.check_port()?;
        let name = match &instance.host {
            Host::Name(name) => Some(name.to_string().trim_end_matches('.').into()),
            Host::Address(_) | Host::Addresses(_) => None,
        };
        Some(Self {
            address: SocketAddr::new(*addresses.first()?, port),
            name,
        })
    }

    /// Host and port as a request names them.
    fn authority(&self) -> String {
        match &self.name {
            Some(name) => format!("{name}:{}", self.address.port()),
            None => self.address.to_string(),
        }
    }
}

/// What probes are sent with.
#[derive(Clone)]
pub struct Prober {
    tls: TlsClients,
    networks: CheckNetworks,
    trace: bool,
}

impl Prober {
    /// Sets up TLS.
    ///
    /// # Errors
    ///
    /// That can't be done, or the certificates of `config` can't be read.
    pub fn new(config: &HealthConfig) -> Result<Self, TlsError> {
        Ok(Self {
            tls: TlsClients::new(config.ca.as_deref())?,
            networks: config.networks.clone(),
            trace: config.trace,
        })
    }

    /// Probes a target once, within the check's timeout.
    pub(super) async fn probe(&self, target: &Target, check: &Check) -> ProbeResult {
        if let Err(forbidden) = self.networks.permit(target.address.ip(), check.registrant) {
            return ProbeResult::failed(format!("not probed: {forbidden}"));
        }
        let span = self
            .trace
            .then(|| ProbeSpan::open(check.kind.as_str(), target.address));
        let trace_parent = span.as_ref().and_then(ProbeSpan::trace_parent);
        let attempt = self.attempt(target, check, trace_parent);
        let entered = span
            .as_ref()
            .map_or_else(Span::none, |span| span.span().clone());
        let result = tokio::time::timeout(check.timeout, attempt.instrument(entered))
            .await
            .unwrap_or_else(|_| ProbeResult {
                timed_out: true,
                ..ProbeResult::failed(timed_out(check.timeout))
            });
        if let Some(span) = span {
            span.close(result.outcome != Outcome::Failed, &result.output);
        }
        result
    }

    async fn attempt(
        &self,
        target: &Target,
        check: &Check,
        trace_parent: Option<String>,
    ) -> ProbeResult {
        let result = match &check.kind {
            CheckKind::Http(http) => {
                http::probe(target, http, &self.tls, trace_parent.as_deref()).await
            }
            CheckKind::Grpc { service, tls } => {
                let tls = tls.as_ref().map(|tls| (tls, &self.tls));
                grpc::probe(target, service, tls, trace_parent.as_deref()).await
            }
            CheckKind::Tcp { send, expect } => stream::probe(target, send, expect).await,
            CheckKind::Udp { send, expect } => datagram::probe(target, send, expect).await,
            CheckKind::Dns {
                name,
                rtype,
                expect,
            } => dns::probe(target, name, rtype, expect.as_deref()).await,
        };
        result.unwrap_or_else(|error| ProbeResult::failed(innermost(&*error)))
    }
}

/// What keeps a probe from having a result of its own.
type ProbeError = Box<dyn Error + Send + Sync>;

fn timed_out(timeout: Duration) -> String {
    format!("no answer within {}", TimeSpan(timeout))
}

/// The cause at the bottom of an error, which is what tells people something.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Whether `needle`, which isn't empty, is in `octets`; what stands before `from` is
/// known not to hold it whole.
fn holds(octets: &[u8], from: usize, needle: &[u8]) -> bool {
    let from = from.saturating_sub(needle.len() - 1);
    octets[from..]
        .windows(needle.len())
        .any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_short_and_has_no_control_characters() {
        let result = ProbeResult::failed(format!("a\r\nb\x1b[31m{}", "ä".repeat(300)));
        assert_eq!(result.output.chars().count(), MAX_OUTPUT_LEN);
        assert!(result.output.starts_with("a  b [31mä"), "{}", result.output);
    }

    #[test]
    fn finds_what_comes_in_parts() {
        assert!(holds(b"abcdef", 3, b"cd"));
        assert!(holds(b"abcdef", 0, b"abc"));
        assert!(!holds(b"abcdef", 5, b"ab"), "looked at before");
        assert!(!holds(b"ab", 0, b"abc"));
    }
}
