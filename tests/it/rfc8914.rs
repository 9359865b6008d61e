//! RFC 8914: extended errors say why, to those who have EDNS.

use hickory_proto::op::ResponseCode::{NoError, Refused};
use hickory_proto::rr::RecordType::{A, AXFR};
use namebeat::config::Settings;
use serde_json::json;

use crate::harness::{TestServer, query};
use crate::raw::{WEB, both, web};

/// Asks with EDNS and without, over UDP and TCP, and wants this error.
#[track_caller]
fn want(server: &TestServer, message: &[u8], code: u16, text: &str) {
    for answer in both(server, message) {
        let expected = Some((code, text.to_owned()));
        assert_eq!(answer.extended_error(), expected);
    }
    // OPT is the last 11 octets.
    let mut without = message[..message.len() - 11].to_vec();
    without[11] = 0;
    for answer in both(server, &without) {
        assert!(answer.message.edns.is_none());
    }
}

/// Other (§4.1): the service is there and nobody is listed. NOERROR may have one, too.
#[test]
fn section_4_1_other_says_why_nobody_is_listed() {
    let server = TestServer::start();
    let check = json!({"kind": "tcp", "interval": "1h"});
    for id in ["a", "b"] {
        let body = json!({"name": "web", "host": "10.0.0.1", "port": 1, "health_check": check});
        server.register(id, body);
    }
    server.register_web("c", 3);
    assert!(
        server.ask(WEB, A).extended_error().is_none(),
        "one is listed"
    );
    server.http("POST", "/v1/instances/c/drain", "");
    let text = "3 registered: 2 starting, 1 draining";
    want(&server, &query(WEB, A, Some(1232)), 0, text);
    assert_eq!(server.ask(WEB, A).rcode(), NoError);
}

#[test]
fn section_4_19_prohibited() {
    let server = TestServer::with(Settings {
        deny_query: Some(vec!["127.0.0.0/8".parse().unwrap()]),
        ..Settings::default()
    });
    server.register_web("web-1", 1);
    let text = "this server doesn't answer your network";
    want(&server, &query(WEB, A, Some(1232)), 18, text);
    assert_eq!(server.ask(WEB, A).rcode(), Refused);
}

#[test]
fn section_4_21_not_authoritative() {
    let text = "the name is in no zone of this server";
    want(&web(), &query("a.example.", A, Some(1232)), 20, text);
}

#[test]
fn section_4_22_not_supported() {
    let server = web();
    let transfer = query("svc.internal.", AXFR, Some(1232));
    want(&server, &transfer, 21, "zone transfers are not offered");
    let mut chaos = query(WEB, A, Some(1232));
    chaos[query(WEB, A, None).len() - 1] = 3;
    want(&server, &chaos, 21, "only class IN is served");
}
