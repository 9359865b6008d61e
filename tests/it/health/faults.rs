//! Checks when things go wrong: hanging, dripping, resetting, garbage, bodies without
//! end, flapping; and targets that may not be probed.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;
use namebeat::config::Settings;
use serde_json::{Value, json};

use super::backends::answering;
use super::{Backend as Http, listed, output};
use crate::harness::{TestServer, eventually};
use crate::relay::nobody;

fn register(server: &TestServer, id: &str, service: &str, at: SocketAddr, check: Value) {
    let body = json!({
        "name": service, "host": at.ip().to_string(), "port": at.port(), "lease": null,
        "health_check": check,
    });
    server.register(id, body);
}

/// What is told of the one probe that it takes.
fn failure(at: SocketAddr, check: Value) -> String {
    let server = TestServer::start();
    let mut fields = json!({"interval": "100ms", "timeout": "500ms", "retries": 1});
    let object = fields.as_object_mut().unwrap();
    object.extend(check.as_object().unwrap().clone());
    register(&server, "web-1", "web", at, fields);
    let said = eventually("it's failing", || {
        let state = server.http("GET", "/v1/instances/web-1", "").json()["state"].take();
        (state["health"] == "failing").then(|| state["output"].as_str().unwrap().to_owned())
    });
    assert!(!listed(&server));
    said
}

#[test]
fn a_response_that_drips_is_cut_by_its_timeout() {
    let at = answering(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    let said = failure(at, json!({"expected_body": "never"}));
    assert_eq!(said, "no answer within 500ms");
    // Who asks for the status alone has it.
    let server = TestServer::start();
    register(
        &server,
        "web-1",
        "web",
        at,
        json!({"interval": "100ms", "rise": 1}),
    );
    eventually("it's listed", || listed(&server).then_some(()));
}

#[test]
fn a_body_is_read_up_to_64_kib() {
    let body = |padding: usize| {
        answering(move |stream| {
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}needle",
                padding + 6,
                "x".repeat(padding)
            );
        })
    };
    let check = json!({"expected_body": "needle"});
    let said = failure(body(64 * 1024), check.clone());
    assert_eq!(said, "200 OK, without \"needle\" in its first 64 KiB");
    let (server, at) = (TestServer::start(), body(64 * 1024 - 6));
    let check = json!({"expected_body": "needle", "interval": "100ms", "rise": 1});
    register(&server, "web-1", "web", at, check);
    eventually("it's listed", || listed(&server).then_some(()));
}

#[test]
fn resets_and_garbage_are_failures_that_say_what_came() {
    let reset = answering(|stream| {
        let _ = socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO));
    });
    let said = failure(reset, json!({}));
    assert!(
        said.to_lowercase().contains("reset") || said.contains("closed"),
        "{said}"
    );
    let garbage = answering(|stream| drop(stream.write_all(&[0xff; 1000])));
    for kind in ["http", "https", "grpc"] {
        let mut check = json!({"kind": kind});
        if kind == "grpc" {
            check["tls"] = json!(true);
        }
        let said = failure(garbage, check);
        assert!(!said.is_empty() && said.len() <= 800, "{kind}: {said}");
    }
    // A head without an end is given up, too.
    let endless = answering(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-More: and more of it\r\n").is_ok() {}
    });
    let said = failure(endless, json!({"timeout": "10s"}));
    assert!(!said.contains("no answer within"), "{said}");
}

#[test]
fn a_port_without_anybody_is_refused() {
    let at = nobody();
    for check in [
        json!({"kind": "tcp"}),
        json!({"kind": "http"}),
        json!({"kind": "grpc"}),
        json!({"kind": "udp", "send": "x"}),
        json!({"kind": "dns", "query": "a.example."}),
    ] {
        let said = failure(at, check.clone());
        assert!(said.contains("refused"), "{check}: {said}");
    }
}

