//! Who is answered and how often, as clients see it and as metrics say it.

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use namebeat::config::Settings;
use namebeat::telemetry::Telemetry;
use socket2::{Domain, Socket, Type};

use crate::collector::{Attributes, Collector, Received};
use crate::harness::{Answer, DEADLINE, TestServer, query, receive, receive_framed, send_framed};

const WEB: &str = "web.svc.internal.";

/// Responses a second that limited servers here send.
const RATE: u32 = 5;

fn limited(slip: u32) -> Settings {
    Settings {
        rate_limit: Some(RATE),
        rate_limit_slip: Some(slip),
        rate_limit_loopback: Some(true),
        ..Settings::default()
    }
}

/// A query with this cookie, and a response's cookies.
fn with_cookie(cookie: &[u8]) -> Vec<u8> {
    let mut message = query(WEB, RecordType::A, Some(1232));
    let len = u8::try_from(cookie.len()).unwrap();
    *message.last_mut().unwrap() = len + 4;
    message.extend_from_slice(&[0, 10, 0, len]);
    message.extend_from_slice(cookie);
    message
}

fn cookies(response: &[u8]) -> Vec<u8> {
    let start = response.len() - 28;
    assert_eq!(response[start..start + 4], [0, 10, 0, 24]);
    response[start + 4..].to_vec()
}

/// Sends `count` queries, then one that is never limited; all responses up to
/// its own, and whether `count` is above what the rate allows in that time.
fn flood(server: &TestServer, count: u16, known: &[u8]) -> (Vec<Answer>, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.dns()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let started = Instant::now();
    let mut answers = Vec::new();
    let mut octets = [0; 4096];
    let mut take = |answers: &mut Vec<Answer>, last: u16| loop {
        let len = receive(&socket, &mut octets);
        let id = u16::from_be_bytes([octets[0], octets[1]]);
        if id == last {
            return;
        }
        answers.push(Answer::new(octets[..len].to_vec()));
    };
    for id in 0..count {
        let mut message = query(WEB, RecordType::A, Some(1232));
        message[..2].copy_from_slice(&id.to_be_bytes());
        socket.send(&message).unwrap();
        // Not more at once than a socket holds.
        if id % 32 == 31 || id == count - 1 {
            let mut mark = with_cookie(known);
            let last = 0x8000 + id;
            mark[..2].copy_from_slice(&last.to_be_bytes());
            socket.send(&mark).unwrap();
            take(&mut answers, last);
        }
    }
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 1;
    let allowed = (seconds + 1) * usize::try_from(RATE).unwrap();
    (answers, allowed)
}

#[test]
fn a_flood_is_told_to_ask_over_tcp() {
    let server = TestServer::with(limited(1));
    server.register_web("web-1", 1);
    let known = cookies(&server.udp(&with_cookie(&[7; 8])).unwrap());
    let (answers, allowed) = flood(&server, 500, &known);
    assert_eq!(answers.len(), 500, "every query has a response");
    let (cut, whole): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.truncated());
    assert!((4..=allowed).contains(&whole.len()), "{}", whole.len());
    let asked = query(WEB, RecordType::A, Some(1232)).len();
    for answer in cut {
        assert_eq!(answer.rcode(), ResponseCode::NoError);
        assert!(answer.answers().is_empty());
        assert!(answer.octets.len() <= asked, "nothing is amplified");
    }
    for answer in whole {
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
    }
    let over_tcp = server.ask_tcp(WEB, RecordType::A);
    assert_eq!(over_tcp.answers(), ["A 10.0.0.1"]);
}

#[test]
fn slip_says_how_many_are_told() {
    let server = TestServer::with(limited(0));
    server.register_web("web-1", 1);
    let known = cookies(&server.udp(&with_cookie(&[7; 8])).unwrap());
    let (answers, allowed) = flood(&server, 500, &known);
    assert!((4..=allowed).contains(&answers.len()), "{}", answers.len());
    assert!(answers.iter().all(|answer| !answer.truncated()));

    let server = TestServer::with(limited(2));
    server.register_web("web-1", 1);
    let known = cookies(&server.udp(&with_cookie(&[7; 8])).unwrap());
    let (answers, allowed) = flood(&server, 500, &known);
    let cut = answers.iter().filter(|answer| answer.truncated()).count();
    assert!(answers.len() - cut <= allowed);
    let limited = 500 - (answers.len() - cut);
    assert_eq!(cut, limited.div_ceil(2));
}

