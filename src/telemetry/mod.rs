//! Telemetry: metrics, traces and logs over OTLP, off until an endpoint is set.
//!
//! ```text
//! DNS workers ── cells of their own ─┐
//! the rest ────── relaxed atomics ───┴─ Instruments ◄── read once an interval ─┐
//! tracing spans ─── bounded queue ─────────────────────────────────────────────┼─ SDK threads ── collector
//! tracing events ── bounded queue ─────────────────────────────────────────────┘
//! ```
//!
//! Parts: `instruments` holds every metric and their table, `spans` the spans of
//! DNS queries; `settings` reads the `OTEL_*` variables with `pairs`, `export` makes
//! the exporters, `subscriber` the layers for `tracing`. `meter` holds what DNS workers
//! count, in histograms of `buckets`; `counts` holds the other numbers; `services` keeps
//! the counts of services in the table of `top`. `observe` shows the numbers to the
//! SDK; `points` makes metrics of those that the SDK can't hold, and `otlp` sends both.
//!
//! Invariants:
//! - Nothing the program does waits for telemetry. Queues are bounded and drop
//!   what doesn't fit; exports happen on threads of the SDK's; stopping takes
//!   [`STOP_LIMIT`] at most.
//! - Without an endpoint there is no thread and no socket.
//! - Nothing global is set but by [`Telemetry::install_subscriber`], so a program
//!   that embeds the server keeps its own OpenTelemetry.
//! - What the exporters do makes no telemetry.
//!
//! Not here: an OTLP receiver, a Prometheus endpoint, TLS for gRPC (`https://`
//! works with `http/protobuf`), compression.

mod buckets;
mod counts;
mod export;
mod instruments;
mod meter;
mod observe;
mod otlp;
mod pairs;
mod points;
mod probe_span;
mod services;
mod settings;
mod spans;
mod subscriber;
mod top;

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::LookupSpan;

use self::counts::Counts;
use self::settings::Settings;
use crate::time::Clock;

pub use self::instruments::{Instruments, RegistrationResult, Transport};
pub use self::meter::QueryMeter;
pub use self::probe_span::ProbeSpan;
pub use self::spans::{QuerySampler, QuerySpan};

/// How long [`Telemetry::flush`] and [`Telemetry::shutdown`] wait for a collector.
pub const STOP_LIMIT: Duration = Duration::from_secs(2);

/// The running exporters; dropping it stops them as [`Telemetry::shutdown`] does.
#[derive(Debug)]
pub struct Telemetry {
    instruments: Arc<Instruments>,
    meters: Option<SdkMeterProvider>,
    tracers: Option<SdkTracerProvider>,
    loggers: Option<SdkLoggerProvider>,
    /// Drives metrics, and all signals over gRPC; absent when there are neither.
    runtime: Option<Runtime>,
}

impl Telemetry {
    /// Telemetry that goes nowhere and starts nothing; counters still count.
    pub fn off() -> Self {
        Self {
            instruments: Arc::new(Instruments::off()),
            meters: None,
            tracers: None,
            loggers: None,
            runtime: None,
        }
    }

