//! Tests of health and its damping, with times passed in.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::registry::check::CheckKind;

fn check(retries: u16, rise: u16) -> Check {
    Check {
        kind: CheckKind::Tcp {
            send: Box::default(),
            expect: Box::default(),
        },
        port: None,
        interval: Duration::from_secs(10),
        doubt_interval: Duration::from_secs(3),
        timeout: Duration::from_secs(1),
        retries,
        rise,
        initially_passing: false,
        registrant: None,
    }
}

fn at(secs: u64) -> Moment {
    Moment::from_millis(secs * 1000)
}

const PASS: Outcome = Outcome::Passed;
const WARN: Outcome = Outcome::Warned;
const FAIL: Outcome = Outcome::Failed;

#[test]
fn changes_after_the_row() {
    let mut health = Hysteresis::new(&check(3, 2), Health::Starting);
    let probes = [
        PASS, PASS, FAIL, FAIL, PASS, FAIL, FAIL, FAIL, PASS, FAIL, PASS, PASS,
    ];
    let seen = probes.map(|outcome| health.observe(outcome, at(0)));
    let (up, down) = (Some(Health::Passing), Some(Health::Failing));
    assert_eq!(
        seen,
        [
            None, up, None, None, None, None, None, down, None, None, None, up
        ]
    );
}

#[test]
fn a_warning_lists_and_takes_no_row_of_its_own() {
    let mut health = Hysteresis::new(&check(2, 2), Health::Starting);
    let seen = [WARN, WARN, PASS, WARN, FAIL, FAIL, WARN, PASS]
        .map(|outcome| health.observe(outcome, at(0)));
    let (warning, up, down) = (
        Some(Health::Warning),
        Some(Health::Passing),
        Some(Health::Failing),
    );
    assert_eq!(seen, [None, warning, up, warning, None, down, None, up]);
}

#[test]
fn what_has_begun_to_fail_says_when_it_could_be_withdrawn() {
    let mut health = Hysteresis::new(&check(3, 2), Health::Passing);
    assert_eq!(
        (health.fails_at(at(0)), health.interval().as_secs()),
        (None, 10)
    );
    health.observe(FAIL, at(0));
    // Two more, 3 s apart, or a twentieth less.
    assert_eq!(health.fails_at(at(0)), Some(Moment::from_millis(5_700)));
    assert_eq!(health.interval().as_secs(), 3);
    health.observe(FAIL, at(3));
    assert_eq!(health.fails_at(at(3)), Some(Moment::from_millis(5_850)));
    health.observe(PASS, at(6));
    assert_eq!(
        (health.fails_at(at(6)), health.interval().as_secs()),
        (None, 10)
    );
    for _ in 0..3 {
        health.observe(FAIL, at(9));
    }
    assert_eq!(
        (health.fails_at(at(9)), health.interval().as_secs()),
        (None, 10)
    );
    health.observe(PASS, at(9));
    assert_eq!(health.interval().as_secs(), 3, "it may come back");
}

/// Lets it fail at `from` for as short as it can, and says when it's back.
fn flap(health: &mut Hysteresis, from: u64) -> u64 {
    while health.health().is_good() {
        health.observe(FAIL, at(from));
    }
    let back = (from..).find(|now| {
        health.observe(PASS, at(*now));
        health.health().is_good()
    });
    back.unwrap()
}

#[test]
fn one_that_flaps_is_held_back_twice_as_long_each_time() {
    let mut health = Hysteresis::new(&check(1, 1), Health::Passing);
    // The first failure is none of flapping.
    let mut now = flap(&mut health, 1000);
    assert_eq!((now, health.flaps()), (1000, 0));
    for (flaps, damping) in [
        (1, 20),
        (2, 40),
        (3, 80),
        (4, 160),
        (5, 320),
        (6, 600),
        (7, 600),
    ] {
        let back = flap(&mut health, now + 10);
        assert_eq!((back - now - 10, health.flaps()), (damping, flaps));
        now = back;
    }
    // Steady for long enough, and all is forgotten.
    let back = flap(&mut health, now + 4 * 600);
    assert_eq!((back, health.flaps()), (now + 4 * 600, 0));
}

