//! Waiting for changes: long polls and server-sent events.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, DEADLINE, TestServer, eventually};

/// A stream of events.
struct Events(BufReader<TcpStream>);

/// Id, kind and data of an event.
type Event = (Option<u64>, String, String);

impl Events {
    /// Opens `path`, with further header lines; the stream must be given.
    fn open(client: &Client, path: &str, headers: &str) -> Self {
        let stream = TcpStream::connect(client.addresses.http).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        (&stream).write_all(head.as_bytes()).unwrap();
        let mut events = Self(BufReader::new(stream));
        let head = events.lines_to_empty();
        assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
        let kind = "content-type: text/event-stream";
        assert!(
            head.iter().any(|line| line.to_ascii_lowercase() == kind),
            "{head:?}"
        );
        events
    }

    fn lines_to_empty(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            match line.trim_end() {
                "" => return lines,
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// The next event; `None` when the stream has ended.
    fn next(&mut self) -> Option<Event> {
        // Chunked: the length of a chunk, the chunk, an empty line.
        let mut length = String::new();
        self.0.read_line(&mut length).unwrap();
        let length = usize::from_str_radix(length.trim_end(), 16).unwrap_or(0);
        if length == 0 {
            return None;
        }
        let mut chunk = vec![0; length + 2];
        std::io::Read::read_exact(&mut self.0, &mut chunk).unwrap();
        let text = String::from_utf8(chunk).unwrap();
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
        };
        let id = field("id").map(|id| id.parse().unwrap());
        Some((
            id,
            field("event").unwrap_or_default(),
            field("data").unwrap_or_default(),
        ))
    }

    /// The next event about a service: its name and the ids of those listed.
    fn service(&mut self) -> (Option<u64>, String, Vec<String>) {
        let (id, kind, data) = self.next().expect("the stream goes on");
        assert_eq!(kind, "service");
        let data: Value = serde_json::from_str(&data).unwrap();
        let instances = data["instances"].as_array().unwrap();
        let ids = instances
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned());
        (id, data["name"].as_str().unwrap().to_owned(), ids.collect())
    }
}

fn revision(client: &Client) -> u64 {
    client.http("GET", "/v1/services", "").json()["revision"]
        .as_u64()
        .unwrap()
}

#[test]
fn a_poll_returns_when_what_it_shows_has_changed() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    let before = revision(&server);
    let poll = format!("/v1/services/web?wait=5m&since={before}");
    let every = format!("/v1/services?wait=5m&since={before}");
    std::thread::scope(|scope| {
        let polled = scope.spawn(|| server.http("GET", &poll, ""));
        let all = scope.spawn(|| server.http("GET", &every, ""));
        server.register("db-1", json!({"name": "db", "host": "10.0.0.9", "port": 1}));
        let all = all.join().unwrap().json();
        assert_eq!(all["services"].as_array().unwrap().len(), 2);
        server.register_web("web-2", 2);
        let polled = polled.join().unwrap().json();
        assert_eq!(
            polled["instances"].as_array().unwrap().len(),
            2,
            "not by another service"
        );
    });
    // What has changed already is answered at once, and one that comes is waited for.
    assert_eq!(server.http("GET", &poll, "").status, 200);
    let path = format!("/v1/services/new?wait=5m&since={}", revision(&server));
    std::thread::scope(|scope| {
        let polled = scope.spawn(|| server.http("GET", &path, ""));
        server.register(
            "new-1",
            json!({"name": "new", "host": "10.0.0.9", "port": 1}),
        );
        assert_eq!(polled.join().unwrap().status, 200);
    });
}

#[test]
fn a_poll_ends_without_a_change() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    let since = revision(&server);
    let answer = server.http(
        "GET",
        &format!("/v1/services/web?wait=500ms&since={since}"),
        "",
    );
    assert_eq!(answer.json()["instances"].as_array().unwrap().len(), 1);
    let answer = server.http(
        "GET",
        &format!("/v1/services/nope?wait=500ms&since={since}"),
        "",
    );
    assert_eq!(answer.status, 404);
}

#[test]
fn parameters_that_are_wrong_are_named() {
    let server = TestServer::start();
    let many: String = (0..65).map(|n| format!("service=s{n}&")).collect();
    for (path, part) in [
        ("/v1/services?wait=30s", "go together"),
        ("/v1/services?since=1", "go together"),
        ("/v1/services?wait=6m&since=1", "from 500ms to 5m"),
        ("/v1/services?wait=1s&since=x", "since=x is no revision"),
        ("/v1/watch?since=-1", "since=-1 is no revision"),
        ("/v1/watch?service=a_b", "service=a_b holds"),
        ("/v1/watch?name=web", "allowed are since and service"),
        (&format!("/v1/watch?{many}"), "at most 64"),
    ] {
        let answer = server.http("GET", path, "");
        assert_eq!(answer.status, 400, "{path}");
        assert!(
            answer.json()["detail"].as_str().unwrap().contains(part),
            "{answer:?}"
        );
    }
}

