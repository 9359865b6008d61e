//! RFC 7873: cookies, which show that a client is where it says.

use hickory_proto::op::ResponseCode::{BADCOOKIE, FormErr, NoError};
use hickory_proto::rr::RecordType::A;
use namebeat::config::Settings;

use crate::harness::{Answer, Client, TestServer, query};
use crate::oracle;
use crate::raw::{Opt, WEB, both, web, web_with_options, with_record};

pub const COOKIE: u16 = 10;

/// A client's own cookie.
pub const OWN: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// The cookie of a response, the client's and the server's part.
pub fn cookie_of(octets: &[u8]) -> Vec<u8> {
    let options = oracle::options(octets).expect("no OPT");
    let [(COOKIE, cookie)] = &options[..] else {
        panic!("not just a cookie: {options:?}");
    };
    assert_eq!(cookie.len(), 24);
    cookie.clone()
}

/// Asks with this cookie over UDP.
pub fn ask_with(client: &Client, cookie: &[u8]) -> Answer {
    client.exchange(&web_with_options(&[(COOKIE, cookie)]))
}

#[test]
fn section_5_2_1_no_cookie() {
    for answer in both(&web(), &query(WEB, A, Some(1232))) {
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
        assert_eq!(oracle::options(&answer.octets), Some(Vec::new()));
    }
}

/// A cookie has 8 octets, or 16 to 40.
#[test]
fn section_5_2_2_malformed_cookies() {
    let server = web();
    let octets = [7; 64];
    for len in 0..=octets.len() {
        let good = len == 8 || (16..=40).contains(&len);
        let expected = if good { NoError } else { FormErr };
        for answer in both(&server, &web_with_options(&[(COOKIE, &octets[..len])])) {
            assert_eq!(answer.rcode(), expected, "{len}");
            assert_eq!(answer.answers().is_empty(), !good, "{len}");
        }
    }
}

/// Answered at once, with a server cookie for the next time.
#[test]
fn section_5_2_3_only_a_client_cookie() {
    let server = web();
    for answer in both(&server, &web_with_options(&[(COOKIE, &OWN)])) {
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
        assert_eq!(cookie_of(&answer.octets)[..8], OWN);
    }
    // Whatever comes of the question.
    let opt = Opt {
        options: &[(COOKIE, &OWN)],
        ..Opt::default()
    }
    .octets();
    for answer in both(&server, &with_record(query("x.internal.", A, None), &opt)) {
        let options = oracle::options(&answer.octets).unwrap();
        assert_eq!((options[0].0, options[0].1.len()), (COOKIE, 24));
    }
}

/// Answered as well, with a cookie that's better: changed ones, those of other makers.
#[test]
fn section_5_2_4_an_invalid_server_cookie() {
    let server = web();
    let given = cookie_of(&ask_with(&server, &OWN).octets);
    let mut wrong = vec![[&OWN[..], &[9; 8]].concat(), [&OWN[..], &[9; 32]].concat()];
    for at in 0..given.len() {
        let mut cookie = given.clone();
        cookie[at] ^= 1;
        wrong.push(cookie);
    }
    for cookie in wrong {
        let answer = ask_with(&server, &cookie);
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
        let better = cookie_of(&answer.octets);
        assert_ne!(better, cookie);
        assert_eq!(better[..8], cookie[..8]);
        assert_eq!(cookie_of(&ask_with(&server, &better).octets), better);
    }
}

#[test]
fn section_5_2_5_a_valid_server_cookie() {
    let server = web();
    let given = cookie_of(&ask_with(&server, &OWN).octets);
    for answer in both(&server, &web_with_options(&[(COOKIE, &given)])) {
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
        assert_eq!(cookie_of(&answer.octets), given, "it comes back as it was");
    }
}

/// Where cookies are required, BADCOOKIE brings the one to ask again with.
#[test]
fn section_5_2_3_cookies_can_be_required() {
    let server = TestServer::with(Settings {
        require_cookies: Some(true),
        ..Settings::default()
    });
    server.register_web("web-1", 1);
    for cookie in [&OWN[..], &[5; 24], &[5; 40]] {
        let first = ask_with(&server, cookie);
        assert_eq!(first.rcode(), BADCOOKIE);
        assert!(first.answers().is_empty());
        let second = ask_with(&server, &cookie_of(&first.octets));
        assert_eq!(second.answers(), ["A 10.0.0.1"]);
        let [udp, tcp] = both(&server, &web_with_options(&[(COOKIE, cookie)]));
        assert_eq!(udp.rcode(), BADCOOKIE, "each time anew");
        let why = "over TCP nobody's address is forged";
        assert_eq!(tcp.answers(), ["A 10.0.0.1"], "{why}");
    }
    for answer in both(&server, &query(WEB, A, Some(1232))) {
        assert_eq!(answer.answers(), ["A 10.0.0.1"], "without one as ever");
    }
}

/// A client may ask for a cookie and nothing else.
#[test]
fn section_5_4_querying_for_a_server_cookie() {
    let server = web();
    let header = query(WEB, A, None)[..12].to_vec();
    let without_question = |options| {
        let opt = Opt {
            options,
            ..Opt::default()
        };
        let mut message = with_record(header.clone(), &opt.octets());
        message[5] = 0;
        message
    };
    for answer in both(&server, &without_question(&[(COOKIE, &OWN)])) {
        assert_eq!(answer.rcode(), NoError);
        assert!(answer.message.queries.is_empty());
        let given = cookie_of(&answer.octets);
        assert_eq!(cookie_of(&ask_with(&server, &given).octets), given);
    }
    for answer in both(&server, &without_question(&[])) {
        assert_eq!(answer.rcode(), FormErr, "without a cookie it's no query");
    }
}
