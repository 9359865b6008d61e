//! RFC 9471: the addresses that a referral can't do without.

use hickory_proto::rr::RecordType::{self, A};

use crate::check::check;
use crate::harness::{Answer, TestServer, query};

/// A cut with servers below it, beside it, in the zone above, and elsewhere; and one
/// with so many that they don't fit.
fn server() -> TestServer {
    let mut zone = "
$ORIGIN test.
$TTL 60
@        SOA ns.elsewhere. host.elsewhere. 1 2 3 4 5
         NS  ns.elsewhere.
foo      NS  ns1.foo
         NS  ns2.foo
ns1.foo  A   192.0.2.1
ns2.foo  AAAA 2001:db8::2
bar      NS  ns1.bar
         NS  ns1.foo
         NS  ns.elsewhere.
ns1.bar  A   192.0.2.3
none     NS  ns1.none
         NS  ns.test.
ns       A   192.0.2.4
"
    .to_owned();
    for n in 10..40 {
        zone += &format!("many NS ns{n}.many\nns{n}.many A 192.0.2.{n}\n");
        zone += &format!("ns{n}.many AAAA 2001:db8::{n}\n");
    }
    TestServer::with_zones(&[("test.zone", &zone)])
}

#[test]
fn section_2_1_in_domain_glue() {
    check(
        &server(),
        "
        www.foo.test. A
        NOERROR
        au foo.test. 60 NS ns1.foo.test.
        au foo.test. 60 NS ns2.foo.test.
        ad ns1.foo.test. 60 A 192.0.2.1
        ad ns2.foo.test. 60 AAAA 2001:db8::2
        ",
    );
}

#[test]
fn section_2_2_sibling_domain_glue() {
    check(
        &server(),
        "
        www.bar.test. A
        NOERROR
        au bar.test. 60 NS ns1.bar.test.
        au bar.test. 60 NS ns1.foo.test.
        au bar.test. 60 NS ns.elsewhere.
        ad ns1.bar.test. 60 A 192.0.2.3
        ad ns1.foo.test. 60 A 192.0.2.1
        ",
    );
}

/// What the zone doesn't have can't be given.
#[test]
fn section_2_3_missing_glue() {
    check(
        &server(),
        "
        www.none.test. A
        NOERROR
        au none.test. 60 NS ns1.none.test.
        au none.test. 60 NS ns.test.
        ad ns.test. 60 A 192.0.2.4
        ",
    );
}

/// All of it, or TC; also when the NS records alone have room.
#[test]
fn section_3_1_glue_that_does_not_fit() {
    let server = server();
    let ask = |payload| server.exchange(&query("www.many.test.", A, payload));
    let glue = |answer: &Answer| {
        let is_address = |rtype| rtype == A || rtype == RecordType::AAAA;
        let additional = answer.message.additionals.iter();
        additional
            .filter(|record| is_address(record.record_type()))
            .count()
    };
    let whole = ask(Some(8192));
    assert!(!whole.truncated());
    assert_eq!(glue(&whole), 60);
    let len = u16::try_from(whole.octets.len()).unwrap();
    assert!(!ask(Some(len)).truncated());
    for payload in [None, Some(512), Some(1232), Some(len - 1)] {
        let cut = ask(payload);
        assert!(cut.truncated(), "{payload:?}");
        assert!(glue(&cut) < 60);
        assert!(!cut.message.authorities.is_empty());
    }
    let tcp = Answer::new(server.exchange_tcp(&query("www.many.test.", A, None)));
    assert!(!tcp.truncated());
    assert_eq!(glue(&tcp), 60);
}
