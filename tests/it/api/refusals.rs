//! Registrations that can't be taken: every field of an instance, on both
//! sides of its limits; those of its check are in `checks`.

use hickory_proto::rr::RecordType;
use serde_json::{Map, Value, json};

use super::check;
use crate::harness::TestServer;

/// A good registration with the members of `patch` put over it.
pub(super) fn patched(id: &str, patch: &Value) -> Value {
    let mut body = json!({"id": id, "name": "web", "host": "10.0.0.1", "port": 80});
    let members = body.as_object_mut().unwrap();
    members.extend(patch.as_object().unwrap().clone());
    body
}

/// A map of `count` entries `k0`, `k1` and so on.
pub(super) fn map(count: usize, value: Value) -> Value {
    let entries = (0..count).map(|n| (format!("k{n}"), value.clone()));
    Value::Object(entries.collect::<Map<_, _>>())
}

/// One entry.
pub(super) fn pair(key: impl Into<String>, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.into(), value)]))
}

pub(super) fn x(count: usize) -> String {
    "x".repeat(count)
}

/// Asserts for each case that no way to register takes it, that the error names
/// the field and says `part`, and that nothing of it was applied.
pub(super) fn check_refused(cases: Vec<(Value, &str, &str)>) {
    let server = TestServer::start();
    server.register(
        "kept",
        json!({"name": "web", "host": "10.0.0.9", "port": 9}),
    );
    let state = || {
        let kept = check(
            &server,
            "GET /v1/instances/kept",
            json!(null),
            200,
            json!({}),
        );
        let stats = check(&server, "GET /v1/stats", json!(null), 200, json!({}));
        (kept, stats)
    };
    let before = state();
    for (patch, field, part) in cases {
        let problem = json!({"field": field, "detail": part});
        let new = patched("new", &patch);
        check(
            &server,
            "POST /v1/instances",
            new.clone(),
            422,
            problem.clone(),
        );
        check(
            &server,
            "POST /v1/instances",
            json!([new]),
            200,
            json!([{"status": 422, "instance": null, "problem": problem}]),
        );
        // An id in the patch is refused for not being that of the path, too.
        let kept = patched("kept", &patch);
        check(
            &server,
            "PUT /v1/instances/kept",
            kept,
            422,
            json!({"field": field}),
        );
        assert_eq!(state(), before, "{patch}");
    }
    check(
        &server,
        "GET /v1/instances/new",
        json!(null),
        404,
        json!({}),
    );
}

#[test]
fn refuses_ids_and_names() {
    let labels = [
        (json!(""), "is empty"),
        (json!(x(64)), "64 octets"),
        (json!("a.b"), "'.'"),
        (json!("a_b"), "'_'"),
        (json!("a b"), "' '"),
        (json!("a\u{e9}"), "'\u{e9}'"),
        (json!("a\0"), "a-z, 0-9"),
        (json!("*"), "'*'"),
        (json!("-a"), "begins or ends"),
        (json!("a-"), "begins or ends"),
        (json!("-"), "begins or ends"),
        (json!("tag"), "reserved"),
        (json!("VERSION"), "reserved"),
        (json!("locality"), "reserved"),
        (json!(null), "missing"),
        (json!(7), "id"),
    ];
    let mut cases = Vec::new();
    for (label, part) in labels {
        // Of a PUT the path has the id, so there it may be left out.
        if !label.is_null() {
            cases.push((json!({"id": label}), "id", part));
        }
        let part = if part == "id" { "name" } else { part };
        cases.push((json!({"name": label}), "name", part));
    }
    check_refused(cases);
}

