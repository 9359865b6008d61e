//! The table: its edges one by one; any run of commands is in `model`.

use serde_json::{Value, json};

use super::*;
use crate::api::Registration;
use crate::registry::view::Withdrawn;

#[path = "table_tests/commands.rs"]
mod commands;
#[path = "table_tests/durable.rs"]
mod durable;
#[path = "table_tests/guard.rs"]
mod guard;
#[path = "table_tests/known.rs"]
mod known;
#[path = "table_tests/model.rs"]
mod model;
#[path = "table_tests/returning.rs"]
mod returning;

/// TTL of the tables under test, in ms.
pub(super) const TTL: u64 = 5_000;

/// How long a clean leave takes, in ms.
pub(super) const DRAIN: u64 = TTL + DRAIN_MARGIN.as_millis() as u64;

/// How late the wheel may notice the end of a lease, in ms.
const LATE: u64 = 500;

pub(super) fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

fn table(max_instances: usize) -> Table {
    Table::new(TableConfig {
        ttl: Duration::from_millis(TTL),
        negative_ttl: Duration::from_secs(2),
        max_instances,
        ..TableConfig::default()
    })
}

pub(super) fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

/// An instance at 10.0.0.1:80 without a check, its lease 30 s, but for `patch`.
pub(super) fn instance(id: &str, service: &str, patch: &Value) -> Instance {
    let mut body = json!({"id": id, "name": service, "host": "10.0.0.1", "port": 80});
    let members = body.as_object_mut().unwrap();
    members.extend(patch.as_object().unwrap().clone());
    let registration: Registration = serde_json::from_value(body).unwrap();
    registration.try_into().unwrap()
}

/// Replaces or registers; must be taken.
pub(super) fn put(
    table: &mut Table,
    id: &str,
    service: &str,
    patch: &Value,
    now: u64,
) -> Registered {
    table
        .register(instance(id, service, patch), true, at(now))
        .unwrap()
}

/// The service's view, if it has one.
pub(super) fn view(table: &Table, service: &str) -> Option<ServiceView> {
    match table.view(service.parse().unwrap(), 1) {
        Change::View(view) => Some(view),
        Change::Gone(_) => None,
    }
}

/// Why the instance isn't listed; `None` when it is.
#[track_caller]
fn withdrawn(table: &Table, service: &str, id: &str, now: u64) -> Option<Withdrawn> {
    view(table, service)
        .unwrap()
        .member(id)
        .unwrap()
        .withdrawn(at(now))
}

/// For how many ms the instance's own name answers.
fn answers(table: &Table, service: &str, id: &str, now: u64) -> Option<u64> {
    let left = view(table, service)?.member(id)?.answers_for(at(now));
    left.map(|left| at(0).after(left).as_millis())
}

fn expired(table: &mut Table, now: u64) -> Vec<String> {
    let entries = table.expire(at(now));
    entries
        .iter()
        .map(|entry| entry.instance.id.to_string())
        .collect()
}

#[test]
fn a_drain_is_over_once_whoever_asks_again() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({}), 1_000);
    assert_eq!(table.drain(&id("a"), at(2_000)), Some(at(2_000 + DRAIN)));
    assert_eq!(table.drain(&id("a"), at(3_000)), Some(at(2_000 + DRAIN)));
    assert_eq!(
        withdrawn(&table, "web", "a", 3_000),
        Some(Withdrawn::Draining)
    );
    assert_eq!(answers(&table, "web", "a", 3_000), Some(DRAIN - 1_000));
    assert_eq!(answers(&table, "web", "a", 1_999 + DRAIN), Some(1));
    assert_eq!(answers(&table, "web", "a", 2_000 + DRAIN), None);
    // Drained, it stays registered until it leaves, and then it's gone at once.
    assert!(expired(&mut table, 20_000).is_empty());
    assert_eq!(
        withdrawn(&table, "web", "a", 20_000),
        Some(Withdrawn::Draining)
    );
    assert_eq!(
        table.deregister(&id("a"), at(20_000)),
        Some(at(2_000 + DRAIN))
    );
    assert!(view(&table, "web").is_none());
    assert_eq!((table.counts(), table.leaving.len()), ((0, 0), 0));
}

