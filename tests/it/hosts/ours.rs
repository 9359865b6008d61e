//! Host names in our own zones: taken from there, and never made of themselves.

use super::*;

#[test]
fn names_of_our_own_zones_are_taken_from_there() {
    let names = NameServer::start();
    names.set("far.example.", addresses(&["10.9.0.1"], 1));
    let zones = TempDir::new("zones");
    zones.write(
        "lan.zone",
        "$ORIGIN lan.test.\n@ 60 SOA ns hostmaster 1 60 60 60 1\n@ 60 NS ns\nns 60 A 10.8.0.1\n\
         box 30 A 10.8.0.2\nbox 30 AAAA 2001:db8::8\nout 30 CNAME far.example.\nto-web 30 CNAME web.svc.internal.\n",
    );
    let server = TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..settings(&names)
    });
    register(&server, "web-1", "web", "10.0.0.1");
    register(&server, "web-2", "web", "10.0.0.2");
    register(&server, "one", "one", "web-1.web.svc.internal");
    register(&server, "all", "all", "web.svc.internal");
    register(&server, "static", "static", "box.lan.test");
    register(&server, "alias", "alias", "to-web.lan.test");
    register(&server, "none", "none", "missing.lan.test");
    becomes(&server, "one", &["A 10.0.0.1"]);
    becomes(&server, "all", &["A 10.0.0.1", "A 10.0.0.2"]);
    becomes(&server, "static", &["A 10.8.0.2", "AAAA 2001:db8::8"]);
    becomes(&server, "alias", &["A 10.0.0.1", "A 10.0.0.2"]);
    let resolved = state(&server, "static")["resolved"].clone();
    let time = |field: &str| -> chrono::DateTime<chrono::Utc> {
        resolved[field].as_str().unwrap().parse().unwrap()
    };
    assert_eq!((time("good_until") - time("looked_up")).num_seconds(), 30);
    error(
        &server,
        "none",
        "missing.lan.test. doesn't exist (NXDOMAIN)",
    );
    assert_eq!(names.questions(), 0, "no network is needed for any of them");

    // What changes there changes here.
    server.http("DELETE", "/v1/instances/web-1", "");
    becomes(&server, "all", &["A 10.0.0.2"]);
    server.http("POST", "/v1/instances/web-2/drain", "");
    becomes(&server, "all", &[]);
    error(
        &server,
        "all",
        "nobody is listed at web.svc.internal.: 1 registered: 1 draining",
    );
    server.http("POST", "/v1/instances/web-2/resume", "");
    becomes(&server, "all", &["A 10.0.0.2"]);

    // Where an alias leads out of our zones, others are asked.
    register(&server, "out", "out", "out.lan.test");
    becomes(&server, "out", &["A 10.9.0.1"]);
    assert_eq!(names.asked("out.lan.test.", RecordType::A), 0);
}

#[test]
fn aliases_of_others_into_our_zones_are_taken_from_there() {
    let names = NameServer::start();
    names.set(
        "in.example.",
        Says::Alias("web.svc.internal.".to_owned(), 1),
    );
    // What others believe of our zone is old.
    names.set("web.svc.internal.", addresses(&["10.6.6.6"], 1));
    let server = server(&names);
    register(&server, "web-1", "web", "10.0.0.1");
    register(&server, "in", "in", "in.example");
    becomes(&server, "in", &["A 10.0.0.1"]);
}

/// What a registration is refused with.
#[track_caller]
fn refused(server: &TestServer, id: &str, body: &Value, way: &str) {
    let answer = server.http("PUT", &format!("/v1/instances/{id}"), &body.to_string());
    let problem = answer.json();
    assert_eq!(answer.status, 400, "{problem}");
    assert_eq!(problem["field"], "host");
    assert_eq!(problem["type"], "urn:namebeat:problem:host-loop");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(way), "{detail}");
}

