//! Reverse zones: from the addresses of registered instances to their names.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hickory_proto::op::ResponseCode::{NXDomain, NoError, Refused};
use hickory_proto::rr::RData;
use hickory_proto::rr::RecordType::{A, AAAA, ANY, DS, MX, NS, PTR, SOA, TXT};
use namebeat::config::{Config, Settings};
use serde_json::json;

use crate::harness::{Answer, TempDir, TestServer, eventually, query};

fn settings(networks: &[&str]) -> Settings {
    let networks = networks.iter().map(|network| network.parse().unwrap());
    Settings {
        reverse_zones: Some(networks.collect()),
        ..Settings::default()
    }
}

fn server(networks: &[&str]) -> TestServer {
    TestServer::with(settings(networks))
}

/// The reverse name of an address.
fn reverse(address: &str) -> String {
    match address.parse().unwrap() {
        std::net::IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        std::net::IpAddr::V6(v6) => {
            let nibbles = format!("{:032x}", v6.to_bits());
            let labels = nibbles.chars().rev().map(|nibble| format!("{nibble}."));
            labels.collect::<String>() + "ip6.arpa."
        }
    }
}

/// What PTR of an address leads to, over UDP and TCP alike.
#[track_caller]
fn names(server: &TestServer, address: &str) -> Vec<String> {
    let name = reverse(address);
    let answer = server.ask_tcp(&name, PTR);
    assert_eq!(answer.rcode(), NoError, "{address}");
    assert!(answer.message.metadata.authoritative && !answer.truncated());
    let over_udp = server.exchange(&query(&name, PTR, Some(8192)));
    assert_eq!(over_udp.answers(), answer.answers());
    let names = answer.message.answers.iter().map(|r| r.data.to_string());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[track_caller]
fn check_nodata(server: &TestServer, name: &str, zone: &str) -> Answer {
    for rtype in [A, MX, ANY] {
        assert_eq!(server.ask(name, rtype).rcode(), NoError, "{name} {rtype}");
    }
    let answer = server.ask(name, PTR);
    assert_eq!(answer.rcode(), NoError, "{name}");
    assert_eq!(answer.negative_soa(), (zone.into(), 2, 2), "{name}");
    answer
}

#[track_caller]
fn check_nxdomain(server: &TestServer, name: &str, zone: &str) {
    for rtype in [PTR, A, ANY] {
        let answer = server.ask(name, rtype);
        assert_eq!(answer.rcode(), NXDomain, "{name} {rtype}");
        assert_eq!(answer.negative_soa(), (zone.into(), 2, 2), "{name}");
    }
}

#[test]
fn addresses_lead_to_names() {
    let server = server(&["10.0.0.0/8", "192.0.2.0/24", "fd00::/8"]);
    server.register_web("web-1", 1);
    server.register(
        "web-2",
        json!({"name": "web", "addresses": ["10.0.0.2", "192.0.2.7", "fd00::2"], "port": 80}),
    );
    // Weight is for choosing among many; an address is the instance's either way.
    server.register(
        "db-1",
        json!({"name": "db", "host": "10.0.0.1", "port": 5432, "weight": 0}),
    );
    server.register(
        "out-1",
        json!({"name": "out", "addresses": ["172.16.0.1", "2001:db8::1"], "port": 80}),
    );
    let web_2 = ["web-2.web.svc.internal."];
    for address in ["10.0.0.2", "192.0.2.7", "fd00::2"] {
        assert_eq!(names(&server, address), web_2, "{address}");
        assert_eq!(server.ask(&reverse(address), PTR).ttl(), 5);
        assert_eq!(server.ask(&reverse(address), ANY).answers().len(), 1);
        assert!(server.ask(&reverse(address), A).answers().is_empty());
    }
    assert_eq!(
        names(&server, "10.0.0.1"),
        ["db-1.db.svc.internal.", "web-1.web.svc.internal."]
    );
    let upper = reverse("fd00::2").to_uppercase();
    assert_eq!(server.ask(&upper, PTR).answers().len(), 1);
    for address in ["172.16.0.1", "2001:db8::1"] {
        assert_eq!(server.ask(&reverse(address), PTR).rcode(), Refused);
    }
    // Each name leads back.
    for (address, rtype) in [("192.0.2.7", A), ("fd00::2", AAAA)] {
        let answers = server.ask(&names(&server, address)[0], rtype).answers();
        assert!(answers.contains(&format!("{rtype} {address}")));
    }
}

#[test]
fn names_above_addresses_are_there_and_others_are_not() {
    let server = server(&["10.0.0.0/8", "fd00::/124"]);
    server.register_web("web-1", 1);
    let zone = "10.in-addr.arpa.";
    for name in ["0", "0.0", "9.9", "255.255"] {
        check_nodata(&server, &format!("{name}.{zone}"), zone);
    }
    for name in [
        "2.0.0",
        "256",
        "01",
        "x",
        "x.0",
        "+1.0.0",
        "1.0.0.0",
        "x.1.0.0",
        "_http._tcp",
    ] {
        check_nxdomain(&server, &format!("{name}.{zone}"), zone);
    }
    let zone = reverse("fd00::");
    let zone = &zone[2..];
    for name in ["g", "10", "1", "x.1"] {
        check_nxdomain(&server, &format!("{name}.{zone}"), zone);
    }
    for name in [
        "in-addr.arpa.",
        "11.in-addr.arpa.",
        "ip6.arpa.",
        "d.f.ip6.arpa.",
    ] {
        assert_eq!(server.ask(name, PTR).rcode(), Refused, "{name}");
    }
}

#[test]
fn zones_have_an_soa_and_the_name_servers_of_the_discovery_zone() {
    let serial = |server: &TestServer, zone: &str| {
        let answer = server.ask(zone, SOA);
        match &answer.message.answers[0].data {
            RData::SOA(soa) => {
                let name = soa.mname.to_string();
                (soa.serial, name)
            }
            other => panic!("{other:?}"),
        }
    };
    let apex = "10.in-addr.arpa.";
    let server = server(&["10.0.0.0/8"]);
    let answer = server.ask(apex, NS);
    assert_eq!(answer.answers(), ["NS ns.svc.internal."]);
    assert_eq!(answer.additionals(), ["ns.svc.internal. 127.0.0.1"]);
    check_nodata(&server, apex, apex);
    for n in 1..5 {
        let before = serial(&server, apex).0;
        server.register_web("web-1", n);
        let after = serial(&server, apex);
        assert!(before < after.0);
        assert_eq!(after, serial(&server, "svc.internal."));
    }
    assert_eq!(
        server.http("GET", "/readyz", "").json()["zones"]["count"],
        2
    );

    let zones = TempDir::new("reverse");
    zones.write(
        "svc.internal.zone",
        "@ 60 SOA ns1 host 1 2 3 4 5\n@ 60 NS ns1\n@ 60 NS ns.example.\nns1 60 A 192.0.2.9\n",
    );
    let server = TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..settings(&["10.0.0.0/8"])
    });
    let answer = server.ask(apex, NS);
    assert_eq!(answer.answers(), ["NS ns.example.", "NS ns1.svc.internal."]);
    assert_eq!(serial(&server, apex).1, "ns1.svc.internal.");
}

