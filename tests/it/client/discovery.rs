//! Lookups by DNS: filters, TTLs, what is kept and for how long, changes over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use namebeat::client::{Client, Discovery, DiscoveryBuilder, Endpoints, Query, ResolveError};
use namebeat::config::Settings;
use serde_json::json;

use super::calls::{run, url};
use crate::harness::TestServer;

/// A discovery that asks the server straight.
pub(super) fn straight(server: &TestServer) -> DiscoveryBuilder {
    Discovery::builder().server(server.dns())
}

/// A server with this TTL, positive and negative.
pub(super) fn with_ttl(ttl: &str) -> TestServer {
    TestServer::with(Settings {
        ttl: Some(ttl.parse().unwrap()),
        negative_ttl: Some(ttl.parse().unwrap()),
        ..Settings::default()
    })
}

/// Ports of endpoints, in their order.
pub(super) fn ports(endpoints: &Endpoints) -> Vec<u16> {
    endpoints.iter().map(|it| it.address().port()).collect()
}

fn fleet(server: &TestServer) {
    for (id, body) in [
        (
            "web-1",
            json!({"port": 1, "version": "1.4.2", "locality": "eu-1", "weight": 7,
                   "tags": {"env": "prod", "color": "blue"}, "metadata": {"Owner": "team a"}}),
        ),
        (
            "web-2",
            json!({"port": 2, "version": "1.40", "locality": "eu-2", "priority": 20,
                   "tags": {"env": "prod"}, "ports": {"metrics": 9102}}),
        ),
        (
            "web-3",
            json!({"port": 3, "version": "1.4", "locality": "eu-1", "protocol": "grpc",
                   "tags": {"env": "test", "color": "blue"}}),
        ),
    ] {
        let mut body = body;
        body["name"] = "web".into();
        body["lease"] = "1h".into();
        body["addresses"] = json!(["fd00::1", format!("10.0.0.{}", body["port"])]);
        server.register(id, body);
    }
}

#[test]
fn filters_are_names_and_meet() {
    let server = TestServer::start();
    fleet(&server);
    let discovery = straight(&server).build().unwrap();
    let web = || Query::service("web");
    run(async {
        let all = discovery.resolve("web").await.unwrap();
        // By priority, then by address.
        assert_eq!(ports(&all), [1, 3, 2]);
        let first = &all[0];
        assert_eq!(first.addresses().len(), 2);
        assert_eq!(first.address(), "10.0.0.1:1".parse().unwrap());
        assert_eq!(first.target(), "web-1.web.svc.internal.");
        assert_eq!((first.priority(), first.weight()), (10, 7));
        for (query, expected) in [
            (web().tag("env", "prod"), vec![1, 2]),
            (web().tag("env", "PROD").tag("color", "blue"), vec![1]),
            (web().version("1.4"), vec![1, 3]),
            (web().locality("eu-1"), vec![1, 3]),
            (web().protocol("grpc"), vec![3]),
            (web().protocol("http"), vec![1, 2]),
            // A named port is the one that is found.
            (web().protocol("metrics"), vec![9102]),
            (web().tag("env", "prod").protocol("metrics"), vec![9102]),
            (
                web().version("1.4").locality("eu-1").tag("color", "blue"),
                vec![1, 3],
            ),
            (
                web().version("1.4").tag("env", "test").protocol("grpc"),
                vec![3],
            ),
            ("_http._tcp.web.svc.internal".into(), vec![1, 2]),
            ("web-2.web.svc.internal.".into(), vec![2]),
        ] {
            let found = discovery.resolve(query.clone()).await.unwrap();
            assert_eq!(ports(&found), expected, "{query}");
        }
        for query in [
            web().tag("env", "prod").protocol("grpc"),
            web().tag("env", "none"),
            Query::service("nobody"),
        ] {
            let error = discovery.resolve(query.clone()).await.unwrap_err();
            assert!(
                matches!(error, ResolveError::Nobody { .. }),
                "{query}: {error}"
            );
        }
        let error = discovery.resolve("no_label").await.unwrap_err();
        assert!(matches!(error, ResolveError::Invalid(_)), "{error}");
    });
}

#[test]
fn txt_and_localities_come_along_when_asked_for() {
    let server = TestServer::start();
    fleet(&server);
    let discovery = straight(&server).locality("eu-1").build().unwrap();
    run(async {
        let all = discovery
            .resolve(Query::service("web").with_txt())
            .await
            .unwrap();
        let [first, third, second] = &all[..] else {
            panic!("{all:?}");
        };
        assert_eq!(first.txt_value("version"), Some("1.4.2"));
        assert_eq!(first.txt_value("owner"), Some("team a"));
        assert_eq!(third.txt_value("protocol"), Some("grpc"));
        assert!(first.is_local() && third.is_local() && !second.is_local());
        let without = discovery.resolve("web").await.unwrap();
        assert!(without[0].txt().is_empty() && without[0].is_local());
    });
}

