//! Entries, directives and errors of master files; the fields of types are in `rdata`.

mod rdata;

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// What is included in these tests.
fn files(path: &Path) -> Result<Vec<u8>, IncludeError> {
    let text = match path.to_str() {
        Some("hosts") => "a A 192.0.2.1\n$ORIGIN deep\n$TTL 7\nb A 192.0.2.2",
        Some("blank") => "  A 192.0.2.3",
        Some("bad") => "a A 192.0.2.1\nb A 192.0.2",
        Some("loop") => "$INCLUDE loop",
        _ => return Err(IncludeError::Outside),
    };
    Ok(text.into())
}

fn parse_all(text: &[u8]) -> Result<Vec<Record>, MasterError> {
    let origin = DomainName::parse("example.", None).unwrap();
    parse(text, Path::new("zones/a.zone"), &origin, &files)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

/// Checks the records of `text`, each as `owner TTL type rdata` with the rdata in hexadecimal.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let records = parse_all(text.as_bytes()).unwrap_or_else(|error| panic!("{text}\n{error}"));
    let shown: Vec<String> = records
        .iter()
        .map(|record| {
            let Record {
                owner,
                rtype,
                ttl,
                rdata,
                ..
            } = record;
            format!("{owner} {} {rtype} {}", ttl.as_secs(), hex(rdata))
        })
        .collect();
    assert_eq!(shown, expected, "{text}");
}

/// Checks the error of `text`, without the name of the file.
#[track_caller]
fn fail(text: &str, expected: &str) {
    let error = parse_all(text.as_bytes()).expect_err(text).to_string();
    assert_eq!(
        error.strip_prefix("zones/a.zone:"),
        Some(expected),
        "{text}"
    );
}

const A1: &str = "c0000201";

#[test]
fn rfc1035_5_1_ttl_and_class_in_either_order() {
    for line in [
        "a 60 IN A 192.0.2.1",
        "a IN 60 A 192.0.2.1",
        "a 60 A 192.0.2.1",
        "a\t1M\tin\ta\t192.0.2.1 ; comment",
        "a 60 CLASS1 TYPE1 192.0.2.1\r\n",
        "A.Example. (60\n IN ; comment )\n A) 192.0.2.1",
        "\u{feff}a 60 A 192.0.2.1",
    ] {
        let owner = if line.starts_with('A') {
            "A.Example."
        } else {
            "a.example."
        };
        check(line, &[&format!("{owner} 60 A {A1}")]);
    }
}

#[test]
fn rfc1035_5_1_owners_and_origins() {
    check(
        "$TTL 5\n@ A 192.0.2.1\n\n  ; nothing\n  A 192.0.2.2\n$ORIGIN sub\n  A 192.0.2.3\nx A 192.0.2.1\n\
         $ORIGIN .\nx.example A 192.0.2.1\n. A 192.0.2.1\na\\.b\\(c.example. A 192.0.2.1\n\\$\\@\\032 A 192.0.2.1",
        &[
            "example. 5 A c0000201",
            "example. 5 A c0000202",
            "example. 5 A c0000203",
            "x.sub.example. 5 A c0000201",
            "x.example. 5 A c0000201",
            ". 5 A c0000201",
            "a\\.b\\(c.example. 5 A c0000201",
            "\\$\\@\\032. 5 A c0000201",
        ],
    );
}

#[test]
fn rfc1035_5_1_owners_like_other_words() {
    for owner in ["IN", "TXT", "300", "TYPE1", "CLASS1", "A", "1h"] {
        let line = format!("{owner} 60 IN A 192.0.2.1");
        check(&line, &[&format!("{owner}.example. 60 A {A1}")]);
    }
}

#[test]
fn rfc1035_5_1_ttl_left_out() {
    let soa = "@ SOA . . 1 2 3 4 1H\n";
    let soa_hex = "000000000001000000020000000300000004";
    check(
        &format!("{soa}a A 192.0.2.1\nb 7 A 192.0.2.1\nc A 192.0.2.1"),
        &[
            &format!("example. 3600 SOA {soa_hex}00000e10"),
            "a.example. 3600 A c0000201",
            "b.example. 7 A c0000201",
            "c.example. 7 A c0000201",
        ],
    );
    check(
        "$TTL 1h\na 7 A 192.0.2.1\nb A 192.0.2.1\n$ttl 2h\nc A 192.0.2.1",
        &[
            "a.example. 7 A c0000201",
            "b.example. 3600 A c0000201",
            "c.example. 7200 A c0000201",
        ],
    );
    fail(
        "a A 192.0.2.1",
        "1:1: found a record of type A without a TTL where a TTL, or $TTL or a record with a TTL \
         before it was expected",
    );
}

