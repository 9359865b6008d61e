//! `namebeat doctor`: what it finds on this machine, and in a network of its own, where the
//! lines that it prints are given to dnsmasq and unbound.

use std::process::Command;

use serde_json::Value;

use super::run;
use crate::harness::{TempDir, TestServer};
use crate::program::namebeat;

#[test]
fn it_compares_and_says_what_to_put_where() {
    let server = TestServer::start();
    server.register_web("web-1", 1);
    let dns = server.dns();
    let directory = TempDir::new("doctor");
    let address = dns.to_string();
    let ended = run(&directory, &["doctor", "--json", "--server", &address], &[]);
    // Nobody has this machine ask a server on a free port.
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(
        ended.stderr,
        "namebeat: this machine doesn't find svc.internal.\n"
    );
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&report["ok"], &report["zone"]),
        (&false.into(), &"svc.internal.".into())
    );
    let findings = &report["findings"];
    assert_eq!(findings["server"][0]["ok"], true);
    let system = &findings["system"][0];
    assert_eq!(system["ok"], false);
    let answer = system["answer"].as_str().unwrap();
    assert!(answer.starts_with("web-1.web.svc.internal."), "{answer}");
    assert!(
        answer.ends_with(&format!("but {address} says 10.0.0.1")),
        "{answer}"
    );
    let lines = report["advice"].to_string();
    assert!(
        lines.contains("svc.internal") && lines.contains(&dns.port().to_string()),
        "{lines}"
    );

    let ended = run(&directory, &["doctor", "--server", &address], &[]);
    assert_eq!(ended.code, Some(1));
    let first = format!("ok  {address}: answers for svc.internal., serial ");
    assert!(ended.stdout.starts_with(&first), "{}", ended.stdout);
    assert!(
        ended
            .stdout
            .contains("\nno  this machine's resolver: web-1.web"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_server_that_is_away_or_another_is_said() {
    let directory = TempDir::new("doctor");
    let server = TestServer::start();
    let address = server.dns().to_string();
    let arguments = ["doctor", "--zone", "shop.example", "--server", &address];
    let ended = run(&directory, &arguments, &[]);
    ended.assert_one_line(2, &[&address, "REFUSED", "shop.example.", "--zone"]);
    drop(server);
    let ended = run(&directory, &["doctor", "--server", &address], &[]);
    ended.assert_one_line(9, &["no server answers at", &address]);
}

#[test]
fn advice_for_a_place_is_exact() {
    let directory = TempDir::new("doctor");
    directory.write(
        "namebeat.toml",
        "dns = [\"0.0.0.0:5300\"]\nzone = \"Shop.Example\"\n",
    );
    let ended = run(&directory, &["doctor", "--for", "dnsmasq"], &[]);
    let expected = "\
dnsmasq:

# /etc/dnsmasq.d/namebeat.conf
server=/shop.example/127.0.0.1#5300

# then
systemctl restart dnsmasq

- with stop-dns-rebind there, add rebind-domain-ok=/shop.example/
- leave min-cache-ttl at 0, so that nothing is kept for too long
";
    assert_eq!((ended.code, &*ended.stdout), (Some(0), expected));
    let variables = [
        ("NAMEBEAT_SERVER", "http://10.0.0.5:8054"),
        ("NAMEBEAT_CONFIG", "/dev/null"),
    ];
    let ended = run(&directory, &["doctor", "--for", "macos"], &variables);
    assert!(
        ended.stdout.contains("nameserver 10.0.0.5\nport 8053\n"),
        "{ended:?}"
    );
    let ended = run(&directory, &["doctor", "--for", "bind"], &[]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("systemd-resolved"), "{ended:?}");
}

/// What runs in a network and with a `/etc/resolv.conf` of its own: a server, then a
/// forwarder that has the lines of the advice.
const SCRIPT: &str = r#"
set -e
PATH="$PATH:/usr/sbin:/sbin"
namebeat="$1"
ip link set lo up
mount --bind resolv.conf /etc/resolv.conf
# Waits until a command goes well, at most 10 s.
until_it() { n=0; until "$@" > /dev/null 2>&1; do n=$((n+1)); [ $n -lt 500 ]; sleep 0.02; done; }
doctor() { "$namebeat" doctor --server 127.0.0.1:8053 > "$1" 2>&1 && echo found || echo "not found: $?"; }
register() { "$namebeat" register --name web --id web-1 --host "$1" --port 80 > /dev/null 2>&1; }
# All of it ends with this shell, whose process namespace it is.
"$namebeat" serve --ephemeral --ttl 1s --dns 127.0.0.1:8053 --http 127.0.0.1:8054 > serve.out &
until_it grep -q listening serve.out
doctor before
case "$2" in
    # In the foreground it keeps the user that it's started by.
    dnsmasq) dnsmasq --no-daemon --conf-file="$PWD/dnsmasq.conf" --no-resolv --no-hosts 2> forwarder.out & ;;
    unbound) unbound -d -c "$PWD/unbound.conf" 2> forwarder.out & ;;
