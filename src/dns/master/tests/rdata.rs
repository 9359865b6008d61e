//! The fields of each type. The octets are those that BIND's named-rrchecker
//! 9.18 gives, so it is the second decoder of these.

use super::super::rdata::is_well_formed;
use super::*;

/// Checks that `type rdata` has these octets, also when written as octets.
#[track_caller]
fn same(text: &str, octets: &str) {
    let (rtype, _) = text.split_once(' ').unwrap();
    let octets = octets.to_ascii_lowercase();
    let expected = format!("a.example. 1 {rtype} {octets}");
    check(&format!("a 1 {text}"), &[&expected]);
    let (front, back) = octets.split_at(2);
    check(
        &format!("a 1 {rtype} \\# {} {front} {back}", octets.len() / 2),
        &[&expected],
    );
}

/// Checks the error of `type rdata`, from the column on.
#[track_caller]
fn wrong(text: &str, expected: &str) {
    fail(&format!("a 1 {text}"), &format!("1:{expected}"));
}

#[test]
fn rfc1035_3_3_types() {
    same("A 192.0.2.1", "C0000201");
    same(
        "AAAA 2001:db8::192.0.2.1",
        "20010DB80000000000000000C0000201",
    );
    for rtype in ["NS", "CNAME", "DNAME", "PTR"] {
        same(&format!("{rtype} Ns"), "024E73076578616D706C6500");
    }
    same("MX 10 .", "000A00");
    same(
        "SOA ns.example. a\\.b.example. 1 1h30m 1W 2d 300",
        "026E73076578616D706C650003612E62076578616D706C6500000000010000151800093A800002A3000000012C",
    );
    same(
        "TXT \"a;b\" c\\;d \\065\\\"x \"\" é",
        "03613B6203633B64034122780002C3A9",
    );
    same("HINFO PDP-11 \"UNIX V7\"", "065044502D313107554E4958205637");
    same(
        "RP mbox txt.example.",
        "046D626F78076578616D706C650003747874076578616D706C6500",
    );
    same(
        "SRV 1 2 53 host",
        "00010002003504686F7374076578616D706C6500",
    );
}

#[test]
fn types_of_later_rfcs() {
    same(
        "NAPTR 100 10 \"S\" \"SIP+D2U\" \"!^.*$!sip:a\\\\.b@x!\" _sip._udp.example.com.",
        "0064000A0153075349502B44325511215E2E2A24217369703A615C2E62407821045F736970045F756470076578616D706C6503636F6D00",
    );
    same(
        "CAA 0 issue \"ca.example; policy=ev\"",
        "0005697373756563612E6578616D706C653B20706F6C6963793D6576",
    );
    same("CAA 128 iodef \"\"", "8005696F646566");
    same(
        "URI 10 1 \"ftp://ftp1.example.com/public\"",
        "000A00016674703A2F2F667470312E6578616D706C652E636F6D2F7075626C6963",
    );
    let digest = "2BB183AF5F22588179A53B0A98631FAD1A292118";
    same(
        "DS 60485 RSASHA1 1 ( 2BB183AF5F22588179A53B0A 98631FAD1A292118 )",
        &format!("EC450501{digest}"),
    );
    same(
        &format!("DS 60485 5 1 {digest}"),
        &format!("EC450501{digest}"),
    );
    same(
        "TLSA 3 1 1 d2abde240d7cd3ee 6b4b28c54df034b9",
        "030101D2ABDE240D7CD3EE6B4B28C54DF034B9",
    );
    same("SSHFP 2 1 123456789abcdef6", "0201123456789ABCDEF6");
    same("OPENPGPKEY mQEN BFG0", "99010D0451B4");
}

