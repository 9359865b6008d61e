//! RFC 3597: types that nobody knows yet.

use hickory_proto::rr::RecordType;

use crate::check::check;
use crate::harness::TestServer;

const ZONE: &str = r"
$ORIGIN example.
$TTL 60
@   SOA ns host 1 2 3 4 5
    NS  ns
ns  A   192.0.2.1
a   CLASS1 TYPE731 \# 6 abcd (
                        ef 01 23 45 )
b   IN TYPE62347 \# 0
e   IN A \# 4 0A000001
e   CLASS1 TYPE1 10.0.0.2
e   type15 10 ns
n   TYPE65280 \# 12 024E53 076578616D706C6500
case TYPE65281 \# 1 41
     TYPE65281 \# 1 61
     TYPE65281 \# 1 41
last TYPE65534 \# 2 ffff
";

fn server() -> TestServer {
    let server = TestServer::with_zones(&[("example.zone", ZONE)]);
    server.register_web("web-1", 1);
    server
}

/// A type that is unknown is looked up as any other; nothing comes along.
#[test]
fn section_3_transparency() {
    check(
        &server(),
        r"
        a.example. TYPE731
        NOERROR aa
        an a.example. 60 TYPE731 \# 6 abcdef012345

        b.example. TYPE62347
        NOERROR aa
        an b.example. 60 TYPE62347 \# 0

        last.example. TYPE65534
        NOERROR aa
        an last.example. 60 TYPE65534 \# 2 ffff

        a.example. TYPE732
        NOERROR aa
        au example. 5 SOA ns.example. host.example. 1 2 3 4 5

        nothing.example. TYPE731
        NXDOMAIN aa
        au example. 5 SOA ns.example. host.example. 1 2 3 4 5
        ",
    );
}

#[test]
fn section_3_unknown_types_of_what_is_registered() {
    let server = server();
    for rtype in [731, 1000, 65280, 65534] {
        let answer = server.ask("web.svc.internal.", RecordType::Unknown(rtype));
        assert_eq!(answer.negative_soa(), ("svc.internal.".into(), 2, 2));
    }
}

/// Octets that look like a name aren't compressed, nor is their letter case changed.
#[test]
fn section_4_no_compression() {
    let server = server();
    check(
        &server,
        r"
        n.example. TYPE65280
        NOERROR aa
        an n.example. 60 TYPE65280 \# 12 024e53076578616d706c6500
        ",
    );
    let answer = server.ask("n.example.", RecordType::Unknown(65280));
    let rdata = b"\0\x0c\x02NS\x07example\0";
    assert!(answer.octets.windows(14).any(|octets| octets == rdata));
}

/// Known types as octets and unknown words for known types are what they are.
#[test]
fn section_5_text_representation() {
    check(
        &server(),
        r"
        e.example. A
        NOERROR aa
        an e.example. 60 A 10.0.0.1
        an e.example. 60 A 10.0.0.2

        e.example. TYPE1
        NOERROR aa
        an e.example. 60 TYPE1 \# 4 0A000001
        an e.example. 60 A 10.0.0.2

        e.example. MX
        NOERROR aa
        an e.example. 60 MX 10 ns.example.
        ad ns.example. 60 A 192.0.2.1
        ",
    );
}

/// Rdata of unknown types is the same only if all of its octets are.
#[test]
fn section_6_equality() {
    check(
        &server(),
        r"
        case.example. TYPE65281
        NOERROR aa
        an case.example. 60 TYPE65281 \# 1 41
        an case.example. 60 TYPE65281 \# 1 61
        ",
    );
}