#[test]
fn resume_lists_again_and_the_next_drain_starts_anew() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({}), 1_000);
    for now in [2_000, 3_000, 10_000] {
        assert_eq!(table.drain(&id("a"), at(now)), Some(at(now + DRAIN)));
        assert_eq!(table.counts(), (1, 0));
        let member = table.resume(&id("a"), at(now)).unwrap();
        assert_eq!((member.draining, member.drained_at), (false, None));
        assert_eq!((table.counts(), table.leaving.len()), ((1, 1), 0));
        assert_eq!(withdrawn(&table, "web", "a", now), None);
    }
}

#[test]
fn what_is_unknown_or_left_takes_no_command() {
    let mut table = table(9);
    let entry = put(&mut table, "a", "web", &json!({}), 1_000).member.entry;
    table.deregister(&id("a"), at(1_000)).unwrap();
    for id in [id("a"), id("ghost")] {
        assert_eq!(table.deregister(&id, at(2_000)), None);
        assert_eq!(table.drain(&id, at(2_000)), None);
        assert!(table.resume(&id, at(2_000)).is_none());
    }
    assert!(!table.set_health(&entry, Health::Failing, "late".into()));
    assert!(!table.set_addresses(&entry, [].into()));
    assert_eq!(withdrawn(&table, "web", "a", 2_000), Some(Withdrawn::Left));
    assert_eq!(answers(&table, "web", "a", 2_000), Some(DRAIN - 1_000));
}

#[test]
fn a_leave_ends_at_its_moment() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({}), 1_000);
    table.deregister(&id("a"), at(1_000)).unwrap();
    drop(table.changes(1));
    assert!(
        table
            .expire(Moment::from_nanos(at(1_000 + DRAIN).as_nanos() - 1))
            .is_empty()
    );
    assert!(!table.is_touched());
    // It's no expiry: the registration ended before.
    assert!(table.expire(at(1_000 + DRAIN)).is_empty());
    let changes = table.changes(2);
    assert!(matches!(&changes[..], [Change::Gone(service)] if service.as_str() == "web"));
    assert!(table.expire(at(90_000)).is_empty() && !table.is_touched());
}

#[test]
fn a_leave_answers_until_its_end_whatever_its_lease() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({"lease": "3s"}), 1_000);
    table.deregister(&id("a"), at(2_000)).unwrap();
    assert_eq!(answers(&table, "web", "a", 2_500), Some(DRAIN - 500));
    assert_eq!(answers(&table, "web", "a", 4_000), Some(DRAIN - 2_000));
    assert_eq!(answers(&table, "web", "a", 2_000 + DRAIN), None);
    // Leaving brings nobody back who wasn't listed.
    for (health, service) in [(Health::Failing, "x"), (Health::Starting, "y")] {
        let entry = put(&mut table, "b", service, &json!({}), 2_000)
            .member
            .entry;
        assert!(table.set_health(&entry, health, "".into()));
        table.deregister(&id("b"), at(2_000)).unwrap();
        assert_eq!(answers(&table, service, "b", 2_500), None);
    }
}

#[test]
fn one_that_left_comes_back_afresh() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({}), 1_000);
    table.drain(&id("a"), at(1_000)).unwrap();
    table.deregister(&id("a"), at(2_000)).unwrap();
    let back = put(&mut table, "a", "web", &json!({}), 3_000);
    assert!(!back.replaced);
    assert_eq!(back.member.entry.registered, at(3_000));
    assert_eq!(withdrawn(&table, "web", "a", 3_000), None);
    assert_eq!((table.counts(), table.leaving.len()), ((1, 1), 0));
    // In another service, what it left goes on until it's drained.
    table.deregister(&id("a"), at(4_000)).unwrap();
    put(&mut table, "a", "api", &json!({}), 4_100);
    assert_eq!(withdrawn(&table, "api", "a", 4_200), None);
    assert_eq!(withdrawn(&table, "web", "a", 4_200), Some(Withdrawn::Left));
    table.expire(at(4_000 + DRAIN));
    assert!(view(&table, "web").is_none());
    assert_eq!(
        (table.counts(), withdrawn(&table, "api", "a", 4_000 + DRAIN)),
        ((1, 1), None)
    );
}

