//! Typed calls of the HTTP API: each of them, errors, several servers, watching.

use std::time::Duration;

use namebeat::api::policy::{PolicyFields, Txt};
use namebeat::api::{Heartbeat, Registration};
use namebeat::client::{Client, ClientError, Filter, WatchEvent};

use crate::harness::{DEADLINE, TestServer};
use crate::relay::nobody;

/// Runs what waits, within the deadline.
pub(super) fn run<T>(doing: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, doing).await.unwrap() })
}

/// The URL of a server's API.
pub(super) fn url(server: &TestServer) -> String {
    format!("http://{}", server.addresses.http)
}

fn web(id: &str, n: u8) -> Registration {
    Registration {
        id: Some(id.to_owned()),
        name: Some("web".to_owned()),
        host: Some(format!("10.0.0.{n}")),
        port: Some(8000 + i64::from(n)),
        version: Some("1.4.2".to_owned()),
        tags: [("env".to_owned(), "prod".to_owned())].into(),
        lease: Some(Some("1h".to_owned())),
        ..Registration::default()
    }
}

#[test]
fn every_call_is_typed() {
    let server = TestServer::start();
    let client: Client = url(&server).parse().unwrap();
    run(async {
        let registered = client.register(&web("web-1", 1)).await.unwrap();
        assert_eq!(registered.instance.port, 8001);
        assert_eq!(registered.instance.protocol, "http");
        assert_eq!(registered.lease.unwrap().term.0, Duration::from_secs(3600));
        // What was read can be sent back, checks included.
        let mut checked = web("web-2", 2);
        checked.health_check = Some(Default::default());
        checked.lease = Some(None);
        let registered = client.register_new(&checked).await.unwrap();
        assert_eq!(registered.instance.lease, None);
        let check = registered.instance.health_check.unwrap();
        assert_eq!(check.endpoint.as_deref(), Some("/health"));
        let error = client.register_new(&checked).await.unwrap_err();
        assert!(error.is("exists") && !error.is_temporary(), "{error}");
        let many = client
            .register_many(&[web("web-3", 3), web("web-1", 1)])
            .await
            .unwrap();
        assert_eq!((many[0].status, many[1].status), (201, 409));
        assert!(many[0].registered.is_some() && many[0].problem.is_none());
        assert!(many[1].registered.is_none() && many[1].problem.is_some());

        let failing = Heartbeat {
            status: Some("failing".to_owned()),
            note: Some("disk full".to_owned()),
        };
        client.heartbeat("web-3", &failing).await.unwrap();
        let beat = Heartbeat::default();
        assert!(
            client
                .heartbeat("web-1", &beat)
                .await
                .unwrap()
                .lease
                .is_some()
        );
        let error = client.heartbeat("web-9", &beat).await.unwrap_err();
        assert!(error.is_unknown_instance(), "{error}");
        let ids = ["web-1", "web-9"].map(str::to_owned).to_vec();
        let answer = client.heartbeats(ids).await.unwrap();
        assert_eq!(
            (answer.renewed, answer.unknown),
            (1, vec!["web-9".to_owned()])
        );

        let instance = client.instance("web-3").await.unwrap();
        assert_eq!(instance.state.note.as_deref(), Some("disk full"));
        assert_eq!(instance.state.reported.as_deref(), Some("failing"));
        let listed = client.service("web", &Filter::default()).await.unwrap();
        assert_eq!(listed.instances.len(), 1);
        let all = Filter {
            all: true,
            tags: vec![("env".to_owned(), "prod".to_owned())],
            version: Some("1.4".to_owned()),
            protocol: Some("http".to_owned()),
        };
        assert_eq!(
            client.service("web", &all).await.unwrap().instances.len(),
            3
        );
        let none = Filter {
            version: Some("2".to_owned()),
            ..all.clone()
        };
        assert!(
            client.services(&none).await.unwrap().services[0]
                .instances
                .is_empty()
        );
        let stats = client.stats().await.unwrap();
        assert_eq!((stats.instances, stats.healthy), (3, 1));
        let explanation = client
            .explain("web.svc.internal", "SRV", None)
            .await
            .unwrap();
        assert_eq!(explanation.instances.len(), 3);

        let drained = client.drain("web-1").await.unwrap();
        assert!(client.instance("web-1").await.unwrap().state.draining);
        assert!(!client.resume("web-1").await.unwrap().state.draining);
        let left = client.deregister("web-1", true).await.unwrap();
        assert!(left.drained_at >= drained.drained_at);
        let error = client.deregister("web-1", false).await.unwrap_err();
        assert!(error.is_unknown_instance(), "{error}");
    });
}

#[test]
fn settings_of_a_service() {
    let server = TestServer::start();
    let client: Client = url(&server).parse().unwrap();
    run(async {
        let fields = PolicyFields {
            ttl: Some("2s".to_owned()),
            ..PolicyFields::default()
        };
        let policy = client.set_policy("web", &fields).await.unwrap();
        assert_eq!(policy.ttl.unwrap().0, Duration::from_secs(2));
        assert!(matches!(policy.txt, Txt::Word(word) if word == "instances"));
        assert_eq!(
            client.policy("web").await.unwrap().revision,
            policy.revision
        );
        client.delete_policy("web").await.unwrap();
        assert!(client.policy("web").await.unwrap_err().is("unknown-policy"));
        let value = "a/b & \"c\"";
        client
            .set_config_value("web", "banner", value)
            .await
            .unwrap();
        assert_eq!(
            client.config_value("web", "banner").await.unwrap().value,
            value
        );
        assert_eq!(client.config_values("web").await.unwrap().config.len(), 1);
        client.delete_config_value("web", "banner").await.unwrap();
        assert!(client.config_values("web").await.unwrap().config.is_empty());
    });
}

