//! Every metric of the server.
//!
//! | name | kind | unit | attributes | meaning |
//! |---|---|---|---|---|
//! | `namebeat.dns.queries` | counter | `{query}` | `dns.question.type`, `network.transport` | queries answered |
//! | `namebeat.dns.responses` | counter | `{response}` | `dns.question.type`, `dns.response.code`, `network.transport` | responses, by what they say |
//! | `namebeat.dns.dropped` | counter | `{query}` | `network.transport` | queries that got no response, on purpose |
//! | `namebeat.dns.limited` | counter | `{query}` | `network.transport` | queries whose response rate limiting held back |
//! | `namebeat.dns.prepared` | counter | `{answer}` | `result`: `hit`, `miss` | answers, by whether they were prepared or made anew |
//! | `namebeat.dns.service.queries` | counter | `{query}` | `namebeat.service` | queries answered for a service |
//! | `namebeat.dns.answer.duration` | histogram | `s` | `network.transport` | from the moment a query is next in its batch to having its response; buckets from 1 µs to 100 ms |
//! | `namebeat.dns.answer.size` | histogram | `By` | `network.transport` | size of a response, without the framing of its transport |
//! | `namebeat.registry.registrations` | counter | `{registration}` | `result`: `created`, `replaced`, `refused` | registrations asked for |
//! | `namebeat.registry.deregistrations` | counter | `{deregistration}` | | instances deregistered by a client |
//! | `namebeat.registry.discoveries` | counter | `{discovery}` | | instances of a service asked for over HTTP |
//! | `namebeat.registry.heartbeats` | counter | `{heartbeat}` | `result`: `renewed`, `unknown` | heartbeats, by whether there was a lease to renew |
//! | `namebeat.registry.expiries` | counter | `{lease}` | | leases that ended without a heartbeat |
//! | `namebeat.registry.publishes` | counter | `{publish}` | | registry states made visible to DNS |
//! | `namebeat.registry.registration.duration` | histogram | `s` | | from a registration's command to its being durable and visible |
//! | `namebeat.registry.instances` | gauge | `{instance}` | `state`: `listed`, `withdrawn` | instances registered, by whether DNS answers with them |
//! | `namebeat.registry.services` | gauge | `{service}` | | services with at least one instance registered |
//! | `namebeat.registry.held` | gauge | `{lease}` | | leases that are held because too many run out together |
//! | `namebeat.registry.watchers` | gauge | `{call}` | | calls that wait for changes |
//! | `namebeat.zones.reloads` | counter | `{reload}` | `result`: `loaded`, `failed` | times that the files of zones were read again, by whether they are in use |
//! | `namebeat.state.writes` | counter | `{write}` | `result`: `written`, `failed` | batches of changes written to disk, by whether they are there |
//! | `namebeat.zones` | gauge | `{zone}` | | zones that DNS answers from, the discovery zone included |
//! | `namebeat.check.requests` | counter | `{request}` | `kind` | probes made |
//! | `namebeat.check.failures` | counter | `{request}` | `kind` | probes failed |
//! | `namebeat.check.duration` | histogram | `s` | `kind` | from a probe's start to its result |
//! | `namebeat.check.transitions` | counter | `{transition}` | `to`: `passing`, `warning`, `failing` | changes of an instance's health |
//! | `namebeat.check.damped` | counter | `{instance}` | | times that an instance was held back because it flaps |
//! | `namebeat.check.probes` | gauge | `{probe}` | `state`: `running`, `waiting` | probes under way, and due without room to run |
//!
//! Values of attributes are bounded: `dns.question.type` is `A`, `AAAA`, `SRV`, `TXT`,
//! `SOA`, `NS`, `PTR`, `CNAME`, `MX`, `HTTPS`, `SVCB`, `ANY` or `other`;
//! `dns.response.code` is `NOERROR`, `FORMERR`, `SERVFAIL`, `NXDOMAIN`, `NOTIMP`, `REFUSED`,
//! `BADVERS` or `other`; `network.transport` is `udp`, `tcp`, `tls`, `https` or `quic`; `kind`
//! is `http`, `https`, `grpc`, `tcp`, `udp`, `dns` or `other`; `namebeat.service` is the name of
//! one of the 100 services asked for most, or `other`. The name asked for is on spans
//! only, since clients choose it.
//!
//! Counters, gauges and the histograms of DNS are atomics that count with or without
//! OTLP; whoever exports only loads them. Each DNS worker has its own, in a
//! [`QueryMeter`]. The other histograms are the SDK's, which takes a lock for each
//! value, and exist only while metrics are sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::metrics::{Histogram, Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;