#[test]
fn replacing_keeps_what_still_stands() {
    let checked = json!({"health_check": {"kind": "tcp"}});
    let with = |key: &str, value: Value| {
        let mut patch = checked.clone();
        patch[key] = value;
        patch
    };
    for (patch, kept) in [
        (checked.clone(), true),
        (with("weight", json!(1)), true),
        (with("lease", json!("1h")), true),
        (with("port", json!(81)), false),
        (with("host", json!("10.0.0.2")), false),
        (with("health_check", json!({"kind": "http"})), false),
    ] {
        let mut table = table(9);
        let first = put(&mut table, "a", "web", &checked, 1_000).member;
        assert_eq!(first.health, Health::Starting);
        assert!(table.set_health(&first.entry, Health::Passing, "fine".into()));
        let drained_at = table.drain(&id("a"), at(2_000));
        let second = put(&mut table, "a", "web", &patch, 3_000);
        assert!(second.replaced, "{patch}");
        let member = second.member;
        assert_eq!(member.entry.registered, at(1_000), "{patch}");
        assert_eq!(
            (member.draining, member.drained_at),
            (true, drained_at),
            "{patch}"
        );
        let expected = if kept {
            Health::Passing
        } else {
            Health::Starting
        };
        assert_eq!(
            (member.health, member.output.is_some()),
            (expected, kept),
            "{patch}"
        );
        // What comes late for the first is dropped.
        assert!(!table.set_health(&first.entry, Health::Failing, "late".into()));
        assert!(table.set_health(&member.entry, Health::Failing, "now".into()));
    }
}

#[test]
fn replacing_moves_between_services() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({}), 1_000);
    drop(table.changes(1));
    put(&mut table, "a", "api", &json!({}), 2_000);
    assert_eq!(table.changes(2).len(), 2);
    assert_eq!(table.counts(), (1, 1));
    // Where it was, its own name goes on until nobody can hold it any more.
    assert_eq!(answers(&table, "web", "a", 2_000), Some(DRAIN));
    assert_eq!(answers(&table, "web", "a", 2_000 + DRAIN), None);
    assert!(table.expire(at(2_000 + DRAIN)).is_empty());
    assert!(view(&table, "web").is_none());
}

/// Until the writer publishes, readers have the view from before the command.
#[test]
fn replacing_withdraws_nobody_from_the_view_before() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({}), 1_000);
    let before = view(&table, "web").unwrap();
    put(&mut table, "a", "web", &json!({}), 2_000);
    assert_eq!(
        before
            .members
            .iter()
            .filter(|member| member.withdrawn(at(2_000)).is_none())
            .count(),
        1
    );
    assert!(before.member("a").unwrap().answers_for(at(2_000)).is_some());
}

#[test]
fn leases_end_unless_renewed() {
    let mut table = table(9);
    let entry = put(&mut table, "a", "web", &json!({"lease": "2s"}), 1_000)
        .member
        .entry;
    assert!(expired(&mut table, 2_999).is_empty());
    assert!(entry.lease.renew(at(2_999)).is_ok());
    assert!(expired(&mut table, 3_000 + LATE).is_empty());
    assert_eq!(withdrawn(&table, "web", "a", 4_998), None);
    // Withdrawn at the end; forgotten once the wheel has come round.
    assert_eq!(
        withdrawn(&table, "web", "a", 4_999),
        Some(Withdrawn::Expired)
    );
    assert!(entry.lease.renew(at(4_999)).is_err());
    assert_eq!(expired(&mut table, 4_999 + LATE), ["a"]);
    assert!(view(&table, "web").is_none());
    assert_eq!(table.counts(), (0, 0));
    assert!(entry.lease.renew(at(1_000)).is_err());
}

