//! Messages on the wire, by RFC and section.

use std::net::TcpStream;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::RecordType::{self, A, AXFR, HINFO, SRV, TXT};
use namebeat::config::Settings;
use proptest::prelude::*;

use crate::harness::{Answer, DEADLINE, TestServer, query, receive_framed, send_framed};

const WEB: &str = "web.svc.internal.";

fn server() -> TestServer {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    server
}

/// `query(WEB, A)` with EDNS and octets replaced at places.
fn changed(places: &[(usize, u8)]) -> Vec<u8> {
    let mut message = query(WEB, A, Some(1232));
    for (at, octet) in places {
        message[*at] = *octet;
    }
    message
}

#[test]
fn rfc1035_4_1_1_header_of_an_answer() {
    let server = server();
    let mut message = query(WEB, A, None);
    message[2] = 0x01; // RD
    let answer = server.exchange(&message);
    assert_eq!(
        answer.octets[..4],
        [0x4e, 0x42, 0x85, 0x00],
        "QR AA RD, not RA"
    );
    message[2] = 0x00;
    message[3] = 0x30; // AD and CD, which are not copied
    assert_eq!(server.exchange(&message).octets[2..4], [0x84, 0x00]);
}

#[test]
fn rfc4343_the_question_comes_back_as_asked() {
    let server = server();
    for name in [
        "WEB.svc.internal.",
        "wEb.SvC.iNtErNaL.",
        "NOPE.Svc.Internal.",
    ] {
        for octets in [
            server.udp(&query(name, A, None)).unwrap(),
            server.exchange_tcp(&query(name, A, None)),
        ] {
            let asked = query(name, A, None);
            assert_eq!(octets[12..asked.len()], asked[12..], "{name}");
            let answer = Answer::new(octets);
            for record in answer
                .message
                .answers
                .iter()
                .chain(&answer.message.authorities)
            {
                let owner = record.name.to_string();
                assert!(name.ends_with(&owner), "{owner} in answer to {name}");
            }
        }
    }
}

#[test]
fn rfc1035_4_1_1_a_response_is_not_answered() {
    let server = server();
    assert_eq!(server.udp(&changed(&[(2, 0x80)])), None);
    assert_eq!(server.udp(&query(WEB, A, None)[..11]), None);
}

#[test]
fn rfc8906_3_1_4_unknown_opcodes_are_not_implemented() {
    let server = server();
    for opcode in [1, 2, 3, 15] {
        let answer = server.exchange(&changed(&[(2, opcode << 3)]));
        assert_eq!(answer.rcode(), ResponseCode::NotImp, "{opcode}");
        assert_eq!(answer.octets[2] >> 3 & 0xf, opcode);
        assert!(answer.message.edns.is_some());
        assert!(!answer.message.metadata.authoritative);
    }
}

#[test]
fn rfc9619_one_question() {
    let server = server();
    let none = changed(&[(5, 0), (11, 0)]);
    let mut two = query(WEB, A, None);
    two[5] = 2;
    two.extend_from_slice(&query(WEB, SRV, None)[12..]);
    for message in [&none[..12], &two] {
        assert_eq!(
            server.exchange(message).rcode(),
            ResponseCode::FormErr,
            "{message:?}"
        );
    }
}

#[test]
fn rfc6891_6_1_1_opt_in_every_answer_to_a_query_with_one() {
    let server = server();
    for (name, rtype) in [
        (WEB, A),
        ("nope.svc.internal.", A),
        ("other.example.", A),
        (WEB, AXFR),
    ] {
        let with = server.exchange(&query(name, rtype, Some(1232)));
        assert!(with.message.edns.is_some(), "{name}");
        assert_eq!(with.octets.len().min(1232), with.octets.len());
        let without = server.exchange(&query(name, rtype, None));
        assert!(without.message.edns.is_none(), "{name}");
    }
}

