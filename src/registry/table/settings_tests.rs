//! Policies and configuration values in the table: edges one by one.

use std::time::Duration;

use super::super::former::{FormerTtls, MAX_FORMER};
use super::super::tests::{DRAIN, TTL, at, id, put, view};
use super::*;
use crate::registry::condition::Revisions;
use crate::registry::log::record::{Known, Record};
use crate::registry::log::stored_settings::StoredSettings;
use crate::registry::table::{RegisterError, TableConfig};
use crate::time::Clock;

fn table(max_services: usize) -> Table {
    Table::new(TableConfig {
        ttl: Duration::from_millis(TTL),
        max_services,
        max_instances_per_service: 2,
        ..TableConfig::default()
    })
}

fn service(text: &str) -> ServiceName {
    text.parse().unwrap()
}

/// A policy with a TTL of so many ms.
fn with_ttl(millis: u64) -> Setting {
    Setting::Policy(Some(Policy {
        ttl: Some(Duration::from_millis(millis)),
        ..Policy::default()
    }))
}

fn value(key: &str, value: &str) -> Setting {
    Setting::Value(key.parse().unwrap(), Some(value.into()))
}

fn change(table: &mut Table, setting: Setting, now: u64) -> Result<Changed, SettingError> {
    table.change_setting(&service("web"), setting, &Condition::default(), 1, at(now))
}

/// When an instance that is drained at `now` is.
fn drained(table: &mut Table, instance: &str, now: u64) -> Moment {
    table.drain(&id(instance), at(now)).unwrap()
}

#[test]
fn revisions_rise_whatever_the_states_number() {
    let mut table = table(9);
    let mut last = 0;
    for (setting, next) in [
        (with_ttl(1_000), 7),
        (with_ttl(2_000), 7),
        (value("a", "1"), 7),
        (Setting::Policy(None), 8),
        (with_ttl(1_000), 8),
        (value("a", "2"), 90),
    ] {
        let takes_back = setting == Setting::Policy(None);
        let changed = (table)
            .change_setting(&service("web"), setting, &Condition::default(), next, at(1))
            .unwrap();
        assert!(takes_back || changed.revision > last && changed.revision >= next);
        last = changed.revision.max(last);
        assert!(takes_back || table.newest_setting() == last);
    }
    assert_eq!(last, 90);
}

#[test]
fn conditions_decide_and_change_nothing_when_unmet() {
    let mut table = table(9);
    let web = service("web");
    let mut try_with = |is: Option<Revisions>, is_not: Option<Revisions>, setting: Setting| {
        let before = table.settings_of(&web);
        let result = table.change_setting(&web, setting, &Condition { is, is_not }, 5, at(1));
        let same = table.settings_of(&web) == before;
        assert_eq!(result.is_err(), same, "{result:?}");
        result
    };
    let of = |revision| Some(Revisions::Of(vec![revision]));
    let gone = || Setting::Policy(None);
    assert!(matches!(
        try_with(of(5), None, with_ttl(1_000)),
        Err(SettingError::Unmet(_))
    ));
    assert_eq!(try_with(of(5), None, gone()), Err(SettingError::Unknown));
    let created = try_with(None, Some(Revisions::Any), with_ttl(1_000)).unwrap();
    assert_eq!((created.revision, created.replaced), (5, false));
    assert!(try_with(None, Some(Revisions::Any), with_ttl(2_000)).is_err());
    let replaced = try_with(of(5), None, with_ttl(2_000)).unwrap();
    assert_eq!((replaced.revision, replaced.replaced), (6, true));
    assert!(try_with(of(5), None, gone()).is_err());
    assert_eq!(try_with(of(6), None, gone()).unwrap().revision, 6);
}

