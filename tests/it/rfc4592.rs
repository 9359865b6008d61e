//! RFC 4592: wildcards, and names that are there because of names below them.

use crate::check::check;
use crate::harness::TestServer;

/// The zone of §2.2.1.
const EXAMPLE: &str = r#"
$ORIGIN example.
example.                 3600 IN  SOA   ns.example.com. host.example. 1 2 3 4 3600
example.                 3600     NS    ns.example.com.
example.                 3600     NS    ns.example.net.
*.example.               3600     TXT   "this is a wildcard"
*.example.               3600     MX    10 host1.example.
sub.*.example.           3600     TXT   "this is not a wildcard"
host1.example.           3600     A     192.0.2.1
_ssh._tcp.host1.example. 3600     SRV   0 0 22 host1
_ssh._tcp.host2.example. 3600     SRV   0 0 22 host2
subdel.example.          3600     NS    ns.example.com.
subdel.example.          3600     NS    ns.example.net.
"#;

const SOA: &str = "au example. 3600 SOA ns.example.com. host.example. 1 2 3 4 3600";

fn example() -> TestServer {
    TestServer::with_zones(&[("example.zone", EXAMPLE)])
}

/// Wants each question to have an answer that is negative, as `head` says.
#[track_caller]
fn negative(server: &TestServer, head: &str, questions: &[&str]) {
    for question in questions {
        check(server, &format!("{question}\n{head} aa\n{SOA}"));
    }
}

#[test]
fn section_2_2_1_responses_that_are_synthesized() {
    let server = example();
    check(
        &server,
        "
        host3.example. MX
        NOERROR aa
        an host3.example. 3600 MX 10 host1.example.
        ad host1.example. 3600 A 192.0.2.1

        foo.bar.example. TXT
        NOERROR aa
        an foo.bar.example. 3600 TXT \"this is a wildcard\"

        a.b.c.d.e.f.g.h.example. TXT
        NOERROR aa
        an a.b.c.d.e.f.g.h.example. 3600 TXT \"this is a wildcard\"
        ",
    );
    negative(&server, "NOERROR", &["host3.example. A"]);
}

#[test]
fn section_2_2_1_responses_that_are_not() {
    let server = example();
    let no_data = ["host1.example. MX", "sub.*.example. MX"];
    negative(&server, "NOERROR", &no_data);
    let no_name = ["_telnet._tcp.host1.example. SRV", "ghost.*.example. MX"];
    negative(&server, "NXDOMAIN", &no_name);
    check(
        &server,
        "
        host.subdel.example. A
        NOERROR
        au subdel.example. 3600 NS ns.example.com.
        au subdel.example. 3600 NS ns.example.net.
        ",
    );
}

/// A star that is asked for is a label like any other.
#[test]
fn section_2_3_a_star_in_the_question() {
    check(
        &example(),
        "
        *.example. MX
        NOERROR aa
        an *.example. 3600 MX 10 host1.example.
        ad host1.example. 3600 A 192.0.2.1

        sub.*.example. TXT
        NOERROR aa
        an sub.*.example. 3600 TXT \"this is not a wildcard\"

        *.bar.example. TXT
        NOERROR aa
        an *.bar.example. 3600 TXT \"this is a wildcard\"
        ",
    );
}

/// They own nothing, but they exist: no wildcard stands in for them, nor below them.
#[test]
fn section_2_2_2_empty_non_terminals() {
    let server = example();
    let no_data = [
        "host2.example. A",
        "host2.example. TXT",
        "_tcp.host1.example. TXT",
        "_tcp.host2.example. MX",
        "_tcp.host2.example. ANY",
    ];
    negative(&server, "NOERROR", &no_data);
    let no_name = ["x.host2.example. TXT", "x._tcp.host2.example. TXT"];
    negative(&server, "NXDOMAIN", &no_name);
}

