//! Host names of instances: looked up with their TTL, kept when nobody answers, taken
//! from our own zones when they're there, and never made of themselves.

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
fn names_of_our_own_zones_are_taken_from_there() {
    let names = NameServer::start();
    names.set("far.example.", addresses(&["10.9.0.1"], 1));
    let zones = TempDir::new("zones");
    zones.write(
        "lan.zone",
        "$ORIGIN lan.test.\n@ 60 SOA ns hostmaster 1 60 60 60 1\n@ 60 NS ns\nns 60 A 10.8.0.1\n\
         box 30 A 10.8.0.2\nbox 30 AAAA 2001:db8::8\nout 30 CNAME far.example.\nto-web 30 CNAME web.svc.internal.\n",
    );
    let server = TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..settings(&names)
    });
    register(&server, "web-1", "web", "10.0.0.1");
    register(&server, "web-2", "web", "10.0.0.2");
    register(&server, "one", "one", "web-1.web.svc.internal");
    register(&server, "all", "all", "web.svc.internal");
    register(&server, "static", "static", "box.lan.test");
    register(&server, "alias", "alias", "to-web.lan.test");
    register(&server, "none", "none", "missing.lan.test");
    becomes(&server, "one", &["A 10.0.0.1"]);
    becomes(&server, "all", &["A 10.0.0.1", "A 10.0.0.2"]);
    becomes(&server, "static", &["A 10.8.0.2", "AAAA 2001:db8::8"]);
    becomes(&server, "alias", &["A 10.0.0.1", "A 10.0.0.2"]);
    let resolved = state(&server, "static")["resolved"].clone();
    let time = |field: &str| -> chrono::DateTime<chrono::Utc> {
        resolved[field].as_str().unwrap().parse().unwrap()
    };
    assert_eq!((time("good_until") - time("looked_up")).num_seconds(), 30);
    error(
        &server,
        "none",
        "missing.lan.test. doesn't exist (NXDOMAIN)",
    );
    assert_eq!(names.questions(), 0, "no network is needed for any of them");

    // What changes there changes here.
    server.http("DELETE", "/v1/instances/web-1", "");
    becomes(&server, "all", &["A 10.0.0.2"]);
    server.http("POST", "/v1/instances/web-2/drain", "");
    becomes(&server, "all", &[]);
    error(
        &server,
        "all",
        "nobody is listed at web.svc.internal.: 1 registered: 1 draining",
    );
    server.http("POST", "/v1/instances/web-2/resume", "");
    becomes(&server, "all", &["A 10.0.0.2"]);

    // Where an alias leads out of our zones, others are asked.
    register(&server, "out", "out", "out.lan.test");
    becomes(&server, "out", &["A 10.9.0.1"]);
    assert_eq!(names.asked("out.lan.test.", RecordType::A), 0);
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

#[test]
fn aliases_of_others_into_our_zones_are_taken_from_there() {
    let names = NameServer::start();
    names.set(
        "in.example.",
        Says::Alias("web.svc.internal.".to_owned(), 1),
    );
    // What others believe of our zone is old.
    names.set("web.svc.internal.", addresses(&["10.6.6.6"], 1));
    let server = server(&names);
    register(&server, "web-1", "web", "10.0.0.1");
    register(&server, "in", "in", "in.example");
    becomes(&server, "in", &["A 10.0.0.1"]);
}

/// What a registration is refused with.
#[track_caller]
fn refused(server: &TestServer, id: &str, body: &Value, way: &str) {
    let answer = server.http("PUT", &format!("/v1/instances/{id}"), &body.to_string());
    let problem = answer.json();
    assert_eq!(answer.status, 400, "{problem}");
    assert_eq!(problem["field"], "host");
    assert_eq!(problem["type"], "urn:namebeat:problem:host-loop");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(way), "{detail}");
}

