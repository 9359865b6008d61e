//! Tests of reading queries.

use super::*;
use proptest::prelude::*;

/// `web.` type A class IN, with `flags` and counts as given, then `tail`.
fn message(flags: u16, counts: [u16; 4], tail: &[u8]) -> Vec<u8> {
    let mut octets = vec![0x12, 0x34];
    octets.extend(flags.to_be_bytes());
    counts
        .iter()
        .for_each(|count| octets.extend(count.to_be_bytes()));
    octets.extend(b"\x03WeB\0\0\x01\0\x01");
    octets.extend(tail);
    octets
}

const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";

fn refused(octets: &[u8]) -> Option<Rcode> {
    match parse(octets, &mut FoldedName::default()) {
        Err(Unanswerable::Refuse(echo, rcode)) => {
            assert_eq!(echo.id, 0x1234);
            Some(rcode)
        }
        _ => None,
    }
}

#[test]
fn reads_question_and_opt() {
    let octets = message(0x0100, [1, 0, 0, 1], OPT);
    let mut qname = FoldedName::default();
    let query = parse(&octets, &mut qname).unwrap();
    assert_eq!(qname.as_wire(), b"\x03web\0");
    assert_eq!(qname.with_type(), b"\x03web\0\0\x01");
    assert_eq!((query.qtype, query.qclass), (RecordType::A, CLASS_IN));
    assert_eq!(query.echo.question, b"\x03WeB\0\0\x01\0\x01");
    assert_eq!(
        query.echo.edns,
        Some(Edns {
            payload: 1232,
            dnssec_ok: true,
            cookie: None,
            wants_nsid: false,
        })
    );
    assert!(query.echo.recursion_desired);
}

#[test]
fn refuses_in_wire_order() {
    for octets in [vec![0; 11], message(0x8000, [1, 0, 0, 0], &[])] {
        let parsed = parse(&octets, &mut FoldedName::default());
        assert!(matches!(parsed, Err(Unanswerable::Silence)));
    }
    assert_eq!(
        refused(&message(0x2800, [9, 9, 9, 9], &[])),
        Some(Rcode::NOTIMP)
    );
    for counts in [[0, 0, 0, 0], [2, 0, 0, 0], [1, 0, 0, 1], [1, 60, 0, 0]] {
        assert_eq!(
            refused(&message(0, counts, &[])),
            Some(Rcode::FORMERR),
            "{counts:?}"
        );
    }
    assert_eq!(
        refused(&message(0, [1, 0, 0, 0], b"x")),
        Some(Rcode::FORMERR)
    );
}

#[test]
fn rfc6891_6_1_opt() {
    let two = [OPT, OPT].concat();
    assert_eq!(
        refused(&message(0, [1, 0, 0, 2], &two)),
        Some(Rcode::FORMERR)
    );
    let owned = b"\x01x\0\0\x29\x04\xd0\0\0\0\0\0\0";
    assert_eq!(
        refused(&message(0, [1, 0, 0, 1], owned)),
        Some(Rcode::FORMERR)
    );
    let version_1 = b"\0\0\x29\x04\xd0\0\x01\0\0\0\0";
    assert_eq!(
        refused(&message(0, [1, 0, 0, 1], version_1)),
        Some(Rcode::BADVERS)
    );
    let overrun = b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x0a\0\x01";
    assert_eq!(
        refused(&message(0, [1, 0, 0, 1], overrun)),
        Some(Rcode::FORMERR)
    );
    let unknown = b"\0\0\x29\0\x01\0\0\0\0\0\x05\xfd\xe9\0\x01x";
    let octets = message(0, [1, 0, 0, 1], unknown);
    let query = parse(&octets, &mut FoldedName::default()).unwrap();
    assert_eq!(query.echo.edns.unwrap().payload, 512);
}

#[test]
fn rfc7873_5_2_2_cookies_have_a_length() {
    for (len, rcode) in [
        (7, true),
        (8, false),
        (9, true),
        (16, false),
        (40, false),
        (41, true),
    ] {
        let mut opt = b"\0\0\x29\x04\xd0\0\0\0\0\0".to_vec();
        opt.extend([len + 4, 0, 10, 0, len]);
        opt.resize(opt.len() + usize::from(len), 7);
        let octets = message(0, [1, 0, 0, 1], &opt);
        assert_eq!(refused(&octets), rcode.then_some(Rcode::FORMERR), "{len}");
        if !rcode {
            let mut qname = FoldedName::default();
            let edns = parse(&octets, &mut qname).unwrap().echo.edns.unwrap();
            assert_eq!(edns.cookie.unwrap().server.len(), usize::from(len) - 8);
        }
    }
}

proptest! {
    #[test]
    fn no_octets_panic(
        octets in prop::collection::vec(any::<u8>(), 0..100),
        at in 0usize..40, with in any::<u8>(), cut in 0usize..40,
    ) {
        let mut qname = FoldedName::default();
        let _ = parse(&octets, &mut qname);
        let mut mutated = message(0, [1, 0, 0, 1], OPT);
        let len = mutated.len();
        mutated[at % len] = with;
        mutated.truncate(cut);
        let _ = parse(&mutated, &mut qname);
    }
}

/// A question count of none and OPT with these options.
fn questionless(options: &[u8]) -> Vec<u8> {
    let mut octets = vec![0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    octets.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0");
    octets.push(options.len() as u8);
    octets.extend(options);
    octets
}

#[test]
fn rfc7873_5_4_no_question_but_a_cookie() {
    let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(refused(&questionless(&cookie)), Some(Rcode::NOERROR));
    assert_eq!(refused(&questionless(&[])), Some(Rcode::FORMERR));
    let trailing = [&questionless(&cookie)[..], b"x"].concat();
    assert_eq!(refused(&trailing), Some(Rcode::FORMERR));
}

#[test]
fn rfc6891_6_1_1_opt_is_answered_behind_two_questions() {
    let tail = [b"\x03two\0\0\x01\0\x01", OPT].concat();
    let octets = message(0, [2, 0, 0, 1], &tail);
    match parse(&octets, &mut FoldedName::default()) {
        Err(Unanswerable::Refuse(echo, Rcode::FORMERR)) => assert!(echo.edns.is_some()),
        other => panic!("{other:?}"),
    }
}
