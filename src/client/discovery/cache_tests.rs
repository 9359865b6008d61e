//! The cache against its rules, with a clock of the test's.

use proptest::prelude::*;

use super::*;

const STALE: Duration = Duration::from_secs(60);

const fn secs(secs: u64) -> Moment {
    Moment::from_millis(secs * 1000)
}

fn positive(ttl: u64) -> Life {
    Life {
        ttl: Duration::from_secs(ttl),
        may_be_stale: true,
    }
}

fn negative(ttl: u64) -> Life {
    Life {
        may_be_stale: false,
        ..positive(ttl)
    }
}

fn cache() -> Cache<&'static str, u32> {
    Cache::new(3, STALE)
}

#[test]
fn an_answer_grows_old() {
    let mut cache = cache();
    assert_eq!(cache.get(&"a", secs(0)), Cached::Nothing);
    cache.put("a", 1, positive(10), secs(0), 0.0);
    assert_eq!(cache.get(&"a", secs(7)), Cached::Fresh(1));
    // Due at three quarters, which one alone is told.
    assert_eq!(cache.get(&"a", secs(8)), Cached::Due(1));
    assert_eq!(cache.get(&"a", secs(8)), Cached::Fresh(1));
    let stale = |ask| Cached::Stale { value: 1, ask };
    assert_eq!(cache.get(&"a", secs(10)), stale(true));
    // DNS is away: it's asked again after a while, up to the limit.
    cache.fail(&"a", 0, secs(10), 1.0);
    assert_eq!(cache.get(&"a", secs(10)), stale(false));
    assert_eq!(cache.get(&"a", secs(11)), stale(true));
    cache.fail(&"a", 0, secs(11), 1.0);
    assert_eq!(cache.get(&"a", secs(69)), stale(true));
    assert_eq!(cache.get(&"a", secs(70)), Cached::Nothing);
    assert_eq!(cache.len(), 0);
}

#[test]
fn a_refresh_that_failed_is_tried_again_while_it_is_fresh() {
    let mut cache = cache();
    cache.put("a", 1, positive(100), secs(0), 1.0);
    assert_eq!(cache.get(&"a", secs(89)), Cached::Fresh(1));
    assert_eq!(cache.get(&"a", secs(90)), Cached::Due(1));
    cache.fail(&"a", 0, secs(91), 1.0);
    assert_eq!(cache.get(&"a", secs(91)), Cached::Fresh(1));
    assert_eq!(cache.get(&"a", secs(92)), Cached::Due(1));
}

#[test]
fn rfc2308_5_a_negative_answer_is_never_stale() {
    let mut cache = cache();
    cache.put("a", 1, negative(2), secs(0), 0.0);
    assert_eq!(cache.get(&"a", secs(1)), Cached::Fresh(1));
    assert_eq!(cache.get(&"a", secs(2)), Cached::Nothing);
    // One without a TTL takes the place of what there was.
    cache.put("a", 1, positive(10), secs(2), 0.0);
    cache.put("a", 2, negative(0), secs(3), 0.0);
    assert_eq!(cache.get(&"a", secs(3)), Cached::Nothing);
}

#[test]
fn a_ttl_of_zero_is_asked_for_each_time_and_still_there_when_dns_is_away() {
    let mut cache = cache();
    cache.put("a", 1, positive(0), secs(0), 0.0);
    let stale = |ask| Cached::Stale { value: 1, ask };
    assert_eq!(cache.get(&"a", secs(0)), stale(true));
    assert_eq!(cache.get(&"a", secs(0)), stale(true));
}

#[test]
fn a_failure_is_kept_for_a_moment_when_there_is_nothing_else() {
    let mut cache = cache();
    cache.fail(&"a", 9, secs(0), 0.0);
    assert_eq!(cache.get(&"a", secs(0)), Cached::Fresh(9));
    assert_eq!(cache.get(&"a", secs(1)), Cached::Nothing);
}

