//! Policies of services, over HTTP and in answers.

mod answers;

use namebeat::api::policy::PolicyFields;
use namebeat::config::Settings;
use namebeat::registry::policy::Policy;
use serde_json::{Value, json};

use crate::harness::{HttpAnswer, TestServer};

const WEB: &str = "web.svc.internal.";
const PATH: &str = "/v1/services/web/policy";

/// Policies of every kind, for tests that draw one.
pub fn examples() -> Vec<Policy> {
    [
        json!({}),
        json!({"ttl": "2s", "negative_ttl": "0s", "max_answers": 1}),
        json!({"max_answers": 3, "when_none_healthy": "all"}),
        json!({"when_none_healthy": "all", "txt": "none"}),
        json!({"when_none_healthy": "nxdomain", "ttl": "1h", "negative_ttl": "7s"}),
        json!({"when_none_healthy": "nxdomain", "txt": {"strings": ["a=b", ""]}, "max_answers": 9}),
    ]
    .map(|body| {
        let fields: PolicyFields = serde_json::from_value(body).unwrap();
        Policy::try_from(fields).unwrap()
    })
    .into()
}

/// The `ETag` of an answer.
pub fn etag(answer: &HttpAnswer) -> String {
    let mut lines = answer.headers.lines();
    let tag = lines.find_map(|line| line.strip_prefix("etag: "));
    tag.unwrap_or_else(|| panic!("no ETag: {answer:?}"))
        .to_owned()
}

/// Sets the policy of `web`, which must be taken.
fn set(server: &TestServer, policy: &Value) -> HttpAnswer {
    let answer = server.http("PUT", PATH, &policy.to_string());
    assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    answer
}

