//! The guard against mass expiry, on a table.

use super::*;
use crate::registry::condition::Condition;
use crate::registry::guard::GuardPolicy;
use crate::registry::policy::Policy;

const HOLD: u64 = 30_000;

/// A table with instances of these services, `count` of each, whose leases of 9 s begin
/// at 1 s, and the ids.
fn with_services(services: &[&str], count: usize) -> (Table, Vec<String>) {
    let mut table = table(10_000);
    let mut ids = Vec::new();
    for service in services {
        for n in 0..count {
            let id = format!("{service}-{n}");
            put(&mut table, &id, service, &json!({"lease": "9s"}), 1_000);
            ids.push(id);
        }
    }
    (table, ids)
}

fn heartbeat(table: &Table, id: &str, now: u64) {
    let member = table.registered(&super::id(id)).unwrap();
    member.entry.lease.renew(at(now)).unwrap();
}

/// Looks each quarter of a second, as the writer does, and gives back who ended when.
fn run(table: &mut Table, from: u64, to: u64) -> Vec<(u64, String)> {
    let mut ended = Vec::new();
    for now in (from..to).step_by(250) {
        ended.extend(expired(table, now).into_iter().map(|id| (now, id)));
    }
    ended
}

fn listed(table: &Table, service: &str, now: u64) -> usize {
    view(table, service).map_or(0, |view| {
        let members = view.members.iter();
        members
            .filter(|member| member.withdrawn(at(now)).is_none())
            .count()
    })
}

/// Eureka's guard could stick: once on, it kept what had died for ever.
#[test]
fn what_is_held_is_held_once_and_then_ends() {
    let (mut table, ids) = with_services(&["web"], 10);
    assert!(run(&mut table, 1_000, 10_000).is_empty());
    // Nobody was missed at the end of the leases, and none of them is.
    assert_eq!(listed(&table, "web", 10_000), 10);
    assert_eq!(table.held(), 10);
    let began = table.guard_events();
    assert!(matches!(&began[..], [GuardEvent::Began { service, .. }] if service.as_str() == "web"));
    let ended = run(&mut table, 10_000, 200_000);
    assert_eq!(ended.len(), ids.len());
    for (when, id) in ended {
        assert!(when <= 10_000 + HOLD + LATE + 250, "{id} ended at {when}");
    }
    let service = "web".parse().unwrap();
    let (returned, lost) = (0, 10);
    assert_eq!(
        table.guard_events(),
        [GuardEvent::Ended {
            service,
            returned,
            lost
        }]
    );
    assert_eq!((table.held(), table.counts()), (0, (0, 0)));
}

#[test]
fn who_comes_back_is_as_before() {
    let (mut table, ids) = with_services(&["web"], 10);
    assert!(run(&mut table, 1_000, 20_000).is_empty());
    for id in &ids[..8] {
        heartbeat(&table, id, 20_000);
    }
    assert_eq!(table.held(), 2);
    // They die one after the other, later, and of themselves.
    let mut ended = Vec::new();
    for now in (20_000..80_000).step_by(250) {
        for id in &ids[..7] {
            heartbeat(&table, id, now);
        }
        ended.extend(expired(&mut table, now));
    }
    ended.sort();
    assert_eq!(ended, ["web-7", "web-8", "web-9"]);
    let events = table.guard_events();
    assert!(
        matches!(
            events[..],
            [
                ..,
                GuardEvent::Ended {
                    returned: 7,
                    lost: 3,
                    ..
                }
            ]
        ),
        "{events:?}"
    );
}

#[test]
fn one_that_dies_is_not_held() {
    let (mut table, ids) = with_services(&["web"], 10);
    let mut ended = Vec::new();
    for now in (1_000..15_000).step_by(250) {
        for id in &ids[1..] {
            heartbeat(&table, id, now);
        }
        ended.extend(expired(&mut table, now).into_iter().map(|id| (now, id)));
    }
    assert_eq!(ended.len(), 1);
    assert!(
        ended[0].0 <= 10_000 + LATE + 250 && ended[0].1 == "web-0",
        "{ended:?}"
    );
    assert!(table.guard_events().is_empty());
}

/// It's about lost heartbeats: who says that it leaves, leaves, and so does who fails.
#[test]
fn clean_leaves_and_failing_checks_are_none_of_it() {
    let (mut table, ids) = with_services(&["web"], 10);
    for id in &ids[..7] {
        table.deregister(&super::id(id), at(8_000)).unwrap();
    }
    let ended = run(&mut table, 8_000, 12_000);
    assert_eq!(ended.len(), 3, "too few are left for the guard: {ended:?}");

    let (mut table, ids) = with_services(&["web"], 10);
    assert!(run(&mut table, 1_000, 12_000).is_empty());
    let entry = table.registered(&super::id(&ids[0])).unwrap().entry.clone();
    table.set_health(&entry, Health::Failing, "refused".into());
    assert_eq!(listed(&table, "web", 12_000), 9);
    table.deregister(&super::id(&ids[1]), at(12_000)).unwrap();
    assert_eq!(listed(&table, "web", 12_000), 8);
}

#[test]
fn many_small_services_are_guarded_together() {
    let names: Vec<String> = (0..60).map(|n| format!("s{n}")).collect();
    let services: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut table, _) = with_services(&services, 1);
    assert!(run(&mut table, 1_000, 12_000).is_empty());
    assert_eq!((table.held(), table.guard_events().len()), (60, 60));

    // Half of them is no reason.
    let (mut table, ids) = with_services(&services, 2);
    let mut ended = 0;
    for now in (1_000..12_000).step_by(250) {
        for id in ids.iter().step_by(2) {
            heartbeat(&table, id, now);
        }
        ended += expired(&mut table, now).len();
    }
    assert_eq!((ended, table.held()), (60, 0));
}

/// A policy says of its service alone when leases are held, and for how long.
#[test]
fn a_policy_goes_before_the_settings() {
    let (mut table, _) = with_services(&["web", "api", "db"], 10);
    let set = |table: &mut Table, service: &str, guard: GuardPolicy| {
        let policy = Policy {
            guard,
            ..Policy::default()
        };
        let (service, any) = (service.parse().unwrap(), Condition::default());
        let setting = Setting::Policy(Some(policy));
        table
            .change_setting(&service, setting, &any, 1, at(1_000))
            .unwrap();
    };
    let hold = |hold: u64| GuardPolicy {
        hold: Some(Duration::from_millis(hold)),
        ..GuardPolicy::default()
    };
    set(&mut table, "web", hold(0));
    set(&mut table, "api", hold(2_000));
    let ended = run(&mut table, 1_000, 60_000);
    let last = |service: &str| {
        let of = ended.iter().filter(|(_, id)| id.starts_with(service));
        of.map(|(when, _)| *when).max().unwrap()
    };
    assert!(last("web") <= 10_000 + LATE + 250, "{ended:?}");
    assert!(
        (11_000..12_000 + LATE + 250).contains(&last("api")),
        "{ended:?}"
    );
    assert!(39_000 < last("db"), "{ended:?}");
}

#[test]
fn without_a_hold_nothing_is_held() {
    let (mut table, ids) = with_services(&["web"], 10);
    table.config.guard.hold = Duration::ZERO;
    let ended = run(&mut table, 1_000, 12_000);
    assert_eq!(ended.len(), ids.len());
    assert!(table.guard_events().is_empty());
}