#[test]
fn refuses_versions_hosts_and_addresses() {
    let long_host = [x(63), x(63), x(63), x(63)].join(".");
    let many: Vec<String> = (1..=9).map(|n| format!("10.0.0.{n}")).collect();
    let several = |addresses: Value| json!({"host": null, "addresses": addresses});
    check_refused(vec![
        (json!({"version": ""}), "version", "1 to 64"),
        (json!({"version": x(65)}), "version", "65 octets"),
        (
            json!({"version": "\u{e9}".repeat(33)}),
            "version",
            "66 octets",
        ),
        (json!({"version": 1.4}), "version", "version"),
        (json!({"host": null}), "host", "missing"),
        (
            json!({"host": ""}),
            "host",
            "neither an IP address nor a host name",
        ),
        (json!({"host": "."}), "host", "neither"),
        (json!({"host": "a..b"}), "host", "neither"),
        (json!({"host": ".a"}), "host", "neither"),
        (json!({"host": "a_b.example"}), "host", "neither"),
        (json!({"host": "-a.example"}), "host", "neither"),
        (json!({"host": "a b"}), "host", "neither"),
        (json!({"host": "b\u{fc}ro.example"}), "host", "neither"),
        (json!({"host": "10.0.0"}), "host", "neither"),
        (json!({"host": "300.0.0.1"}), "host", "neither"),
        (json!({"host": "10.0.0.1:80"}), "host", "neither"),
        (json!({"host": "[::1]"}), "host", "neither"),
        (json!({"host": "fe80::1%eth0"}), "host", "neither"),
        (json!({"host": "http://a"}), "host", "neither"),
        (
            json!({"host": format!("{}.example", x(64))}),
            "host",
            "neither",
        ),
        (json!({"host": long_host}), "host", "neither"),
        (json!({"host": "0.0.0.0"}), "host", "can't be connected to"),
        (json!({"host": "::"}), "host", "can't be connected to"),
        (
            json!({"host": "224.0.0.1"}),
            "host",
            "can't be connected to",
        ),
        (json!({"host": "ff02::1"}), "host", "can't be connected to"),
        (
            json!({"host": "255.255.255.255"}),
            "host",
            "can't be connected to",
        ),
        (json!({"host": 1}), "host", "host"),
        (
            json!({"addresses": ["10.0.0.2"]}),
            "addresses",
            "beside host",
        ),
        (several(json!([])), "addresses", "1 to 8"),
        (several(json!(many)), "addresses", "9 entries"),
        (several(json!("10.0.0.1")), "addresses", "addresses"),
        (
            several(json!(["10.0.0.1", "web.example"])),
            "addresses.1",
            "no IPv4 or IPv6 address",
        ),
        (
            several(json!(["10.0.0.1", "::"])),
            "addresses.1",
            "can't be connected to",
        ),
    ]);
}

/// A path reads the same whether the shape is wrong or the value.
#[test]
fn refuses_addresses_of_another_shape() {
    let patch = json!({"host": null, "addresses": ["10.0.0.1", 5]});
    check_refused(vec![(patch, "addresses.1", "addresses")]);
}

#[test]
fn refuses_ports_and_protocols() {
    let ports = |key: &str, value: Value| json!({"ports": pair(key, value)});
    check_refused(vec![
        (json!({"port": null}), "port", "missing"),
        (json!({"port": 0}), "port", "1 to 65535"),
        (json!({"port": -1}), "port", "1 to 65535"),
        (json!({"port": 65536}), "port", "65536 is out of range"),
        (json!({"port": 8080.5}), "port", "port"),
        (json!({"port": "8080"}), "port", "port"),
        (json!({"port": u64::MAX}), "port", "port"),
        (json!({"ports": map(17, json!(1))}), "ports", "at most 16"),
        (json!({"ports": [1]}), "ports", "ports"),
        (ports("admin", json!(0)), "ports.admin", "1 to 65535"),
        (ports("admin", json!(65536)), "ports.admin", "1 to 65535"),
        (ports("admin", json!("1")), "ports.admin", "admin"),
        (ports("a_b", json!(1)), "ports.a_b", "'_'"),
        (ports("", json!(1)), "ports.", "is empty"),
        (ports(&x(63), json!(1)), &format!("ports.{}", x(63)), "62"),
        (ports("http", json!(81)), "ports.http", "protocol's name"),
        (json!({"ports": {"a": 1, "A": 2}}), "ports.a", "twice"),
        (
            json!({"protocol": "ftp"}),
            "protocol",
            "\"grpc\", \"tcp\" and \"udp\"",
        ),
        (json!({"protocol": ""}), "protocol", "allowed are"),
        (json!({"protocol": 1}), "protocol", "protocol"),
    ]);
}