#[test]
fn settings_stay_without_instances_and_end_with_the_last_one() {
    let mut table = table(9);
    change(&mut table, with_ttl(1_000), 1).unwrap();
    change(&mut table, value("a", "1"), 1).unwrap();
    put(
        &mut table,
        "a",
        "web",
        &serde_json::json!({"lease": "2s"}),
        1,
    );
    table.expire(at(5_000));
    let shown = view(&table, "web").unwrap();
    assert_eq!((shown.members.len(), shown.settings.config.len()), (0, 1));
    assert_eq!(
        (shown.ttl, table.service_count()),
        (Duration::from_secs(1), 1)
    );
    change(&mut table, Setting::Policy(None), 5_000).unwrap();
    assert_eq!(view(&table, "web").unwrap().ttl, Duration::from_millis(TTL));
    change(
        &mut table,
        Setting::Value("a".parse().unwrap(), None),
        5_000,
    )
    .unwrap();
    assert!(view(&table, "web").is_none());
    assert_eq!(table.service_count(), 0);
}

#[test]
fn configuration_is_bounded() {
    let mut table = table(9);
    let long = "x".repeat(4_000);
    for n in 0..4 {
        change(&mut table, value(&format!("long-{n}"), &long), 1).unwrap();
    }
    let error = change(&mut table, value("k", &"x".repeat(400)), 1).unwrap_err();
    assert_eq!(error, SettingError::TooLong(4 * 4_006 + 401));
    for n in 4..MAX_VALUES {
        change(&mut table, value(&format!("k{n}"), ""), 1).unwrap();
    }
    let error = change(&mut table, value("one-more", ""), 1).unwrap_err();
    assert_eq!(error, SettingError::TooManyValues(MAX_VALUES));
    change(&mut table, value("k9", "again"), 1).unwrap();
    assert_eq!(table.settings_of(&service("web")).config.len(), MAX_VALUES);
}

#[test]
fn services_are_counted_with_or_without_instances() {
    let mut table = table(2);
    let none = serde_json::json!({});
    change(&mut table, with_ttl(1_000), 1).unwrap();
    put(&mut table, "a", "api", &none, 1);
    put(&mut table, "b", "web", &none, 1);
    assert_eq!(table.service_count(), 2);
    let instance = super::super::tests::instance("c", "db", &none);
    let error = table.register(instance, true, at(1)).unwrap_err();
    assert_eq!(error, RegisterError::TooManyServices(2));
    let (db, any) = (service("db"), Condition::default());
    let refused = table.change_setting(&db, value("a", "1"), &any, 9, at(1));
    assert_eq!(refused, Err(SettingError::TooManyServices(2)));
    // Within the services that there are, there's room.
    put(&mut table, "c", "web", &none, 1);
    let instance = super::super::tests::instance("d", "web", &none);
    let error = table.register(instance, true, at(1)).unwrap_err();
    assert_eq!(error, RegisterError::ServiceFull(service("web"), 2));
    put(&mut table, "c", "web", &none, 1);
    // One that moves there is one more, and leaves a service behind for a while.
    let instance = super::super::tests::instance("a", "web", &none);
    assert!(table.register(instance, true, at(1)).is_err());
    change(&mut table, Setting::Policy(None), 1).unwrap();
    assert_eq!(table.service_count(), 2);
}

#[test]
fn a_former_longer_ttl_is_waited_for() {
    let mut table = table(9);
    let none = serde_json::json!({});
    for instance in ["a", "b"] {
        put(&mut table, instance, "web", &none, 0);
    }
    change(&mut table, with_ttl(20_000), 1_000).unwrap();
    change(&mut table, with_ttl(1_000), 4_000).unwrap();
    let margin = DRAIN - TTL;
    // Until 24 s somebody may hold what was said until 4 s.
    assert_eq!(drained(&mut table, "a", 5_000), at(24_000 + margin));
    change(&mut table, Setting::Policy(None), 6_000).unwrap();
    assert_eq!(drained(&mut table, "b", 22_000), at(22_000 + DRAIN));
    // Back to less than the server's: from then on, that one's matters.
    change(&mut table, with_ttl(2_000), 30_000).unwrap();
    table.resume(&id("a"), at(22_000)).unwrap();
    assert_eq!(drained(&mut table, "a", 26_000), at(30_000 + DRAIN));
}

