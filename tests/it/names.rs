//! The table of names: what each owner name answers, from one registry.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, MX, NS, SOA, SRV, TXT};
use serde_json::json;

use crate::harness::TestServer;

const ZONE: &str = "svc.internal.";

/// Three instances of `web` and one of `voice`, each different from the others.
fn registered() -> TestServer {
    let server = TestServer::start();
    server.register(
        "web-1",
        json!({
            "name": "web", "host": "10.0.0.1", "port": 8001, "version": "1.4.2",
            "tags": {"env": "prod", "color": "blue"}, "locality": "eu-1",
            "ports": {"metrics": 9001}, "metadata": {"owner": "shop", "a key": "x=y"},
        }),
    );
    server.register(
        "web-2",
        json!({
            "name": "web", "addresses": ["10.0.0.2", "fd00::2"], "port": 8002, "version": "1.40",
            "tags": {"env": "prod", "color": "green"}, "locality": "eu-2",
            "protocol": "grpc", "priority": 20, "weight": 512,
        }),
    );
    server.register(
        "web-3",
        json!({
            "name": "web", "host": "10.0.0.3", "port": 8003, "version": "canary",
            "tags": {"env": "test"}, "weight": 0,
        }),
    );
    server.register(
        "voice-1",
        json!({"name": "voice", "host": "fd00::9", "port": 5060, "protocol": "udp"}),
    );
    server
}

/// `expected` holds each record as type and rdata, in any order.
#[track_caller]
fn check(server: &TestServer, name: &str, rtype: RecordType, expected: &[&str]) {
    let name = match name {
        "" => ZONE.to_owned(),
        name => format!("{name}.{ZONE}"),
    };
    let answer = server.ask(&name, rtype);
    assert_eq!(answer.rcode(), ResponseCode::NoError, "{name} {rtype}");
    assert_eq!(answer.answers(), expected, "{name} {rtype}");
    assert!(answer.message.metadata.authoritative && !answer.truncated());
    match expected {
        [] => assert_eq!(answer.negative_soa().0, ZONE),
        _ => {
            assert!(answer.message.authorities.is_empty());
            let owners = answer
                .message
                .answers
                .iter()
                .map(|record| record.name.to_string());
            owners.for_each(|owner| assert_eq!(owner, name));
        }
    }
}

const WEB_1: &str = "SRV 10 256 8001 web-1.web.svc.internal.";
const WEB_2: &str = "SRV 20 512 8002 web-2.web.svc.internal.";
const WEB_3: &str = "SRV 10 0 8003 web-3.web.svc.internal.";

#[test]
fn services() {
    let server = registered();
    // Weight 0 is listed in SRV, and left out of A.
    check(&server, "web", SRV, &[WEB_3, WEB_1, WEB_2]);
    check(&server, "web", A, &["A 10.0.0.1", "A 10.0.0.2"]);
    check(&server, "web", AAAA, &["AAAA fd00::2"]);
    check(&server, "web", MX, &[]);
    check(&server, "voice", A, &[]);
    check(&server, "voice", AAAA, &["AAAA fd00::9"]);
    check(
        &server,
        "voice",
        SRV,
        &["SRV 10 256 5060 voice-1.voice.svc.internal."],
    );
}

#[test]
fn services_by_transport_and_port() {
    let server = registered();
    check(&server, "_web._tcp", SRV, &[WEB_3, WEB_1, WEB_2]);
    check(&server, "_web._tcp", A, &[]);
    check(
        &server,
        "_voice._udp",
        SRV,
        &["SRV 10 256 5060 voice-1.voice.svc.internal."],
    );
    check(&server, "_http._tcp.web", SRV, &[WEB_3, WEB_1]);
    check(&server, "_grpc._tcp.web", SRV, &[WEB_2]);
    check(
        &server,
        "_metrics._tcp.web",
        SRV,
        &["SRV 10 256 9001 web-1.web.svc.internal."],
    );
    check(
        &server,
        "_udp._udp.voice",
        SRV,
        &["SRV 10 256 5060 voice-1.voice.svc.internal."],
    );
}

