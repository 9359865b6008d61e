//! Explanations: what is said to be answered is, and of every instance it's told why
//! it's in the answer or isn't.

use std::collections::BTreeSet;

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use crate::harness::TestServer;

fn explained(server: &TestServer, name: &str, rtype: &str) -> Value {
    let answer = server.http("GET", &format!("/v1/explain?name={name}&type={rtype}"), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Id, whether it's in, and why.
fn told(explanation: &Value) -> Vec<(String, bool, String)> {
    let instances = explanation["instances"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |one: &Value| (text(&one["id"]), one["in"] == true, text(&one["why"]));
    instances.iter().map(one).collect()
}

#[test]
fn promise_8_nothing_is_a_mystery() {
    let server = TestServer::start();
    let register = |id: &str, patch: Value| {
        let mut body = json!({"name": "web", "host": "10.0.0.1", "port": 80, "lease": "1h"});
        body.as_object_mut()
            .unwrap()
            .extend(patch.as_object().unwrap().clone());
        server.register(id, body);
    };
    register(
        "a-listed",
        json!({"host": "10.0.0.1", "tags": {"env": "prod"}, "lease": "4s"}),
    );
    register("b-drained", json!({"host": "10.0.0.2"}));
    register("c-failing", json!({"host": "10.0.0.3"}));
    register(
        "d-starting",
        json!({"host": "10.0.0.4", "health_check": {"kind": "tcp", "interval": "1h"}}),
    );
    register("e-weightless", json!({"host": "10.0.0.5", "weight": 0}));
    register("f-six", json!({"host": "2001:db8::1"}));
    register("g-gone", json!({"host": "10.0.0.7"}));
    assert_eq!(
        server
            .http("POST", "/v1/instances/b-drained/drain", "")
            .status,
        200
    );
    let failing = r#"{"status": "failing", "note": "disk full"}"#;
    assert_eq!(
        server
            .http("POST", "/v1/instances/c-failing/heartbeat", failing)
            .status,
        200
    );
    assert_eq!(
        server.http("DELETE", "/v1/instances/g-gone", "").status,
        200
    );

    let explanation = explained(&server, "web.svc.internal", "A");
    let is = |id: &str, is_in: bool, why: &str| (id.to_owned(), is_in, why.to_owned());
    let mut found = told(&explanation);
    // What a first probe found is in the checked one's words.
    let starting = found
        .iter_mut()
        .find(|(id, ..)| id == "d-starting")
        .unwrap();
    assert!(
        starting.2.starts_with("starting") || starting.2.starts_with("failing"),
        "{starting:?}"
    );
    starting.2 = String::new();
    assert_eq!(
        found,
        [
            is("a-listed", true, ""),
            is("b-drained", false, "draining"),
            is("c-failing", false, "failing: disk full"),
            is("d-starting", false, ""),
            is("e-weightless", false, "has weight 0, and others have more"),
            is("f-six", false, "has no address of that family"),
            is("g-gone", false, "deregistered"),
        ]
    );
    assert_eq!(
        explanation["reading"],
        "instances of service web in the discovery zone svc.internal."
    );
    assert_eq!(
        (&explanation["rcode"], &explanation["authoritative"]),
        (&json!("NOERROR"), &json!(true))
    );
    let bound = explanation["ttl"]["bound"].as_str().unwrap();
    assert!(
        bound.starts_with("the lease of a-listed ends in "),
        "{bound}"
    );
    assert_eq!(explanation["instances"][0]["term"], "4s");

    // Its own name answers until nobody can hold the instance any more.
    let leaving = explained(&server, "b-drained.web.svc.internal", "A");
    let why = "draining, but its own name answers until it's drained";
    assert_eq!(told(&leaving), [is("b-drained", true, why)]);
    let tagged = explained(&server, "prod.env.tag.web.svc.internal", "A");
    assert_eq!(
        told(&tagged)[1],
        is("b-drained", false, "isn't one that the name selects")
    );
    assert_eq!(
        tagged["reading"],
        "instances of service web with tags env=prod in the discovery zone svc.internal."
    );
    let outside = explained(&server, "www.example.com", "A");
    assert_eq!(
        outside["reading"],
        "a name outside of all zones of this server"
    );
    assert_eq!(outside["rcode"], "REFUSED");

    // Nobody listed: the policy has those answered who fail.
    for id in ["a-listed", "e-weightless", "f-six"] {
        assert_eq!(
            server
                .http("POST", &format!("/v1/instances/{id}/drain"), "")
                .status,
            200
        );
    }
    let none = explained(&server, "web.svc.internal", "A");
    assert!(
        none["error"].as_str().unwrap().contains("6 registered"),
        "{none}"
    );
    let policy = r#"{"when_none_healthy": "all", "ttl": "2s"}"#;
    assert_eq!(
        server.http("PUT", "/v1/services/web/policy", policy).status,
        201
    );
    let opened = explained(&server, "web.svc.internal", "A");
    let why = "failing: disk full, but nobody is listed and the policy has all answered";
    assert!(
        told(&opened).contains(&is("c-failing", true, why)),
        "{opened}"
    );
    assert_eq!(
        opened["ttl"],
        json!({"seconds": 2, "bound": "the ttl of the service's policy"})
    );
}

/// Over many states: what is explained is what is answered, and who is in has records
/// there, and nobody else.
#[test]
fn what_is_explained_is_what_is_answered() {
    let server = TestServer::start();
    let mut rng = fastrand::Rng::with_seed(8);
    let names = [
        "web.svc.internal.",
        "_http._tcp.web.svc.internal.",
        "_web._tcp.svc.internal.",
        "prod.env.tag.web.svc.internal.",
        "1.version.web.svc.internal.",
        "i3.web.svc.internal.",
        "eu.locality.web.svc.internal.",
        "nobody.svc.internal.",
    ];
    let types = [
        RecordType::A,
        RecordType::AAAA,
        RecordType::SRV,
        RecordType::TXT,
    ];
    for round in 0..150 {
        let n = rng.u8(1..9);
        let path = format!("/v1/instances/i{n}");
        match rng.u8(0..8) {
            0 => drop(server.http("DELETE", &path, "")),
            1 => drop(server.http("POST", &format!("{path}/drain"), "")),
            2 => drop(server.http("POST", &format!("{path}/resume"), "")),
            3 => {
                let status = *rng.choice(&["passing", "warning", "failing"]).unwrap();
                let body = json!({"status": status}).to_string();
                drop(server.http("POST", &format!("{path}/heartbeat"), &body));
            }
            4 => {
                let policy = json!({
                    "max_answers": rng.choice(&[json!(null), json!(1), json!(3)]),
                    "when_none_healthy": rng.choice(&["nodata", "all", "nxdomain"]),
                });
                server.http("PUT", "/v1/services/web/policy", &policy.to_string());
            }
            _ => {
                let (v4, v6) = (format!("10.0.0.{n}"), format!("2001:db8::{n}"));
                let addresses = rng
                    .choice(&[json!([v4]), json!([v6]), json!([v4, v6])])
                    .cloned();
                let body = json!({
                    "name": "web", "addresses": addresses, "port": 8000 + u16::from(n), "lease": "1h",
                    "weight": rng.choice(&[0, 1, 256]), "version": rng.choice(&["1.4", "2.0"]),
                    "protocol": rng.choice(&["http", "udp"]), "tags": {"env": rng.choice(&["prod", "test"])},
                    "locality": rng.choice(&["eu", "us"]),
                });
                server.register(&format!("i{n}"), body);
            }
        }
        for name in names {
            for rtype in types {
                let explanation = explained(&server, name, &rtype.to_string());
                let answer = server.ask_tcp(name, rtype);
                let said: BTreeSet<String> = explanation["answer"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|record| {
                        record
                            .as_str()
                            .unwrap()
                            .splitn(4, ' ')
                            .nth(3)
                            .unwrap()
                            .to_owned()
                    })
                    .collect();
                let answered = answer.answers().into_iter();
                // TXT is quoted in one way only.
                let plain = |text: String| match rtype {
                    RecordType::TXT => text.replace(['"', ' '], ""),
                    _ => text,
                };
                let answered: BTreeSet<String> = answered.map(plain).collect();
                let said: BTreeSet<String> = said.into_iter().map(plain).collect();
                assert_eq!(said, answered, "round {round}: {name} {rtype}");
                for (id, is_in, why) in told(&explanation) {
                    let n = &id[1..];
                    let own = said.iter().any(|record| match rtype {
                        RecordType::A => record.ends_with(&format!(".{n}")),
                        RecordType::AAAA => record.ends_with(&format!("::{n}")),
                        RecordType::SRV => record.contains(&format!(" {id}.web.")),
                        _ => record.contains(&format!("id={id}version")),
                    });
                    assert_eq!(
                        is_in, own,
                        "round {round}: {name} {rtype}, {id} {why}, {said:?}"
                    );
                    assert!(
                        is_in || !why.is_empty(),
                        "round {round}: {name} {rtype}, {id}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_cant_be_explained_is_said() {
    let server = TestServer::start();
    for (query, part) in [
        ("", "name is missing"),
        ("name=web.svc.internal&type=SVR", "type=SVR is unknown"),
        (&format!("name={}", "x".repeat(64)), "is no domain name"),
        ("name=web&client=me", "client=me is no IP address"),
        ("nam=web", "allowed are name, type and client"),
    ] {
        let answer = server.http("GET", &format!("/v1/explain?{query}"), "");
        assert_eq!(answer.status, 400, "{query}");
        assert!(
            answer.json()["detail"].as_str().unwrap().contains(part),
            "{answer:?}"
        );
    }
}