#[test]
fn many_former_ttls_are_waited_for_together() {
    let mut former = FormerTtls::default();
    let names: Vec<ServiceName> = (0..=MAX_FORMER + 1)
        .map(|n| service(&format!("s{n}")))
        .collect();
    for (n, name) in (1u64..).zip(&names) {
        former.note(name, at(10_000 + n), at(n));
        former.note(name, at(5), at(n));
    }
    let end = |n: usize| at(10_000 + n as u64);
    assert_eq!(former.ends.len(), MAX_FORMER);
    // The last two had no place, so the later one's end holds for all.
    for n in [0, MAX_FORMER - 1, MAX_FORMER, MAX_FORMER + 1] {
        assert_eq!(former.held_until(&names[n]), end(MAX_FORMER + 2), "{n}");
    }
    // What is over makes room.
    former.note(&service("new"), at(90_000), at(80_000));
    assert_eq!(former.held_until(&service("new")), at(90_000));
    assert_eq!(former.ends.len(), 1);
}

/// What is known after a restart at `now` of what was written of `table` after
/// `earlier`, in a server whose own TTL is `ttl` ms. With `as_snapshot` all of it was
/// written anew before.
fn restarted(table: &mut Table, earlier: &[u8], now: u64, ttl: u64, as_snapshot: bool) -> Table {
    let clock = Clock::start();
    let mut octets = earlier.to_vec();
    table.encode_unwritten(&clock, &mut octets);
    table.written();
    if as_snapshot {
        octets.clear();
        for (service, settings) in table.all_settings() {
            Record::Settings(StoredSettings::of(service, settings)).encode(&mut octets);
        }
        for (service, left) in table.held_for(at(now)) {
            Record::held(service.as_ref(), left).encode(&mut octets);
        }
    }
    let mut next = Table::new(TableConfig {
        ttl: Duration::from_millis(ttl),
        ..TableConfig::default()
    });
    let mut rest = &octets[..];
    while !rest.is_empty() {
        let (record, after) = Record::decode(rest).unwrap();
        next.take_in(Known::of(record, &clock, None).unwrap().unwrap());
        rest = after;
    }
    next.begin(at(now));
    put(&mut next, "a", "web", &serde_json::json!({}), now);
    next
}

/// Promise 3 holds over a restart: what was answered before it may still be held.
#[test]
fn a_former_longer_ttl_is_waited_for_after_a_restart() {
    let margin = DRAIN - TTL;
    for as_snapshot in [false, true] {
        let mut table = table(9);
        table.begin(at(0));
        change(&mut table, with_ttl(20_000), 1_000).unwrap();
        // A batch of its own, so that the log has both.
        let mut before = Vec::new();
        table.encode_unwritten(&Clock::start(), &mut before);
        change(&mut table, with_ttl(1_000), 2_000).unwrap();
        let mut next = restarted(&mut table, &before, 3_000, TTL, as_snapshot);
        // The log has no times, so it's the whole TTL again; a snapshot has what is left.
        let end = if as_snapshot { 22_000 + margin } else { 23_000 };
        assert_eq!(drained(&mut next, "a", 3_000), at(end + margin));
        // And that is over some time: no restart is waited for twice as long.
        let mut last = restarted(&mut next, &[], 90_000, TTL, true);
        assert_eq!(drained(&mut last, "a", 90_000), at(90_000 + DRAIN));
    }
}

#[test]
fn a_longer_ttl_of_the_server_is_waited_for_after_a_restart() {
    let mut table = Table::new(TableConfig {
        ttl: Duration::from_secs(60),
        ..TableConfig::default()
    });
    table.begin(at(0));
    for as_snapshot in [false, true] {
        let mut next = restarted(&mut table, &[], 3_000, TTL, as_snapshot);
        let margin = DRAIN - TTL;
        assert_eq!(drained(&mut next, "a", 4_000), at(63_000 + margin));
        // One that lowers it and is killed at once changes nothing in that.
        let mut again = restarted(&mut next, &[], 5_000, TTL, true);
        assert!(drained(&mut again, "a", 5_000) >= at(63_000 + margin));
    }
}
