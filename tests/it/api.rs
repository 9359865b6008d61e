//! The HTTP API, call by call, as the README lays it down.

mod checks;
mod discover;
mod edges;
mod leases;
mod post;
mod refusals;
mod register;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::harness::Client;

/// What the server's time of day and ours may differ by.
const SLACK: Duration = Duration::from_secs(1);

/// Makes a call, such as `PUT /v1/instances/a`, and asserts its status and that
/// the answer [holds](held) what is `expected`. A body of `null` is none.
#[track_caller]
fn check(server: &Client, call: &str, body: Value, status: u16, expected: Value) -> Value {
    let text = match body {
        Value::Null => String::new(),
        body => body.to_string(),
    };
    check_text(server, call, &text, status, expected)
}

/// The same with a body that need not be JSON.
#[track_caller]
fn check_text(server: &Client, call: &str, body: &str, status: u16, expected: Value) -> Value {
    let (method, path) = call.split_once(' ').unwrap();
    let answer = server.http(method, path, body);
    let context = format!("{call} {body:.200}: {answer:?}");
    assert_eq!(answer.status, status, "{context}");
    let kind = match status {
        ..400 => "content-type: application/json",
        _ => "content-type: application/problem+json",
    };
    assert!(answer.headers.lines().any(|line| line == kind), "{context}");
    let json = answer.json();
    if status >= 400 {
        assert_problem(&json, status);
    }
    if let Err(difference) = held(&json, &expected) {
        panic!("{difference} in {context}");
    }
    json
}

/// Asserts what every error has to have (RFC 9457 §3.1).
#[track_caller]
fn assert_problem(json: &Value, status: u16) {
    let text = |member: &str| json[member].as_str().unwrap_or_default();
    assert!(text("type").starts_with("urn:namebeat:problem:"), "{json}");
    assert_ne!(text("title"), "", "{json}");
    assert_ne!(text("detail"), "", "{json}");
    assert_eq!(json["status"], status, "{json}");
}

/// Compares what is `expected`: of an object the members named, where `null` is
/// also absence; of a `detail` a part; anything else whole.
fn held(actual: &Value, expected: &Value) -> Result<(), String> {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            expected.iter().try_for_each(|(key, expected)| {
                let actual = actual.get(key).unwrap_or(&Value::Null);
                match (key.as_str(), actual, expected) {
                    ("detail", Value::String(actual), Value::String(part))
                        if actual.contains(part) =>
                    {
                        Ok(())
                    }
                    _ => held(actual, expected).map_err(|error| format!("{key}: {error}")),
                }
            })
        }
        (Value::Array(actual), Value::Array(expected)) if actual.len() == expected.len() => actual
            .iter()
            .zip(expected)
            .try_for_each(|(actual, expected)| held(actual, expected)),
        _ if actual == expected => Ok(()),
        _ => Err(format!("{actual} isn't {expected}")),
    }
}

/// The body of an instance of `web` at 10.0.0.N:8000+N.
fn web(n: u8) -> Value {
    json!({"name": "web", "host": format!("10.0.0.{n}"), "port": 8000 + u16::from(n)})
}

fn wall(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// Asserts that `value` is a time `later` after now.
#[track_caller]
fn assert_in(value: &Value, later: Duration) {
    let (at, now) = (wall(value), Utc::now() + later);
    assert!(
        now - SLACK < at && at < now + SLACK,
        "{at} isn't about {now}"
    );
}