#[test]
fn cleared_it_is_empty() {
    let mut cache = cache();
    cache.put("a", 1, positive(10), secs(0), 0.0);
    cache.clear();
    assert_eq!(cache.get(&"a", secs(0)), Cached::Nothing);
}

#[test]
fn what_changed_is_asked_for_again() {
    let mut cache = cache();
    cache.put("a", 1, positive(10), secs(0), 0.0);
    cache.put("b", 2, positive(10), secs(0), 0.0);
    cache.expire(&"a", secs(1));
    assert_eq!(
        cache.get(&"a", secs(1)),
        Cached::Stale {
            value: 1,
            ask: true
        }
    );
    assert_eq!(cache.get(&"b", secs(1)), Cached::Fresh(2));
}

#[test]
fn the_least_recently_used_goes() {
    let mut cache = cache();
    for (at, key) in ["a", "b", "c"].into_iter().enumerate() {
        cache.put(key, 1, positive(10), secs(at as u64), 0.0);
    }
    cache.get(&"a", secs(4));
    cache.put("d", 1, positive(10), secs(5), 0.0);
    assert_eq!(cache.get(&"b", secs(5)), Cached::Nothing);
    for key in ["a", "c", "d"] {
        assert_eq!(cache.get(&key, secs(5)), Cached::Fresh(1), "{key}");
    }
    // Uses at the same time have an order too: "a" was first.
    cache.put("e", 1, negative(1), secs(6), 0.0);
    assert_eq!(cache.get(&"a", secs(6)), Cached::Nothing);
    // Those that are over go first, however late they were used.
    cache.put("f", 1, positive(10), secs(8), 0.0);
    assert_eq!(cache.get(&"e", secs(8)), Cached::Nothing);
    for key in ["c", "d", "f"] {
        assert_eq!(cache.get(&key, secs(8)), Cached::Fresh(1), "{key}");
    }
}

/// One step of a run.
#[derive(Clone, Copy, Debug)]
enum Step {
    Get(u8),
    Put(u8, u16, bool),
    Fail(u8),
    Expire(u8),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0u8..6;
    prop_oneof![
        4 => key.clone().prop_map(Step::Get),
        3 => (key.clone(), 0u16..20, any::<bool>()).prop_map(|(k, t, s)| Step::Put(k, t, s)),
        1 => key.clone().prop_map(Step::Fail),
        1 => key.prop_map(Step::Expire),
        3 => (0u16..9000).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Whatever happens: nothing is fresh for longer than its TTL, nothing is there after
    /// its limit, nothing negative is stale, and there's never more than fits.
    #[test]
    fn no_answer_outlives_its_ttl(steps in prop::collection::vec(step(), 1..200), random in 0.0f64..1.0) {
        let mut cache: Cache<u8, usize> = Cache::new(4, STALE);
        let mut now = secs(0);
        // The moment that each value was put, its TTL, and whether it may be stale.
        let mut lives: Vec<(Moment, u64, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(millis) => now = now.after(Duration::from_millis(millis.into())),
                Step::Put(key, ttl, may_be_stale) => {
                    let life = Life { may_be_stale, ..positive(ttl.into()) };
                    cache.put(key, lives.len(), life, now, random);
                    lives.push((now, u64::from(ttl) * 1000, may_be_stale));
                }
                Step::Fail(key) => {
                    cache.fail(&key, lives.len(), now, random);
                    lives.push((now, 500, false));
                }
                Step::Expire(key) => cache.expire(&key, now),
                Step::Get(key) => {
                    let (value, is_stale) = match cache.get(&key, now) {
                        Cached::Nothing => continue,
                        Cached::Fresh(value) | Cached::Due(value) => (value, false),
                        Cached::Stale { value, .. } => (value, true),
                    };
                    let (put, ttl, may_be_stale) = lives[value];
                    let age = now.left_at(put);
                    prop_assert!(may_be_stale || !is_stale);
                    let limit = if is_stale { STALE } else { Duration::ZERO };
                    prop_assert!(age < Duration::from_millis(ttl) + limit);
                }
            }
            prop_assert!(cache.len() <= 4);
        }
    }
}
