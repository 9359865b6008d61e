//! RFC 9018: how server cookies are made. Its own examples are in the unit tests of
//! `dns::cookie`, where the secret and the time can be set.

use std::net::UdpSocket;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::{DEADLINE, receive};
use crate::raw::{web, web_with_options};
use crate::rfc7873::{COOKIE, OWN, ask_with, cookie_of};

/// Version 1, three octets of zero, the time, and a hash of eight octets.
#[test]
fn section_4_the_parts_of_a_server_cookie() {
    let server = web();
    let seconds = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        u32::try_from(since.as_secs()).unwrap()
    };
    let before = seconds();
    let cookie = cookie_of(&ask_with(&server, &OWN).octets);
    assert_eq!(cookie[..8], OWN);
    assert_eq!(cookie[8..12], [1, 0, 0, 0]);
    let made = u32::from_be_bytes(cookie[12..16].try_into().unwrap());
    // The server's clock starts between two seconds of this one.
    assert!((before - 1..=seconds() + 1).contains(&made));
}

/// The time can't be moved, nor version and zeros changed.
#[test]
fn section_4_3_what_is_checked() {
    let server = web();
    let given = cookie_of(&ask_with(&server, &OWN).octets);
    for at in 8..16 {
        let mut cookie = given.clone();
        cookie[at] ^= 1;
        let answer = cookie_of(&ask_with(&server, &cookie).octets);
        assert_ne!(answer, cookie, "octet {at}");
    }
}

/// The client's address is part of the hash: nobody else has use for the cookie.
#[test]
fn section_4_4_another_address() {
    let server = web();
    let given = cookie_of(&ask_with(&server, &OWN).octets);
    let from = |address: &str| {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let message = web_with_options(&[(COOKIE, &given)]);
        socket.send_to(&message, server.dns()).unwrap();
        let mut octets = [0; 4096];
        let len = receive(&socket, &mut octets);
        cookie_of(&octets[..len])
    };
    assert_eq!(from("127.0.0.1"), given);
    assert_ne!(from("127.0.0.2"), given);
}

/// Two servers with secrets of their own don't take each other's.
#[test]
fn section_5_another_secret() {
    let (one, other) = (web(), web());
    let given = cookie_of(&ask_with(&one, &OWN).octets);
    assert_ne!(cookie_of(&ask_with(&other, &given).octets), given);
}
