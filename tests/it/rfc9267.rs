//! RFC 9267: what parsers of DNS messages get wrong.

use hickory_proto::rr::RecordType::{A, SRV};
use proptest::prelude::*;

use crate::harness::{Answer, TestServer, query};
use crate::raw::{Opt, WEB, both, web, with_record};

const FORMERR: u8 = 1;

#[track_caller]
fn is_formerr(server: &TestServer, message: &[u8]) {
    for answer in both(server, message) {
        assert_eq!(answer.octets[3] & 0xf, FORMERR, "{message:x?}");
        assert!(
            answer.octets.len() <= message.len() + 11,
            "nothing is amplified"
        );
    }
}

/// A record of type TXT whose owner is these octets.
fn record(owner: &[u8], rdlength: u16, rdata: &[u8]) -> Vec<u8> {
    let mut octets = [owner, b"\0\x10\0\x01\0\0\0\0"].concat();
    octets.extend_from_slice(&rdlength.to_be_bytes());
    octets.extend_from_slice(rdata);
    octets
}

/// A question's name has nothing before it to point at; pointers in what follows are
/// passed over and not followed, so none can go in a circle.
#[test]
fn section_2_compression_pointers() {
    let server = web();
    let asked = query(WEB, A, None);
    for name in [
        &b"\xc0\x0c"[..],
        b"\xc0\x0e",
        b"\xc0\0",
        b"\xff\xff",
        b"\x03web\xc0\x0c",
        b"\x03web\xc0",
    ] {
        is_formerr(&server, &[&asked[..12], name, b"\0\x01\0\x01"].concat());
    }
    let itself = [0xc0, u8::try_from(asked.len()).unwrap()];
    for owner in [&itself[..], b"\xff\xff", b"\x01a\xc0\x0c"] {
        for answer in both(&server, &with_record(asked.clone(), &record(owner, 0, b""))) {
            assert_eq!(answer.answers(), ["A 10.0.0.1"], "{owner:x?}");
        }
    }
}

/// Labels have up to 63 octets, names up to 255.
#[test]
fn section_3_label_and_name_length() {
    let server = web();
    let asked = query(WEB, A, None);
    let with_name = |name: &[u8]| [&asked[..12], name, b"\0\x01\0\x01"].concat();
    for length in 0x40..0xc0 {
        let mut name = vec![length];
        name.resize(usize::from(length) + 1, b'x');
        name.push(0);
        is_formerr(&server, &with_name(&name));
    }
    let labels = |count: usize| [b"\x01x".repeat(count), vec![0]].concat();
    for answer in both(&server, &with_name(&labels(127))) {
        assert_ne!(answer.octets[3] & 0xf, FORMERR, "255 octets");
    }
    is_formerr(&server, &with_name(&labels(128)));
    is_formerr(&server, &with_name(&labels(2000)));
}

/// A name without an end, and a label that ends behind the message.
#[test]
fn section_4_null_terminators() {
    let server = web();
    let asked = query(WEB, A, None);
    for name in [&b"\x03web"[..], b"\x03we", b"\x3f", b""] {
        is_formerr(&server, &[&asked[..12], name].concat());
    }
}

/// Rdata that is said to be longer than what there is, or shorter.
#[test]
fn section_5_response_data_length() {
    let server = web();
    let asked = || query(WEB, A, None);
    for (rdlength, rdata) in [(1, &b""[..]), (65_535, b"x"), (0, b"x"), (1, b"xx")] {
        let message = with_record(asked(), &record(b"\0", rdlength, rdata));
        is_formerr(&server, &message);
    }
}

/// Counts that lie, and many records that nobody wants.
#[test]
fn section_6_record_counts() {
    let server = web();
    for at in [7, 9, 11] {
        for count in [1, 255] {
            let mut message = query(WEB, A, None);
            message[at] = count;
            message[at - 1] = u8::from(count == 255) * 255;
            is_formerr(&server, &message);
        }
    }
    // Octets that no count speaks of.
    is_formerr(&server, &[query(WEB, A, None), b"x".to_vec()].concat());
    let mut many = query(WEB, A, None);
    for _ in 0..60 {
        many = with_record(many, &record(b"\0", 3, b"\x02ab"));
    }
    let many = with_record(many, &Opt::default().octets());
    for answer in both(&server, &many) {
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
        assert!(answer.message.edns.is_some());
    }
}

/// Cut at every octet: silence below a header, else FORMERR.
#[test]
fn section_6_messages_that_end_early() {
    let server = web();
    let whole = query(WEB, SRV, Some(1232));
    for len in 0..whole.len() {
        match server.udp(&whole[..len]) {
            None => assert!(len < 12, "{len}"),
            Some(octets) => {
                assert!(len >= 12, "{len}");
                assert_eq!(Answer::new(octets).octets[3] & 0xf, FORMERR, "{len}");
            }
        }
    }
}

thread_local! {
    static SERVER: TestServer = web();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is sent, the server answers the next query; what is answered is
    /// a response with the id of what was sent.
    #[test]
    fn mutated_queries(
        changes in prop::collection::vec((0usize..44, any::<u8>()), 0..6), cut in 0usize..60,
    ) {
        let mut message = query(WEB, SRV, Some(1232));
        for (at, octet) in changes {
            let len = message.len();
            message[at % len] = octet;
        }
        message.truncate(cut.max(12));
        message[2] &= 0x7f;
        SERVER.with(|server| {
            let octets = server.udp(&message).unwrap();
            prop_assert_eq!(&octets[..2], &message[..2]);
            prop_assert_eq!(octets[2] & 0x80, 0x80);
            prop_assert!(octets.len() <= 8192);
            Ok(())
        })?;
    }
}
