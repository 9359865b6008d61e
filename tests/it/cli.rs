//! The command line: what a person meets who runs the program by hand.

mod commands;
mod doctor;
mod exec;
mod refused;
mod settings;
mod shell;
mod state;
mod tools;

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::json;

use crate::harness::{Client, TempDir, eventually};
use crate::program::{Program, namebeat};

/// Arguments that serve on free ports.
const SERVE: [&str; 5] = ["serve", "--dns", "127.0.0.1:0", "--http", "127.0.0.1:0"];

/// Names and values: of variables, or of files.
type Pairs = &'static [(&'static str, &'static str)];

/// Arguments, or what an error has to say.
type Words = &'static [&'static str];

/// What a run of the program came to.
#[derive(Debug, Eq, PartialEq)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// A child that doesn't outlive its test.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `namebeat` with these arguments to its end.
fn run(directory: &TempDir, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = namebeat(directory.path(), arguments);
    let mut child = Kept(command.envs(variables.iter().copied()).spawn().unwrap());
    let status = eventually("it ends", || child.0.try_wait().unwrap());
    let text = |pipe: Option<&mut dyn std::io::Read>| {
        let mut text = String::new();
        pipe.unwrap().read_to_string(&mut text).unwrap();
        text
    };
    Ended {
        code: status.code(),
        stdout: text(child.0.stdout.as_mut().map(|pipe| pipe as _)),
        stderr: text(child.0.stderr.as_mut().map(|pipe| pipe as _)),
    }
}

impl Ended {
    /// Asserts the exit code and that stderr is one line with every part.
    #[track_caller]
    fn assert_one_line(&self, code: i32, parts: &[&str]) {
        assert_eq!(
            (self.code, self.stdout.as_str()),
            (Some(code), ""),
            "{self:?}"
        );
        assert!(self.stderr.starts_with("namebeat: "), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} isn't in {self:?}");
        }
    }
}

fn assert_answers(client: &Client, zone: &str) {
    assert_eq!(client.http("GET", "/healthz", "").status, 200);
    for dns in &client.addresses.dns {
        let one = Client {
            addresses: namebeat::server::Addresses {
                dns: vec![*dns],
                ..client.addresses.clone()
            },
        };
        for answer in [
            one.ask(zone, RecordType::SOA),
            one.ask_tcp(zone, RecordType::SOA),
        ] {
            assert_eq!(answer.message.answers.len(), 1, "{dns}");
        }
    }
}

#[test]
fn says_first_where_it_listens() {
    // Starting reads that line; here is what it says.
    let program = Program::start(TempDir::new("cli"), &SERVE, &[]);
    assert_answers(&program, "svc.internal.");
    let two = Program::serve(&["--dns", "127.0.0.1:0"], &[]);
    assert_eq!(two.addresses.dns.len(), 2);
    assert_answers(&two, "svc.internal.");
}

