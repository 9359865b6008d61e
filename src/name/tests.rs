//! Names: what is taken, and what is written.

use super::*;
use proptest::prelude::*;

#[test]
fn labels_fold_and_refuse() {
    assert_eq!(
        "Web-01".parse::<Label>().map(|l| l.to_string()),
        Ok("web-01".into())
    );
    assert_eq!("".parse::<Label>(), Err(LabelError::Empty));
    assert_eq!("a.b".parse::<Label>(), Err(LabelError::Character('.')));
    assert_eq!("a_b".parse::<Label>(), Err(LabelError::Character('_')));
    assert_eq!("-a".parse::<Label>(), Err(LabelError::Hyphen));
    assert_eq!(
        "x".repeat(64).parse::<Label>(),
        Err(LabelError::TooLong(64))
    );
    assert_eq!("TAG".parse::<ServiceName>(), Err(LabelError::Reserved));
    assert_eq!("locality".parse::<InstanceId>(), Err(LabelError::Reserved));
}

#[test]
fn borders_of_labels_count() {
    let zone = DomainName::parse("svc.example.", None).unwrap();
    for (name, within) in [
        ("svc.example.", true),
        ("WEB.SVC.example.", true),
        ("xsvc.example.", false),
        ("x\\.svc.example.", false),
        ("example.", false),
    ] {
        let name = DomainName::parse(name, None).unwrap();
        assert_eq!(name.is_within(&zone), within, "{name}");
    }
}

proptest! {
    #[test]
    fn text_and_wire_are_one(labels in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 1..=63), 0..=3)) {
        let mut name = DomainName::root();
        for label in &labels {
            name = name.prepend(label).unwrap();
        }
        // Text holds octets above 127 as \DDD, so it's always ASCII.
        prop_assert_eq!(DomainName::parse(&name.to_string(), None), Ok(name.clone()));
        prop_assert_eq!(DomainName::from_wire(name.as_wire()), Ok(name.clone()));
        prop_assert_eq!(name.labels().count(), labels.len());
    }

    #[test]
    fn any_octets_are_a_name_or_an_error(wire in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = DomainName::from_wire(&wire);
    }
}
