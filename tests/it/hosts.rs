//! Host names of instances: looked up with their TTL, and kept when nobody answers.

mod ours;

use std::io::Read;
use std::net::TcpListener;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use namebeat::config::Settings;
use serde_json::{Value, json};

use crate::harness::{TempDir, TestServer, eventually};
use crate::nameserver::{NameServer, Says, addresses};

/// A server that asks `names`, with TTLs of a second.
fn server(names: &NameServer) -> TestServer {
    TestServer::with(settings(names))
}

fn settings(names: &NameServer) -> Settings {
    Settings {
        resolver: Some(vec![names.address]),
        ttl: Some("1s".parse().unwrap()),
        negative_ttl: Some("1s".parse().unwrap()),
        ..Settings::default()
    }
}

fn body(service: &str, host: &str) -> Value {
    json!({"name": service, "host": host, "port": 80, "lease": "1h"})
}

fn register(server: &TestServer, id: &str, service: &str, host: &str) {
    server.register(id, body(service, host));
}

/// The addresses of a name in the discovery zone.
fn listed(server: &TestServer, name: &str) -> Vec<String> {
    let name = format!("{name}.svc.internal.");
    let mut answers = server.ask(&name, RecordType::A).answers();
    answers.extend(server.ask(&name, RecordType::AAAA).answers());
    answers
}

