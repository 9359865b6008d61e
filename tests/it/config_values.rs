//! Configuration values of services, over HTTP and as TXT.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use serde_json::{Value, json};

use crate::harness::{Answer, HttpAnswer, TestServer, query};
use crate::policy::etag;

const WEB: &str = "web.svc.internal.";
const CONFIG: &str = "_config.web.svc.internal.";
const GRPC: &str = "_grpc_config.web.svc.internal.";

fn path(key: &str) -> String {
    format!("/v1/services/web/config/{key}")
}

fn set(server: &TestServer, key: &str, value: &str) -> HttpAnswer {
    server.http("PUT", &path(key), &json!({"value": value}).to_string())
}

/// The texts of an answer's TXT records, each of its strings put together.
fn texts(answer: &Answer) -> Vec<String> {
    let text = |data: &RData| match data {
        RData::TXT(txt) => String::from_utf8(txt.txt_data.concat()).unwrap(),
        other => panic!("{other:?}"),
    };
    let mut texts: Vec<String> = (answer.message.answers.iter())
        .map(|record| text(&record.data))
        .collect();
    texts.sort();
    texts
}

#[test]
fn values_are_set_read_listed_and_taken_back() {
    let server = TestServer::start();
    let list = || server.http("GET", "/v1/services/web/config", "").json();
    assert_eq!(list(), json!({"name": "web", "config": []}));
    let created = set(&server, "Flags", "a=1 é");
    assert_eq!(created.status, 201, "{created:?}");
    let revision = created.json()["revision"].clone();
    assert_eq!(etag(&created), format!("\"{revision}\""));
    let expected = json!({"key": "flags", "value": "a=1 é", "revision": revision});
    let read = server.http("GET", &path("flags"), "");
    assert_eq!((read.status, etag(&read)), (200, etag(&created)));
    assert_eq!(read.json(), expected);
    assert_eq!(list(), json!({"name": "web", "config": [expected]}));
    // What was read can be sent back.
    assert_eq!(server.http("PUT", &path("flags"), &read.body).status, 200);
    assert_eq!(set(&server, "b", "").status, 201);
    assert_eq!(list()["config"].as_array().unwrap().len(), 2);
    for key in ["flags", "b"] {
        assert_eq!(server.http("DELETE", &path(key), "").status, 204);
        assert_eq!(server.http("DELETE", &path(key), "").status, 404);
        let gone = server.http("GET", &path(key), "");
        assert_eq!(
            gone.json()["type"],
            "urn:namebeat:problem:unknown-config-value"
        );
    }
    assert_eq!(list(), json!({"name": "web", "config": []}));
}

