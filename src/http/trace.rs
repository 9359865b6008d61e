//! HTTP server spans, by OpenTelemetry's semantic conventions for HTTP.
//!
//! A request that carries a W3C trace context ([Trace Context] §3) continues that
//! trace. The propagator is ours alone: nothing global is set, and a request
//! can't bring baggage.
//!
//! | field | value |
//! |---|---|
//! | name | method and route, as in `PUT /v1/instances/{id}`; the method alone without a route |
//! | kind | server; error when the status is 5xx |
//! | `http.request.method` | one of the nine registered methods, or `_OTHER` |
//! | `http.route` | absent when no route matched |
//! | `url.path` | without the query, which may hold secrets |
//! | `http.response.status_code`, `error.type` | the status; the second for 5xx only |
//! | `client.address` | the other end of the connection |
//!
//! The span ends when the handler returns: the body of a watch streams on after it.
//!
//! [Trace Context]: https://www.w3.org/TR/trace-context/#trace-context-http-headers-format

use std::net::SocketAddr;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Has a request answered inside of its span.
pub(super) async fn traced(span: Span, answer: impl Future<Output = Response>) -> Response {
    if span.is_disabled() {
        return answer.await;
    }
    let response = answer.instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// The span of a request of `client`; `route` finds what is at its path.
pub(super) fn open(
    request: &Parts,
    route: impl FnOnce() -> Option<&'static str>,
    client: SocketAddr,
) -> Span {
    let method = method_name(&request.method);
    // The conventions have "HTTP" where a name would begin with `_OTHER`.
    let verb = if method == OTHER_METHOD {
        "HTTP"
    } else {
        method
    };
    let span = tracing::info_span!(
        target: "namebeat::http",
        "request",
        otel.name = verb,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = Empty,
        http.response.status_code = Empty,
        url.path = request.uri.path(),
        client.address = Empty,
        error.type = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    if let Some(route) = route() {
        span.record("otel.name", display(format_args!("{verb} {route}")));
        span.record("http.route", route);
    }
    span.record("client.address", display(client.ip()));
    let parent = parent_of(&request.headers);
    if parent.span().span_context().is_valid() {
        // Fails only when traces are off, and then there is nothing to continue.
        let _ = span.set_parent(parent);
    }
    span
}

/// What stands for methods that aren't registered, of which clients can make up any number.
const OTHER_METHOD: &str = "_OTHER";

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::CONNECT => "CONNECT",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::PATCH => "PATCH",
        _ => OTHER_METHOD,
    }
}

/// The trace that the headers `traceparent` and `tracestate` name, if they do.
fn parent_of(headers: &HeaderMap) -> Context {
    // Not the thread's current context, so that a request without headers begins a trace.
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::http::{Request, StatusCode};
    use axum::response::IntoResponse;
    use opentelemetry::trace::{Status, TracerProvider};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Keeps the spans that end.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    #[tokio::test]
    async fn server_errors_are_errors_of_the_span() {
        let kept = Kept::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(kept.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(""));
        // Of this thread, which is all that this runtime has.
        let _subscribed =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        for (path, status) in [
            ("/away", StatusCode::SERVICE_UNAVAILABLE),
            ("/wrong", StatusCode::BAD_REQUEST),
        ] {
            let (request, ()) = Request::get(path).body(()).unwrap().into_parts();
            let span = open(&request, || Some(path), ([192, 0, 2, 1], 9).into());
            traced(span, async { status.into_response() }).await;
        }

        let spans = kept.0.lock().unwrap();
        let find = |name: &str| {
            let span = spans.iter().find(|span| span.name == name).unwrap();
            let error = span.attributes.iter();
            let error = error.filter(|pair| pair.key.as_str() == "error.type");
            let error: Vec<_> = error.map(|pair| pair.value.as_str()).collect();
            (span.status.clone(), error.concat())
        };
        assert_eq!(find("GET /away"), (Status::error(""), "503".to_owned()));
        assert_eq!(find("GET /wrong"), (Status::Unset, String::new()));
    }

    #[test]
    fn trace_context_3_a_bad_parent_begins_a_trace() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (value, valid) in [
            (good, true),
            ("", false),
            (
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                false,
            ),
            ("00-0af7651916cd43dd8448eb211c80319c", false),
        ] {
            let headers = HeaderMap::from_iter([(
                axum::http::HeaderName::from_static("traceparent"),
                axum::http::HeaderValue::from_static(value),
            )]);
            let context = parent_of(&headers);
            assert_eq!(context.span().span_context().is_valid(), valid, "{value:?}");
        }
    }
}
