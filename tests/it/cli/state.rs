//! `namebeat state`: verify, dump, restore.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::TempDir;
use crate::program::{Program, namebeat};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Runs `namebeat state` with these arguments: exit code, stdout, stderr.
fn state(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments = [&["state"], arguments].concat();
    let ended = namebeat(dir.path(), &arguments).output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (
        ended.status.code(),
        text(&ended.stdout),
        text(&ended.stderr),
    )
}

fn registered(dir: &TempDir, arguments: &[&str]) -> Value {
    let data_dir = dir.path().to_str().unwrap();
    let server = Program::serve(&[&["--data-dir", data_dir], arguments].concat(), &[]);
    let mut services = server.http("GET", "/v1/services?all=true", "").json();
    services["revision"] = Value::Null;
    for service in services["services"].as_array_mut().unwrap() {
        service["revision"] = Value::Null;
        for instance in service["instances"].as_array_mut().unwrap() {
            instance["last_heartbeat"] = Value::Null;
            instance["state"]["expires_at"] = Value::Null;
            // What is known of a host name is found out anew.
            instance["state"]["resolved"] = Value::Null;
        }
    }
    assert_eq!(server.stop("TERM").0, Some(0));
    services
}

/// What a server has comes back from text, sealed with another key.
#[test]
fn what_is_dumped_is_restored() {
    let (from, to) = (TempDir::new("dumped"), TempDir::new("restored"));
    let data_dir = from.path().to_str().unwrap();
    let server = Program::serve(&["--data-dir", data_dir], &[]);
    for n in 1..5 {
        server.register_web(&format!("web-{n}"), n);
    }
    let body = json!({
        "name": "db", "host": "db.example", "port": 1, "lease": "1h", "metadata": {"quoted": "\"\\ \u{1f600}"},
        "health_check": {"kind": "http", "endpoint": "/up"}, "tags": {"a": "b"}, "ports": {"c": 2},
    });
    server.register("db-1", body);
    assert_eq!(
        server.http("POST", "/v1/instances/web-2/drain", "").status,
        200
    );
    // While it runs, too.
    let (code, out, _) = state(&from, &["verify", "--data-dir", data_dir]);
    assert_eq!(code, Some(0));
    assert!(
        out.starts_with(&format!("{data_dir}: 5 instances in ")),
        "{out}"
    );
    server.stop("TERM");
    let (code, dumped, errors) = state(&from, &["dump", "--data-dir", data_dir]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(
        dumped.lines().count(),
        7,
        "the revision, the TTL, and each instance"
    );

    to.write("dump.jsonl", &dumped);
    to.write("keys", KEY);
    let into = to.path().join("state");
    let into = into.to_str().unwrap();
    let restore = [
        "restore",
        "--data-dir",
        into,
        "--key-file",
        "keys",
        "dump.jsonl",
    ];
    let (code, out, errors) = state(&to, &restore);
    assert_eq!((code, &*errors), (Some(0), ""));
    assert!(out.contains("5 instances in 7 records"), "{out}");
    let (code, _, errors) = state(&to, &restore);
    assert_eq!(code, Some(2));
    assert!(errors.contains("holds a state already"), "{errors}");
    let (code, _, errors) = state(&to, &["verify", "--data-dir", into]);
    assert_eq!(code, Some(2));
    assert!(
        errors.contains("no key file is given (--key-file)"),
        "{errors}"
    );
    let (code, again, _) = state(&to, &["dump", "--data-dir", into, "--key-file", "keys"]);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!((code, sorted(&again)), (Some(0), sorted(&dumped)));
    let restored = TempDir::new("moved");
    for entry in std::fs::read_dir(into).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), restored.path().join(entry.file_name())).unwrap();
    }
    let keys = to.path().join("keys");
    let sealed = registered(&restored, &["--key-file", keys.to_str().unwrap()]);
    assert_eq!(sealed, registered(&from, &[]));
}

#[test]
fn what_cant_be_restored_is_said() {
    let dir = TempDir::new("wrong");
    for (text, error) in [
        ("{}\n", "line 1 is no record"),
        (
            "{\"ceiling\": 1}\n{\"gone\": {\"id\": \"a b\", \"drained\": true}}\n",
            "line 2 is no record",
        ),
        ("{\"end\": 1}\n", "the end of a snapshot has no place here"),
        ("nothing\n", "line 1 is no record"),
    ] {
        dir.write("text", text);
        let into = format!("state-{:x}", fastrand::u64(..));
        let (code, _, errors) = state(&dir, &["restore", "--data-dir", &into, "text"]);
        assert_eq!(code, Some(2), "{text}");
        assert!(errors.contains(error), "{errors}");
    }
    let (code, _, errors) = state(&dir, &["verify", "--data-dir", "text-dir"]);
    assert_eq!(code, Some(2), "{errors}");
    let (code, _, errors) = state(&dir, &["dump", "--data-dir", "."]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("holds no state"), "{errors}");
}

/// What is before a damage can be had, and only when it's asked for.
#[test]
fn what_is_before_a_damage_can_be_kept() {
    let dir = TempDir::new("half");
    let data_dir = dir.path().to_str().unwrap();
    let server = Program::serve(&["--data-dir", data_dir], &[]);
    for n in 1..10 {
        server.register_web(&format!("web-{n}"), n);
    }
    server.stop("TERM");
    let log = dir.path().join("log-0000000001");
    let mut octets = std::fs::read(&log).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(&log, octets).unwrap();
    for arguments in [
        &["verify", "--data-dir", data_dir][..],
        &["dump", "--data-dir", data_dir],
    ] {
        let (code, out, errors) = state(&dir, arguments);
        assert_eq!((code, &*out), (Some(2), ""));
        assert!(errors.contains("is damaged at offset "), "{errors}");
    }
    let (code, out, errors) = state(&dir, &["dump", "--until-damage", "--data-dir", data_dir]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        errors.contains("this is what was before the damage"),
        "{errors}"
    );
    assert!(out.contains("web-1") && !out.contains("web-9"), "{out}");
    let into = ["restore", "--data-dir", "kept"];
    let mut restore = namebeat(dir.path(), &[&["state"], &into[..]].concat());
    let mut child = restore.stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), out.as_bytes()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
}
