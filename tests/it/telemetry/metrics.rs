//! Metrics: their names, units, attributes and exact values, as a collector receives them.

use std::collections::BTreeSet;
use std::time::Duration;

use namebeat::telemetry::{Instruments, RegistrationResult, Transport};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric};

use super::{exercise, pairs, start, start_for};
use crate::collector::{Collector, Distribution};

/// A few of everything.
fn record_everything(to: &Instruments) {
    let micros = Duration::from_micros;
    let mut meter = to.query_meter();
    meter.answered(Transport::Udp, 33, 0, 3_000, 300);
    meter.answered(Transport::Udp, 33, 0, 4_000, 1500);
    meter.answered(Transport::Udp, 33, 3, 500_000_000, 100);
    // What has been counted is kept when a worker ends.
    drop(meter);
    let mut meter = to.query_meter();
    meter.answered(Transport::Tcp, 999, 4095, 1_000, 70_000);
    meter.dropped(Transport::Quic);
    meter.limited(Transport::Udp);
    meter.prepared(true);
    meter.prepared(true);
    meter.prepared(false);
    to.watch_services(|visit| {
        visit("web", 3, 3);
        visit("db", 1, 1);
    });
    to.registered(RegistrationResult::Created);
    to.registered(RegistrationResult::Created);
    to.registered(RegistrationResult::Refused);
    to.registration_took(micros(150));
    to.deregistered();
    to.discovered();
    to.heartbeats(5, 2);
    to.expired(3);
    to.published();
    to.set_instances(9, 9);
    to.set_instances(7, 1);
    to.set_services(4);
    to.zones_reloaded(true);
    to.zones_reloaded(false);
    to.zones_reloaded(false);
    to.set_held(6);
    to.set_watchers(8);
    to.state_written(true);
    to.state_written(false);
    to.set_zones(2);
    to.probed("http", true, Duration::from_millis(3));
    to.probed("http", false, Duration::from_secs(2));
    to.probed("smtp", true, Duration::from_millis(1));
    to.health_changed("passing");
    to.health_changed("warning");
    to.health_changed("failing");
    to.health_changed("failing");
    to.damped();
    to.set_probes(9, 10);
}

