//! Browsing by DNS-SD: from the zone's name to an endpoint, RFC 6763.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hickory_proto::op::ResponseCode::{NXDomain, NoError};
use hickory_proto::rr::RData;
use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, MX, PTR, SRV, TXT};
use namebeat::config::Settings;
use serde_json::{Value, json};

use crate::harness::{Answer, TempDir, TestServer, eventually, query};

const KINDS: &str = "_services._dns-sd._udp.svc.internal.";
const HTTP: &str = "_http._tcp.svc.internal.";

fn wall(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// What PTR at a name leads to, which must be so over UDP and TCP.
#[track_caller]
fn pointers(server: &TestServer, name: &str) -> Vec<String> {
    let answer = server.ask_tcp(name, PTR);
    assert_eq!(answer.rcode(), NoError, "{name}");
    assert_eq!(server.ask(name, PTR).answers(), answer.answers(), "{name}");
    assert!(!answer.truncated());
    let targets = answer.message.answers.iter().map(|record| {
        assert_eq!(record.name.to_string(), name);
        record.data.to_string()
    });
    let mut targets: Vec<String> = targets.collect();
    targets.sort();
    targets
}

#[track_caller]
fn check_nodata(server: &TestServer, name: &str, rtype: RecordType) -> Answer {
    let answer = server.ask(name, rtype);
    assert_eq!(answer.rcode(), NoError, "{name} {rtype}");
    assert_eq!(answer.negative_soa(), ("svc.internal.".into(), 2, 2));
    answer
}

#[track_caller]
fn check_nxdomain(server: &TestServer, name: &str) {
    for rtype in [PTR, SRV, TXT, ANY] {
        assert_eq!(server.ask(name, rtype).rcode(), NXDomain, "{name} {rtype}");
    }
}

/// The way that `dig PTR _services._dns-sd._udp.Z` begins, to a connection.
#[test]
fn the_walk_ends_at_an_endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = TestServer::start();
    let port = listener.local_addr().unwrap().port();
    server.register(
        "web-1",
        json!({"name": "web", "host": "127.0.0.1", "port": port}),
    );
    let domain = pointers(&server, "b._dns-sd._udp.svc.internal.");
    assert_eq!(domain, ["svc.internal."]);
    let kinds = pointers(&server, &format!("_services._dns-sd._udp.{}", domain[0]));
    assert_eq!(kinds, [HTTP]);
    let instances = pointers(&server, &kinds[0]);
    assert_eq!(instances, ["web-1._http._tcp.svc.internal."]);
    let text = server.ask(&instances[0], TXT).answers();
    assert_eq!(text, ["TXT id=web-1protocol=http"]);
    let answer = server.ask(&instances[0], SRV);
    let RData::SRV(srv) = &answer.message.answers[0].data else {
        panic!("{answer:?}");
    };
    let target = srv.target.to_string();
    let glue = format!("{target} 127.0.0.1");
    assert_eq!(answer.additionals(), [glue]);
    let address = server.ask(&target, A).message.answers.remove(0).data;
    let address = address.to_string().parse().unwrap();
    std::net::TcpStream::connect(std::net::SocketAddr::new(address, srv.port)).unwrap();
    listener.accept().unwrap();
}

