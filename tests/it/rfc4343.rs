//! RFC 4343: letter case. It's ignored when names are looked up, and kept as asked.

use crate::check::check;
use crate::harness::TestServer;

const ZONE: &str = r"
$ORIGIN Example.
$TTL 60
@       SOA ns host 1 2 3 4 5
        NS  Ns
ns      A   192.0.2.1
WWW     A   192.0.2.2
www     A   192.0.2.3
MiXeD   MX  10 wWw
\195\137 A  192.0.2.4
\065\091 A  192.0.2.5
*.wild  CNAME MiXeD
d       DNAME MiXeD
";

fn server() -> TestServer {
    let server = TestServer::with_zones(&[("example.zone", ZONE)]);
    server.register_web("web-1", 1);
    server
}

/// Names with escapes are compared as the octets that they stand for.
#[test]
fn section_2_1_escapes() {
    check(
        &server(),
        r"
        a[.example. A
        NOERROR aa
        an a[.example. 60 A 192.0.2.5

        \097\091.example. A
        NOERROR aa
        an a[.example. 60 A 192.0.2.5

        a{.example. A
        NXDOMAIN aa
        au example. 5 SOA ns.Example. host.Example. 1 2 3 4 5
        ",
    );
}

/// Only the letters of ASCII have a case: E with an acute accent isn't e with one.
#[test]
fn section_3_ascii_alone() {
    check(
        &server(),
        r"
        \195\137.example. A
        NOERROR aa
        an \195\137.example. 60 A 192.0.2.4

        \195\169.example. A
        NXDOMAIN aa
        au example. 5 SOA ns.Example. host.Example. 1 2 3 4 5
        ",
    );
}

/// The question's name and those that end in it are in the letter case of the question,
/// all else is in that of the file. `check` wants the question itself as it was.
#[test]
fn section_4_1_output() {
    check(
        &server(),
        "
        wWW.eXAMPLE. A
        NOERROR aa
        an wWW.eXAMPLE. 60 A 192.0.2.2
        an wWW.eXAMPLE. 60 A 192.0.2.3

        mixed.example. MX
        NOERROR aa
        an mixed.example. 60 MX 10 wWw.Example.
        ad WWW.example. 60 A 192.0.2.2
        ad WWW.example. 60 A 192.0.2.3

        ANY.WILD.EXAMPLE. CNAME
        NOERROR aa
        an ANY.WILD.EXAMPLE. 60 CNAME MiXeD.Example.

        NoPe.ExAmPlE. A
        NXDOMAIN aa
        au ExAmPlE. 5 SOA ns.Example. host.Example. 1 2 3 4 5

        Nope.Test. A
        REFUSED ede=20
        ",
    );
}

#[test]
fn section_4_1_output_of_what_is_registered() {
    check(
        &server(),
        "
        WEB.svc.internal. A
        NOERROR aa
        an WEB.svc.internal. 5 A 10.0.0.1

        wEb.SvC.iNtErNaL. A
        NOERROR aa
        an wEb.SvC.iNtErNaL. 5 A 10.0.0.1

        _HTTP._Tcp.wEb.sVC.internal. SRV
        NOERROR aa
        an _HTTP._Tcp.wEb.sVC.internal. 5 SRV 10 256 8001 web-1.web.svc.internal.
        ad web-1.wEb.sVC.internal. 5 A 10.0.0.1
        ",
    );
}

/// Owners that differ in letter case alone are one name.
#[test]
fn section_4_2_input() {
    check(
        &server(),
        "
        www.example. A
        NOERROR aa
        an www.example. 60 A 192.0.2.2
        an www.example. 60 A 192.0.2.3
        ",
    );
}