#[test]
fn a_host_name_that_leads_back_to_itself_is_refused() {
    let names = NameServer::start();
    let zones = TempDir::new("zones");
    zones.write(
        "lan.zone",
        "$ORIGIN lan.test.\n@ 60 SOA ns hostmaster 1 60 60 60 1\n@ 60 NS ns\nns 60 A 10.8.0.1\n\
         round 30 CNAME b.back.svc.internal.\n",
    );
    let server = TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..settings(&names)
    });
    let tagged = |host: &str| {
        let mut tagged = body("web", host);
        tagged["tags"] = json!({"env": "prod"});
        tagged["version"] = json!("1.4.2");
        tagged["locality"] = json!("here");
        tagged
    };
    for (host, way) in [
        (
            "web.svc.internal",
            "a.web.svc.internal. → web.svc.internal. → a.web.svc.internal.",
        ),
        (
            "A.web.svc.internal.",
            "a.web.svc.internal. → a.web.svc.internal.",
        ),
        (
            "prod.env.tag.web.svc.internal",
            "→ prod.env.tag.web.svc.internal. →",
        ),
        (
            "here.locality.web.svc.internal",
            "→ here.locality.web.svc.internal. →",
        ),
    ] {
        refused(&server, "a", &tagged(host), way);
    }
    // Names by version end in a number label in front only, so they're host names, too.
    refused(
        &server,
        "a",
        &tagged("1.4.version.web.svc.internal"),
        "→ 1.4.version.web.",
    );
    // Names that select others are no loop.
    for host in [
        "test.env.tag.web.svc.internal",
        "b.web.svc.internal",
        "1.5.version.web.svc.internal",
    ] {
        let answer = server.http("PUT", "/v1/instances/a", &tagged(host).to_string());
        assert!(answer.status < 300, "{answer:?}");
    }
    // Over other instances' host names, listed or not, and over aliases.
    register(&server, "a", "front", "b.middle.svc.internal");
    register(&server, "b", "middle", "c.back.svc.internal");
    refused(
        &server,
        "c",
        &body("back", "front.svc.internal"),
        "c.back.svc.internal. → front.svc.internal. → a.front.svc.internal. → \
         b.middle.svc.internal. → c.back.svc.internal. → front.svc.internal.",
    );
    refused(
        &server,
        "b",
        &body("back", "round.lan.test"),
        "→ round.lan.test. → b.back.svc.internal.",
    );
    // Within one call, too.
    let mut both = [
        body("left", "right.svc.internal"),
        body("right", "left.svc.internal"),
    ];
    both[0]["id"] = json!("l");
    both[1]["id"] = json!("r");
    let answer = server
        .http("POST", "/v1/instances", &json!(both).to_string())
        .json();
    assert_eq!(
        (&answer[0]["status"], &answer[1]["status"]),
        (&json!(201), &json!(400))
    );
    // What takes the place of the one in between is no loop any more.
    register(&server, "b", "middle", "10.0.0.1");
    register(&server, "c", "back", "front.svc.internal");
    becomes(&server, "front", &["A 10.0.0.1"]);
    becomes(&server, "back", &["A 10.0.0.1"]);
    assert_eq!(names.questions(), 0);
}

#[test]
fn a_way_without_end_is_refused() {
    let names = NameServer::start();
    let server = server(&names);
    // From the end, so that each is registered before what leads to it.
    register(&server, "i", "s0", "10.0.0.1");
    for n in 1..=17 {
        register(&server, "i", "tmp", "10.0.0.1");
        let id = format!("i{n}");
        let host = format!("s{}.svc.internal", n - 1);
        register(&server, &id, &format!("s{n}"), &host);
    }
    refused(
        &server,
        "i18",
        &body("s18", "s17.svc.internal"),
        "through more than 16 names",
    );
    becomes(&server, "s1", &[]);
}

#[test]
fn a_loop_that_comes_later_leaves_no_ghost() {
    let names = NameServer::start();
    names.set("x.example.", addresses(&["10.0.0.1"], 1));
    names.set("y.example.", addresses(&["10.0.0.1"], 1));
    // A recursive server that believes for long what we said.
    names.set("a.svc.internal.", addresses(&["10.0.0.1"], 1));
    names.set("b.svc.internal.", addresses(&["10.0.0.1"], 1));
    let server = server(&names);
    register(&server, "a-1", "a", "x.example");
    register(&server, "b-1", "b", "y.example");
    for name in ["a", "b"] {
        becomes(&server, name, &["A 10.0.0.1"]);
    }
    names.set("x.example.", Says::Alias("b.svc.internal.".to_owned(), 1));
    becomes(&server, "a", &["A 10.0.0.1"]);
    names.set("y.example.", Says::Alias("a.svc.internal.".to_owned(), 1));
    becomes(&server, "a", &[]);
    becomes(&server, "b", &[]);
    let told = explained(&server, "a")["instances"][0]["why"].clone();
    let told = told.as_str().unwrap();
    assert!(told.starts_with("without a known address: "), "{told}");
    error(&server, "b-1", "leads back to itself");
    // Its end is the end of it.
    names.set("y.example.", addresses(&["10.0.0.2"], 1));
    becomes(&server, "b", &["A 10.0.0.2"]);
    becomes(&server, "a", &["A 10.0.0.2"]);
}