#[test]
fn refuses_tags_and_metadata() {
    let tags = |key: &str, value: &str| json!({"tags": pair(key, json!(value))});
    let metadata = |key: &str, value: &str| json!({"metadata": pair(key, json!(value))});
    // 17 pairs of 2 or 3 and 240 octets.
    let bulky = map(17, json!(x(240)));
    check_refused(vec![
        (json!({"tags": map(33, json!("v"))}), "tags", "at most 32"),
        (json!({"tags": ["a"]}), "tags", "tags"),
        (json!({"tags": null}), "tags", "tags"),
        (tags("a_b", "v"), "tags.a_b", "'_'"),
        (tags("", "v"), "tags.", "is empty"),
        (tags(&x(64), "v"), &format!("tags.{}", x(64)), "64 octets"),
        (tags("env", ""), "tags.env", "is empty"),
        (tags("env", "a.b"), "tags.env", "'.'"),
        (tags("env", &x(64)), "tags.env", "64 octets"),
        (json!({"tags": {"env": 1}}), "tags.env", "env"),
        (
            json!({"tags": {"Env": "a", "env": "a"}}),
            "tags.env",
            "twice",
        ),
        (
            json!({"metadata": map(65, json!("v"))}),
            "metadata",
            "at most 64",
        ),
        (json!({"metadata": bulky}), "metadata", "at most 4096"),
        (json!({"metadata": "a=b"}), "metadata", "metadata"),
        (metadata("", "v"), "metadata.", "key"),
        (metadata("a=b", "v"), "metadata.a=b", "without \"=\""),
        (
            metadata("\u{e9}", "v"),
            "metadata.\u{e9}",
            "printable ASCII",
        ),
        (metadata("a\n", "v"), "metadata.a\n", "printable ASCII"),
        (metadata("k", &x(254)), "metadata.k", "256 octets"),
        (
            metadata("k", &"\u{e9}".repeat(127)),
            "metadata.k",
            "256 octets",
        ),
        (
            metadata(&x(256), ""),
            &format!("metadata.{}", x(256)),
            "257 octets",
        ),
        (json!({"metadata": {"k": null}}), "metadata.k", "k"),
    ]);
}

#[test]
fn refuses_weights_localities_and_leases() {
    let unchecked = json!({"lease": null, "health_check": {"kind": "none"}});
    check_refused(vec![
        (json!({"weight": -1}), "weight", "0 to 65535"),
        (json!({"weight": 65536}), "weight", "0 to 65535"),
        (json!({"weight": "1"}), "weight", "weight"),
        (json!({"priority": -1}), "priority", "0 to 65535"),
        (json!({"priority": 65536}), "priority", "0 to 65535"),
        (json!({"priority": 0.5}), "priority", "priority"),
        (json!({"locality": ""}), "locality", "is empty"),
        (json!({"locality": "eu_1"}), "locality", "'_'"),
        (json!({"locality": x(64)}), "locality", "64 octets"),
        (json!({"locality": ["eu"]}), "locality", "locality"),
        (json!({"lease": "1s"}), "lease", "2s to 24h"),
        (json!({"lease": "1999ms"}), "lease", "2s to 24h"),
        (json!({"lease": "0s"}), "lease", "2s to 24h"),
        (json!({"lease": "86401s"}), "lease", "2s to 24h"),
        (json!({"lease": "25h"}), "lease", "2s to 24h"),
        (json!({"lease": "30"}), "lease", "\"30\""),
        (json!({"lease": "1.5m"}), "lease", "1.5m"),
        (json!({"lease": "-30s"}), "lease", "-30s"),
        (json!({"lease": "soon"}), "lease", "soon"),
        (json!({"lease": ""}), "lease", "\"\""),
        (json!({"lease": 30}), "lease", "lease"),
        (json!({"lease": {"term": "30s"}}), "lease", "lease"),
        (json!({"lease": null}), "lease", "health_check"),
        (unchecked, "lease", "health_check"),
    ]);
}

#[test]
fn refuses_fields_that_nothing_knows() {
    check_refused(vec![
        (json!({"zome": 1}), "zome", "health_check"),
        (json!({"Name": "web"}), "Name", "name"),
        (json!({"service": "web"}), "service", "name"),
        (json!({"": 1}), "", "name"),
        (json!({"address": "10.0.0.1"}), "address", "addresses"),
    ]);
}

