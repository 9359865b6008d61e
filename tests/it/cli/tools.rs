//! `namebeat check-zone` and `namebeat resolve`, the latter beside `dig`.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::process::Command;

use ::namebeat::config::Settings;

use super::run;
use crate::harness::{TempDir, TestServer};
use crate::program::namebeat;

const ZONE: &str = r#"$TTL 300
@       SOA ns hostmaster 7 3600 600 86400 60
        NS  ns
ns      A   192.0.2.53
        AAAA 2001:db8::53
www     CNAME ns
old     DNAME elsewhere.example.
mail    MX  10 ns
text    TXT "one \"two\" \\ \009" "three"
_s._tcp SRV 1 2 443 ns
        URI 10 1 "https://ns/"
ca      CAA 0 issue "ca.example"
order   NAPTR 100 10 "S" "SIP+D2U" "" _s._tcp
child   NS  ns.child.example.
        DS  60485 5 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A
tls     TLSA 3 1 1 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF
keys    SSHFP 4 2 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF
        OPENPGPKEY AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8w
alt     SVCB 1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1
        HTTPS 0 ns
where   LOC 52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 10m
host    HINFO "CPU" "OS"
        RP  admin ns
        PTR ns
new     TYPE65280 \# 3 0102ff
a\.b    A   192.0.2.7
"#;

fn zone() -> TempDir {
    let directory = TempDir::new("tools");
    directory.write("corp.example.zone", ZONE);
    directory
}

