//! RFC 8020: NXDOMAIN means that there's nothing below, so it's said of no name that
//! has something below.

use hickory_proto::op::ResponseCode::{NXDomain, NoError};
use hickory_proto::rr::RecordType::{self, A, ANY, NS, SRV, TXT};
use serde_json::json;

use crate::check::check;
use crate::harness::TestServer;

const ZONE: &str = "
$ORIGIN example.
$TTL 60
@            SOA ns.test. host.test. 1 2 3 4 60
             NS  ns.test.
a.b.c.d      A   192.0.2.1
_s._tcp.web  SRV 1 2 3 a.b.c.d
glued.e.f    NS  ns.glued.e.f
ns.glued.e.f A   192.0.2.2
";

/// Resolvers that minimise names ask for each of these on their way.
#[test]
fn section_2_empty_non_terminals() {
    let server = TestServer::with_zones(&[("example.zone", ZONE)]);
    for name in ["b.c.d", "c.d", "d", "web", "_tcp.web", "e.f", "f"] {
        for rtype in ["A", "NS", "TXT", "ANY", "TYPE1000"] {
            let soa = "au example. 60 SOA ns.test. host.test. 1 2 3 4 60";
            check(
                &server,
                &format!("{name}.example. {rtype}\nNOERROR aa\n{soa}"),
            );
        }
    }
}

#[test]
fn section_2_nothing_below_a_name_that_is_not_there() {
    let server = TestServer::with_zones(&[("example.zone", ZONE)]);
    for name in [
        "x",
        "y.x",
        "z.y.x",
        "x.a.b.c.d",
        "y.x.a.b.c.d",
        "x._tcp.web",
    ] {
        let soa = "au example. 60 SOA ns.test. host.test. 1 2 3 4 60";
        check(&server, &format!("{name}.example. A\nNXDOMAIN aa\n{soa}"));
    }
}

/// Every name above one that is answered from the registry.
const BETWEEN: [&str; 9] = [
    "_tcp.web",
    "tag.web",
    "env.tag.web",
    "version.web",
    "4.version.web",
    "locality.web",
    "_tcp",
    "_udp",
    "_dns-sd._udp",
];

#[track_caller]
fn want_no_data(server: &TestServer, names: &[&str]) {
    for name in names {
        for rtype in [A, NS, TXT, SRV, ANY, RecordType::Unknown(1000)] {
            let answer = server.ask(&format!("{name}.svc.internal."), rtype);
            assert_eq!(answer.rcode(), NoError, "{name} {rtype}");
            assert_eq!(answer.negative_soa(), ("svc.internal.".into(), 2, 2));
        }
    }
}

#[test]
fn section_2_names_above_what_is_registered() {
    let server = TestServer::start();
    let body = |n: u8| {
        json!({
            "name": "web", "host": format!("10.0.0.{n}"), "port": 80, "version": "1.4",
            "tags": {"env": "prod"}, "locality": "eu",
        })
    };
    server.register("web-1", body(1));
    server.register("web-2", body(2));
    want_no_data(&server, &BETWEEN);
    // One that leaves takes nothing away that the other has.
    server.http("DELETE", "/v1/instances/web-1", "");
    want_no_data(&server, &BETWEEN);
    // Nor does one that's only not listed.
    server.http("POST", "/v1/instances/web-2/drain", "");
    want_no_data(&server, &BETWEEN);
    want_no_data(
        &server,
        &["prod.env.tag.web", "1.4.version.web", "eu.locality.web"],
    );
}

#[test]
fn section_2_nothing_below_what_is_not_registered() {
    let server = TestServer::start();
    server.register(
        "web-1",
        json!({"name": "web", "host": "10.0.0.1", "port": 80}),
    );
    for name in [
        "api",
        "x.api",
        "_tcp.api",
        "tag.web",
        "env.tag.web",
        "prod.env.tag.web",
        "version.web",
        "1.version.web",
        "locality.web",
        "eu.locality.web",
        "_udp.web",
        "_http._udp.web",
        "x.web",
        "y.x.web",
        "x.web-1.web",
    ] {
        let answer = server.ask(&format!("{name}.svc.internal."), A);
        assert_eq!(answer.rcode(), NXDomain, "{name}");
    }
}