#[test]
fn instances() {
    let server = registered();
    check(&server, "web-1.web", A, &["A 10.0.0.1"]);
    check(&server, "web-1.web", AAAA, &[]);
    check(&server, "web-1.web", SRV, &[WEB_1]);
    check(&server, "web-2.web", AAAA, &["AAAA fd00::2"]);
    // Alone, weight 0 is answered with its address, too.
    check(&server, "web-3.web", A, &["A 10.0.0.3"]);
    let text = r#"TXT "id=web-1" "version=1.4.2" "protocol=http" "color=blue" "env=prod" "a key=x=y" "owner=shop""#;
    let answer = server.ask("web-1.web.svc.internal.", TXT);
    assert_eq!(answer.answers().len(), 1);
    let hickory_proto::rr::RData::TXT(txt) = &answer.message.answers[0].data else {
        panic!("{answer:?}");
    };
    let strings: Vec<_> = txt
        .txt_data
        .iter()
        .map(|string| format!("{:?}", String::from_utf8_lossy(string)))
        .collect();
    assert_eq!(format!("TXT {}", strings.join(" ")), text);
    assert_eq!(server.ask("web.svc.internal.", TXT).answers().len(), 3);
}

#[test]
fn tags_versions_and_localities() {
    let server = registered();
    check(&server, "prod.env.tag.web", SRV, &[WEB_1, WEB_2]);
    check(&server, "blue.color.tag.web", A, &["A 10.0.0.1"]);
    check(&server, "prod.env.green.color.tag.web", A, &["A 10.0.0.2"]);
    check(&server, "green.color.prod.env.tag.web", A, &["A 10.0.0.2"]);
    check(&server, "test.env.tag.web", A, &["A 10.0.0.3"]);
    check(&server, "1.version.web", SRV, &[WEB_1, WEB_2]);
    check(&server, "1.4.version.web", SRV, &[WEB_1]);
    check(&server, "1.4.2.version.web", TXT, &server_txt(&server));
    check(&server, "1.40.version.web", SRV, &[WEB_2]);
    check(&server, "eu-2.locality.web", AAAA, &["AAAA fd00::2"]);
}

fn server_txt(server: &TestServer) -> [&'static str; 1] {
    let text = server
        .ask("web-1.web.svc.internal.", TXT)
        .answers()
        .remove(0);
    [Box::leak(text.into_boxed_str())]
}

#[test]
fn names_that_do_not_exist() {
    let server = registered();
    for name in [
        "nope",
        "web-9.web",
        "voice-1.web",
        "a.web-1.web",
        "_web._udp",
        "_nope._tcp",
        "_udp.web",
        "_metrics._tcp.voice",
        "_nope._tcp.web",
        "_http._udp.web",
        "dev.env.tag.web",
        "prod.nope.tag.web",
        "blue.color.test.env.tag.web",
        "9.version.web",
        "2.4.version.web",
        "canary.version.web",
        "eu-9.locality.web",
        "tag.voice",
        "version.voice",
        "locality.voice",
        "tag",
        "web.tag",
    ] {
        for rtype in [A, SRV, ANY] {
            let answer = server.ask(&format!("{name}.{ZONE}"), rtype);
            assert_eq!(answer.rcode(), ResponseCode::NXDomain, "{name} {rtype}");
            assert_eq!(answer.negative_soa(), (ZONE.into(), 2, 2));
        }
    }
}

#[test]
fn the_apex() {
    let server = registered();
    let soa = server.ask(ZONE, SOA);
    assert!(soa.answers()[0].starts_with("SOA ns.svc.internal. hostmaster.svc.internal. "));
    let ns = server.ask(ZONE, NS);
    assert_eq!(ns.answers(), ["NS ns.svc.internal."]);
    assert_eq!(ns.additionals(), ["ns.svc.internal. 127.0.0.1"]);
    check(&server, "", A, &[]);
    check(&server, "ns", A, &["A 127.0.0.1"]);
}