#[test]
fn what_the_banner_shows_works() {
    let mut program = Program::serve(&["--zone", "Shop.Example"], &[]);
    let banner = program.lines_to("ctrl-c stops it");
    assert!(
        banner
            .iter()
            .any(|line| line.ends_with("answers for shop.example.")),
        "{banner:?}"
    );
    let run = |program: &str| {
        let line = banner
            .iter()
            .find(|line| line.trim_start().starts_with(program));
        let output = Command::new("sh")
            .args(["-c", line.unwrap()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let registered: serde_json::Value = serde_json::from_str(&run("curl ")).unwrap();
    assert_eq!(registered["instance"]["id"], json!("web-1"));
    let found = run("dig ");
    assert!(found.contains("8080 web-1.web.shop.example."), "{found}");
}

#[test]
fn signals_end_it_with_0() {
    for signal in ["TERM", "INT"] {
        let program = Program::serve(&[], &[]);
        program.register_web("web-1", 1);
        let (code, stdout, stderr) = program.stop(signal);
        assert_eq!(code, Some(0), "{signal} {stdout} {stderr}");
    }
}

#[test]
fn open_connections_dont_keep_it() {
    let program = Program::serve(&[], &[]);
    let idle = [
        std::net::TcpStream::connect(program.addresses.http).unwrap(),
        std::net::TcpStream::connect(program.dns()).unwrap(),
    ];
    // An answer on the same listeners: the connections before it are accepted, too.
    assert_answers(&program, "svc.internal.");
    let (code, _, stderr) = program.stop("TERM");
    assert_eq!(code, Some(0), "{stderr}");
    drop(idle);
}

/// A zone whose fourth line is wrong.
const BAD_ZONE: &str = "$TTL 60\n@ SOA ns hostmaster 1 1 1 1 1\n@ NS ns\nns A 10.0.0.999\n";

#[test]
fn help_names_every_flag_with_its_default() {
    let directory = TempDir::new("cli");
    let flags = [
        ("--config", "NAMEBEAT_CONFIG", "namebeat.toml"),
        ("--dns", "NAMEBEAT_DNS", "127.0.0.1:8053"),
        ("--http", "NAMEBEAT_HTTP", "127.0.0.1:8054"),
        ("--http-connections", "NAMEBEAT_HTTP_CONNECTIONS", "16384"),
        ("--http-rate", "NAMEBEAT_HTTP_RATE", "0"),
        ("--zone", "NAMEBEAT_ZONE", "svc.internal."),
        ("--zones", "NAMEBEAT_ZONES", "zones"),
        ("--reverse-zones", "NAMEBEAT_REVERSE_ZONES", ""),
        (
            "--data-dir",
            "NAMEBEAT_DATA_DIR",
            "$XDG_STATE_HOME/namebeat, or ~/.local/state/namebeat",
        ),
        ("--key-file", "NAMEBEAT_KEY_FILE", ""),
        ("--ephemeral", "NAMEBEAT_EPHEMERAL", ""),
        ("--guard-hold", "NAMEBEAT_GUARD_HOLD", "30s"),
        ("--guard-share", "NAMEBEAT_GUARD_SHARE", "60"),
        ("--guard-least", "NAMEBEAT_GUARD_LEAST", "5"),
        ("--workers", "NAMEBEAT_WORKERS", "one a core"),
        ("--ttl", "NAMEBEAT_TTL", "5s"),
        ("--negative-ttl", "NAMEBEAT_NEGATIVE_TTL", "2s"),
        ("--udp-payload", "NAMEBEAT_UDP_PAYLOAD", "1232"),
        ("--allow-query", "NAMEBEAT_ALLOW_QUERY", "all"),
        ("--deny-query", "NAMEBEAT_DENY_QUERY", ""),
        ("--rate-limit", "NAMEBEAT_RATE_LIMIT", "1000"),
        ("--rate-limit-slip", "NAMEBEAT_RATE_LIMIT_SLIP", "1"),
        ("--rate-limit-loopback", "NAMEBEAT_RATE_LIMIT_LOOPBACK", ""),
        ("--cookies", "NAMEBEAT_COOKIES", "true"),
        ("--require-cookies", "NAMEBEAT_REQUIRE_COOKIES", ""),
        ("--server-id", "NAMEBEAT_SERVER_ID", ""),
        ("--chaos", "NAMEBEAT_CHAOS", ""),
        ("--answer-cache", "NAMEBEAT_ANSWER_CACHE", "64"),
        ("--max-instances", "NAMEBEAT_MAX_INSTANCES", "1000000"),
        (
            "--max-instances-per-service",
            "NAMEBEAT_MAX_INSTANCES_PER_SERVICE",
            "10000",
        ),
        ("--max-services", "NAMEBEAT_MAX_SERVICES", "1000000"),
        ("--check-concurrency", "NAMEBEAT_CHECK_CONCURRENCY", "512"),
        (
            "--check-concurrency-per-target",
            "NAMEBEAT_CHECK_CONCURRENCY_PER_TARGET",
            "32",
        ),
        (
            "--check-networks",
            "NAMEBEAT_CHECK_NETWORKS",
            "private,loopback,registrant",
        ),
        ("--check-ca", "NAMEBEAT_CHECK_CA", ""),
        ("--trace-checks", "NAMEBEAT_TRACE_CHECKS", ""),
        (
            "--resolver",
            "NAMEBEAT_RESOLVER",
            "those of /etc/resolv.conf",
        ),
        ("--trace-queries", "NAMEBEAT_TRACE_QUERIES", "1000"),
        (
            "--allow-unprotected-api",
            "NAMEBEAT_ALLOW_UNPROTECTED_API",
            "",
        ),
    ];
    for command in ["serve", "check-config"] {
        let ended = run(&directory, &[command, "--help"], &[]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let mut named = Vec::new();
        // What a flag does stands beside it, or below where flags are long.
        let text = ended.stdout.replace("\n          ", " ");
        for line in text.lines() {
            let Some(flag) = line
                .split(['=', ' ', '['])
                .find(|word| word.starts_with("--"))
            else {
                continue;
            };
            named.push(flag.to_owned());
            if let Some((_, variable, default)) = flags.iter().find(|known| known.0 == flag) {
                assert!(line.contains(&format!("[env: {variable}=")), "{line}");
                assert_eq!(line.contains("[default: "), !default.is_empty(), "{line}");
                assert!(
                    line.contains(&format!("[default: {default}")) || default.is_empty(),
                    "{line}"
                );
            }
        }
        let mut known: Vec<&str> = flags.iter().map(|known| known.0).collect();
        known.extend(["--help", "--version"]);
        assert_eq!(named, known, "{command}");
    }
    let ended = run(&directory, &["--help"], &[]);
    assert_eq!(ended.code, Some(0));
    for command in ["serve", "check-config"] {
        assert!(
            ended.stdout.contains(&format!("\n  {command} ")),
            "{ended:?}"
        );
    }
    let ended = run(&directory, &["--version"], &[]);
    assert_eq!(
        ended.stdout,
        format!("namebeat {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn zones_of_the_directory_are_read() {
    let ask = |zones: bool| {
        let directory = TempDir::new("cli");
        if zones {
            let name = "zones/example.internal.zone";
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            std::fs::create_dir(directory.path().join("zones")).unwrap();
            std::fs::copy(file, directory.path().join(name)).unwrap();
        }
        let program = Program::start(directory, &SERVE, &[]);
        assert_answers(&program, "svc.internal.");
        let answer = program.ask("web.example.internal.", RecordType::A);
        (answer.rcode(), answer.answers().join(" "))
    };
    assert_eq!(
        ask(true),
        (ResponseCode::NoError, "A 192.0.2.10".to_owned())
    );
    assert_eq!(ask(false), (ResponseCode::Refused, String::new()));
}
