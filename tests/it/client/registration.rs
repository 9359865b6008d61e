//! Registrations that keep themselves: heartbeats, servers that go and come, leaving.

use std::time::Duration;

use namebeat::client::{
    Client, Filter, Registration, RegistrationBuilder, RegistrationState, Status,
};
use namebeat::config::Settings;

use super::calls::{run, url};
use crate::harness::TestServer;
use crate::relay::{Behind, relay};

/// A server without a state on disk, whose API is behind a relay.
fn server_behind(relay: &Behind) -> TestServer {
    let server = TestServer::with(Settings {
        ttl: Some("1s".parse().unwrap()),
        ..Settings::default()
    });
    relay.set(Some(server.addresses.http));
    server
}

/// A client of what is behind a relay.
fn client_of(behind: &Behind) -> Client {
    let address = relay(behind.clone());
    format!("http://{address}").parse().unwrap()
}

fn web() -> RegistrationBuilder {
    Registration::of("web", "web-1")
        .address("10.0.0.1".parse().unwrap())
        .address("fd00::1".parse().unwrap())
        .port(8080)
        .named_port("metrics", 9100)
        .version("1.4.2")
        .protocol("https")
        .tag("env", "prod")
        .metadata("owner", "team a")
        .weight(512)
        .priority(5)
        .locality("eu-west-1a")
        .lease(Duration::from_secs(2))
}

/// Waits for a state.
async fn until(registration: &Registration, wanted: impl FnMut(&RegistrationState) -> bool) {
    registration.state().wait_for(wanted).await.unwrap();
}

async fn count(client: &Client) -> usize {
    let all = Filter {
        all: true,
        ..Filter::default()
    };
    let services = client.services(&all).await.unwrap().services;
    services.iter().map(|service| service.instances.len()).sum()
}

#[test]
fn heartbeats_keep_it_registered() {
    let server = TestServer::start();
    let client: Client = url(&server).parse().unwrap();
    run(async {
        let registration = web().register(&client).await.unwrap();
        let first = client.instance("web-1").await.unwrap();
        assert_eq!(first.addresses.as_ref().unwrap().len(), 2);
        assert_eq!(first.ports["metrics"], 9100);
        assert_eq!((first.weight, first.priority), (512, 5));
        assert_eq!(first.locality.as_deref(), Some("eu-west-1a"));
        // With the fourth heartbeat it has been there for longer than its term.
        let mut last = first.clone();
        for _ in 0..4 {
            let next = loop {
                let next = client.instance("web-1").await.unwrap();
                if next.last_heartbeat != last.last_heartbeat {
                    break next;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            let between = (next.last_heartbeat - last.last_heartbeat).num_milliseconds();
            // A third of the term, or up to a fifth less.
            assert!((533..1_000).contains(&between), "{between} ms");
            assert_eq!(next.registration_time, first.registration_time);
            last = next;
        }
        let drained_at = registration.close().await.unwrap().unwrap();
        assert!(drained_at > last.last_heartbeat);
        assert_eq!(count(&client).await, 0);
    });
}

#[test]
fn what_it_says_of_itself_is_told_at_once() {
    let server = TestServer::start();
    let client: Client = url(&server).parse().unwrap();
    run(async {
        let builder = web().lease(Duration::from_secs(3600));
        let registration = builder.register(&client).await.unwrap();
        let until = async |status: &str, note: Option<&str>| {
            loop {
                let state = client.instance("web-1").await.unwrap().state;
                if state.reported.as_deref() == Some(status) {
                    assert_eq!(state.note.as_deref(), note);
                    assert_eq!(state.listed, status != "failing");
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        registration.report(Status::Failing, "disk full");
        until("failing", Some("disk full")).await;
        registration.report(Status::Warning, "é".repeat(150));
        until("warning", Some(&"é".repeat(100))).await;
        registration.report(Status::Passing, "");
        until("passing", None).await;
        registration.drain().await.unwrap();
        assert!(client.instance("web-1").await.unwrap().state.draining);
        registration.resume().await.unwrap();
        assert!(!client.instance("web-1").await.unwrap().state.draining);
    });
}

/// Gone and started again with nothing: it's away, then it doesn't know the instance,
/// then it knows what was said of it, too.
#[test]
fn a_server_may_forget_everything() {
    let behind = Behind::default();
    let server = server_behind(&behind);
    let client = client_of(&behind);
    run(async {
        let registration = web().register(&client).await.unwrap();
        registration.report(Status::Warning, "warm");
        behind.set(None);
        drop(server);
        until(&registration, |state| {
            matches!(state, RegistrationState::Away { .. })
        })
        .await;
        let _server = server_behind(&behind);
        until(&registration, RegistrationState::is_registered).await;
        let state = client.instance("web-1").await.unwrap().state;
        assert_eq!(state.note.as_deref(), Some("warm"));
        drop(registration);
        // Dropped, it's deregistered by the runtime in the background.
        while count(&client).await != 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn it_may_start_before_the_server() {
    let behind = Behind::default();
    let client = client_of(&behind);
    run(async {
        let error = web().register(&client).await.unwrap_err();
        assert!(error.is_temporary(), "{error}");
        let registration = web().start(&client);
        until(&registration, |state| {
            matches!(state, RegistrationState::Away { .. })
        })
        .await;
        let server = server_behind(&behind);
        registration.registered().await.unwrap();
        assert_eq!(count(&client).await, 1);
        registration.close().await.unwrap();
        behind.set(None);
        drop(server);
    });
    // Nor need there ever be one.
    run(async {
        let registration = web().start(&client);
        assert!(registration.close().await.is_err());
    });
}

#[test]
fn another_server_is_gone_on_to() {
    let (first, second) = (TestServer::start(), TestServer::start());
    let client = Client::new(&[url(&first), url(&second)]).unwrap();
    run(async {
        let registration = web().register(&client).await.unwrap();
        drop(first);
        let only: Client = url(&second).parse().unwrap();
        while count(&only).await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        until(&registration, RegistrationState::is_registered).await;
        registration.close().await.unwrap();
        assert_eq!(count(&only).await, 0);
    });
}

#[test]
fn a_refusal_is_told_and_tried_again() {
    let server = TestServer::start();
    let client: Client = url(&server).parse().unwrap();
    run(async {
        let registration = web().port(0).start(&client);
        let cause = registration.registered().await.unwrap_err();
        assert!(cause.contains("port 0 is out of range"), "{cause}");
        assert_eq!(registration.close().await.unwrap(), None);
        let error = web().port(0).register(&client).await.unwrap_err();
        assert!(error.is("invalid-field"), "{error}");
    });
}

#[test]
fn it_may_leave_without_waiting() {
    let server = TestServer::with(Settings {
        ttl: Some("1h".parse().unwrap()),
        ..Settings::default()
    });
    let client: Client = url(&server).parse().unwrap();
    run(async {
        let started = tokio::time::Instant::now();
        let registration = web().lease(Duration::from_secs(7_200)).register(&client);
        let left = registration.await.unwrap().close_at_once().await.unwrap();
        assert!(left.is_some());
        assert_eq!(count(&client).await, 0);
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it isn't waited for"
        );
        // Whoever was forgotten has left.
        let registration = web().register(&client).await.unwrap();
        client.deregister("web-1", false).await.unwrap();
        assert_eq!(registration.close_at_once().await.unwrap(), None);
    });
}
