//! From heartbeat to leave: leases, drains, deregistrations.

use std::time::Duration;

use chrono::Utc;
use hickory_proto::rr::RecordType;
use namebeat::config::Settings;
use serde_json::json;

use super::{SLACK, assert_in, check, check_text, wall, web};
use crate::harness::{TestServer, eventually};

#[test]
fn a_heartbeat_moves_the_lease() {
    let server = TestServer::start();
    let first = server.register("a", web(1));
    let mut ends = wall(&first["lease"]["expires_at"]);
    for body in ["", "{}", " \n"] {
        let call = "POST /v1/instances/a/heartbeat";
        let answer = check_text(&server, call, body, 200, json!({"lease": {"term": "30s"}}));
        let renewed = wall(&answer["lease"]["expires_at"]);
        assert!(ends < renewed, "{ends} {renewed}");
        assert_in(&answer["lease"]["expires_at"], Duration::from_secs(30));
        ends = renewed;
        let read = check(
            &server,
            "GET /v1/instances/a",
            json!(null),
            200,
            json!({
                "registration_time": first["instance"]["registration_time"],
                "state": {"expires_at": answer["lease"]["expires_at"]},
            }),
        );
        assert_eq!(
            wall(&read["last_heartbeat"]) + Duration::from_secs(30),
            ends
        );
    }
    // A lease without a term has nothing to move, but the heartbeat is noted.
    let body = json!({"name": "db", "host": "127.0.0.1", "port": 1, "lease": null,
        "health_check": {"kind": "tcp", "interval": "1h"}});
    let put = check(
        &server,
        "PUT /v1/instances/b",
        body,
        201,
        json!({"lease": null, "instance": {"lease": null, "state": {"expires_at": null}}}),
    );
    check(
        &server,
        "POST /v1/instances/b/heartbeat",
        json!(null),
        200,
        json!({"lease": null}),
    );
    let read = check(&server, "GET /v1/instances/b", json!(null), 200, json!({}));
    assert!(wall(&put["instance"]["last_heartbeat"]) < wall(&read["last_heartbeat"]));
}

#[test]
fn heartbeats_come_in_batches() {
    let server = TestServer::start();
    let ends = |id: &str| {
        let call = format!("GET /v1/instances/{id}");
        wall(&check(&server, &call, json!(null), 200, json!({}))["state"]["expires_at"])
    };
    for id in ["a", "b", "c"] {
        server.register(id, web(1));
    }
    check(
        &server,
        "DELETE /v1/instances/c",
        json!(null),
        200,
        json!({}),
    );
    for (body, renewed, unknown) in [
        (json!({"ids": ["a", "ghost", "b"]}), 2, json!(["ghost"])),
        (json!(["b", "a"]), 2, json!([])),
        (
            json!(["c", "no label", "", "a"]),
            1,
            json!(["c", "no label", ""]),
        ),
        (json!({"ids": []}), 0, json!([])),
        (json!([]), 0, json!([])),
    ] {
        let before = ends("a");
        check(
            &server,
            "POST /v1/heartbeats",
            body,
            200,
            json!({"renewed": renewed, "unknown": unknown}),
        );
        assert_eq!(before < ends("a"), renewed > 0);
    }
}

#[test]
fn unknown_ids_are_404() {
    let server = TestServer::start();
    server.register("left", web(1));
    check(
        &server,
        "DELETE /v1/instances/left",
        json!(null),
        200,
        json!({}),
    );
    for id in ["ghost", "left"] {
        for call in [
            "GET /v1/instances/ID",
            "DELETE /v1/instances/ID",
            "DELETE /v1/instances/ID?wait=true",
            "POST /v1/instances/ID/heartbeat",
            "POST /v1/instances/ID/drain",
            "POST /v1/instances/ID/resume",
        ] {
            let call = call.replace("ID", id);
            check(
                &server,
                &call,
                json!(null),
                404,
                json!({"type": "urn:namebeat:problem:unknown-instance", "detail": id}),
            );
        }
    }
    check(
        &server,
        "GET /v1/services/ghost",
        json!(null),
        404,
        json!({"type": "urn:namebeat:problem:unknown-service", "detail": "ghost"}),
    );
}

#[test]
fn deregistering_says_when_it_is_drained() {
    let server = TestServer::with(Settings {
        ttl: Some("9s".parse().unwrap()),
        ..Settings::default()
    });
    for (query, status) in [
        ("?wait=maybe", 400),
        ("?now=true", 400),
        ("", 200),
        ("?wait=false", 200),
    ] {
        server.register("a", web(1));
        let expected = match status {
            200 => json!({}),
            _ => json!({"detail": "wait=true"}),
        };
        let answer = check(
            &server,
            &format!("DELETE /v1/instances/a{query}"),
            json!(null),
            status,
            expected,
        );
        let gone = status == 200;
        if gone {
            let drained_at = wall(&answer["drained_at"]);
            assert!(
                Utc::now() + Duration::from_secs(9) - SLACK < drained_at,
                "{drained_at}"
            );
            assert!(
                drained_at < Utc::now() + Duration::from_secs(9) + 2 * SLACK,
                "{drained_at}"
            );
        }
        check(
            &server,
            "GET /v1/stats",
            json!(null),
            200,
            json!({"instances": u8::from(!gone), "services": u8::from(!gone)}),
        );
    }
    // One that comes back before then starts afresh.
    check(
        &server,
        "PUT /v1/instances/a",
        web(2),
        201,
        json!({"instance": {"state": {"listed": true}}}),
    );
    assert_eq!(
        server.ask("a.web.svc.internal.", RecordType::A).answers(),
        ["A 10.0.0.2"]
    );
}

