//! RFC 2181: what an RRset is, and what names may be.

use std::time::Duration;

use hickory_proto::rr::RecordType::{A, MX, SRV, TXT};
use namebeat::dns::zones::Zones;
use namebeat::name::DomainName;
use serde_json::json;

use crate::check::check;
use crate::harness::{TempDir, TestServer, eventually, query};

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

/// Instances at one address are one A record.
#[test]
fn section_5_5_no_address_twice() {
    let server = TestServer::start();
    for id in ["a", "b"] {
        server.register_web(id, 1);
    }
    check(
        &server,
        "
        web.svc.internal. A
        NOERROR aa
        an web.svc.internal. 5 A 10.0.0.1
        ",
    );
}

/// Instances with leases of two seconds and of an hour have one TTL in an RRset, and
/// the shorter lease bounds it.
#[test]
fn section_5_2_one_ttl() {
    let server = TestServer::start();
    for rtype in [A, SRV, TXT] {
        let answer = eventually("both are listed", || {
            for (id, n, lease) in [("short", 1, "2s"), ("long", 2, "1h")] {
                let host = format!("10.0.0.{n}");
                let body = json!({"name": "web", "host": host, "port": 80, "lease": lease});
                server.register(id, body);
            }
            let answer = server.ask("web.svc.internal.", rtype);
            (answer.message.answers.len() == 2).then_some(answer)
        });
        // `ttl` wants that of all records to be the same.
        assert!(answer.ttl() < 2, "{answer:?}");
    }
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
    for n in 10..40 {
        zone += &format!("@ 60 MX {n} mail{n}\nmail{n} 60 AAAA 2001:db8::{n:x}\n");
    }
    let server = TestServer::with_zones(&[("example.zone", &zone)]);
    // Header, question and OPT have 12 + 13 + 11 octets, each MX 12 + 2 + 16, each
    // address 9 + 10 + 16.
    let (exchangers, addresses) = (36 + 30 * 30, 30 * 35);
    let ask = |payload: usize| {
        let payload = u16::try_from(payload).unwrap();
        server.exchange(&query("example.", MX, Some(payload)))
    };
    let whole = ask(exchangers + addresses);
    assert_eq!(whole.octets.len(), exchangers + addresses);
    let essential = ask(exchangers + addresses - 1);
    assert_eq!(essential.additionals().len(), 29);
    for payload in [exchangers, exchangers + 34] {
        let without = ask(payload);
        assert!(!without.truncated(), "the mail exchangers fit");
        assert_eq!(without.message.answers.len(), 30);
        assert_eq!(without.additionals(), [""; 0]);
    }
    let cut = ask(exchangers - 1);
    assert!(cut.truncated());
    assert_eq!(cut.message.answers.len(), 29);
    assert_eq!(cut.additionals(), [""; 0]);
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
        let origin = DomainName::parse("svc.internal.", None).unwrap();
        let loaded = Zones::load(Some(zones.path()), &origin, &[], Duration::ZERO);
        let error = loaded.expect_err(records).to_string();
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