#[test]
fn the_serial_moves_with_every_change() {
    let server = registered();
    let serial = || {
        let answer = server.ask(ZONE, SOA);
        match &answer.message.answers[0].data {
            hickory_proto::rr::RData::SOA(soa) => soa.serial,
            _ => panic!("{answer:?}"),
        }
    };
    let revision = || {
        server.http("GET", "/v1/stats", "").json()["revision"]
            .as_u64()
            .unwrap()
    };
    let mut last = serial();
    for n in 0..5 {
        server.register_web("mover", n);
        let now = serial();
        assert!(last < now, "{last} {now}");
        assert_eq!(u64::from(now), revision());
        last = now;
    }
    server.http("POST", "/v1/instances/mover/heartbeat", "");
    assert_eq!(
        serial(),
        last,
        "a heartbeat changes nothing that is answered"
    );
}

#[test]
fn srv_brings_the_addresses_of_its_targets() {
    let server = registered();
    let answer = server.ask("web.svc.internal.", SRV);
    assert_eq!(
        answer.additionals(),
        [
            "web-1.web.svc.internal. 10.0.0.1",
            "web-2.web.svc.internal. 10.0.0.2",
            "web-2.web.svc.internal. fd00::2",
            "web-3.web.svc.internal. 10.0.0.3",
        ]
    );
    for record in &answer.message.additionals {
        let own = server.ask(&record.name.to_string(), record.record_type());
        let all: Vec<_> = own.message.answers.iter().map(|own| &own.data).collect();
        assert!(all.contains(&&record.data), "{record}");
    }
}

#[test]
fn equal_rdata_is_one_record() {
    let server = TestServer::start();
    for (id, port) in [("a", 80), ("b", 81)] {
        server.register(id, json!({"name": "web", "host": "10.0.0.1", "port": port}));
    }
    check(&server, "web", A, &["A 10.0.0.1"]);
    assert_eq!(server.ask("web.svc.internal.", SRV).answers().len(), 2);
}

#[test]
fn a_host_name_instance_is_its_hosts() {
    let server = TestServer::start();
    server.register(
        "ext",
        json!({"name": "web", "host": "localhost", "port": 80}),
    );
    crate::harness::eventually("localhost is looked up", || {
        let all = ["web", "ext.web"].map(|name| {
            let name = format!("{name}.{ZONE}");
            [
                server.ask(&name, A).answers(),
                server.ask(&name, AAAA).answers(),
            ]
            .concat()
        });
        let both = ["A 127.0.0.1", "AAAA ::1"];
        all.iter().all(|answers| *answers == both).then_some(())
    });
    let answer = server.ask("web.svc.internal.", SRV);
    assert_eq!(answer.answers(), ["SRV 10 256 80 localhost."]);
    assert!(answer.message.additionals.is_empty());
}

/// Each instance comes first about as often as its weight is of all.
#[test]
fn addresses_come_in_weighted_random_order() {
    let server = TestServer::start();
    for (n, weight) in [(1, 100), (2, 200), (3, 700)] {
        let host = format!("10.0.0.{n}");
        server.register(
            &format!("web-{n}"),
            json!({"name": "web", "host": host, "port": 80, "weight": weight}),
        );
    }
    let rounds = 2000;
    let mut first = [0_u32; 4];
    for _ in 0..rounds {
        let answer = server.ask("web.svc.internal.", A);
        let text = answer.message.answers[0].data.to_string();
        first[text.rsplit('.').next().unwrap().parse::<usize>().unwrap()] += 1;
    }
    // Five standard deviations of a binomial draw, at most 22 of 2000 each.
    for (n, share) in [(1, 0.1), (2, 0.2), (3, 0.7)] {
        let expected = f64::from(rounds) * share;
        let off = (f64::from(first[n]) - expected).abs();
        assert!(off < 5.0 * (expected * (1.0 - share)).sqrt(), "{first:?}");
    }
}
