//! RFC 6763: browsing by DNS-SD, section by section. `browse` has what is namebeat's
//! own in it.

use hickory_proto::rr::RecordType::{PTR, SRV, TXT};
use serde_json::json;

use crate::check::check;
use crate::harness::TestServer;

fn server() -> TestServer {
    let server = TestServer::start();
    server.register(
        "web-1",
        json!({
            "name": "web", "host": "10.0.0.1", "port": 80, "version": "1.4.2",
            "tags": {"env": "prod"}, "metadata": {"Team": "a=b; c", "empty": ""},
            "ports": {"metrics": 9100},
        }),
    );
    server.register(
        "web-2",
        json!({"name": "web", "host": "fd00::2", "port": 80}),
    );
    server
}

/// PTR leads to the instances that are listed, each once.
#[test]
fn section_4_1_browsing() {
    let server = server();
    check(
        &server,
        "
        _http._tcp.svc.internal. PTR
        NOERROR aa
        an _http._tcp.svc.internal. 5 PTR web-1._http._tcp.svc.internal.
        an _http._tcp.svc.internal. 5 PTR web-2._http._tcp.svc.internal.

        _metrics._tcp.svc.internal. PTR
        NOERROR aa
        an _metrics._tcp.svc.internal. 5 PTR web-1._metrics._tcp.svc.internal.
        ",
    );
    server.http("POST", "/v1/instances/web-1/drain", "");
    check(
        &server,
        "
        _http._tcp.svc.internal. PTR
        NOERROR aa
        an _http._tcp.svc.internal. 5 PTR web-2._http._tcp.svc.internal.
        ",
    );
    for name in ["_ipp._tcp.svc.internal.", "_http._udp.svc.internal."] {
        let nxdomain = hickory_proto::op::ResponseCode::NXDomain;
        assert_eq!(server.ask(name, PTR).rcode(), nxdomain, "{name}");
    }
}

/// An instance's name is for people: it may have spaces, dots and any letters.
#[test]
fn section_4_1_1_instance_names() {
    let zone = r#"
$TTL 60
@ SOA ns host 1 2 3 4 5
  NS ns
ns A 192.0.2.1
_ipp._tcp PTR Dr\.\032M\252ller's\032Printer._ipp._tcp
Dr\.\032M\252ller's\032Printer._ipp._tcp SRV 0 0 631 ns
                                         TXT "note=2\195\182"
"#;
    check(
        &TestServer::with_zones(&[("example.zone", zone)]),
        r#"
        _ipp._tcp.example. PTR
        NOERROR aa
        an _ipp._tcp.example. 60 PTR Dr\.\032M\252ller's\032Printer._ipp._tcp.example.

        dr\.\032m\252LLER's\032pRINTER._ipp._tcp.example. SRV
        NOERROR aa
        an dr\.\032m\252LLER's\032pRINTER._ipp._tcp.example. 60 SRV 0 0 631 ns.example.
        ad ns.example. 60 A 192.0.2.1

        Dr\.\032M\252ller's\032Printer._ipp._tcp.example. TXT
        NOERROR aa
        an Dr\.\032M\252ller's\032Printer._ipp._tcp.example. 60 TXT "note=2\195\182"
        "#,
    );
}

/// SRV gives the port of the kind that was browsed for.
#[test]
fn section_5_resolution() {
    check(
        &server(),
        "
        web-1._http._tcp.svc.internal. SRV
        NOERROR aa
        an web-1._http._tcp.svc.internal. 5 SRV 10 256 80 web-1.web.svc.internal.
        ad web-1.web.svc.internal. 5 A 10.0.0.1

        web-1._metrics._tcp.svc.internal. SRV
        NOERROR aa
        an web-1._metrics._tcp.svc.internal. 5 SRV 10 256 9100 web-1.web.svc.internal.
        ad web-1.web.svc.internal. 5 A 10.0.0.1

        web-2._http._tcp.svc.internal. SRV
        NOERROR aa
        an web-2._http._tcp.svc.internal. 5 SRV 10 256 80 web-2.web.svc.internal.
        ad web-2.web.svc.internal. 5 AAAA fd00::2
        ",
    );
}

/// Each string is key=value, the first equals sign ends the key (§6.3, §6.4); an empty
/// value keeps its equals sign. There's one string at least (§6.1), and one record.
#[test]
fn section_6_txt() {
    check(
        &server(),
        r#"
        web-1._http._tcp.svc.internal. TXT
        NOERROR aa
        an web-1._http._tcp.svc.internal. 5 TXT "id=web-1" "version=1.4.2" "protocol=http" "env=prod" "Team=a=b; c" "empty="

        web-2._http._tcp.svc.internal. TXT
        NOERROR aa
        an web-2._http._tcp.svc.internal. 5 TXT "id=web-2" "protocol=http"
        "#,
    );
}

/// A key has one character at least, of printable ASCII without the equals sign; it's
/// refused where it's registered, not when it's asked for.
#[test]
fn section_6_4_keys() {
    let server = TestServer::start();
    for key in ["", "a=b", "n\u{e4}me", "tab\t"] {
        let body = json!({
            "name": "web", "host": "10.0.0.1", "port": 80, "metadata": {key: "value"},
        });
        let answer = server.http("PUT", "/v1/instances/web-1", &body.to_string());
        assert_eq!(answer.status, 422, "{key:?}: {answer:?}");
    }
}

/// What there is to browse for.
#[test]
fn section_9_service_types() {
    check(
        &server(),
        "
        _services._dns-sd._udp.svc.internal. PTR
        NOERROR aa
        an _services._dns-sd._udp.svc.internal. 2 PTR _http._tcp.svc.internal.
        an _services._dns-sd._udp.svc.internal. 2 PTR _metrics._tcp.svc.internal.
        ",
    );
}

/// Where to browse.
#[test]
fn section_11_browsing_domains() {
    let server = server();
    for name in ["b", "db", "lb"] {
        let name = format!("{name}._dns-sd._udp.svc.internal.");
        let case = format!("{name} PTR\nNOERROR aa\nan {name} 3600 PTR svc.internal.");
        check(&server, &case);
    }
}

/// SRV brings addresses along (§12.2), TXT and PTR nothing (§12.3, §12.1, which says
/// SHOULD: who browses shows names, and asks for the one that is chosen).
#[test]
fn section_12_additional_records() {
    let server = server();
    for (rtype, additional) in [(SRV, 1), (TXT, 0)] {
        let answer = server.ask("web-1._http._tcp.svc.internal.", rtype);
        assert_eq!(answer.additionals().len(), additional, "{rtype}");
    }
    let browsed = server.ask("_http._tcp.svc.internal.", PTR);
    assert_eq!(browsed.additionals(), [""; 0]);
}
