//! The program itself, as a child process on free ports of loopback.

use std::io::{BufRead, BufReader, Read};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use namebeat::server::Addresses;

use crate::harness::{Client, TempDir, eventually};

/// `namebeat` with arguments, in a directory of its own and without settings
/// from the environment of the tests.
pub fn namebeat(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_namebeat"));
    for (name, _) in std::env::vars() {
        if name.starts_with("NAMEBEAT_") || name.starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .current_dir(directory)
        // A state of its own, not that of whoever runs the tests.
        .env("XDG_STATE_HOME", directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// `namebeat serve` that runs until it's told to stop, or dropped.
pub struct Program {
    client: Client,
    child: Child,
    stdout: BufReader<ChildStdout>,
    _directory: TempDir,
}

impl Program {
    /// Starts it with further arguments and variables, and waits for its addresses.
    pub fn serve(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let ports = ["serve", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"];
        let arguments = [&ports[..], arguments].concat();
        Self::start(TempDir::new("serve"), &arguments, variables)
    }

    /// Starts it with these arguments alone, in a directory that the test has filled.
    pub fn start(directory: TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = namebeat(directory.path(), arguments)
            .envs(variables.iter().copied())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let Some(addresses) = parse(&line) else {
            let _ = child.kill();
            let output = child.wait_with_output().unwrap();
            panic!("{line:?}, {}", String::from_utf8_lossy(&output.stderr));
        };
        Self {
            client: Client { addresses },
            child,
            stdout,
            _directory: directory,
        }
    }

    /// The lines of stdout up to the one that begins with `start`.
    pub fn lines_to(&mut self, start: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "no line {start:?} after {lines:?}");
            if line.starts_with(start) {
                return lines;
            }
            lines.push(line.trim_end().to_owned());
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Sends `signal`, and waits as [`Program::ended`] does.
    pub fn stop(self, signal: &str) -> (Option<i32>, String, String) {
        self.signal(signal);
        self.ended()
    }

    /// Waits for the end, and gives back the exit code and what else was written to
    /// stdout and stderr.
    pub fn ended(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut errors) = (String::new(), String::new());
        self.stdout.read_to_string(&mut out).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut errors).unwrap();
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        (status.code(), out, errors)
    }
}

impl Deref for Program {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the line that says where it listens.
fn parse(line: &str) -> Option<Addresses> {
    let (dns, http) = line
        .trim_end()
        .strip_prefix("listening dns=")?
        .split_once(" http=")?;
    let dns = dns
        .split(',')
        .map(|address| address.parse().ok())
        .collect::<Option<_>>()?;
    Some(Addresses {
        dns,
        http: http.parse().ok()?,
    })
}
