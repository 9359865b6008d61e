//! Zones that change while they are served: asked for by a call, a signal or the
//! change of a file; all at once or not at all.

use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{self, A, TXT};
use namebeat::config::Settings;
use serde_json::{Value, json};

use crate::harness::{HttpAnswer, TempDir, TestServer, eventually};
use crate::program::Program;

const APEX: &str = "$TTL 300\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.53\n";

fn server(zones: &TempDir) -> TestServer {
    TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..Settings::default()
    })
}

fn reload(server: &TestServer) -> HttpAnswer {
    server.http("POST", "/v1/reload", "")
}

/// What `www` in the zone of the test says over UDP and over TCP.
fn www(server: &TestServer) -> Vec<String> {
    let name = "www.corp.example.";
    let over_udp = server.ask(name, A).answers();
    assert_eq!(over_udp, server.ask_tcp(name, A).answers());
    over_udp
}

fn readiness(server: &TestServer) -> Value {
    let answer = server.http("GET", "/readyz", "");
    assert_eq!(answer.status, 200);
    answer.json()
}

#[test]
fn the_next_query_sees_what_a_call_has_loaded() {
    let zones = TempDir::new("reload");
    let server = server(&zones);
    assert_eq!(readiness(&server)["zones"]["count"], 1);
    assert!(www(&server).is_empty());
    for n in 1..=20 {
        zones.write("corp.example.zone", &format!("{APEX}www A 192.0.2.{n}\n"));
        let answer = reload(&server);
        assert_eq!((answer.status, &answer.json()["count"]), (200, &json!(2)));
        // Twice, for what was prepared before is gone, and what is prepared now holds.
        for _ in 0..2 {
            assert_eq!(www(&server), [format!("A 192.0.2.{n}")]);
        }
    }
    std::fs::remove_file(zones.path().join("corp.example.zone")).unwrap();
    assert_eq!(reload(&server).json()["count"], 1);
    let gone = server.ask("www.corp.example.", A);
    assert_eq!(gone.rcode(), ResponseCode::Refused);
}

#[test]
fn zones_that_are_wrong_change_nothing_and_say_where() {
    let zones = TempDir::new("reload");
    zones.write("corp.example.zone", &format!("{APEX}www A 192.0.2.1\n"));
    let server = server(&zones);
    let before = readiness(&server)["zones"]["loaded_at"].clone();
    zones.write(
        "corp.example.zone",
        &format!("{APEX}www A 192.0.2.2\nx A 300.1.1.1\n"),
    );
    zones.write("new.example.zone", APEX);
    let answer = reload(&server);
    assert_eq!(answer.status, 422);
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:namebeat:problem:zones");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains(
            "corp.example.zone:6:5: found \"300.1.1.1\" where an IPv4 address was expected"
        ),
        "{detail}"
    );
    assert_eq!(www(&server), ["A 192.0.2.1"]);
    let other = server.ask("ns.new.example.", A);
    assert_eq!(other.rcode(), ResponseCode::Refused, "all or nothing");
    let state = readiness(&server);
    assert_eq!(state["status"], "ready");
    assert_eq!(state["zones"]["failure"]["error"], detail);
    assert_eq!(state["zones"]["loaded_at"], before);
    zones.write("corp.example.zone", &format!("{APEX}www A 192.0.2.2\n"));
    assert_eq!(reload(&server).status, 200);
    assert_eq!(www(&server), ["A 192.0.2.2"]);
    assert_eq!(readiness(&server)["zones"].get("failure"), None);
}