#[test]
fn kinds_are_protocols_and_named_ports() {
    let server = TestServer::start();
    assert!(server.ask(KINDS, PTR).answers().is_empty());
    server.register(
        "web-1",
        json!({
            "name": "web", "host": "10.0.0.1", "port": 80, "protocol": "https",
            "ports": {"metrics": 9100, "admin": 9200},
        }),
    );
    server.register(
        "api-1",
        json!({"name": "api", "host": "10.0.0.2", "port": 81, "ports": {"metrics": 9101}}),
    );
    server.register(
        "voice-1",
        json!({
            "name": "voice", "host": "fd00::9", "port": 5060, "protocol": "udp",
            "ports": {"rtp": 6000, "metrics": 9102},
        }),
    );
    let expected = [
        "_admin._tcp.svc.internal.",
        "_http._tcp.svc.internal.",
        "_https._tcp.svc.internal.",
        "_metrics._tcp.svc.internal.",
        "_metrics._udp.svc.internal.",
        "_rtp._udp.svc.internal.",
        "_udp._udp.svc.internal.",
    ];
    assert_eq!(pointers(&server, KINDS), expected);
    assert_eq!(server.ask(KINDS, PTR).ttl(), 2);
    assert_eq!(
        pointers(&server, "_metrics._tcp.svc.internal."),
        [
            "api-1._metrics._tcp.svc.internal.",
            "web-1._metrics._tcp.svc.internal."
        ]
    );
    for (name, srv) in [
        ("web-1._https._tcp", "SRV 10 256 80 web-1.web.svc.internal."),
        (
            "web-1._metrics._tcp",
            "SRV 10 256 9100 web-1.web.svc.internal.",
        ),
        (
            "WEB-1._Admin._TCP",
            "SRV 10 256 9200 web-1.web.svc.internal.",
        ),
        (
            "voice-1._rtp._udp",
            "SRV 10 256 6000 voice-1.voice.svc.internal.",
        ),
        (
            "voice-1._metrics._udp",
            "SRV 10 256 9102 voice-1.voice.svc.internal.",
        ),
    ] {
        let answer = server.ask(&format!("{name}.svc.internal."), SRV);
        assert_eq!(answer.answers(), [srv], "{name}");
        assert_eq!(answer.ttl(), 5);
        for rtype in [A, AAAA, PTR, MX] {
            check_nodata(&server, &format!("{name}.svc.internal."), rtype);
        }
        let any = server.ask(&format!("{name}.svc.internal."), ANY);
        assert_eq!(any.answers().len(), 1);
    }
    for name in [
        "web-1._http._tcp",
        "web-1._https._udp",
        "voice-1._metrics._tcp",
        "nobody._https._tcp",
        "web-1._web._tcp",
        "_rtp._tcp",
        "a.web-1._https._tcp",
        "_x._services._dns-sd._udp",
        "_services._dns-sd._tcp",
    ] {
        check_nxdomain(&server, &format!("{name}.svc.internal."));
    }
}

#[test]
fn names_that_are_there_whoever_registers() {
    let server = TestServer::start();
    for _ in 0..2 {
        for rtype in [A, SRV, TXT, MX, PTR, ANY] {
            check_nodata(&server, "_dns-sd._udp.svc.internal.", rtype);
        }
        for rtype in [A, SRV, TXT, MX] {
            check_nodata(&server, KINDS, rtype);
            check_nodata(&server, "lb._dns-sd._udp.svc.internal.", rtype);
        }
        for name in ["b", "db", "lb"] {
            let name = format!("{name}._dns-sd._udp.svc.internal.");
            assert_eq!(pointers(&server, &name), ["svc.internal."]);
        }
        // It has nothing to do with that; both are there.
        server.register("x", json!({"name": "y", "host": "10.0.0.1", "port": 80}));
    }
    check_nxdomain(&server, "r._dns-sd._udp.svc.internal.");
    let odd = json!({
        "name": "dns-sd", "host": "10.0.0.1", "port": 80, "protocol": "udp", "ports": {"dns-sd": 81},
    });
    server.register("b", odd);
    let srv = |name: &str| {
        server
            .ask(&format!("{name}.svc.internal."), SRV)
            .answers()
            .concat()
    };
    assert_eq!(srv("_dns-sd._udp"), "SRV 10 256 80 b.dns-sd.svc.internal.");
    assert_eq!(
        srv("b._dns-sd._udp"),
        "SRV 10 256 81 b.dns-sd.svc.internal."
    );
    let own = pointers(&server, "_dns-sd._udp.svc.internal.");
    assert_eq!(own, ["b._dns-sd._udp.svc.internal."]);
    let domain = pointers(&server, "b._dns-sd._udp.svc.internal.");
    assert_eq!(domain, ["svc.internal."]);
}

/// `_http._tcp.Z` is the name of a service called `http`, too.
#[test]
fn a_service_and_a_kind_share_their_name() {
    let server = TestServer::start();
    server.register(
        "h",
        json!({"name": "http", "host": "10.0.0.1", "port": 21, "protocol": "tcp"}),
    );
    let srv = ["SRV 10 256 21 h.http.svc.internal."];
    assert_eq!(server.ask(HTTP, SRV).answers(), srv);
    check_nodata(&server, HTTP, PTR);
    server.register("w", json!({"name": "web", "host": "10.0.0.2", "port": 80}));
    assert_eq!(pointers(&server, HTTP), ["w._http._tcp.svc.internal."]);
    assert_eq!(server.ask(HTTP, SRV).answers(), srv);
    server.http("POST", "/v1/instances/h/drain", "");
    let nobody = check_nodata(&server, HTTP, SRV).extended_error();
    assert_eq!(nobody.unwrap().1, "1 registered: 1 draining");
    assert_eq!(server.ask(HTTP, ANY).answers().len(), 1);
    assert_eq!(pointers(&server, HTTP), ["w._http._tcp.svc.internal."]);
}

