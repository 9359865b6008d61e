//! Asks DNS servers: a question in, an answer with its TTL out.
//!
//! ```text
//! ask ─▶ message: octets ─▶ wire: UDP, then TCP when it's truncated ─▶ message: Answer
//! ```
//!
//! Servers are asked in turn, beginning with the one that answered last, with waits
//! that double. An answer counts only if it comes from the address that was asked, to the
//! port that asked, and has the id and the question that were sent ([RFC 5452] §9). Each
//! try has a port and an id of its own, both random.
//!
//! Not here: caching, recursion, search lists (names are absolute), DNSSEC.
//!
//! [RFC 5452]: https://www.rfc-editor.org/rfc/rfc5452

mod message;
mod resolv_conf;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use tracing::Instrument as _;

pub(super) use self::message::{Answer, Negative, Outcome, Srv};

use self::resolv_conf::ResolvConf;
use crate::time::{Clock, Moment};

/// How often a question is sent before it's given up, or once to each server if there
/// are more.
const TRIES: usize = 4;

/// Bounds of `dns.lookup.duration`, seconds, as OpenTelemetry's conventions advise.
const BOUNDS: [f64; 11] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0,
];

/// Which servers are asked.
#[derive(Debug)]
pub(super) enum Servers {
    /// These, at least one.
    Named(Arc<[SocketAddr]>),
    /// The system's resolvers.
    OfSystem(ResolvConf),
}

impl Servers {
    /// Those that are named, or the system's resolvers if none is.
    pub(super) fn named_or_of_system(named: Vec<SocketAddr>, now: Moment) -> Self {
        match named.is_empty() {
            true => Self::OfSystem(ResolvConf::of_system(now)),
            false => Self::Named(named.into()),
        }
    }

    fn at(&self, now: Moment) -> Arc<[SocketAddr]> {
        match self {
            Self::Named(servers) => servers.clone(),
            Self::OfSystem(file) => file.servers(now),
        }
    }
}

/// DNS servers, and how to ask them.
#[derive(Debug)]
pub(super) struct Dns {
    servers: Servers,
    /// Whether they're to ask others: resolvers are, namebeat needn't.
    recursion: bool,
    /// Wait for the first answer; the next ones double.
    timeout: Duration,
    /// Index of the server that answered last.
    preferred: AtomicUsize,
    clock: Clock,
    duration: Histogram<f64>,
}

/// No server gave an answer that can be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{server} {cause}")]
pub(super) struct Failed {
    /// The one that was asked last.
    pub(super) server: SocketAddr,
    /// What it did.
    pub(super) cause: String,
}

impl Dns {
    pub(super) fn new(
        servers: Servers,
        recursion: bool,
        timeout: Duration,
        clock: Clock,
        meter: &Meter,
    ) -> Self {
        let duration = meter
            .f64_histogram("dns.lookup.duration")
            .with_unit("s")
            .with_description("Time that a DNS lookup takes")
            .with_boundaries(BOUNDS.to_vec())
            .build();
        Self {
            servers,
            recursion,
            timeout,
            preferred: AtomicUsize::new(0),
            clock,
            duration,
        }
    }

    /// Asks for records of `name`, which is absolute.
    pub(super) async fn ask(&self, name: &str, rtype: RecordType) -> Result<Answer, Failed> {
        let span = tracing::debug_span!(
            "DNS",
            otel.name = %format_args!("DNS {rtype}"),
            otel.kind = "client",
            dns.question.name = name,
            dns.question.type = %rtype,
            server.address = tracing::field::Empty,
            dns.response.code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let started = self.clock.now();
        let result = self.try_all(name, rtype).instrument(span.clone()).await;
        let mut attributes = vec![KeyValue::new("dns.question.name", name.to_owned())];
        let error = match &result {
            Ok(Answer {
                outcome: Outcome::Negative(Negative { exists: false, .. }),
                ..
            }) => Some("host_not_found"),
            Ok(_) => None,
            Err(_) => Some("no_answer"),
        };
        if let Some(error) = error {
            attributes.push(KeyValue::new("error.type", error));
            span.record("error.type", error);
        }
        let took = self.clock.now().left_at(started);
        self.duration.record(took.as_secs_f64(), &attributes);
        result
    }

    /// Asks one server after the other.
    async fn try_all(&self, name: &str, rtype: RecordType) -> Result<Answer, Failed> {
        let servers = self.servers.at(self.clock.now());
        let first = self.preferred.load(Relaxed);
        let mut failed = None;
        for attempt in 0..TRIES.max(servers.len()) {
            let index = (first + attempt) % servers.len();
            let server = servers[index];
            // Doubled once all of them have been asked.
            let round = u32::try_from(attempt / servers.len()).unwrap_or(u32::MAX);
            let wait = self
                .timeout
                .saturating_mul(2_u32.saturating_pow(round.min(4)));
            match self.try_one(server, name, rtype, wait).await {
                Ok(answer) => {
                    self.preferred.store(index, Relaxed);
                    let span = tracing::Span::current();
                    span.record("server.address", server.ip().to_string());
                    return Ok(answer);
                }
                Err(cause) => failed = Some(Failed { server, cause }),
            }
        }
        // There is at least one server, and so a try.
        Err(failed.unwrap_or_else(|| Failed {
            server: ([0, 0, 0, 0], 0).into(),
            cause: "isn't there".to_owned(),
        }))
    }

    /// Asks one server once, over TCP too if it says so.
    async fn try_one(
        &self,
        server: SocketAddr,
        name: &str,
        rtype: RecordType,
        wait: Duration,
    ) -> Result<Answer, String> {
        let asked = message::Asked::new(name, rtype, self.recursion)?;
        let in_time = |result: Result<_, tokio::time::error::Elapsed>| match result {
            Ok(result) => result,
            Err(_) => Err(format!("gave no answer within {wait:?}")),
        };
        let over_udp = tokio::time::timeout(wait, wire::over_udp(server, &asked));
        let mut response = in_time(over_udp.await)?;
        if response.metadata.truncation {
            let over_tcp = tokio::time::timeout(wait, wire::over_tcp(server, &asked));
            response = in_time(over_tcp.await)?;
        }
        let code = response.metadata.response_code;
        tracing::Span::current().record("dns.response.code", tracing::field::display(code));
        asked.read(&response)
    }
}
