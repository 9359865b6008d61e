//! RFC 2308: negative answers, and for how long they hold.

use hickory_proto::rr::RecordType::{A, SRV, TXT};

use crate::check::check;
use crate::harness::{TestServer, query};
use crate::raw::{both, web};

/// The SOA's own TTL is below its MINIMUM.
const LOW: &str = "
$ORIGIN low.example.
$TTL 300
@        30 SOA ns host 1 3600 600 86400 60
         NS  ns
ns       A   192.0.2.1
alias    CNAME ns
dangle   CNAME nothing
away     CNAME nothing.high.example.
text     CNAME ns.high.example.
cut      NS  ns.cut
ns.cut   A   192.0.2.2
";

/// Above it.
const HIGH: &str = "
$ORIGIN high.example.
@        3600 SOA ns host 2 3600 600 86400 60
@        300 NS ns
ns       300 A 192.0.2.3
";

/// No negative answer is to be cached.
const ZERO: &str = "
$ORIGIN zero.example.
@        300 SOA ns host 3 3600 600 86400 0
@        300 NS ns
ns       300 A 192.0.2.4
";

fn zones() -> TestServer {
    TestServer::with_zones(&[
        ("low.example.zone", LOW),
        ("high.example.zone", HIGH),
        ("zero.example.zone", ZERO),
    ])
}

/// NXDOMAIN is said of the last name of a chain, with the SOA of its zone.
#[test]
fn section_2_1_name_error() {
    check(
        &zones(),
        "
        nothing.low.example. A
        NXDOMAIN aa
        au low.example. 30 SOA ns.low.example. host.low.example. 1 3600 600 86400 60

        dangle.low.example. A
        NXDOMAIN aa
        an dangle.low.example. 300 CNAME nothing.low.example.
        au low.example. 30 SOA ns.low.example. host.low.example. 1 3600 600 86400 60

        away.low.example. A
        NXDOMAIN aa
        an away.low.example. 300 CNAME nothing.high.example.
        au high.example. 60 SOA ns.high.example. host.high.example. 2 3600 600 86400 60
        ",
    );
}

#[test]
fn section_2_2_no_data() {
    check(
        &zones(),
        "
        ns.low.example. TXT
        NOERROR aa
        au low.example. 30 SOA ns.low.example. host.low.example. 1 3600 600 86400 60

        alias.low.example. TXT
        NOERROR aa
        an alias.low.example. 300 CNAME ns.low.example.
        au low.example. 30 SOA ns.low.example. host.low.example. 1 3600 600 86400 60

        text.low.example. TXT
        NOERROR aa
        an text.low.example. 300 CNAME ns.high.example.
        au high.example. 60 SOA ns.high.example. host.high.example. 2 3600 600 86400 60
        ",
    );
}

/// What tells them apart is the SOA: NODATA has one, a referral has NS.
#[test]
fn section_2_2_1_a_referral_is_no_negative_answer() {
    check(
        &zones(),
        "
        www.cut.low.example. TXT
        NOERROR
        au cut.low.example. 300 NS ns.cut.low.example.
        ad ns.cut.low.example. 300 A 192.0.2.2
        ",
    );
}

/// The lower one of MINIMUM and the SOA's own TTL, which an SOA that's asked for keeps.
#[test]
fn section_3_the_ttl_of_negative_answers() {
    check(
        &zones(),
        "
        low.example. SOA
        NOERROR aa
        an low.example. 30 SOA ns.low.example. host.low.example. 1 3600 600 86400 60

        low.example. TXT
        NOERROR aa
        au low.example. 30 SOA ns.low.example. host.low.example. 1 3600 600 86400 60

        high.example. SOA
        NOERROR aa
        an high.example. 3600 SOA ns.high.example. host.high.example. 2 3600 600 86400 60

        high.example. TXT
        NOERROR aa
        au high.example. 60 SOA ns.high.example. host.high.example. 2 3600 600 86400 60

        zero.example. TXT
        NOERROR aa
        au zero.example. 0 SOA ns.zero.example. host.zero.example. 3 3600 600 86400 0
        ",
    );
}

/// The SOA of the discovery zone is made, with `negative_ttl` as its TTL and MINIMUM.
#[test]
fn section_5_the_discovery_zone() {
    let server = web();
    server.http("POST", "/v1/instances/web-1/drain", "");
    for (name, rtype) in [
        ("nothing.svc.internal.", A),
        ("nothing.web.svc.internal.", A),
        ("web.svc.internal.", A),
        ("_http._tcp.web.svc.internal.", SRV),
        ("_tcp.web.svc.internal.", TXT),
        ("svc.internal.", TXT),
    ] {
        for payload in [None, Some(1232)] {
            for answer in both(&server, &query(name, rtype, payload)) {
                let soa = answer.negative_soa();
                assert_eq!(soa, ("svc.internal.".into(), 2, 2), "{name}");
                assert_eq!(answer.additionals(), [""; 0], "{name}");
            }
        }
    }
}