#[test]
fn static_and_registered_names_never_cross() {
    let zones = TempDir::new("reload");
    let server = server(&zones);
    server.register_web("web-1", 1);
    for (text, taken) in [
        ("web TXT static\n", "web.svc.internal."),
        ("x.web-1.web TXT static\n", "web"),
        ("_web._tcp TXT static\n", "_web._tcp.svc.internal."),
    ] {
        zones.write("svc.internal.zone", &format!("$TTL 60\n{text}"));
        let answer = reload(&server);
        assert_eq!(answer.status, 422, "{text}");
        let problem = answer.json();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(taken), "{detail}");
        assert_eq!(server.ask("web.svc.internal.", TXT).answers().len(), 1);
    }
    zones.write("svc.internal.zone", "$TTL 60\ndb A 192.0.2.7\n");
    assert_eq!(reload(&server).status, 200);
    assert_eq!(server.ask("db.svc.internal.", A).answers(), ["A 192.0.2.7"]);
    let body = json!({"name": "db", "host": "10.0.0.9", "port": 1}).to_string();
    let refused = server.http("PUT", "/v1/instances/db-1", &body);
    assert_eq!(refused.status, 409);
    // What was static is free when it's gone from the file.
    zones.write("svc.internal.zone", "$TTL 60\n");
    assert_eq!(reload(&server).status, 200);
    assert_eq!(server.http("PUT", "/v1/instances/db-1", &body).status, 201);
    assert_eq!(server.ask("db.svc.internal.", A).answers(), ["A 10.0.0.9"]);
}

#[test]
fn a_changed_file_is_taken_up() {
    let zones = TempDir::new("reload");
    zones.write("corp.example.zone", &format!("{APEX}$INCLUDE hosts\n"));
    zones.write("hosts", "www A 192.0.2.1\n");
    let server = server(&zones);
    assert_eq!(www(&server), ["A 192.0.2.1"]);
    zones.write("hosts", "www A 192.0.2.2\nmore A 192.0.2.3\n");
    eventually("the included file is read", || {
        let answer = server.ask("www.corp.example.", A);
        (answer.answers() == ["A 192.0.2.2"]).then_some(())
    });
    assert_eq!(www(&server), ["A 192.0.2.2"]);
    zones.write("hosts", "www A\n");
    eventually("what is wrong is said", || {
        readiness(&server)["zones"].get("failure").cloned()
    });
    assert_eq!(www(&server), ["A 192.0.2.2"]);
}

#[test]
fn sighup_reloads() {
    let directory = TempDir::new("sighup");
    directory.write("first.example.zone", APEX);
    let path = directory.path().to_owned();
    let zones = path.to_str().unwrap();
    let server = Program::serve(&["--zones", zones], &[]);
    directory.write("second.example.zone", APEX);
    server.signal("HUP");
    eventually("the second zone is there", || {
        let answer = server.ask("ns.second.example.", A);
        (answer.answers() == ["A 192.0.2.53"]).then_some(())
    });
    let (code, _, errors) = server.stop("TERM");
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("the zones were loaded again"), "{errors}");
}

#[test]
fn no_query_sees_half_a_zone() {
    let zones = TempDir::new("reload");
    // An alias and its target move together.
    let write = |n: usize| {
        let text = format!("{APEX}www CNAME t-{n}\nt-{n} A 192.0.2.{n}\n");
        zones.write("corp.example.zone", &text);
    };
    write(0);
    let server = server(&zones);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for over_tcp in [false, true] {
            let (server, stop) = (&server, &stop);
            scope.spawn(move || {
                let ask = |rtype: RecordType| match over_tcp {
                    true => server.ask_tcp("www.corp.example.", rtype),
                    false => server.ask("www.corp.example.", rtype),
                };
                while !stop.load(Ordering::Relaxed) {
                    let answers = ask(A).answers();
                    assert_eq!(answers.len(), 2, "{answers:?}");
                    let find = |start| answers.iter().find_map(|text| text.strip_prefix(start));
                    let target: &str = find("CNAME t-").unwrap();
                    let n = target.split('.').next().unwrap();
                    assert_eq!(find("A 192.0.2."), Some(n), "{answers:?}");
                }
            });
        }
        for n in 1..=40 {
            write(n);
            assert_eq!(reload(&server).status, 200);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let last = server.ask("www.corp.example.", A).answers();
    assert!(last.contains(&"A 192.0.2.40".to_owned()), "{last:?}");
}
