//! Static names in the discovery zone, beside those that are registered.

use hickory_proto::op::ResponseCode::{self, NXDomain, NoError};
use hickory_proto::rr::RecordType::{self, A, NS, SOA, TXT};
use namebeat::config::Settings;
use serde_json::json;

use crate::harness::TestServer;

const BESIDE_SERVICES: &str = r#"
@       3600 NS ns1
@       3600 NS ns2.other.example.
ns1     60 A 192.0.2.9
fixed   60 A 192.0.2.10
*       60 TXT "nobody registered this"
"#;

#[track_caller]
fn check(
    server: &TestServer,
    name: &str,
    rtype: RecordType,
    rcode: ResponseCode,
    answer: &[&str],
    authority: &[RecordType],
) {
    let got = server.ask(name, rtype);
    assert_eq!(got.rcode(), rcode, "{name} {rtype}");
    assert_eq!(got.answers(), answer, "{name} {rtype}");
    let types: Vec<_> = got
        .message
        .authorities
        .iter()
        .map(|r| r.record_type())
        .collect();
    assert_eq!(types, authority, "{name} {rtype}");
}

#[test]
fn static_names_in_the_discovery_zone() {
    let server = TestServer::with_zones(&[("svc.internal.zone", BESIDE_SERVICES)]);
    server.register_web("web-1", 1);
    let ns = ["NS ns1.svc.internal.", "NS ns2.other.example."];
    check(&server, "svc.internal.", NS, NoError, &ns, &[]);
    check(
        &server,
        "fixed.svc.internal.",
        A,
        NoError,
        &["A 192.0.2.10"],
        &[],
    );
    check(
        &server,
        "web.svc.internal.",
        A,
        NoError,
        &["A 10.0.0.1"],
        &[],
    );
    // Nothing is made up where the file has NS of its own.
    check(&server, "ns.svc.internal.", A, NoError, &[], &[SOA]);
    // A wildcard stands in for names at which nobody is registered, not below a service.
    let text = ["TXT nobody registered this"];
    check(&server, "nope.svc.internal.", TXT, NoError, &text, &[]);
    check(
        &server,
        "nope.web.svc.internal.",
        TXT,
        NXDomain,
        &[],
        &[SOA],
    );
    let taken = json!({"name": "fixed", "host": "10.0.0.1", "port": 80}).to_string();
    let answer = server.http("PUT", "/v1/instances/f", &taken);
    assert_eq!(answer.status, 409, "{answer:?}");
}

/// The zone that ships is one, and its names answer.
#[test]
fn the_example_zone() {
    let zones = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("zones");
    let settings = Settings {
        zones: Some(zones),
        ..Settings::default()
    };
    let server = TestServer::with(settings);
    let ns = server.ask("example.internal.", NS);
    assert!(!ns.answers().is_empty());
    assert!(!ns.additionals().is_empty());
}