/// Promise 2 while a check fails: no answer's TTL goes beyond the moment at which the
/// check could withdraw the instance.
#[test]
fn an_answer_ends_before_a_failing_check_could_withdraw_it() {
    let (server, backend) = (TestServer::start(), Http::start());
    let check =
        json!({"interval": "2s", "doubt_interval": "2s", "retries": 3, "initial": "passing"});
    backend.register(&server, check);
    backend.status.store(500, Ordering::SeqCst);
    let ask = || server.ask("web.svc.internal.", RecordType::A);
    assert_eq!(ask().ttl(), 5, "nothing has failed yet");
    // Two more probes are to come, each 1.9 s after the last or later.
    let (asked, ttl) = eventually("the TTL is bounded", || {
        let (asked, ttl) = (Instant::now(), ask().ttl());
        (ttl < 5).then_some((asked, ttl))
    });
    assert!((1..=3).contains(&ttl), "{ttl}");
    let why = server
        .http("GET", "/v1/explain?name=web.svc.internal.&type=A", "")
        .json();
    let bound = why["ttl"]["bound"].as_str().unwrap();
    assert!(bound.starts_with("web-1 has begun to fail"), "{bound}");
    assert_eq!(why["instances"][0]["last_probe"]["result"], "failed");
    // Every answer until then ends before it's withdrawn.
    let mut ends = asked + Duration::from_secs(ttl.into());
    let gone = eventually("it's withdrawn", || {
        let (asked, answer) = (Instant::now(), ask());
        if answer.message.answers.is_empty() {
            return Some(Instant::now());
        }
        ends = ends.max(asked + Duration::from_secs(answer.ttl().into()));
        None
    });
    assert!(ends <= gone, "an answer outlived it by {:?}", ends - gone);
    // When it's well before that, the TTL is whole again.
    backend.status.store(200, Ordering::SeqCst);
    eventually("it's back", || listed(&server).then_some(()));
    assert_eq!(ask().ttl(), 5);
}

#[test]
fn one_that_flaps_changes_dns_seldom() {
    let server = TestServer::start();
    let probes = Arc::new(AtomicUsize::new(0));
    let count = probes.clone();
    // Well once, and then not.
    let at = answering(move |stream| {
        let well = count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        let code = if well { 200 } else { 500 };
        let _ = write!(stream, "HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n");
    });
    let check = json!({"interval": "100ms", "retries": 1, "rise": 1});
    register(&server, "web-1", "web", at, check);
    let why = || {
        server
            .http("GET", "/v1/explain?name=web.svc.internal.&type=A", "")
            .json()
    };
    let start = Instant::now();
    let (mut was, mut changes) = (false, 0);
    let instance = eventually("it's held back", || {
        let is = listed(&server);
        changes += usize::from(is != was);
        was = is;
        let instance = why()["instances"][0].take();
        let damped = !instance["last_probe"]["damped_until"].is_null();
        (damped && instance["last_probe"]["flaps"] == 2).then_some(instance)
    });
    // Held back for 1 s, then for 2 s: there and gone three times before the latter.
    assert!(changes <= 6, "{changes} changes in {:?}", start.elapsed());
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(
        probes.load(Ordering::SeqCst) > 6,
        "it's probed all the same"
    );
    let why = instance["why"].as_str().unwrap();
    assert!(
        why.ends_with("it passes again, and is held back because it flaps"),
        "{why}"
    );
}