#[test]
fn takes_what_is_at_the_limits() {
    let server = TestServer::start();
    let host = [x(63), x(63), x(63), x(61)].join(".");
    let addresses: Vec<String> = (1..=8).map(|n| format!("10.0.0.{n}")).collect();
    // 10 pairs of 2 and 251 octets, 6 of 3 and 251, and one that fills what is left.
    let mut metadata = map(16, json!(x(251)));
    metadata["z"] = json!(x(4096 - 10 * 253 - 6 * 254 - 1));
    for patch in [
        json!({"id": "a"}),
        json!({"id": x(63), "name": x(63)}),
        json!({"id": "0", "name": "0-0"}),
        json!({"version": x(64)}),
        json!({"version": "\u{e9}".repeat(32)}),
        json!({"host": host}),
        json!({"host": "a"}),
        json!({"host": "1a.2b"}),
        json!({"host": "::ffff:10.0.0.1"}),
        json!({"host": null, "addresses": addresses}),
        json!({"host": null, "addresses": ["::1"]}),
        json!({"port": 1}),
        json!({"port": 65535}),
        json!({"ports": map(16, json!(65535))}),
        json!({"ports": pair(x(62), json!(1))}),
        json!({"ports": {"http": 80}}),
        json!({"protocol": "https"}),
        json!({"protocol": "grpc"}),
        json!({"protocol": "tcp"}),
        json!({"protocol": "udp"}),
        json!({"tags": map(32, json!(x(63)))}),
        json!({"tags": pair(x(63), json!(x(63)))}),
        json!({"tags": {"tag": "version"}}),
        json!({"metadata": map(64, json!(""))}),
        json!({"metadata": metadata}),
        json!({"metadata": pair("k", json!(x(253)))}),
        json!({"metadata": pair(x(254), json!(""))}),
        json!({"metadata": {" ~": "\u{1f980}\u{0}=\""}}),
        json!({"weight": 0, "priority": 0}),
        json!({"weight": 65535, "priority": 65535}),
        json!({"locality": x(63)}),
        json!({"lease": "2s"}),
        json!({"lease": "2000ms"}),
        json!({"lease": "24h"}),
        json!({"lease": "86400s"}),
        json!({"lease": null, "health_check": {"kind": "tcp", "initial": "passing"}}),
        json!({"health_check": {"interval": "100ms", "timeout": "10ms", "retries": 1, "rise": 1, "initial": "passing"}}),
        json!({"health_check": {"interval": "1h", "timeout": "1m", "retries": 100, "rise": 100, "initial": "passing"}}),
        json!({"health_check": {"endpoint": format!("/{}", x(1023)), "initial": "passing"}}),
        json!({"protocol": "grpc", "health_check": {"kind": "tcp", "initial": "passing"}}),
        json!({"health_check": null, "version": null, "locality": null, "weight": null}),
    ] {
        let body = patched("limit", &patch);
        let answer = check(&server, "POST /v1/instances", body, 201, json!({}));
        let (id, name) = (&answer["instance"]["id"], &answer["instance"]["name"]);
        let (id, name) = (id.as_str().unwrap(), name.as_str().unwrap());
        let mut read = patched("limit", &patch);
        if patch["lease"].is_string() {
            read.as_object_mut().unwrap().remove("lease");
        }
        for defaulted in ["weight", "health_check"] {
            if patch[defaulted].is_null() {
                read.as_object_mut().unwrap().remove(defaulted);
            }
        }
        check(
            &server,
            &format!("GET /v1/instances/{id}"),
            json!(null),
            200,
            read,
        );
        // Whatever is taken can be answered.
        if answer["instance"]["state"]["listed"] == true {
            let own = format!("{id}.{name}.svc.internal.");
            for rtype in [RecordType::SRV, RecordType::TXT] {
                let answers = server.ask_tcp(&own, rtype).answers();
                assert_eq!(answers.len(), 1, "{rtype} {patch}");
            }
        }
        check(
            &server,
            &format!("DELETE /v1/instances/{id}"),
            json!(null),
            200,
            json!({}),
        );
    }
}