#[test]
fn an_older_ticket_ends_no_newer_lease() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({"lease": "2s"}), 1_000);
    put(&mut table, "a", "web", &json!({"lease": "1m"}), 2_000);
    put(&mut table, "b", "web", &json!({"lease": "2s"}), 1_000);
    table.deregister(&id("b"), at(1_500)).unwrap();
    put(&mut table, "b", "api", &json!({"lease": "1m"}), 2_000);
    assert!(expired(&mut table, 30_000).is_empty());
    assert_eq!(table.counts(), (2, 2));
    // A shorter term counts from the replacement.
    put(&mut table, "a", "web", &json!({"lease": "2s"}), 30_000);
    assert_eq!(expired(&mut table, 32_000 + LATE), ["a"]);
    let unbound = json!({"lease": null, "health_check": {"kind": "tcp"}});
    put(&mut table, "b", "api", &unbound, 33_000);
    assert!(expired(&mut table, 900_000_000).is_empty());
}

#[test]
fn the_wheel_is_bounded_by_the_instances() {
    let mut table = table(9);
    for n in 0..10_000 {
        put(&mut table, "a", "web", &json!({"lease": "1h"}), 1_000 + n);
        assert!(expired(&mut table, 1_000 + n).is_empty());
        assert!(table.wheel.len() <= 2 + 1_024 + 1, "{}", table.wheel.len());
    }
    assert_eq!(expired(&mut table, 11_000 + 3_600_000 + LATE), ["a"]);
    assert_eq!(table.wheel.len(), 0);
}

#[test]
fn an_expiry_ends_a_drain() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({"lease": "2s"}), 1_000);
    table.drain(&id("a"), at(1_000)).unwrap();
    assert_eq!(expired(&mut table, 3_000 + LATE), ["a"]);
    assert!(view(&table, "web").is_none());
    drop(table.changes(1));
    table.expire(at(90_000));
    assert_eq!((table.is_touched(), table.leaving.len()), (false, 0));
}

#[test]
fn the_limit_counts_each_instance_once() {
    let mut table = table(2);
    let register = |table: &mut Table, id: &str, now| {
        table
            .register(instance(id, "web", &json!({})), false, at(now))
            .err()
    };
    assert_eq!(register(&mut table, "a", 1_000), None);
    // Draining doesn't take a second place …
    table.drain(&id("a"), at(1_000)).unwrap();
    assert_eq!(register(&mut table, "b", 1_000), None);
    assert_eq!(
        register(&mut table, "c", 1_000),
        Some(RegisterError::Full(2))
    );
    assert_eq!(
        register(&mut table, "a", 1_000),
        Some(RegisterError::Exists(id("a")))
    );
    // … one that left keeps its own, until it's drained.
    table.deregister(&id("b"), at(2_000)).unwrap();
    assert_eq!(
        register(&mut table, "c", 3_000),
        Some(RegisterError::Full(2))
    );
    table.expire(at(2_000 + DRAIN));
    assert_eq!(register(&mut table, "c", 9_000), None);
}

#[test]
fn one_that_left_comes_back_to_its_own_place() {
    let mut table = table(1);
    put(&mut table, "a", "web", &json!({}), 1_000);
    table.deregister(&id("a"), at(1_000)).unwrap();
    assert!(
        table
            .register(instance("a", "web", &json!({})), true, at(2_000))
            .is_ok()
    );
}

/// Of two services, at the same moment: both have to end.
#[test]
fn an_id_may_leave_two_services_at_once() {
    let mut table = table(9);
    put(&mut table, "a", "web", &json!({}), 1_000);
    table.deregister(&id("a"), at(1_000)).unwrap();
    put(&mut table, "a", "api", &json!({}), 1_000);
    table.deregister(&id("a"), at(1_000)).unwrap();
    assert_eq!(answers(&table, "web", "a", 2_000), Some(DRAIN - 1_000));
    assert_eq!(answers(&table, "api", "a", 2_000), Some(DRAIN - 1_000));
    table.expire(at(1_000 + DRAIN));
    assert!(view(&table, "web").is_none() && view(&table, "api").is_none());
}
