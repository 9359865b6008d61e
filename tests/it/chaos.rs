//! Class CH, in which people ask a server for its version and its name.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::DNSClass;
use hickory_proto::rr::RecordType::{self, A, TXT};
use namebeat::config::Settings;

use crate::harness::{TestServer, query};
use crate::raw::{WEB, web};

/// A query in class CH.
fn chaos(name: &str, rtype: RecordType) -> Vec<u8> {
    let mut message = query(name, rtype, None);
    *message.last_mut().unwrap() = 3;
    message
}

#[test]
fn version_and_name_are_said_where_that_is_wanted() {
    let silent = web();
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