#[track_caller]
fn becomes(server: &TestServer, name: &str, expected: &[&str]) {
    let mut last = Vec::new();
    let started = std::time::SystemTime::now();
    while started.elapsed().unwrap_or_default() < crate::harness::DEADLINE {
        last = listed(server, name);
        if last == expected {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    let explained = explained(server, name);
    panic!("{name} has {last:?}, not {expected:?}: {explained}");
}

fn state(server: &TestServer, id: &str) -> Value {
    let read = server.http("GET", &format!("/v1/instances/{id}"), "");
    read.json()["state"].clone()
}

fn explained(server: &TestServer, name: &str) -> Value {
    let path = format!("/v1/explain?name={name}.svc.internal&type=A");
    server.http("GET", &path, "").json()
}

/// Waits for what is known of an instance's host name to tell of an error.
fn error(server: &TestServer, id: &str, part: &str) -> Value {
    eventually(&format!("{id} tells {part:?}"), || {
        let resolved = state(server, id)["resolved"].clone();
        let error = resolved["error"].as_str().unwrap_or_default();
        error.contains(part).then_some(resolved)
    })
}

#[test]
fn both_families_are_looked_up_and_followed_with_their_ttl() {
    let names = NameServer::start();
    names.set(
        "db.example.",
        addresses(&["10.0.0.2", "10.0.0.1", "2001:db8::1"], 1),
    );
    names.set("still.example.", addresses(&["10.0.0.9"], 3600));
    let server = server(&names);
    register(&server, "db-1", "db", "DB.example");
    register(&server, "still-1", "still", "still.example.");
    becomes(
        &server,
        "db",
        &["A 10.0.0.1", "A 10.0.0.2", "AAAA 2001:db8::1"],
    );
    becomes(&server, "still", &["A 10.0.0.9"]);
    let resolved = state(&server, "db-1")["resolved"].clone();
    assert_eq!(
        resolved["addresses"],
        json!(["10.0.0.1", "10.0.0.2", "2001:db8::1"])
    );
    let time = |field: &str| -> chrono::DateTime<chrono::Utc> {
        resolved[field].as_str().unwrap().parse().unwrap()
    };
    assert_eq!(
        (time("good_until") - time("looked_up")).num_milliseconds(),
        1000
    );
    assert!(resolved.get("error").is_none(), "{resolved}");
    // The SRV points at the host name itself.
    let srv = server.ask("db.svc.internal.", RecordType::SRV);
    assert_eq!(srv.answers(), ["SRV 10 256 80 db.example."]);

    names.set("db.example.", addresses(&["10.0.0.3"], 1));
    becomes(&server, "db", &["A 10.0.0.3"]);
    let before = names.asked("db.example.", RecordType::A);
    eventually("it's asked once more", || {
        (names.asked("db.example.", RecordType::A) > before).then_some(())
    });
    for rtype in [RecordType::A, RecordType::AAAA] {
        assert_eq!(names.asked("still.example.", rtype), 1, "good for an hour");
    }
    // An answer that says the same changes nothing that is published.
    let revision = || server.http("GET", "/v1/stats", "").json()["revision"].clone();
    let (published, before) = (revision(), names.asked("db.example.", RecordType::A));
    eventually("it's asked twice more", || {
        (names.asked("db.example.", RecordType::A) > before + 1).then_some(())
    });
    assert_eq!(revision(), published);
}

#[test]
fn the_last_addresses_stay_while_nobody_can_tell() {
    let names = NameServer::start();
    names.set("db.example.", addresses(&["10.0.0.1"], 1));
    let server = server(&names);
    register(&server, "db-1", "db", "db.example");
    becomes(&server, "db", &["A 10.0.0.1"]);
    names.set("db.example.", Says::Code(ResponseCode::ServFail));
    let resolved = error(&server, "db-1", "A: the name server answers");
    assert_eq!(resolved["addresses"], json!(["10.0.0.1"]));
    assert!(resolved["failed"].is_string() && resolved["good_until"].is_string());
    assert_eq!(listed(&server, "db"), ["A 10.0.0.1"]);
    let told = explained(&server, "db")["instances"][0].clone();
    assert_eq!(
        (&told["in"], &told["host"]),
        (&json!(true), &json!("db.example."))
    );
    assert_eq!(told["resolved"], resolved);

    names.set("db.example.", addresses(&["10.0.0.2"], 1));
    becomes(&server, "db", &["A 10.0.0.2"]);
    assert!(state(&server, "db-1")["resolved"].get("error").is_none());
}

#[test]
fn a_name_server_that_is_silent_says_nothing_of_a_name() {
    let names = NameServer::start();
    names.set("db.example.", addresses(&["10.0.0.1"], 1));
    let server = server(&names);
    register(&server, "db-1", "db", "db.example");
    becomes(&server, "db", &["A 10.0.0.1"]);
    names.set("db.example.", Says::Silence);
    error(&server, "db-1", "A: no name server answers in time");
    assert_eq!(listed(&server, "db"), ["A 10.0.0.1"]);
}

#[test]
fn a_name_without_addresses_withdraws_its_instances() {
    let names = NameServer::start();
    names.set("db.example.", addresses(&["10.0.0.1"], 1));
    names.set("empty.example.", addresses(&[], 1));
    let server = server(&names);
    register(&server, "empty-1", "empty", "empty.example");
    register(&server, "db-1", "db", "db.example");
    becomes(&server, "db", &["A 10.0.0.1"]);
    error(&server, "empty-1", "empty.example. has no address");
    names.set("db.example.", Says::Code(ResponseCode::NXDomain));
    becomes(&server, "db", &[]);
    let told = explained(&server, "db");
    assert_eq!(
        told["instances"][0]["why"],
        "without a known address: db.example. doesn't exist (NXDOMAIN)"
    );
    assert_eq!(state(&server, "db-1")["resolved"]["addresses"], json!([]));
    names.set("db.example.", addresses(&["10.0.0.2"], 1));
    becomes(&server, "db", &["A 10.0.0.2"]);
}

#[test]
fn a_thousand_instances_of_one_name_ask_once() {
    let names = NameServer::start();
    names.set("db.example.", Says::Alias("real.example.".to_owned(), 3600));
    names.set("real.example.", addresses(&["10.0.0.1"], 3600));
    let server = server(&names);
    let all: Vec<Value> = (0..1000)
        .map(|n| {
            let mut body = body("db", "db.example");
            body["id"] = json!(format!("db-{n}"));
            body
        })
        .collect();
    let registered = server.http("POST", "/v1/instances", &json!(all).to_string());
    assert_eq!(registered.status, 200);
    eventually("all are listed", || {
        let stats = server.http("GET", "/v1/stats", "").json();
        (stats["healthy"] == 1000).then_some(())
    });
    for rtype in [RecordType::A, RecordType::AAAA] {
        assert_eq!(names.asked("db.example.", rtype), 1);
    }
    // One that comes later, or again, has what is known.
    register(&server, "late", "late", "db.example");
    becomes(&server, "late", &["A 10.0.0.1"]);
    register(&server, "db-7", "db", "db.example");
    assert_eq!(names.asked("db.example.", RecordType::A), 1);
    assert_eq!(listed(&server, "db-7.db"), ["A 10.0.0.1"]);
}

#[test]
fn name_servers_that_hang_delay_no_probe() {
    let names = NameServer::start();
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = backend.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in backend.incoming() {
            let _ = stream.unwrap().read(&mut [0]);
        }
    });
    let server = TestServer::with(Settings {
        check_concurrency: Some(1),
        ..settings(&names)
    });
    let hanging: Vec<Value> = (0..500)
        .map(|n| {
            names.set(&format!("h{n}.example."), Says::Silence);
            let mut body = body("hanging", &format!("h{n}.example"));
            body["id"] = json!(format!("h-{n}"));
            body
        })
        .collect();
    let registered = server.http("POST", "/v1/instances", &json!(hanging).to_string());
    assert_eq!(registered.status, 200);
    eventually("some are asked for", || {
        (names.questions() > 100).then_some(())
    });
    let check = json!({"kind": "tcp", "interval": "100ms", "rise": 1, "timeout": "1s"});
    let mut probed = body("probed", "127.0.0.1");
    probed["port"] = json!(port);
    probed["health_check"] = check;
    let started = std::time::SystemTime::now();
    server.register("probed-1", probed);
    becomes(&server, "probed", &["A 127.0.0.1"]);
    // Long before the first look-up is given up.
    assert!(started.elapsed().unwrap().as_secs() < 3);
}

#[test]
fn localhost_is_asked_of_nobody() {
    let names = NameServer::start();
    let server = server(&names);
    register(&server, "a", "web", "localhost");
    register(&server, "b", "sub", "b.LocalHost");
    for name in ["web", "sub"] {
        becomes(&server, name, &["A 127.0.0.1", "AAAA ::1"]);
    }
    assert_eq!(names.questions(), 0);
}

#[test]
fn what_is_found_of_a_host_name_is_probed() {
    let names = NameServer::start();
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = backend.local_addr().unwrap().port();
    let server = server(&names);
    register(&server, "here", "machine", "127.0.0.1");
    let mut probed = body("web", "here.machine.svc.internal");
    probed["port"] = json!(port);
    probed["health_check"] = json!({"kind": "tcp", "interval": "100ms", "rise": 1});
    server.register("web-1", probed);
    becomes(&server, "web", &["A 127.0.0.1"]);
    assert_eq!(names.questions(), 0);
}