#[test]
fn metrics_arrive_with_exact_values() {
    let collector = Collector::start();
    let telemetry = start_for(&collector.endpoint());
    record_everything(&telemetry.instruments());
    assert!(telemetry.flush());

    let received = collector.received();
    let one =
        |name: &str, value| assert_eq!(received.numbers(name), [(pairs([]), value)], "{name}");
    let each = |name: &str, key: &str, expected: &[(&str, i64)]| {
        let mut expected: Vec<_> = expected
            .iter()
            .map(|(value, number)| (pairs([(key, *value)]), *number))
            .collect();
        expected.sort();
        assert_eq!(received.numbers(name), expected, "{name}");
    };
    let query = |qtype, transport| {
        pairs([
            ("dns.question.type", qtype),
            ("network.transport", transport),
        ])
    };
    let response = |qtype, rcode: &str, transport| {
        let mut pairs = query(qtype, transport);
        pairs.insert("dns.response.code".to_owned(), rcode.to_owned());
        pairs
    };
    assert_eq!(
        received.numbers("namebeat.dns.queries"),
        [(query("SRV", "udp"), 3), (query("other", "tcp"), 1)]
    );
    assert_eq!(
        received.numbers("namebeat.dns.responses"),
        [
            (response("SRV", "NOERROR", "udp"), 2),
            (response("SRV", "NXDOMAIN", "udp"), 1),
            (response("other", "other", "tcp"), 1),
        ]
    );
    each("namebeat.dns.dropped", "network.transport", &[("quic", 1)]);
    each("namebeat.dns.limited", "network.transport", &[("udp", 1)]);
    each(
        "namebeat.dns.prepared",
        "result",
        &[("hit", 2), ("miss", 1)],
    );
    each(
        "namebeat.dns.service.queries",
        "namebeat.service",
        &[("web", 0), ("db", 0), ("other", 4)],
    );
    each(
        "namebeat.registry.registrations",
        "result",
        &[("created", 2), ("replaced", 0), ("refused", 1)],
    );
    one("namebeat.registry.deregistrations", 1);
    one("namebeat.registry.discoveries", 1);
    each(
        "namebeat.registry.heartbeats",
        "result",
        &[("renewed", 5), ("unknown", 2)],
    );
    one("namebeat.registry.expiries", 3);
    one("namebeat.registry.publishes", 1);
    one("namebeat.zones", 2);
    each(
        "namebeat.zones.reloads",
        "result",
        &[("loaded", 1), ("failed", 2)],
    );
    each(
        "namebeat.state.writes",
        "result",
        &[("written", 1), ("failed", 1)],
    );
    each(
        "namebeat.registry.instances",
        "state",
        &[("listed", 7), ("withdrawn", 1)],
    );
    one("namebeat.registry.services", 4);
    one("namebeat.registry.held", 6);
    one("namebeat.registry.watchers", 8);
    each(
        "namebeat.check.requests",
        "kind",
        &[("http", 2), ("other", 1)],
    );
    each(
        "namebeat.check.failures",
        "kind",
        &[("http", 1), ("other", 0)],
    );
    each(
        "namebeat.check.transitions",
        "to",
        &[("passing", 1), ("warning", 1), ("failing", 2)],
    );
    one("namebeat.check.damped", 1);
    each(
        "namebeat.check.probes",
        "state",
        &[("running", 9), ("waiting", 10)],
    );

    let [udp, tcp] = two(received.histogram("namebeat.dns.answer.duration"));
    assert_eq!(
        (udp.attributes, udp.count),
        (pairs([("network.transport", "udp")]), 3)
    );
    assert_eq!(udp.sum, 0.500_007);
    assert_eq!(udp.buckets, [(5e-6, 2), (f64::INFINITY, 1)]);
    assert_eq!((tcp.count, tcp.buckets), (1, vec![(1e-6, 1)]));
    let [udp, tcp] = two(received.histogram("namebeat.dns.answer.size"));
    assert_eq!((udp.count, udp.sum), (3, 1900.0));
    assert_eq!(udp.buckets, [(128.0, 1), (512.0, 1), (2048.0, 1)]);
    assert_eq!(tcp.buckets, [(f64::INFINITY, 1)]);
    assert_eq!(
        received.histogram("namebeat.registry.registration.duration"),
        [Distribution {
            attributes: pairs([]),
            count: 1,
            sum: 0.000_15,
            buckets: vec![(2e-4, 1)]
        }]
    );
    let [http, other] = two(received.histogram("namebeat.check.duration"));
    assert_eq!(
        (http.attributes, http.count),
        (pairs([("kind", "http")]), 2)
    );
    assert_eq!(http.buckets, [(5e-3, 1), (2.0, 1)]);
    assert_eq!(
        (other.attributes, other.count),
        (pairs([("kind", "other")]), 1)
    );
}

/// The two points of a histogram, the one with more values first.
fn two(mut points: Vec<Distribution>) -> [Distribution; 2] {
    points.sort_by_key(|point| std::cmp::Reverse(point.count));
    points.try_into().expect("two points")
}

#[test]
fn the_table_of_metrics_is_what_is_sent() {
    let collector = Collector::start();
    let telemetry = start_for(&collector.endpoint());
    record_everything(&telemetry.instruments());
    assert!(telemetry.flush());

    let received = collector.received();
    let sent: BTreeSet<_> = received
        .metrics
        .values()
        .map(|metric| {
            let kind = match metric.data.as_ref().unwrap() {
                metric::Data::Sum(sum) => {
                    let cumulative = AggregationTemporality::Cumulative;
                    assert!(sum.is_monotonic, "{}", metric.name);
                    assert_eq!(sum.aggregation_temporality(), cumulative, "{}", metric.name);
                    "counter"
                }
                metric::Data::Gauge(_) => "gauge",
                metric::Data::Histogram(_) => "histogram",
                other => panic!("{} is {other:?}", metric.name),
            };
            assert!(!metric.description.is_empty(), "{}", metric.name);
            (metric.name.clone(), kind.to_owned(), metric.unit.clone())
        })
        .collect();
    let documented: BTreeSet<_> = include_str!("../../../src/telemetry/instruments.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `namebeat."))
        .map(|row| {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
            let mut next = || cells.next().unwrap().to_owned();
            (format!("namebeat.{}", next()), next(), next())
        })
        .collect();
    assert_eq!(sent, documented);
}

#[test]
fn off_counts_but_sends_nothing() {
    let telemetry = start(&[]);
    let instruments = telemetry.instruments();
    record_everything(&instruments);
    exercise(&telemetry);
    assert!(telemetry.flush());
    telemetry.shutdown();
    assert_eq!(instruments.total_answered(), 4);
    assert_eq!(instruments.total_dropped(), 1);
    assert_eq!(instruments.responses(33, 3), 1);
    assert_eq!(instruments.registrations(RegistrationResult::Created), 2);
    assert_eq!(instruments.expiries(), 3);
}
