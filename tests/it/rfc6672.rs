//! RFC 6672: DNAME, which redirects all names below one.

use crate::check::{check, check_tcp};
use crate::harness::TestServer;

/// A server with a zone that has a DNAME: at `owner`, the apex or below.
fn with_dname(origin: &str, owner: &str, target: &str) -> TestServer {
    let zone = format!(
        "$TTL 60\n@ SOA ns.test. host.test. 1 2 3 4 5\n@ NS ns.test.\n{owner} DNAME {target}\n"
    );
    TestServer::with_zones(&[(&format!("{origin}zone"), &zone)])
}

/// The table of substitutions: zone, owner of the DNAME, its target, the name asked
/// for, and the name that it comes to.
#[test]
fn section_2_2_substitution() {
    for (zone, owner, target, qname, result) in [
        (
            "example.com.",
            "example.com.",
            "example.net.",
            "a.example.com.",
            "a.example.net.",
        ),
        (
            "example.com.",
            "example.com.",
            "example.net.",
            "a.b.example.com.",
            "a.b.example.net.",
        ),
        (
            "example.com.",
            "example.com.",
            "example.net.",
            "foo.example.com.",
            "foo.example.net.",
        ),
        (
            "example.com.",
            "x.example.com.",
            "example.net.",
            "a.x.example.com.",
            "a.example.net.",
        ),
        (
            "example.com.",
            "example.com.",
            "y.example.net.",
            "a.example.com.",
            "a.y.example.net.",
        ),
        (
            "example.com.",
            "example.com.",
            "example.com.",
            "cyc.example.com.",
            "cyc.example.com.",
        ),
        ("x.", "x.", ".", "shortloop.x.", "shortloop."),
    ] {
        let server = with_dname(zone, owner, target);
        let case = format!(
            "{qname} A\nNOERROR aa\nan {owner} 60 DNAME {target}\nan {qname} 60 CNAME {result}"
        );
        check(&server, &case);
    }
}

/// The rows of the table that don't match.
#[test]
fn section_2_2_no_substitution() {
    let soa = "au example.com. 5 SOA ns.test. host.test. 1 2 3 4 5";
    let apex = with_dname("example.com.", "example.com.", "example.net.");
    check(&apex, "com. A\nREFUSED ede=20");
    check(&apex, &format!("example.com. A\nNOERROR aa\n{soa}"));
    let below = with_dname("example.com.", "b.example.com.", "example.net.");
    let case = format!("ab.example.com. A\nNXDOMAIN aa\n{soa}");
    check(&below, &case);
}

/// A name that one DNAME leads through twice: the record stands there once.
#[test]
fn section_2_2_the_same_dname_again() {
    check(
        &with_dname("x.", "x.", "."),
        "
        shortloop.x.x. A
        NOERROR aa
        an x. 60 DNAME .
        an shortloop.x.x. 60 CNAME shortloop.x.
        an shortloop.x. 60 CNAME shortloop.
        ",
    );
}

/// A DNAME into itself makes ever longer names; it has an end all the same.
#[test]
fn section_2_2_into_itself() {
    let server = with_dname("example.com.", "example.com.", "c.example.com.");
    let mut case = "cyc.example.com. A\nNOERROR aa\n".to_owned();
    case += "an example.com. 60 DNAME c.example.com.\n";
    for count in 0..17 {
        let from = format!("cyc.{}example.com.", "c.".repeat(count));
        let to = format!("cyc.{}example.com.", "c.".repeat(count + 1));
        case += &format!("an {from} 60 CNAME {to}\n");
    }
    check_tcp(&server, &case);
}

const ZONE: &str = r#"
$ORIGIN example.
$TTL 300
@        SOA ns.test. host.test. 1 2 3 4 60
         NS  ns.test.
host     A   192.0.2.1
new      TXT "at the target"
x.new    A   192.0.2.2
alias.new CNAME host
c.new    NS  ns.c.new
ns.c.new A   192.0.2.3
old      77 DNAME new
         TXT "beside the DNAME"
         MX  1 host
older    DNAME old
grow     DNAME a-longer-label-than-grow
into     CNAME x.old
away     DNAME elsewhere.test.
svc      DNAME svc.internal.
*.wild   TXT "by wildcard"
towild   DNAME wild
"#;

fn server() -> TestServer {
    let server = TestServer::with_zones(&[("example.zone", ZONE)]);
    server.register_web("web-1", 1);
    server
}

/// Names below are redirected, the owner isn't: it has its other records.
#[test]
fn section_2_3_its_own_owner() {
    check(
        &server(),
        "
        old.example. TXT
        NOERROR aa
        an old.example. 300 TXT \"beside the DNAME\"

        old.example. MX
        NOERROR aa
        an old.example. 300 MX 1 host.example.
        ad host.example. 300 A 192.0.2.1

        old.example. DNAME
        NOERROR aa
        an old.example. 77 DNAME new.example.

        old.example. A
        NOERROR aa
        au example. 60 SOA ns.test. host.test. 1 2 3 4 60

        old.example. CNAME
        NOERROR aa
        au example. 60 SOA ns.test. host.test. 1 2 3 4 60
        ",
    );
}