#[test]
fn what_is_held_back_says_until_when() {
    let mut health = Hysteresis::new(&check(1, 2), Health::Passing);
    health.observe(FAIL, at(0));
    health.observe(PASS, at(1));
    health.observe(PASS, at(2));
    assert_eq!(health.health(), Health::Passing);
    health.observe(FAIL, at(3));
    assert_eq!(health.damped_until(), None, "it fails");
    health.observe(PASS, at(4));
    assert_eq!(health.damped_until(), None, "it isn't back yet");
    health.observe(PASS, at(5));
    assert_eq!(health.damped_until(), Some(at(33)));
    assert_eq!(health.interval().as_secs(), 10);
    assert_eq!(health.observe(PASS, at(33)), Some(Health::Passing));
    assert_eq!(health.damped_until(), None);
}

proptest! {
    /// After every change, the last probes were as many alike as it takes.
    #[test]
    fn never_changes_on_less_than_its_row(
        retries in 1u16..5, rise in 1u16..5,
        probes in prop::collection::vec(any::<bool>(), 0..200),
    ) {
        let mut health = Hysteresis::new(&check(retries, rise), Health::Starting);
        for end in 1..=probes.len() {
            let passed = probes[end - 1];
            let needed = usize::from(if passed { rise } else { retries });
            let alike = probes[..end].iter().rev().take_while(|p| **p == passed).count();
            let before = health.health();
            // So far apart that nothing flaps.
            let outcome = if passed { PASS } else { FAIL };
            let changed = health.observe(outcome, at(10_000 * end as u64));
            let verdict = if passed { Health::Passing } else { Health::Failing };
            prop_assert_eq!(changed.is_some(), alike >= needed && before != verdict);
        }
    }

    /// However it flaps, DNS changes seldom; and it's withdrawn in time nevertheless.
    #[test]
    fn changes_are_as_seldom_as_damping_has_it(
        retries in 1u16..4, rise in 1u16..4,
        probes in prop::collection::vec(any::<bool>(), 2000),
    ) {
        let mut health = Hysteresis::new(&check(retries, rise), Health::Passing);
        let mut listed_again = Vec::new();
        let mut fails = 0;
        for (index, passed) in probes.into_iter().enumerate() {
            let outcome = if passed { PASS } else { FAIL };
            let changed = health.observe(outcome, at(index as u64));
            if changed == Some(Health::Passing) {
                listed_again.push(index as u64);
            }
            fails = if passed { 0 } else { fails + 1 };
            prop_assert!(fails < retries || health.health() == Health::Failing);
        }
        // Of ten times that it's back, eight have been held back, each for longer
        // than the one before or for as long as it gets.
        for window in listed_again.windows(10) {
            prop_assert!(window[9] - window[0] >= 8 * 10);
        }
        prop_assert!(listed_again.len() < 20, "{listed_again:?}");
    }

    /// No withdrawal comes earlier than what was said.
    #[test]
    fn never_withdrawn_before_it_was_said(
        retries in 1u16..6,
        probes in prop::collection::vec((any::<bool>(), 0.95f64..1.05), 1..200),
    ) {
        let mut health = Hysteresis::new(&check(retries, 1), Health::Passing);
        let (mut now, mut earliest) = (at(0), None);
        for (passed, jitter) in probes {
            now = now.after(health.interval().mul_f64(jitter));
            let changed = health.observe(if passed { PASS } else { FAIL }, now);
            if let (Some(Health::Failing), Some(earliest)) = (changed, earliest) {
                prop_assert!(earliest <= now);
            }
            earliest = health.fails_at(now);
        }
    }
}
