//! The promises that hold today, each by its name. The sixth needs a data
//! directory and the eighth `explain`; both are to come.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::json;

use crate::harness::{Answer, TestServer, eventually, query};

const WEB: &str = "web.svc.internal.";

fn wall(value: &serde_json::Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn promise_1_visible_on_return() {
    let server = TestServer::start();
    for n in 1..=50 {
        let id = format!("web-{n}");
        server.register_web(&id, n);
        let own = format!("{id}.{WEB}");
        assert_eq!(
            server.ask(&own, RecordType::A).answers(),
            [format!("A 10.0.0.{n}")]
        );
        assert_eq!(
            server.ask_tcp(WEB, RecordType::A).answers().len(),
            usize::from(n)
        );
    }
    for n in 1..=25_u8 {
        let id = format!("web-{n}");
        let method = if n % 2 == 0 {
            ("DELETE", "")
        } else {
            ("POST", "/drain")
        };
        let answer = server.http(method.0, &format!("/v1/instances/{id}{}", method.1), "");
        assert_eq!(answer.status, 200);
        let left = server.ask_tcp(WEB, RecordType::A).answers();
        assert_eq!(left.len(), 50 - usize::from(n));
        assert!(!left.contains(&format!("A 10.0.0.{n}")));
    }
    assert_eq!(
        server.http("POST", "/v1/instances/web-1/resume", "").status,
        200
    );
    assert!(
        server
            .ask_tcp(WEB, RecordType::A)
            .answers()
            .contains(&"A 10.0.0.1".to_owned())
    );
}

#[test]
fn promise_2_no_cache_outlives_a_lease() {
    let server = TestServer::start();
    server.register(
        "long",
        json!({"name": "web", "host": "10.0.0.1", "port": 1, "lease": "1h"}),
    );
    let short = server.register(
        "short",
        json!({"name": "web", "host": "10.0.0.2", "port": 2, "lease": "3s"}),
    );
    let ends = wall(&short["lease"]["expires_at"]);
    let holds_short = |answer: &Answer| {
        let all = answer.answers().join("\n") + &answer.additionals().join("\n");
        all.contains("10.0.0.2") || all.contains("short")
    };
    eventually("the short lease ends", || {
        let mut held = 0;
        for rtype in [RecordType::A, RecordType::SRV, RecordType::TXT] {
            for name in [WEB, "short.web.svc.internal.", "_web._tcp.svc.internal."] {
                let asked = Utc::now();
                let answer = server.ask(name, rtype);
                if !holds_short(&answer) {
                    continue;
                }
                held += 1;
                let records = answer
                    .message
                    .answers
                    .iter()
                    .chain(&answer.message.additionals);
                // The whole RRset ends no later than the first lease in it; in the
                // additional section, each target's own.
                let ttl = records
                    .filter(|r| !r.name.to_string().starts_with("long"))
                    .map(|r| r.ttl)
                    .max()
                    .unwrap();
                let until = asked + Duration::from_secs(ttl.into());
                assert!(
                    until <= ends,
                    "{name} {rtype} until {until}, lease until {ends}"
                );
            }
        }
        let gone = Utc::now() > ends;
        assert!(!gone || held == 0 || Utc::now() < ends + Duration::from_millis(50));
        (held == 0).then_some(())
    });
    assert!(
        Utc::now() < ends + Duration::from_secs(1),
        "withdrawn more than 1 s late"
    );
    // The other one is answered with the service's whole TTL again.
    assert_eq!(server.ask(WEB, RecordType::A).ttl(), 5);
    eventually("the table forgets it", || {
        (server.http("GET", "/v1/instances/short", "").status == 404).then_some(())
    });
    assert!(
        Utc::now() < ends + Duration::from_secs(1),
        "expired more than 1 s late"
    );
}

/// A lease is over for every call at the same moment, and whoever registers right
/// then is there to stay.
#[test]
fn promise_2_a_lease_that_has_ended_has_ended_for_all() {
    let server = TestServer::start();
    let body = json!({"id": "a", "name": "web", "host": "10.0.0.1", "port": 1, "lease": "2s"});
    for _ in 0..3 {
        let created = server.http("POST", "/v1/instances", &body.to_string());
        assert_eq!(created.status, 201, "{created:?}");
        let ends = wall(&created.json()["lease"]["expires_at"]);
        eventually("the lease ends", || {
            let over = Utc::now() >= ends;
            let gone = server.http("GET", "/v1/instances/a", "").status == 404;
            assert!(!gone || Utc::now() >= ends);
            (gone && over).then_some(())
        });
        assert_eq!(
            server.http("POST", "/v1/instances/a/heartbeat", "").status,
            404
        );
    }
    assert_eq!(
        server
            .http("POST", "/v1/instances", &body.to_string())
            .status,
        201
    );
    for _ in 0..20 {
        assert_eq!(
            server.http("POST", "/v1/instances/a/heartbeat", "").status,
            200
        );
        assert_eq!(server.ask(WEB, RecordType::A).answers(), ["A 10.0.0.1"]);
    }
}

#[test]
fn promise_3_safe_to_stop() {
    let server = TestServer::with(namebeat::config::Settings {
        ttl: Some("2s".parse().unwrap()),
        ..Default::default()
    });
    for (id, call) in [("a", ("DELETE", "")), ("b", ("POST", "/drain"))] {
        let body = json!({"name": "web", "host": "10.0.0.1", "port": 1});
        server.register(id, body);
        let own = format!("{id}.{WEB}");
        let cached_until =
            Utc::now() + Duration::from_secs(server.ask(WEB, RecordType::SRV).ttl().into());
        let answer = server
            .http(call.0, &format!("/v1/instances/{id}{}", call.1), "")
            .json();
        let drained_at = wall(&answer["drained_at"]);
        assert!(cached_until <= drained_at, "{cached_until} {drained_at}");
        // Out of every set at once …
        let set = server.ask(WEB, RecordType::SRV);
        assert!(
            !set.answers().iter().any(|srv| srv.contains(&own)),
            "{set:?}"
        );
        // … while its own name goes on, until it's drained at the latest.
        assert_eq!(server.ask(&own, RecordType::A).answers(), ["A 10.0.0.1"]);
        eventually("its own name ends", || {
            let asked = Utc::now();
            let answer = server.ask(&own, RecordType::A);
            if answer.answers().is_empty() {
                return Some(());
            }
            let until = asked + Duration::from_secs(answer.ttl().into());
            assert!(
                until <= drained_at,
                "answered until {until}, drained at {drained_at}"
            );
            None
        });
    }
}

#[test]
fn promise_3_wait_returns_only_then() {
    let server = TestServer::with(namebeat::config::Settings {
        ttl: Some("1s".parse().unwrap()),
        ..Default::default()
    });
    server.register_web("a", 1);
    let answer = server
        .http("DELETE", "/v1/instances/a?wait=true", "")
        .json();
    assert!(wall(&answer["drained_at"]) <= Utc::now());
}

#[test]
fn promise_4_never_silently_cut() {
    let server = TestServer::start();
    let items: Vec<_> = (0..60)
        .map(|n| json!({"id": format!("i{n}"), "name": "web", "host": format!("10.0.1.{n}"), "port": 80}))
        .collect();
    let answer = server.http("POST", "/v1/instances", &json!(items).to_string());
    assert_eq!(answer.status, 200);
    for rtype in [RecordType::A, RecordType::SRV, RecordType::TXT] {
        for payload in [
            None,
            Some(512),
            Some(1000),
            Some(1232),
            Some(4096),
            Some(65_535),
        ] {
            let octets = server.udp(&query(WEB, rtype, payload)).unwrap();
            let answer = Answer::new(octets);
            let limit = usize::from(payload.unwrap_or(512).clamp(512, 8192));
            assert!(
                answer.octets.len() <= limit,
                "{rtype} {payload:?} {}",
                answer.octets.len()
            );
            let len = answer.message.answers.len();
            assert_eq!(answer.truncated(), len < 60, "{rtype} {payload:?}");
            assert_eq!(answer.message.edns.is_some(), payload.is_some());
        }
        let whole = server.ask_tcp(WEB, rtype);
        assert_eq!(
            (whole.message.answers.len(), whole.truncated()),
            (60, false)
        );
    }
    // Over TCP each target's address is there, too; over UDP glue goes without TC.
    assert_eq!(
        server
            .ask_tcp(WEB, RecordType::SRV)
            .message
            .additionals
            .len(),
        60
    );
    let fits = server.exchange(&query(WEB, RecordType::SRV, Some(3000)));
    assert!(
        !fits.truncated() && fits.message.additionals.len() < 60,
        "{fits:?}"
    );
}

#[test]
fn promise_4_a_cut_answer_is_the_same_subset_for_the_same_client() {
    let server = TestServer::start();
    for n in 1..=60 {
        server.register_web(&format!("web-{n}"), n);
    }
    let cut = || {
        let answer = server.exchange(&query(WEB, RecordType::SRV, None));
        assert!(answer.truncated());
        answer.answers().into_iter().collect::<BTreeSet<_>>()
    };
    let first = cut();
    assert!(first.len() > 5, "{first:?}");
    for _ in 0..20 {
        assert_eq!(cut(), first);
    }
    // One that isn't in the subset and leaves doesn't change it.
    let outside = (1..=60).find(|n| !first.iter().any(|srv| srv.contains(&format!(" web-{n}."))));
    server.http(
        "DELETE",
        &format!("/v1/instances/web-{}", outside.unwrap()),
        "",
    );
    assert_eq!(cut(), first);
}

#[test]
fn promise_5_a_name_that_exists_is_never_nxdomain() {
    let server = TestServer::start();
    let checked = json!({
        "name": "web", "host": "10.0.0.1", "port": 1,
        "tags": {"env": "prod"}, "version": "1.4.2", "locality": "eu-1",
        "health_check": {"kind": "tcp", "interval": "1h"},
    });
    server.register("a", checked.clone());
    server.register("b", checked.clone());
    server.register("c", json!({"name": "web", "host": "10.0.0.3", "port": 3}));
    server.http("POST", "/v1/instances/c/drain", "");
    let answer = server.ask(WEB, RecordType::SRV);
    assert_eq!(answer.rcode(), ResponseCode::NoError);
    assert_eq!(answer.negative_soa(), ("svc.internal.".into(), 2, 2));
    let (code, text) = answer.extended_error().unwrap();
    assert_eq!(
        (code, text.as_str()),
        (0, "3 registered: 2 starting, 1 draining")
    );
    for name in [
        "a.web",
        "_web._tcp",
        "_http._tcp.web",
        "_tcp.web",
        "_tcp",
        "prod.env.tag.web",
        "env.tag.web",
        "tag.web",
        "1.4.version.web",
        "4.version.web",
        "1.4.2.version.web",
        "version.web",
        "eu-1.locality.web",
        "locality.web",
        "",
    ] {
        for rtype in [
            RecordType::A,
            RecordType::SRV,
            RecordType::TXT,
            RecordType::MX,
        ] {
            let name = format!("{name}.svc.internal.");
            let answer = server.ask(name.trim_start_matches('.'), rtype);
            assert_eq!(answer.rcode(), ResponseCode::NoError, "{name} {rtype}");
            answer.negative_soa();
        }
    }
}

#[test]
fn promise_7_dns_never_waits() {
    // A writer that is kept busy, and a body that never ends, delay no answer.
    let server = TestServer::start();
    server.register_web("web-1", 1);
    let stuck = std::net::TcpStream::connect(server.addresses.http).unwrap();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                let server = &server;
                scope.spawn(move || {
                    for n in 0..50 {
                        server.register_web(&format!("w{thread}-{n}"), 9);
                    }
                })
            })
            .collect();
        let mut asked = 0;
        while !writers.iter().all(|writer| writer.is_finished()) || asked < 100 {
            assert_eq!(
                server
                    .ask("web-1.web.svc.internal.", RecordType::A)
                    .answers()
                    .len(),
                1
            );
            asked += 1;
        }
    });
    drop(stuck);
}
