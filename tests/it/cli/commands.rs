//! The commands that call the API, each against a real server: what they print, and what
//! they say when it goes wrong.

use std::process::Command;

use namebeat::config::Settings;
use serde_json::{Value, json};

use super::{Ended, Kept, run};
use crate::harness::{TempDir, TestServer, eventually};
use crate::program::namebeat;

/// A server, and commands that are run for it.
struct Commands {
    server: TestServer,
    directory: TempDir,
    url: String,
}

impl Commands {
    /// A server whose TTLs are as short as they may be.
    fn new() -> Self {
        let server = TestServer::with(Settings {
            ttl: Some("1s".parse().unwrap()),
            ..Settings::default()
        });
        let url = format!("http://{}", server.addresses.http);
        let directory = TempDir::new("commands");
        Self {
            server,
            directory,
            url,
        }
    }

    /// Runs a command, its arguments with spaces between.
    fn run(&self, arguments: &str) -> Ended {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let dns = self.server.dns().to_string();
        let variables = [("NAMEBEAT_SERVER", &*self.url), ("NAMEBEAT_DNS", &dns)];
        run(&self.directory, &arguments, &variables)
    }

    /// What a command that goes well prints.
    #[track_caller]
    fn prints(&self, arguments: &str) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
        ended.stdout
    }

    /// The same as JSON.
    #[track_caller]
    fn json(&self, arguments: &str) -> Value {
        let text = self.prints(&format!("{arguments} --json"));
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// A text with what passes in it, moments and what is left of leases, made alike.
fn masked(text: &str) -> String {
    let word = |word: &str| match word {
        moment if moment.contains('T') && moment.ends_with('Z') => "MOMENT".to_owned(),
        left if left.ends_with('s') && left.contains('m') && left.len() == 6 => "LEFT".to_owned(),
        word => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn an_instance_from_its_registration_to_its_end() {
    let commands = Commands::new();
    let flags = "--name web --id web-1 --host 10.0.0.1 --port 8080 --lease 1h";
    let more = "--version 1.4.2 --tag env=prod --metadata owner=a=b --named-port metrics=9100 --locality eu --weight 512 --priority 5 --check --check-interval 1h --check-field expected_status=200 --check-initial passing";
    let registered = commands.json(&format!("register {flags} {more}"));
    let instance = &registered["instance"];
    for (field, expected) in [
        ("version", json!("1.4.2")),
        ("tags", json!({"env": "prod"})),
        ("metadata", json!({"owner": "a=b"})),
        ("ports", json!({"metrics": 9100})),
        ("locality", json!("eu")),
        ("weight", json!(512)),
        ("priority", json!(5)),
        ("lease", json!("1h")),
    ] {
        assert_eq!(instance[field], expected, "{field}");
    }
    let check = &instance["health_check"];
    assert_eq!(check["expected_status"], "200");
    assert_eq!(
        (&check["interval"], &check["initial"]),
        (&json!("1h"), &json!("passing"))
    );

    let ended = commands.run("register --name web --id web-2 --address 10.0.0.2 --address fd00::2 --port 8080 --lease 1h");
    let table = "\
SERVICE  ID     ENDPOINT                      PROTOCOL  VERSION  STATE   LEASE
web      web-2  10.0.0.2:8080 [fd00::2]:8080  http               listed  LEFT of 1h
";
    assert_eq!(
        (ended.code, masked(&ended.stdout)),
        (Some(0), table.to_owned())
    );
    assert!(
        ended.stderr.contains("It's listed for 1h unless"),
        "{}",
        ended.stderr
    );

    let drained = commands.prints("drain web-2");
    assert_eq!(
        masked(&drained),
        "web-2 drains; no cache holds it from MOMENT on\n"
    );
    let listed = commands.prints("instances web");
    let expected = "\
SERVICE  ID     ENDPOINT                      PROTOCOL  VERSION  STATE     LEASE
web      web-1  10.0.0.1:8080                 http      1.4.2    listed    LEFT of 1h
web      web-2  10.0.0.2:8080 [fd00::2]:8080  http               draining  LEFT of 1h
";
    assert_eq!(masked(&listed), expected);
    assert_eq!(commands.prints("instances web --listed").lines().count(), 2);
    assert_eq!(
        commands.prints("instances --tag env=prod").lines().count(),
        2
    );
    assert_eq!(
        commands.prints("instances --version 1.4").lines().count(),
        2
    );
    assert_eq!(
        commands.prints("instances --protocol tcp").lines().count(),
        1
    );
    let services = "\
SERVICE  LISTED  REGISTERED  PROTOCOLS
web      1       2           http
";
    assert_eq!(commands.prints("services"), services);
    let stats = commands.prints("stats");
    let expected = "\
TOTAL      COUNT
services   1
instances  2
listed     1
withdrawn  1
held       0
http       2
revision   ";
    assert!(stats.starts_with(expected), "{stats}");
    assert_eq!(
        commands.prints("resume web-2"),
        "web-2 is resumed: listed\n"
    );

    let resolved = commands.prints("resolve web");
    let address = commands.server.dns();
    let expected = format!(
        "\
web.svc.internal. SRV, TTL 1 s, from {address}
   ENDPOINT                      PRIORITY  WEIGHT  CHANCE  TARGET
*  10.0.0.1:8080                 5         512     100 %   web-1.web.svc.internal.
   10.0.0.2:8080 [fd00::2]:8080  10        256     0 %     web-2.web.svc.internal.
"
    );
    assert_eq!(resolved, expected);
    assert_eq!(commands.json("resolve web")["endpoints"][1]["port"], 8080);
    assert!(
        commands
            .prints("resolve web A")
            .contains("web.svc.internal.\t1\tIN\tA\t")
    );

    // It waits for what takes more than a second, and nothing is shown but at its end.
    let left = commands.prints("deregister web-1 --wait");
    assert_eq!(
        masked(&left),
        "web-1 is deregistered; no cache has held it since MOMENT\n"
    );
    let resolved = commands.json("resolve web-2.web.svc.internal.");
    assert_eq!(
        resolved["endpoints"][0]["addresses"],
        json!(["10.0.0.2", "fd00::2"])
    );
    assert!(commands.json("drain web-2 --wait")["drained_at"].is_string());
    // By then its own name is gone, too.
    let gone = commands.run("resolve web-2.web.svc.internal.");
    gone.assert_one_line(3, &["leads to no endpoint"]);
    let nobody = commands.run("resolve web");
    nobody.assert_one_line(
        3,
        &[
            "web.svc.internal. leads to no endpoint: NOERROR",
            "1 draining",
        ],
    );
}

#[test]
fn instances_from_a_file() {
    let commands = Commands::new();
    let many = json!([
        {"id": "a-1", "name": "a", "host": "10.0.0.1", "port": 1},
        {"name": "b", "port": 2, "tags": {"env": "test"}},
    ]);
    commands.directory.write("many.json", &many.to_string());
    let registered = commands.json("register --file many.json --lease 1m");
    assert_eq!(registered[0]["instance"]["id"], "a-1");
    // The address is that towards the server.
    assert_eq!(registered[1]["instance"]["host"], "127.0.0.1");
    assert_eq!(registered[1]["lease"]["term"], "1m");
    let id = registered[1]["instance"]["id"].as_str().unwrap();
    assert!(id.starts_with("b-") && id.ends_with("-2"), "{id}");

    let one = json!({"name": "a", "host": "10.0.0.1", "port": 1, "lease": "1h"});
    commands.directory.write("one.json", &one.to_string());
    let registered = commands.json("register --file one.json --id a-2 --port 7");
    let instance = &registered["instance"];
    assert_eq!(
        (&instance["id"], &instance["port"]),
        (&json!("a-2"), &json!(7))
    );
    // What was read can be registered again.
    commands.directory.write("read.json", &instance.to_string());
    assert_eq!(
        commands.json("register --file read.json")["instance"]["id"],
        "a-2"
    );

    for (text, arguments, parts) in [
        ("{", "", &["x.json: ", "EOF"][..]),
        ("{}{}", "", &["x.json: ", "trailing"]),
        ("[]", "", &["x.json: the array is empty"]),
        ("[1]", "", &["x.json: [0]: ", "an object"]),
        (
            "{\"name\": \"a\", \"prot\": 1}",
            "",
            &["x.json: prot: ", "unknown field `prot`", "column"],
        ),
        (
            "{\"name\": \"a\"}",
            "",
            &["--name and --port", "--port is missing"],
        ),
        (
            "[{\"name\": \"a\", \"port\": 1}, {}]",
            " --id a-1",
            &["can't all have the id of --id"],
        ),
        (
            "{\"name\": \"a\", \"port\": 0}",
            "",
            &["port", "1 to 65535"],
        ),
    ] {
        commands.directory.write("x.json", text);
        let ended = commands.run(&format!("register --file x.json{arguments}"));
        ended.assert_one_line(2, parts);
    }
    let ended = commands.run("register --file none.json");
    ended.assert_one_line(2, &["none.json: can't be read"]);
}

#[test]
fn what_goes_wrong_is_one_line_and_an_exit_code() {
    let commands = Commands::new();
    let away = "--server http://127.0.0.1:1,http://127.0.0.1:2";
    for (arguments, code, parts) in [
        ("register", 2, &["--name is missing"][..]),
        ("register --name web", 2, &["--port is missing"]),
        (
            "register --name web --port 1 --id tag",
            2,
            &["id", "reserved"],
        ),
        (
            "register --name web --port 1 --lease soon",
            2,
            &["lease", "soon"],
        ),
        (
            "register --name web --port 1 --check-field x=1",
            2,
            &["--check-field: unknown field `x`"],
        ),
        ("instances nope", 3, &["no instance of service \"nope\""]),
        ("instances --version 1 nope", 3, &["nope"]),
        ("drain nope", 3, &["\"nope\" is not registered"]),
        ("resume nope", 3, &["\"nope\" is not registered"]),
        ("deregister nope --wait", 3, &["\"nope\" is not registered"]),
        (
            "resolve nope",
            3,
            &["nope.svc.internal. leads to no endpoint: NXDOMAIN"],
        ),
        ("stats --server ftp://x", 2, &["--server: ", "ftp://x"]),
        ("explain web SVR", 2, &["type=SVR is unknown"]),
    ] {
        commands.run(arguments).assert_one_line(code, parts);
    }
    for command in [
        "services",
        "instances",
        "stats",
        "drain x",
        "watch",
        "explain web",
    ] {
        let parts = [
            "no server answers at http://127.0.0.1:1 (",
            "nor at http://127.0.0.1:2 (",
        ];
        commands
            .run(&format!("{command} {away}"))
            .assert_one_line(9, &parts);
    }
    // Of several the next one is asked.
    let second = format!("stats --server http://127.0.0.1:1,{}", commands.url);
    assert!(commands.prints(&second).contains("instances  0"));
    for arguments in [
        "register --tag env --name a --port 1",
        "register --named-port a=b --name a --port 1",
        "resume",
    ] {
        assert_eq!(commands.run(arguments).code, Some(2), "{arguments}");
    }
}

#[test]
fn changes_are_printed_as_they_come() {
    let commands = Commands::new();
    commands.server.register_web("web-1", 1);
    let watch = |arguments: &[&str]| {
        let arguments = [&["watch", "--server", &commands.url], arguments].concat();
        let mut command = namebeat(commands.directory.path(), &arguments);
        let mut child = Kept(command.spawn().unwrap());
        let stdout = std::io::BufReader::new(child.0.stdout.take().unwrap());
        (child, std::io::BufRead::lines(stdout))
    };
    let (_people, mut lines) = watch(&["web"]);
    let mut next = || {
        let line = lines.next().unwrap().unwrap();
        // After the revision.
        line.split_once(' ').unwrap().1.to_owned()
    };
    let (_programs, mut objects) = watch(&["--json"]);
    assert_eq!(next(), "+ web web-1 10.0.0.1:8001");
    commands.server.register_web("web-2", 2);
    assert_eq!(next(), "+ web web-2 10.0.0.2:8002");
    // Registered again it's the same, until something differs.
    commands.server.register_web("web-2", 2);
    commands.server.register_web("web-1", 3);
    assert_eq!(next(), "~ web web-1 10.0.0.3:8003");
    commands.prints("deregister web-2");
    assert_eq!(next(), "- web web-2 10.0.0.2:8002");
    let last = eventually("the last state", || {
        let service: Value = serde_json::from_str(&objects.next()?.ok()?).unwrap();
        (service["instances"] == json!([]) || service["instances"][0]["host"] == "10.0.0.3")
            .then_some(service)
    });
    assert_eq!(last["name"], "web");
}

#[test]
fn what_is_kept_is_renewed_until_ctrl_c() {
    let commands = Commands::new();
    let arguments = [
        "register",
        "--server",
        &commands.url,
        "--name",
        "web",
        "--id",
        "web-1",
        "--port",
        "80",
        "--lease",
        "2s",
        "--keep",
    ];
    let child = namebeat(commands.directory.path(), &arguments)
        .spawn()
        .unwrap();
    let id = child.id().to_string();
    let read = || {
        let answer = commands.server.http("GET", "/v1/instances/web-1", "");
        (answer.status == 200).then(|| answer.json()["last_heartbeat"].clone())
    };
    let first = eventually("it's registered", read);
    eventually("it's renewed", || read().filter(|last| *last != first));
    // What is gone is registered again.
    assert_eq!(
        commands
            .server
            .http("DELETE", "/v1/instances/web-1", "")
            .status,
        200
    );
    eventually("it's registered again", read);
    assert!(
        Command::new("kill")
            .args(["-s", "INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(read(), None);
    let line = "web-1 is registered as web: 127.0.0.1:80, lease 2s\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), line);
}

/// Colours and progress are for terminals; `script` gives one.
#[test]
fn colours_and_progress_are_for_terminals() {
    let commands = Commands::new();
    commands.server.register_web("web-1", 1);
    let program = env!("CARGO_BIN_EXE_namebeat");
    let on_terminal = |arguments: &str, no_color: &str| {
        let line = format!("{program} {arguments} --server {}", commands.url);
        let output = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env("NO_COLOR", no_color)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("script runs; it's in Debian's bsdutils");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(on_terminal("instances", "").contains("\x1b[32mlisted\x1b[0m"));
    let plain = on_terminal("instances", "1");
    assert!(
        plain.contains("listed") && !plain.contains('\x1b'),
        "{plain:?}"
    );
    let waited = on_terminal("deregister web-1 --wait", "");
    assert!(
        waited.contains("\r\x1b[Kdraining web-1 (1 s)\r"),
        "{waited:?}"
    );
    let cleared = waited.find("\r\x1b[Kweb-1 is deregistered");
    assert!(cleared.is_some(), "{waited:?}");
}