#[test]
fn what_cannot_be_taken_is_named() {
    let server = TestServer::start();
    let long = json!({"value": "x".repeat(4097)}).to_string();
    for (key, body, status, field) in [
        ("k", "{}", 422, "value"),
        ("k", r#"{"value": 7}"#, 422, "value"),
        ("k", r#"{"value": "v", "ttl": "5s"}"#, 422, "ttl"),
        ("k", r#"{"value": "v", "key": "other"}"#, 422, "key"),
        ("k", &long, 422, "value"),
        ("_k", r#"{"value": "v"}"#, 422, "key"),
        ("grpc-config", r#"{"value": "{}"}"#, 422, "value"),
        ("grpc-config", r#"{"value": "["}"#, 422, "value"),
        ("k", "v", 400, ""),
    ] {
        let answer = server.http("PUT", &path(key), body);
        assert_eq!(answer.status, status, "{key} {body:.50} {answer:?}");
        let problem = answer.json();
        assert_eq!(
            problem["field"].as_str().unwrap_or_default(),
            field,
            "{problem}"
        );
    }
    let value = "x".repeat(4000);
    for n in 0..4 {
        assert_eq!(set(&server, &format!("long-{n}"), &value).status, 201);
    }
    let refused = set(&server, "k", &value[..400]);
    assert_eq!(refused.status, 413);
    assert!(refused.json()["detail"].as_str().unwrap().contains("16384"));
    for n in 4..64 {
        assert_eq!(set(&server, &format!("k{n}"), "").status, 201);
    }
    let refused = set(&server, "k", "");
    assert_eq!(refused.status, 413);
    assert!(refused.json()["detail"].as_str().unwrap().contains("64"));
}

#[test]
fn conditions_keep_changes_of_others() {
    let server = TestServer::start();
    let call = |method: &str, headers: &str| {
        server.http_with(method, &path("k"), r#"{"value": "v"}"#, headers)
    };
    let first = etag(&call("PUT", "If-None-Match: *\r\n"));
    // Another key is another thing, with a revision of its own.
    assert_ne!(etag(&set(&server, "other", "v")), first);
    assert_eq!(call("PUT", "If-None-Match: *\r\n").status, 412);
    let second = etag(&call("PUT", &format!("If-Match: {first}\r\n")));
    assert_eq!(call("PUT", &format!("If-Match: {first}\r\n")).status, 412);
    assert_eq!(
        call("DELETE", &format!("If-Match: {first}\r\n")).status,
        412
    );
    assert_eq!(
        call("DELETE", &format!("If-Match: {second}\r\n")).status,
        204
    );
}

#[test]
fn promise_1_values_are_in_the_next_answer() {
    let server = TestServer::start();
    assert_eq!(
        server.ask(CONFIG, RecordType::TXT).rcode(),
        ResponseCode::NXDomain
    );
    for n in 0..20 {
        set(&server, "n", &n.to_string());
        for answer in [
            server.ask(CONFIG, RecordType::TXT),
            server.ask_tcp(CONFIG, RecordType::TXT),
        ] {
            assert_eq!(texts(&answer), [format!("n={n}")]);
            assert_eq!(answer.ttl(), 5);
        }
    }
    set(&server, "m", "");
    assert_eq!(texts(&server.ask(CONFIG, RecordType::TXT)), ["m=", "n=19"]);
    server.http("PUT", "/v1/services/web/policy", r#"{"ttl": "9s"}"#);
    assert_eq!(
        server
            .ask("_CONFIG.web.svc.internal.", RecordType::TXT)
            .ttl(),
        9
    );
    server.http("DELETE", &path("n"), "");
    assert_eq!(texts(&server.ask(CONFIG, RecordType::TXT)), ["m="]);
}

#[test]
fn long_values_are_whole_over_tcp() {
    let server = TestServer::start();
    let value: String = ('a'..='z').cycle().take(4096).collect();
    for key in ["a", "b"] {
        assert_eq!(set(&server, key, &value).status, 201);
    }
    assert!(server.ask(CONFIG, RecordType::TXT).truncated());
    let answer = server.ask_tcp(CONFIG, RecordType::TXT);
    assert_eq!(texts(&answer), [format!("a={value}"), format!("b={value}")]);
    let strings = |data: &RData| match data {
        RData::TXT(txt) => txt.txt_data.iter().map(|string| string.len()).collect(),
        other => panic!("{other:?}"),
    };
    let lengths: Vec<usize> = strings(&answer.message.answers[0].data);
    assert_eq!(lengths, [[255; 16].as_slice(), &[4098 - 16 * 255]].concat());
}

/// gRFC A2: a JSON array of choices after `grpc_config=`.
#[test]
fn grpcs_service_config_has_a_name_of_its_own() {
    let server = TestServer::start();
    set(&server, "flags", "on");
    assert_eq!(
        server.ask(GRPC, RecordType::TXT).rcode(),
        ResponseCode::NXDomain
    );
    let choices = json!([{"percentage": 100, "serviceConfig": {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": [{"service": "x".repeat(300)}], "timeout": "1s"}],
    }}]);
    assert_eq!(
        set(&server, "grpc-config", &choices.to_string()).status,
        201
    );
    let told = texts(&server.ask_tcp(GRPC, RecordType::TXT)).remove(0);
    let json = told.strip_prefix("grpc_config=").unwrap();
    assert_eq!(serde_json::from_str::<Value>(json).unwrap(), choices);
    assert_eq!(texts(&server.ask(CONFIG, RecordType::TXT)), ["flags=on"]);
    server.http("DELETE", &path("flags"), "");
    assert_eq!(
        server.ask(CONFIG, RecordType::TXT).rcode(),
        ResponseCode::NXDomain
    );
}

/// RFC 8020: what has something below it exists.
#[test]
fn rfc8020_a_service_exists_by_its_values() {
    let server = TestServer::start();
    set(&server, "k", "v");
    let above = server.ask(WEB, RecordType::A);
    assert_eq!(above.rcode(), ResponseCode::NoError);
    assert_eq!(above.extended_error().unwrap(), (0, "0 registered".into()));
    for (name, rtype, rcode) in [
        (CONFIG, RecordType::A, ResponseCode::NoError),
        (CONFIG, RecordType::SRV, ResponseCode::NoError),
        (
            "x._config.web.svc.internal.",
            RecordType::TXT,
            ResponseCode::NXDomain,
        ),
        (
            "_config.api.svc.internal.",
            RecordType::TXT,
            ResponseCode::NXDomain,
        ),
        (
            "_config.svc.internal.",
            RecordType::TXT,
            ResponseCode::NXDomain,
        ),
        (
            "web-1.web.svc.internal.",
            RecordType::A,
            ResponseCode::NXDomain,
        ),
        (
            "_web._tcp.svc.internal.",
            RecordType::SRV,
            ResponseCode::NXDomain,
        ),
    ] {
        let answer = server.ask(name, rtype);
        assert_eq!(answer.rcode(), rcode, "{name} {rtype}");
        answer.negative_soa();
    }
    let any = server.exchange(&query(CONFIG, RecordType::ANY, Some(1232)));
    assert_eq!(any.answers(), ["HINFO RFC8482 "]);
    server.register_web("web-1", 1);
    assert_eq!(texts(&server.ask(CONFIG, RecordType::TXT)), ["k=v"]);
    assert_eq!(server.ask(WEB, RecordType::A).answers(), ["A 10.0.0.1"]);
}
