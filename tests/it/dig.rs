//! `dig`, from Debian's bind9-dnsutils, as a real client.

use std::process::Command;

use serde_json::json;

use crate::harness::TestServer;

fn dig(server: &TestServer, arguments: &[&str]) -> String {
    let output = Command::new("dig")
        .arg("@127.0.0.1")
        .args([
            "-p",
            &server.dns().port().to_string(),
            "+tries=1",
            "+timeout=5",
        ])
        .args(arguments)
        .output()
        .expect("dig runs; it's in Debian's bind9-dnsutils");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        !text.contains(";; Warning") && !text.contains("extra bytes"),
        "{text}"
    );
    text
}

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn three_instances_over_udp_and_tcp() {
    let server = TestServer::start();
    for n in 1..=3 {
        server.register_web(&format!("web-{n}"), n);
    }
    for transport in ["+notcp", "+tcp"] {
        let ask = |rtype| dig(&server, &[transport, "+short", "web.svc.internal", rtype]);
        assert_eq!(lines(&ask("A")), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(
            lines(&ask("SRV")),
            [
                "10 256 8001 web-1.web.svc.internal.",
                "10 256 8002 web-2.web.svc.internal.",
                "10 256 8003 web-3.web.svc.internal.",
            ]
        );
        assert_eq!(
            lines(&ask("TXT")),
            [
                r#""id=web-1" "protocol=http""#,
                r#""id=web-2" "protocol=http""#,
                r#""id=web-3" "protocol=http""#,
            ]
        );
    }
}

#[test]
fn the_reason_stands_in_the_ede_line() {
    let server = TestServer::start();
    let check = json!({"kind": "tcp", "interval": "1h"});
    let body = json!({"name": "web", "host": "10.0.0.1", "port": 1, "health_check": check});
    server.register("web-1", body);
    let text = dig(&server, &["web.svc.internal", "SRV"]);
    assert!(text.contains("status: NOERROR"), "{text}");
    assert!(
        text.contains("; EDE: 0 (Other): (1 registered: 1 starting)"),
        "{text}"
    );
    assert!(text.contains("svc.internal.\t\t2\tIN\tSOA\t"), "{text}");
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let server = TestServer::start();
    for n in 1..=60 {
        server.register_web(&format!("web-{n}"), n);
    }
    let text = dig(&server, &["+noedns", "+short", "web.svc.internal", "SRV"]);
    assert_eq!(lines(&text).len(), 60);
    let text = dig(&server, &["+noedns", "+ignore", "web.svc.internal", "SRV"]);
    assert!(text.contains("flags: qr aa tc rd"), "{text}");
}