/// The CNAME that is made has the DNAME's TTL.
#[test]
fn section_3_1_the_cname_that_is_made() {
    check(
        &server(),
        "
        x.old.example. A
        NOERROR aa
        an old.example. 77 DNAME new.example.
        an x.old.example. 77 CNAME x.new.example.
        an x.new.example. 300 A 192.0.2.2
        ",
    );
}

/// A CNAME is what was asked for then, and isn't followed.
#[test]
fn section_3_2_a_question_for_cname() {
    check(
        &server(),
        "
        x.old.example. CNAME
        NOERROR aa
        an old.example. 77 DNAME new.example.
        an x.old.example. 77 CNAME x.new.example.

        alias.old.example. CNAME
        NOERROR aa
        an old.example. 77 DNAME new.example.
        an alias.old.example. 77 CNAME alias.new.example.
        ",
    );
}

#[test]
fn section_3_2_what_it_leads_to() {
    check(
        &server(),
        "
        alias.old.example. A
        NOERROR aa
        an old.example. 77 DNAME new.example.
        an alias.old.example. 77 CNAME alias.new.example.
        an alias.new.example. 300 CNAME host.example.
        an host.example. 300 A 192.0.2.1

        x.older.example. A
        NOERROR aa
        an older.example. 300 DNAME old.example.
        an x.older.example. 300 CNAME x.old.example.
        an old.example. 77 DNAME new.example.
        an x.old.example. 77 CNAME x.new.example.
        an x.new.example. 300 A 192.0.2.2

        into.example. A
        NOERROR aa
        an into.example. 300 CNAME x.old.example.
        an old.example. 77 DNAME new.example.
        an x.old.example. 77 CNAME x.new.example.
        an x.new.example. 300 A 192.0.2.2

        any.towild.example. TXT
        NOERROR aa
        an towild.example. 300 DNAME wild.example.
        an any.towild.example. 300 CNAME any.wild.example.
        an any.wild.example. 300 TXT \"by wildcard\"

        x.away.example. A
        NOERROR aa
        an away.example. 300 DNAME elsewhere.test.
        an x.away.example. 300 CNAME x.elsewhere.test.

        web.svc.example. A
        NOERROR aa
        an svc.example. 300 DNAME svc.internal.
        an web.svc.example. 300 CNAME web.svc.internal.
        an web.svc.internal. 5 A 10.0.0.1

        www.c.old.example. A
        NOERROR aa
        an old.example. 77 DNAME new.example.
        an www.c.old.example. 77 CNAME www.c.new.example.
        au c.new.example. 300 NS ns.c.new.example.
        ad ns.c.new.example. 300 A 192.0.2.3

        x.old.example. TXT
        NOERROR aa
        an old.example. 77 DNAME new.example.
        an x.old.example. 77 CNAME x.new.example.
        au example. 60 SOA ns.test. host.test. 1 2 3 4 60

        nothing.old.example. A
        NXDOMAIN aa
        an old.example. 77 DNAME new.example.
        an nothing.old.example. 77 CNAME nothing.new.example.
        au example. 60 SOA ns.test. host.test. 1 2 3 4 60

        x.old.example. DNAME
        NOERROR aa
        an old.example. 77 DNAME new.example.
        an x.old.example. 77 CNAME x.new.example.
        au example. 60 SOA ns.test. host.test. 1 2 3 4 60
        ",
    );
}

/// A name of 255 octets becomes a longer one, which is none.
#[test]
fn section_3_2_yxdomain() {
    let label = "l".repeat(63);
    // 3 labels of 63 octets, one of 47, and `grow.example.` of 14.
    let longest = format!("{label}.{label}.{label}.{}.grow.example.", "l".repeat(47));
    let case = format!(
        "{longest} A\nYXDOMAIN aa\nan grow.example. 300 DNAME a-longer-label-than-grow.example."
    );
    check_tcp(&server(), &case);
    // As long as it may be: 20 octets are added.
    let shorter = format!("{label}.{label}.{label}.{}.grow.example.", "l".repeat(27));
    let target = shorter.replace(".grow.", ".a-longer-label-than-grow.");
    let soa = "au example. 60 SOA ns.test. host.test. 1 2 3 4 60";
    let case = format!(
        "{shorter} A\nNXDOMAIN aa\nan grow.example. 300 DNAME a-longer-label-than-grow.example.\n\
         an {shorter} 300 CNAME {target}\n{soa}"
    );
    check_tcp(&server(), &case);
}
