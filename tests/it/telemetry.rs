//! Telemetry against a collector: set-up, spans and logs here, the rest in those below.

#![allow(clippy::unwrap_used, reason = "a test's helper fails by panicking")]

mod exporter;
mod metrics;
mod outage;

use std::sync::Arc;
use std::time::Duration;

use namebeat::http::{Api, Parts};
use namebeat::registry::check::networks::CheckNetworks;
use namebeat::registry::table::TableConfig;
use namebeat::reload::Reloads;
use namebeat::telemetry::{QuerySpan, Telemetry, Transport};
use namebeat::time::Clock;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode as Status};
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use crate::collector::{Attributes, Collector, attributes};

/// Telemetry as these variables ask for.
fn start(vars: &[(&str, &str)]) -> Telemetry {
    let find = |name: &str| vars.iter().find(|(key, _)| *key == name);
    Telemetry::from_vars(|name| find(name).map(|(_, value)| (*value).to_owned())).unwrap()
}

/// Telemetry that sends all signals to `endpoint`.
fn start_for(endpoint: &str) -> Telemetry {
    start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)])
}

/// Attributes to compare with.
fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Attributes {
    Attributes::from(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
}

#[test]
fn the_resource_says_who_sends() {
    let collector = Collector::start();
    let telemetry = start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
    ]);
    let subscriber = Registry::default().with(telemetry.layers(LevelFilter::INFO));
    telemetry.instruments().published();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!("one line");
        QuerySpan::open(".", 6, Transport::Udp, [127, 0, 0, 1].into()).close(0);
    });
    telemetry.shutdown();

    let received = collector.received();
    assert_eq!(received.resources.len(), 3);
    for resource in &received.resources {
        let attributes = attributes(&resource.attributes);
        assert_eq!(attributes["service.name"], "namebeat");
        assert_eq!(attributes["service.version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(attributes["service.instance.id"].len(), 36);
        assert_eq!(attributes["deployment.environment.name"], "test");
    }
}

#[tokio::test]
async fn http_spans_continue_the_callers_trace() {
    let collector = Collector::start();
    let telemetry = start_for(&collector.endpoint());
    let subscriber = Registry::default().with(telemetry.layers(LevelFilter::INFO));
    // Of this thread, which is all that this runtime has.
    let _subscribed = tracing::subscriber::set_default(subscriber);

    let config = TableConfig {
        ttl: Duration::from_secs(5),
        negative_ttl: Duration::from_secs(1),
        max_instances: 10,
        ..TableConfig::default()
    };
    let registry = namebeat::registry::Registry::start(
        config,
        Arc::new(|_| None),
        telemetry.instruments(),
        Clock::start(),
    );
    let parts = Parts {
        rate: namebeat::http::Rate::new(0),
        probed: CheckNetworks::default(),
        registry: registry.unwrap(),
        instruments: telemetry.instruments(),
        reload: Reloads::new(1, chrono::Utc::now()).0,
        explain: Arc::new(|_, _, _| Err("nothing is explained here".to_owned())),
    };
    let stop = CancellationToken::new();
    let api = Api::new(parts, stop.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(namebeat::http::serve(listener, 10, api, stop));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client
        .put(format!("{url}/v1/instances/web-1?token=secret"))
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .header("tracestate", "vendor=x")
        .header("content-type", "application/json")
        .body(r#"{"name": "web", "host": "192.0.2.1", "port": 80}"#)
        .send();
    assert_eq!(response.await.unwrap().status(), 201);
    let response = client.get(format!("{url}/nowhere")).send();
    assert_eq!(response.await.unwrap().status(), 404);
    assert!(telemetry.flush());

    let received = collector.wait_until(|received| received.spans.len() == 2);
    let span = find(&received.spans, "PUT /v1/instances/{id}");
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(span.trace_state, "vendor=x");
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(
        span.status.clone().unwrap_or_default().code(),
        Status::Unset
    );
    assert_eq!(
        attributes(&span.attributes),
        pairs([
            ("client.address", "127.0.0.1"),
            ("http.request.method", "PUT"),
            ("http.response.status_code", "201"),
            ("http.route", "/v1/instances/{id}"),
            ("url.path", "/v1/instances/web-1"),
        ])
    );
    let lost = find(&received.spans, "GET");
    assert!(lost.parent_span_id.is_empty());
    let attributes = attributes(&lost.attributes);
    assert_eq!(attributes["http.response.status_code"], "404");
    assert!(!attributes.contains_key("http.route"));
}

#[test]
fn sampled_queries_have_spans() {
    let collector = Collector::start();
    let telemetry = start_for(&collector.endpoint());
    let subscriber = Registry::default().with(telemetry.layers(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, || {
        let client = [192, 0, 2, 7].into();
        let answered = QuerySpan::open("_http._tcp.Web.example.", 33, Transport::Udp, client);
        answered.span().in_scope(|| {
            tracing::warn!("said meanwhile");
            tracing::debug!("filtered out");
        });
        answered.close(3);
        QuerySpan::open("odd.example.", 65_280, Transport::Tcp, client).close(2);
    });
    assert!(telemetry.flush());

    let received = collector.received();
    let answered = find(&received.spans, "DNS SRV");
    assert_eq!(answered.kind(), SpanKind::Server);
    assert_eq!(
        attributes(&answered.attributes),
        pairs([
            ("client.address", "192.0.2.7"),
            ("dns.question.name", "_http._tcp.Web.example."),
            ("dns.question.type", "SRV"),
            ("dns.response.code", "NXDOMAIN"),
            ("network.transport", "udp"),
        ])
    );
    let failed = find(&received.spans, "DNS TYPE65280");
    assert_eq!(failed.status.as_ref().unwrap().code(), Status::Error);
    assert_eq!(received.logs.len(), 1);
    assert_eq!(received.logs[0].trace_id, answered.trace_id);
    assert_eq!(received.logs[0].span_id, answered.span_id);
}

#[test]
fn telemetry_of_the_exporters_is_left_out() {
    let collector = Collector::start();
    let telemetry = start_for(&collector.endpoint());
    let subscriber = Registry::default().with(telemetry.layers(LevelFilter::TRACE));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(target: "hyper_util::client", "left out");
        tracing::warn!(target: "opentelemetry_sdk", "left out");
        tracing::warn!(target: "namebeat::telemetry::export", "left out");
        tracing::debug!(target: "namebeat::registry", instances = 3, "kept");
        drop(tracing::info_span!(target: "h2::client", "left out"));
        drop(tracing::info_span!("kept").entered());
    });
    assert!(telemetry.flush());

    let received = collector.received();
    let lines: Vec<_> = received.logs.iter().collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].severity_text, "DEBUG");
    assert_eq!(
        attributes(&lines[0].attributes),
        pairs([("instances", "3")])
    );
    let spans: Vec<_> = received.spans.iter().map(|span| &*span.name).collect();
    assert_eq!(spans, ["kept"]);
}

