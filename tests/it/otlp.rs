//! The whole program and a collector: what is counted and traced of real work.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};

use hickory_proto::rr::RecordType::{A, SRV, TXT};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

use crate::collector::{Collector, attributes, dead, silent};
use crate::harness::{eventually, query, receive};
use crate::program::Program;

/// Sums the points of a counter that have all of these attributes.
fn total(received: &crate::collector::Received, name: &str, with: &[(&str, &str)]) -> i64 {
    let matches = |(attributes, _): &&(crate::collector::Attributes, i64)| {
        with.iter()
            .all(|(key, value)| attributes.get(*key).is_some_and(|v| v == value))
    };
    received
        .numbers(name)
        .iter()
        .filter(matches)
        .map(|(_, value)| value)
        .sum()
}

#[test]
fn metrics_spans_and_logs_of_real_work() {
    let collector = Collector::start();
    let server = Program::serve(
        &["--trace-queries", "1"],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())],
    );
    let check = json!({"kind": "tcp", "interval": "100ms", "rise": 1, "retries": 1});
    server.register_web("web-1", 1);
    server.register_web("web-1", 1);
    server.register(
        "down",
        json!({"name": "down", "host": "127.0.0.1", "port": 1, "health_check": check}),
    );
    assert_eq!(server.http("PUT", "/v1/instances/bad", "{}").status, 422);
    assert_eq!(
        server
            .http("POST", "/v1/instances/web-1/heartbeat", "")
            .status,
        200
    );
    assert_eq!(
        server
            .http("POST", "/v1/instances/gone/heartbeat", "")
            .status,
        404
    );
    assert_eq!(server.http("GET", "/v1/services/web", "").status, 200);
    for _ in 0..3 {
        server.ask("web.svc.internal.", A);
    }
    server.ask_tcp("web.svc.internal.", SRV);
    server.ask("nope.svc.internal.", TXT);
    server.ask("other.example.", A);
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    server.http_with("POST", "/v1/instances/web-1/drain", "", trace);
    assert_eq!(server.http("DELETE", "/v1/instances/web-1", "").status, 200);
    eventually("it's failing", || {
        let read = server.http("GET", "/v1/instances/down", "").json();
        (read["state"]["health"] == "failing").then_some(())
    });
    assert_eq!(server.stop("TERM").0, Some(0));

    let received = collector.received();
    let count = |name: &str, with: &[(&str, &str)]| total(&received, name, with);
    let rcode = "dns.response.code";
    let (qtype, transport) = ("dns.question.type", "network.transport");
    let responses = "namebeat.dns.responses";
    assert_eq!(
        count(
            responses,
            &[(qtype, "A"), (rcode, "NOERROR"), (transport, "udp")]
        ),
        3
    );
    assert_eq!(
        count(
            responses,
            &[(qtype, "SRV"), (rcode, "NOERROR"), (transport, "tcp")]
        ),
        1
    );
    assert_eq!(count(responses, &[(qtype, "TXT"), (rcode, "NXDOMAIN")]), 1);
    assert_eq!(count(responses, &[(qtype, "A"), (rcode, "REFUSED")]), 1);
    assert_eq!(count("namebeat.dns.queries", &[]), 6);
    let durations = received.histogram("namebeat.dns.answer.duration");
    assert_eq!(durations.iter().map(|points| points.count).sum::<u64>(), 6);
    assert!(durations.iter().all(|points| points.sum > 0.0));
    let registrations = "namebeat.registry.registrations";
    assert_eq!(count(registrations, &[("result", "created")]), 2);
    assert_eq!(count(registrations, &[("result", "replaced")]), 1);
    assert_eq!(count(registrations, &[("result", "refused")]), 1);
    assert_eq!(
        count("namebeat.registry.heartbeats", &[("result", "renewed")]),
        1
    );
    assert_eq!(
        count("namebeat.registry.heartbeats", &[("result", "unknown")]),
        1
    );
    assert_eq!(count("namebeat.registry.deregistrations", &[]), 1);
    assert!(count("namebeat.registry.discoveries", &[]) >= 1);
    assert_eq!(
        count("namebeat.registry.instances", &[("state", "withdrawn")]),
        1
    );
    assert!(count("namebeat.check.failures", &[]) >= 1);
    assert_eq!(count("namebeat.check.transitions", &[]), 1);

    let span = |name: &str| {
        let found = received.spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no span {name}: {:#?}", received.spans))
    };
    let dns = span("DNS SRV");
    assert_eq!(dns.kind, SpanKind::Server as i32);
    assert_eq!(
        attributes(&dns.attributes)["dns.question.name"],
        "web.svc.internal."
    );
    let http = span("POST /v1/instances/{id}/drain");
    assert_eq!(http.trace_id[..4], [0x0a, 0xf7, 0x65, 0x19]);
    assert_eq!(
        http.parent_span_id,
        [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]
    );
    assert_eq!(
        attributes(&http.attributes)["http.response.status_code"],
        "200"
    );
    let log = received
        .logs
        .iter()
        .find(|log| format!("{log:?}").contains("drained by an operator"));
    assert_eq!(log.expect("no log").trace_id, http.trace_id);
}