#[test]
fn a_host_name_that_leads_back_to_itself_is_refused() {
    let names = NameServer::start();
    let zones = TempDir::new("zones");
    zones.write(
        "lan.zone",
        "$ORIGIN lan.test.\n@ 60 SOA ns hostmaster 1 60 60 60 1\n@ 60 NS ns\nns 60 A 10.8.0.1\n\
         round 30 CNAME b.back.svc.internal.\n",
    );
    let server = TestServer::with(Settings {
        zones: Some(zones.path().to_owned()),
        ..settings(&names)
    });
    let tagged = |host: &str| {
        let mut tagged = body("web", host);
        tagged["tags"] = json!({"env": "prod"});
        tagged["version"] = json!("1.4.2");
        tagged["locality"] = json!("here");
        tagged
    };
    for (host, way) in [
        (
            "web.svc.internal",
            "a.web.svc.internal. → web.svc.internal. → a.web.svc.internal.",
        ),
        (
            "A.web.svc.internal.",
            "a.web.svc.internal. → a.web.svc.internal.",
        ),
        (
            "prod.env.tag.web.svc.internal",
            "→ prod.env.tag.web.svc.internal. →",
        ),
        (
            "here.locality.web.svc.internal",
            "→ here.locality.web.svc.internal. →",
        ),
    ] {
        refused(&server, "a", &tagged(host), way);
    }
    // Names by version end in a number label in front only, so they're host names, too.
    refused(
        &server,
        "a",
        &tagged("1.4.version.web.svc.internal"),
        "→ 1.4.version.web.",
    );
    // Names that select others are no loop.
    for host in [
        "test.env.tag.web.svc.internal",
        "b.web.svc.internal",
        "1.5.version.web.svc.internal",
    ] {
        let answer = server.http("PUT", "/v1/instances/a", &tagged(host).to_string());
        assert!(answer.status < 300, "{answer:?}");
    }
    // Over other instances' host names, listed or not, and over aliases.
    register(&server, "a", "front", "b.middle.svc.internal");
    register(&server, "b", "middle", "c.back.svc.internal");
    refused(
        &server,
        "c",
        &body("back", "front.svc.internal"),
        "c.back.svc.internal. → front.svc.internal. → a.front.svc.internal. → \
         b.middle.svc.internal. → c.back.svc.internal. → front.svc.internal.",
    );
    refused(
        &server,
        "b",
        &body("back", "round.lan.test"),
        "→ round.lan.test. → b.back.svc.internal.",
    );
    // Within one call, too.
    let mut both = [
        body("left", "right.svc.internal"),
        body("right", "left.svc.internal"),
    ];
    both[0]["id"] = json!("l");
    both[1]["id"] = json!("r");
    let answer = server
        .http("POST", "/v1/instances", &json!(both).to_string())
        .json();
    assert_eq!(
        (&answer[0]["status"], &answer[1]["status"]),
        (&json!(201), &json!(400))
    );
    // What takes the place of the one in between is no loop any more.
    register(&server, "b", "middle", "10.0.0.1");
    register(&server, "c", "back", "front.svc.internal");
    becomes(&server, "front", &["A 10.0.0.1"]);
    becomes(&server, "back", &["A 10.0.0.1"]);
    assert_eq!(names.questions(), 0);
}

#[test]
fn a_way_without_end_is_refused() {
    let names = NameServer::start();
    let server = server(&names);
    // From the end, so that each is registered before what leads to it.
    register(&server, "i", "s0", "10.0.0.1");
    for n in 1..=17 {
        register(&server, "i", "tmp", "10.0.0.1");
        let id = format!("i{n}");
        let host = format!("s{}.svc.internal", n - 1);
        register(&server, &id, &format!("s{n}"), &host);
    }
    refused(
        &server,
        "i18",
        &body("s18", "s17.svc.internal"),
        "through more than 16 names",
    );
    becomes(&server, "s1", &[]);
}

#[test]
fn a_loop_that_comes_later_leaves_no_ghost() {
    let names = NameServer::start();
    names.set("x.example.", addresses(&["10.0.0.1"], 1));
    names.set("y.example.", addresses(&["10.0.0.1"], 1));
    // A recursive server that believes for long what we said.
    names.set("a.svc.internal.", addresses(&["10.0.0.1"], 1));
    names.set("b.svc.internal.", addresses(&["10.0.0.1"], 1));
    let server = server(&names);
    register(&server, "a-1", "a", "x.example");
    register(&server, "b-1", "b", "y.example");
    for name in ["a", "b"] {
        becomes(&server, name, &["A 10.0.0.1"]);
    }
    names.set("x.example.", Says::Alias("b.svc.internal.".to_owned(), 1));
    becomes(&server, "a", &["A 10.0.0.1"]);
    names.set("y.example.", Says::Alias("a.svc.internal.".to_owned(), 1));
    becomes(&server, "a", &[]);
    becomes(&server, "b", &[]);
    let told = explained(&server, "a")["instances"][0]["why"].clone();
    let told = told.as_str().unwrap();
    assert!(told.starts_with("without a known address: "), "{told}");
    error(&server, "b-1", "leads back to itself");
    // Its end is the end of it.
    names.set("y.example.", addresses(&["10.0.0.2"], 1));
    becomes(&server, "b", &["A 10.0.0.2"]);
    becomes(&server, "a", &["A 10.0.0.2"]);
}
