//! Settings and arguments that it doesn't start with, and what it says then.

use super::*;

#[test]
fn bad_settings_end_it_with_2_and_a_sentence() {
    let cases: [(Pairs, Words, Words); 21] = [
        (
            &[("namebeat.toml", "ttl = \"3s\"\n\nzome = \"x.\"\n")],
            &[],
            &["namebeat.toml:3: ", "zome"],
        ),
        (&[("namebeat.toml", "ttl =\n")], &[], &["namebeat.toml:1: "]),
        (
            &[("namebeat.toml", "\nhttp = 5\n")],
            &[],
            &["namebeat.toml:2: "],
        ),
        (
            &[("namebeat.toml", "\n\nttl = \"soon\"\n")],
            &[],
            &["namebeat.toml:3: ", "soon"],
        ),
        (
            &[("n.toml", "x = 1\n")],
            &["--config", "n.toml"],
            &["n.toml:1: ", "`x`"],
        ),
        (
            &[],
            &["--config", "none.toml"],
            &["none.toml", "can't be read"],
        ),
        (
            &[("zones/bad.example.zone", BAD_ZONE)],
            &[],
            &["zones/bad.example.zone:4:", "10.0.0.999"],
        ),
        (
            &[("z/bad.example.zone", BAD_ZONE)],
            &["--zones", "z"],
            &["z/bad.example.zone:4:"],
        ),
        (
            &[("zones/bad.example.zone", "@ 60 NS ns\nns 60 A 10.0.0.1\n")],
            &[],
            &["zones/bad.example.zone", "SOA"],
        ),
        (
            &[("zones/a..b.zone", "@ 60 SOA ns hostmaster 1 1 1 1 1\n")],
            &[],
            &["zones/a..b.zone"],
        ),
        (
            &[],
            &["--zones", "none"],
            &["zones", "none", "existing directory"],
        ),
        (&[], &["--zone", "."], &["zone", "a domain name"]),
        (
            &[],
            &["--ttl", "1500ms"],
            &["ttl", "1500ms", "whole seconds"],
        ),
        (&[], &["--workers", "0"], &["workers", "1 to 1024"]),
        (
            &[],
            &["--udp-payload", "100"],
            &["udp_payload", "512 to 4096"],
        ),
        (
            &[("namebeat.toml", "\ndeny_query = [\"10.1.2.3/8\"]\n")],
            &[],
            &["namebeat.toml:2: ", "write 10.0.0.0/8 for that network"],
        ),
        (
            &[],
            &["--rate-limit", "1000001"],
            &["rate_limit", "0 to 1000000"],
        ),
        (
            &[],
            &["--rate-limit-slip", "101"],
            &["rate_limit_slip", "0 to 100"],
        ),
        (
            &[],
            &["--answer-cache", "65537"],
            &["answer_cache", "0 to 65536"],
        ),
        (
            &[],
            &["--http", "0.0.0.0:0"],
            &["0.0.0.0:0", "--allow-unprotected-api"],
        ),
        (
            &[],
            &["--http", "[::]:0"],
            &["[::]:0", "--allow-unprotected-api"],
        ),
    ];
    for (files, arguments, parts) in cases {
        let directory = TempDir::new("cli");
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        // Checking tells the same as serving.
        for command in ["check-config", "serve"] {
            let ended = run(&directory, &[&[command], arguments].concat(), &[]);
            ended.assert_one_line(2, parts);
        }
    }
}

#[test]
fn beyond_loopback_it_serves_when_that_is_allowed() {
    let arguments = ["serve", "--dns", "127.0.0.1:0", "--http", "0.0.0.0:0"];
    for (flags, variables) in [
        (&["--allow-unprotected-api"][..], &[][..]),
        (&[], &[("NAMEBEAT_ALLOW_UNPROTECTED_API", "true")]),
    ] {
        let arguments = [&arguments[..], flags].concat();
        let program = Program::start(TempDir::new("cli"), &arguments, variables);
        assert!(program.addresses.http.ip().is_unspecified());
        assert_answers(&program, "svc.internal.");
    }
}

#[test]
fn arguments_that_nothing_knows_end_it_with_2() {
    let directory = TempDir::new("cli");
    let cases: [(Words, Pairs, &str); 11] = [
        (&["serve", "--bogus"], &[], "--bogus"),
        (&["check-config", "--bogus=1"], &[], "--bogus"),
        (&["serve", "extra"], &[], "extra"),
        (&["explode"], &[], "explode"),
        (&[], &[], "Usage"),
        (&["serve", "--dns", "localhost"], &[], "--dns"),
        (&["serve", "--ttl", "5"], &[], "--ttl"),
        (&["serve", "--allow-query", "lan"], &[], "10.0.0.0/8"),
        (
            &["serve"],
            &[("NAMEBEAT_DENY_QUERY", "::/0,10.0.0.1/8")],
            "write 10.0.0.0/8",
        ),
        (&["serve"], &[("NAMEBEAT_HTTP", "localhost")], "--http"),
        (
            &["serve"],
            &[("NAMEBEAT_ALLOW_UNPROTECTED_API", "maybe")],
            "--allow-unprotected-api",
        ),
    ];
    for (arguments, variables, part) in cases {
        let ended = run(&directory, arguments, variables);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(part), "{part:?} isn't in {ended:?}");
    }
}

#[test]
fn an_address_in_use_ends_it_with_1_and_names_the_flag() {
    let directory = TempDir::new("cli");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let (udp, tcp) = (
        udp.local_addr(),
        tcp.local_addr().map(|address| (address, tcp)),
    );
    let (udp, (tcp, _listener)) = (udp.unwrap().to_string(), tcp.unwrap());
    let tcp = tcp.to_string();
    let free = "127.0.0.1:0";
    for (dns, http, address, flag) in [
        (&udp[..], free, &udp, "--dns"),
        (&tcp, free, &tcp, "--dns"),
        (free, &tcp, &tcp, "--http"),
    ] {
        let ended = run(&directory, &["serve", "--dns", dns, "--http", http], &[]);
        ended.assert_one_line(1, &[address, flag, "in use"]);
    }
    // One of several is enough.
    let ended = run(&directory, &[&SERVE[..], &["--dns", &tcp]].concat(), &[]);
    ended.assert_one_line(1, &[&tcp, "--dns"]);
}
