//! The edges of the API: health, unknown paths and methods, bodies, origins.

use serde_json::{Value, json};

use super::{check, check_text, web};
use crate::harness::TestServer;

/// Most octets of a body, by the contract.
const MAX_BODY: usize = 1 << 20;

#[test]
fn it_is_alive_and_ready() {
    let server = TestServer::start();
    for path in ["/healthz", "/readyz"] {
        check(&server, &format!("GET {path}"), json!(null), 200, json!({}));
        let head = server.http("HEAD", path, "");
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
    }
}

#[test]
fn unknown_paths_are_problems() {
    let server = TestServer::start();
    for call in [
        "GET /v2/instances/a",
        "GET /v1",
        "GET /v1/",
        "POST /v1/instances/",
        "GET /v1/instances/a/b",
        "POST /v1/instances/a/explode",
        "GET /healthz/",
        "PUT /v1/instances//a",
        "DELETE /x%20y",
    ] {
        let path = call.split_once(' ').unwrap().1;
        check(
            &server,
            call,
            json!(null),
            404,
            json!({"type": "urn:namebeat:problem:unknown-path", "detail": path}),
        );
    }
}

#[test]
fn wrong_methods_are_problems() {
    let server = TestServer::start();
    for (method, path, allowed) in [
        ("GET", "/v1/instances", "post"),
        ("DELETE", "/v1/instances", "post"),
        ("POST", "/v1/instances/a", "delete get head put"),
        ("PATCH", "/v1/instances/a", "delete get head put"),
        ("OPTIONS", "/v1/instances/a", "delete get head put"),
        ("BREW", "/v1/instances/a", "delete get head put"),
        ("GET", "/v1/instances/a/heartbeat", "post"),
        ("PUT", "/v1/instances/a/drain", "post"),
        ("GET", "/v1/instances/a/resume", "post"),
        ("PUT", "/v1/heartbeats", "post"),
        ("POST", "/v1/services", "get head"),
        ("POST", "/v1/services/web", "get head"),
        ("DELETE", "/v1/stats", "get head"),
        ("POST", "/healthz", "get head"),
        ("POST", "/readyz", "get head"),
    ] {
        let call = format!("{method} {path}");
        check(
            &server,
            &call,
            json!(null),
            405,
            json!({"type": "urn:namebeat:problem:method", "detail": call.split(' ').next()}),
        );
        let answer = server.http(method, path, "");
        let allow = answer
            .headers
            .lines()
            .find_map(|line| line.strip_prefix("allow: "));
        let mut methods: Vec<&str> = allow.unwrap().split(',').map(str::trim).collect();
        methods.sort_unstable();
        assert_eq!(methods.join(" "), allowed, "{call}");
    }
}

#[test]
fn ids_in_paths_that_are_no_labels_are_problems() {
    let server = TestServer::start();
    for id in ["a_b", "a.b", "-a", "tag", "a%2Fb", "a%00", "%C3%BC"] {
        for call in [
            "GET ID",
            "DELETE ID",
            "POST ID/heartbeat",
            "POST ID/drain",
            "POST ID/resume",
        ] {
            let call = call.replace("ID", &format!("/v1/instances/{id}"));
            check(&server, &call, json!(null), 422, json!({"field": "id"}));
        }
        check(
            &server,
            &format!("PUT /v1/instances/{id}"),
            web(1),
            422,
            json!({"field": "id"}),
        );
        let call = format!("GET /v1/services/{id}");
        check(&server, &call, json!(null), 422, json!({"field": "name"}));
    }
    check(
        &server,
        "GET /v1/stats",
        json!(null),
        200,
        json!({"instances": 0}),
    );
}

#[test]
fn paths_that_are_no_text_are_problems() {
    let server = TestServer::start();
    for call in [
        "GET /v1/instances/%ff",
        "PUT /v1/instances/%ff",
        "GET /v1/services/%ff",
    ] {
        check(&server, call, web(1), 400, json!({}));
    }
}

