//! RFC 8482: ANY has a small answer.

use crate::check::check;
use crate::harness::TestServer;

const ZONE: &str = r#"
$ORIGIN example.
$TTL 300
@        SOA ns.test. host.test. 1 2 3 4 60
         NS  ns.test.
         MX  10 host
host     600 A 192.0.2.1
         200 TXT "x"
info     HINFO CPU OS
alias    CNAME host
old      DNAME new
x.new    A   192.0.2.2
*.wild   A   192.0.2.3
*.alias  CNAME host
a.ent    A   192.0.2.4
cut      NS  ns.cut
ns.cut   A   192.0.2.5
"#;

fn server() -> TestServer {
    let server = TestServer::with_zones(&[("example.zone", ZONE)]);
    server.register_web("web-1", 1);
    server
}

/// One HINFO that says why; its TTL is the lowest that the name has.
#[test]
fn section_4_2_synthesized_hinfo() {
    check(
        &server(),
        r#"
        example. ANY
        NOERROR aa
        an example. 300 HINFO "RFC8482" ""

        host.example. ANY
        NOERROR aa
        an host.example. 200 HINFO "RFC8482" ""

        info.example. ANY
        NOERROR aa
        an info.example. 300 HINFO "RFC8482" ""

        q.wild.example. ANY
        NOERROR aa
        an q.wild.example. 300 HINFO "RFC8482" ""

        web.svc.internal. ANY
        NOERROR aa
        an web.svc.internal. 5 HINFO "RFC8482" ""

        _http._tcp.web.svc.internal. ANY
        NOERROR aa
        an _http._tcp.web.svc.internal. 5 HINFO "RFC8482" ""
        "#,
    );
}

/// Not beside an alias, which is what the name has.
#[test]
fn section_4_2_aliases() {
    check(
        &server(),
        r#"
        alias.example. ANY
        NOERROR aa
        an alias.example. 300 CNAME host.example.

        q.alias.example. ANY
        NOERROR aa
        an q.alias.example. 300 CNAME host.example.

        x.old.example. ANY
        NOERROR aa
        an old.example. 300 DNAME new.example.
        an x.old.example. 300 CNAME x.new.example.
        an x.new.example. 300 HINFO "RFC8482" ""
        "#,
    );
}

/// What isn't there isn't made up.
#[test]
fn section_4_2_names_without_records() {
    let server = server();
    let soa = "au example. 60 SOA ns.test. host.test. 1 2 3 4 60";
    check(&server, &format!("ent.example. ANY\nNOERROR aa\n{soa}"));
    check(&server, &format!("no.example. ANY\nNXDOMAIN aa\n{soa}"));
    check(
        &server,
        "
        x.cut.example. ANY
        NOERROR
        au cut.example. 300 NS ns.cut.example.
        ad ns.cut.example. 300 A 192.0.2.5
        ",
    );
}