pub use super::counts::Transport;
use super::counts::{self, CHECK_KINDS, Counts, QTYPES, TRANSPORTS};
use super::meter::QueryMeter;
use super::observe;

/// The scope of every metric.
pub(super) const SCOPE: &str = "namebeat";

/// Upper bounds of the buckets for registrations, seconds: memory only, or a disk's fsync.
const REGISTRATION_SECONDS: [f64; 14] = [
    2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 5e-1, 2.0,
];

/// Upper bounds of the buckets for probes, seconds; 2 is their usual limit.
const CHECK_SECONDS: [f64; 13] = [
    5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1, 2e-1, 5e-1, 1.0, 2.0, 10.0,
];

/// What became of a registration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RegistrationResult {
    /// The id was free.
    Created,
    /// The id was taken, and its instance is the new one now.
    Replaced,
    /// Nothing changed.
    Refused,
}

/// Where the program counts and measures.
#[derive(Debug)]
pub struct Instruments {
    counts: Arc<Counts>,
    /// Absent when metrics are off.
    histograms: Option<Histograms>,
}

#[derive(Debug)]
struct Histograms {
    registration_duration: Histogram<f64>,
    check_duration: Histogram<f64>,
    /// Made once, so that recording allocates nothing.
    check_kinds: [[KeyValue; 1]; CHECK_KINDS.len()],
}

impl Instruments {
    /// Instruments that count, and that nobody exports.
    pub fn off() -> Self {
        Self {
            counts: Arc::default(),
            histograms: None,
        }
    }

