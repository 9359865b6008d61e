//! What answers come to by a policy.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::json;

use super::{PATH, WEB, register, set};
use crate::harness::{Answer, DEADLINE, TestServer, query, receive};

/// Asks from another address of this machine.
fn ask_from(server: &TestServer, client: [u8; 4], name: &str, rtype: RecordType) -> Answer {
    let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::from(client)), 0)).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.connect(server.dns()).unwrap();
    socket.send(&query(name, rtype, Some(4096))).unwrap();
    let mut octets = vec![0; 65_535];
    let len = receive(&socket, &mut octets);
    octets.truncate(len);
    Answer::new(octets)
}

#[test]
fn promise_1_the_next_query_sees_it() {
    let server = TestServer::start();
    register(&server, 1..=3, &[]);
    for n in 1..30u32 {
        set(
            &server,
            &json!({"ttl": format!("{n}s"), "negative_ttl": format!("{}s", n + 1)}),
        );
        // The lease of 30 s has begun to run.
        let ttl = server.ask(WEB, RecordType::A).ttl();
        assert!((n.min(29) - 1..=n).contains(&ttl), "{n} {ttl}");
        let answer = server.ask(WEB, RecordType::MX);
        assert_eq!(
            answer.negative_soa(),
            ("svc.internal.".into(), n + 1, n + 1)
        );
        let absent = server.ask(&format!("none.{WEB}"), RecordType::A);
        assert_eq!(absent.rcode(), ResponseCode::NXDomain);
        assert_eq!(absent.negative_soa().1, n + 1);
    }
    server.http("DELETE", PATH, "");
    assert_eq!(server.ask(WEB, RecordType::A).ttl(), 5);
    assert_eq!(server.ask(WEB, RecordType::MX).negative_soa().1, 2);
}

#[test]
fn promise_2_a_policys_ttl_is_bounded_by_leases() {
    let server = TestServer::start();
    set(&server, &json!({"ttl": "1h"}));
    let lease = |lease: &str| json!({"name": "web", "host": "10.0.0.1", "port": 1, "lease": lease});
    server.register("long", lease("2h"));
    assert_eq!(server.ask(WEB, RecordType::A).ttl(), 3600);
    server.register("short", lease("20s"));
    for rtype in [RecordType::A, RecordType::SRV, RecordType::TXT] {
        assert!(server.ask(WEB, rtype).ttl() < 20);
    }
}

#[test]
fn promise_3_a_former_longer_ttl_is_waited_for() {
    let server = TestServer::start();
    set(&server, &json!({"ttl": "10m"}));
    register(&server, 1..=2, &[]);
    let lease = json!({"name": "web", "host": "10.0.0.1", "port": 1, "lease": "1h"});
    server.register("web-1", lease);
    let held = Duration::from_secs(
        server
            .ask("web-1.web.svc.internal.", RecordType::A)
            .ttl()
            .into(),
    );
    let cached_until = Utc::now() + held;
    assert!(Duration::from_secs(590) < held);
    set(&server, &json!({"ttl": "1s"}));
    let drained = server.http("POST", "/v1/instances/web-1/drain", "").json();
    let drained_at: DateTime<Utc> = drained["drained_at"].as_str().unwrap().parse().unwrap();
    assert!(cached_until <= drained_at, "{cached_until} {drained_at}");
    assert!(drained_at < cached_until + Duration::from_secs(20));
}

#[test]
fn promise_4_each_client_has_its_own_stable_subset() {
    let server = TestServer::start();
    register(&server, 1..=40, &[]);
    set(&server, &json!({"max_answers": 3}));
    let clients = || (1..=120).map(|n| [127, 0, 7, n]);
    let subset = |client, rtype| -> BTreeSet<String> {
        let answer = ask_from(&server, client, WEB, rtype);
        assert!(
            !answer.truncated() && answer.answers().len() == 3,
            "{answer:?}"
        );
        answer.answers().into_iter().collect()
    };
    let mut seen = BTreeSet::new();
    for client in clients() {
        let a = subset(client, RecordType::A);
        for _ in 0..3 {
            assert_eq!(subset(client, RecordType::A), a);
        }
        // SRV and TXT tell of the same instances, and so do other names of sets.
        let number = |a: &String| a.strip_prefix("A 10.0.0.").unwrap().to_owned();
        let numbers: BTreeSet<String> = a.iter().map(number).collect();
        let srv = ask_from(
            &server,
            client,
            "_http._tcp.web.svc.internal.",
            RecordType::SRV,
        );
        let glue: BTreeSet<String> = srv.additionals().into_iter().collect();
        let txt = subset(client, RecordType::TXT);
        for n in &numbers {
            assert!(
                srv.answers()
                    .iter()
                    .any(|srv| srv.ends_with(&format!(" web-{n}.{WEB}")))
            );
            assert!(
                txt.iter()
                    .any(|txt| txt.contains(&format!("id=web-{n}protocol"))),
                "{txt:?}"
            );
            assert!(
                glue.contains(&format!("web-{n}.{WEB} 10.0.0.{n}")),
                "{glue:?}"
            );
        }
        assert_eq!((srv.answers().len(), glue.len()), (3, 3));
        seen.extend(a);
    }
    assert_eq!(seen.len(), 40, "not everybody is in somebody's subset");
    // Own names are never cut, nor is a set that isn't too large.
    let own = ask_from(
        &server,
        [127, 0, 7, 1],
        "web-9.web.svc.internal.",
        RecordType::A,
    );
    assert_eq!(own.answers(), ["A 10.0.0.9"]);
    // One that isn't in a subset and leaves doesn't change it.
    let before = subset([127, 0, 7, 1], RecordType::A);
    let outside = (1..=40)
        .find(|n| !before.contains(&format!("A 10.0.0.{n}")))
        .unwrap();
    server.http("DELETE", &format!("/v1/instances/web-{outside}"), "");
    assert_eq!(subset([127, 0, 7, 1], RecordType::A), before);
    set(&server, &json!({}));
    assert_eq!(server.ask(WEB, RecordType::A).answers().len(), 39);
}

