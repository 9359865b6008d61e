//! Tests of rdata as text: the forms, and that each reads back.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::dns::master;

/// What a master file makes of a record of that type.
fn read(rtype: RecordType, text: &str) -> Result<Vec<u8>, String> {
    let line = format!("x 60 {rtype} {text}\n");
    let origin = DomainName::root();
    let records = master::parse(
        line.as_bytes(),
        Path::new("x"),
        &origin,
        &master::no_include,
    );
    let records = records.map_err(|error| error.to_string())?;
    Ok(records[0].rdata.to_vec())
}

#[test]
fn each_type_is_printed_as_it_is_written() {
    let long = "0123456789ABCDEF".repeat(4);
    let grouped = format!("{} {}", &long[..56], &long[56..]);
    for (rtype, text) in [
        ("A", "192.0.2.1"),
        ("AAAA", "2001:db8::1"),
        ("NS", "ns.example."),
        ("CNAME", "a\\.b.\\000.example."),
        ("DNAME", "."),
        ("PTR", "web-1._http._tcp.example."),
        ("SOA", "ns.example. host.example. 7 3600 600 86400 60"),
        ("MX", "10 mail.example."),
        (
            "TXT",
            "\"one\" \"\" \"three \\\"quoted\\\" \\\\ \\000\\255\"",
        ),
        ("SRV", "1 2 443 web.example."),
        ("CAA", "128 issuewild \"ca.example; policy=ev\""),
        ("NAPTR", "100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.example."),
        ("DS", &format!("60485 5 2 {grouped}")),
        ("TLSA", &format!("3 1 1 {grouped}")),
        ("SSHFP", "4 2 00FF"),
        ("HINFO", "\"CPU\" \"OS\""),
        ("RP", "admin.example. ."),
        ("MB", "host.example."),
        ("MG", "moe.example."),
        ("MR", "curly.example."),
        ("MINFO", "owner.example. errors.example."),
        ("AFSDB", "1 afs.example."),
        ("RT", "10 relay.example."),
        ("KX", "10 kx.example."),
        ("PX", "10 mail.example. x400.example."),
        ("X25", "\"311061700956\""),
        ("SPF", "\"v=spf1\" \"-all\""),
        ("CDS", "0 0 0 00"),
        ("DNSKEY", "257 3 13 AQIDBA=="),
        ("CDNSKEY", "0 3 0 AA=="),
        ("ZONEMD", "2018031500 1 1 00FF"),
        ("DHCID", "AQIDBA=="),
        ("SMIMEA", "3 0 0 00FF"),
        ("URI", "10 1 \"https://example/\""),
        ("OPENPGPKEY", "AQIDBA=="),
        ("SVCB", "0 other.example."),
        (
            "SVCB",
            "1 . mandatory=alpn,port alpn=\"h2,a\\\\,b\" port=443 ipv4hint=192.0.2.1,192.0.2.2",
        ),
        (
            "HTTPS",
            "16 svc.example. alpn=\"h2\" no-default-alpn ech=AQID ipv6hint=2001:db8::1 key667=\"x\\255\" key700",
        ),
        ("LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 0.10m"),
        ("TYPE65280", "\\# 3 0102FF"),
        ("TYPE65280", "\\# 0"),
    ] {
        let rtype: RecordType = rtype.parse().unwrap();
        let octets = read(rtype, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(rdata(rtype, &octets), text);
    }
}

#[test]
fn what_is_malformed_is_shown_as_octets() {
    for (rtype, octets, text) in [
        (RecordType::A, &[1, 2, 3][..], "\\# 3 010203"),
        (RecordType::MX, &[0, 1], "\\# 2 0001"),
        (RecordType::NS, &[0, 0], "\\# 2 0000"),
        (RecordType::TXT, &[], "\\# 0"),
        (
            RecordType::LOC,
            &[1; 16],
            "\\# 16 01010101010101010101010101010101",
        ),
        (
            RecordType::SVCB,
            &[0, 1, 0, 0, 3, 0, 1, 0],
            "\\# 8 0001000003000100",
        ),
    ] {
        assert_eq!(rdata(rtype, octets), text);
    }
}

#[test]
fn names_in_messages_are_followed_backwards_only() {
    let message = b"\x03web\x02sv\0\x01a\xc0\x00\xc0\x08\xc0\x0e\xc0\x0c";
    let name = |at| name_in(message, at).map(|(name, end)| (name.to_string(), end));
    assert_eq!(name(0), Some(("web.sv.".to_owned(), 8)));
    assert_eq!(name(8), Some(("a.web.sv.".to_owned(), 12)));
    assert_eq!(name(12), Some(("a.web.sv.".to_owned(), 14)));
    // At itself, and on to one that leads back.
    assert_eq!(name(14), None);
    assert_eq!(name(16), Some(("a.web.sv.".to_owned(), 18)));
    assert_eq!(name(18), None);
}

fn string() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(|octets| {
        let mut string = vec![octets.len() as u8];
        string.extend(octets);
        string
    })
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let label = prop::collection::vec(any::<u8>(), 1..20);
    prop::collection::vec(label, 0..5).prop_map(|labels| {
        let mut wire = Vec::new();
        for label in labels {
            wire.push(label.len() as u8);
            wire.extend(label);
        }
        wire.push(0);
        wire
    })
}

