//! Where settings come from, and that what is printed of them reads back.

use super::*;

/// Of every setting that is printed: its key, and values for the file, for the
/// environment and for the flag, as they're written in the file.
const SETTINGS: [(&str, [&str; 3]); 25] = [
    (
        "dns",
        [
            "[\"127.0.0.1:1\"]",
            "[\"127.0.0.1:2\", \"[::1]:2\"]",
            "[\"127.0.0.3:3\"]",
        ],
    ),
    (
        "http",
        ["\"127.0.0.1:1\"", "\"[::1]:2\"", "\"127.0.0.3:3\""],
    ),
    ("zone", ["\"a.test.\"", "\"b.test.\"", "\"c.test.\""]),
    ("zones", ["\"a\"", "\"b\"", "\"c\""]),
    (
        "reverse_zones",
        [
            "[\"10.0.0.0/8\"]",
            "[\"192.0.2.0/24\", \"fd00::/8\"]",
            "[\"172.16.0.0/16\"]",
        ],
    ),
    ("workers", ["1", "2", "1024"]),
    ("ttl", ["\"1s\"", "\"2s\"", "\"1h\""]),
    ("negative_ttl", ["\"0s\"", "\"2s\"", "\"3s\""]),
    ("udp_payload", ["512", "1400", "4096"]),
    (
        "allow_query",
        [
            "[\"::1\"]",
            "[\"10.0.0.0/8\", \"fd00::/8\"]",
            "[\"192.0.2.7\"]",
        ],
    ),
    (
        "deny_query",
        [
            "[\"0.0.0.0/0\"]",
            "[\"10.0.0.0/8\", \"2001:db8::7\"]",
            "[\"::/0\"]",
        ],
    ),
    ("rate_limit", ["0", "1", "1000000"]),
    ("rate_limit_slip", ["0", "2", "100"]),
    ("rate_limit_loopback", ["true", "false", "true"]),
    ("cookies", ["false", "true", "false"]),
    ("answer_cache", ["0", "1", "65536"]),
    ("max_instances", ["1", "2", "3"]),
    ("max_instances_per_service", ["1", "2", "3"]),
    ("max_services", ["1", "2", "3"]),
    ("check_concurrency", ["1", "2", "10000"]),
    ("check_concurrency_per_target", ["1", "2", "10000"]),
    (
        "check_networks",
        [
            "[\"any\"]",
            "[\"private\", \"203.0.113.0/24\"]",
            "[\"loopback\", \"registrant\"]",
        ],
    ),
    ("trace_checks", ["true", "false", "true"]),
    ("trace_queries", ["1", "2", "0"]),
    ("allow_unprotected_api", ["true", "false", "true"]),
];

