//! What is kept on disk: it's all there after a restart, whatever ended the server.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RData;
use hickory_proto::rr::RecordType::{A, SOA, SRV};
use serde_json::{Value, json};

use crate::harness::{Client, TempDir, eventually};
use crate::program::{Program, namebeat};

/// A server whose state is in `dir`.
fn serve(dir: &TempDir) -> Program {
    Program::serve(&["--data-dir", dir.path().to_str().unwrap()], &[])
}

/// The serial, once the state is loaded: before, names are SERVFAIL.
fn serial(client: &Client) -> u32 {
    eventually("the state is loaded", || {
        (client.http("GET", "/readyz", "").status == 200).then_some(())
    });
    let answer = client.ask("svc.internal.", SOA);
    match &answer.message.answers[0].data {
        RData::SOA(soa) => soa.serial,
        data => panic!("{data}"),
    }
}

fn read(client: &Client, id: &str) -> Value {
    let mut instance = client
        .http("GET", &format!("/v1/instances/{id}"), "")
        .json();
    // Leases begin anew.
    instance["last_heartbeat"] = Value::Null;
    instance["state"]["expires_at"] = Value::Null;
    // What is known of a host name is found out anew.
    instance["state"]["resolved"] = Value::Null;
    instance
}

#[test]
fn promise_6_acknowledged_is_durable() {
    let dir = TempDir::new("durable");
    let first = serve(&dir);
    first.register(
        "full",
        json!({
            "name": "web", "addresses": ["10.0.0.1", "2001:db8::1"], "port": 80, "version": "1.4.2",
            "ports": {"metrics": 9100}, "protocol": "https", "tags": {"env": "prod", "color": "blue"},
            "metadata": {"owner": "T\u{e9}am \"A\"", "empty": ""}, "weight": 0, "priority": 65535,
            "locality": "eu-west-1a", "lease": "24h",
        }),
    );
    first.register(
        "named",
        json!({"name": "web", "host": "localhost", "port": 81, "lease": "1h"}),
    );
    let check = json!({
        "kind": "tcp", "interval": "1h", "timeout": "1s", "retries": 7, "rise": 9, "initial": "passing",
    });
    first.register(
        "checked",
        json!({"name": "db", "host": "10.0.0.3", "port": 82, "lease": null, "health_check": check}),
    );
    first.register(
        "drained",
        json!({"name": "web", "host": "10.0.0.4", "port": 83, "lease": "1h"}),
    );
    first.register(
        "failing",
        json!({"name": "web", "host": "10.0.0.5", "port": 84, "lease": "1h"}),
    );
    first.register(
        "gone",
        json!({"name": "web", "host": "10.0.0.6", "port": 85, "lease": "1h"}),
    );
    assert_eq!(
        first.http("POST", "/v1/instances/drained/drain", "").status,
        200
    );
    let body = r#"{"status": "failing", "note": "disk"}"#;
    assert_eq!(
        first
            .http("POST", "/v1/instances/failing/heartbeat", body)
            .status,
        200
    );
    assert_eq!(first.http("DELETE", "/v1/instances/gone", "").status, 200);
    let ids = ["full", "named", "checked", "drained", "failing"];
    eventually("the host name is looked up", || {
        (read(&first, "named")["state"]["listed"] == true).then_some(())
    });
    let before: Vec<Value> = ids.iter().map(|id| read(&first, id)).collect();
    let serial_before = serial(&first);
    first.signal("KILL");
    drop(first);

    let second = serve(&dir);
    let after: Vec<Value> = ids.iter().map(|id| read(&second, id)).collect();
    assert_eq!(after, before);
    assert_eq!(second.http("GET", "/v1/instances/gone", "").status, 404);
    assert!(
        serial_before < serial(&second),
        "the serial never goes back"
    );
    let answer = second.ask("checked.db.svc.internal.", A);
    assert_eq!(answer.answers(), ["A 10.0.0.3"], "it's listed as it was");
    // What is stopped as it should be comes back likewise.
    assert_eq!(
        second
            .http("POST", "/v1/instances/drained/resume", "")
            .status,
        200
    );
    let serial_before = serial(&second);
    let (code, _, errors) = second.stop("TERM");
    assert_eq!(code, Some(0), "{errors}");
    let third = serve(&dir);
    let later = serial(&third) - serial_before;
    assert!(
        (1..1_000).contains(&later),
        "after a clean end none is skipped: {later}"
    );
    assert_eq!(read(&third, "drained")["state"]["listed"], true);
    assert_eq!(read(&third, "full"), before[0]);
}

