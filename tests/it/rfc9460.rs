//! RFC 9460: SVCB and HTTPS.

use crate::check::check;
use crate::harness::TestServer;

const ZONE: &str = r#"
$TTL 300
@       SOA ns host 1 2 3 4 60
        NS  ns
ns      A   192.0.2.53
@       HTTPS 1 . alpn=h2
@       A   192.0.2.1
        AAAA 2001:db8::1
www     HTTPS 1 edge port=8443 alpn="h2,h3" ipv4hint=192.0.2.9
        HTTPS 2 edge.elsewhere.example.
edge    A   192.0.2.2
alias   HTTPS 0 edge
nowhere HTTPS 0 .
_dns    SVCB 1 edge alpn=dot
"#;

#[test]
fn section_2_2_rdata() {
    check(
        &TestServer::with_zones(&[("corp.example.zone", ZONE)]),
        r#"
        www.corp.example. HTTPS
        NOERROR aa
        an www.corp.example. 300 HTTPS 1 edge.corp.example. alpn=h2,h3 port=8443 ipv4hint=192.0.2.9
        an www.corp.example. 300 HTTPS 2 edge.elsewhere.example.
        ad edge.corp.example. 300 A 192.0.2.2

        _dns.corp.example. SVCB
        NOERROR aa
        an _dns.corp.example. 300 SVCB 1 edge.corp.example. alpn=dot
        ad edge.corp.example. 300 A 192.0.2.2
        "#,
    );
}

/// In service mode the root is the owner, whose addresses come along; an alias to the
/// root says that there's no such service.
#[test]
fn section_2_5_targets_of_the_root() {
    check(
        &TestServer::with_zones(&[("corp.example.zone", ZONE)]),
        "
        corp.example. HTTPS
        NOERROR aa
        an corp.example. 300 HTTPS 1 . alpn=h2
        ad corp.example. 300 A 192.0.2.1
        ad corp.example. 300 AAAA 2001:db8::1

        nowhere.corp.example. HTTPS
        NOERROR aa
        an nowhere.corp.example. 300 HTTPS 0 .
        ",
    );
}

#[test]
fn section_4_1_aliases_bring_addresses() {
    check(
        &TestServer::with_zones(&[("corp.example.zone", ZONE)]),
        "
        alias.corp.example. HTTPS
        NOERROR aa
        an alias.corp.example. 300 HTTPS 0 edge.corp.example.
        ad edge.corp.example. 300 A 192.0.2.2
        ",
    );
}
