//! Those who come back: to another service, after a drain, after their lease;
//! and what they say of themselves.

use super::*;
use crate::registry::view::ReportedStatus;

#[test]
fn replacing_in_another_service_leaves_the_first() {
    for drained in [false, true] {
        let mut table = table(9);
        put(&mut table, "a", "web", &json!({}), 1_000);
        let begun = if drained { 1_500 } else { 2_000 };
        if drained {
            table.drain(&id("a"), at(begun)).unwrap();
        }
        drop(table.changes(1));
        let moved = put(&mut table, "a", "api", &json!({"port": 81}), 2_000);
        assert!(moved.replaced);
        assert_eq!(moved.member.entry.registered, at(1_000));
        assert_eq!(table.changes(2).len(), 2);
        assert_eq!(table.counts(), (1, usize::from(!drained)));
        // What it left answers under its own name for as long as any leave.
        assert_eq!(withdrawn(&table, "web", "a", 2_000), Some(Withdrawn::Left));
        assert_eq!(
            answers(&table, "web", "a", 2_000),
            Some(begun + DRAIN - 2_000)
        );
        let here = drained.then_some(Withdrawn::Draining);
        assert_eq!(withdrawn(&table, "api", "a", 2_000), here);
        table.expire(at(begun + DRAIN));
        assert!(view(&table, "web").is_none());
        assert_eq!(table.counts(), (1, usize::from(!drained)));
        // And back, before that is over.
        put(&mut table, "a", "web", &json!({}), 9_000);
        put(&mut table, "a", "api", &json!({}), 9_100);
        put(&mut table, "a", "web", &json!({}), 9_200);
        assert_eq!(withdrawn(&table, "web", "a", 9_200), here);
        // A drain that is over leaves nothing behind to be followed.
        let there = view(&table, "api").map(|_| withdrawn(&table, "api", "a", 9_200));
        assert_eq!(there, (!drained).then_some(Some(Withdrawn::Left)));
    }
}

#[test]
fn a_drain_outlives_the_lease() {
    let mut table = table(9);
    let short = json!({"lease": "2s"});
    put(&mut table, "a", "web", &short, 1_000);
    table.drain(&id("a"), at(1_000)).unwrap();
    assert_eq!(expired(&mut table, 3_000 + LATE), ["a"]);
    assert!(view(&table, "web").is_none());
    assert_eq!(table.leaving.len(), 0);
    // The operator's word holds for whoever comes back, in any service.
    let back = put(&mut table, "a", "api", &short, 5_000).member;
    assert_eq!((back.draining, back.drained_at), (true, None));
    assert_eq!(answers(&table, "api", "a", 5_000), None);
    assert!(!table.resume(&id("a"), at(5_000)).unwrap().draining);
    assert_eq!(expired(&mut table, 7_000 + LATE), ["a"]);
    assert!(!put(&mut table, "a", "api", &short, 8_000).member.draining);
    // One that leaves of itself takes it along.
    table.drain(&id("a"), at(8_000)).unwrap();
    table.deregister(&id("a"), at(8_000)).unwrap();
    assert!(!put(&mut table, "a", "api", &short, 8_100).member.draining);
}

#[test]
fn one_whose_lease_has_ended_is_new_before_the_wheel_notices() {
    let mut table = table(9);
    let short = json!({"lease": "2s"});
    let first = put(&mut table, "a", "web", &short, 1_000).member.entry;
    // Not to be replaced, for it's gone: a POST takes the id.
    let again = table.register(instance("a", "web", &short), false, at(3_000));
    let again = again.unwrap();
    assert!(!again.replaced);
    assert_eq!(again.member.entry.registered, at(3_000));
    let ended = table.expire(at(3_000));
    assert!(
        matches!(&ended[..], [ended] if Arc::ptr_eq(ended, &first)),
        "{ended:?}"
    );
    assert_eq!(withdrawn(&table, "web", "a", 3_000), None);
    // A deregistration comes too late.
    assert_eq!(table.deregister(&id("a"), at(5_000)), None);
    assert_eq!(expired(&mut table, 5_000), ["a"]);
    assert!(view(&table, "web").is_none() && expired(&mut table, 9_000).is_empty());
}

#[test]
fn a_report_withdraws_until_the_next() {
    use ReportedStatus::{Failing, Passing, Warning};
    let mut table = table(9);
    let entry = put(&mut table, "a", "web", &json!({}), 1_000).member.entry;
    for (status, reason) in [
        (Warning, None),
        (Failing, Some(Withdrawn::Failing)),
        (Failing, Some(Withdrawn::Failing)),
        (Passing, None),
        (Failing, Some(Withdrawn::Failing)),
    ] {
        assert!(table.set_report(&entry, Report { status, note: None }));
        assert_eq!(withdrawn(&table, "web", "a", 2_000), reason, "{status:?}");
        assert_eq!(table.counts(), (1, usize::from(reason.is_none())));
    }
    // Of a new registration nothing was said yet.
    put(&mut table, "a", "web", &json!({}), 3_000);
    assert_eq!(withdrawn(&table, "web", "a", 3_000), None);
    let late = Report {
        status: Failing,
        note: None,
    };
    assert!(!table.set_report(&entry, late));
}