/// What is known of an id: the port that was acknowledged last, and those that were
/// asked for since, in order; no port is being gone.
#[derive(Clone, Debug, Default)]
struct Known {
    acknowledged: Option<u16>,
    asked: Vec<Option<u16>>,
}

/// Changes instances until the server is gone, and notes what was acknowledged.
fn storm(http: std::net::SocketAddr, thread: u16, known: &Mutex<BTreeMap<String, Known>>) {
    let client = Client {
        addresses: namebeat::server::Addresses {
            dns: Vec::new(),
            http,
        },
    };
    for n in 0.. {
        let id = format!("t{thread}-{}", fastrand::u8(0..6));
        let port = (fastrand::u8(..) > 60).then_some(1 + n % 60_000);
        let note = |change: &mut dyn FnMut(&mut Known)| {
            change(known.lock().unwrap().entry(id.clone()).or_default());
        };
        note(&mut |known| known.asked.push(port));
        let path = format!("/v1/instances/{id}");
        let answer = match port {
            Some(port) => {
                let body =
                    json!({"name": "storm", "host": "10.0.0.1", "port": port, "lease": "1h"});
                client.try_http("PUT", &path, &body.to_string())
            }
            None => client.try_http("DELETE", &path, ""),
        };
        match answer.map(|answer| answer.status) {
            Some(200 | 201 | 404) => note(&mut |known| {
                known.acknowledged = port;
                known.asked.clear();
            }),
            Some(status) => panic!("{status}"),
            None => return,
        }
    }
}

/// Rounds of the storm; `NAMEBEAT_KILLS` says otherwise.
const KILLS: usize = 200;

/// `kill -9` at any moment of a storm of changes: everything that was acknowledged is
/// there, and what wasn't is there whole or not at all.
#[test]
fn promise_6_holds_when_it_is_killed() {
    let kills = std::env::var("NAMEBEAT_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let dir = TempDir::new("killed");
    let known = Mutex::new(BTreeMap::<String, Known>::new());
    let (mut serial_before, mut changes) = (0, 0);
    for kill in 0..kills {
        let server = serve(&dir);
        let serial = serial(&server);
        assert!(
            serial_before < serial,
            "kill {kill}: {serial} after {serial_before}"
        );
        for (id, known) in known.lock().unwrap().iter_mut() {
            let found = server.http("GET", &format!("/v1/instances/{id}"), "");
            let port = match found.status {
                404 => None,
                _ => Some(found.json()["port"].as_u64().unwrap() as u16),
            };
            let may_be = known.asked.contains(&port) || known.acknowledged == port;
            assert!(may_be, "kill {kill}: {id} has {port:?}, {known:?}");
            changes += 1;
            *known = Known {
                acknowledged: port,
                asked: Vec::new(),
            };
        }
        let http = server.addresses.http;
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let known = &known;
                scope.spawn(move || storm(http, thread, known));
            }
            std::thread::park_timeout(Duration::from_micros(fastrand::u64(..60_000)));
            serial_before = self::serial(&server);
            server.signal("KILL");
        });
    }
    println!("{kills} kills; of {changes} ids was seen what is there");
    assert!(changes >= kills, "{changes}");
}