#[test]
fn rfc1876_3_locations() {
    for (text, octets) in [
        (
            "42 21 54 N 71 06 18 W -24m 30m",
            "0033161389172DD070BE15F000988D20",
        ),
        (
            "52 14 05 N 00 08 50 E 10m",
            "001216138B3556C88008165000989A68",
        ),
        (
            "32 7 19 S 116 2 25 E 10m",
            "00121613791B7D2898E6486800989A68",
        ),
        (
            "42 21 28.764 N 71 00 51.617 W -44m 2000m 15.5m 0.05m",
            "002513508916CB3C70C310DF00988550",
        ),
        ("1 N 2 W 100000", "001216138036EE807F92230001312D00"),
    ] {
        same(&format!("LOC {text}"), octets);
    }
    wrong(
        "LOC 91 N 0 E 0",
        "9: found \"91\" where degrees (0 to 90) was expected",
    );
    wrong(
        "LOC 90 1 N 0 E 0",
        "9: found \"90\" where an angle of at most 90 degrees was expected",
    );
    wrong(
        "LOC 1 2 60 N 0 E 0",
        "13: found \"60\" where N, S or seconds (0 to 59.999) was expected",
    );
    wrong(
        "LOC 1 X 0 E 0",
        "11: found \"X\" where N, S or minutes (0 to 59) was expected",
    );
    wrong(
        "LOC 1 2 3 4 0 E 0",
        "15: found \"4\" where N or S was expected",
    );
    wrong(
        "LOC 1 N 0 E 1 99999999999",
        "19: found \"99999999999\" where a size or precision (0 to 90000000.00 metres) was expected",
    );
}

#[test]
fn rfc9460_d_parameters() {
    for (text, octets) in [
        (
            "0 foo.example.com.",
            "000003666f6f076578616d706c6503636f6d00",
        ),
        ("1 .", "000100"),
        ("16 . port=53", "00100000030002 0035"),
        ("1 . key667=hello", "000100029b000568656c6c6f"),
        (
            "1 . key667=\"hello\\210qoo\"",
            "000100029b000968656c6c6fd2716f6f",
        ),
        (
            "1 . ipv6hint=\"2001:db8::1\"",
            "0001000006001020010db8000000000000000000000001",
        ),
        (
            "1 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
            "0001000001000c08665c6f6f2c626172026832",
        ),
        (
            "1 . alpn=f\\\\\\092oo\\092,bar,h2",
            "0001000001000c08665c6f6f2c626172026832",
        ),
        (
            "16 . alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
            "001000000000040001000400010009026832 0568332d313900040004c0000201",
        ),
        ("1 . key3=\\000\\053", "0001000003000200 35"),
        (
            "1 . ech=AEb+DQ== alpn=h2 no-default-alpn",
            "00010000010003026832000200000005000 40046fe0d",
        ),
        ("1 . dohpath=\"/q{?dns}\"", "000100000700082f717b3f646e737d"),
    ] {
        let octets = octets.replace(' ', "");
        same(&format!("SVCB {text}"), &octets);
        same(&format!("HTTPS {text}"), &octets);
    }
}

#[test]
fn rfc9460_d_3_failures() {
    let unfit = |text, found, reason| {
        let expected =
            format!("14: found \"{found}\" where valid service parameters was expected: {reason}");
        wrong(&format!("SVCB 1 . {text}"), &expected);
    };
    unfit(
        "mandatory=port",
        "mandatory=port",
        "mandatory names itself or a key that is not given",
    );
    unfit(
        "mandatory=mandatory",
        "mandatory=mandatory",
        "mandatory names itself or a key that is not given",
    );
    unfit(
        "mandatory=port,port port=1",
        "mandatory=port,port",
        "mandatory names a key twice",
    );
    unfit(
        "no-default-alpn",
        "no-default-alpn",
        "no-default-alpn needs alpn",
    );
    unfit(
        "no-default-alpn=x alpn=h2",
        "no-default-alpn=x",
        "a value doesn't suit its key",
    );
    unfit("key3=x", "key3=x", "a value doesn't suit its key");
    for bad in [
        "port=",
        "port",
        "port=65536",
        "alpn",
        "alpn=a,,b",
        "ipv4hint=1.2.3",
        "mandatory=x",
    ] {
        let key = bad.split('=').next().unwrap();
        let expected = format!("14: found \"{bad}\" where a value for {key} was expected");
        wrong(&format!("SVCB 1 . {bad}"), &expected);
    }
    for bad in ["key65535=x", "key01=x", "keyx", "Alpn=h2", "key65536"] {
        let expected = "where a parameter like alpn=h2 was expected: the key is unknown";
        wrong(
            &format!("SVCB 1 . {bad}"),
            &format!("14: found \"{bad}\" {expected}"),
        );
    }
    wrong(
        "SVCB 1 . port=1 key3=1",
        "21: found \"key3=1\" where another parameter was expected: each may be given once",
    );
    wrong(
        "SVCB 1 . alpn=\"h2\"port=1",
        "23: found \"port=1\" where a space before it was expected",
    );
}