#[test]
fn rfc1035_5_1_include() {
    check(
        "$TTL 5\nm A 192.0.2.1\n$INCLUDE hosts sub ; comment\n A 192.0.2.4\n$INCLUDE \"blank\"\nn A 192.0.2.1",
        &[
            "m.example. 5 A c0000201",
            "a.sub.example. 5 A c0000201",
            "b.deep.sub.example. 7 A c0000202",
            "m.example. 7 A c0000204",
            "m.example. 7 A c0000203",
            "n.example. 7 A c0000201",
        ],
    );
    let error = parse_all(b"$TTL 5\n$INCLUDE bad").unwrap_err();
    assert_eq!(
        error.to_string(),
        "zones/bad:2:5: found \"192.0.2\" where an IPv4 address was expected"
    );
    let error = parse_all(b"$INCLUDE loop").unwrap_err();
    assert_eq!(
        error.reason.as_deref(),
        Some("files may include files 8 deep")
    );
    let expected = "the name of a file in the directory of the zone files";
    fail(
        "$INCLUDE ../x",
        &format!(
            "1:10: found \"../x\" where {expected} was expected: \
             the file is not in the directory of the zone files"
        ),
    );
    fail(
        "$INCLUDE",
        &format!("1:9: found the end of the line where {expected} was expected"),
    );
}

#[test]
fn errors_of_lines() {
    let types = "a class or a record type was expected";
    for (text, expected) in [
        ("a 1 A 1.2.3", "1:7: found \"1.2.3\" where an IPv4 address was expected".to_owned()),
        ("é\t1 A 1.2.3", "1:7: found \"1.2.3\" where an IPv4 address was expected".to_owned()),
        ("a 1 A", "1:6: found the end of the line where an IPv4 address was expected".into()),
        ("a 1 A ; c", "1:10: found the end of the line where an IPv4 address was expected".into()),
        ("a 1 A 192.0.2.1 x", "1:17: found \"x\" where the end of the line was expected".into()),
        ("a 1 FOO x", format!("1:5: found \"FOO\" where {types}")),
        ("a 1 1 A 192.0.2.1", format!("1:5: found \"1\" where {types}: the TTL is given already")),
        (
            "a IN IN A 192.0.2.1",
            "1:6: found \"IN\" where a TTL or a record type was expected: the class is given already"
                .into(),
        ),
        ("a 1 CH A 192.0.2.1", "1:5: found \"CH\" where the class IN was expected".into()),
        ("a CLASS3 A 192.0.2.1", "1:3: found \"CLASS3\" where the class IN was expected".into()),
        (
            "a 2147483648 A 192.0.2.1",
            "1:3: found \"2147483648\" where a TTL (seconds, or like 1h30m; up to 2147483647) \
             was expected"
                .into(),
        ),
        (
            "a 1 ANY x",
            "1:5: found \"ANY\" where a record type was expected: \
             no zone holds records of this type"
                .into(),
        ),
        (
            "\n a 1 A 192.0.2.1",
            "2:2: found \"a\" where an owner name in the first column was expected: \
             no record before this one has an owner to go on with"
                .into(),
        ),
        (
            "\"a\" 1 A 192.0.2.1",
            "1:1: found \"a\" where an owner name was expected: it may not be in quotes".into(),
        ),
        (
            "a..b 1 A 192.0.2.1",
            "1:1: found \"a..b\" where an owner name was expected: the name has an empty label"
                .into(),
        ),
        (
            "$GENERATE 1-9 a A 192.0.2.1",
            "1:1: found \"$GENERATE\" where $ORIGIN, $TTL or $INCLUDE was expected: \
             an owner that begins with \"$\" is written \"\\$\""
                .into(),
        ),
        ("$TTL", "1:5: found the end of the line where a TTL was expected".into()),
        ("$TTL 1 2", "1:8: found \"2\" where the end of the line was expected".into()),
        ("$ORIGIN", "1:8: found the end of the line where a domain name was expected".into()),
    ] {
        fail(text, &expected);
    }
}

#[test]
fn errors_of_tokens() {
    for (text, expected) in [
        (
            "a 1 A (\n192.0.2.1\n",
            "1:7: found \"(\" left open until the end of the file where a closing \")\" was expected",
        ),
        (
            "a 1 A )",
            "1:7: found \")\" where a \"(\" before it was expected",
        ),
        (
            "a 1 TXT \"x\nb 1 A 192.0.2.1\n",
            "1:9: found a quote left open until the end of the file where a closing quote was expected",
        ),
        (
            "a 1 TXT x\\\nb",
            "1:10: found a backslash at the end of the line where a character after the backslash \
             was expected",
        ),
        (
            "a 1 TXT k=\"v w\"",
            "1:11: found \"v w\" where a space before it was expected",
        ),
        (
            "a 1 TXT \\256",
            "1:9: found \"\\256\" where a string with escapes like \\\" or \\DDD (DDD up to 255) \
             was expected",
        ),
    ] {
        fail(text, expected);
    }
}