#[test]
fn only_resume_undoes_a_drain() {
    let server = TestServer::start();
    let first = server.register("a", web(1));
    let drained = check(
        &server,
        "POST /v1/instances/a/drain",
        json!(null),
        200,
        json!({}),
    );
    let draining = json!({"state": {
        "listed": false, "draining": true, "reason": "draining", "health": "passing",
        "drained_at": drained["drained_at"],
    }});
    let listed = || server.ask("web.svc.internal.", RecordType::A).answers();
    for (call, body) in [
        ("GET /v1/instances/a", json!(null)),
        ("POST /v1/instances/a/heartbeat", json!(null)),
        ("POST /v1/heartbeats", json!(["a"])),
        ("PUT /v1/instances/a", web(1)),
        ("PUT /v1/instances/a", web(2)),
        ("POST /v1/instances/a/drain", json!(null)),
    ] {
        check(&server, call, body, 200, json!({}));
        check(
            &server,
            "GET /v1/instances/a",
            json!(null),
            200,
            draining.clone(),
        );
        assert_eq!(listed(), [""; 0], "{call}");
    }
    // Asked again, a drain says the same: what began earlier is over no later.
    check(
        &server,
        "POST /v1/instances/a/drain",
        json!(null),
        200,
        drained.clone(),
    );
    let resumed = json!({
        "registration_time": first["instance"]["registration_time"],
        "state": {"listed": true, "draining": false, "reason": null, "drained_at": null},
    });
    for _ in 0..2 {
        check(
            &server,
            "POST /v1/instances/a/resume",
            json!(null),
            200,
            resumed.clone(),
        );
        check(
            &server,
            "GET /v1/instances/a",
            json!(null),
            200,
            resumed.clone(),
        );
        assert_eq!(listed(), ["A 10.0.0.2"]);
    }
    let again = check(
        &server,
        "POST /v1/instances/a/drain",
        json!(null),
        200,
        json!({}),
    );
    assert!(wall(&drained["drained_at"]) < wall(&again["drained_at"]));
    // Leaving while it drains doesn't start the wait anew.
    check(&server, "DELETE /v1/instances/a", json!(null), 200, again);
}

/// Whoever registers again as soon as the lease has ended isn't struck with the
/// one that ended, whether the registry had noticed that or not.
#[test]
fn one_that_comes_back_at_once_stays() {
    let server = TestServer::start();
    let mut body = web(1);
    body["lease"] = json!("2s");
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (server, body) = (&server, &body);
            scope.spawn(move || {
                let path = format!("/v1/instances/i{n}");
                server.register(&format!("i{n}"), body.clone());
                eventually("the lease ends", || {
                    (server.http("GET", &path, "").status == 404).then_some(())
                });
                check(server, &format!("PUT {path}"), body.clone(), 201, json!({}));
                for call in ["GET ID", "POST ID/heartbeat", "POST ID/drain", "DELETE ID"] {
                    let call = call.replace("ID", &path);
                    check(server, &call, json!(null), 200, json!({}));
                }
            });
        }
    });
}

#[test]
fn a_heartbeat_may_report() {
    let server = TestServer::start();
    server.register("a", web(1));
    let call = "POST /v1/instances/a/heartbeat";
    let note = "x".repeat(200);
    for (body, listed, reported, told) in [
        (
            json!({"status": "warning", "note": "full disk"}),
            true,
            "warning",
            json!("full disk"),
        ),
        (
            json!({"status": "failing", "note": note}),
            false,
            "failing",
            json!(note),
        ),
        // One that says nothing new takes nothing back.
        (json!({}), false, "failing", json!(note)),
        (json!({"status": "failing"}), false, "failing", json!(null)),
        (
            json!({"status": "passing", "note": ""}),
            true,
            "passing",
            json!(""),
        ),
    ] {
        check(&server, call, body, 200, json!({"lease": {"term": "30s"}}));
        let reason = if listed {
            json!(null)
        } else {
            json!("failing")
        };
        let state = json!({"listed": listed, "reason": reason, "reported": reported, "note": told});
        check(
            &server,
            "GET /v1/instances/a",
            json!(null),
            200,
            json!({"state": state}),
        );
        let answers = server.ask("web.svc.internal.", RecordType::A).answers();
        assert_eq!(answers.len(), usize::from(listed), "{state}");
    }
    let before = check(&server, "GET /v1/instances/a", json!(null), 200, json!({}));
    for (body, field, part) in [
        (json!({"status": "fine"}), "status", "\"warning\""),
        (json!({"status": 1}), "status", "status"),
        (json!({"note": "x"}), "note", "status"),
        (
            json!({"status": "passing", "note": "x".repeat(201)}),
            "note",
            "200",
        ),
        (json!({"state": "passing"}), "state", "note"),
    ] {
        check(
            &server,
            call,
            body,
            422,
            json!({"field": field, "detail": part}),
        );
        // Refused whole: the lease isn't renewed either.
        check(
            &server,
            "GET /v1/instances/a",
            json!(null),
            200,
            before.clone(),
        );
    }
    // Of a new registration nothing was said yet.
    server.register("a", web(1));
    check(
        &server,
        "GET /v1/instances/a",
        json!(null),
        200,
        json!({"state": {"reported": null, "note": null}}),
    );
}