#[test]
fn a_host_name_instance_leads_to_its_host() {
    let server = TestServer::start();
    server.register(
        "ext",
        json!({"name": "web", "host": "localhost", "port": 80}),
    );
    eventually("localhost is looked up", || {
        let found = server.ask(HTTP, PTR).answers();
        (!found.is_empty()).then(|| assert_eq!(found, ["PTR ext._http._tcp.svc.internal."]))
    });
    let srv = server.ask("ext._http._tcp.svc.internal.", SRV);
    assert_eq!(srv.answers(), ["SRV 10 256 80 localhost."]);
}

#[test]
fn static_names_win() {
    let zones = TempDir::new("browse");
    zones.write(
        "svc.internal.zone",
        "_http._tcp 300 PTR fixed._http._tcp\nlb._dns-sd._udp 300 PTR other.example.\n",
    );
    let server = TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..Settings::default()
    });
    server.register_web("web-1", 1);
    assert_eq!(pointers(&server, HTTP), ["fixed._http._tcp.svc.internal."]);
    let domain = pointers(&server, "lb._dns-sd._udp.svc.internal.");
    assert_eq!(domain, ["other.example."]);
    assert_eq!(pointers(&server, KINDS), [HTTP]);
}

#[test]
fn promise_1_browsing_sees_every_change() {
    let server = TestServer::start();
    let own = |n: u8| format!("web-{n}._http._tcp.svc.internal.");
    let expected = |ids: &mut dyn Iterator<Item = u8>| {
        let names: BTreeSet<String> = ids.map(own).collect();
        names.into_iter().collect::<Vec<_>>()
    };
    for n in 1..=20 {
        // Each of another service, so that no view tells of the others.
        let host = format!("10.0.0.{n}");
        let body = json!({"name": format!("s{n}"), "host": host, "port": 80});
        server.register(&format!("web-{n}"), body);
        assert_eq!(pointers(&server, HTTP), expected(&mut (1..=n)));
        assert_eq!(server.ask(&own(n), SRV).answers().len(), 1);
    }
    for n in 1..=20 {
        match n % 3 {
            0 => server.http("DELETE", &format!("/v1/instances/web-{n}"), ""),
            1 => server.http("POST", &format!("/v1/instances/web-{n}/drain"), ""),
            _ => server.http(
                "PUT",
                &format!("/v1/instances/web-{n}"),
                r#"{"name": "other", "host": "10.0.0.1", "port": 80, "protocol": "grpc"}"#,
            ),
        };
        assert_eq!(pointers(&server, HTTP), expected(&mut (n + 1..=20)));
        // Each left cleanly, and whoever holds its name can follow it.
        assert_eq!(server.ask(&own(n), SRV).answers().len(), 1, "{n}");
    }
    let grpc = pointers(&server, "_grpc._tcp.svc.internal.");
    assert_eq!(grpc.len(), 7);
    // Draining instances are registered, so their kind is there; then nobody is.
    let both = [HTTP, "_grpc._tcp.svc.internal."].map(str::to_owned);
    let mut kinds = pointers(&server, KINDS);
    kinds.reverse();
    assert_eq!(kinds, both);
    for n in (1..=20).filter(|n| n % 3 == 1) {
        server.http("DELETE", &format!("/v1/instances/web-{n}"), "");
    }
    assert_eq!(pointers(&server, KINDS), both[1..]);
    assert!(pointers(&server, HTTP).is_empty());
}

#[test]
fn promise_2_no_browsing_outlives_a_lease() {
    let server = TestServer::start();
    server.register(
        "long",
        json!({"name": "web", "host": "10.0.0.1", "port": 1, "lease": "1h"}),
    );
    let short = server.register(
        "short",
        json!({"name": "api", "host": "10.0.0.2", "port": 2, "lease": "3s"}),
    );
    let ends = wall(&short["lease"]["expires_at"]);
    eventually("the short lease ends", || {
        let mut held = 0;
        for (name, rtype) in [
            (HTTP, PTR),
            ("short._http._tcp.svc.internal.", SRV),
            ("short._http._tcp.svc.internal.", TXT),
        ] {
            let asked = Utc::now();
            let answer = server.ask(name, rtype);
            if !answer.answers().concat().contains("short") {
                continue;
            }
            held += 1;
            let until = asked + Duration::from_secs(answer.ttl().into());
            assert!(until <= ends, "{name} until {until}, lease until {ends}");
        }
        (held == 0).then_some(())
    });
    assert!(Utc::now() < ends + Duration::from_secs(1));
    assert_eq!(pointers(&server, HTTP), ["long._http._tcp.svc.internal."]);
    assert_eq!(server.ask(HTTP, PTR).ttl(), 5);
}