/// Registers `web-N` at 10.0.0.N for each N, and has those of `failing` say they are.
fn register(server: &TestServer, all: impl Iterator<Item = u8>, failing: &[u8]) {
    for n in all {
        server.register_web(&format!("web-{n}"), n);
        if failing.contains(&n) {
            let path = format!("/v1/instances/web-{n}/heartbeat");
            let answer = server.http("POST", &path, r#"{"status": "failing"}"#);
            assert_eq!(answer.status, 200);
        }
    }
}

#[test]
fn a_policy_is_set_read_and_taken_back() {
    let server = TestServer::start();
    let missing = server.http("GET", PATH, "");
    assert_eq!(missing.status, 404);
    assert_eq!(
        missing.json()["type"],
        "urn:namebeat:problem:unknown-policy"
    );
    assert_eq!(server.http("DELETE", PATH, "").status, 404);
    let body = json!({"ttl": "1m", "max_answers": 8, "txt": {"strings": ["a", "b"]}});
    let created = server.http("PUT", PATH, &body.to_string());
    assert_eq!(created.status, 201, "{created:?}");
    let revision = created.json()["revision"].as_u64().unwrap();
    assert_eq!(etag(&created), format!("\"{revision}\""));
    let expected = json!({"ttl": "1m", "max_answers": 8, "when_none_healthy": "nodata",
        "txt": {"strings": ["a", "b"]}, "revision": revision});
    let read = server.http("GET", PATH, "");
    assert_eq!((read.status, read.json()), (200, expected));
    assert_eq!(etag(&read), etag(&created));
    // What was read can be sent back; what is left out is the server's again.
    let again = server.http("PUT", PATH, &read.body);
    assert_eq!(again.status, 200);
    let later = again.json()["revision"].as_u64().unwrap();
    assert!(revision < later);
    let empty = set(&server, &json!({})).json();
    assert_eq!(empty["ttl"], Value::Null);
    assert_eq!(
        (&empty["txt"], &empty["when_none_healthy"]),
        (&json!("instances"), &json!("nodata"))
    );
    let deleted = server.http("DELETE", PATH, "");
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_eq!(server.http("GET", PATH, "").status, 404);
}

#[test]
fn what_cannot_be_taken_is_named() {
    let server = TestServer::start();
    for (body, status, field) in [
        (r#"{"ttl": "2h"}"#, 422, "ttl"),
        (r#"{"ttl": 5}"#, 422, "ttl"),
        (r#"{"negative_ttl": "500ms"}"#, 422, "negative_ttl"),
        (r#"{"max_answers": 0}"#, 422, "max_answers"),
        (
            r#"{"when_none_healthy": "panic"}"#,
            422,
            "when_none_healthy",
        ),
        (r#"{"txt": {"strings": [7]}}"#, 422, "txt.strings.0"),
        (r#"{"tll": "5s"}"#, 422, "tll"),
        ("[]", 422, ""),
        ("", 400, ""),
        ("{", 400, ""),
    ] {
        let answer = server.http("PUT", PATH, body);
        assert_eq!(answer.status, status, "{body} {answer:?}");
        let problem = answer.json();
        assert_eq!(
            problem["field"].as_str().unwrap_or_default(),
            field,
            "{body}"
        );
        assert!(
            !problem["detail"].to_string().contains("revision"),
            "{problem}"
        );
    }
    let answer = server.http("PUT", "/v1/services/a_b/policy", "{}");
    assert_eq!(
        (answer.status, &answer.json()["field"]),
        (422, &json!("name"))
    );
    let answer = server.http("PUT", "/v1/services/tag/policy", "{}");
    assert_eq!(answer.status, 422);
    assert_eq!(server.http("POST", PATH, "{}").status, 405);
    assert_eq!(server.http("GET", PATH, "").status, 404);
}

#[test]
fn conditions_keep_changes_of_others() {
    let server = TestServer::start();
    let call = |method: &str, headers: &str| server.http_with(method, PATH, "{}", headers);
    let created = call("PUT", "If-None-Match: *\r\n");
    assert_eq!(created.status, 201);
    let first = etag(&created);
    assert_eq!(call("PUT", "If-None-Match: *\r\n").status, 412);
    let replaced = call("PUT", &format!("If-Match: {first}\r\n"));
    assert_eq!(replaced.status, 200);
    let second = etag(&replaced);
    for method in ["PUT", "DELETE"] {
        let refused = call(method, &format!("If-Match: {first}\r\n"));
        assert_eq!(refused.status, 412);
        let problem = refused.json();
        assert_eq!(problem["type"], "urn:namebeat:problem:revision");
        let detail = problem["detail"].as_str().unwrap();
        for tag in [&first, &second] {
            assert!(detail.contains(tag.trim_matches('"')), "{detail}");
        }
        assert_eq!(call(method, "If-Match: 7\r\n").status, 400);
    }
    assert_eq!(etag(&server.http("GET", PATH, "")), second);
    assert_eq!(call("PUT", "If-Match: *\r\n").status, 200);
    assert_eq!(call("DELETE", "If-Match: *\r\n").status, 204);
    assert_eq!(call("DELETE", "If-Match: *\r\n").status, 404);
    let none = call("PUT", "If-Match: *\r\n");
    assert_eq!(none.status, 412);
    assert!(
        none.json()["detail"]
            .as_str()
            .unwrap()
            .contains("there is none")
    );
}

/// Of those that change the same at once, each from what it read, none is lost.
#[test]
fn changes_at_once_are_all_there_in_the_end() {
    let server = TestServer::start();
    set(&server, &json!({"txt": {"strings": ["0"]}}));
    let count = |answer: &HttpAnswer| -> u32 {
        let text = answer.json()["txt"]["strings"][0]
            .as_str()
            .unwrap()
            .to_owned();
        text.parse().unwrap()
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut done = 0;
                while done < 10 {
                    let read = server.http("GET", PATH, "");
                    let body = json!({"txt": {"strings": [(count(&read) + 1).to_string()]}});
                    let header = format!("If-Match: {}\r\n", etag(&read));
                    let answer = server.http_with("PUT", PATH, &body.to_string(), &header);
                    assert!(matches!(answer.status, 200 | 412), "{answer:?}");
                    done += u32::from(answer.status == 200);
                }
            });
        }
    });
    assert_eq!(count(&server.http("GET", PATH, "")), 40);
}

#[test]
fn limits_are_told_with_their_settings() {
    let server = TestServer::with(Settings {
        max_services: Some(2),
        max_instances_per_service: Some(2),
        ..Settings::default()
    });
    register(&server, 1..=2, &[]);
    let refused = |method: &str, path: &str, body: Value, limit: &str| {
        let answer = server.http(method, path, &body.to_string());
        let problem = answer.json();
        assert_eq!(answer.status, 429, "{answer:?}");
        assert_eq!(problem["type"], "urn:namebeat:problem:full");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(limit) && detail.contains('2'), "{detail}");
    };
    let instance = |service| json!({"name": service, "host": "10.0.0.9", "port": 1});
    refused(
        "PUT",
        "/v1/instances/c",
        instance("web"),
        "max_instances_per_service",
    );
    let answer = server.http("PUT", "/v1/services/api/policy", "{}");
    assert_eq!(answer.status, 201);
    refused("PUT", "/v1/instances/c", instance("db"), "max_services");
    refused("PUT", "/v1/services/db/policy", json!({}), "max_services");
    refused(
        "PUT",
        "/v1/services/db/config/k",
        json!({"value": ""}),
        "max_services",
    );
    server.register("c", instance("api"));
    assert_eq!(server.http("PUT", PATH, "{}").status, 201);
}
