//! Telemetry when its collector is away or hangs: the program notices nothing.

use std::time::Duration;

use namebeat::telemetry::{QuerySpan, STOP_LIMIT, Transport};
use namebeat::time::Clock;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use super::start;
use crate::collector::{dead, silent};

/// Time that a call which only touches memory may take on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(500);

#[test]
fn an_http_collector_that_is_away_costs_nothing() {
    harmless(&dead(), "http/protobuf");
}

#[test]
fn a_grpc_collector_that_is_away_costs_nothing() {
    harmless(&dead(), "grpc");
}

#[test]
fn an_http_collector_that_hangs_costs_nothing() {
    let (_listener, endpoint) = silent();
    harmless(&endpoint, "http/protobuf");
}

#[test]
fn a_grpc_collector_that_hangs_costs_nothing() {
    let (_listener, endpoint) = silent();
    harmless(&endpoint, "grpc");
}

/// More than every queue holds, then an orderly end, all of it in time.
fn harmless(endpoint: &str, protocol: &str) {
    let telemetry = start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10"),
    ]);
    let clock = Clock::start();
    let started = clock.now();
    let instruments = telemetry.instruments();
    let mut meter = instruments.query_meter();
    let subscriber = Registry::default().with(telemetry.layers(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..5_000 {
            tracing::info!("a line");
            QuerySpan::open("a.example.", 1, Transport::Udp, [127, 0, 0, 1].into()).close(0);
            meter.answered(Transport::Udp, 1, 0, 0, 100);
        }
    });
    let recorded = clock.now();
    let took = recorded.left_at(started);
    // Long for 15 000 records in a debug build, short for one wait on a collector.
    assert!(took < Duration::from_secs(4), "{protocol}: {took:?}");
    assert_eq!(instruments.total_answered(), 5_000);

    assert!(!telemetry.flush(), "{protocol}: nobody took it");
    let flushed = clock.now();
    assert!(
        flushed < recorded.after(STOP_LIMIT + AT_ONCE),
        "{protocol}: {flushed:?}"
    );
    telemetry.shutdown();
    let stopped = clock.now();
    assert!(
        stopped < flushed.after(STOP_LIMIT + AT_ONCE),
        "{protocol}: {stopped:?}"
    );
    instruments.published();
}