    /// Starts what the process's `OTEL_*` variables ask for.
    ///
    /// Works inside and outside of a tokio runtime.
    pub fn from_env() -> Result<Self, TelemetryError> {
        Self::from_vars(|name| {
            std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// Starts what `OTEL_*` variables ask for that `variable` looks up.
    ///
    /// The headers of traces and logs, queue sizes (`OTEL_BSP_*`, `OTEL_BLRP_*`) and span
    /// limits are read by the SDK, always from the environment.
    pub fn from_vars(variable: impl Fn(&str) -> Option<String>) -> Result<Self, TelemetryError> {
        let settings = Settings::from_vars(variable)?;
        if settings.is_off() {
            return Ok(Self::off());
        }
        // Filled step by step, so that an error stops what has been started.
        let mut telemetry = Self::off();
        telemetry.runtime = settings.needs_runtime().then(start_runtime).transpose()?;
        let handle = telemetry
            .runtime
            .as_ref()
            .map(|runtime| runtime.handle().clone());
        let _entered = handle.as_ref().map(|handle| handle.enter());
        if let (Some(to), Some(handle)) = (&settings.metrics, &handle) {
            let counts = Arc::<Counts>::default();
            let meters = export::meters(&settings, to, Arc::clone(&counts), handle.clone())?;
            telemetry.instruments = Arc::new(Instruments::new(&meters, counts));
            telemetry.meters = Some(meters);
        }
        if let Some(to) = &settings.traces {
            telemetry.tracers = Some(export::tracers(&settings, to)?);
        }
        if let Some(to) = &settings.logs {
            telemetry.loggers = Some(export::loggers(&settings, to)?);
        }
        Ok(telemetry)
    }

    /// Where the program counts and measures.
    pub fn instruments(&self) -> Arc<Instruments> {
        Arc::clone(&self.instruments)
    }

    /// A layer for a `tracing` subscriber that sends our spans, and the events
    /// that `events` lets through, over OTLP; it does nothing for a signal that is off.
    pub fn layers<S, F>(&self, events: F) -> impl Layer<S> + Send + Sync + use<S, F>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
        F: Filter<S> + Send + Sync + 'static,
    {
        subscriber::otlp_layer(self.tracers.as_ref(), self.loggers.as_ref(), events)
    }

    /// Sends the process's spans and log lines to stderr and over OTLP; for programs, not libraries.
    ///
    /// `NAMEBEAT_LOG` says which lines, by default
    /// `info,hickory_server=warn,hickory_net=warn,hickory_proto=warn`.
    pub fn install_subscriber(&self) -> Result<(), TelemetryError> {
        subscriber::install(self)
    }

    /// Sends what waits, and says whether all of it was taken within [`STOP_LIMIT`].
    ///
    /// Blocks the thread.
    pub fn flush(&self) -> bool {
        let meters = self.meters.clone();
        let tracers = self.tracers.clone();
        let loggers = self.loggers.clone();
        all_in_time([
            meters.map(|meters| -> Job { Box::new(move || meters.force_flush().is_ok()) }),
            tracers.map(|tracers| -> Job { Box::new(move || tracers.force_flush().is_ok()) }),
            loggers.map(|loggers| -> Job { Box::new(move || loggers.force_flush().is_ok()) }),
        ])
    }

    /// Sends what waits and stops, within [`STOP_LIMIT`] whatever the collector does.
    ///
    /// Blocks the thread. What the program still counts or says after this is
    /// dropped.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        let (meters, tracers) = (self.meters.take(), self.tracers.take());
        let loggers = self.loggers.take();
        all_in_time([
            meters.map(|meters| -> Job { Box::new(move || meters.shutdown().is_ok()) }),
            tracers.map(|tracers| -> Job { Box::new(move || tracers.shutdown().is_ok()) }),
            loggers.map(|loggers| -> Job { Box::new(move || loggers.shutdown().is_ok()) }),
        ]);
        if let Some(runtime) = self.runtime.take() {
            // Dropping it would wait, and panic inside another runtime.
            runtime.shutdown_background();
        }
    }
}

type Job = Box<dyn FnOnce() -> bool + Send>;

/// Runs jobs side by side, and says whether all succeeded within [`STOP_LIMIT`].
///
/// The SDK's own timeouts don't cover an export that is under way, so each job
/// has a thread that is left behind when it hangs; it ends with its export.
fn all_in_time(jobs: [Option<Job>; 3]) -> bool {
    let clock = Clock::start();
    let deadline = clock.now().after(STOP_LIMIT);
    let (done, results) = mpsc::sync_channel(jobs.len());
    let mut in_order = true;
    let mut running = 0;
    for job in jobs.into_iter().flatten() {
        let done = done.clone();
        let thread = thread::Builder::new().name("namebeat-otlp".to_owned());
        match thread.spawn(move || done.send(job())) {
            Ok(_) => running += 1,
            Err(_) => in_order = false,
        }
    }
    // Or a job that panics would look like one that hangs.
    drop(done);
    for _ in 0..running {
        match results.recv_timeout(deadline.left_at(clock.now())) {
            Ok(succeeded) => in_order &= succeeded,
            Err(_) => return false,
        }
    }
    in_order
}

/// A runtime for exporters alone: the program's may be absent, busy or gone first.
fn start_runtime() -> Result<Runtime, TelemetryError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("namebeat-otlp")
        .enable_all()
        .build()
        .map_err(TelemetryError::Runtime)
}

/// Why telemetry can't start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A variable has a value it can't have.
    #[error("{variable} is {value:?}, expected {expected}")]
    Variable {
        /// The variable's name.
        variable: String,
        /// Its value.
        value: String,
        /// The values it may have.
        expected: &'static str,
    },
    /// A variable with headers has something else; it may hold a secret, so it isn't repeated.
    #[error(
        "{variable} can't be read: expected name=value pairs separated by commas, \
         the values percent-encoded"
    )]
    Headers {
        /// The variable's name.
        variable: String,
    },
    /// gRPC to a collector that wants TLS, which isn't built in.
    #[error(
        "{variable} is {value:?}, which means gRPC over TLS: that isn't built in, so use \
         OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf or an http:// endpoint"
    )]
    GrpcOverTls {
        /// The variable that holds the endpoint.
        variable: String,
        /// The endpoint.
        value: String,
    },
    /// The exporter of a signal can't be made.
    #[error("can't export {signal} over OTLP: {source}")]
    Exporter {
        /// `metrics`, `traces` or `logs`.
        signal: &'static str,
        /// What the exporter found.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The thread that drives exporters can't be started.
    #[error("can't start a thread for OTLP: {0}")]
    Runtime(io::Error),
    /// `NAMEBEAT_LOG` can't be read.
    #[error(
        "NAMEBEAT_LOG is {text:?}, which is no log filter: {reason}; \
         write for example \"info\" or \"namebeat=debug,info\""
    )]
    LogFilter {
        /// The text that was read.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process has a subscriber for `tracing` already.
    #[error("another subscriber for tracing is in place already")]
    SubscriberInPlace,
}
