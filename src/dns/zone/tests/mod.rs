//! What makes a zone, and what it answers.

mod load;
mod model;

use std::path::Path;

use super::*;
use crate::dns::master::{self, Record, no_include};

fn name(text: &str) -> DomainName {
    DomainName::parse(text, Some(&DomainName::parse("example.", None).unwrap())).unwrap()
}

fn records(text: &str) -> Vec<Record> {
    let text = format!("$TTL 60\n{text}");
    master::parse(
        text.as_bytes(),
        Path::new("z"),
        &name("example."),
        &no_include,
    )
    .unwrap()
}

fn whole(text: &str) -> Result<(Zone, Vec<ZoneWarning>), ZoneError> {
    Zone::build(
        &records(&format!("@ SOA ns . 1 2 3 4 5\n{text}")),
        &ZoneKind::Whole,
    )
}

fn overlay(text: &str) -> Result<(Zone, Vec<ZoneWarning>), ZoneError> {
    Zone::build(&records(text), &ZoneKind::Overlay(name("example.")))
}

/// Shows an answer as its kind, the owner and type that give it, and how many records.
fn show(lookup: Lookup<'_>) -> String {
    let rrset = |kind: &str, rrset: &RrSet, wildcard: bool| {
        let by = if wildcard { " by wildcard" } else { "" };
        format!(
            "{kind} {} {} x{}{by}",
            rrset.owner,
            rrset.rtype,
            rrset.len()
        )
    };
    match lookup {
        Lookup::Found {
            rrset: found,
            wildcard,
        } => rrset("found", found, wildcard),
        Lookup::Cname {
            rrset: alias,
            wildcard,
        } => rrset("alias", alias, wildcard),
        Lookup::Any { rrsets, wildcard } => {
            let types: Vec<_> = rrsets.iter().map(|rrset| rrset.rtype.to_string()).collect();
            format!(
                "any {}{}",
                types.join(" "),
                if wildcard { " by wildcard" } else { "" }
            )
        }
        Lookup::Dname(dname) => rrset("below", dname, false),
        Lookup::Referral(ns) => rrset("referral", ns, false),
        Lookup::NoData => "nodata".into(),
        Lookup::NxDomain => "nxdomain".into(),
        Lookup::OutOfZone => "out of zone".into(),
    }
}

/// Checks questions, each as name, type and the answer [`show`]n.
#[track_caller]
fn check(zone: &Zone, cases: &[(&str, &str, &str)]) {
    for (qname, qtype, expected) in cases {
        let answer = zone.lookup(name(qname).folded().as_wire(), qtype.parse().unwrap());
        assert_eq!(show(answer), *expected, "{qname} {qtype}");
    }
}

/// Checks why the records, after a SOA in line 2, are no zone.
#[track_caller]
fn refuse(text: &str, expected: &str) {
    let error = whole(text).expect_err(text).to_string();
    let (error, _) = error.split_once(" (RFC").unwrap_or((&error, ""));
    assert_eq!(error, expected, "{text}");
}

/// The zone of RFC 4592 §2.2.1.
const RFC4592: &str = "
@ NS ns.example.com.
@ NS ns.example.net.
* TXT \"this is a wildcard\"
* MX 10 host1
sub.* TXT \"this is not a wildcard\"
host1 A 192.0.2.1
_ssh._tcp.host1 SRV 0 0 22 host1
_ssh._tcp.host2 SRV 0 0 22 host2
subdel NS ns.example.com.
subdel NS ns.example.net.
";

#[test]
fn rfc4592_2_2_1_examples() {
    check(
        &whole(RFC4592).unwrap().0,
        &[
            ("host3", "MX", "found *.example. MX x1 by wildcard"),
            ("host3", "A", "nodata"),
            ("foo.bar", "TXT", "found *.example. TXT x1 by wildcard"),
            ("host1", "MX", "nodata"),
            ("sub.*", "MX", "nodata"),
            ("_telnet._tcp.host1", "SRV", "nxdomain"),
            ("host.subdel", "A", "referral subdel.example. NS x2"),
            ("ghost.*", "MX", "nxdomain"),
            ("*", "MX", "found *.example. MX x1"),
            ("host3", "ANY", "any TXT MX by wildcard"),
            (
                "a.b.c.d.e.f.g.h",
                "TXT",
                "found *.example. TXT x1 by wildcard",
            ),
        ],
    );
}

#[test]
fn rfc4592_2_2_2_empty_non_terminals() {
    check(
        &whole(RFC4592).unwrap().0,
        &[
            ("host2", "MX", "nodata"),
            ("_tcp.host2", "ANY", "nodata"),
            ("x.host2", "MX", "nxdomain"),
        ],
    );
    // RFC 4592 §4.9: a wildcard that is an empty non-terminal matches with nothing.
    let (zone, _) = whole("sub.*.w TXT x\nx.y.z A 192.0.2.1").unwrap();
    check(
        &zone,
        &[
            ("a.w", "TXT", "nodata"),
            ("a.z", "A", "nxdomain"),
            ("y.z", "A", "nodata"),
        ],
    );
}

