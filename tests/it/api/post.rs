//! Registering what is new, one by one or as an array.

use serde_json::json;

use super::{assert_problem, check, web};
use crate::harness::TestServer;

#[test]
fn post_registers_what_is_new() {
    let server = TestServer::start();
    let mut body = web(1);
    body["id"] = json!("web-1");
    let answer = server.http("POST", "/v1/instances", &body.to_string());
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(
        answer.headers.contains("location: /v1/instances/web-1"),
        "{answer:?}"
    );
    let read = || {
        check(
            &server,
            "GET /v1/instances/web-1",
            json!(null),
            200,
            json!({}),
        )
    };
    let first = read();
    body["port"] = json!(9);
    check(
        &server,
        "POST /v1/instances",
        body,
        409,
        json!({"field": "id", "detail": "web-1"}),
    );
    assert_eq!(read(), first);
}

#[test]
fn of_two_posts_at_once_one_wins() {
    let server = TestServer::start();
    for n in 0..20 {
        let body = json!({"id": format!("i{n}"), "name": "web", "host": "10.0.0.1", "port": 1});
        let mut statuses = std::thread::scope(|scope| {
            let post = || {
                server
                    .http("POST", "/v1/instances", &body.to_string())
                    .status
            };
            let calls = [scope.spawn(post), scope.spawn(post)];
            calls.map(|call| call.join().unwrap())
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }
}

#[test]
fn an_array_has_a_result_for_each() {
    let server = TestServer::start();
    server.register("old", web(9));
    let item =
        |id: &str, port: i64| json!({"id": id, "name": "web", "host": "10.0.0.1", "port": port});
    let items = json!([
        item("a", 1),
        item("b", 0),
        item("OLD", 2),
        item("a", 3),
        {"name": "web", "host": "10.0.0.1", "port": 4},
        7,
        {"id": "c", "name": "web", "host": "10.0.0.1", "port": 5, "zome": 1},
        item("D", 6),
    ]);
    let results = check(
        &server,
        "POST /v1/instances",
        items,
        200,
        json!([
            {"id": "a", "status": 201, "instance": {"id": "a", "port": 1}, "lease": {"term": "30s"}, "problem": null},
            {"id": "b", "status": 422, "instance": null, "problem": {"field": "port", "detail": "1 to 65535"}},
            {"id": "OLD", "status": 409, "problem": {"field": "id", "detail": "old"}},
            {"id": "a", "status": 409, "problem": {"field": "id"}},
            {"id": null, "status": 422, "problem": {"field": "id", "detail": "missing"}},
            {"id": null, "status": 422, "problem": {}},
            {"id": "c", "status": 422, "problem": {"field": "zome"}},
            {"id": "D", "status": 201, "instance": {"id": "d"}},
        ]),
    );
    for result in results.as_array().unwrap() {
        if let Some(problem) = result.get("problem") {
            assert_problem(
                problem,
                u16::try_from(result["status"].as_u64().unwrap()).unwrap(),
            );
        }
    }
    check(
        &server,
        "GET /v1/services/web",
        json!(null),
        200,
        json!({"instances": [{"id": "a", "port": 1}, {"id": "d"}, {"id": "old", "port": 8009}]}),
    );
    check(&server, "POST /v1/instances", json!([]), 200, json!([]));
}