#[test]
fn rfc1035_2_3_4_sizes() {
    let label = "x".repeat(63);
    check(
        &format!("{label} 1 A 192.0.2.1"),
        &[&format!("{label}.example. 1 A {A1}")],
    );
    let reason = |text: &str| parse_all(text.as_bytes()).unwrap_err().reason.unwrap();
    assert_eq!(
        reason(&format!("{label}x 1 A 192.0.2.1")),
        "a label of the name has 64 octets; at most 63 are allowed"
    );
    let name = format!("{label}.{label}.{label}.{label}");
    assert_eq!(
        reason(&format!("{name} 1 A 192.0.2.1")),
        "the name is longer than 255 octets"
    );
    let string = "x".repeat(255);
    let rdata = format!("a.example. 1 TXT ff{}", "78".repeat(255));
    check(&format!("a 1 TXT {string}"), &[&rdata]);
    assert_eq!(
        reason(&format!("a 1 TXT {string}x")),
        "it has 256 octets, 255 are allowed"
    );
    let long = format!("a 1 TXT{}", format!(" {string}").repeat(257));
    assert_eq!(reason(&long), "it has 65792");
}

#[test]
fn rfc1035_5_1_quotes_and_parentheses() {
    check(
        "a 1 TXT ( \"x;y (\" ; comment )\n z ( \"\" ) ) \"l\nm\" \"a\"\"b\"",
        &["a.example. 1 TXT 05783b792028017a00036c0a6d01610162"],
    );
    check("", &[]);
    check(" \n;\n\t\r\n()", &[]);
}

#[test]
fn records_know_their_place() {
    let records = parse_all(b"$TTL 1\n\na A 192.0.2.1\n (\n A 192.0.2.2\n)\n").unwrap();
    let places: Vec<_> = records
        .iter()
        .map(|record| record.position.to_string())
        .collect();
    assert_eq!(places, ["zones/a.zone:3:1", "zones/a.zone:5:2"]);
}

#[test]
fn text_is_limited() {
    let error = parse_all(&vec![b'\n'; MAX_TEXT_LEN + 1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "zones/a.zone:1:1: found 67108865 octets of text where a zone of at most 64 MiB was expected"
    );
}

/// A file with most of what there is, to make mutants of.
const GOOD: &str = "$TTL 1h\n@ IN SOA ns a\\.b (1 2h 3 4 5) ; c\n  NS ns\nns A 192.0.2.1\n\
    $INCLUDE hosts sub\n AAAA 2001:db8::1\nt TXT \"a b\" \\# \\065\nu TYPE65280 \\# 3 00 01ff\n\
    s 5 IN SVCB 1 . alpn=\"h2,h3\" port=1 mandatory=port\nl LOC 1 2 3.5 N 4 E -5m 6 7m\n\
    o OPENPGPKEY Zm9v Yg==\nn NAPTR 1 2 \"s\" \"\" \"!a!b!\" .\nd DS 1 ED448 2 ab cd\n\
    c CAA 0 issue \"x\"\nw URI 1 2 \"u\"\n$ORIGIN x\nm MX \\# 3 000100\n";

proptest! {
    #[test]
    fn any_octets_are_records_or_an_error(text in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_all(&text);
    }

    #[test]
    fn mutants_are_records_or_an_error(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3, any::<u8>(), 0usize..30), 1..6),
    ) {
        let mut text = GOOD.as_bytes().to_vec();
        for (place, edit, octet, syntax) in edits {
            let at = place.index(text.len());
            // Half of the octets are ones that mean something.
            let octet = *b" \n\t\"\\();$@.#=-:0919AaIN\r,/+mM".get(syntax).unwrap_or(&octet);
            match edit {
                0 => text[at] = octet,
                1 => text.insert(at, octet),
                _ => drop(text.remove(at)),
            }
        }
        match parse_all(&text) {
            Ok(records) => for record in records {
                prop_assert!(super::rdata::is_well_formed(record.rtype, &record.rdata));
            },
            Err(error) => {
                let lines = u32::try_from(text.split(|byte| *byte == b'\n').count()).unwrap();
                prop_assert!(error.position.line >= 1);
                prop_assert!(error.position.line <= lines || &*error.position.file != "zones/a.zone");
            }
        }
    }
}

#[test]
fn the_file_for_mutants_is_good() {
    assert_eq!(
        parse_all(GOOD.as_bytes()).map(|records| records.len()),
        Ok(16)
    );
}
