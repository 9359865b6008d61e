//! What isn't offered is refused cleanly: transfers, NOTIFY, UPDATE.

use hickory_proto::op::ResponseCode::{NotImp, Refused};
use hickory_proto::rr::RecordType::{A, AXFR, IXFR, SOA};

use crate::harness::query;
use crate::raw::{WEB, both, web, with_record};

/// An SOA record of `svc.internal.`, whose name is the question's.
const SOA_RECORD: &[u8] =
    b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";

/// With and without EDNS, of a zone that's here and of one that isn't.
#[test]
fn rfc5936_2_2_axfr() {
    let server = web();
    for (name, reason) in [("svc.internal.", 21), (WEB, 21), ("example.", 21)] {
        for payload in [None, Some(1232)] {
            for answer in both(&server, &query(name, AXFR, payload)) {
                assert_eq!(answer.rcode(), Refused, "{name}");
                assert!(!answer.message.metadata.authoritative);
                assert!(answer.message.answers.is_empty());
                let error = answer.extended_error();
                let expected = payload.map(|_| reason);
                assert_eq!(error.map(|(code, _)| code), expected, "{name}");
            }
        }
    }
}

/// The client's SOA in the authority section makes no difference.
#[test]
fn rfc1995_2_ixfr() {
    let server = web();
    let mut with_soa = with_record(query("svc.internal.", IXFR, None), SOA_RECORD);
    // It stands in the authority section.
    with_soa.swap(9, 11);
    for message in [query("svc.internal.", IXFR, None), with_soa] {
        for answer in both(&server, &message) {
            assert_eq!(answer.rcode(), Refused);
            assert!(answer.message.answers.is_empty());
        }
    }
}

/// The opcode comes back, and nothing is believed.
#[test]
fn rfc1996_3_notify() {
    let server = web();
    let mut notify = query("svc.internal.", SOA, None);
    notify[2] = 4 << 3 | 4; // AA, as a primary sets it
    let with_soa = {
        let mut message = with_record(notify.clone(), SOA_RECORD);
        message.swap(7, 11);
        message
    };
    for message in [notify, with_soa] {
        for answer in both(&server, &message) {
            assert_eq!(answer.rcode(), NotImp);
            assert_eq!(answer.octets[2], 0x80 | 4 << 3, "not AA");
        }
    }
}

/// A name that's added isn't there afterwards, one that's deleted is.
#[test]
fn rfc2136_2_2_update() {
    let server = web();
    let zone = || {
        let mut message = query("svc.internal.", SOA, None);
        message[2] = 5 << 3;
        message
    };
    // new.svc.internal. 60 IN A 192.0.2.1, and all records of web.svc.internal. away.
    let add = b"\x03new\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
    let delete = b"\x03web\xc0\x0c\0\xff\0\xff\0\0\0\0\0\0";
    for record in [&add[..], delete] {
        let mut message = with_record(zone(), record);
        message.swap(9, 11);
        for answer in both(&server, &message) {
            assert_eq!(answer.rcode(), NotImp);
            assert_eq!(answer.octets[2], 0x80 | 5 << 3);
        }
    }
    assert_eq!(server.ask(WEB, A).answers(), ["A 10.0.0.1"]);
    assert!(server.ask("new.svc.internal.", A).answers().is_empty());
}