#[test]
fn signals_are_chosen_one_by_one() {
    let collector = Collector::start();
    let telemetry = start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ]);
    exercise(&telemetry);
    telemetry.shutdown();
    let received = collector.received();
    assert!(!received.metrics.is_empty());
    assert_eq!((received.spans.len(), received.logs.len()), (0, 0));
}

#[test]
fn sampling_follows_the_variables() {
    let collector = Collector::start();
    let telemetry = start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0"),
    ]);
    exercise(&telemetry);
    telemetry.shutdown();
    let received = collector.received();
    assert_eq!((received.spans.len(), received.logs.len()), (0, 1));
}

#[test]
fn metrics_go_out_by_themselves() {
    let collector = Collector::start();
    let telemetry = start(&[
        (
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            &format!("{}/v1/metrics", collector.endpoint()),
        ),
        ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
    ]);
    let published = |received: &crate::collector::Received, times| {
        received.metrics.contains_key("namebeat.registry.publishes")
            && received.numbers("namebeat.registry.publishes") == [(pairs([]), times)]
    };
    drop(collector.wait_until(|received| published(received, 0)));
    telemetry.instruments().published();
    drop(collector.wait_until(|received| published(received, 1)));
}

#[test]
fn grpc_works_without_a_runtime() {
    over_grpc();
}

#[tokio::test]
async fn grpc_works_inside_a_runtime() {
    // The runtime's only thread is blocked all the while: ours drives the calls.
    over_grpc();
}

fn over_grpc() {
    let collector = Collector::start();
    let telemetry = start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ]);
    exercise(&telemetry);
    telemetry.shutdown();
    let received = collector.received();
    assert_eq!(
        received.numbers("namebeat.registry.publishes"),
        [(pairs([]), 1)]
    );
    assert_eq!((received.spans.len(), received.logs.len()), (1, 1));
}

#[tokio::test]
async fn http_works_inside_a_runtime() {
    let collector = Collector::start();
    let telemetry = start_for(&collector.endpoint());
    exercise(&telemetry);
    assert!(telemetry.flush());
    drop(telemetry);
    let received = collector.received();
    assert_eq!((received.spans.len(), received.logs.len()), (1, 1));
}

/// One of each signal.
fn exercise(telemetry: &Telemetry) {
    telemetry.instruments().published();
    let subscriber = Registry::default().with(telemetry.layers(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!("a line");
        tracing::info_span!("a span").in_scope(|| ());
    });
}

fn find<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name:?} in {spans:#?}"))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
