//! The three exporters, and one line in the log when a collector stops answering.
//!
//! Each signal has a thread of the SDK's that waits for its exporter, a queue
//! that drops what doesn't fit, and a timeout, so a collector that is dead or
//! hangs costs its own telemetry and nothing else. That of metrics is our own
//! ([`super::otlp`]). Those of traces and logs bring a blocking client over HTTP;
//! over gRPC they need a tokio runtime in reach when they are built, so the caller
//! enters one of ours before.
//!
//! The SDK's own log is not compiled in (no `internal-logs` feature): it would
//! repeat itself for as long as a collector is away. [`Reported`] takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, LogExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tokio::runtime::Handle;

use super::TelemetryError;
use super::counts::Counts;
use super::otlp::MetricExporter;
use super::settings::{Destination, Protocol, Settings};
use crate::time::{Clock, Moment};

/// Shortest time between two reports that exports of one signal fail.
const REPORT_PAUSE: Duration = Duration::from_secs(300);

/// Starts sending metrics, and what of `counts` the SDK can't hold, by way of `runtime`.
pub(super) fn meters(
    settings: &Settings,
    to: &Destination,
    counts: Arc<Counts>,
    runtime: Handle,
) -> Result<SdkMeterProvider, TelemetryError> {
    let exporter = MetricExporter::new(to, settings.temporality, counts, runtime);
    let exporter = Reported::new("metrics", exporter)?;
    let reader = PeriodicReader::builder(exporter)
        .with_interval(settings.interval)
        .build();
    Ok(SdkMeterProvider::builder()
        .with_resource(settings.resource.clone())
        .with_reader(reader)
        .build())
}

/// Starts sending spans.
pub(super) fn tracers(
    settings: &Settings,
    to: &Destination,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder();
    let exporter = match to.protocol {
        Protocol::HttpProtobuf => aimed(exporter.with_http(), to).build(),
        Protocol::Grpc => aimed(exporter.with_tonic(), to).build(),
    };
    Ok(SdkTracerProvider::builder()
        .with_sampler(settings.sampler.clone())
        .with_resource(settings.resource.clone())
        .with_batch_exporter(Reported::new("traces", exporter)?)
        .build())
}

/// Starts sending logs.
pub(super) fn loggers(
    settings: &Settings,
    to: &Destination,
) -> Result<SdkLoggerProvider, TelemetryError> {
    let exporter = LogExporter::builder();
    let exporter = match to.protocol {
        Protocol::HttpProtobuf => aimed(exporter.with_http(), to).build(),
        Protocol::Grpc => aimed(exporter.with_tonic(), to).build(),
    };
    Ok(SdkLoggerProvider::builder()
        .with_resource(settings.resource.clone())
        .with_batch_exporter(Reported::new("logs", exporter)?)
        .build())
}

/// Points an exporter at its destination, so that it asks the environment for neither.
fn aimed<B: WithExportConfig>(builder: B, to: &Destination) -> B {
    builder
        .with_protocol(match to.protocol {
            Protocol::HttpProtobuf => opentelemetry_otlp::Protocol::HttpBinary,
            Protocol::Grpc => opentelemetry_otlp::Protocol::Grpc,
        })
        .with_endpoint(&to.endpoint)
        .with_timeout(to.timeout)
}

/// An exporter that says when its collector goes away and when it is back.
#[derive(Debug)]
struct Reported<E> {
    exporter: E,
    reports: Reports,
}

impl<E> Reported<E> {
    fn new(
        signal: &'static str,
        exporter: Result<E, ExporterBuildError>,
    ) -> Result<Self, TelemetryError> {
        let exporter = exporter.map_err(|source| TelemetryError::Exporter { signal, source })?;
        let reports = Reports::new(signal);
        Ok(Self { exporter, reports })
    }

    fn noted(&self, result: OTelSdkResult) -> OTelSdkResult {
        let signal = self.reports.signal;
        match (self.reports.note(&result), &result) {
            (Some(Report::Recovered), _) => {
                tracing::info!("OTLP: the collector takes {signal} again");
            }
            (Some(Report::Failing), Err(OTelSdkError::InternalFailure(reason))) => {
                tracing::warn!(
                    "OTLP: {signal} are dropped until the collector takes them: {reason}"
                );
            }
            (Some(Report::Failing), Err(error)) => {
                tracing::warn!(
                    "OTLP: {signal} are dropped until the collector takes them: {error}"
                );
            }
            (Some(Report::Failing), Ok(())) | (None, _) => {}
        }
        result
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Reported<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.noted(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter
    for Reported<E>
{
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.noted(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: opentelemetry_sdk::logs::LogExporter> opentelemetry_sdk::logs::LogExporter for Reported<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.noted(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn event_enabled(
        &self,
        level: opentelemetry::logs::Severity,
        target: &str,
        name: Option<&str>,
    ) -> bool {
        self.exporter.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Which results of exports are worth a line.
///
/// Atomics, because exporters are shared; the SDK never exports twice at a time.
#[derive(Debug)]
struct Reports {
    signal: &'static str,
    clock: Clock,
    /// The last report said that exports fail.
    failing: AtomicBool,
    /// Milliseconds on `clock` before which no failure is reported.
    quiet_until: AtomicU64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Report {
    Failing,
    Recovered,
}

impl Reports {
    fn new(signal: &'static str) -> Self {
        Self {
            signal,
            clock: Clock::start(),
            failing: AtomicBool::new(false),
            quiet_until: AtomicU64::new(0),
        }
    }

    fn note(&self, result: &OTelSdkResult) -> Option<Report> {
        self.note_at(self.clock.now(), result)
    }

    fn note_at(&self, now: Moment, result: &OTelSdkResult) -> Option<Report> {
        match result {
            Ok(()) => self
                .failing
                .swap(false, Ordering::Relaxed)
                .then_some(Report::Recovered),
            // Not the collector's doing.
            Err(OTelSdkError::AlreadyShutdown) => None,
            Err(_) => {
                let quiet = now < Moment::from_millis(self.quiet_until.load(Ordering::Relaxed));
                if quiet || self.failing.swap(true, Ordering::Relaxed) {
                    return None;
                }
                let quiet_until = now.after(REPORT_PAUSE).as_millis();
                self.quiet_until.store(quiet_until, Ordering::Relaxed);
                Some(Report::Failing)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_is_away_is_reported_once() {
        let reports = Reports::new("traces");
        let fails = || Err(OTelSdkError::InternalFailure("refused".to_owned()));
        let minute = |minute: u64| Moment::from_millis(minute * 60_000);
        for (now, result, expected) in [
            (0, Ok(()), None),
            (1, fails(), Some(Report::Failing)),
            (2, fails(), None),
            (9, fails(), None),
            (10, Ok(()), Some(Report::Recovered)),
            (11, Ok(()), None),
            (12, fails(), Some(Report::Failing)),
            (13, Ok(()), Some(Report::Recovered)),
            (14, fails(), None),
            (15, Ok(()), None),
            (17, fails(), Some(Report::Failing)),
            (18, Err(OTelSdkError::AlreadyShutdown), None),
        ] {
            assert_eq!(
                reports.note_at(minute(now), &result),
                expected,
                "minute {now}"
            );
        }
    }
}
