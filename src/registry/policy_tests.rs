//! Policies and configuration values: what is taken, and what is said of the rest.

use serde_json::{Value, json};

use super::*;

fn policy(body: Value) -> Result<Policy, InvalidField> {
    let fields: PolicyFields = serde_json::from_value(body).unwrap();
    fields.try_into()
}

#[test]
fn what_is_left_out_is_the_servers() {
    let empty = policy(json!({})).unwrap();
    assert_eq!(empty, Policy::default());
    assert_eq!(empty.when_none_healthy.as_str(), "nodata");
    assert_eq!(policy(json!({"ttl": null, "txt": null})).unwrap(), empty);
}

#[test]
fn all_fields_are_taken() {
    let taken = policy(json!({
        "ttl": "1h", "negative_ttl": "0s", "max_answers": 1000, "when_none_healthy": "all",
        "txt": {"strings": ["authSource=admin&replicaSet=rs0", ""]},
        "guard": {"hold": "10m", "share": 100, "least": 1},
    }));
    let strings: [Box<str>; 2] = ["authSource=admin&replicaSet=rs0".into(), "".into()];
    let expected = Policy {
        ttl: Some(MAX_TTL),
        negative_ttl: Some(Duration::ZERO),
        max_answers: Some(MAX_ANSWERS),
        when_none_healthy: WhenNoneHealthy::All,
        txt: ServiceTxt::Strings(Box::new(strings)),
        guard: GuardPolicy {
            hold: Some(MAX_HOLD),
            share: Some(100),
            least: Some(1),
        },
    };
    assert_eq!(taken.unwrap(), expected);
    for (word, known) in [("nodata", 0), ("all", 1), ("nxdomain", 2)] {
        let taken = policy(json!({"when_none_healthy": word})).unwrap();
        assert_eq!(taken.when_none_healthy, WhenNoneHealthy::ALL[known]);
    }
    for (word, known) in [
        ("instances", ServiceTxt::Instances),
        ("none", ServiceTxt::Nothing),
    ] {
        assert_eq!(policy(json!({"txt": word})).unwrap().txt, known);
    }
}

#[test]
fn what_is_wrong_is_named() {
    let long = "x".repeat(256);
    for (body, field, part) in [
        (json!({"ttl": "soon"}), "ttl", "\"soon\""),
        (json!({"ttl": "1500ms"}), "ttl", "whole seconds up to 1h"),
        (json!({"ttl": "61m"}), "ttl", "whole seconds up to 1h"),
        (json!({"negative_ttl": "2h"}), "negative_ttl", "up to 1h"),
        (json!({"max_answers": 0}), "max_answers", "1 to 1000"),
        (json!({"guard": {"hold": "11m"}}), "guard.hold", "10m"),
        (json!({"guard": {"share": 101}}), "guard.share", "1 to 100"),
        (
            json!({"guard": {"least": 0}}),
            "guard.least",
            "out of range",
        ),
        (json!({"max_answers": 1001}), "max_answers", "1 to 1000"),
        (json!({"max_answers": -1}), "max_answers", "1 to 1000"),
        (json!({"max_answers": 65_537}), "max_answers", "1 to 1000"),
        (
            json!({"when_none_healthy": "ALL"}),
            "when_none_healthy",
            "\"nxdomain\"",
        ),
        (json!({"txt": "all"}), "txt", "\"instances\""),
        (json!({"txt": 7}), "txt", "\"instances\""),
        (json!({"txt": {}}), "txt.strings", "array"),
        (json!({"txt": {"strings": "x"}}), "txt.strings", "array"),
        (json!({"txt": {"strings": []}}), "txt.strings", "1 to 16"),
        (
            json!({"txt": {"strings": vec!["x"; 17]}}),
            "txt.strings",
            "1 to 16",
        ),
        (
            json!({"txt": {"strings": ["a", 1]}}),
            "txt.strings.1",
            "no string",
        ),
        (
            json!({"txt": {"strings": [long]}}),
            "txt.strings.0",
            "256 octets",
        ),
        (
            json!({"txt": {"strings": ["a"], "more": 1}}),
            "txt.more",
            "unknown",
        ),
    ] {
        let error = policy(body.clone()).unwrap_err();
        assert_eq!(error.field, field, "{body}");
        assert!(error.detail.contains(part), "{body}: {error}");
    }
}

#[test]
fn values_are_bounded_and_grpcs_are_choices() {
    let key: Label = "flags".parse().unwrap();
    let grpc: Label = GRPC_CONFIG.parse().unwrap();
    let check = |key, value: &str| config_value(key, Some(value.to_owned()));
    assert_eq!(&*check(&key, "").unwrap(), "");
    assert_eq!(check(&key, &"é".repeat(2048)).unwrap().len(), MAX_VALUE_LEN);
    assert!(check(&key, &"x".repeat(4097)).is_err());
    assert!(config_value(&key, None).is_err());
    for good in [
        "[]",
        r#"[{"serviceConfig": {}}]"#,
        r#" [{"percentage": 5, "serviceConfig": {"loadBalancingConfig": []}}] "#,
    ] {
        assert_eq!(&*check(&grpc, good).unwrap(), good);
    }
    for bad in [
        "",
        "{",
        "{}",
        "[1]",
        "[{}]",
        r#"[{"serviceConfig": 1}]"#,
        "[] []",
    ] {
        let error = check(&grpc, bad).unwrap_err();
        assert!(error.detail.contains("gRFC A2"), "{bad}: {error}");
        assert!(check(&key, bad).is_ok(), "{bad}");
    }
}