#[test]
fn the_closest_zone_answers() {
    let zones = TempDir::new("reverse");
    let apex = "@ 300 SOA ns host 1 2 3 4 60\n@ 300 NS ns\n";
    zones.write(
        "2.10.in-addr.arpa.zone",
        &format!("{apex}1.0 300 PTR fixed.example.\n"),
    );
    let server = TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..settings(&["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"])
    });
    for (n, host) in ["10.9.0.1", "10.1.0.1", "10.1.2.1", "10.2.0.1"]
        .iter()
        .enumerate()
    {
        let body = json!({"name": "web", "host": host, "port": 80});
        server.register(&format!("web-{n}"), body);
    }
    for (address, name, zone) in [
        ("10.9.0.1", "web-0.web.svc.internal.", "10.in-addr.arpa."),
        ("10.1.0.1", "web-1.web.svc.internal.", "1.10.in-addr.arpa."),
        (
            "10.1.2.1",
            "web-2.web.svc.internal.",
            "2.1.10.in-addr.arpa.",
        ),
    ] {
        assert_eq!(names(&server, address), [name]);
        let owner = reverse(address);
        let soa = server.ask(&owner, MX).negative_soa().0;
        assert_eq!(soa, zone);
        assert_eq!(server.ask(zone, SOA).answers().len(), 1);
    }
    assert_eq!(names(&server, "10.2.0.1"), ["fixed.example."]);
    // It isn't a cut, and what the parent says of it is that it has no DS.
    let ds = server.ask("1.10.in-addr.arpa.", DS);
    assert_eq!(ds.negative_soa().0, "10.in-addr.arpa.");
}

