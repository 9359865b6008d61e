//! Checks against real servers: withdrawn after `retries`, back after `rise`.

mod backends;
mod faults;
mod kinds;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use crate::harness::{TestServer, eventually};

/// An HTTP server that answers every request with a status of the test's choice.
struct Backend {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    requests: Arc<AtomicUsize>,
    paths: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Backend {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let backend = Self {
            address: listener.local_addr().unwrap(),
            status: Arc::new(AtomicU16::new(200)),
            requests: Arc::default(),
            paths: Arc::default(),
        };
        let (status, requests, paths) = (
            backend.status.clone(),
            backend.requests.clone(),
            backend.paths.clone(),
        );
        // Ends with the test's process; it holds nothing but its listener.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let len = stream.read(&mut request).unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..len]);
                paths
                    .lock()
                    .unwrap()
                    .extend(text.lines().next().map(str::to_owned));
                let code = status.load(Ordering::SeqCst);
                // Counted once its verdict is fixed, so a test that changes the
                // status knows which requests came after.
                requests.fetch_add(1, Ordering::SeqCst);
                let _ = match code {
                    0 => Ok(()),
                    301 => write!(
                        stream,
                        "HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
                    ),
                    code => write!(
                        stream,
                        "HTTP/1.1 {code} Status\r\nContent-Length: 0\r\n\r\n"
                    ),
                };
            }
        });
        backend
    }

    fn register(&self, server: &TestServer, check: Value) {
        let body = json!({
            "name": "web", "host": self.address.ip().to_string(), "port": self.address.port(),
            "health_check": check, "lease": null,
        });
        server.register("web-1", body);
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn listed(server: &TestServer) -> bool {
    !server
        .ask("web.svc.internal.", RecordType::A)
        .message
        .answers
        .is_empty()
}

/// What its check last said of the instance `web-1`.
fn output(server: &TestServer) -> String {
    let read = server.http("GET", "/v1/instances/web-1", "").json();
    read["state"]["output"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn reason(server: &TestServer) -> String {
    let answer = server.ask("web.svc.internal.", RecordType::A);
    answer
        .extended_error()
        .map(|(_, text)| text)
        .unwrap_or_default()
}

#[test]
fn withdrawn_after_retries_and_back_after_rise() {
    let (server, backend) = (TestServer::start(), Backend::start());
    backend.register(
        &server,
        json!({"interval": "100ms", "timeout": "1s", "retries": 3, "rise": 2}),
    );
    assert_eq!(reason(&server), "1 registered: 1 starting");
    eventually("it's listed", || listed(&server).then_some(()));
    assert!(backend.requests() >= 2, "rise is 2");
    assert_eq!(backend.paths.lock().unwrap()[0], "GET /health HTTP/1.1");

    backend.status.store(503, Ordering::SeqCst);
    let before = backend.requests();
    eventually("it's withdrawn", || (!listed(&server)).then_some(()));
    // One request may have been on its way when the status changed.
    assert!(backend.requests() - before >= 2, "retries is 3");
    assert_eq!(reason(&server), "1 registered: 1 failing");
    let read = server.http("GET", "/v1/instances/web-1", "").json();
    assert_eq!(read["state"]["health"], "failing");
    assert_eq!(read["state"]["output"], "503 Service Unavailable");

    backend.status.store(204, Ordering::SeqCst);
    let before = backend.requests();
    eventually("it's back", || listed(&server).then_some(()));
    assert!(backend.requests() - before >= 1, "rise is 2");
}

#[test]
fn a_single_failure_changes_nothing() {
    let (server, backend) = (TestServer::start(), Backend::start());
    backend.register(
        &server,
        json!({"interval": "100ms", "retries": 3, "rise": 1}),
    );
    eventually("it's listed", || listed(&server).then_some(()));
    for _ in 0..5 {
        let before = backend.requests();
        backend.status.store(500, Ordering::SeqCst);
        eventually("one more probe", || {
            (backend.requests() > before).then_some(())
        });
        backend.status.store(200, Ordering::SeqCst);
        let before = backend.requests();
        eventually("two more probes", || {
            assert!(listed(&server));
            (backend.requests() > before + 1).then_some(())
        });
    }
}

#[test]
fn what_does_not_pass() {
    for (status, output) in [
        (301, "301 Moved Permanently"),
        (404, "404 Not Found"),
        (0, ""),
    ] {
        let (server, backend) = (TestServer::start(), Backend::start());
        backend.status.store(status, Ordering::SeqCst);
        backend.register(
            &server,
            json!({"interval": "100ms", "retries": 1, "endpoint": "/up?x=1"}),
        );
        eventually("it's failing", || {
            (reason(&server) == "1 registered: 1 failing").then_some(())
        });
        let read = server.http("GET", "/v1/instances/web-1", "").json();
        let said = read["state"]["output"].as_str().unwrap();
        assert!(said.contains(output) && !said.is_empty(), "{said}");
        // A redirect isn't followed.
        let paths = backend.paths.lock().unwrap();
        assert!(
            paths.iter().all(|line| line == "GET /up?x=1 HTTP/1.1"),
            "{paths:?}"
        );
    }
}

#[test]
fn a_probe_that_hangs_is_cut_by_its_timeout() {
    let server = TestServer::start();
    // Connections are taken by the system and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let check = json!({"interval": "100ms", "timeout": "100ms", "retries": 2});
    let body = json!({"name": "web", "host": "127.0.0.1", "port": port, "health_check": check});
    server.register("web-1", body);
    eventually("it's failing", || {
        (reason(&server) == "1 registered: 1 failing").then_some(())
    });
    let read = server.http("GET", "/v1/instances/web-1", "").json();
    assert_eq!(read["state"]["output"], "no answer within 100ms");
}

#[test]
fn tcp_connects() {
    let server = TestServer::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let check = json!({"kind": "tcp", "interval": "100ms", "retries": 1, "rise": 1});
    let body = json!({"name": "web", "host": "127.0.0.1", "port": port, "protocol": "tcp", "health_check": check});
    server.register("web-1", body);
    eventually("it's listed", || listed(&server).then_some(()));
    drop(listener);
    eventually("it's withdrawn", || (!listed(&server)).then_some(()));
}

#[test]
fn initial_passing_is_listed_at_once() {
    let server = TestServer::start();
    let check = json!({"kind": "tcp", "interval": "1h", "initial": "passing"});
    let body = json!({"name": "web", "host": "127.0.0.1", "port": 1, "health_check": check});
    server.register("web-1", body);
    assert!(listed(&server));
}

#[test]
fn registering_again_keeps_the_verdict() {
    let (server, backend) = (TestServer::start(), Backend::start());
    let check = json!({"interval": "100ms", "rise": 1});
    backend.register(&server, check.clone());
    eventually("it's listed", || listed(&server).then_some(()));
    for _ in 0..20 {
        backend.register(&server, check.clone());
        assert!(listed(&server));
    }
    // It's still probed, once at a time.
    backend.status.store(500, Ordering::SeqCst);
    eventually("it's withdrawn", || (!listed(&server)).then_some(()));
    // Another check starts afresh.
    backend.register(&server, json!({"interval": "200ms"}));
    assert_eq!(reason(&server), "1 registered: 1 starting");
}

#[test]
fn a_deregistered_instance_is_not_probed() {
    let (server, backend) = (TestServer::start(), Backend::start());
    backend.register(&server, json!({"interval": "100ms", "rise": 1}));
    eventually("it's listed", || listed(&server).then_some(()));
    server.http("DELETE", "/v1/instances/web-1", "");
    // Another one is probed ten times; meanwhile this one at most once, which
    // was on its way.
    let before = backend.requests();
    let other = Backend::start();
    other.register(&server, json!({"interval": "100ms", "rise": 1}));
    eventually("the other is probed", || {
        (other.requests() >= 10).then_some(())
    });
    assert!(backend.requests() <= before + 1);
}

/// Whatever its check says, an instance that calls itself failing isn't listed.
#[test]
fn an_instance_says_how_it_is() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    let say = |body: Value| {
        let path = "/v1/instances/web-1/heartbeat";
        server.http("POST", path, &body.to_string()).status
    };
    assert_eq!(say(json!({"status": "warning", "note": "hot"})), 200);
    assert!(listed(&server));
    assert_eq!(say(json!({"status": "failing", "note": "on fire"})), 200);
    assert_eq!(reason(&server), "1 registered: 1 failing");
    let state = server.http("GET", "/v1/instances/web-1", "").json()["state"].take();
    assert_eq!(
        (&state["reported"], &state["note"]),
        (&json!("failing"), &json!("on fire"))
    );
    // A heartbeat that says nothing changes nothing.
    assert_eq!(say(json!({})), 200);
    assert!(!listed(&server));
    for wrong in [
        json!({"status": "fine"}),
        json!({"note": "x"}),
        json!({"state": "failing"}),
    ] {
        assert_eq!(say(wrong), 422);
    }
    assert_eq!(say(json!({"status": "passing"})), 200);
    assert!(listed(&server));
}

/// The worst word counts, whoever has it, and neither side takes back the other's.
#[test]
fn the_worst_of_check_and_report_counts() {
    let (server, backend) = (TestServer::start(), Backend::start());
    backend.register(
        &server,
        json!({"interval": "100ms", "retries": 1, "rise": 1}),
    );
    eventually("it's listed", || listed(&server).then_some(()));
    let say = |status: &str| {
        let body = json!({ "status": status }).to_string();
        let path = "/v1/instances/web-1/heartbeat";
        assert_eq!(server.http("POST", path, &body).status, 200);
    };
    let probed = || {
        let before = backend.requests();
        eventually("two more probes", || {
            (backend.requests() > before + 1).then_some(())
        });
    };
    // It says that it fails: probes that pass don't list it.
    say("failing");
    probed();
    assert!(!listed(&server));
    say("warning");
    assert!(listed(&server), "a warning is listed");
    // Its check fails: its own word doesn't list it.
    backend.status.store(500, Ordering::SeqCst);
    eventually("it's withdrawn", || (!listed(&server)).then_some(()));
    say("passing");
    probed();
    assert!(!listed(&server));
    backend.status.store(200, Ordering::SeqCst);
    eventually("it's back", || listed(&server).then_some(()));
}