/// A directory in which the zone directories of [`SETTINGS`] are there, empty.
fn directory() -> TempDir {
    let directory = TempDir::new("cli");
    for name in ["a", "b", "c"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    directory
}

/// A value of the file as flags and variables write it.
fn bare(value: &str) -> String {
    value
        .replace(['"', ' ', '[', ']'], "")
        .replace("::1:", "[::1]:")
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let directory = directory();
    for (key, [in_file, in_environment, in_flag]) in SETTINGS {
        directory.write("namebeat.toml", &format!("{key} = {in_file}\n"));
        let variable = format!("NAMEBEAT_{}", key.to_uppercase());
        let value = bare(in_environment);
        let flag = format!("--{}={}", key.replace('_', "-"), bare(in_flag));
        for (variables, flags, expected) in [
            (vec![], vec![], in_file),
            (vec![(&*variable, &*value)], vec![], in_environment),
            (vec![(&*variable, &*value)], vec![&*flag], in_flag),
            (vec![], vec![&*flag], in_flag),
        ] {
            let ended = run(
                &directory,
                &[&["check-config"][..], &flags].concat(),
                &variables,
            );
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let printed: toml::Table = ended.stdout.parse().unwrap();
            let expected: toml::Table = format!("{key} = {expected}").parse().unwrap();
            assert_eq!(printed[key], expected[key], "{variables:?} {flags:?}");
        }
    }
}

#[test]
fn the_server_goes_by_the_settings_too() {
    let directory = TempDir::new("cli");
    directory.write(
        "namebeat.toml",
        "ttl = \"3s\"\nnegative_ttl = \"7s\"\nzone = \"a.test.\"\n",
    );
    directory.write("own.toml", "ttl = \"8s\"\n");
    let program = Program::start(
        directory,
        &[&SERVE[..], &["--zone", "c.test"]].concat(),
        &[("NAMEBEAT_TTL", "4s"), ("NAMEBEAT_ZONE", "b.test.")],
    );
    program.register_web("web-1", 1);
    assert_eq!(program.ask("web.c.test.", RecordType::A).ttl(), 4);
    assert_eq!(program.ask("x.c.test.", RecordType::A).negative_soa().1, 7);
    assert_eq!(
        program.ask("web.a.test.", RecordType::A).rcode(),
        ResponseCode::Refused
    );
    // A file that is named is read in place of the one that is there.
    let directory = TempDir::new("cli");
    directory.write("namebeat.toml", "ttl = \"3s\"\n");
    directory.write(
        "own.toml",
        "dns = [\"127.0.0.1:0\"]\nhttp = \"127.0.0.1:0\"\nzone = \"d.test\"\n",
    );
    let program = Program::start(directory, &["serve", "--config", "own.toml"], &[]);
    program.register_web("web-1", 1);
    assert_eq!(program.ask("web.d.test.", RecordType::A).ttl(), 5);
}

/// Asserts that what `check-config` prints is a file that it reads, to the same end.
#[track_caller]
fn assert_reads_back(directory: &TempDir, arguments: &[&str]) -> String {
    let first = run(directory, &[&["check-config"], arguments].concat(), &[]);
    assert_eq!(
        (first.code, first.stderr.as_str()),
        (Some(0), ""),
        "{first:?}"
    );
    directory.write("printed.toml", &first.stdout);
    let second = run(
        directory,
        &["check-config", "--config", "printed.toml"],
        &[],
    );
    assert_eq!(second, first);
    first.stdout
}

#[test]
fn checked_settings_read_back() {
    let directory = directory();
    let printed = assert_reads_back(&directory, &[]);
    for line in [
        "dns = [\"127.0.0.1:8053\"]",
        "http = \"127.0.0.1:8054\"",
        "zone = \"svc.internal.\"",
        "ttl = \"5s\"",
        "negative_ttl = \"2s\"",
        "udp_payload = 1232",
        "allow_query = []",
        "deny_query = []",
        "rate_limit = 1000",
        "rate_limit_slip = 1",
        "rate_limit_loopback = false",
        "cookies = true",
        "answer_cache = 64",
        "max_instances = 1000000",
        "max_instances_per_service = 10000",
        "max_services = 1000000",
        "check_concurrency = 512",
        "check_concurrency_per_target = 32",
        "check_networks = [\"private\", \"loopback\", \"registrant\"]",
        "trace_checks = false",
        "trace_queries = 1000",
        "allow_unprotected_api = false",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line} {printed}"
        );
    }
    for (key, values) in SETTINGS {
        for value in values {
            assert_reads_back(
                &directory,
                &[&format!("--{}={}", key.replace('_', "-"), bare(value))],
            );
        }
    }
}

#[test]
fn checked_settings_with_odd_names_read_back() {
    let directory = TempDir::new("cli");
    let zones = [
        "two words",
        "quo\"ted",
        "back\\slash",
        "gr\u{fc}n",
        "bell\u{7}",
        "hair\u{200b}space",
    ];
    for zones in zones {
        std::fs::create_dir(directory.path().join(zones)).unwrap();
    }
    let failed: Vec<String> = zones
        .iter()
        .map(|zones| ["--zones", zones])
        .chain([["--zone", "a\\.b.internal"], ["--zone", "a\\032b.internal"]])
        .filter_map(|arguments| {
            let first = run(
                &directory,
                &[&["check-config"], &arguments[..]].concat(),
                &[],
            );
            directory.write("printed.toml", &first.stdout);
            let second = run(
                &directory,
                &["check-config", "--config", "printed.toml"],
                &[],
            );
            (second != first).then(|| format!("{arguments:?}: {second:?}"))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