#[test]
fn a_host_name_instance_has_the_addresses_of_its_host() {
    let server = server(&["127.0.0.0/8"]);
    server.register(
        "ext",
        json!({"name": "web", "host": "localhost", "port": 80}),
    );
    eventually("localhost is looked up", || {
        let found = server.ask(&reverse("127.0.0.1"), PTR).answers();
        (!found.is_empty()).then(|| assert_eq!(found, ["PTR ext.web.svc.internal."]))
    });
}

#[test]
fn promise_1_reverse_names_see_every_change() {
    let server = server(&["10.0.0.0/8"]);
    // More than a few at one address, and the others as many again.
    for n in 1..=80usize {
        let host = format!("10.0.{}.1", n % 2);
        let body = json!({"name": format!("s{n}"), "host": host, "port": 80});
        server.register(&format!("i{n}"), body);
        assert_eq!(names(&server, &host).len(), n.div_ceil(2));
    }
    for n in 1..=80 {
        let host = format!("10.0.{}.1", n % 2);
        let own = format!("i{n}.s{n}.svc.internal.");
        assert!(names(&server, &host).contains(&own));
        let path = format!("/v1/instances/i{n}");
        match n % 3 {
            0 => server.http("DELETE", &path, ""),
            1 => server.http("POST", &format!("{path}/drain"), ""),
            _ => server.http(
                "PUT",
                &path,
                r#"{"name": "x", "host": "10.1.0.1", "port": 80}"#,
            ),
        };
        assert!(!names(&server, &host).contains(&own));
    }
    assert_eq!(names(&server, "10.1.0.1").len(), 27);
    for n in (1..=80).filter(|n| n % 3 == 1) {
        let own = format!("i{n}.s{n}.svc.internal.");
        assert!(!names(&server, &format!("10.0.{}.1", n % 2)).contains(&own));
        server.http("POST", &format!("/v1/instances/i{n}/resume"), "");
        assert!(names(&server, &format!("10.0.{}.1", n % 2)).contains(&own));
    }
}

