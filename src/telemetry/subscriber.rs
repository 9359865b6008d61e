//! Where the program's spans and log lines go: stderr, and OTLP when it is on.
//!
//! ```text
//! tracing ─┬─ events that NAMEBEAT_LOG lets through ─┬─ stderr
//!          │                                         └─ OTLP logs   (not of LOOPS)
//!          └─ our spans at INFO and above ───────────── OTLP traces (not of LOOPS)
//! ```
//!
//! Spans don't pass `NAMEBEAT_LOG`: who wants few lines still wants traces, and
//! `OTEL_TRACES_SAMPLER` is there to have fewer. Events stay out of spans; they
//! go out as logs, which carry the trace they belong to.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, fmt};

use super::{Telemetry, TelemetryError};

/// The variable that says which log lines to write.
const LOG_VARIABLE: &str = "NAMEBEAT_LOG";

/// Its value when it isn't set.
const DEFAULT_LOG: &str = "info,hickory_server=warn,hickory_net=warn,hickory_proto=warn";

/// Beginnings of the targets that work while telemetry is sent.
///
/// Sending what they say would make them say more. Our own entry is the report
/// that sending fails.
const LOOPS: [&str; 7] = [
    "namebeat::telemetry",
    "opentelemetry",
    "reqwest",
    "hyper",
    "h2",
    "tonic",
    "tower",
];

/// The layer that sends spans, and those log events that `events` lets through.
pub(super) fn otlp_layer<S, F>(
    tracers: Option<&SdkTracerProvider>,
    loggers: Option<&SdkLoggerProvider>,
    events: F,
) -> impl Layer<S> + Send + Sync + use<S, F>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    F: Filter<S> + Send + Sync + 'static,
{
    let spans = filter_fn(|meta| {
        meta.is_span() && *meta.level() <= LevelFilter::INFO && makes_no_loop(meta)
    });
    let traces = tracers.map(|provider| {
        // Source lines, threads and idle times would triple the size of a span.
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("namebeat"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(spans)
    });
    let logs = loggers.map(|provider| {
        OpenTelemetryTracingBridge::new(provider).with_filter(events.and(filter_fn(makes_no_loop)))
    });
    // Not `Option`'s method of that name.
    Layer::and_then(traces, logs)
}

fn makes_no_loop(meta: &Metadata<'_>) -> bool {
    !LOOPS.iter().any(|start| meta.target().starts_with(start))
}

/// Makes stderr and OTLP the process's receivers of spans and log lines.
pub(super) fn install(telemetry: &Telemetry) -> Result<(), TelemetryError> {
    let text = std::env::var_os(LOG_VARIABLE)
        .map(|text| text.to_string_lossy().into_owned())
        .filter(|text| !text.trim().is_empty())
        .unwrap_or_else(|| DEFAULT_LOG.to_owned());
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let stderr = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(color)
        // Without spans: their fields would stand before every line, and a line
        // says what it has to say itself.
        .with_filter(log_filter(&text)?.and(filter_fn(|meta| meta.is_event())));
    if telemetry.tracers.is_none() && telemetry.loggers.is_none() {
        // Beside a layer that isn't there spans would be made for nobody.
        return tracing::subscriber::set_global_default(Registry::default().with(stderr))
            .map_err(|_| TelemetryError::SubscriberInPlace);
    }
    // An `EnvFilter` can't be cloned.
    let otlp = telemetry.layers(log_filter(&text)?);
    let subscriber = Registry::default().with(stderr).with(otlp);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| TelemetryError::SubscriberInPlace)
}

/// Reads a filter as the `env_logger` family writes them: `info` or `namebeat=debug,info`.
fn log_filter(text: &str) -> Result<EnvFilter, TelemetryError> {
    let error = |reason: String| TelemetryError::LogFilter {
        text: text.to_owned(),
        reason,
    };
    // A lone word that is no level would be read as a target, and a misspelt
    // level would silence all the rest.
    for word in text.split(',').map(str::trim) {
        let is_lone = !word.contains(['=', '[', ':', '_', ' ']);
        if is_lone && word.parse::<LevelFilter>().is_err() {
            return Err(error(format!("{word:?} is no level")));
        }
    }
    EnvFilter::builder()
        .parse(text)
        .map_err(|source| error(source.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_log_filters() {
        for text in [
            DEFAULT_LOG,
            "off",
            "WARN",
            "namebeat=debug, info",
            "hickory_server",
        ] {
            assert!(log_filter(text).is_ok(), "{text}");
        }
        for text in ["inof", "info,namebeat=loud", "debgu,hickory_server=warn"] {
            let message = log_filter(text).unwrap_err().to_string();
            assert!(message.contains(LOG_VARIABLE), "{message}");
            assert!(message.contains(&format!("{text:?}")), "{message}");
        }
    }
}