/// Why nobody is there is told as namebeat says it, and known until the negative TTL is
/// over.
#[test]
fn nobody_is_said_with_the_reason() {
    let server = with_ttl("1s");
    server.register_web("web-1", 1);
    server.http("POST", "/v1/instances/web-1/drain", "");
    let discovery = straight(&server).build().unwrap();
    run(async {
        let error = discovery.resolve("web").await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("1 registered: 1 draining"), "{text}");
        let missing = discovery.resolve("other").await.unwrap_err();
        assert!(matches!(
            missing,
            ResolveError::Nobody { exists: false, .. }
        ));
        server.register_web("web-2", 2);
        assert_eq!(discovery.resolve("web").await.unwrap_err(), error);
        while discovery.resolve("web").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn what_is_kept_is_not_asked_for_again() {
    let server = with_ttl("1h");
    server.register_web("web-1", 1);
    let discovery = straight(&server).build().unwrap();
    run(async {
        discovery.prewarm(["web"]).await.unwrap();
        server.register_web("web-2", 2);
        assert_eq!(ports(&discovery.resolve("web").await.unwrap()), [8001]);
        assert_eq!(
            ports(&discovery.resolve_anew("web").await.unwrap()),
            [8001, 8002]
        );
        // What was asked anew is kept.
        assert_eq!(
            ports(&discovery.resolve("web").await.unwrap()),
            [8001, 8002]
        );
        server.register_web("web-3", 3);
        discovery.clear_cache();
        assert_eq!(ports(&discovery.resolve("web").await.unwrap()).len(), 3);
    });
}

/// 400 instances don't fit a datagram: all are found, over TCP.
#[test]
fn a_truncated_answer_is_asked_for_over_tcp() {
    let server = TestServer::start();
    let items: Vec<_> = (1..=400)
        .map(|n| json!({"id": format!("web-{n}"), "name": "web", "host": "10.0.0.1", "port": n}))
        .collect();
    server.http("POST", "/v1/instances", &json!(items).to_string());
    let discovery = straight(&server).build().unwrap();
    let found = run(discovery.resolve(Query::service("web").with_txt())).unwrap();
    assert_eq!(found.len(), 400);
    assert!(
        found
            .iter()
            .all(|it| it.txt_value("protocol") == Some("http"))
    );
}

/// An instance on a host with a name: its SRV points there. This one's address is known
/// without asking anybody (RFC 6761 §6.3).
#[test]
fn rfc6761_6_3_a_host_may_be_this_machine() {
    let server = TestServer::start();
    server.register(
        "web-1",
        json!({"name": "web", "host": "localhost", "port": 80}),
    );
    let discovery = straight(&server).build().unwrap();
    run(async {
        // The server looks it up in the background before it lists it.
        loop {
            match discovery.resolve("web").await {
                Ok(found) => {
                    assert_eq!(found[0].target(), "localhost.");
                    let ips = ["127.0.0.1:80", "[::1]:80"].map(|ip| ip.parse().unwrap());
                    assert_eq!(found[0].addresses(), ips);
                    return;
                }
                Err(ResolveError::Nobody { .. }) => {
                    discovery.clear_cache();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
}

/// With a stream, a change is known within milliseconds, though the TTL is an hour.
#[test]
fn changes_are_known_at_once() {
    let server = with_ttl("1h");
    server.register_web("web-1", 1);
    let client: Client = url(&server).parse().unwrap();
    let discovery = straight(&server).watch(&client).build().unwrap();
    run(async {
        let until = async |expected: &[u16]| {
            while ports(&discovery.resolve("web").await.unwrap()) != expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        until(&[8001]).await;
        server.register_web("web-2", 2);
        until(&[8001, 8002]).await;
        // A second service joins the stream.
        let other = json!({"name": "other", "host": "10.0.0.9", "port": 9});
        server.register("other-1", other.clone());
        assert_eq!(discovery.resolve("other").await.unwrap().len(), 1);
        server.register("other-2", other);
        while discovery.resolve("other").await.unwrap().len() != 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.http("DELETE", "/v1/instances/web-1", "");
        until(&[8002]).await;
    });
}

/// A hundred tasks that ask for the same at once make one lookup.
#[test]
fn one_query_is_in_flight_for_a_name() {
    let (proxy, sent) = super::faults::Proxy::counting();
    let server = with_ttl("0s");
    server.register_web("web-1", 1);
    let proxy = proxy.start(server.dns());
    let discovery = Discovery::builder().server(proxy).build().unwrap();
    run(async {
        let lookups = (0..100).map(|_| {
            let discovery = discovery.clone();
            tokio::spawn(async move { discovery.resolve("web").await.unwrap().len() })
        });
        for lookup in lookups.collect::<Vec<_>>() {
            assert_eq!(lookup.await.unwrap(), 1);
        }
    });
    // TTL 0 isn't kept, so that later ones may have asked again: not each of them.
    let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
    assert!((1..50).contains(&sent), "{sent}");
}

/// A name in use is refreshed before its TTL is over, so that nobody waits: the answers
/// come slowly here, and no lookup takes that long once the first is there.
#[test]
fn a_hot_name_never_waits() {
    let server = with_ttl("1s");
    server.register_web("web-1", 1);
    let delay = Duration::from_millis(60);
    let proxy = super::faults::Proxy::delaying(delay).start(server.dns());
    let discovery = Discovery::builder().server(proxy).build().unwrap();
    run(async {
        discovery.prewarm(["web"]).await.unwrap();
        server.register_web("web-2", 2);
        let started = std::time::Instant::now();
        let mut slowest = Duration::ZERO;
        while started.elapsed() < Duration::from_millis(2500) {
            let asked = std::time::Instant::now();
            discovery.resolve("web").await.unwrap();
            slowest = slowest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(slowest < delay, "{slowest:?}");
        assert_eq!(discovery.resolve("web").await.unwrap().len(), 2);
    });
}

#[test]
fn settings_that_cannot_be_are_said() {
    let address: SocketAddr = "127.0.0.1:53".parse().unwrap();
    let builder = || Discovery::builder().server(address);
    for (builder, said) in [
        (builder().zone("a..b"), "zone \"a..b\""),
        (builder().locality("eu_1"), "locality \"eu_1\" holds '_'"),
        (builder().max_cached(0), "max_cached is 0"),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