#[test]
fn promise_2_no_reverse_name_outlives_a_lease() {
    let server = server(&["10.0.0.0/8"]);
    for (id, lease) in [("long", "1h"), ("short", "3s")] {
        let body = json!({"name": id, "host": "10.0.0.1", "port": 1, "lease": lease});
        server.register(id, body);
    }
    let short = server.http("GET", "/v1/instances/short", "").json();
    let ends: DateTime<Utc> = short["state"]["expires_at"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    eventually("the short lease ends", || {
        let asked = Utc::now();
        let answer = server.ask(&reverse("10.0.0.1"), PTR);
        if answer.answers().len() == 1 {
            return Some(());
        }
        let until = asked + Duration::from_secs(answer.ttl().into());
        assert!(until <= ends, "until {until}, lease until {ends}");
        None
    });
    assert!(Utc::now() < ends + Duration::from_secs(1));
    assert_eq!(server.ask(&reverse("10.0.0.1"), PTR).ttl(), 5);
}

#[test]
fn promise_4_reverse_names_are_never_silently_cut() {
    let server = server(&["10.0.0.0/8"]);
    let items: Vec<_> = (0..6000)
        .map(|n| json!({"id": format!("i{n}"), "name": format!("s{}", n % 9), "host": "10.0.0.1", "port": 80}))
        .collect();
    for (items, whole) in [(&items[..200], true), (&items[200..], false)] {
        let answer = server.http("POST", "/v1/instances", &json!(items).to_string());
        assert_eq!(answer.status, 200);
        let name = reverse("10.0.0.1");
        let cut = server.exchange(&query(&name, PTR, None));
        assert!(cut.truncated() && cut.octets.len() <= 512 && cut.answers().len() > 5);
        let again = server.exchange(&query(&name, PTR, None));
        assert_eq!(again.answers(), cut.answers());
        let answer = server.ask_tcp(&name, PTR);
        assert_eq!(answer.truncated(), !whole);
        assert_eq!(answer.answers().len() == items.len(), whole);
    }
}

#[test]
fn promise_5_an_address_that_exists_is_never_nxdomain() {
    let server = server(&["10.0.0.0/8"]);
    let checked = json!({
        "name": "web", "host": "10.0.0.1", "port": 1,
        "health_check": {"kind": "tcp", "interval": "1h"},
    });
    server.register("a", checked);
    server.register("b", json!({"name": "api", "host": "10.0.0.1", "port": 2}));
    server.http("POST", "/v1/instances/b/drain", "");
    let name = reverse("10.0.0.1");
    let answer = check_nodata(&server, &name, "10.in-addr.arpa.");
    let (_, text) = answer.extended_error().unwrap();
    assert_eq!(text, "2 registered: 1 starting, 1 draining");
    for id in ["a", "b"] {
        server.http("DELETE", &format!("/v1/instances/{id}"), "");
    }
    // Their own names are there until they are drained, and so are their addresses.
    let answer = check_nodata(&server, &name, "10.in-addr.arpa.");
    let (_, text) = answer.extended_error().unwrap();
    assert_eq!(text, "0 registered: 2 deregistered");
    eventually("they are drained", || {
        (server.ask(&name, PTR).rcode() == NXDomain).then_some(())
    });
}

#[test]
fn a_reload_keeps_reverse_zones() {
    let zones = TempDir::new("reverse");
    let apex = "@ 300 SOA ns host 1 2 3 4 60\n@ 300 NS ns\n";
    let server = TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..settings(&["10.0.0.0/8"])
    });
    server.register_web("web-1", 1);
    let own = ["web-1.web.svc.internal."];
    assert_eq!(names(&server, "10.0.0.1"), own);
    zones.write("corp.example.zone", apex);
    let answer = server.http("POST", "/v1/reload", "");
    assert_eq!((answer.status, &answer.json()["count"]), (200, &json!(3)));
    assert_eq!(names(&server, "10.0.0.1"), own);
    zones.write("10.in-addr.arpa.zone", apex);
    let answer = server.http("POST", "/v1/reload", "");
    assert_eq!(answer.status, 422, "{answer:?}");
    for part in ["10.in-addr.arpa.zone", "10.0.0.0/8", "reverse_zones"] {
        assert!(answer.body.contains(part), "{part}: {answer:?}");
    }
    assert_eq!(names(&server, "10.0.0.1"), own);
}

#[test]
fn networks_that_cannot_be_are_named() {
    let error = |settings: Settings| {
        let config = Config::new(settings).map_err(|error| error.to_string());
        config.and_then(|mut config| {
            // Not those of the checkout.
            config.zones = config.zones.filter(|zones| zones.is_absolute());
            namebeat::server::check(&config).map_err(|error| error.to_string())
        })
    };
    for network in ["10.0.0.0/12", "0.0.0.0/0", "10.0.0.1", "fc00::/7", "::1"] {
        let error = error(settings(&[network])).unwrap_err();
        let begins = format!("reverse_zones: {network} has no reverse name; allowed is");
        assert!(error.starts_with(&begins), "{error}");
        assert!(error.contains("a network whose prefix ends at a label of its reverse name"));
    }
    let many: Vec<String> = (0..65).map(|n| format!("10.{n}.0.0/16")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        error(settings(&many)).unwrap_err(),
        "reverse_zones: 65 networks are too many; allowed is 64"
    );
    assert_eq!(error(settings(&many[1..])), Ok(()));
    let discovery = Settings {
        zone: Some("10.in-addr.arpa".to_owned()),
        ..settings(&["10.0.0.0/8"])
    };
    let text = error(discovery).unwrap_err();
    assert!(text.contains("10.in-addr.arpa. is the discovery zone, and that of 10.0.0.0/8"));
    let zones = TempDir::new("reverse");
    zones.write(
        "10.in-addr.arpa.zone",
        "@ 300 SOA ns host 1 2 3 4 60\n@ 300 NS ns\n",
    );
    let fixed = Settings {
        zones: Some(zones.path().to_owned()),
        ..settings(&["10.0.0.0/8"])
    };
    let text = error(fixed).unwrap_err();
    assert!(text.contains("10.in-addr.arpa.zone: the zone 10.in-addr.arpa. is that of 10.0.0.0/8"));
}

#[test]
fn without_the_setting_there_are_none() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    assert_eq!(server.ask(&reverse("10.0.0.1"), PTR).rcode(), Refused);
    assert_eq!(server.ask("10.in-addr.arpa.", TXT).rcode(), Refused);
}