#[test]
fn a_slow_target_delays_nobody() {
    let server = TestServer::with(Settings {
        check_concurrency: Some(8),
        check_concurrency_per_target: Some(4),
        ..Settings::default()
    });
    // Connections are taken by the system and never answered.
    let silent = TcpListener::bind("127.0.0.2:0").unwrap();
    let at = silent.local_addr().unwrap();
    for n in 0..100 {
        let check = json!({"interval": "100ms", "timeout": "10s"});
        register(&server, &format!("slow-{n}"), "slow", at, check);
    }
    let backend = Http::start();
    let start = Instant::now();
    backend.register(
        &server,
        json!({"interval": "100ms", "timeout": "5s", "rise": 5}),
    );
    eventually("it's listed", || listed(&server).then_some(()));
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_probe_to_a_forbidden_network_is_refused_at_registration() {
    let server = TestServer::start();
    let put = |host: &str, check: Value| {
        let body = json!({"name": "web", "host": host, "port": 80, "health_check": check});
        let answer = server.http("PUT", "/v1/instances/web-1", &body.to_string());
        (
            answer.status,
            answer.json()["detail"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let (status, detail) = put("8.8.8.8", json!({}));
    assert_eq!(status, 422);
    assert_eq!(
        detail,
        "health_check asks for probes that aren't sent: 8.8.8.8 is in no network that may be probed \
         (check_networks: private, loopback, registrant), and the registration comes from 127.0.0.1"
    );
    let (status, detail) = put("169.254.169.254", json!({}));
    assert_eq!(status, 422);
    assert!(detail.contains("169.254.169.254 is link-local"), "{detail}");
    // Without a probe it's no matter, and near ones are allowed.
    assert_eq!(put("8.8.8.8", json!({"kind": "none"})).0, 201);
    assert_eq!(put("10.0.0.1", json!({})).0, 200);
    // Of several addresses, the first one is probed.
    let body = json!({
        "name": "web", "addresses": ["2001:db8::1", "10.0.0.1"], "port": 80, "health_check": {},
    });
    let answer = server.http("PUT", "/v1/instances/web-1", &body.to_string());
    assert_eq!(answer.status, 422);
    // One of many is refused alone.
    let body = json!([
        {"id": "a", "name": "w", "host": "8.8.8.8", "port": 1, "health_check": {}},
        {"id": "b", "name": "w", "host": "127.0.0.1", "port": 1, "health_check": {}},
    ]);
    let results = server
        .http("POST", "/v1/instances", &body.to_string())
        .json();
    assert_eq!(
        (&results[0]["status"], &results[1]["status"]),
        (&json!(422), &json!(201))
    );
}

#[test]
fn what_comes_to_a_name_is_looked_at_before_it_is_probed() {
    let server = TestServer::with(Settings {
        check_networks: Some(vec!["10.0.0.0/8".parse().unwrap()]),
        ..Settings::default()
    });
    let backend = Http::start();
    let body = json!({
        "name": "web", "host": "localhost", "port": backend.address.port(), "lease": null,
        "health_check": {"interval": "100ms", "retries": 1},
    });
    server.register("web-1", body);
    let said = eventually("it's failing", || {
        Some(output(&server)).filter(|said| !said.is_empty())
    });
    assert!(said.starts_with("not probed: "), "{said}");
    assert!(
        said.contains("in no network that may be probed (check_networks: 10.0.0.0/8)"),
        "{said}"
    );
    assert_eq!(backend.requests(), 0);
}

#[test]
fn fields_of_a_check_are_refused_by_name() {
    let server = TestServer::start();
    for (check, said) in [
        (
            json!({"kind": "smtp"}),
            "health_check.kind \"smtp\" is unknown",
        ),
        (
            json!({"kind": "tcp", "endpoint": "/"}),
            "health_check.endpoint is given, but a check of kind \"tcp\"",
        ),
        (json!({"kind": "udp"}), "health_check.send is missing"),
        (
            json!({"kind": "udp", "send": "hex:"}),
            "health_check.send is missing",
        ),
        (json!({"kind": "dns", "query": "a. ANY"}), "is no question"),
        (json!({"endpoint": "/<x>"}), "is no path"),
        (
            json!({"method": "HEAD", "expected_body": "x"}),
            "a response to HEAD has no body",
        ),
        (json!({"kind": "dns"}), "health_check.query is missing"),
        (
            json!({"kind": "dns", "query": "a b c"}),
            "health_check.query \"a b c\" is no question",
        ),
        (
            json!({"kind": "dns", "query": "a. NOPE"}),
            "health_check.query",
        ),
        (
            json!({"kind": "grpc", "tls_verify": true}),
            "health_check.tls_verify is given",
        ),
        (
            json!({"kind": "http", "tls_verify": true}),
            "health_check.tls_verify is given",
        ),
        (
            json!({"method": "DELETE"}),
            "allowed are GET, HEAD, OPTIONS",
        ),
        (
            json!({"headers": {"Authorization": "x"}}),
            "would hand over credentials",
        ),
        (
            json!({"headers": {"cookie": "x"}}),
            "would hand over credentials",
        ),
        (json!({"headers": {"a b": "x"}}), "is no name of a header"),
        (json!({"headers": {"x": "a\nb"}}), "printable ASCII"),
        (
            json!({"headers": {"Content-Length": "1"}}),
            "is made by the probe itself",
        ),
        (json!({"headers": {"x": "1", "X": "2"}}), "is given twice"),
        (
            json!({"expected_status": "2xx"}),
            "health_check.expected_status \"2xx\" is no set of status codes",
        ),
        (
            json!({"expected_body": ""}),
            "health_check.expected_body has 0 octets",
        ),
        (json!({"port": "admin"}), "is none of the instance's ports"),
        (json!({"port": 0}), "health_check.port 0 is out of range"),
        (json!({"doubt_interval": "11s"}), "allowed are 100ms to 10s"),
        (
            json!({"kind": "https", "tls_server_name": "a b"}),
            "is no host name",
        ),
        (
            json!({"initial": "failing"}),
            "allowed are \"starting\" and \"passing\"",
        ),
    ] {
        let body = json!({"name": "web", "host": "127.0.0.1", "port": 80, "health_check": check});
        let answer = server.http("PUT", "/v1/instances/web-1", &body.to_string());
        let detail = answer.json()["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(answer.status, 422, "{check}");
        assert!(detail.contains(said), "{check}: {detail}");
    }
}