#[test]
fn fields_that_are_wrong() {
    for (text, expected) in [
        (
            "AAAA 1.2.3.4",
            "10: found \"1.2.3.4\" where an IPv6 address was expected",
        ),
        (
            "A 010.0.0.1",
            "7: found \"010.0.0.1\" where an IPv4 address was expected",
        ),
        (
            "MX x.",
            "8: found \"x.\" where the preference (0 to 65535) was expected",
        ),
        (
            "MX 65536 x.",
            "8: found \"65536\" where the preference (0 to 65535) was expected",
        ),
        (
            "MX 10",
            "10: found the end of the line where the mail host (a domain name) was expected",
        ),
        (
            "TXT",
            "8: found the end of the line where a string of up to 255 octets was expected",
        ),
        (
            "DS 1 8 2 abc",
            "14: found \"abc\" where the digest (hexadecimal digits) was expected",
        ),
        (
            "DS 1 FOO 2 ab",
            "10: found \"FOO\" where the algorithm (0 to 255, or a mnemonic like ED25519) was expected",
        ),
        (
            "OPENPGPKEY Zg=",
            "16: found \"Zg=\" where the key (base64) was expected",
        ),
        (
            "CAA 0 a-b x",
            "9: found \"0\" where rdata of type CAA was expected: its octets are not well formed",
        ),
        (
            "CERT PKIX 0 0 Zg==",
            "10: found \"PKIX\" where \\# and the length and octets of the rdata was expected: \
             CERT is read as octets only (RFC 3597 §5)",
        ),
        (
            "SOA . . 1 2 3 4 2147483648",
            "21: found \"2147483648\" where the minimum TTL (seconds, or like 1h30m; up to \
             2147483647) was expected",
        ),
    ] {
        wrong(text, expected);
    }
}

#[test]
fn rfc3597_5_octets() {
    check("a 1 TYPE65280 \\# 0", &["a.example. 1 TYPE65280 "]);
    check(
        "a 1 TYPE65280 \\# 3 ( 0 0f\n f00 )",
        &["a.example. 1 TYPE65280 00ff00"],
    );
    check("a 1 CERT \\# 1 00", &["a.example. 1 CERT 00"]);
    check("a 1 TYPE1 192.0.2.1", &["a.example. 1 A c0000201"]);
    check("a 1 TXT \"\\#\" 1 00", &["a.example. 1 TXT 01230131023030"]);
    wrong(
        "TYPE65280 \\# 2 00",
        "15: found \"\\#\" where rdata of type TYPE65280 was expected: \
         the length is 2, but 1 octets follow",
    );
    for (rtype, octets) in [
        ("A", "c00002"),
        ("TXT", ""),
        ("TXT", "0261"),
        ("MX", "0001c00c"),
        ("NS", "0161"),
        ("SOA", "0000000000010000000200000003000000048000 0000"),
        ("SVCB", "000100 0003000100"),
        ("LOC", "00fa1613800000008000000000989680"),
        ("URI", "00010001"),
        ("CAA", "000001"),
        ("DNSKEY", "01010308"),
        ("MINFO", "00"),
    ] {
        let octets = octets.replace(' ', "");
        wrong(
            &format!("{rtype} \\# {} {octets}", octets.len() / 2),
            &format!(
                "{}: found \"\\#\" where rdata of type {rtype} was expected: \
                 these octets are no rdata of type {rtype}",
                rtype.len() + 6
            ),
        );
    }
}

#[test]
fn rfc4343_3_names_fold_and_strings_do_not() {
    let fold = |rtype, rdata: &'static [u8]| fold_rdata(rtype, rdata).into_owned();
    assert_eq!(fold(RecordType::MX, b"\0\x41\x01A\0"), b"\0\x41\x01a\0");
    assert_eq!(fold(RecordType::TXT, b"\x01A"), b"\x01A");
    assert_eq!(fold(RecordType(65280), b"\x01A\0"), b"\x01A\0");
}

proptest! {
    #[test]
    fn any_octets_are_rdata_or_not(rtype in 0u16..300, rdata in prop::collection::vec(any::<u8>(), 0..80)) {
        let folded = fold_rdata(RecordType(rtype), &rdata);
        prop_assert_eq!(folded.len(), rdata.len());
        let _ = is_well_formed(RecordType(rtype), &rdata);
    }
}