#[test]
fn a_refusal_names_the_field() {
    let server = TestServer::start();
    let client: Client = url(&server).parse().unwrap();
    let mut registration = web("web-1", 1);
    registration.port = Some(0);
    let error = run(client.register(&registration)).unwrap_err();
    let problem = error.problem().unwrap();
    assert_eq!(
        (problem.status, problem.field.as_deref()),
        (422, Some("port"))
    );
    assert!(error.to_string().contains("1 to 65535"), "{error}");
}

#[test]
fn the_next_server_is_asked() {
    let [away, further] = [nobody(), nobody()].map(|it| format!("http://{it}"));
    let server = TestServer::start();
    let client = Client::new(&[&away, &url(&server)]).unwrap();
    run(async {
        client.register(&web("web-1", 1)).await.unwrap();
        // It keeps to the one that answered.
        assert!(client.server().starts_with(&url(&server)));
        let error = client.instance("web-9").await.unwrap_err();
        assert!(error.is_unknown_instance(), "{error}");
    });
    let client = Client::new(&[&away, &further]).unwrap();
    let error = run(client.stats()).unwrap_err();
    let ClientError::Away(failures) = &error else {
        panic!("{error}");
    };
    assert_eq!(failures.len(), 2);
    assert!(
        error.is_temporary() && error.to_string().contains(&away),
        "{error}"
    );
}

/// Answers each connection with these octets; its URL.
fn canned(answer: impl Into<String>) -> String {
    use std::io::{Read as _, Write as _};
    let answer = answer.into();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn what_is_no_namebeat_is_told_apart() {
    let gateway = canned("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\nbad\n");
    let server = TestServer::start();
    let client = Client::new(&[&gateway, &url(&server)]).unwrap();
    run(client.stats()).unwrap();
    let client = Client::new(&[&gateway]).unwrap();
    assert!(matches!(
        run(client.stats()).unwrap_err(),
        ClientError::Away(_)
    ));
    // A 404 of some other program doesn't mean that an instance isn't registered.
    let other = canned("HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n");
    let error = run(Client::new(&[&other]).unwrap().instance("web-1")).unwrap_err();
    assert!(matches!(error, ClientError::Unreadable { .. }), "{error}");
    let page = canned("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>");
    let error = run(Client::new(&[&page]).unwrap().stats()).unwrap_err();
    assert!(matches!(error, ClientError::Unreadable { .. }), "{error}");
}

/// Fields that a newer server may have are left aside.
#[test]
fn unknown_fields_are_left_aside() {
    let body = serde_json::json!({
        "id": "a", "name": "web", "host": "10.0.0.1", "port": 80, "protocol": "http",
        "tags": {}, "metadata": {}, "weight": 256, "priority": 10, "lease": null, "new": 1,
        "health_check": {"kind": "http", "new": true},
        "registration_time": "2026-11-23T22:14:07Z", "last_heartbeat": "2026-11-23T22:14:07Z",
        "state": {"listed": true, "health": "passing", "draining": false, "new": []},
    })
    .to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let newer = canned(head + &body);
    let instance = run(Client::new(&[&newer]).unwrap().instance("a")).unwrap();
    assert_eq!(instance.health_check.unwrap().kind.as_deref(), Some("http"));
}

#[test]
fn changes_are_watched() {
    let server = TestServer::start();
    let client: Client = url(&server).parse().unwrap();
    server.register_web("web-1", 1);
    run(async {
        let mut watch = client.watch(&["web"], None);
        let WatchEvent::Changed(service) = watch.next().await.unwrap() else {
            panic!("a restart");
        };
        assert_eq!(service.instances.len(), 1);
        client.register(&web("web-2", 2)).await.unwrap();
        let WatchEvent::Changed(service) = watch.next().await.unwrap() else {
            panic!("a restart");
        };
        assert_eq!((service.name.as_str(), service.instances.len()), ("web", 2));
        let since = watch.since().unwrap();
        assert_eq!(since, service.revision);
        // From there on another stream tells only what comes.
        let mut rest = client.watch(&["web"], Some(since));
        client.deregister("web-1", false).await.unwrap();
        let WatchEvent::Changed(service) = rest.next().await.unwrap() else {
            panic!("a restart");
        };
        assert_eq!(service.instances.len(), 1);
        let filter = Filter::default();
        let poll = client.service_since("web", &filter, since, DEADLINE);
        assert_eq!(poll.await.unwrap().instances.len(), 1);
        let poll = client.services_since(&filter, since, DEADLINE);
        assert_eq!(poll.await.unwrap().services.len(), 1);
    });
    // All of them are watched from before what is remembered: it begins anew.
    run(async {
        let mut watch = client.watch(&[], Some(0));
        assert!(matches!(watch.next().await.unwrap(), WatchEvent::Restarted));
        assert!(matches!(
            watch.next().await.unwrap(),
            WatchEvent::Changed(_)
        ));
    });
}
