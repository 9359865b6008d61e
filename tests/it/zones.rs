//! Static zones beside the discovery zone, and static names in it.

use hickory_proto::op::ResponseCode::{self, NXDomain, NoError, YXDomain};
use hickory_proto::rr::RecordType::{self, A, ANY, CNAME, DNAME, DS, MX, NS, SOA, SRV, TXT};
use namebeat::config::Settings;
use serde_json::json;

use crate::harness::{TempDir, TestServer};

const STATIC: &str = r#"
$TTL 300
@       SOA ns hostmaster 7 3600 600 86400 60
        NS  ns
ns      A   192.0.2.53
www     A   192.0.2.1
alias   CNAME www
chain   CNAME alias
away    CNAME www.elsewhere.example.
svc     CNAME web.svc.internal.
dangle  CNAME nothing
loop1   CNAME loop2
loop2   CNAME loop1
*.wild  TXT "synthesised"
a.b.ent A   192.0.2.2
old     DNAME new
grow    DNAME a-longer-label-than-grow
x.new   A   192.0.2.3
child   NS  ns.child
        DS  1 8 2 00
ns.child A  192.0.2.4
@       MX  10 www
_s._tcp SRV 1 2 3 www
"#;

const BESIDE_SERVICES: &str = r#"
@       3600 NS ns1
@       3600 NS ns2.other.example.
ns1     60 A 192.0.2.9
fixed   60 A 192.0.2.10
*       60 TXT "nobody registered this"
"#;

fn server() -> (TestServer, TempDir) {
    let dir = TempDir::new("zones");
    dir.write("corp.example.zone", STATIC);
    dir.write("svc.internal.zone", BESIDE_SERVICES);
    let settings = Settings {
        zones: Some(dir.path().to_owned()),
        ..Settings::default()
    };
    let server = TestServer::with(settings);
    server.register_web("web-1", 1);
    (server, dir)
}

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
fn rfc1034_4_3_2_lookups() {
    let (server, _dir) = server();
    let www = "A 192.0.2.1";
    check(&server, "www.corp.example.", A, NoError, &[www], &[]);
    check(&server, "www.corp.example.", TXT, NoError, &[], &[SOA]);
    check(&server, "nothing.corp.example.", A, NXDomain, &[], &[SOA]);
    check(&server, "b.ent.corp.example.", A, NoError, &[], &[SOA]);
    check(
        &server,
        "chain.corp.example.",
        A,
        NoError,
        &[www, "CNAME alias.corp.example.", "CNAME www.corp.example."],
        &[],
    );
    check(
        &server,
        "chain.corp.example.",
        CNAME,
        NoError,
        &["CNAME alias.corp.example."],
        &[],
    );
    check(
        &server,
        "away.corp.example.",
        A,
        NoError,
        &["CNAME www.elsewhere.example."],
        &[],
    );
    check(
        &server,
        "dangle.corp.example.",
        A,
        NXDomain,
        &["CNAME nothing.corp.example."],
        &[SOA],
    );
    check(
        &server,
        "alias.corp.example.",
        TXT,
        NoError,
        &["CNAME www.corp.example."],
        &[SOA],
    );
    check(
        &server,
        "loop1.corp.example.",
        A,
        NoError,
        &["CNAME loop1.corp.example.", "CNAME loop2.corp.example."],
        &[],
    );
    check(
        &server,
        "corp.example.",
        MX,
        NoError,
        &["MX 10 www.corp.example."],
        &[],
    );
    check(
        &server,
        "corp.example.",
        ANY,
        NoError,
        &["HINFO RFC8482 "],
        &[],
    );
}

#[test]
fn an_alias_leads_into_the_discovery_zone() {
    let (server, _dir) = server();
    let both = ["A 10.0.0.1", "CNAME web.svc.internal."];
    check(&server, "svc.corp.example.", A, NoError, &both, &[]);
    server.http("POST", "/v1/instances/web-1/drain", "");
    check(
        &server,
        "svc.corp.example.",
        A,
        NoError,
        &["CNAME web.svc.internal."],
        &[SOA],
    );
}

#[test]
fn rfc4592_wildcards() {
    let (server, _dir) = server();
    let text = ["TXT synthesised"];
    check(
        &server,
        "any.thing.wild.corp.example.",
        TXT,
        NoError,
        &text,
        &[],
    );
    let answer = server.ask("any.wild.corp.example.", TXT);
    assert_eq!(
        answer.message.answers[0].name.to_string(),
        "any.wild.corp.example."
    );
    check(&server, "any.wild.corp.example.", A, NoError, &[], &[SOA]);
}

#[test]
fn rfc6672_dname() {
    let (server, _dir) = server();
    let answer = server.ask("x.old.corp.example.", A);
    let types: Vec<_> = answer
        .message
        .answers
        .iter()
        .map(|r| r.record_type())
        .collect();
    assert_eq!(types, [DNAME, CNAME, A]);
    let target = b"\x03new\x04corp\x07example\0";
    assert!(
        answer
            .octets
            .windows(target.len())
            .any(|octets| octets == target)
    );
    assert_eq!(
        answer.answers()[..2],
        ["A 192.0.2.3", "CNAME x.new.corp.example."]
    );
    // A CNAME is what was asked for, so it isn't followed.
    assert_eq!(
        server
            .ask("x.old.corp.example.", CNAME)
            .message
            .answers
            .len(),
        2
    );
    check(&server, "old.corp.example.", A, NoError, &[], &[SOA]);
    // 255 octets become more.
    let label = "l".repeat(63);
    let long = format!(
        "{label}.{label}.{label}.{}.grow.corp.example.",
        "l".repeat(43)
    );
    let answer = server.ask(&long, A);
    assert_eq!(answer.rcode(), YXDomain);
    assert_eq!(answer.message.answers[0].record_type(), DNAME);
}

#[test]
fn rfc1034_4_3_2_referrals() {
    let (server, _dir) = server();
    for name in [
        "child.corp.example.",
        "deep.child.corp.example.",
        "ns.child.corp.example.",
    ] {
        let answer = server.ask(name, A);
        assert!(!answer.message.metadata.authoritative, "{name}");
        check(&server, name, A, NoError, &[], &[NS]);
        assert_eq!(answer.additionals(), ["ns.child.corp.example. 192.0.2.4"]);
    }
    let ds = server.ask("child.corp.example.", DS);
    assert!(ds.message.metadata.authoritative && ds.message.answers.len() == 1);
}

#[test]
fn rfc2308_3_the_lower_ttl_of_a_negative_answer() {
    let (server, _dir) = server();
    let owner_ttl_minimum = server.ask("nothing.corp.example.", A).negative_soa();
    assert_eq!(owner_ttl_minimum, ("corp.example.".into(), 60, 60));
}

#[test]
fn targets_bring_their_addresses() {
    let (server, _dir) = server();
    let srv = server.ask("_s._tcp.corp.example.", SRV);
    assert_eq!(srv.additionals(), ["www.corp.example. 192.0.2.1"]);
}

#[test]
fn static_names_in_the_discovery_zone() {
    let (server, _dir) = server();
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
