//! Registering and replacing: results, defaults, what is read back, what is taken.

use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use namebeat::config::Settings;
use serde_json::{Value, json};

use super::{assert_in, check, wall, web};
use crate::harness::{TempDir, TestServer};

#[test]
fn put_registers_then_replaces() {
    let server = TestServer::start();
    let call = "PUT /v1/instances/web-1";
    let lease = json!({"term": "30s"});
    let first = check(
        &server,
        call,
        web(1),
        201,
        json!({"instance": {"id": "web-1", "host": "10.0.0.1", "port": 8001}, "lease": lease}),
    );
    assert_in(&first["lease"]["expires_at"], Duration::from_secs(30));
    let second = check(
        &server,
        call,
        web(2),
        200,
        json!({"instance": {"id": "web-1", "host": "10.0.0.2", "port": 8002}, "lease": lease}),
    );
    assert!(wall(&first["lease"]["expires_at"]) < wall(&second["lease"]["expires_at"]));
    // The id never was away.
    assert_eq!(
        first["instance"]["registration_time"],
        second["instance"]["registration_time"]
    );
    // What the call answered is what is read.
    let read = check(
        &server,
        "GET /v1/instances/web-1",
        json!(null),
        200,
        json!({}),
    );
    assert_eq!(read, second["instance"]);
    let own = "web-1.web.svc.internal.";
    assert_eq!(server.ask(own, RecordType::A).answers(), ["A 10.0.0.2"]);
}

#[test]
fn put_moves_an_instance_to_another_service() {
    let server = TestServer::start();
    check(&server, "PUT /v1/instances/a", web(1), 201, json!({}));
    let body = json!({"name": "api", "host": "10.0.0.1", "port": 1});
    check(
        &server,
        "PUT /v1/instances/a",
        body,
        200,
        json!({"instance": {"name": "api"}}),
    );
    check(&server, "GET /v1/services/web", json!(null), 404, json!({}));
    check(
        &server,
        "GET /v1/services/api",
        json!(null),
        200,
        json!({"instances": [{"id": "a"}]}),
    );
    let answer = server.ask("web.svc.internal.", RecordType::A);
    // Its name there goes on until it's drained, so the service's name exists.
    assert_eq!(answer.rcode(), ResponseCode::NoError);
    answer.negative_soa();
    let own = server.ask("a.web.svc.internal.", RecordType::A);
    assert_eq!(own.answers(), ["A 10.0.0.1"]);
    assert_eq!(
        server.ask("api.svc.internal.", RecordType::A).answers(),
        ["A 10.0.0.1"]
    );
}

#[test]
fn what_is_left_out_gets_its_default() {
    let server = TestServer::start();
    let mut instance = server.register("web-1", web(1))["instance"].take();
    let members = instance.as_object_mut().unwrap();
    assert_in(
        &members.remove("registration_time").unwrap(),
        Duration::ZERO,
    );
    assert_in(&members.remove("last_heartbeat").unwrap(), Duration::ZERO);
    let expires_at = members["state"]
        .as_object_mut()
        .unwrap()
        .remove("expires_at");
    assert_in(&expires_at.unwrap(), Duration::from_secs(30));
    assert_eq!(
        instance,
        json!({
            "id": "web-1", "name": "web", "host": "10.0.0.1", "port": 8001,
            "protocol": "http", "tags": {}, "metadata": {},
            "weight": 256, "priority": 10, "lease": "30s",
            "state": {"listed": true, "health": "passing", "draining": false},
        })
    );
    let body = json!({"name": "db", "host": "127.0.0.1", "port": 1, "health_check": {}});
    check(
        &server,
        "PUT /v1/instances/db-1",
        body,
        201,
        json!({"instance": {
            "health_check": {
                "kind": "http", "endpoint": "/health", "interval": "10s", "timeout": "2s",
                "retries": 3, "rise": 2, "initial": "starting",
            },
            "state": {"listed": false, "health": "starting", "reason": "starting"},
        }}),
    );
}

/// A body with every field, in the spelling in which it's read back.
fn full() -> Value {
    json!({
        "id": "web-1", "name": "web", "version": "1.4.2-rc1", "addresses": ["10.0.0.1", "2001:db8::1"],
        "port": 8001, "ports": {"admin": 9001, "metrics": 9100}, "protocol": "https",
        "tags": {"color": "blue", "env": "prod"}, "metadata": {"Owner": "Ops = us", "note": ""},
        "weight": 0, "priority": 65535, "locality": "eu-west-1a", "lease": "90s",
        "health_check": {
            "kind": "http", "endpoint": "/ready?deep=1", "interval": "1h", "timeout": "500ms",
            "retries": 1, "rise": 100, "initial": "passing",
        },
    })
}

