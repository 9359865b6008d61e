//! `namebeat exec` with real programs: shells, and Python's web server.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, ChildStdout, Command};
use std::time::SystemTime;

use hickory_proto::rr::RecordType;
use namebeat::config::Settings;

use super::{Ended, run};
use crate::harness::{Client, TempDir, TestServer, eventually};
use crate::program::{Program, namebeat};

/// A server with this TTL.
fn server(ttl: &str) -> TestServer {
    TestServer::with(Settings {
        ttl: Some(ttl.parse().unwrap()),
        ..Settings::default()
    })
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The instance that all of these register.
const INSTANCE: [&str; 7] = [
    "exec",
    "--name",
    "app",
    "--id",
    "app-1",
    "--host",
    "127.0.0.1",
];

/// Runs a shell's script as an instance to its end.
fn run_script(server: &TestServer, flags: &[&str], script: &str) -> Ended {
    let directory = TempDir::new("exec");
    let url = format!("http://{}", server.addresses.http);
    let command = ["--", "sh", "-c", script];
    let arguments = [&INSTANCE[..], &["--port", "80"], flags, &command].concat();
    run(&directory, &arguments, &[("NAMEBEAT_SERVER", &url)])
}

/// A program that runs under `exec`.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    _directory: TempDir,
}

impl Running {
    /// Starts it as an instance of the server at `url`.
    fn start(url: &str, flags: &[&str], command: &[&str]) -> Self {
        let arguments = [&INSTANCE[..], flags, &["--"], command].concat();
        Self::spawn(url, |directory| namebeat(directory, &arguments))
    }

    fn spawn(url: &str, command: impl Fn(&std::path::Path) -> Command) -> Self {
        let directory = TempDir::new("exec");
        let mut command = command(directory.path());
        let mut child = command.env("NAMEBEAT_SERVER", url).spawn().unwrap();
        Self {
            stdout: BufReader::new(child.stdout.take().unwrap()),
            stderr: BufReader::new(child.stderr.take().unwrap()),
            child,
            _directory: directory,
        }
    }

    /// The next line of the program's output.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Reads stderr up to a line that has `part`.
    fn says(&mut self, part: &str) {
        let mut said = String::new();
        loop {
            let at = said.len();
            let read = self.stderr.read_line(&mut said).unwrap();
            assert_ne!(read, 0, "{part:?} isn't in {said:?}");
            if said[at..].contains(part) {
                return;
            }
        }
    }

    fn signal(&self, signal: &str) {
        send(signal, &self.child.id().to_string());
    }

