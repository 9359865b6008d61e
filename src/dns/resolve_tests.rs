//! What chains of aliases and their targets come to, by zone text.

use std::time::Duration;

use super::*;
use crate::dns::master::{self, no_include};
use crate::dns::reverse::ReverseNetworks;
use crate::dns::text;
use crate::dns::zone::ZoneKind;
use crate::dns::zones::ZoneSource;
use crate::time::Clock;

/// The records of the answer and the additional section, in their order, from a zone
/// `example.`.
fn answer(zone: &str, name: &str, qtype: RecordType) -> (Vec<String>, Vec<String>) {
    let origin = DomainName::parse("example.", None).unwrap();
    let text = format!("$TTL 1\n@ SOA ns. host. 1 2 3 4 5\n{zone}");
    let records = master::parse(text.as_bytes(), "z".as_ref(), &origin, &no_include).unwrap();
    let zone = Zone::build(&records, &ZoneKind::Whole).unwrap().0;
    let source = ZoneSource {
        dir: None,
        origin: DomainName::parse("svc.internal.", None).unwrap(),
        nameservers: Vec::new(),
        negative_ttl: Duration::ZERO,
        reverse: ReverseNetworks::default(),
    };
    let zones = Zones::of(vec![zone], &source).unwrap();
    let resolver = Resolver {
        zones: &zones,
        directory: &Directory::default(),
        now: Clock::start().now(),
        class: ClientClass::of([192, 0, 2, 1].into()),
        rng: &mut fastrand::Rng::with_seed(1),
        basis: &mut Basis::default(),
    };
    let qname = DomainName::parse(name, Some(&origin)).unwrap();
    let outcome = resolve(resolver, qname.as_wire(), qtype);
    let sections = outcome.sections();
    (shown(sections.answer), shown(sections.additional))
}

fn shown(sets: &[Cow<'_, RrSet>]) -> Vec<String> {
    let records = sets.iter().flat_map(|set| {
        set.iter().map(|rdata| {
            let rdata = text::rdata(set.rtype, rdata);
            format!("{} {} {rdata}", set.owner, set.rtype)
        })
    });
    records.collect()
}

#[test]
fn rfc2181_5_a_dname_stands_in_an_answer_once() {
    let zone = "d DNAME e\nx.e CNAME y.d\ny.e CNAME d\nd A 192.0.2.1";
    let once = [
        "d.example. DNAME e.example.",
        "x.d.example. CNAME x.e.example.",
        "x.e.example. CNAME y.d.example.",
        "y.d.example. CNAME y.e.example.",
        "y.e.example. CNAME d.example.",
    ];
    assert_eq!(answer(zone, "x.d", RecordType::DNAME).0, once);
    let with_address = [&once[..], &["d.example. A 192.0.2.1"]].concat();
    assert_eq!(answer(zone, "x.d", RecordType::A).0, with_address);
}

#[test]
fn rfc2181_5_addresses_of_targets_come_once() {
    let zone = "s SRV 1 2 3 h\ns SRV 1 2 4 h\ns SRV 1 2 5 H\nh A 192.0.2.1\nh AAAA ::1";
    let (srv, addresses) = answer(zone, "s", RecordType::SRV);
    assert_eq!(srv.len(), 3);
    let once = ["h.example. A 192.0.2.1", "h.example. AAAA ::1"];
    assert_eq!(addresses, once);
}

#[test]
fn rfc8482_4_2_nothing_is_made_up_beside_an_alias() {
    let zone = "a CNAME h\n*.w CNAME h\nh A 192.0.2.1";
    for (name, expected) in [
        ("a", "a.example. CNAME h.example."),
        ("q.w", "q.w.example. CNAME h.example."),
        ("h", "h.example. HINFO \"RFC8482\" \"\""),
    ] {
        assert_eq!(answer(zone, name, RecordType::ANY).0, [expected]);
    }
}