#[test]
fn promise_3_an_instance_of_a_kind_is_followed_until_it_is_drained() {
    let server = TestServer::with(Settings {
        ttl: Some("2s".parse().unwrap()),
        ..Settings::default()
    });
    for (id, call) in [("a", ("DELETE", "")), ("b", ("POST", "/drain"))] {
        server.register(id, json!({"name": "web", "host": "10.0.0.1", "port": 1}));
        let own = format!("{id}._http._tcp.svc.internal.");
        let set = server.ask(HTTP, PTR);
        let cached_until = Utc::now() + Duration::from_secs(set.ttl().into());
        let path = format!("/v1/instances/{id}{}", call.1);
        let drained_at = wall(&server.http(call.0, &path, "").json()["drained_at"]);
        assert!(cached_until <= drained_at);
        assert!(pointers(&server, HTTP).is_empty());
        assert_eq!(server.ask(&own, SRV).answers().len(), 1);
        eventually("its name ends", || {
            let asked = Utc::now();
            let answer = server.ask(&own, SRV);
            if answer.answers().is_empty() {
                return Some(());
            }
            let until = asked + Duration::from_secs(answer.ttl().into());
            assert!(until <= drained_at, "until {until}, drained {drained_at}");
            None
        });
    }
    // One is draining still, so its name is there, and says why there's nothing.
    let drained = check_nodata(&server, "b._http._tcp.svc.internal.", SRV);
    assert_eq!(
        drained.extended_error().unwrap().1,
        "1 registered: 1 draining"
    );
}

#[test]
fn promise_4_browsing_is_never_silently_cut() {
    let server = TestServer::start();
    let register = |numbers: std::ops::Range<u32>| {
        let items: Vec<_> = numbers
            .map(|n| {
                json!({
                    "id": format!("i{n}"), "name": format!("s{}", n % 700), "host": "10.0.0.1",
                    "port": 80, "ports": {format!("p{n}"): 81},
                })
            })
            .collect();
        let answer = server.http("POST", "/v1/instances", &json!(items).to_string());
        assert_eq!(answer.status, 200);
    };
    register(0..900);
    for name in [HTTP, KINDS] {
        for payload in [None, Some(1232), Some(8192)] {
            let cut = || server.exchange(&query(name, PTR, payload));
            let answer = cut();
            assert!(answer.truncated(), "{name} {payload:?}");
            assert!(answer.octets.len() <= usize::from(payload.unwrap_or(512)));
            assert!(answer.answers().len() > 5);
            // It's the same part again.
            assert_eq!(cut().answers(), answer.answers());
        }
        let whole = server.ask_tcp(name, PTR);
        let expected = if name == HTTP { 900 } else { 901 };
        assert_eq!(whole.answers().len(), expected);
        assert!(!whole.truncated());
    }
    // More than a message can hold.
    register(900..6000);
    for name in [HTTP, KINDS] {
        let answer = server.ask_tcp(name, PTR);
        assert!(answer.truncated(), "{name}");
        assert!(answer.octets.len() > 60_000, "{name}");
    }
}

#[test]
fn promise_5_a_kind_that_exists_is_never_nxdomain() {
    let server = TestServer::start();
    let checked = json!({
        "name": "web", "host": "10.0.0.1", "port": 1, "ports": {"admin": 2},
        "health_check": {"kind": "tcp", "interval": "1h"},
    });
    server.register("a", checked);
    server.register("b", json!({"name": "api", "host": "10.0.0.2", "port": 2}));
    server.http("POST", "/v1/instances/b/drain", "");
    for rtype in [PTR, SRV, TXT, A, MX, ANY] {
        let answer = check_nodata(&server, HTTP, rtype);
        let why = answer.extended_error().map(|(_, text)| text);
        let expected = "2 registered: 1 starting, 1 draining";
        assert_eq!(why.as_deref(), Some(expected), "{rtype}");
        let answer = check_nodata(&server, "a._admin._tcp.svc.internal.", rtype);
        let why = answer.extended_error().map(|(_, text)| text);
        assert_eq!(why.as_deref(), Some("1 registered: 1 starting"), "{rtype}");
    }
    let kinds = pointers(&server, KINDS);
    assert_eq!(kinds, ["_admin._tcp.svc.internal.", HTTP]);
}
