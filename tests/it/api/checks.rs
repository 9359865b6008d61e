//! Health checks that can't be taken.

use serde_json::{Value, json};

use super::refusals::{check_refused, pair, x};

#[test]
fn refuses_health_checks() {
    let checked = |field: &str, value: Value| json!({"health_check": pair(field, value)});
    check_refused(vec![
        (
            json!({"health_check": true}),
            "health_check",
            "health_check",
        ),
        (
            json!({"health_check": "/health"}),
            "health_check",
            "health_check",
        ),
        (
            checked("kind", json!("ftp")),
            "health_check.kind",
            "\"ftp\"",
        ),
        (checked("kind", json!(1)), "health_check.kind", "kind"),
        (
            checked("endpoint", json!("")),
            "health_check.endpoint",
            "begins with a single \"/\"",
        ),
        (
            checked("endpoint", json!("health")),
            "health_check.endpoint",
            "begins with a single \"/\"",
        ),
        (
            checked("endpoint", json!("//evil.example/")),
            "health_check.endpoint",
            "single \"/\"",
        ),
        (
            checked("endpoint", json!("http://a/")),
            "health_check.endpoint",
            "no path",
        ),
        (
            checked("endpoint", json!("/a b")),
            "health_check.endpoint",
            "no path",
        ),
        (
            checked("endpoint", json!("/a\r\nX: y")),
            "health_check.endpoint",
            "no path",
        ),
        (
            checked("endpoint", json!("/a#b")),
            "health_check.endpoint",
            "\"#\"",
        ),
        (
            checked("endpoint", json!(format!("/{}", x(1024)))),
            "health_check.endpoint",
            "1024",
        ),
        (
            json!({"health_check": {"kind": "tcp", "endpoint": "/"}}),
            "health_check.endpoint",
            "has none; leave it out",
        ),
        (
            json!({"health_check": {"kind": "none", "endpoint": "/"}}),
            "health_check.endpoint",
            "has none; leave it out",
        ),
        (
            json!({"protocol": "tcp", "health_check": {"endpoint": "/"}}),
            "health_check.endpoint",
            "has none; leave it out",
        ),
        (
            checked("interval", json!("99ms")),
            "health_check.interval",
            "100ms to 1h",
        ),
        (
            checked("interval", json!("61m")),
            "health_check.interval",
            "100ms to 1h",
        ),
        (
            checked("interval", json!("10")),
            "health_check.interval",
            "\"10\"",
        ),
        (
            checked("interval", json!(10)),
            "health_check.interval",
            "interval",
        ),
        (
            checked("timeout", json!("9ms")),
            "health_check.timeout",
            "10ms to 1m",
        ),
        (
            checked("timeout", json!("61s")),
            "health_check.timeout",
            "10ms to 1m",
        ),
        (
            checked("timeout", json!("2 s")),
            "health_check.timeout",
            "\"2 s\"",
        ),
        (
            checked("retries", json!(0)),
            "health_check.retries",
            "1 to 100",
        ),
        (
            checked("retries", json!(101)),
            "health_check.retries",
            "1 to 100",
        ),
        (
            checked("retries", json!(-1)),
            "health_check.retries",
            "1 to 100",
        ),
        (
            checked("retries", json!("3")),
            "health_check.retries",
            "retries",
        ),
        (checked("rise", json!(0)), "health_check.rise", "1 to 100"),
        (checked("rise", json!(101)), "health_check.rise", "1 to 100"),
        (
            checked("initial", json!("failing")),
            "health_check.initial",
            "\"passing\"",
        ),
        (
            checked("initial", json!(true)),
            "health_check.initial",
            "initial",
        ),
        (checked("path", json!("/")), "health_check.path", "endpoint"),
    ]);
}
