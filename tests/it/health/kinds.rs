//! Every kind of check against a real server of its kind: withdrawn after `retries`,
//! listed again after `rise`, within the interval's arithmetic.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use namebeat::config::Settings;
use serde_json::{Value, json};

use super::backends::{Backend, Datagram, Dns, Grpc, NAME, Nginx, Stream};
use super::{listed, output};
use crate::harness::{TestServer, eventually};

/// Time between probes here.
const INTERVAL: Duration = Duration::from_millis(100);

/// What the machine may add to times here: it has others to serve.
const SLACK: Duration = Duration::from_secs(8);

fn register(server: &TestServer, backend: &dyn Backend, more: Value) {
    let mut check = backend.check();
    let fields = check.as_object_mut().unwrap();
    let times = json!({"interval": "100ms", "timeout": "5s", "retries": 3, "rise": 2});
    fields.extend(times.as_object().unwrap().clone());
    fields.extend(more.as_object().unwrap().clone());
    let address = backend.address();
    let body = json!({
        "name": "web", "host": address.ip().to_string(), "port": address.port(),
        "lease": null, "health_check": check,
    });
    server.register("web-1", body);
}

/// Waits until it's listed or not, and says how long that took.
fn until(server: &TestServer, wanted: bool) -> Duration {
    let start = Instant::now();
    eventually(&format!("listed is {wanted}: {}", output(server)), || {
        (listed(server) == wanted).then_some(())
    });
    start.elapsed()
}

/// Takes a backend through its states. `said` is what is told when it isn't well.
fn goes_and_comes(server: &TestServer, backend: &dyn Backend, said: &str) {
    register(server, backend, json!({}));
    assert!(!listed(server), "it's starting");
    let (least, most) = (INTERVAL.mul_f64(0.95), SLACK);
    assert!(until(server, true) < most);
    backend.set(false);
    let took = until(server, false);
    // One probe may have been under way: then it's two intervals and no more.
    assert!(least < took && took < most, "withdrawn after {took:?}");
    assert!(output(server).contains(said), "{}", output(server));
    backend.set(true);
    let took = until(server, true);
    assert!(took < most, "back after {took:?}");
}

#[test]
fn tcp_sends_and_expects() {
    let said = "didn't say what is expected, in 10 octets";
    goes_and_comes(&TestServer::start(), &Stream::start(), said);
}

#[test]
fn udp_sends_and_expects() {
    let said = "didn't answer what is expected, in 10 octets";
    goes_and_comes(&TestServer::start(), &Datagram::start(), said);
}

#[test]
fn grpc_asks_for_a_service() {
    goes_and_comes(&TestServer::start(), &Grpc::start(), "NOT_SERVING");
}

#[test]
fn dns_asks_and_expects() {
    let said = "not what is expected, but 192.0.2.8";
    goes_and_comes(&TestServer::start(), &Dns::start(), said);
}

fn trusting(ca: PathBuf) -> TestServer {
    TestServer::with(Settings {
        check_ca: Some(ca),
        ..Settings::default()
    })
}

#[test]
fn https_of_nginx_is_verified_when_asked_for() {
    let check = json!({"kind": "https", "tls_verify": true, "tls_server_name": NAME, "expected_body": "fine"});
    let nginx = Nginx::start(check, None);
    goes_and_comes(&trusting(nginx.ca()), &nginx, "503 Service");
}

#[test]
fn grpc_in_tls_of_nginx_is_verified_when_asked_for() {
    let grpc = Grpc::start();
    let check = json!({
        "kind": "grpc", "service": "shop.Cart",
        "tls": true, "tls_verify": true, "tls_server_name": NAME,
    });
    let nginx = Nginx::start(check, Some(grpc.address()));
    let server = trusting(nginx.ca());
    register(&server, &nginx, json!({}));
    until(&server, true);
    grpc.set(false);
    until(&server, false);
    assert_eq!(output(&server), "NOT_SERVING");
}

#[test]
fn certificates_that_are_wrong() {
    let nginx = Nginx::start(json!({"kind": "https"}), None);
    let (trusting, plain) = (trusting(nginx.ca()), TestServer::start());
    for (server, more, said) in [
        // Whoever doesn't ask for it takes any certificate.
        (&plain, json!({}), None),
        (
            &plain,
            json!({"tls_verify": true, "tls_server_name": NAME}),
            Some("UnknownIssuer"),
        ),
        (
            &trusting,
            json!({"tls_verify": true, "tls_server_name": "other.example"}),
            Some("not valid for name"),
        ),
        // It's reached by its address, which the certificate doesn't name.
        (
            &trusting,
            json!({"tls_verify": true}),
            Some("not valid for name"),
        ),
    ] {
        server.http("DELETE", "/v1/instances/web-1", "");
        register(server, &nginx, more.clone());
        match said {
            None => drop(until(server, true)),
            Some(said) => {
                let found = eventually("it's failing", || {
                    let found = output(server);
                    (!found.is_empty()).then_some(found)
                });
                assert!(found.contains(said), "{more}: {found}");
                assert!(!listed(server));
            }
        }
    }
}

#[test]
fn what_http_may_ask_for() {
    let nginx = Nginx::start(json!({"kind": "https"}), None);
    let server = TestServer::start();
    for (more, passes) in [
        (json!({"method": "HEAD"}), true),
        (json!({"expected_status": "418"}), false),
        (
            json!({"endpoint": "/nothing", "expected_status": "200-204,404"}),
            true,
        ),
        (json!({"headers": {"Host": NAME, "X-From": "check"}}), true),
        (json!({"expected_body": "is fine"}), true),
        (json!({"expected_body": "is fine, is it"}), false),
    ] {
        server.http("DELETE", "/v1/instances/web-1", "");
        register(&server, &nginx, more.clone());
        let state = eventually("there's a verdict", || {
            let read = server.http("GET", "/v1/instances/web-1", "").json();
            let health = read["state"]["health"].as_str().unwrap().to_owned();
            (health != "starting").then_some(health)
        });
        assert_eq!(state == "passing", passes, "{more}: {}", output(&server));
    }
}

#[test]
fn a_warning_is_listed_and_told() {
    let nginx = Nginx::start(json!({"kind": "https"}), None);
    let server = TestServer::start();
    register(&server, &nginx, json!({"warning_status": "503"}));
    until(&server, true);
    nginx.set(false);
    let state = eventually("it warns", || {
        let state = server.http("GET", "/v1/instances/web-1", "").json()["state"].take();
        (state["health"] == "warning").then_some(state)
    });
    assert_eq!(state["listed"], true);
    assert_eq!(state["output"], "503 Service Unavailable");
}

#[test]
fn another_port_may_be_checked() {
    let (server, backend) = (TestServer::start(), Stream::start());
    let address = backend.address();
    let mut check = backend.check();
    check["port"] = json!("admin");
    check["interval"] = json!("100ms");
    let body = json!({
        "name": "web", "host": "127.0.0.1", "port": 1, "lease": null,
        "ports": {"admin": address.port()}, "health_check": check,
    });
    let read = server.register("web-1", body.clone());
    assert_eq!(read["instance"]["health_check"]["port"], "admin");
    until(&server, true);
    let mut body = body;
    body["health_check"]["port"] = json!(address.port());
    body["ports"] = json!({});
    let read = server.register("web-1", body);
    assert_eq!(read["instance"]["health_check"]["port"], address.port());
    until(&server, true);
}