#[test]
fn rfc6891_6_1_3_versions_above_0() {
    let server = server();
    let at = query(WEB, A, None).len() + 6; // root, type, class, extended rcode
    let answer = server.exchange(&changed(&[(at, 1)]));
    assert_eq!(u16::from(answer.rcode()), 16, "BADVERS");
    assert!(answer.message.answers.is_empty());
    assert_eq!(answer.message.edns.as_ref().unwrap().version(), 0);
}

#[test]
fn rfc3225_3_do_is_copied() {
    let server = server();
    let at = query(WEB, A, None).len() + 7;
    for (octet, expected) in [(0x80, true), (0, false)] {
        let answer = server.exchange(&changed(&[(at, octet)]));
        let edns = answer.message.edns.unwrap();
        assert_eq!(edns.flags().dnssec_ok, expected);
    }
}

#[test]
fn rfc6891_6_1_2_unknown_options_are_ignored() {
    let server = server();
    let mut message = query(WEB, A, Some(1232));
    let last = message.len() - 1;
    message[last] = 12; // Option 65001 of 8 octets
    message.extend_from_slice(&[0xfd, 0xe9, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    let answer = server.exchange(&message);
    assert_eq!(answer.answers(), ["A 10.0.0.1"]);
    assert!(answer.message.edns.unwrap().options().as_ref().is_empty());
}

#[test]
fn rfc7873_5_2_cookies_are_given_and_known_again() {
    let server = server();
    let with_cookie = |cookie: &[u8]| {
        let mut message = query(WEB, A, Some(1232));
        let last = message.len() - 1;
        let len = u8::try_from(cookie.len()).unwrap();
        message[last] = len + 4;
        message.extend_from_slice(&[0, 10, 0, len]);
        message.extend_from_slice(cookie);
        let octets = server.exchange(&message).octets;
        // OPT is last, and the cookie its only option.
        let start = octets.len() - 28;
        assert_eq!(octets[start..start + 4], [0, 10, 0, 24]);
        octets[start + 4..].to_vec()
    };
    let client = [1, 2, 3, 4, 5, 6, 7, 8];
    let given = with_cookie(&client);
    assert_eq!(given[..8], client);
    assert_eq!(
        with_cookie(&given),
        given,
        "a fresh one comes back as it was"
    );
    let mut wrong = given.clone();
    wrong[23] ^= 1;
    assert_ne!(with_cookie(&wrong), wrong);
}

#[test]
fn rfc6891_7_other_zones_classes_and_transfers_are_refused() {
    let server = server();
    let class_at = query(WEB, A, None).len() - 1;
    let mut chaos = query(WEB, A, Some(1232));
    chaos[class_at] = 3;
    for message in [
        query("other.example.", A, Some(1232)),
        query("internal.", A, Some(1232)),
        query("xsvc.internal.", A, Some(1232)),
        query(".", A, Some(1232)),
        query(WEB, AXFR, Some(1232)),
        chaos,
    ] {
        let answer = server.exchange(&message);
        assert_eq!(answer.rcode(), ResponseCode::Refused);
        assert!(!answer.message.metadata.authoritative);
        assert!(answer.answers().is_empty() && answer.message.authorities.is_empty());
        assert!(answer.extended_error().is_some());
    }
}

#[test]
fn rfc8482_4_2_any() {
    let server = server();
    let answer = server.ask(WEB, RecordType::ANY);
    assert_eq!(answer.message.answers.len(), 1);
    assert_eq!(answer.message.answers[0].record_type(), HINFO);
    assert!(
        server
            .ask("_tcp.web.svc.internal.", RecordType::ANY)
            .answers()
            .is_empty()
    );
}

#[test]
fn rfc7766_6_2_1_a_connection_serves_many_queries() {
    let server = server();
    let mut stream = TcpStream::connect(server.dns()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    for id in 0..100_u8 {
        let mut message = query(WEB, A, None);
        message[1] = id;
        send_framed(&mut stream, &message);
    }
    let mut ids: Vec<u8> = (0..100).map(|_| receive_framed(&mut stream)[1]).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..100).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is sent, the server answers the next query; what is answered is
    /// a response with the id of what was sent.
    #[test]
    fn rfc9267_mutated_queries(
        changes in prop::collection::vec((0usize..44, any::<u8>()), 0..6), cut in 0usize..60,
    ) {
        thread_local! {
            static SERVER: TestServer = server();
        }
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

/// A query in class CH.
fn chaos(name: &str, rtype: RecordType) -> Vec<u8> {
    let mut message = query(name, rtype, None);
    *message.last_mut().unwrap() = 3;
    message
}

#[test]
fn class_ch_says_version_and_name_where_that_is_wanted() {
    let silent = server();
    let refused = silent.exchange(&chaos("version.bind.", TXT));
    assert_eq!(refused.rcode(), ResponseCode::Refused);
    let server = TestServer::with(Settings {
        chaos: Some(true),
        server_id: Some("ns1.example".to_owned()),
        ..Settings::default()
    });
    let version = format!("TXT namebeat {}", env!("CARGO_PKG_VERSION"));
    for (name, text) in [
        ("version.bind.", &*version),
        ("VERSION.Server.", &version),
        ("id.server.", "TXT ns1.example"),
        ("hostname.bind.", "TXT ns1.example"),
    ] {
        let answer = server.exchange(&chaos(name, TXT));
        assert_eq!(answer.answers(), [text], "{name}");
        let record = &answer.message.answers[0];
        assert_eq!((record.dns_class, record.ttl), (DNSClass::CH, 0));
        assert_eq!(server.exchange(&chaos(name, TXT)).answers(), [text]);
    }
    for (name, rtype) in [("version.bind.", A), ("authors.bind.", TXT), (WEB, A)] {
        let answer = server.exchange(&chaos(name, rtype));
        assert_eq!(answer.rcode(), ResponseCode::Refused, "{name}");
    }
    // In class IN they are names like any other.
    assert_eq!(
        server.ask("version.bind.", TXT).rcode(),
        ResponseCode::Refused
    );
}

#[test]
fn rfc5001_2_nsid_is_told_to_those_who_ask() {
    let ask = |server: &TestServer| {
        let mut message = query(WEB, A, Some(1232));
        *message.last_mut().unwrap() = 4;
        message.extend_from_slice(&[0, 3, 0, 0]);
        server.exchange(&message).octets
    };
    let nsid = b"\0\x03\0\x03ns1";
    let named = TestServer::with(Settings {
        server_id: Some("ns1".to_owned()),
        ..Settings::default()
    });
    assert!(ask(&named).ends_with(nsid));
    let unasked = named.ask(WEB, A).octets;
    assert!(!unasked.windows(nsid.len()).any(|octets| octets == nsid));
    assert!(ask(&server()).ends_with(b"\0\0"), "no options at all");
}

#[test]
fn rfc7873_5_2_3_cookies_can_be_required() {
    let server = TestServer::with(Settings {
        require_cookies: Some(true),
        ..Settings::default()
    });
    server.register_web("web-1", 1);
    let with_cookie = |cookie: &[u8]| {
        let mut message = query(WEB, A, Some(1232));
        let len = u8::try_from(cookie.len()).unwrap();
        *message.last_mut().unwrap() = len + 4;
        message.extend_from_slice(&[0, 10, 0, len]);
        message.extend_from_slice(cookie);
        message
    };
    for _ in 0..2 {
        let first = server.exchange(&with_cookie(&[5; 8]));
        assert_eq!(first.rcode(), ResponseCode::BADCOOKIE);
        assert!(first.answers().is_empty());
        let given = &first.octets[first.octets.len() - 24..];
        let second = server.exchange(&with_cookie(given));
        assert_eq!(second.answers(), ["A 10.0.0.1"]);
    }
    let stream = Answer::new(server.exchange_tcp(&with_cookie(&[5; 8])));
    assert_eq!(
        stream.answers(),
        ["A 10.0.0.1"],
        "over TCP nobody's address is forged"
    );
    assert_eq!(
        server.ask(WEB, A).answers(),
        ["A 10.0.0.1"],
        "without a cookie as ever"
    );
}
