//! The examples, as their head comments start them, against a real server.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use hickory_proto::rr::RecordType;

use crate::harness::{TestServer, eventually};

/// An example that cargo built with these tests.
fn example(name: &str, arguments: &[&str]) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_namebeat"))
        .with_file_name("examples")
        .join(name);
    assert!(
        program.exists(),
        "{program:?} is built by `cargo test`, or `cargo build --examples`"
    );
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A provider that is killed when dropped, and what it prints.
struct Provider(Child, BufReader<ChildStdout>);

impl Provider {
    /// Starts one and waits until it says that it's registered.
    fn start(server: &TestServer, id: &str) -> Self {
        let http = format!("http://{}", server.addresses.http);
        let mut child = example("provider", &[id, "web", &http, "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        assert!(
            line.starts_with(&format!("registered {id} at 127.0.0.1:")),
            "{line:?}"
        );
        Self(child, stdout)
    }

    /// Ends it as ctrl-c does; says whether it ended well.
    fn interrupt(mut self) -> bool {
        let id = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", "INT", &id])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = String::new();
        self.1.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("drained at "), "{rest:?}");
        eventually("the provider ends", || self.0.try_wait().unwrap()).success()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listed(server: &TestServer) -> usize {
    server
        .ask("web.svc.internal.", RecordType::SRV)
        .message
        .answers
        .len()
}

/// A server whose answers are kept for a second.
fn server() -> TestServer {
    TestServer::with(namebeat::config::Settings {
        ttl: Some("1s".parse().unwrap()),
        ..Default::default()
    })
}

/// Three providers, of which one is killed on the way and two leave at the end.
#[test]
fn provider_and_consumer() {
    let server = server();
    let mut providers =
        Vec::from(["web-1", "web-2", "web-3"].map(|id| Provider::start(&server, id)));
    eventually("all are listed", || (listed(&server) == 3).then_some(()));
    let dns = server.dns().to_string();
    let mut consumer = example("consumer", &["web", &dns, "40"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(consumer.stdout.take().unwrap()).lines();
    let mut text = String::new();
    for line in lines.by_ref().take(10) {
        text += &format!("{}\n", line.unwrap());
    }
    // Dropped, it's killed: nobody is told.
    drop(providers.pop());
    for line in lines {
        text += &format!("{}\n", line.unwrap());
    }
    let output = consumer.wait_with_output().unwrap();
    assert!(output.status.success(), "{text} {output:?}");
    assert!(text.contains("40: web-"), "{text}");
    for id in ["web-1", "web-2", "web-3"] {
        assert!(text.contains(&format!("{id} answered ")), "{text}");
    }
    for provider in providers {
        assert!(provider.interrupt());
    }
    // The one that was killed goes when its lease, or its check, says so.
    eventually("nobody is listed", || (listed(&server) == 0).then_some(()));
    let output = example("consumer", &["_http._tcp.web.svc.internal.", &dns])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(errors.lines().count(), 1, "{output:?}");
    assert!(errors.contains("nobody is listed"), "{errors}");
}

#[test]
fn reqwest_finds_a_service_by_its_name() {
    let server = server();
    let providers = ["web-1", "web-2", "web-3"].map(|id| Provider::start(&server, id));
    eventually("all are listed", || (listed(&server) == 3).then_some(()));
    let dns = server.dns().to_string();
    let output = example("reqwest_client", &["http://web.svc.internal/", &dns])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("by the resolver: web-"), "{text}");
    for id in ["web-1", "web-2", "web-3"] {
        let line = format!("by the pool: {id}\n");
        assert_eq!(text.matches(&line).count(), 2, "{text}");
    }
    drop(providers);
}

#[test]
fn tonic_follows_a_service() {
    let server = server();
    let http = format!("http://{}", server.addresses.http);
    let output = example("tonic_client", &[&http, &server.dns().to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("one left") && text.contains("one came"),
        "{text}"
    );
    assert_eq!(text.matches(": Serving").count(), 30, "{text}");
}

#[test]
fn embed() {
    let output = example("embed", &["web-7", "web"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("web-7"),
        "{output:?}"
    );
}
