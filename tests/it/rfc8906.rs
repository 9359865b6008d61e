//! RFC 8906: what servers get wrong, by its list of tests (§8). Each is done over UDP
//! and over TCP (§8.1.5).

use hickory_proto::op::ResponseCode::{self, NXDomain, NoError, NotImp};
use hickory_proto::rr::RecordType::{self, SOA};

use crate::harness::{Answer, TestServer, query};
use crate::oracle;
use crate::raw::{Opt, both, web, with_record};

const ZONE: &str = "svc.internal.";

/// What a version that isn't known is answered with.
const BADVERS: u16 = 16;

/// The question for the zone's SOA, and what the header's two octets of flags are.
fn soa(flags: [u8; 2]) -> Vec<u8> {
    let mut message = query(ZONE, SOA, None);
    message[2..4].copy_from_slice(&flags);
    message
}

fn soa_with(opt: &Opt<'_>) -> Vec<u8> {
    with_record(soa([0, 0]), &opt.octets())
}

/// Wants the SOA with these flags.
#[track_caller]
fn has_soa(answer: &Answer, flags: [u8; 2]) {
    assert_eq!(answer.octets[2..4], flags);
    let [record] = &answer.message.answers[..] else {
        panic!("not one record: {answer:?}");
    };
    assert_eq!(record.record_type(), SOA);
}

/// Wants an OPT of version 0, with these flags and without options.
#[track_caller]
fn has_plain_opt(answer: &Answer, flags: [u8; 2]) {
    let opt = &answer.octets[answer.octets.len() - 11..];
    assert_eq!(opt[..3], [0, 0, 41]);
    assert_eq!(opt[6], 0, "version");
    assert_eq!(opt[7..], [flags[0], flags[1], 0, 0]);
}

/// Wants BADVERS without records.
#[track_caller]
fn is_badvers(answer: &Answer) {
    assert_eq!(u16::from(answer.rcode()), BADVERS);
    assert!(answer.message.answers.is_empty());
    assert!(answer.message.authorities.is_empty());
}

#[test]
fn section_8_1_1_is_the_server_configured_for_the_zone() {
    for answer in both(&web(), &soa([0, 0])) {
        has_soa(&answer, [0x84, 0]);
        assert!(answer.message.edns.is_none());
    }
}

/// All types but those that are about messages: of nothing there is a record.
#[test]
fn section_8_1_2_unknown_types() {
    let server = web();
    for name in [ZONE, "web.svc.internal."] {
        for answer in both(&server, &query(name, RecordType::Unknown(1000), None)) {
            assert_eq!(answer.octets[2..4], [0x84, 0]);
            assert_eq!(answer.negative_soa().0, ZONE);
        }
    }
    let missing = query("x.svc.internal.", RecordType::Unknown(1000), None);
    assert_eq!(server.exchange(&missing).rcode(), NXDomain);
}

/// Meta types, types of DNSSEC and those that never were: no record, and no failure.
#[test]
fn section_8_1_2_odd_types() {
    let server = TestServer::with_zones(&[(
        "example.zone",
        "$TTL 60\n@ SOA ns.test. host.test. 1 2 3 4 5\n@ NS ns.test.\na A 192.0.2.1\n",
    )]);
    server.register_web("web-1", 1);
    for rtype in [0, 41, 46, 47, 48, 50, 249, 250, 253, 254, 65535] {
        for name in ["web.svc.internal.", "a.example.", "example."] {
            let message = query(name, RecordType::from(rtype), None);
            for answer in both(&server, &message) {
                assert_eq!(answer.rcode(), NoError, "{name} TYPE{rtype}");
                assert_eq!(answer.message.authorities.len(), 1);
                answer.negative_soa();
            }
        }
    }
}

/// CD, AD and the bit that nobody has defined: ignored, and not copied.
#[test]
fn section_8_1_3_1_to_3_header_bits() {
    let server = web();
    for bits in [0x10, 0x20, 0x40, 0x70] {
        for answer in both(&server, &soa([0, bits])) {
            has_soa(&answer, [0x84, 0]);
        }
    }
    // Nor are those that only a response has, and rcodes.
    for [high, low] in [[0x04, 0], [0x02, 0], [0, 0x80], [0x06, 0xff]] {
        for answer in both(&server, &soa([high, low])) {
            has_soa(&answer, [0x84, 0]);
        }
    }
}

/// RD is copied; there's no recursion.
#[test]
fn section_8_1_3_4_recursive_queries() {
    for answer in both(&web(), &soa([1, 0])) {
        has_soa(&answer, [0x85, 0]);
    }
}

/// NOTIMP with the opcode and the id, to a bare header as well.
#[test]
fn section_8_1_4_unknown_opcodes() {
    let server = web();
    for opcode in 1..16 {
        let mut whole = soa([opcode << 3, 0]);
        let mut bare = whole[..12].to_vec();
        bare[5] = 0;
        let with_opt = with_record(whole.clone(), &Opt::default().octets());
        whole[3] = 0x7f;
        for message in [whole, bare, with_opt] {
            for answer in both(&server, &message) {
                assert_eq!(answer.octets[..2], message[..2], "id");
                assert_eq!(answer.octets[2], 0x80 | opcode << 3);
                assert_eq!(answer.octets[3], 4, "NOTIMP");
                assert_eq!(answer.message.edns.is_some(), message[11] == 1);
                assert!(answer.octets.len() <= message.len());
            }
        }
    }
}

