//! Spans of probes, and the trace context that a probe hands on ([Trace Context]).
//!
//! | field | value |
//! |---|---|
//! | name | `probe` and the check's kind, as in `probe http` |
//! | kind | client; error when the probe failed |
//! | `namebeat.check.kind` | as on the metrics |
//! | `namebeat.check.output` | what the probe says |
//! | `server.address`, `server.port` | where it goes |
//!
//! [Trace Context]: https://www.w3.org/TR/trace-context/

use std::net::SocketAddr;

use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The span of one probe.
#[derive(Debug)]
pub struct ProbeSpan(Span);

impl ProbeSpan {
    /// Opens the span of a probe.
    pub fn open(kind: &'static str, target: SocketAddr) -> Self {
        Self(tracing::info_span!(
            target: "namebeat::check",
            parent: None,
            "probe",
            otel.name = %format_args!("probe {kind}"),
            otel.kind = "client",
            otel.status_code = Empty,
            namebeat.check.kind = kind,
            namebeat.check.output = Empty,
            server.address = %target.ip(),
            server.port = target.port(),
        ))
    }

    /// The span, to enter.
    pub fn span(&self) -> &Span {
        &self.0
    }

    /// The header `traceparent` that continues it; `None` when traces aren't sent.
    pub fn trace_parent(&self) -> Option<String> {
        let context = self.0.context();
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| {
            format!(
                "00-{}-{}-{:02x}",
                context.trace_id(),
                context.span_id(),
                context.trace_flags().to_u8()
            )
        })
    }

    /// Ends the span with the probe's result.
    pub fn close(self, passed: bool, output: &str) {
        self.0.record("namebeat.check.output", output);
        if !passed {
            self.0.record("otel.status_code", "ERROR");
        }
    }
}