esac
until_it "$namebeat" resolve svc.internal. SOA --server 127.0.0.1:53
doctor empty
register 10.0.0.1
doctor after
register 10.0.0.2
doctor changed
"#;

/// The lines that the advice for a place has for one file.
fn lines(directory: &TempDir, place: &str) -> String {
    let arguments = [
        "doctor",
        "--json",
        "--server",
        "127.0.0.1:8053",
        "--for",
        place,
    ];
    let ended = run(directory, &arguments, &[]);
    let advice: Value = serde_json::from_str(&ended.stdout).unwrap();
    let lines = advice["files"][0]["lines"].as_array().unwrap();
    lines
        .iter()
        .map(|line| format!("{}\n", line.as_str().unwrap()))
        .collect()
}

/// Runs [`SCRIPT`] with that forwarder.
fn through(forwarder: &str) {
    let isolate = [
        "--user",
        "--map-root-user",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
    ];
    let permitted = Command::new("unshare").args(isolate).arg("true").output();
    if !permitted
        .expect("unshare runs; it's in Debian's util-linux")
        .status
        .success()
    {
        eprintln!("not permitted here: unshare {}", isolate.join(" "));
        return;
    }
    let directory = TempDir::new("doctor");
    directory.write(
        "resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    );
    let own = "server:\n    interface: 127.0.0.1\n    use-syslog: no\n    username: \"\"\n    chroot: \"\"\n    directory: \".\"\n    pidfile: \"\"\n    verbosity: 0\n";
    directory.write(
        "unbound.conf",
        &format!("{own}{}", lines(&directory, "unbound")),
    );
    let own = "listen-address=127.0.0.1\nbind-interfaces\n";
    directory.write(
        "dnsmasq.conf",
        &format!("{own}{}", lines(&directory, "dnsmasq")),
    );
    let program = namebeat(directory.path(), &[]);
    let output = Command::new("unshare")
        .args(isolate)
        .args(["sh", "-c", SCRIPT, "sh"])
        .arg(program.get_program())
        .arg(forwarder)
        .current_dir(directory.path())
        .env("XDG_STATE_HOME", directory.path())
        .output()
        .unwrap();
    let read =
        |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        said,
        "not found: 1\nfound\nfound\nfound\n",
        "{output:?} {} {}",
        read("before"),
        read("after")
    );
    assert!(read("empty").contains("--  nothing in svc.internal. has an address yet"));
    assert!(read("after").contains("ok  127.0.0.1 of /etc/resolv.conf: answers for svc.internal."));
    assert!(read("after").contains("web-1.web.svc.internal. is 10.0.0.1, as 127.0.0.1:8053 says"));
    // What a cache holds of before is waited for.
    assert!(
        read("changed").contains("web-1.web.svc.internal. is 10.0.0.2, as 127.0.0.1:8053 says")
    );
}

#[test]
fn dnsmasq_finds_the_zone_by_these_lines() {
    through("dnsmasq");
}

#[test]
fn unbound_finds_the_zone_by_these_lines() {
    through("unbound");
}