/// The table of closest enclosers and sources of synthesis.
#[test]
fn section_3_3_2_closest_enclosers() {
    let server = example();
    let synthesized = [
        "host3.example.",
        "_telnet._tcp.host3.example.",
        "_chat._udp.host3.example.",
    ];
    for name in synthesized {
        check(
            &server,
            &format!("{name} TXT\nNOERROR aa\nan {name} 3600 TXT \"this is a wildcard\""),
        );
    }
    let no_source = [
        "_telnet._tcp.host1.example. TXT",
        "_dns._udp.host2.example. TXT",
        "foobar.*.example. TXT",
    ];
    negative(&server, "NXDOMAIN", &no_source);
}

/// A zone may be called after a wildcard. It answers for names that have the star.
#[test]
fn section_4_1_soa_at_a_wildcard() {
    let zone = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
    check(
        &TestServer::with_zones(&[("*.example.zone", zone)]),
        "
        ns.*.example. A
        NOERROR aa
        an ns.*.example. 60 A 192.0.2.1

        ns.foo.example. A
        REFUSED ede=20
        ",
    );
}

const OTHERS: &str = "
$ORIGIN example.
$TTL 3600
@        SOA ns.example.com. host.example. 1 2 3 4 3600
         NS  ns.example.com.
host     A   192.0.2.1
*.alias  CNAME host
*.loop   CNAME x.loop
*.in     CNAME www.alias
*.nil    CNAME nothing
*.srv    SRV 0 0 1 host
x.a.srv  A   192.0.2.2
*.ds     DS  1 8 2 00
sub.*.w  TXT x
host.wd  A   192.0.2.3
old      DNAME srv
";

fn others() -> TestServer {
    TestServer::with_zones(&[("example.zone", OTHERS)])
}

#[test]
fn section_4_3_cname_at_a_wildcard() {
    let server = others();
    check(
        &server,
        "
        q.alias.example. A
        NOERROR aa
        an q.alias.example. 3600 CNAME host.example.
        an host.example. 3600 A 192.0.2.1

        q.alias.example. CNAME
        NOERROR aa
        an q.alias.example. 3600 CNAME host.example.

        q.in.example. A
        NOERROR aa
        an q.in.example. 3600 CNAME www.alias.example.
        an www.alias.example. 3600 CNAME host.example.
        an host.example. 3600 A 192.0.2.1

        q.loop.example. A
        NOERROR aa
        an q.loop.example. 3600 CNAME x.loop.example.
        an x.loop.example. 3600 CNAME x.loop.example.
        ",
    );
    check(
        &server,
        &format!(
            "q.nil.example. A\nNXDOMAIN aa\nan q.nil.example. 3600 CNAME nothing.example.\n{SOA}"
        ),
    );
    // Above the star there's an empty non-terminal.
    negative(&server, "NOERROR", &["alias.example. CNAME"]);
}

#[test]
fn section_4_5_srv_at_a_wildcard() {
    let server = others();
    check(
        &server,
        "
        q.q.srv.example. SRV
        NOERROR aa
        an q.q.srv.example. 3600 SRV 0 0 1 host.example.
        ad host.example. 3600 A 192.0.2.1

        q.old.example. SRV
        NOERROR aa
        an old.example. 3600 DNAME srv.example.
        an q.old.example. 3600 CNAME q.srv.example.
        an q.srv.example. 3600 SRV 0 0 1 host.example.
        ad host.example. 3600 A 192.0.2.1
        ",
    );
    negative(
        &server,
        "NOERROR",
        &["q.srv.example. A", "a.srv.example. SRV"],
    );
    negative(&server, "NXDOMAIN", &["q.a.srv.example. SRV"]);
}

/// Without meaning, and harmless.
#[test]
fn section_4_6_ds_at_a_wildcard() {
    check(
        &others(),
        "
        q.ds.example. DS
        NOERROR aa
        an q.ds.example. 3600 DS 1 8 2 00
        ",
    );
}

/// A star that only has names below it stands in for others with nothing.
#[test]
fn section_4_9_an_empty_non_terminal_wildcard() {
    negative(
        &others(),
        "NOERROR",
        &["a.w.example. TXT", "*.w.example. TXT"],
    );
}