#[test]
fn for_want_of_others_those_that_fail_are_answered() {
    let server = TestServer::start();
    register(&server, 1..=4, &[1, 2, 3]);
    server.http("POST", "/v1/instances/web-3/drain", "");
    set(&server, &json!({"when_none_healthy": "all"}));
    let one = server.ask(WEB, RecordType::A);
    assert_eq!(
        (one.answers(), one.extended_error()),
        (vec!["A 10.0.0.4".into()], None)
    );
    // While somebody is listed, the others aren't answered anywhere.
    let own = server.ask("web-1.web.svc.internal.", RecordType::A);
    assert_eq!(own.extended_error().unwrap().1, "1 registered: 1 failing");
    let starting = json!({"name": "web", "host": "10.0.0.4", "port": 1,
        "health_check": {"kind": "tcp", "interval": "1h"}});
    server.register("web-4", starting);
    let mut last = None;
    for (name, rtype, expected) in [
        (WEB, RecordType::A, 3),
        (WEB, RecordType::SRV, 3),
        (WEB, RecordType::TXT, 3),
        ("_web._tcp.svc.internal.", RecordType::SRV, 3),
        ("web-1.web.svc.internal.", RecordType::A, 1),
        ("web-3.web.svc.internal.", RecordType::A, 0),
    ] {
        for answer in [server.ask(name, rtype), server.ask_tcp(name, rtype)] {
            assert_eq!(
                answer.answers().len(),
                expected,
                "{name} {rtype} {answer:?}"
            );
            let (code, text) = answer.extended_error().unwrap();
            assert_eq!(code, 0);
            if expected == 3 {
                let told = "4 registered: 2 failing, 1 starting, 1 draining; \
                     those failing or starting are answered";
                assert_eq!(text, told);
                assert!(rtype != RecordType::SRV || answer.additionals().len() == 3);
            }
            last = Some(answer);
        }
    }
    assert!(last.is_some());
    assert_eq!(server.ask(WEB, RecordType::AAAA).answers().len(), 0);
    // One that is well again is all there is.
    server.http(
        "POST",
        "/v1/instances/web-2/heartbeat",
        r#"{"status": "passing"}"#,
    );
    let answer = server.ask(WEB, RecordType::A);
    assert_eq!(
        (answer.answers(), answer.extended_error()),
        (vec!["A 10.0.0.2".into()], None)
    );
}

