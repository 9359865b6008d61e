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

#[test]
fn provider_and_consumer() {
    let server = TestServer::with(namebeat::config::Settings {
        ttl: Some("1s".parse().unwrap()),
        ..Default::default()
    });
    let providers = ["web-1", "web-2"].map(|id| Provider::start(&server, id));
    eventually("both are listed", || (listed(&server) == 2).then_some(()));
    let dns = server.dns().to_string();
    let consume = || {
        example("consumer", &["_http._tcp.web.svc.internal.", &dns])
            .output()
            .unwrap()
    };
    let output = consume();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("web-"),
        "{output:?}"
    );
    for provider in providers {
        assert!(provider.interrupt());
    }
    assert_eq!(listed(&server), 0);
    let output = consume();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr).lines().count(),
        1,
        "{output:?}"
    );
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