#[test]
fn a_stream_has_every_state_and_goes_on_where_it_was_left() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    server.register("db-1", json!({"name": "db", "host": "10.0.0.9", "port": 1}));
    let mut all = Events::open(&server, "/v1/watch", "");
    let first = [all.service(), all.service()];
    let names: Vec<&str> = first.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["web", "db"], "in the order of their changes");
    let mut web = Events::open(&server, "/v1/watch?service=web&service=new", "");
    assert_eq!(web.service().2, ["web-1"]);
    server.register("db-2", json!({"name": "db", "host": "10.0.0.8", "port": 1}));
    assert_eq!(all.service().2, ["db-1", "db-2"]);
    server.register_web("web-2", 2);
    let (seen, _, ids) = web.service();
    assert_eq!(ids, ["web-1", "web-2"]);
    assert_eq!(all.service().2, ids);
    drop(web);

    server.register_web("web-3", 3);
    server.register(
        "new-1",
        json!({"name": "new", "host": "10.0.0.7", "port": 1}),
    );
    let path = "/v1/watch?service=web&service=new";
    let since = format!("Last-Event-ID: {}\r\n", seen.unwrap());
    let mut again = Events::open(&server, path, &since);
    assert_eq!(again.service().2, ["web-1", "web-2", "web-3"]);
    assert_eq!(again.service().1, "new");
    let path = format!("{path}&since={}", seen.unwrap());
    assert_eq!(Events::open(&server, &path, "").service().2.len(), 3);

    for id in ["web-1", "web-2", "web-3"] {
        assert_eq!(
            server
                .http("DELETE", &format!("/v1/instances/{id}"), "")
                .status,
            200
        );
    }
    eventually("nobody is listed", || {
        let (_, name, ids) = again.service();
        (name == "web" && ids.is_empty()).then_some(())
    });
}

/// Whoever reads slowly is sent what is, not all that was.
#[test]
fn a_slow_reader_is_sent_the_newest_state() {
    let server = TestServer::start();
    let long = "x".repeat(200);
    let register = |n: u16| {
        let metadata = json!({"n": n.to_string(), "long": long});
        let body = json!({"name": "web", "host": "10.0.0.1", "port": n, "metadata": metadata});
        for id in 0..20 {
            server.register(&format!("web-{id}"), body.clone());
        }
    };
    register(1);
    let mut slow = Events::open(&server, "/v1/watch?service=web", "");
    for n in 2..60 {
        register(n);
    }
    let last = revision(&server);
    let mut events = 0;
    while slow.service().0 != Some(last) {
        events += 1;
    }
    assert!(events < 58 * 20, "{events}");
}

#[test]
fn states_of_another_server_are_too_old() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    let ahead = revision(&server) + 1_000;
    for path in [
        format!("/v1/watch?since={ahead}"),
        format!("/v1/watch?service=web&since={ahead}"),
        format!("/v1/services?wait=1s&since={ahead}"),
        "/v1/watch?since=1".to_owned(),
        "/v1/services?wait=1s&since=1".to_owned(),
    ] {
        let answer = server.http("GET", &path, "");
        assert_eq!(answer.status, 410, "{path}");
        let problem = answer.json();
        assert_eq!(problem["type"], "urn:namebeat:problem:too-old");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("read GET /v1/services again"), "{detail}");
    }
    // Of what is named no state is too long ago.
    let answer = server.http("GET", "/v1/services/web?wait=5m&since=1", "");
    assert_eq!(answer.status, 200);
    let mut named = Events::open(&server, "/v1/watch?service=web&since=1", "");
    assert_eq!(named.service().2, ["web-1"]);
}

/// Those who wait don't keep the server from stopping.
#[test]
fn the_end_of_the_server_ends_streams_and_polls() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    let mut events = Events::open(&server, "/v1/watch", "");
    events.service();
    let since = revision(&server);
    let http = server.addresses.clone();
    let polled = std::thread::spawn(move || {
        let client = Client { addresses: http };
        client.try_http("GET", &format!("/v1/services?wait=5m&since={since}"), "")
    });
    let began = std::time::SystemTime::now();
    drop(server);
    assert_eq!(events.next(), None);
    // Answered, or not even taken: but not waited for.
    let answer = polled.join().unwrap();
    assert!(answer.is_none_or(|answer| answer.status == 200));
    assert!(began.elapsed().unwrap() < Duration::from_secs(5));
}