#[test]
fn bodies_that_are_no_json_are_refused() {
    let server = TestServer::start();
    server.register("a", web(1));
    let before = check(&server, "GET /v1/stats", json!(null), 200, json!({}));
    let malformed = json!({"type": "urn:namebeat:problem:malformed"});
    let open = "[".repeat(100_000);
    let deep = format!("{{\"state\": {open}");
    for (call, empty) in [
        ("PUT /v1/instances/a", 400),
        ("POST /v1/instances", 400),
        ("POST /v1/heartbeats", 400),
        ("POST /v1/instances/a/heartbeat", 200),
    ] {
        for body in [
            "{",
            "}",
            "nonsense",
            "{,}",
            "{\"",
            "{'name': 'web'}",
            "\u{feff}{}",
        ] {
            check_text(&server, call, body, 400, malformed.clone());
        }
        check_text(&server, call, "", empty, json!({}));
        // However deep it goes, the server stands.
        for body in [&open, &deep] {
            let (method, path) = call.split_once(' ').unwrap();
            let status = server.http(method, path, body).status;
            assert!(status == 400 || status == 422, "{call} {status}");
        }
    }
    for body in ["[{}", "[]]"] {
        check_text(&server, "POST /v1/instances", body, 400, malformed.clone());
    }
    let twice = format!("{0} {0}", web(2));
    check_text(&server, "PUT /v1/instances/a", &twice, 400, malformed);
    check(&server, "GET /v1/stats", json!(null), 200, before);
}

#[test]
fn bodies_of_another_shape_are_refused() {
    let server = TestServer::start();
    server.register("a", web(1));
    let before = check(&server, "GET /v1/stats", json!(null), 200, json!({}));
    for (call, body) in [
        ("PUT /v1/instances/b", json!(5)),
        ("PUT /v1/instances/b", json!("b")),
        ("PUT /v1/instances/b", json!([web(1)])),
        ("POST /v1/instances", json!(true)),
        ("POST /v1/heartbeats", json!({})),
        ("POST /v1/heartbeats", json!({"ids": ["a"], "x": 1})),
        ("POST /v1/heartbeats", json!({"ids": "a"})),
        ("POST /v1/heartbeats", json!({"ids": [1]})),
        ("POST /v1/heartbeats", json!([1])),
        ("POST /v1/instances/a/heartbeat", json!({"x": 1})),
    ] {
        let problem = json!({"type": "urn:namebeat:problem:invalid-field"});
        check(&server, call, body, 422, problem);
    }
    check(&server, "GET /v1/stats", json!(null), 200, before);
}