/// RFC 8020: nothing exists below what doesn't.
#[test]
fn rfc8020_a_service_is_denied_with_all_that_is_below() {
    let server = TestServer::start();
    register(&server, 1..=2, &[1]);
    set(
        &server,
        &json!({"when_none_healthy": "nxdomain", "negative_ttl": "9s",
        "txt": {"strings": ["x"]}}),
    );
    let names = [
        WEB,
        "web-1.web.svc.internal.",
        "_http._tcp.web.svc.internal.",
        "_tcp.web.svc.internal.",
    ];
    let rcodes = |rtype| names.map(|name| server.ask(name, rtype).rcode());
    let (there, denied) = ([ResponseCode::NoError; 4], [ResponseCode::NXDomain; 4]);
    assert_eq!(rcodes(RecordType::A), there);
    assert_eq!(server.ask(WEB, RecordType::TXT).answers(), ["TXT x"]);
    // One that leaves cleanly keeps its own name for a while, so there's something below.
    server.http("POST", "/v1/instances/web-2/drain", "");
    assert_eq!(rcodes(RecordType::A), there);
    assert_eq!(
        server
            .ask("web-2.web.svc.internal.", RecordType::A)
            .answers(),
        ["A 10.0.0.2"]
    );
    server.http("POST", "/v1/instances/web-2/resume", "");
    server.http(
        "POST",
        "/v1/instances/web-2/heartbeat",
        r#"{"status": "failing"}"#,
    );
    for rtype in [
        RecordType::A,
        RecordType::TXT,
        RecordType::SRV,
        RecordType::MX,
        RecordType::ANY,
    ] {
        assert_eq!(rcodes(rtype), denied, "{rtype}");
    }
    let answer = server.ask(WEB, RecordType::A);
    assert_eq!(answer.negative_soa(), ("svc.internal.".into(), 9, 9));
    assert_eq!(
        answer.extended_error().unwrap(),
        (0, "2 registered: 2 failing".into())
    );
    assert_eq!(
        server
            .ask("_web._tcp.svc.internal.", RecordType::SRV)
            .rcode(),
        ResponseCode::NXDomain
    );
    // A configuration value is below it, too.
    let value = r#"{"value": "v"}"#;
    server.http("PUT", "/v1/services/web/config/k", value);
    assert_eq!(rcodes(RecordType::A), there);
    server.http("DELETE", "/v1/services/web/config/k", "");
    assert_eq!(rcodes(RecordType::A), denied);
    server.http(
        "POST",
        "/v1/instances/web-1/heartbeat",
        r#"{"status": "passing"}"#,
    );
    assert_eq!(rcodes(RecordType::A), there);
}

#[test]
fn txt_at_the_services_name_is_as_the_policy_has_it() {
    let server = TestServer::start();
    register(&server, 1..=2, &[]);
    let txt = |name: &str| server.ask(name, RecordType::TXT).answers();
    assert_eq!(txt(WEB).len(), 2);
    set(&server, &json!({"txt": "none"}));
    assert!(txt(WEB).is_empty());
    assert_eq!(server.ask(WEB, RecordType::TXT).extended_error(), None);
    assert_eq!(server.ask(WEB, RecordType::A).answers().len(), 2);
    let strings = ["authSource=admin", "replicaSet=rs0"];
    set(&server, &json!({"txt": {"strings": strings}, "ttl": "7s"}));
    let answer = server.ask(WEB, RecordType::TXT);
    assert_eq!((answer.message.answers.len(), answer.ttl()), (1, 7));
    let rdata = b"\x10authSource=admin\x0ereplicaSet=rs0";
    assert!(
        answer
            .octets
            .windows(rdata.len())
            .any(|octets| octets == rdata)
    );
    // An instance's own name and names that select tell of instances as ever.
    assert!(txt("web-1.web.svc.internal.")[0].contains("id=web-1"));
    for n in 1..=2 {
        server.http("DELETE", &format!("/v1/instances/web-{n}"), "");
    }
    // They don't depend on anybody.
    assert_eq!(txt(WEB).len(), 1);
    let nobody = server.ask(WEB, RecordType::A);
    let told = "0 registered: 2 deregistered";
    assert_eq!(nobody.extended_error().unwrap().1, told);
    assert_eq!(server.ask(WEB, RecordType::ANY).answers().len(), 1);
}

#[test]
fn promise_5_a_service_exists_by_its_policy() {
    let server = TestServer::start();
    assert_eq!(
        server.ask(WEB, RecordType::A).rcode(),
        ResponseCode::NXDomain
    );
    set(&server, &json!({"negative_ttl": "4s"}));
    for rtype in [
        RecordType::A,
        RecordType::SRV,
        RecordType::TXT,
        RecordType::ANY,
    ] {
        let answer = server.ask(WEB, rtype);
        assert_eq!(answer.rcode(), ResponseCode::NoError);
        assert_eq!(answer.negative_soa().1, 4);
        assert_eq!(answer.extended_error().unwrap(), (0, "0 registered".into()));
    }
    let absent = server.ask("_config.web.svc.internal.", RecordType::TXT);
    assert_eq!(absent.rcode(), ResponseCode::NXDomain);
    let listed = server.http("GET", "/v1/services", "").json();
    assert_eq!(listed["services"][0]["name"], "web");
    let read = server.http("GET", "/v1/services/web", "");
    assert_eq!((read.status, &read.json()["instances"]), (200, &json!([])));
    // Instances come and go; it stays.
    register(&server, 1..=1, &[]);
    assert_eq!(server.ask(WEB, RecordType::A).answers().len(), 1);
    server.http("DELETE", "/v1/instances/web-1", "");
    assert_eq!(server.http("GET", PATH, "").status, 200);
    set(&server, &json!({"when_none_healthy": "nxdomain"}));
    server.http("DELETE", PATH, "");
    // Who left a moment ago is all that keeps the name.
    assert_eq!(
        server.ask(WEB, RecordType::A).rcode(),
        ResponseCode::NoError
    );
    assert_eq!(server.http("GET", "/v1/services/web", "").status, 404);
}