#[test]
fn section_8_2_1_minimal_edns() {
    for answer in both(&web(), &soa_with(&Opt::default())) {
        has_soa(&answer, [0x84, 0]);
        has_plain_opt(&answer, [0, 0]);
    }
}

#[test]
fn section_8_2_2_edns_version_negotiation() {
    for answer in both(
        &web(),
        &soa_with(&Opt {
            version: 1,
            ..Opt::default()
        }),
    ) {
        is_badvers(&answer);
        has_plain_opt(&answer, [0, 0]);
    }
}

#[test]
fn section_8_2_3_unknown_edns_options() {
    for answer in both(
        &web(),
        &soa_with(&Opt {
            options: &[(100, b"")],
            ..Opt::default()
        }),
    ) {
        has_soa(&answer, [0x84, 0]);
        has_plain_opt(&answer, [0, 0]);
    }
}

#[test]
fn section_8_2_4_unknown_edns_flags() {
    for flags in [0x40, 0x4000, 0x7fff] {
        let opt = Opt {
            flags,
            ..Opt::default()
        };
        for answer in both(&web(), &soa_with(&opt)) {
            has_soa(&answer, [0x84, 0]);
            has_plain_opt(&answer, [0, 0]);
        }
    }
}

#[test]
fn section_8_2_5_edns_version_negotiation_with_unknown_edns_flags() {
    for answer in both(
        &web(),
        &soa_with(&Opt {
            version: 1,
            flags: 0x40,
            ..Opt::default()
        }),
    ) {
        is_badvers(&answer);
        has_plain_opt(&answer, [0, 0]);
    }
}

#[test]
fn section_8_2_6_edns_version_negotiation_with_unknown_edns_options() {
    for answer in both(
        &web(),
        &soa_with(&Opt {
            version: 1,
            options: &[(100, b"")],
            ..Opt::default()
        }),
    ) {
        is_badvers(&answer);
        has_plain_opt(&answer, [0, 0]);
    }
}

#[test]
fn section_8_2_7_truncated_responses() {
    let server = web();
    for n in 2..100 {
        server.register_web(&format!("web-{n}"), n);
    }
    let opt = Opt {
        payload: 512,
        ..Opt::default()
    };
    let message = query("web.svc.internal.", RecordType::SRV, None);
    let [udp, tcp] = both(&server, &with_record(message, &opt.octets()));
    assert!(udp.truncated() && udp.octets.len() <= 512);
    assert!(!tcp.truncated());
    has_plain_opt(&udp, [0, 0]);
    has_plain_opt(&tcp, [0, 0]);
}

#[test]
fn section_8_2_8_do_1() {
    for answer in both(
        &web(),
        &soa_with(&Opt {
            flags: 0x8000,
            ..Opt::default()
        }),
    ) {
        has_soa(&answer, [0x84, 0]);
        has_plain_opt(&answer, [0x80, 0]);
    }
}

#[test]
fn section_8_2_9_edns_version_negotiation_with_do_1() {
    for answer in both(
        &web(),
        &soa_with(&Opt {
            version: 1,
            flags: 0x8000,
            ..Opt::default()
        }),
    ) {
        is_badvers(&answer);
        has_plain_opt(&answer, [0x80, 0]);
    }
}

/// NSID, COOKIE, EXPIRE, client subnet, keepalive and padding at once: those that are
/// known here are answered, the others never unasked.
#[test]
fn section_8_2_10_multiple_defined_edns_options() {
    let options: [(u16, &[u8]); 6] = [
        (3, b""),
        (8, &[0, 1, 0, 0]),
        (9, b""),
        (10, &[1; 8]),
        (11, b""),
        (12, &[0; 16]),
    ];
    for answer in both(
        &web(),
        &soa_with(&Opt {
            options: &options,
            ..Opt::default()
        }),
    ) {
        has_soa(&answer, [0x84, 0]);
        let answered = oracle::options(&answer.octets).unwrap();
        let codes: Vec<u16> = answered.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [10], "this server has no name to tell");
    }
}

/// A zone that isn't here: an answer, too (§3.1.1).
#[test]
fn section_3_1_1_unknown_zones() {
    for name in ["other.example.", "internal.", "xsvc.internal.", "."] {
        for answer in both(&web(), &query(name, SOA, Some(1232))) {
            assert_eq!(answer.rcode(), ResponseCode::Refused, "{name}");
            assert!(!answer.message.metadata.authoritative);
            assert!(answer.message.answers.is_empty());
            assert!(answer.message.authorities.is_empty(), "no upward referral");
        }
    }
    let unknown = query(ZONE, SOA, None);
    let mut status = unknown.clone();
    status[2] = 2 << 3;
    assert_eq!(web().exchange(&status).rcode(), NotImp);
}