#[test]
fn every_field_is_read_back() {
    let server = TestServer::start();
    check(
        &server,
        "POST /v1/instances",
        full(),
        201,
        json!({"instance": full()}),
    );
    check(&server, "GET /v1/instances/web-1", json!(null), 200, full());
    // A duration is read back in its largest whole unit.
    for (given, read) in [
        ("60s", "1m"),
        ("3600s", "1h"),
        ("2000ms", "2s"),
        ("2500ms", "2500ms"),
    ] {
        let mut body = web(1);
        body["lease"] = json!(given);
        check(
            &server,
            "PUT /v1/instances/web-1",
            body,
            200,
            json!({"lease": {"term": read}}),
        );
    }
}

#[test]
fn letter_case_folds() {
    let server = TestServer::start();
    let body = json!({
        "id": "WEB-1", "name": "Web", "host": "LOCALHOST", "port": 1, "locality": "EU-1",
        "tags": {"ENV": "Prod"}, "ports": {"Admin": 2}, "metadata": {"Owner": "Us"},
    });
    let folded = json!({
        "id": "web-1", "name": "web", "host": "localhost", "locality": "eu-1",
        "tags": {"env": "prod"}, "ports": {"admin": 2}, "metadata": {"Owner": "Us"},
    });
    check(
        &server,
        "POST /v1/instances",
        body.clone(),
        201,
        json!({"instance": folded}),
    );
    check(
        &server,
        "PUT /v1/instances/wEb-1",
        body,
        200,
        json!({"instance": folded}),
    );
    check(&server, "GET /v1/instances/WEB-1", json!(null), 200, folded);
    check(
        &server,
        "GET /v1/services/WEB?all=true&tag=Env:PROD",
        json!(null),
        200,
        json!({"name": "web", "instances": [{"id": "web-1"}]}),
    );
    check(
        &server,
        "POST /v1/instances",
        json!({"id": "Web-1", "name": "x", "host": "::1", "port": 1}),
        409,
        json!({"field": "id"}),
    );
    check(
        &server,
        "POST /v1/heartbeats",
        json!(["WEB-1", "GHOST"]),
        200,
        json!({"renewed": 1, "unknown": ["GHOST"]}),
    );
    for call in [
        "POST /v1/instances/WEB-1/heartbeat",
        "POST /v1/instances/WEB-1/drain",
        "POST /v1/instances/WEB-1/resume",
        "DELETE /v1/instances/WEB-1",
    ] {
        check(&server, call, json!(null), 200, json!({}));
    }
    check(
        &server,
        "GET /v1/instances/web-1",
        json!(null),
        404,
        json!({}),
    );
}

#[test]
fn the_id_of_the_body_agrees_with_the_path() {
    let server = TestServer::start();
    for (path, body, status) in [
        ("a", "a", 201),
        ("a", "A", 200),
        ("A", "a", 200),
        ("a", "b", 422),
        ("a", "", 422),
        ("a", "tag", 422),
        ("tag", "tag", 422),
        ("a_b", "a_b", 422),
        ("a%20", "a", 422),
    ] {
        let mut registration = web(1);
        registration["id"] = json!(body);
        let expected = match status {
            422 => json!({"field": "id"}),
            _ => json!({"instance": {"id": "a"}}),
        };
        check(
            &server,
            &format!("PUT /v1/instances/{path}"),
            registration,
            status,
            expected,
        );
    }
    check(
        &server,
        "GET /v1/stats",
        json!(null),
        200,
        json!({"instances": 1}),
    );
}

