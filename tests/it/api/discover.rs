//! Finding services over HTTP: filters, order, revisions, totals.

use serde_json::{Value, json};

use super::check;
use crate::harness::TestServer;

/// Services `web` and `db`: four instances, of which `d` is draining, and one.
fn server() -> TestServer {
    let server = TestServer::start();
    let tags = |env: &str| json!({"env": env});
    for (id, name, version, protocol, tags) in [
        ("c", "web", json!("1.40"), "grpc", tags("dev")),
        (
            "a",
            "web",
            json!("1.4"),
            "http",
            json!({"env": "Prod", "color": "blue"}),
        ),
        ("b", "web", json!("1.4.2"), "https", tags("prod")),
        ("d", "web", json!(null), "udp", tags("prod")),
        ("e", "db", json!("1.4-beta"), "tcp", tags("prod")),
    ] {
        let body = json!({"name": name, "version": version, "protocol": protocol, "tags": tags,
            "host": "10.0.0.1", "port": 1});
        server.register(id, body);
    }
    check(
        &server,
        "POST /v1/instances/d/drain",
        json!(null),
        200,
        json!({}),
    );
    server
}

/// The ids of a service, in their order.
fn ids(service: &Value) -> Vec<&str> {
    let instances = service["instances"].as_array().unwrap();
    instances
        .iter()
        .map(|instance| instance["id"].as_str().unwrap())
        .collect()
}

#[test]
fn filters_choose_instances() {
    let server = server();
    for (query, expected) in [
        ("", "a b c"),
        ("all=true", "a b c d"),
        ("all=false", "a b c"),
        ("tag=env:prod", "a b"),
        ("tag=env%3Aprod", "a b"),
        ("tag=ENV:PROD", "a b"),
        ("tag=env:prod&all=true", "a b d"),
        ("tag=env:prod&tag=color:blue", "a"),
        ("tag=env:prod&tag=env:dev", ""),
        ("tag=color:", ""),
        ("tag=env:pro", ""),
        ("version=1", "a b c"),
        ("version=1.4", "a b"),
        ("version=1.4.2", "b"),
        ("version=1.40", "c"),
        ("version=1.4.", ""),
        ("version=4", ""),
        ("version=2", ""),
        ("protocol=https", "b"),
        ("protocol=HTTPS", "b"),
        ("protocol=udp", ""),
        ("protocol=udp&all=true", "d"),
        ("version=1.4&protocol=http&tag=env:prod", "a"),
    ] {
        let expected: Vec<&str> = expected.split_whitespace().collect();
        let call = format!("GET /v1/services/web?{query}");
        let service = check(&server, &call, json!(null), 200, json!({"name": "web"}));
        assert_eq!(ids(&service), expected, "{query}");
        let call = format!("GET /v1/services?{query}");
        let all = check(
            &server,
            &call,
            json!(null),
            200,
            json!({"services": [{"name": "db"}, {"name": "web"}]}),
        );
        assert_eq!(ids(&all["services"][1]), expected, "{query}");
    }
}

#[test]
fn parameters_that_nothing_knows_are_refused() {
    let server = server();
    for (query, part) in [
        ("bogus=1", "bogus"),
        (
            "tags=env:prod",
            "allowed are all, tag, version, protocol, wait and since",
        ),
        ("tag=env", "tag=KEY:VALUE"),
        ("all=maybe", "true or false"),
        ("all", "true or false"),
        ("version=1.4&x", "x"),
    ] {
        for path in ["/v1/services", "/v1/services/web", "/v1/services/ghost"] {
            check(
                &server,
                &format!("GET {path}?{query}"),
                json!(null),
                400,
                json!({"detail": part}),
            );
        }
    }
}

#[test]
fn a_service_has_those_that_are_listed() {
    let server = server();
    let listed = |id: &str, listed: bool| json!({"id": id, "state": {"listed": listed}});
    check(
        &server,
        "GET /v1/services/web?all=true",
        json!(null),
        200,
        json!({"instances":
        [listed("a", true), listed("b", true), listed("c", true), listed("d", false)]}),
    );
    // One that has none listed still is a service, until nothing is registered.
    check(
        &server,
        "POST /v1/instances/e/drain",
        json!(null),
        200,
        json!({}),
    );
    check(
        &server,
        "GET /v1/services/db",
        json!(null),
        200,
        json!({"name": "db", "instances": []}),
    );
    check(
        &server,
        "DELETE /v1/instances/e",
        json!(null),
        200,
        json!({}),
    );
    check(&server, "GET /v1/services/db", json!(null), 404, json!({}));
    check(
        &server,
        "GET /v1/services",
        json!(null),
        200,
        json!({"services": [{"name": "web"}]}),
    );
    // An instance in a list is the same as read alone.
    let one = check(&server, "GET /v1/instances/b", json!(null), 200, json!({}));
    check(
        &server,
        "GET /v1/services/web?version=1.4.2",
        json!(null),
        200,
        json!({"instances": [one]}),
    );
}

#[test]
fn revisions_move_with_what_changed() {
    let server = server();
    let revisions = || {
        let all = check(&server, "GET /v1/services", json!(null), 200, json!({}));
        let revision = |service: usize| all["services"][service]["revision"].as_u64().unwrap();
        (all["revision"].as_u64().unwrap(), revision(0), revision(1))
    };
    for (call, body, changes) in [
        ("POST /v1/instances/a/drain", json!(null), true),
        ("POST /v1/instances/a/heartbeat", json!(null), false),
        ("POST /v1/instances/a/resume", json!(null), true),
        (
            "PUT /v1/instances/a",
            json!({"name": "web", "host": "10.0.0.9", "port": 9}),
            true,
        ),
        ("DELETE /v1/instances/a", json!(null), true),
    ] {
        let (before, db, web) = revisions();
        check(&server, call, body, 200, json!({}));
        let (after, same, moved) = revisions();
        assert_eq!(db, same, "{call}");
        assert_eq!((before < after, web < moved), (changes, changes), "{call}");
        assert!(moved <= after, "{call}");
    }
}

#[test]
fn stats_are_totals() {
    let server = server();
    let stats = |expected| check(&server, "GET /v1/stats", json!(null), 200, expected);
    let mut first = stats(json!({}));
    let revision = first.as_object_mut().unwrap().remove("revision").unwrap();
    assert_eq!(
        first,
        json!({
            "services": 2, "instances": 5, "healthy": 4, "held": 0, "unhealthy": 1,
            "by_protocol": {"grpc": 1, "http": 1, "https": 1, "tcp": 1, "udp": 1},
        })
    );
    check(
        &server,
        "DELETE /v1/instances/e",
        json!(null),
        200,
        json!({}),
    );
    let second = stats(json!({"services": 1, "instances": 4, "healthy": 3, "unhealthy": 1}));
    assert!(revision.as_u64() < second["revision"].as_u64());
    assert_eq!(second["by_protocol"]["tcp"], json!(null));
    let empty = TestServer::start();
    check(
        &empty,
        "GET /v1/stats",
        json!(null),
        200,
        json!({
            "services": 0, "instances": 0, "healthy": 0, "unhealthy": 0, "by_protocol": {},
        }),
    );
    check(
        &empty,
        "GET /v1/services",
        json!(null),
        200,
        json!({"services": []}),
    );
}