/// Until the state is loaded nothing that could be registered is said not to exist.
#[test]
fn until_the_state_is_loaded_names_are_servfail() {
    let dir = TempDir::new("loading");
    let first = serve(&dir);
    first.register_web("web-1", 1);
    drop(first);
    // A log that isn't read to its end before somebody has written it.
    let log = dir.path().join("log-0000000001");
    let kept = std::fs::read(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    let server = serve(&dir);
    for (name, rtype) in [
        ("web.svc.internal.", SRV),
        ("nope.svc.internal.", A),
        ("svc.internal.", SOA),
    ] {
        let answer = server.ask(name, rtype);
        assert_eq!(answer.rcode(), ResponseCode::ServFail, "{name}");
        let (code, text) = answer.extended_error().unwrap();
        assert_eq!((code, &*text), (14, "the registry is being loaded"));
    }
    assert_eq!(
        server.ask("elsewhere.example.", A).rcode(),
        ResponseCode::Refused
    );
    let ready = server.http("GET", "/readyz", "");
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (503, &json!("loading"))
    );
    assert_eq!(server.http("GET", "/healthz", "").status, 200);
    let refused = server.http("GET", "/v1/services", "");
    assert_eq!(refused.json()["type"], "urn:namebeat:problem:loading");
    assert_eq!(refused.status, 503);
    // Once somebody writes to it the server sees what it is, says so and ends.
    drop(std::fs::OpenOptions::new().write(true).open(&log).unwrap());
    let (code, _, errors) = server.ended();
    assert_eq!(code, Some(2), "{errors}");
    std::fs::remove_file(&log).unwrap();
    std::fs::write(&log, kept).unwrap();
    let server = serve(&dir);
    assert_eq!(server.ask("web.svc.internal.", A).answers(), ["A 10.0.0.1"]);
    assert_eq!(server.http("GET", "/readyz", "").status, 200);
}

#[test]
fn what_is_damaged_is_named_and_nothing_is_changed() {
    let dir = TempDir::new("damaged");
    let server = serve(&dir);
    for n in 1..4 {
        server.register_web(&format!("web-{n}"), n);
    }
    let path = dir.path().to_str().unwrap();
    let arguments = [
        "serve",
        "--dns=127.0.0.1:0",
        "--http=127.0.0.1:0",
        "--data-dir",
        path,
    ];
    let second = namebeat(dir.path(), &arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&second.stderr);
    assert!(errors.contains("is in use by another namebeat"), "{errors}");
    assert_eq!(second.status.code(), Some(2));
    server.stop("TERM");
    let log = dir.path().join("log-0000000001");
    let mut octets = std::fs::read(&log).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(&log, &octets).unwrap();
    let refused = namebeat(dir.path(), &arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("log-0000000001 is damaged at offset "),
        "{errors}"
    );
    assert!(
        errors.contains("namebeat state dump --until-damage"),
        "{errors}"
    );
    assert_eq!(std::fs::read(&log).unwrap(), octets);
}

/// The key is changed without a stop, and the old one is needed no more.
#[test]
fn keys_are_changed_while_it_runs() {
    let dir = TempDir::new("keys");
    let (old, new) = ("0".repeat(64), "1".repeat(64));
    let keys = dir.path().join("keys");
    std::fs::write(&keys, &old).unwrap();
    let (state, key_file) = (dir.path().join("state"), keys.to_str().unwrap());
    let data_dir = state.to_str().unwrap();
    let serve = || Program::serve(&["--data-dir", data_dir, "--key-file", key_file], &[]);
    let server = serve();
    server.register_web("web-1", 1);
    std::fs::write(&keys, "no key").unwrap();
    let refused = server.http("POST", "/v1/reload", "");
    assert_eq!(refused.status, 422);
    assert!(
        refused.body.contains("a key is 64 hexadecimal digits"),
        "{refused:?}"
    );
    std::fs::write(&keys, format!("{new}\n{old}")).unwrap();
    assert_eq!(server.http("POST", "/v1/reload", "").status, 200);
    server.register_web("web-2", 2);
    eventually("a snapshot replaces the log", || {
        let is_there = |name| state.join(name).exists();
        (is_there("snapshot-0000000002") && !is_there("log-0000000001")).then_some(())
    });
    // The same keys are no reason for another one.
    assert_eq!(server.http("POST", "/v1/reload", "").status, 200);
    server.signal("KILL");
    drop(server);
    std::fs::write(&keys, &new).unwrap();
    let server = serve();
    assert_eq!(
        server.ask("web.svc.internal.", A).answers(),
        ["A 10.0.0.1", "A 10.0.0.2"]
    );
    assert!(!state.join("log-0000000003").exists());
    drop(server);
    std::fs::write(&keys, &old).unwrap();
    let arguments = ["serve", "--dns=127.0.0.1:0", "--http=127.0.0.1:0"];
    let arguments = [
        &arguments[..],
        &["--data-dir", data_dir, "--key-file", key_file],
    ]
    .concat();
    let refused = namebeat(dir.path(), &arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("a key that isn't in the key file"),
        "{errors}"
    );
}