#[test]
fn a_good_zone_is_one_line() {
    let directory = zone();
    let ended = run(&directory, &["check-zone", "corp.example.zone"], &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    assert_eq!(
        ended.stdout,
        "corp.example.: 18 names, 25 records, serial 7\n"
    );
    directory.write("other", ZONE);
    let arguments = ["check-zone", "--origin", "corp.example", "other"];
    assert_eq!(run(&directory, &arguments, &[]).stdout, ended.stdout);
    directory.write("svc.internal.zone", "fixed 60 A 192.0.2.1\n");
    let overlay = run(&directory, &["check-zone", "svc.internal.zone"], &[]);
    let expected = "svc.internal.: 2 names, 1 records, beside what is registered\n";
    assert_eq!((overlay.code, &*overlay.stdout), (Some(0), expected));
}

#[test]
fn what_is_wrong_with_a_zone_is_said_with_its_place() {
    let directory = zone();
    directory.write(
        "odd.example.zone",
        "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\n",
    );
    let odd = run(&directory, &["check-zone", "odd.example.zone"], &[]);
    assert_eq!(odd.code, Some(0));
    assert_eq!(
        odd.stderr,
        "namebeat: warning: odd.example.zone:2:1: the name server ns.odd.example. is in the zone and has no address\n"
    );
    directory.write(
        "bad.example.zone",
        "@ 60 SOA ns host 1 2 3 4 5\nwww 60 A 192.0.2.300\n",
    );
    for arguments in [
        &["check-zone", "corp.example.zone", "bad.example.zone"][..],
        &[
            "resolve",
            "www.bad.example",
            "--zone-file",
            "bad.example.zone",
        ],
    ] {
        let bad = run(&directory, arguments, &[]);
        assert_eq!(bad.code, Some(2));
        let expected = "namebeat: bad.example.zone:2:10: found \"192.0.2.300\" where an IPv4 address was expected\n";
        assert_eq!(bad.stderr, expected);
    }
}

/// Lines of records and questions, spaces made one.
fn records(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| line.contains("\tIN\t"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn answers_are_printed_as_dig_prints_them() {
    let directory = zone();
    let server = TestServer::with(Settings {
        zones: Some(directory.path().to_owned()),
        ..Settings::default()
    });
    server.register_web("web-1", 1);
    let address = server.dns().to_string();
    let port = server.dns().port().to_string();
    for question in [
        "corp.example SOA",
        "corp.example NS",
        "www.corp.example A",
        "ns.corp.example AAAA",
        "x.old.corp.example A",
        "mail.corp.example MX",
        "text.corp.example TXT",
        "_s._tcp.corp.example SRV",
        "_s._tcp.corp.example URI",
        "ca.corp.example CAA",
        "order.corp.example NAPTR",
        "x.child.corp.example A",
        "child.corp.example DS",
        "tls.corp.example TLSA",
        "keys.corp.example SSHFP",
        "keys.corp.example OPENPGPKEY",
        "alt.corp.example SVCB",
        "alt.corp.example HTTPS",
        "where.corp.example LOC",
        "host.corp.example HINFO",
        "host.corp.example RP",
        "host.corp.example PTR",
        "new.corp.example TYPE65280",
        "a\\.b.corp.example A",
        "none.corp.example A",
        "www.example A",
        "web.svc.internal SRV",
        "web.svc.internal TXT",
    ] {
        let (name, rtype) = question.split_once(' ').unwrap();
        let output = Command::new("dig")
            .args([
                "@127.0.0.1",
                "-p",
                &port,
                "+nocookie",
                "+tries=1",
                name,
                rtype,
            ])
            .output()
            .expect("dig runs; it's in Debian's bind9-dnsutils");
        let dig = String::from_utf8(output.stdout).unwrap();
        let ended = run(
            &directory,
            &["resolve", name, rtype, "--server", &address],
            &[],
        );
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{question}");
        assert_eq!(records(&ended.stdout), records(&dig), "{question}");
        let line = |text: &str, start: &str| {
            let found = text.lines().find(|line| line.starts_with(start));
            found.map(|line| line.split(", id").next().unwrap().to_owned())
        };
        for start in [";; ->>HEADER<<-", ";; flags:", "; EDE:"] {
            assert_eq!(line(&ended.stdout, start), line(&dig, start), "{question}");
        }
        // From the file alone it's the same.
        if name.ends_with("corp.example") {
            let file = ["resolve", name, rtype, "--zone-file", "corp.example.zone"];
            let from_file = run(&directory, &file, &[]);
            assert_eq!(records(&from_file.stdout), records(&dig), "{question}");
            assert!(from_file.stdout.contains(";; SERVER: corp.example.zone"));
        }
    }
}

#[test]
fn what_a_datagram_cannot_hold_is_asked_for_over_tcp() {
    let directory = TempDir::new("tools");
    let server = TestServer::start();
    for n in 1..=60 {
        server.register_web(&format!("web-{n}"), n);
    }
    let address = server.dns().to_string();
    let variables = [("NAMEBEAT_DNS", &*address)];
    let ended = run(
        &directory,
        &["resolve", "web.svc.internal", "srv"],
        &variables,
    );
    assert_eq!(ended.stdout.matches("\tSRV\t").count(), 60);
    assert!(ended.stdout.contains("(TCP)"), "{}", ended.stdout);
}

#[test]
fn without_a_server_it_says_what_to_do() {
    let directory = TempDir::new("tools");
    // Nobody listens on a port that is taken and let go of.
    let address = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let ended = run(
        &directory,
        &["resolve", "web.svc.internal", "--server", &address],
        &[],
    );
    assert_eq!(ended.code, Some(9));
    assert!(
        ended
            .stderr
            .starts_with(&format!("namebeat: no server answers at {address} (")),
        "{}",
        ended.stderr
    );
    let wrong = run(&directory, &["resolve", "web.svc.internal", "SVR"], &[]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("SVR"), "{}", wrong.stderr);
}

#[test]
fn an_explanation_is_printed() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    server.register_web("web-2", 2);
    assert_eq!(
        server.http("POST", "/v1/instances/web-2/drain", "").status,
        200
    );
    let directory = TempDir::new("explain");
    let url = format!("http://{}", server.addresses.http);
    let run = |arguments: &[&str]| {
        let arguments = [&["explain", "--server", &url], arguments].concat();
        let ended = namebeat(directory.path(), &arguments).output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (ended.status.code(), text(ended.stdout), text(ended.stderr))
    };
    let (code, out, errors) = run(&["web.svc.internal"]);
    assert_eq!((code, &*errors), (Some(0), ""));
    for line in [
        "web.svc.internal. A: instances of service web in the discovery zone svc.internal.",
        "NOERROR, authoritative, ",
        "TTL 5: the server's ttl",
        "  answer     web.svc.internal. 5 IN A 10.0.0.1",
        "in  web-1",
        "    10.0.0.1 port 8001, priority 10 weight 256, lease 2",
        "out web-2: draining",
    ] {
        assert!(
            out.lines().any(|found| found.starts_with(line)),
            "{line}\n{out}"
        );
    }
    let (code, json, _) = run(&["web.svc.internal", "SRV", "--json"]);
    assert_eq!(code, Some(0));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["instances"][1]["why"], "draining");
    let (code, _, errors) = run(&["web.svc.internal", "SVR"]);
    assert_eq!(
        (code, &*errors),
        (
            Some(2),
            "namebeat: type=SVR is unknown; write SRV, AAAA or TYPE65280\n"
        )
    );
    drop(server);
    let (code, _, errors) = run(&["web.svc.internal"]);
    assert_eq!(code, Some(9));
    assert!(
        errors.contains("no server answers at http://127.0.0.1:"),
        "{errors}"
    );
}
