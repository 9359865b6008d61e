//! An OpenTelemetry collector in the test's process: OTLP over HTTP and gRPC, kept in memory.
//!
//! It runs on a thread of its own, so a test may block while it waits, with or
//! without a runtime. Waiting is for a condition, never for a time to pass.

#![allow(clippy::unwrap_used, reason = "a test's helper fails by panicking")]

use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::relay::nobody;

/// How long a condition may take to become true.
const DEADLINE: Duration = Duration::from_secs(20);

/// Attributes by key, their values as text.
pub(crate) type Attributes = BTreeMap<String, String>;

/// A collector that listens on a free port of the loopback until the test process ends.
pub(crate) struct Collector {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

/// What has been received so far.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) resources: Vec<Resource>,
    /// The newest state of each metric.
    pub(crate) metrics: BTreeMap<String, Metric>,
    pub(crate) spans: Vec<Span>,
    pub(crate) logs: Vec<LogRecord>,
    /// Each request that was taken, in turn.
    pub(crate) requests: Vec<Request>,
}

/// What a request had beside its data.
#[derive(Debug)]
pub(crate) struct Request {
    /// `metrics`, `traces` or `logs`.
    pub(crate) signal: String,
    pub(crate) headers: Attributes,
    /// Names of the metrics in each scope.
    pub(crate) scopes: Vec<(String, Vec<String>)>,
}

/// One point of a histogram.
#[derive(Debug, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) attributes: Attributes,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// Upper bound and count of the buckets that aren't empty.
    pub(crate) buckets: Vec<(f64, u64)>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Received>,
    changed: Condvar,
    /// Status codes for the next requests, which aren't taken.
    refusals: Mutex<VecDeque<u16>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let app = Router::new()
            .route("/v1/{signal}", post(take_http))
            .route("/{service}/Export", post(take_grpc))
            .with_state(Arc::clone(&shared));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        Self { addr, shared }
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Refuses as many requests as there are codes, of HTTP or gRPC.
    pub(crate) fn refuse(&self, codes: &[u16]) {
        self.shared.refusals.lock().unwrap().extend(codes);
    }

    /// What has been received by now.
    pub(crate) fn received(&self) -> MutexGuard<'_, Received> {
        self.shared.received.lock().unwrap()
    }

    /// Waits until `condition` holds for what has been received.
    pub(crate) fn wait_until(
        &self,
        condition: impl Fn(&Received) -> bool,
    ) -> MutexGuard<'_, Received> {
        let (received, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.received(), DEADLINE, |received| !condition(received))
            .unwrap();
        assert!(!timeout.timed_out(), "not in time; received {received:#?}");
        received
    }
}

impl Received {
    /// The points of a counter or a gauge: attributes, then value; in order.
    pub(crate) fn numbers(&self, name: &str) -> Vec<(Attributes, i64)> {
        let points = match self.data(name) {
            metric::Data::Sum(sum) => &sum.data_points,
            metric::Data::Gauge(gauge) => &gauge.data_points,
            other => panic!("{name} is {other:?}"),
        };
        let mut numbers: Vec<_> = points
            .iter()
            .map(|point| match point.value {
                Some(number_data_point::Value::AsInt(value)) => {
                    (attributes(&point.attributes), value)
                }
                ref other => panic!("{name} holds {other:?}"),
            })
            .collect();
        numbers.sort();
        numbers
    }

    /// The points of a histogram.
    pub(crate) fn histogram(&self, name: &str) -> Vec<Distribution> {
        let metric::Data::Histogram(histogram) = self.data(name) else {
            panic!("{name} is no histogram");
        };
        let points = histogram.data_points.iter().map(|point| {
            let bounds = point.explicit_bounds.iter().copied().chain([f64::INFINITY]);
            let buckets = bounds.zip(point.bucket_counts.iter().copied());
            Distribution {
                attributes: attributes(&point.attributes),
                count: point.count,
                sum: point.sum.unwrap_or_default(),
                buckets: buckets.filter(|(_, count)| *count != 0).collect(),
            }
        });
        points.collect()
    }