    /// Waits for its end: exit code, and what else it has written.
    fn ended(mut self) -> Ended {
        let status = eventually("it ends", || self.child.try_wait().unwrap());
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        Ended {
            code: status.code(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A program that exec had would outlive exec's own kill.
        if let Ok(None) = self.child.try_wait() {
            for signal in ["TERM", "TERM", "TERM"] {
                send(signal, &self.child.id().to_string());
            }
            let _ = self.child.wait();
        }
    }
}

fn send(signal: &str, process: &str) {
    let sent = Command::new("kill").args(["-s", signal, process]).status();
    assert!(sent.unwrap().success());
}

fn url(server: &TestServer) -> String {
    format!("http://{}", server.addresses.http)
}

fn is_registered(client: &Client) -> Option<()> {
    let answer = client.try_http("GET", "/v1/instances/app-1", "")?;
    (answer.status == 200).then_some(())
}

fn listed(server: &TestServer) -> usize {
    let answer = server.ask("app.svc.internal.", RecordType::SRV);
    answer.message.answers.len()
}

#[test]
fn output_and_exit_code_are_those_of_the_program() {
    let server = server("1s");
    for (script, code) in [
        ("exit 0", 0),
        ("echo out; echo err >&2; exit 7", 7),
        ("kill -s KILL $$", 137),
        ("kill -s TERM $$", 143),
    ] {
        let ended = run_script(&server, &[], script);
        assert_eq!(ended.code, Some(code), "{script} {ended:?}");
        let is_silent = !script.starts_with("echo");
        assert_eq!(ended.stdout, if is_silent { "" } else { "out\n" });
        assert_eq!(ended.stderr.contains("err\n"), !is_silent, "{ended:?}");
        // Whether it was registered before it ended or not.
        assert_eq!(is_registered(&server), None);
    }
    let directory = TempDir::new("exec");
    directory.write("plain", "no program");
    for (program, code) in [("./none", 127), ("./plain", 126)] {
        let arguments = [&INSTANCE[..], &["--port", "80", "--", program]].concat();
        let variables = [("NAMEBEAT_SERVER", &*url(&server))];
        let ended = run(&directory, &arguments, &variables);
        ended.assert_one_line(code, &["can't run ", program]);
    }
}

#[test]
fn it_is_found_once_ready_and_served_until_drained() {
    let server = server("2s");
    let port = free_port().to_string();
    let script = format!("sleep 0.3; exec python3 -m http.server --bind 127.0.0.1 {port}");
    let flags = ["--port", &port, "--ready-http", "/", "--lease", "5s"];
    let mut app = Running::start(&url(&server), &flags, &["sh", "-c", &script]);
    eventually("it's listed", || (listed(&server) == 1).then_some(()));
    let connect = || TcpStream::connect(format!("127.0.0.1:{port}"));
    assert!(connect().is_ok(), "who finds it reaches it");
    app.says("app-1 is registered");
    let start = SystemTime::now();
    app.signal("TERM");
    eventually("it's withdrawn", || (listed(&server) == 0).then_some(()));
    // Nobody's cache may hold it for less than its TTL.
    assert!(connect().is_ok(), "who has it from a cache reaches it");
    let ended = app.ended();
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert!(start.elapsed().unwrap().as_secs() >= 2, "{ended:?}");
    assert!(connect().is_err());
    assert_eq!(is_registered(&server), None);
}

#[test]
fn a_program_that_dies_is_deregistered_at_once() {
    let server = server("1s");
    let mut app = Running::start(
        &url(&server),
        &["--port", "80"],
        &["sh", "-c", "echo $$; exec sleep 1000"],
    );
    let process = app.line();
    app.says("app-1 is registered");
    assert_eq!(is_registered(&server), Some(()));
    send("KILL", &process);
    let ended = app.ended();
    assert_eq!((ended.code, &*ended.stderr), (Some(137), ""));
    assert_eq!(is_registered(&server), None);
}

#[test]
fn signals_reach_the_whole_group() {
    let server = server("1s");
    let script = "trap 'echo hup' HUP; trap 'echo term; exit 3' TERM; sleep 1000 & echo $!; while :; do wait; done";
    let mut app = Running::start(&url(&server), &["--port", "80"], &["sh", "-c", script]);
    let sleeper = app.line();
    eventually("it's registered", || is_registered(&server));
    // The sleeper has no trap, and ends by it; the instance stays.
    app.signal("HUP");
    assert_eq!(app.line(), "hup");
    eventually("the sleeper ends", || {
        let ended = !std::path::Path::new(&format!("/proc/{sleeper}")).exists();
        ended.then_some(())
    });
    assert_eq!(is_registered(&server), Some(()));
    app.signal("INT");
    eventually("it's withdrawn", || (listed(&server) == 0).then_some(()));
    // A shell ignores INT for what it has put into the background, but not for itself.
    let ended = app.ended();
    assert_eq!(ended.code, Some(130), "{ended:?}");
}

#[test]
fn what_ignores_the_signal_is_killed_after_the_grace_time() {
    let server = server("1s");
    let script = "trap '' TERM; echo ready; while :; do sleep 1000; done";
    let flags = ["--port", "80", "--grace", "200ms"];
    let mut app = Running::start(&url(&server), &flags, &["sh", "-c", script]);
    assert_eq!(app.line(), "ready");
    eventually("it's registered", || is_registered(&server));
    app.signal("TERM");
    let ended = app.ended();
    assert_eq!(ended.code, Some(137), "{ended:?}");
    assert!(
        ended.stderr.contains("it hasn't ended, and is killed"),
        "{ended:?}"
    );
}

#[test]
fn a_second_signal_does_not_wait() {
    // Nothing is drained for an hour.
    let server = server("1h");
    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let flags = ["--port", "80", "--lease", "2h"];
    let mut app = Running::start(&url(&server), &flags, &["sh", "-c", script]);
    assert_eq!(app.line(), "ready");
    eventually("it's listed", || (listed(&server) == 1).then_some(()));
    app.signal("TERM");
    app.says("leaving: app-1");
    eventually("it's withdrawn", || (listed(&server) == 0).then_some(()));
    app.signal("TERM");
    let ended = app.ended();
    assert_eq!(ended.code, Some(5), "{ended:?}");
}

#[test]
fn what_is_not_ready_in_time_is_stopped() {
    let server = server("1s");
    let port = free_port().to_string();
    let ready = format!("--ready-port={port}");
    let flags = [&*ready, "--ready-timeout", "300ms"];
    let ended = run_script(&server, &flags, "exec sleep 1000");
    ended.assert_one_line(
        1,
        &[
            &format!("port {port} wasn't open within 300ms"),
            "--ready-timeout",
        ],
    );
    let ended = run_script(&server, &["--ready-http", "/health"], "exit 4");
    ended.assert_one_line(4, &["it ended before it was ready"]);
    let ended = run_script(&server, &["--ready-http", "health"], "exit 4");
    ended.assert_one_line(2, &["--ready-http \"health\" is no path"]);
}

#[test]
fn what_the_server_refuses_is_not_run_on() {
    let server = server("1s");
    let flags = ["--tag", "e/v=prod"];
    let ended = run_script(&server, &flags, "exec sleep 1000");
    ended.assert_one_line(2, &["tags", "e/v"]);
}

#[test]
fn a_server_that_comes_later_or_forgets_is_told_again() {
    let http = format!("127.0.0.1:{}", free_port());
    let url = format!("http://127.0.0.1:1,http://{http}");
    let flags = ["--port", "80", "--lease", "2s"];
    let mut app = Running::start(&url, &flags, &["sh", "-c", "echo runs; exec sleep 1000"]);
    assert_eq!(app.line(), "runs");
    app.says("trying again: ");
    let serve = [
        "serve",
        "--ephemeral",
        "--dns",
        "127.0.0.1:0",
        "--http",
        &http,
    ];
    for _ in 0..2 {
        let program = Program::start(TempDir::new("exec"), &serve, &[]);
        eventually("it's registered", || is_registered(&program));
        program.stop("TERM");
    }
    app.says("app-1 is registered");
    // Without a server there's nobody to say goodbye to.
    app.signal("TERM");
    let ended = app.ended();
    assert_eq!(ended.code, Some(143), "{ended:?}");
    assert!(ended.stderr.contains("couldn't deregister"), "{ended:?}");
}

/// In a process namespace of its own `exec` is PID 1, to whom orphans are given.
#[test]
fn as_pid_1_it_reaps() {
    let isolate = [
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
    ];
    let mut unshare = Command::new("unshare");
    let permitted = unshare.args(isolate).arg("true").output();
    if !permitted
        .expect("unshare runs; it's in Debian's util-linux")
        .status
        .success()
    {
        eprintln!("not permitted here: unshare {}", isolate.join(" "));
        return;
    }
    let server = server("1s");
    // A child loses its parent and ends: without somebody who reaps it, it stays in /proc.
    let script = "\
        echo $PPID; \
        orphan=$(sh -c 'sleep 0.1 >/dev/null & echo $!'); n=0; \
        while [ -e /proc/$orphan ] && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.05; done; \
        [ -e /proc/$orphan ] && echo zombie || echo reaped; \
        trap 'echo term; exit 6' TERM; echo ready; while :; do sleep 0.05; done";
    let arguments = [&INSTANCE[..], &["--port", "80", "--", "sh", "-c", script]].concat();
    let mut app = Running::spawn(&url(&server), |directory| {
        let inner = namebeat(directory, &arguments);
        let mut command = Command::new("unshare");
        command
            .args(isolate)
            .arg(inner.get_program())
            .args(inner.get_args());
        command.current_dir(directory);
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        command
    });
    assert_eq!(app.line(), "1", "namebeat is PID 1");
    assert_eq!(app.line(), "reaped");
    assert_eq!(app.line(), "ready");
    eventually("it's registered", || is_registered(&server));
    // unshare doesn't pass signals on: PID 1 is its child.
    send("TERM", &child_of(app.child.id()));
    assert_eq!(app.line(), "term");
    let ended = app.ended();
    assert_eq!(ended.code, Some(6), "{ended:?}");
}

/// The process whose parent this one is.
fn child_of(parent: u32) -> String {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let mut processes = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let is_child = |process: &String| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        status.is_ok_and(|status| status.contains(&format!("\nPPid:\t{parent}\n")))
    };
    processes.find(is_child).expect("it has a child")
}