    /// Instruments of `counts` that `meters` exports.
    pub(super) fn new(meters: &SdkMeterProvider, counts: Arc<Counts>) -> Self {
        let scope = InstrumentationScope::builder(SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        let meter = meters.meter_with_scope(scope);
        observe::dns(&meter, &counts);
        observe::registry(&meter, &counts);
        observe::checks(&meter, &counts);
        Self {
            counts,
            histograms: Some(Histograms::new(&meter)),
        }
    }

    /// Makes a meter for one more DNS worker, whose numbers are exported from now on.
    pub fn query_meter(&self) -> QueryMeter {
        self.counts.dns.register()
    }

    /// Takes the numbers of queries answered for each service from `source`.
    ///
    /// It is called once an export, on a thread of the exporter's, if metrics are sent
    /// at all: with a function that it calls in turn with the name of every service,
    /// the queries answered for it so far, and those of them that it says for the first
    /// time; once with no name for those of services that have ended. At most 100
    /// services are exported by name. A second source takes the place of the first.
    ///
    /// These instruments keep `source`: let it hold what holds them weakly, or neither
    /// is ever dropped. It must not call this method.
    pub fn watch_services(&self, source: impl Fn(&mut dyn FnMut(&str, u64, u64)) + Send + 'static) {
        self.counts.services_asked.watch(Box::new(source));
    }

    /// Counts a registration.
    pub fn registered(&self, result: RegistrationResult) {
        counts::add(&self.counts.registrations[result as usize], 1);
    }

    /// Measures a registration, from its command to its being visible.
    pub fn registration_took(&self, elapsed: Duration) {
        if let Some(to) = &self.histograms {
            to.registration_duration.record(elapsed.as_secs_f64(), &[]);
        }
    }

    /// Counts a deregistration.
    pub fn deregistered(&self) {
        counts::add(&self.counts.deregistrations, 1);
    }

    /// Counts a discovery over HTTP.
    pub fn discovered(&self) {
        counts::add(&self.counts.discoveries, 1);
    }

    /// Counts a batch of heartbeats: those that renewed a lease, and those for ids without one.
    pub fn heartbeats(&self, renewed: u64, unknown: u64) {
        // Batches are mostly all good; an addition of 0 costs as much as any.
        for (counter, more) in self.counts.heartbeats.iter().zip([renewed, unknown]) {
            if more != 0 {
                counts::add(counter, more);
            }
        }
    }

    /// Counts leases that ended.
    pub fn expired(&self, leases: u64) {
        counts::add(&self.counts.expiries, leases);
    }

    /// Counts a registry state made visible.
    pub fn published(&self) {
        counts::add(&self.counts.publishes, 1);
    }

    /// Says how many instances there are now: in DNS, and registered but not in DNS.
    pub fn set_instances(&self, listed: u64, withdrawn: u64) {
        for (gauge, now) in self.counts.instances.iter().zip([listed, withdrawn]) {
            gauge.store(now, Ordering::Relaxed);
        }
    }

    /// Says how many services there are now.
    pub fn set_services(&self, services: u64) {
        self.counts.services.store(services, Ordering::Relaxed);
    }

    /// Counts that the files of zones were read again, and whether they are in use.
    pub fn zones_reloaded(&self, loaded: bool) {
        let [taken, failed] = &self.counts.zone_reloads;
        counts::add(if loaded { taken } else { failed }, 1);
    }

    /// Says how many calls wait for changes now.
    pub fn set_watchers(&self, watchers: u64) {
        self.counts.watchers.store(watchers, Ordering::Relaxed);
    }

    /// Says how many leases are held now.
    pub fn set_held(&self, held: u64) {
        self.counts.held.store(held, Ordering::Relaxed);
    }

    /// Counts that changes were written to disk, or couldn't be.
    pub fn state_written(&self, written: bool) {
        let [taken, failed] = &self.counts.state_writes;
        counts::add(if written { taken } else { failed }, 1);
    }

    /// Says how many zones DNS answers from now.
    pub fn set_zones(&self, zones: u64) {
        self.counts.zones.store(zones, Ordering::Relaxed);
    }

    /// Counts and measures a probe.
    pub fn probed(&self, kind: &'static str, passed: bool, elapsed: Duration) {
        let kind = counts::check_kind_index(kind);
        counts::add(&self.counts.check_requests[kind], 1);
        if !passed {
            counts::add(&self.counts.check_failures[kind], 1);
        }
        if let Some(to) = &self.histograms {
            to.check_duration
                .record(elapsed.as_secs_f64(), &to.check_kinds[kind]);
        }
    }

    /// Counts a change of health, to `passing`, `warning` or `failing`.
    ///
    /// Any other word counts as `failing`: such an instance isn't listed either.
    pub fn health_changed(&self, to: &'static str) {
        let [passing, warning, failing] = &self.counts.check_transitions;
        let counter = match to {
            "passing" => passing,
            "warning" => warning,
            _ => failing,
        };
        counts::add(counter, 1);
    }

    /// Counts that an instance is held back because it flaps.
    pub fn damped(&self) {
        counts::add(&self.counts.check_damped, 1);
    }

    /// Says how many probes are under way now, and how many are due and wait.
    pub fn set_probes(&self, running: u64, waiting: u64) {
        for (gauge, now) in self.counts.check_probes.iter().zip([running, waiting]) {
            gauge.store(now, Ordering::Relaxed);
        }
    }

    /// Queries answered so far, over all transports.
    pub fn total_answered(&self) -> u64 {
        let totals = self.counts.dns.totals();
        (0..TRANSPORTS.len())
            .flat_map(|transport| (0..QTYPES.len()).map(move |qtype| (transport, qtype)))
            .map(|(transport, qtype)| totals.queries(transport, qtype))
            .sum()
    }

    /// Queries dropped so far, over all transports.
    pub fn total_dropped(&self) -> u64 {
        let totals = self.counts.dns.totals();
        let transports = 0..TRANSPORTS.len();
        transports.map(|transport| totals.dropped(transport)).sum()
    }

    /// Responses so far with this question type and rcode, over all transports.
    pub fn responses(&self, qtype: u16, rcode: u16) -> u64 {
        let (qtype, rcode) = (counts::qtype_index(qtype), counts::rcode_index(rcode));
        let totals = self.counts.dns.totals();
        (0..TRANSPORTS.len())
            .map(|transport| totals.responses(transport, qtype, rcode))
            .sum()
    }

    /// Registrations so far with this result.
    pub fn registrations(&self, result: RegistrationResult) -> u64 {
        counts::get(&self.counts.registrations[result as usize])
    }

    /// Leases that ended so far.
    pub fn expiries(&self) -> u64 {
        counts::get(&self.counts.expiries)
    }
}

impl Histograms {
    fn new(meter: &Meter) -> Self {
        let seconds = |name: &'static str, meaning: &'static str, bounds: &[f64]| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(meaning)
                .with_boundaries(bounds.to_vec())
                .build()
        };
        Self {
            registration_duration: seconds(
                "namebeat.registry.registration.duration",
                "From a registration's command to its being durable and visible",
                &REGISTRATION_SECONDS,
            ),
            check_duration: seconds(
                "namebeat.check.duration",
                "From a probe's start to its result",
                &CHECK_SECONDS,
            ),
            check_kinds: CHECK_KINDS.map(|name| [KeyValue::new("kind", name)]),
        }
    }
}