#[test]
fn rfc4592_4_wildcards_of_other_types() {
    let (zone, _) = whole("*.c CNAME host\n*.s SRV 0 0 1 host\nx.a.s A 192.0.2.1").unwrap();
    check(
        &zone,
        &[
            ("q.c", "A", "alias *.c.example. CNAME x1 by wildcard"),
            ("q.c", "CNAME", "found *.c.example. CNAME x1 by wildcard"),
            ("q.q.s", "SRV", "found *.s.example. SRV x1 by wildcard"),
            ("a.s", "SRV", "nodata"),
            ("q.a.s", "SRV", "nxdomain"),
            ("c", "CNAME", "nodata"),
        ],
    );
}

#[test]
fn rfc1034_4_3_2_step_3a() {
    let (zone, _) = whole("WWW A 192.0.2.1\nwww A 192.0.2.2\nalias CNAME www").unwrap();
    check(
        &zone,
        &[
            ("www", "A", "found WWW.example. A x2"),
            ("wWw", "AAAA", "nodata"),
            ("www", "ANY", "any A"),
            ("alias", "A", "alias alias.example. CNAME x1"),
            ("alias", "CNAME", "found alias.example. CNAME x1"),
            ("alias", "ANY", "any CNAME"),
            ("@", "SOA", "found example. SOA x1"),
            ("@", "NS", "nodata"),
            ("nope", "A", "nxdomain"),
            ("x.www", "A", "nxdomain"),
            ("example.com.", "A", "out of zone"),
            ("xexample.", "A", "out of zone"),
            (".", "A", "out of zone"),
        ],
    );
    assert_eq!(zone.name_count(), 3);
    assert_eq!(zone.soa().map(RrSet::len), Some(1));
}

#[test]
fn rfc1034_4_3_2_step_3b_topmost_cut_wins() {
    let (zone, _) = whole(
        "sub NS ns.sub\nsub NS ns\nsub DS 1 8 2 ab\nns.sub A 192.0.2.1\nns.sub TXT hidden\n\
         deep.sub NS ns\n*.sub TXT hidden\nns AAAA 2001:db8::1\n\
         dsless NS ns\n@ NS ns",
    )
    .unwrap();
    let referral = "referral sub.example. NS x2";
    check(
        &zone,
        &[
            ("sub", "NS", referral),
            ("sub", "A", referral),
            ("sub", "ANY", referral),
            ("sub", "DS", "found sub.example. DS x1"),
            ("dsless", "DS", "nodata"),
            ("ns.sub", "A", referral),
            ("x.deep.sub", "A", referral),
            ("deep.sub", "DS", referral),
            ("x.sub", "TXT", referral),
            ("@", "NS", "found example. NS x1"),
            ("@", "DS", "nodata"),
        ],
    );
    let count = |text| {
        let name = name(text);
        let name = name.as_wire();
        (
            zone.addresses(name).count(),
            zone.glue(name).count(),
            zone.rrsets(name).len(),
        )
    };
    assert_eq!(count("ns.sub"), (0, 1, 2));
    assert_eq!(count("ns"), (1, 1, 1));
    assert_eq!(count("x.sub"), (0, 0, 0));
}

#[test]
fn rfc6672_2_3_dname_redirects_below_only() {
    let (zone, _) = whole("d DNAME target.\nd A 192.0.2.1\n").unwrap();
    check(
        &zone,
        &[
            ("d", "A", "found d.example. A x1"),
            ("d", "DNAME", "found d.example. DNAME x1"),
            ("d", "MX", "nodata"),
            ("x.d", "A", "below d.example. DNAME x1"),
            ("y.x.d", "DNAME", "below d.example. DNAME x1"),
        ],
    );
    let (zone, _) = whole("@ DNAME target.\n@ NS ns.target.").unwrap();
    check(
        &zone,
        &[
            ("x", "A", "below example. DNAME x1"),
            ("@", "NS", "found example. NS x1"),
        ],
    );
}

