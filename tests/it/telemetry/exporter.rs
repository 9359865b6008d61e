//! The exporter of metrics: what the SDK can't hold, over both protocols, as the user asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use namebeat::telemetry::{Telemetry, Transport};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, HistogramDataPoint, metric};

use super::{pairs, start};
use crate::collector::{Attributes, Collector, Received};

const PROTOCOLS: [&str; 2] = ["http/protobuf", "grpc"];

/// Telemetry that sends metrics to a collector, with further variables.
fn start_metrics(collector: &Collector, protocol: &str, more: &[(&str, &str)]) -> Telemetry {
    let endpoint = collector.endpoint();
    let mut vars = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    vars.extend(more);
    start(&vars)
}

/// The points of a histogram as they were sent.
fn points<'a>(received: &'a Received, name: &str) -> &'a [HistogramDataPoint] {
    let metric::Data::Histogram(histogram) = received.data(name) else {
        panic!("{name} is no histogram");
    };
    let cumulative = AggregationTemporality::Cumulative;
    assert_eq!(histogram.aggregation_temporality(), cumulative);
    &histogram.data_points
}

#[test]
fn dns_histograms_are_exact_and_come_with_the_rest() {
    for protocol in PROTOCOLS {
        let collector = Collector::start();
        let telemetry = start_metrics(&collector, protocol, &[]);
        let mut meter = telemetry.instruments().query_meter();
        for (nanos, octets) in [
            (0, 64),
            (1_000, 65),
            (1_001, 512),
            (2_000, 1232),
            (100_000_000, 1233),
            (100_000_001, 65_535),
            (7_000_000_000, 65_536),
        ] {
            meter.answered(Transport::Udp, 1, 0, nanos, octets);
        }
        assert!(telemetry.flush());

        let received = collector.received();
        let [request] = &*received.requests else {
            panic!("{:#?}", received.requests);
        };
        let [(scope, names)] = &*request.scopes else {
            panic!("{request:#?}");
        };
        assert_eq!(scope, "namebeat");
        for name in ["answer.duration", "answer.size", "queries"] {
            let name = format!("namebeat.dns.{name}");
            assert_eq!(names.iter().filter(|n| **n == name).count(), 1, "{name}");
        }
        let [duration] = points(&received, "namebeat.dns.answer.duration") else {
            panic!("one transport");
        };
        assert_eq!(
            duration.explicit_bounds,
            [
                1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2,
                5e-2, 1e-1
            ]
        );
        assert_eq!(
            duration.bucket_counts,
            [2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]
        );
        assert_eq!((duration.count, duration.sum), (7, Some(7.200_004_002)));
        assert_eq!((duration.min, duration.max), (Some(0.0), Some(7.0)));
        let [size] = points(&received, "namebeat.dns.answer.size") else {
            panic!("one transport");
        };
        assert_eq!(
            size.explicit_bounds,
            [
                64.0, 128.0, 256.0, 512.0, 1232.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0,
                65535.0
            ]
        );
        assert_eq!(size.bucket_counts, [1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1]);
        assert_eq!((size.count, size.sum), (7, Some(134_177.0)));
    }
}

#[test]
fn histograms_go_on_from_one_start() {
    let collector = Collector::start();
    let telemetry = start_metrics(
        &collector,
        "http/protobuf",
        &[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta")],
    );
    let instruments = telemetry.instruments();
    let mut last = (0, 0);
    for round in 1..4 {
        instruments
            .query_meter()
            .answered(Transport::Tcp, 1, 0, 5, 100);
        instruments.published();
        assert!(telemetry.flush());
        let received = collector.received();
        let [point] = points(&received, "namebeat.dns.answer.duration") else {
            panic!("one transport");
        };
        assert_eq!(point.count, round);
        assert!(last.1 < point.time_unix_nano && point.start_time_unix_nano < point.time_unix_nano);
        if round > 1 {
            assert_eq!(point.start_time_unix_nano, last.0);
        }
        last = (point.start_time_unix_nano, point.time_unix_nano);
        // Those of the SDK are as was asked for.
        let publishes = "namebeat.registry.publishes";
        assert_eq!(received.numbers(publishes), [(pairs([]), 1)]);
    }
}

#[test]
fn requests_carry_the_users_headers() {
    for protocol in PROTOCOLS {
        let collector = Collector::start();
        let general = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=general,x=y");
        let own = (
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
            "api-key=of%20metrics, content-type=text/plain",
        );
        let sent = |more: &[(&str, &str)]| -> Attributes {
            let telemetry = start_metrics(&collector, protocol, more);
            assert!(telemetry.flush());
            let mut received = collector.received();
            received.requests.pop().unwrap().headers
        };
        let headers = sent(&[general]);
        assert_eq!((&*headers["api-key"], &*headers["x"]), ("general", "y"));
        let agent = &headers["user-agent"];
        assert!(agent.starts_with("namebeat/"), "{protocol}: {agent}");
        let headers = sent(&[general, own]);
        assert_eq!(headers["api-key"], "of metrics", "{protocol}");
        assert!(!headers.contains_key("x"), "{protocol}");
        assert!(headers["content-type"].starts_with("application/"));
    }
}

#[test]
fn services_are_counted_by_name() {
    for protocol in PROTOCOLS {
        let collector = Collector::start();
        let telemetry = start_metrics(&collector, protocol, &[]);
        let asked = Arc::new(Mutex::new(BTreeMap::from([("web".to_owned(), (7, 7))])));
        let source = Arc::clone(&asked);
        telemetry.instruments().watch_services(move |visit| {
            for (name, (all, new)) in &mut *source.lock().unwrap() {
                visit(name, *all, std::mem::take(new));
            }
        });
        let exported = || {
            assert!(telemetry.flush());
            let received = collector.received();
            received.numbers("namebeat.dns.service.queries")
        };
        let service = |name, count| (pairs([("namebeat.service", name)]), count);
        assert_eq!(exported(), [service("other", 7), service("web", 0)]);
        asked.lock().unwrap().insert("web".to_owned(), (12, 5));
        assert_eq!(exported(), [service("other", 7), service("web", 5)]);
        // Registered anew.
        asked.lock().unwrap().insert("web".to_owned(), (2, 2));
        assert_eq!(exported(), [service("other", 7), service("web", 7)]);
        let mut more = asked.lock().unwrap();
        more.extend((0..1000).map(|n| (format!("service-{n}"), (10, 10))));
        drop(more);
        let series = exported();
        assert_eq!(series.len(), 101);
        assert_eq!(series.iter().map(|(_, count)| count).sum::<i64>(), 10_007);
    }
}

#[test]
fn a_busy_collector_is_asked_again() {
    // What may pass, and what won't.
    for (protocol, busy, never) in [("http/protobuf", 503, 400), ("grpc", 14, 3)] {
        let collector = Collector::start();
        let telemetry = start_metrics(&collector, protocol, &[]);
        collector.refuse(&[busy, busy]);
        assert!(telemetry.flush(), "{protocol}");
        collector.refuse(&[never]);
        assert!(!telemetry.flush(), "{protocol}");
        assert!(telemetry.flush(), "{protocol}");
        let requests = &collector.received().requests;
        assert_eq!(requests.len(), 2, "{protocol}");
        assert!(requests.iter().all(|request| request.signal == "metrics"));
    }
}
