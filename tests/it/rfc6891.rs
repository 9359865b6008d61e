//! RFC 6891: EDNS. `check` wants an OPT in each answer to a query that has one, and in
//! no other.

use std::net::UdpSocket;

use hickory_proto::op::ResponseCode::{self, FormErr, NXDomain, NoError, Refused};
use hickory_proto::rr::RecordType::{A, AXFR, TXT};

use crate::harness::{DEADLINE, TestServer, query, receive};
use crate::oracle;
use crate::raw::{Opt, WEB, both, web, web_with, web_with_options, with_record};

/// The code that hickory knows by another name.
const BADVERS: u16 = 16;

/// The OPT record, without options, of a response.
fn opt_of(octets: &[u8]) -> &[u8] {
    let opt = &octets[octets.len() - 11..];
    assert_eq!(opt[..3], [0, 0, 41], "OPT without options, at the end");
    opt
}

/// On every response code, an error of EDNS itself included.
#[test]
fn section_6_1_1_opt_in_the_response_to_one() {
    let server = web();
    let mut chaos = query(WEB, A, Some(1232));
    chaos[query(WEB, A, None).len() - 1] = 3;
    let mut update = query(WEB, A, Some(1232));
    update[2] = 5 << 3;
    let cases: [(Vec<u8>, ResponseCode); 7] = [
        (query(WEB, A, Some(1232)), NoError),
        (query("nope.svc.internal.", A, Some(1232)), NXDomain),
        (query("other.example.", A, Some(1232)), Refused),
        (query(WEB, AXFR, Some(1232)), Refused),
        (chaos, Refused),
        (update, ResponseCode::NotImp),
        (web_with_options(&[(10, &[1; 7])]), FormErr),
    ];
    for (message, rcode) in cases {
        for answer in both(&server, &message) {
            assert_eq!(answer.rcode(), rcode);
            assert!(answer.message.edns.is_some(), "{rcode}");
        }
    }
}

/// At most one, and it belongs to the root.
#[test]
fn section_6_1_1_two_opt_records_or_a_misplaced_one() {
    let server = web();
    let opt = Opt::default().octets();
    let two = with_record(query(WEB, A, Some(1232)), &opt);
    let misplaced = with_record(query(WEB, A, None), &[b"\x01x", &opt[..]].concat());
    for message in [two, misplaced] {
        for answer in both(&server, &message) {
            assert_eq!(answer.rcode(), FormErr);
            assert!(answer.answers().is_empty());
        }
    }
}

/// Options that nobody knows are ignored, and none comes back.
#[test]
fn section_6_1_2_unknown_options() {
    let server = web();
    let options: [(u16, &[u8]); 3] = [(65001, &[1; 300]), (4, b""), (65001, b"again")];
    for answer in both(&server, &web_with_options(&options)) {
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
        assert_eq!(oracle::options(&answer.octets), Some(Vec::new()));
    }
}

/// Lengths that don't add up to those of the record.
#[test]
fn section_6_1_2_options_that_overrun() {
    let server = web();
    for rdata in [
        &b"\xfd"[..],
        b"\xfd\xe9\0",
        b"\xfd\xe9\0\x01",
        b"\xfd\xe9\0\0\0",
        b"\xfd\xe9\xff\xffx",
    ] {
        let mut opt = Opt::default().octets();
        *opt.last_mut().unwrap() = u8::try_from(rdata.len()).unwrap();
        opt.extend_from_slice(rdata);
        for answer in both(&server, &with_record(query(WEB, A, None), &opt)) {
            assert_eq!(answer.rcode(), FormErr, "{rdata:x?}");
        }
    }
}

