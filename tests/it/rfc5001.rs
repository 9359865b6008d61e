//! RFC 5001: which server answers, for those who ask by NSID.

use hickory_proto::rr::RecordType::A;
use namebeat::config::Settings;

use crate::harness::{TestServer, query};
use crate::oracle;
use crate::raw::{Opt, WEB, both, web, web_with_options, with_record};

const NSID: u16 = 3;

fn named() -> TestServer {
    let server = TestServer::with(Settings {
        server_id: Some("ns1".to_owned()),
        ..Settings::default()
    });
    server.register_web("web-1", 1);
    server
}

/// Only to those who ask: in every kind of response then.
#[test]
fn section_2_2_name_server_behavior() {
    let server = named();
    let mine = Some(vec![(NSID, b"ns1".to_vec())]);
    let opt = Opt {
        options: &[(NSID, b"")],
        ..Opt::default()
    }
    .octets();
    for name in [WEB, "nope.svc.internal.", "_tcp.web.svc.internal."] {
        for answer in both(&server, &with_record(query(name, A, None), &opt)) {
            assert_eq!(oracle::options(&answer.octets), mine, "{name}");
        }
        for answer in both(&server, &query(name, A, Some(1232))) {
            assert_eq!(oracle::options(&answer.octets), Some(Vec::new()), "{name}");
        }
        for answer in both(&server, &query(name, A, None)) {
            assert_eq!(oracle::options(&answer.octets), None, "{name}");
        }
    }
    // Beside it stands why it's refused.
    let refused = with_record(query("other.example.", A, None), &opt);
    for answer in both(&server, &refused) {
        let options = oracle::options(&answer.octets).unwrap();
        assert_eq!(options[0], (NSID, b"ns1".to_vec()));
        assert_eq!(options[1].0, 15);
    }
}

/// A client sends none of its own; if it does, that's passed over.
#[test]
fn section_2_1_data_in_a_query() {
    let server = named();
    for answer in both(&server, &web_with_options(&[(NSID, b"somebody")])) {
        assert_eq!(answer.answers(), ["A 10.0.0.1"]);
        let options = oracle::options(&answer.octets);
        assert_eq!(options, Some(vec![(NSID, b"ns1".to_vec())]));
    }
}

#[test]
fn section_3_nothing_is_said_unless_it_is_wanted() {
    for answer in both(&web(), &web_with_options(&[(NSID, b"")])) {
        assert_eq!(oracle::options(&answer.octets), Some(Vec::new()));
    }
}
