//! RFC 9619: a query has one question.

use hickory_proto::op::ResponseCode::FormErr;
use hickory_proto::rr::RecordType::{A, SRV};

use crate::harness::query;
use crate::raw::{Opt, WEB, both, web, with_record};

/// None, two, more, as many as can be said, whether they are there or not.
#[test]
fn section_4_another_number_of_questions() {
    let server = web();
    let one = query(WEB, A, None);
    let second = &query(WEB, SRV, None)[12..];
    let counted = |count: u16, questions: &[u8]| {
        let mut message = [&one[..12], questions].concat();
        message[4..6].copy_from_slice(&count.to_be_bytes());
        message
    };
    let first = &one[12..];
    for message in [
        counted(0, b""),
        counted(0, first),
        counted(2, first),
        counted(2, &[first, second].concat()),
        counted(2, &[first, first].concat()),
        counted(3, &[first, second, first].concat()),
        counted(65_535, first),
        counted(1, b""),
        counted(1, &[first, second].concat()),
    ] {
        let with_opt = with_record(message.clone(), &Opt::default().octets());
        for message in [message, with_opt] {
            for answer in both(&server, &message) {
                assert_eq!(answer.rcode(), FormErr, "{message:x?}");
                assert!(answer.message.answers.is_empty());
                assert_eq!(answer.octets[..2], message[..2]);
                assert!(answer.octets.len() <= message.len().max(12) + 11);
            }
        }
    }
}

#[test]
fn section_4_one_question() {
    for answer in both(&web(), &query(WEB, A, None)) {
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
        assert_eq!(answer.message.queries.len(), 1);
    }
}