/// Rdata that is well formed, of types whose text could be misread.
fn well_formed() -> impl Strategy<Value = (RecordType, Vec<u8>)> {
    let octets = |len| prop::collection::vec(any::<u8>(), len);
    prop_oneof![
        name().prop_map(|name| (RecordType::NS, name)),
        (octets(6..7), name())
            .prop_map(|(numbers, name)| (RecordType::SRV, [numbers, name].concat())),
        (name(), name(), octets(20..21)).prop_map(|(m, r, mut numbers)| {
            // Times of 31 bits are all that may be written.
            numbers.iter_mut().step_by(4).for_each(|high| *high &= 0x7f);
            (RecordType::SOA, [m, r, numbers].concat())
        }),
        prop::collection::vec(string(), 1..5)
            .prop_map(|strings| (RecordType::TXT, strings.concat())),
        (string(), string()).prop_map(|(cpu, os)| (RecordType::HINFO, [cpu, os].concat())),
        (octets(4..5), string(), string(), string(), name()).prop_map(
            |(numbers, a, b, c, name)| { (RecordType::NAPTR, [numbers, a, b, c, name].concat()) }
        ),
        octets(0..60).prop_map(|value| (RecordType::CAA, [&[0, 5][..], b"issue", &value].concat())),
        octets(1..60).prop_map(|target| (RecordType::URI, [&[0, 1, 0, 2][..], &target].concat())),
        octets(1..90).prop_map(|key| (RecordType::OPENPGPKEY, key)),
        octets(5..80).prop_map(|ds| (RecordType::TLSA, ds)),
        octets(0..80).prop_map(|octets| (RecordType(65280), octets)),
        (string(), octets(1..60))
            .prop_filter("ALPN has a name", |(protocol, _)| protocol.len() > 1)
            .prop_map(|(protocol, unknown)| {
                let param = |key: u16, value: &[u8]| {
                    [
                        &key.to_be_bytes()[..],
                        &(value.len() as u16).to_be_bytes(),
                        value,
                    ]
                    .concat()
                };
                let params = [param(1, &protocol), param(700, &unknown)].concat();
                (RecordType::HTTPS, [&[0, 1, 0][..], &params].concat())
            }),
        (0u32..=648_000_000, 0u32..=1_296_000_000, any::<u32>()).prop_map(
            |(latitude, longitude, altitude)| {
                let words = [
                    (1 << 31) - 324_000_000 + latitude,
                    (1 << 31) - 648_000_000 + longitude,
                    altitude,
                ];
                let numbers = words.map(u32::to_be_bytes);
                (
                    RecordType::LOC,
                    [&[0, 0x12, 0x16, 0x13][..], numbers.as_flattened()].concat(),
                )
            }
        ),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_reads_back((rtype, octets) in well_formed()) {
        let text = rdata(rtype, &octets);
        prop_assert!(!text.starts_with("\\#") || rtype.0 == 65280, "{} {}", rtype, text);
        let back = read(rtype, &text);
        prop_assert_eq!(back.as_deref(), Ok(&*octets), "{} {}", rtype, text);
    }

    #[test]
    fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..100), start in 0usize..100) {
        for rtype in 0..270 {
            let _ = rdata(RecordType(rtype), &octets);
            let _ = rdata_in(RecordType(rtype), &octets, start..octets.len());
        }
        let _ = name_in(&octets, start);
    }
}