/// Version 0 is ours; all others are told so, whatever else the query holds.
#[test]
fn section_6_1_3_versions() {
    let server = web();
    for version in [1, 2, 100, 255] {
        let options: [&[(u16, &[u8])]; 2] = [&[], &[(3, b""), (65001, b"x")]];
        for options in options {
            let message = web_with(&Opt {
                version,
                options,
                ..Opt::default()
            });
            for answer in both(&server, &message) {
                assert_eq!(u16::from(answer.rcode()), BADVERS);
                let edns = answer.message.edns.as_ref().unwrap();
                assert_eq!(edns.version(), 0);
                assert!(answer.message.answers.is_empty());
                assert!(answer.message.authorities.is_empty());
            }
        }
    }
    let elsewhere = with_record(
        query("other.example.", A, None),
        &Opt {
            version: 1,
            ..Opt::default()
        }
        .octets(),
    );
    for answer in both(&server, &elsewhere) {
        assert_eq!(
            u16::from(answer.rcode()),
            BADVERS,
            "before the zone is looked for"
        );
    }
}

/// DO comes back as it was (RFC 3225 §3), the other flags as zero.
#[test]
fn section_6_1_4_flags() {
    let server = web();
    for (flags, expected) in [
        (0, 0),
        (0x8000, 0x80),
        (0x7fff, 0),
        (0xffff, 0x80),
        (0x4000, 0),
    ] {
        let message = web_with(&Opt {
            flags,
            ..Opt::default()
        });
        for answer in both(&server, &message) {
            assert_eq!(answer.answers(), ["A 10.0.0.1"], "{flags:#x}");
            assert_eq!(opt_of(&answer.octets)[7..9], [expected, 0], "{flags:#x}");
        }
    }
}

/// A zone with a text of about 460 octets, and one of about 1860.
fn texts() -> TestServer {
    let string = |len: usize| format!(" {}", "x".repeat(len));
    let zone = format!(
        "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nshort TXT{}{}\nlong TXT{}\n",
        string(220),
        string(200),
        string(230).repeat(8),
    );
    TestServer::with_zones(&[("example.zone", &zone)])
}

/// Fewer octets than 512 count as 512.
#[test]
fn section_6_2_3_payload_sizes_below_512() {
    let server = texts();
    for payload in [0, 1, 511, 512] {
        let answer = server.exchange(&query("short.example.", TXT, Some(payload)));
        assert!(!answer.truncated(), "{payload}");
        assert!((450..=512).contains(&answer.octets.len()), "{payload}");
    }
}

/// A response has at most the octets that the client takes.
#[test]
fn section_6_2_3_payload_sizes() {
    let server = texts();
    for (payload, is_cut) in [(512, true), (1232, true), (4096, false), (65535, false)] {
        let answer = server.exchange(&query("long.example.", TXT, Some(payload)));
        assert_eq!(answer.truncated(), is_cut, "{payload}");
        assert!(answer.octets.len() <= usize::from(payload));
    }
}

/// The size in a response's OPT is that of the longest query that is taken over UDP.
#[test]
fn section_6_2_4_the_size_of_a_query() {
    let server = web();
    let sized = |len: usize| {
        let shortest = web_with_options(&[(65001, b"")]);
        web_with_options(&[(65001, &vec![0; len - shortest.len()])])
    };
    let answer = server.ask(WEB, A);
    let opt = opt_of(&answer.octets);
    let size = usize::from(u16::from_be_bytes([opt[3], opt[4]]));
    assert_eq!(size, 4096);
    for answer in both(&server, &sized(size)) {
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
    }
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.dns()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.send(&sized(size + 1)).unwrap();
    let mut next = query(WEB, A, None);
    next[1] = 1;
    socket.send(&next).unwrap();
    let mut octets = [0; 512];
    receive(&socket, &mut octets);
    assert_eq!(octets[..2], next[..2], "a longer one is dropped");
}

/// OPT stays when records have to go, and over TCP nothing has to.
#[test]
fn section_7_truncation() {
    let server = texts();
    let message = query("long.example.", TXT, Some(512));
    let [udp, tcp] = both(&server, &message);
    assert!(udp.truncated() && udp.message.edns.is_some());
    assert!(!tcp.truncated() && tcp.message.edns.is_some());
    assert_eq!(tcp.message.answers.len(), 1);
}