#[test]
fn what_was_read_can_be_put_back() {
    let server = TestServer::start();
    let mut kept = full();
    kept["lease"] = json!(null);
    for (id, body) in [
        ("web-1", full()),
        ("a", web(1)),
        (
            "b",
            json!({"name": "web", "host": "2001:DB8::1", "port": 1}),
        ),
        ("c", json!({"name": "web", "host": "Localhost.", "port": 1})),
        (
            "d",
            json!({"name": "web", "host": "10.0.0.1", "port": 1, "lease": null, "health_check": {"kind": "tcp"}}),
        ),
        (
            "e",
            json!({"name": "web", "host": "10.0.0.1", "port": 1, "health_check": {"kind": "none"}}),
        ),
        ("web-1", kept),
    ] {
        server.register(id, body);
        let path = format!("/v1/instances/{id}");
        let mut read = check(&server, &format!("GET {path}"), json!(null), 200, json!({}));
        let mut again = check(
            &server,
            &format!("PUT {path}"),
            read.clone(),
            200,
            json!({}),
        )["instance"]
            .take();
        for changing in ["last_heartbeat", "state"] {
            assert!(read.as_object_mut().unwrap().remove(changing).is_some());
            again.as_object_mut().unwrap().remove(changing);
        }
        assert_eq!(read, again);
    }
    // Modified in between, too.
    let mut read = check(&server, "GET /v1/instances/a", json!(null), 200, json!({}));
    read["weight"] = json!(512);
    check(
        &server,
        "PUT /v1/instances/a",
        read,
        200,
        json!({"instance": {"weight": 512, "port": 8001}}),
    );
}

#[test]
fn a_full_registry_says_so() {
    let server = TestServer::with(Settings {
        max_instances: Some(2),
        ..Settings::default()
    });
    server.register("a", web(1));
    server.register("b", web(2));
    check(
        &server,
        "PUT /v1/instances/c",
        web(3),
        429,
        json!({"detail": "max_instances"}),
    );
    check(&server, "PUT /v1/instances/a", web(4), 200, json!({}));
    check(
        &server,
        "GET /v1/stats",
        json!(null),
        200,
        json!({"instances": 2}),
    );
}

#[test]
fn names_of_static_zones_are_taken() {
    let zones = TempDir::new("zones");
    zones.write("svc.internal.zone",
        "$TTL 60\ndb A 10.9.9.1\n_mail._tcp SRV 1 1 25 db\nweb-9.web A 10.9.9.2\nsub NS ns.sub\nns.sub A 10.9.9.3\n");
    zones.write(
        "own.svc.internal.zone",
        "$TTL 60\n@ SOA ns hostmaster 1 1 1 1 1\n@ NS ns\nns A 10.9.9.4\n",
    );
    let server = TestServer::with(Settings {
        zones: Some(zones.path().into()),
        ..Settings::default()
    });
    for (id, name, protocol, taken) in [
        ("a", "db", "http", Some("db.svc.internal.")),
        ("a", "DB", "udp", Some("db.svc.internal.")),
        ("a", "mail", "tcp", Some("_mail._tcp.svc.internal.")),
        ("web-9", "web", "http", Some("web")),
        ("a", "sub", "http", Some("sub.svc.internal.")),
        ("a", "own", "http", Some("own.svc.internal.")),
        ("a", "ns", "http", Some("ns.svc.internal.")),
        ("a", "mail", "udp", None),
        ("db", "api", "http", None),
    ] {
        let body =
            json!({"id": id, "name": name, "host": "10.0.0.1", "port": 1, "protocol": protocol});
        let problem = taken.map_or(json!(null), |taken| json!({"detail": taken}));
        let expected = if taken.is_some() {
            problem.clone()
        } else {
            json!({})
        };
        let (status, item) = match taken {
            Some(_) => (409, 409),
            None => (200, 201),
        };
        // An array first: what it registers the call after it replaces.
        check(
            &server,
            "POST /v1/instances",
            json!([body]),
            200,
            json!([{"status": item, "problem": problem}]),
        );
        check(
            &server,
            &format!("PUT /v1/instances/{id}"),
            body,
            status,
            expected,
        );
    }
    check(
        &server,
        "GET /v1/stats",
        json!(null),
        200,
        json!({"instances": 2}),
    );
    assert_eq!(
        server.ask("db.svc.internal.", RecordType::A).answers(),
        ["A 10.9.9.1"]
    );
}

/// A program that registers again isn't away for a moment.
#[test]
fn replacing_withdraws_nothing() {
    let server = TestServer::start();
    server.register("a", web(1));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| (0..150).for_each(|_| drop(server.register("a", web(1))))))
            .collect();
        while !writers.iter().all(|writer| writer.is_finished()) {
            for name in ["web.svc.internal.", "a.web.svc.internal."] {
                let answer = server.ask(name, RecordType::A);
                let reason = answer.extended_error();
                assert_eq!(answer.answers(), ["A 10.0.0.1"], "{name} {reason:?}");
            }
        }
    });
}