#[test]
fn zones_that_are_refused() {
    assert_eq!(
        Zone::build(&[], &ZoneKind::Whole).unwrap_err(),
        ZoneError::NoSoa
    );
    refuse(
        "@ SOA ns . 2 2 3 4 5",
        "z:3:1: example. has a SOA, but the zone's SOA is that at z:2:1",
    );
    refuse(
        "x SOA ns . 1 2 3 4 5",
        "z:3:1: x.example. has a SOA, but the zone's SOA is that at z:2:1",
    );
    refuse(
        "x.other. A 192.0.2.1",
        "z:3:1: x.other. is not in the zone example.; a name without a final dot would be",
    );
    for text in [
        "x A 192.0.2.1\nx CNAME y",
        "x CNAME y\nx A 192.0.2.1",
        "y A 192.0.2.1\n@ CNAME y",
    ] {
        let at = if text.starts_with('y') {
            "example."
        } else {
            "x.example."
        };
        refuse(
            text,
            &format!("z:4:1: {at} has a CNAME and other records; an alias has none"),
        );
    }
    refuse(
        "x CNAME y\nX CNAME z",
        "z:4:1: X.example. has a second CNAME; a name has one",
    );
    refuse(
        "x DNAME y\nx DNAME z",
        "z:4:1: x.example. has a second DNAME; a name has one",
    );
    refuse(
        "a.b.x A 192.0.2.1\nx DNAME y",
        "z:3:1: a.b.x.example. is below a DNAME, where no records may be",
    );
    for text in ["x NS y\nx DNAME z", "x DNAME z\nx NS y"] {
        refuse(
            text,
            "z:4:1: x.example. has a DNAME and NS; both speak for all names below",
        );
    }
    refuse(
        "*.x NS y",
        "z:3:1: *.x.example. has NS, which no wildcard may have",
    );
    refuse(
        "* DNAME y",
        "z:3:1: *.example. has DNAME, which no wildcard may have",
    );
}

#[test]
fn zones_that_are_odd() {
    let warnings = |text: &str| {
        let (zone, warnings) = whole(text).unwrap();
        (
            zone,
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        )
    };
    let ns = "@ NS ns.elsewhere.";
    let (zone, said) = warnings(&format!(
        "{ns}\nx 9 A 192.0.2.1\nx 5 A 192.0.2.2\nx 7 A 192.0.2.3"
    ));
    assert_eq!(
        said,
        ["z:5:1: the A records of x.example. have different TTLs; the lowest is served"]
    );
    assert_eq!(zone.rrsets(name("x").as_wire())[0].ttl.as_secs(), 5);

    let (zone, said) = warnings(&format!("{ns}\nx MX 1 m\nX MX 1 M\nx TXT a\nx TXT A"));
    assert_eq!(
        said,
        ["z:5:1: X.example. has this MX record already; it is served once"]
    );
    check(
        &zone,
        &[
            ("x", "MX", "found x.example. MX x1"),
            ("x", "TXT", "found x.example. TXT x2"),
        ],
    );
    assert_eq!(
        zone.rrsets(name("x").as_wire())[0].rdata(0),
        b"\0\x01\x01m\x07example\0"
    );

    let (_, said) = warnings("x A 192.0.2.1");
    assert_eq!(
        said,
        ["the zone example. has no NS record at its apex (RFC 1035 §5.2)"]
    );

    let (_, said) =
        warnings("@ NS a\n@ NS b.w\nsub NS c.sub\nsub NS d\n*.w A 192.0.2.1\nc.sub A 192.0.2.1");
    assert_eq!(
        said,
        [
            "z:3:1: the name server a.example. is in the zone and has no address",
            "z:6:1: the name server d.example. is in the zone and has no address",
        ]
    );
    let (_, said) = warnings(&"x A 192.0.2.1\n".repeat(2 * MAX_WARNINGS));
    assert_eq!(said.len(), MAX_WARNINGS);
}

#[test]
fn overlays_know_what_is_static() {
    let (zone, warnings) = overlay("a.b A 192.0.2.1\nsub NS ns\nd DNAME x.\n*.w TXT x").unwrap();
    assert_eq!(warnings, []);
    assert_eq!(zone.soa(), None);
    for (text, expected) in [
        ("a.b", true),
        ("b", true),
        ("c.b", false),
        ("x.a.b", false),
        ("c", false),
        ("sub", true),
        ("x.sub", true),
        ("x.d", true),
        ("w", true),
        ("q.w", false),
        ("@", true),
        ("other.", false),
    ] {
        assert_eq!(zone.contains(name(text).as_wire()), expected, "{text}");
    }
    let (zone, _) = overlay("@ SOA ns . 1 2 3 4 5").unwrap();
    assert!(zone.soa().is_some());
    let error = overlay("x SOA ns . 1 2 3 4 5").unwrap_err().to_string();
    assert_eq!(
        error,
        "z:2:1: x.example. has a SOA, but the zone is example."
    );
    for rtype in ["CNAME", "DNAME"] {
        let error = overlay(&format!("@ {rtype} x")).unwrap_err();
        assert!(matches!(error, ZoneError::AliasOfOverlay { .. }), "{error}");
    }
    check(
        &Zone::empty(&name("Example.")),
        &[("@", "A", "nodata"), ("x", "A", "nxdomain")],
    );
}
