//! What follows from look-ups: cases with passed-in times, and bounds that hold for all.

use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn at(secs: u64) -> Moment {
    Moment::from_millis(secs * 1000)
}

fn found(texts: &[&str], ttl: u64) -> Asked {
    Asked::Found(ips(texts), secs(ttl))
}

fn nothing() -> Asked {
    Asked::Nothing("NXDOMAIN".to_owned())
}

fn failed() -> Asked {
    Asked::Failed("timed out".to_owned())
}

/// What is known after addresses were found at 10 s, good for 5 s.
fn known(texts: &[&str]) -> Resolved {
    Resolved {
        addresses: ips(texts).into(),
        looked_up: Some(at(10)),
        good_until: Some(at(15)),
        ..Resolved::default()
    }
}

#[track_caller]
fn check(former: &Resolved, asked: [Asked; 2], addresses: &[&str], again: u64, error: &str) {
    let conclusion = conclude(former, 0, Finding::Asked(asked), Vec::new(), at(20));
    let Resolved {
        addresses: kept,
        failure,
        ..
    } = &conclusion.resolved;
    assert_eq!(kept[..], ips(addresses)[..]);
    assert_eq!(conclusion.again, secs(again));
    let told = failure.as_ref().map_or("", |failure| &*failure.error);
    assert_eq!(told, error);
}

#[test]
fn both_families_are_sorted_once_each_and_bounded() {
    let fresh = Resolved::default();
    check(
        &fresh,
        [
            found(&["10.0.0.2", "10.0.0.1", "10.0.0.2"], 30),
            found(&["2001:db8::1"], 7),
        ],
        &["10.0.0.1", "10.0.0.2", "2001:db8::1"],
        7,
        "",
    );
    let many: Vec<String> = (1..=20).map(|n| format!("10.0.0.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check(
        &fresh,
        [found(&many, 9), nothing()],
        &many[..MAX_ADDRESSES],
        9,
        "",
    );
}

#[test]
fn what_cannot_be_dialled_is_left_out() {
    let fresh = Resolved::default();
    let asked = [
        found(&["0.0.0.0", "10.0.0.1", "224.0.0.1"], 9),
        found(&["::"], 9),
    ];
    check(&fresh, asked, &["10.0.0.1"], 9, "");
    let none = "the name has no address that can be connected to";
    check(&fresh, [found(&["0.0.0.0"], 9), nothing()], &[], 9, none);
}

#[test]
fn the_ttl_is_honoured_between_a_second_and_an_hour() {
    let fresh = Resolved::default();
    for (ttl, again) in [(0, 1), (1, 1), (60, 60), (86_400, 3600)] {
        check(
            &fresh,
            [found(&["10.0.0.1"], ttl), nothing()],
            &["10.0.0.1"],
            again,
            "",
        );
    }
    let conclusion = conclude(
        &fresh,
        3,
        Finding::Asked([found(&["10.0.0.1"], 60), nothing()]),
        Vec::new(),
        at(20),
    );
    assert_eq!(conclusion.in_vain, 0);
    assert_eq!(conclusion.resolved.looked_up, Some(at(20)));
    assert_eq!(conclusion.resolved.good_until, Some(at(80)));
}

#[test]
fn failures_keep_the_last_addresses() {
    let former = known(&["10.0.0.1", "2001:db8::1"]);
    check(
        &former,
        [failed(), failed()],
        &["10.0.0.1", "2001:db8::1"],
        2,
        "A: timed out",
    );
    let conclusion = conclude(
        &former,
        0,
        Finding::Failed("x".to_owned()),
        Vec::new(),
        at(20),
    );
    assert_eq!(conclusion.resolved.looked_up, former.looked_up);
    assert_eq!(conclusion.resolved.good_until, former.good_until);
    // Of the family that nobody could tell of, beside those of the other.
    check(
        &former,
        [found(&["10.0.0.2"], 9), failed()],
        &["10.0.0.2", "2001:db8::1"],
        9,
        "AAAA: timed out",
    );
    check(
        &former,
        [failed(), nothing()],
        &["10.0.0.1"],
        2,
        "A: timed out",
    );
}

#[test]
fn answers_without_addresses_take_them_away() {
    let former = known(&["10.0.0.1"]);
    check(&former, [nothing(), nothing()], &[], 2, "NXDOMAIN");
    let gone = Finding::OwnNothing("nobody".to_owned(), secs(3));
    let conclusion = conclude(&former, 0, gone, Vec::new(), at(20));
    assert!(conclusion.resolved.addresses.is_empty());
    assert_eq!(conclusion.again, secs(3), "our own zones say when");
    let looped = Finding::Refused("leads back".to_owned());
    let conclusion = conclude(&former, 0, looped, Vec::new(), at(20));
    assert!(conclusion.resolved.addresses.is_empty());
    assert_eq!(conclusion.resolved.good_until, None);
}

#[test]
fn look_ups_in_vain_become_rarer() {
    let mut in_vain = 0;
    let mut delays = Vec::new();
    for _ in 0..7 {
        let failed = Finding::Failed("timed out".to_owned());
        let conclusion = conclude(&Resolved::default(), in_vain, failed, Vec::new(), at(1));
        in_vain = conclusion.in_vain;
        delays.push(conclusion.again.as_secs());
    }
    assert_eq!(delays, [2, 4, 8, 16, 30, 30, 30]);
}

proptest! {
    /// Whatever is found, what is known is sorted, bounded and dialable, and the next
    /// look-up comes between a second and an hour later.
    #[test]
    fn conclusions_have_bounds(
        v4 in proptest::collection::vec(any::<[u8; 4]>(), 0..20),
        v6 in proptest::collection::vec(any::<[u8; 16]>(), 0..20),
        ttl in any::<u32>(),
        in_vain in any::<u32>(),
        fails in any::<[bool; 2]>(),
    ) {
        let v4: Vec<IpAddr> = v4.into_iter().map(IpAddr::from).collect();
        let v6: Vec<IpAddr> = v6.into_iter().map(IpAddr::from).collect();
        let ttl = secs(ttl.into());
        let asked = [(v4, fails[0]), (v6, fails[1])].map(|(addresses, fails)| match fails {
            true => failed(),
            false => Asked::Found(addresses, ttl),
        });
        let Conclusion { resolved, again, .. } =
            conclude(&known(&["10.0.0.1"]), in_vain, Finding::Asked(asked), Vec::new(), at(20));
        prop_assert!(resolved.addresses.len() <= MAX_ADDRESSES);
        prop_assert!(resolved.addresses.is_sorted_by(|a, b| a < b));
        prop_assert!(resolved.addresses.iter().all(|address| is_dialable(*address)));
        prop_assert!(AGAIN.0 <= again && again <= AGAIN.1);
    }
}