/// The trace of a probe goes on in whoever is probed; without `--trace-checks` there is none.
#[test]
fn a_probe_hands_on_its_trace() {
    for (flags, is_traced) in [(&["--trace-checks"][..], true), (&[], false)] {
        let collector = Collector::start();
        let endpoint = collector.endpoint();
        let server = Program::serve(flags, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let body = json!({
            "name": "web", "host": "127.0.0.1", "port": listener.local_addr().unwrap().port(),
            "health_check": {"interval": "100ms"},
        });
        server.register("web-1", body);
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 2048];
        let len = stream.read(&mut request).unwrap();
        let request = String::from_utf8_lossy(&request[..len]).into_owned();
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .unwrap();
        eventually("the probe is over", || {
            let why = server.http("GET", "/v1/explain?name=web.svc.internal.&type=A", "");
            let probe = why.json()["instances"][0]["last_probe"].take();
            (probe["output"] == "204 No Content").then_some(())
        });
        let parent = request
            .lines()
            .find_map(|line| line.strip_prefix("traceparent: "));
        assert_eq!(parent.is_some(), is_traced, "{request}");
        drop((stream, listener));
        assert_eq!(server.stop("TERM").0, Some(0));
        let received = collector.received();
        let mut spans = received.spans.iter();
        let hex = |octets: &[u8]| -> String { octets.iter().map(|o| format!("{o:02x}")).collect() };
        let found = spans.find(|span| {
            let is_it = |parent: &str| parent.contains(&hex(&span.span_id));
            span.name == "probe http" && parent.is_some_and(is_it)
        });
        assert_eq!(found.is_some(), is_traced);
        if let (Some(span), Some(parent)) = (found, parent) {
            let trace = hex(&span.trace_id);
            assert!(parent.starts_with(&format!("00-{trace}-")), "{parent}");
            let attributes = attributes(&span.attributes);
            assert_eq!(attributes["namebeat.check.output"], "204 No Content");
        }
    }
}

/// A collector that is gone, or that never answers, changes nothing for DNS.
#[test]
fn promise_7_a_dead_collector_changes_nothing() {
    let (listener, never_answers) = silent();
    for endpoint in [dead(), never_answers] {
        let server = Program::serve(
            &["--trace-queries", "1"],
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
                ("OTEL_BSP_SCHEDULE_DELAY", "50"),
                ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
            ],
        );
        server.register_web("web-1", 1);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server.dns()).unwrap();
        // Far below what anything would wait for a collector.
        socket
            .set_read_timeout(Some(std::time::Duration::from_secs(1)))
            .unwrap();
        let mut octets = [0; 2048];
        for _ in 0..5000 {
            socket.send(&query("web.svc.internal.", A, None)).unwrap();
            assert!(receive(&socket, &mut octets) > 12);
        }
        let (code, _, errors) = server.stop("TERM");
        assert_eq!(code, Some(0));
        assert!(errors.lines().count() < 20, "{errors}");
    }
    drop(listener);
}
