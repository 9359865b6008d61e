//! RFC 2181: what an RRset is, and what names may be.

use hickory_proto::rr::RecordType::{A, TXT};
use namebeat::config::Settings;

use crate::check::check;
use crate::harness::{TempDir, TestServer, query};

const ZONE: &str = r#"
$ORIGIN example.
$TTL 300
@       SOA ns host 1 2 3 4 60
        NS  ns
ns      A   192.0.2.1
twice   A   192.0.2.2
        A   192.0.2.2
\000\032a\.b A 192.0.2.4
big     2147483647 A 192.0.2.5
child   NS  ns.child
ns.child A  192.0.2.6
"#;

#[test]
fn section_5_no_record_twice() {
    check(
        &TestServer::with_zones(&[("example.zone", ZONE)]),
        "
        twice.example. A
        NOERROR aa
        an twice.example. 300 A 192.0.2.2
        ",
    );
}

/// Two instances at one address are one A record, with the TTL of both.
#[test]
fn section_5_2_one_ttl() {
    let server = TestServer::start();
    for (id, ttl) in [("a", "3s"), ("b", "4s"), ("c", "5s")] {
        let body = serde_json::json!({
            "name": "web", "host": "10.0.0.1", "port": 80, "ttl": ttl,
            "addresses": [format!("10.0.1.{}", ttl.as_bytes()[0] - b'0')],
        });
        server.register(id, body);
    }
    let answer = server.ask("web.svc.internal.", A);
    // `ttl` wants all answers to have the same.
    assert!(answer.ttl() <= 3, "{answer:?}");
}

/// At a cut the zone below has the say of everything, so AA isn't set.
#[test]
fn section_6_1_zone_authority() {
    check(
        &TestServer::with_zones(&[("example.zone", ZONE)]),
        "
        child.example. NS
        NOERROR
        au child.example. 300 NS ns.child.example.
        ad ns.child.example. 300 A 192.0.2.6
        ",
    );
}

#[test]
fn section_8_ttl_has_31_bits() {
    check(
        &TestServer::with_zones(&[("example.zone", ZONE)]),
        "
        big.example. A
        NOERROR aa
        an big.example. 2147483647 A 192.0.2.5
        ",
    );
}

/// TC says that something asked for is missing, not something that would be nice.
#[test]
fn section_9_tc_only_for_what_was_asked() {
    let mut zone = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n".to_owned();
    for n in 0..30 {
        zone += &format!("@ 60 MX {n} mail{n}\nmail{n} 60 AAAA 2001:db8::{n:x}\n");
        zone += &format!("long 60 TXT {n}{}\n", "x".repeat(30));
    }
    let server = TestServer::with_zones(&[("example.zone", &zone)]);
    let mx = server.exchange(&query(
        "example.",
        hickory_proto::rr::RecordType::MX,
        Some(700),
    ));
    assert!(!mx.truncated(), "the mail servers fit");
    assert_eq!(mx.message.answers.len(), 30);
    assert!(mx.additionals().len() < 30, "their addresses don't");
    let txt = server.exchange(&query("long.example.", TXT, Some(700)));
    assert!(txt.truncated());
}

/// Nothing may be beside an alias, and there is only one.
#[test]
fn section_10_1_cname_is_alone() {
    for (records, found) in [
        ("www 60 CNAME ns\nwww 60 A 192.0.2.9\n", "CNAME"),
        ("www 60 CNAME ns\nwww 60 CNAME other\n", "CNAME"),
    ] {
        let zones = TempDir::new("cname");
        zones.write("example.zone", &format!("{ZONE}{records}"));
        let settings = Settings {
            zones: Some(zones.path().to_owned()),
            ..Settings::default()
        };
        let origin = namebeat::name::DomainName::parse("svc.internal.", None).unwrap();
        let error = namebeat::dns::zones::Zones::load(
            settings.zones.as_deref(),
            &origin,
            &[],
            std::time::Duration::ZERO,
        );
        let error = error.expect_err(records).to_string();
        assert!(
            error.contains(found) && error.contains("example.zone:"),
            "{error}"
        );
    }
}

/// Labels hold any octets: NUL, space and a dot that doesn't end one.
#[test]
fn section_11_names_of_any_octets() {
    let server = TestServer::with_zones(&[("example.zone", ZONE)]);
    let mut message = query("?????.example.", A, None);
    message[13..18].copy_from_slice(b"\0 a.b");
    assert_eq!(server.exchange(&message).answers(), ["A 192.0.2.4"]);
    message[15] = b'A';
    assert_eq!(server.exchange(&message).answers(), ["A 192.0.2.4"]);
    message[16] = b'-';
    assert!(server.exchange(&message).answers().is_empty());
}