#[test]
fn loopback_has_no_limit_by_default() {
    let server = TestServer::with(Settings {
        rate_limit_loopback: None,
        ..limited(0)
    });
    server.register_web("web-1", 1);
    let known = cookies(&server.udp(&with_cookie(&[7; 8])).unwrap());
    let (answers, _) = flood(&server, 200, &known);
    assert_eq!(answers.len(), 200);
    assert!(answers.iter().all(|answer| !answer.truncated()));
}

fn ask_from(client: [u8; 4], server: SocketAddr) -> Answer {
    let socket = UdpSocket::bind((IpAddr::from(client), 0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let message = query(WEB, RecordType::A, Some(1232));
    socket.send_to(&message, server).unwrap();
    let mut octets = [0; 4096];
    let len = receive(&socket, &mut octets);
    Answer::new(octets[..len].to_vec())
}

fn ask_tcp_from(client: [u8; 4], server: SocketAddr) -> Answer {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((client, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    send_framed(&mut stream, &query(WEB, RecordType::A, Some(1232)));
    Answer::new(receive_framed(&mut stream))
}

#[test]
fn networks_are_denied_and_permitted() {
    let one = [127, 0, 0, 1];
    let others = [[127, 0, 3, 1], [127, 0, 3, 255]];
    let deny = Settings {
        deny_query: Some(vec!["127.0.3.0/24".parse().unwrap()]),
        ..Settings::default()
    };
    let allow = Settings {
        allow_query: Some(vec!["127.0.0.1".parse().unwrap()]),
        ..Settings::default()
    };
    for settings in [deny, allow] {
        let server = TestServer::with(settings);
        server.register_web("web-1", 1);
        for answer in [ask_from(one, server.dns()), ask_tcp_from(one, server.dns())] {
            assert_eq!(answer.answers(), ["A 10.0.0.1"]);
        }
        for other in others {
            for answer in [
                ask_from(other, server.dns()),
                ask_tcp_from(other, server.dns()),
            ] {
                assert_eq!(answer.rcode(), ResponseCode::Refused);
                assert!(answer.answers().is_empty());
                let (code, text) = answer.extended_error().unwrap();
                assert_eq!(code, 18, "RFC 8914 §4.19: Prohibited");
                assert_eq!(text, "this server doesn't answer your network");
            }
        }
    }
}

#[test]
fn metrics_say_what_was_prepared_limited_and_for_whom() {
    let collector = Collector::start();
    let vars = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "50".to_owned()),
        ("OTEL_TRACES_EXPORTER", "none".to_owned()),
    ];
    let find = |name: &str| vars.iter().find(|(key, _)| *key == name);
    let telemetry =
        Telemetry::from_vars(|name| find(name).map(|(_, value)| value.clone())).unwrap();
    let settings = Settings {
        rate_limit: Some(1),
        ..limited(1)
    };
    let server = TestServer::with_telemetry(settings, telemetry);
    let numbers = |received: &Received, name: &str, key: &str, value: &str| {
        let wanted = Attributes::from([(key.to_owned(), value.to_owned())]);
        if !received.metrics.contains_key(name) {
            return None;
        }
        let all = received.numbers(name);
        let found = all.iter().find(|(attributes, _)| *attributes == wanted);
        found.map(|(_, number)| *number)
    };
    let of_web = |received: &Received| {
        let (name, key) = ("namebeat.dns.service.queries", "namebeat.service");
        numbers(received, name, key, "web")
    };
    server.register_web("web-1", 1);
    // From then on it's counted by name.
    drop(collector.wait_until(|received| of_web(received).is_some()));
    for _ in 0..3 {
        server.ask_tcp(WEB, RecordType::A);
    }
    server.ask_tcp("none.svc.internal.", RecordType::A);
    let mut whole = 0;
    while !server.ask(WEB, RecordType::A).truncated() {
        whole += 1;
    }
    // All is counted when the server has stopped.
    drop(server);
    let received = collector.received();
    assert_eq!(of_web(&received), Some(3 + whole));
    let limited = numbers(
        &received,
        "namebeat.dns.limited",
        "network.transport",
        "udp",
    );
    assert_eq!(limited, Some(1));
    let prepared = |result| numbers(&received, "namebeat.dns.prepared", "result", result).unwrap();
    // Each worker makes its own, and what doesn't exist is made each time.
    assert_eq!(prepared("hit") + prepared("miss"), 4 + whole);
    assert!(prepared("miss") >= 2);
}