/// Fields have names: values in a row are none, whatever their order.
#[test]
fn arrays_are_no_objects() {
    let server = TestServer::start();
    server.register("a", web(1));
    let row = json!(["b", "web", null, "10.0.0.1", null, 80]);
    let mut checked = web(1);
    checked["health_check"] = json!(["tcp"]);
    let taken: Vec<String> = [
        ("PUT", "/v1/instances/b", row.clone()),
        ("POST", "/v1/instances", json!([row])),
        ("PUT", "/v1/instances/b", checked),
        ("POST", "/v1/heartbeats", json!([["a"]])),
        ("POST", "/v1/instances/a/heartbeat", json!([])),
    ]
    .into_iter()
    .filter_map(|(method, path, body)| {
        let answer = server.http(method, path, &body.to_string());
        let refused = answer.status == 422 || answer.body.contains("\"status\":422");
        (!refused).then(|| format!("{method} {path} {body}: {}", answer.status))
    })
    .collect();
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

/// An error says what is allowed in the words of the contract, not of the code.
#[test]
fn errors_name_no_type_of_the_code() {
    let server = TestServer::start();
    let shapes = [
        json!(1),
        json!(1.5),
        json!("x"),
        json!(true),
        json!([1]),
        json!({"a": []}),
    ];
    let mut calls = vec![
        ("PUT /v1/instances/a", json!(5)),
        ("POST /v1/instances", json!("x")),
        ("POST /v1/instances", json!([5])),
        ("POST /v1/heartbeats", json!({})),
        ("POST /v1/heartbeats", json!({"ids": [1]})),
    ];
    for field in [
        "id",
        "name",
        "version",
        "host",
        "addresses",
        "port",
        "ports",
        "protocol",
        "tags",
        "metadata",
        "weight",
        "priority",
        "locality",
        "lease",
        "health_check",
    ] {
        for shape in &shapes {
            let mut body = web(1);
            body[field] = shape.clone();
            calls.push(("PUT /v1/instances/a", body));
        }
    }
    let words = [
        "i64",
        "u16",
        "struct ",
        "enum ",
        "variant",
        "Registration",
        "HealthCheck",
        "Heartbeats",
    ];
    let told: Vec<String> = calls
        .into_iter()
        .filter_map(|(call, body)| {
            let (method, path) = call.split_once(' ').unwrap();
            let answer = server.http(method, path, &body.to_string());
            let detail = answer.body.split("\"detail\":").nth(1).unwrap_or_default();
            let named = words.iter().any(|word| detail.contains(word));
            named.then(|| format!("{call} {body}: {detail}"))
        })
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn a_body_has_at_most_a_mebibyte() {
    let server = TestServer::start();
    let padded = |len: usize, body: Value| {
        let text = body.to_string();
        format!("{text}{}", " ".repeat(len - text.len()))
    };
    let mut item = web(1);
    item["id"] = json!("b");
    for (call, body, status) in [
        ("PUT /v1/instances/a", web(1), 201),
        ("POST /v1/instances", item, 201),
        ("POST /v1/instances", json!([{"id": "c"}]), 200),
        ("POST /v1/heartbeats", json!(["a"]), 200),
        ("POST /v1/instances/a/heartbeat", json!({}), 200),
    ] {
        check_text(
            &server,
            call,
            &padded(MAX_BODY + 1, body.clone()),
            413,
            json!({"type": "urn:namebeat:problem:too-large", "detail": MAX_BODY.to_string()}),
        );
        let (method, path) = call.split_once(' ').unwrap();
        let fits = server.http(method, path, &padded(MAX_BODY, body));
        assert_eq!(fits.status, status, "{call} {fits:?}");
    }
}

#[test]
fn an_array_has_at_most_ten_thousand() {
    let server = TestServer::start();
    for (count, status) in [(10_001, 413), (10_000, 200)] {
        let items = vec![json!({}); count];
        let answer = server.http("POST", "/v1/instances", &json!(items).to_string());
        assert_eq!(answer.status, status, "{count}");
        if status == 413 {
            super::assert_problem(&answer.json(), 413);
            assert!(answer.body.contains("10000"), "{answer:?}");
        }
    }
}

#[test]
fn pages_of_other_sites_are_refused() {
    let server = TestServer::start();
    server.register("a", web(1));
    let own = server.addresses.http.to_string();
    for (origin, status) in [
        (None, 200),
        (Some(format!("http://{own}")), 200),
        (Some(format!("https://{own}")), 200),
        (Some("http://evil.example".to_owned()), 403),
        (Some("http://127.0.0.1".to_owned()), 403),
        (Some(format!("http://evil.example/{own}")), 403),
        (Some(format!("http://{own}.evil.example")), 403),
        (Some("null".to_owned()), 403),
        (Some(String::new()), 403),
        (Some("\u{fc}".to_owned()), 403),
    ] {
        let header = origin
            .as_ref()
            .map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
        for (method, path, body) in [
            ("GET", "/v1/services", String::new()),
            ("POST", "/v1/instances/a/heartbeat", String::new()),
            ("PUT", "/v1/instances/a", web(2).to_string()),
            ("POST", "/v1/instances/a/drain", String::new()),
        ] {
            let answer = server.http_with(method, path, &body, &header);
            assert_eq!(answer.status, status, "{origin:?} {answer:?}");
            if status == 403 {
                super::assert_problem(&answer.json(), 403);
                check(
                    &server,
                    "GET /v1/instances/a",
                    json!(null),
                    200,
                    json!({"port": 8001, "state": {"draining": false}}),
                );
            }
        }
        // Those that got through changed it.
        server.http("POST", "/v1/instances/a/resume", "");
        server.register("a", web(1));
    }
    // Not for unknown paths either.
    assert_eq!(
        server
            .http_with("GET", "/x", "", "Origin: http://evil.example\r\n")
            .status,
        403
    );
}