    /// What a metric's newest points are.
    pub(crate) fn data(&self, name: &str) -> &metric::Data {
        self.metrics[name].data.as_ref().unwrap()
    }
}

/// Attributes as text, to compare with.
pub(crate) fn attributes(pairs: &[KeyValue]) -> Attributes {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pairs = pairs.iter();
    pairs
        .map(|pair| (pair.key.clone(), text(&pair.value)))
        .collect()
}

/// A collector that accepts connections and never says a word.
pub(crate) fn silent() -> (TcpListener, String) {
    // The kernel accepts for a listener, up to its backlog.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

/// An endpoint where nobody listens.
pub(crate) fn dead() -> String {
    format!("http://{}", nobody())
}

async fn take_http(
    State(shared): State<Arc<Shared>>,
    Path(signal): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if headers.get(header::CONTENT_TYPE)
        != Some(&HeaderValue::from_static("application/x-protobuf"))
    {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    if let Some(code) = shared.refusal() {
        return StatusCode::from_u16(code).unwrap().into_response();
    }
    shared.take(&signal, &headers, &body);
    ([(header::CONTENT_TYPE, "application/x-protobuf")], "").into_response()
}

/// A call without streaming: one message each way, after a flag and a length; the status trails.
async fn take_grpc(
    State(shared): State<Arc<Shared>>,
    Path(service): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signal = match service.as_str() {
        "opentelemetry.proto.collector.metrics.v1.MetricsService" => "metrics",
        "opentelemetry.proto.collector.trace.v1.TraceService" => "traces",
        "opentelemetry.proto.collector.logs.v1.LogsService" => "logs",
        other => panic!("no such service: {other}"),
    };
    assert_eq!(body[0], 0, "not compressed");
    let status = shared.refusal();
    if status.is_none() {
        shared.take(signal, &headers, &body[5..]);
    }
    let trailers = HeaderMap::from_iter([(
        header::HeaderName::from_static("grpc-status"),
        HeaderValue::from(status.unwrap_or_default()),
    )]);
    let reply = Full::from(&[0u8; 5][..]).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(reply));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}

impl Shared {
    fn refusal(&self) -> Option<u16> {
        self.refusals.lock().unwrap().pop_front()
    }

    fn take(&self, signal: &str, headers: &HeaderMap, message: &[u8]) {
        let mut received = self.received.lock().unwrap();
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = headers.iter();
        let mut of_request = Request {
            signal: signal.to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
            scopes: Vec::new(),
        };
        match signal {
            "metrics" => {
                let request = ExportMetricsServiceRequest::decode(message).unwrap();
                for of_resource in request.resource_metrics {
                    received.resources.extend(of_resource.resource);
                    for of_scope in of_resource.scope_metrics {
                        let names = of_scope.metrics.iter().map(|metric| metric.name.clone());
                        let scope = of_scope.scope.unwrap_or_default();
                        of_request.scopes.push((scope.name, names.collect()));
                        for metric in of_scope.metrics {
                            received.metrics.insert(metric.name.clone(), metric);
                        }
                    }
                }
            }
            "traces" => {
                let request = ExportTraceServiceRequest::decode(message).unwrap();
                for of_resource in request.resource_spans {
                    received.resources.extend(of_resource.resource);
                    let scopes = of_resource.scope_spans.into_iter();
                    received.spans.extend(scopes.flat_map(|scope| scope.spans));
                }
            }
            "logs" => {
                let request = ExportLogsServiceRequest::decode(message).unwrap();
                for of_resource in request.resource_logs {
                    received.resources.extend(of_resource.resource);
                    let scopes = of_resource.scope_logs.into_iter();
                    let records = scopes.flat_map(|scope| scope.log_records);
                    received.logs.extend(records);
                }
            }
            other => panic!("no such signal: {other}"),
        }
        received.requests.push(of_request);
        self.changed.notify_all();
    }
}
