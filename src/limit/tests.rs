//! Tests of the rate limits, against an account that is kept exactly.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

/// A limiter whose hash is the same in every run.
fn limiter(config: LimitConfig) -> Limiter {
    Limiter::with_hasher(config, SeedableRandomState::fixed())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// How many of `count` responses at once are sent, sent truncated, not sent.
fn taken(limiter: &Limiter, address: &str, count: usize, nanos: u64) -> [usize; 3] {
    let mut sums = [0; 3];
    for _ in 0..count {
        sums[limiter.take(ip(address), Moment::from_nanos(nanos)) as usize] += 1;
    }
    sums
}

#[test]
fn above_the_rate_all_are_truncated_by_default() {
    assert_eq!(LimitConfig::default(), LimitConfig::with_rate(1000));
    let limiter = limiter(LimitConfig::default());
    assert_eq!(taken(&limiter, "192.0.2.1", 1500, 0), [1000, 500, 0]);
    assert_eq!(
        taken(&limiter, "192.0.2.1", 1500, SECOND / 2),
        [500, 1000, 0]
    );
    assert_eq!(
        taken(&limiter, "192.0.2.1", 1500, 60 * SECOND),
        [1000, 500, 0]
    );
}

#[test]
fn rate_0_limits_nothing() {
    let limiter = limiter(LimitConfig::with_rate(0));
    assert_eq!(taken(&limiter, "192.0.2.1", 5000, 0), [5000, 0, 0]);
}

#[test]
fn a_network_is_limited_as_one() {
    let config = LimitConfig::with_rate(10);
    for (address, same, other) in [
        ("192.0.2.1", "192.0.2.255", "192.0.3.1"),
        ("192.0.2.1", "::ffff:192.0.2.9", "::ffff:192.0.3.1"),
        ("2001:db8::1", "2001:db8:0:ff::9", "2001:db8:0:100::1"),
    ] {
        let limiter = limiter(config);
        assert_eq!(taken(&limiter, address, 10, 0), [10, 0, 0]);
        assert_eq!(taken(&limiter, same, 10, 0), [0, 10, 0], "{same}");
        assert_eq!(taken(&limiter, other, 10, 0), [10, 0, 0], "{other}");
    }
    let limiter = limiter(LimitConfig {
        v4_prefix: 32,
        v6_prefix: 200,
        ..config
    });
    assert_eq!(taken(&limiter, "192.0.2.1", 11, 0), [10, 1, 0]);
    assert_eq!(taken(&limiter, "192.0.2.2", 11, 0), [10, 1, 0]);
    assert_eq!(taken(&limiter, "2001:db8::1", 11, 0), [10, 1, 0]);
    assert_eq!(taken(&limiter, "2001:db8::2", 11, 0), [10, 1, 0]);
}

#[test]
fn this_machine_is_limited_when_that_is_set() {
    let config = LimitConfig::with_rate(10);
    let (not, too) = (
        limiter(config),
        limiter(LimitConfig {
            loopback: true,
            ..config
        }),
    );
    for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.2"] {
        assert_eq!(taken(&not, address, 50, 0), [50, 0, 0], "{address}");
        let now = SECOND * u64::from(address.as_bytes()[2]);
        assert_eq!(taken(&too, address, 50, now), [10, 40, 0], "{address}");
    }
}

#[test]
fn slips_come_in_turn_for_each_network() {
    for (slip, expected) in [(0, [0, 12]), (1, [12, 0]), (2, [6, 6]), (5, [3, 9])] {
        let limiter = limiter(LimitConfig {
            slip,
            ..LimitConfig::with_rate(10)
        });
        for address in ["192.0.2.1", "2001:db8::1"] {
            assert_eq!(taken(&limiter, address, 10, 0), [10, 0, 0]);
        }
        // In turn between two, each has its own.
        let mut sums = [[0; 3]; 2];
        for _ in 0..12 {
            for (sum, address) in sums.iter_mut().zip(["192.0.2.1", "2001:db8::1"]) {
                sum[limiter.take(ip(address), Moment::default()) as usize] += 1;
            }
        }
        assert_eq!(sums, [[0, expected[0], expected[1]]; 2], "slip {slip}");
    }
}

#[test]
fn threads_together_send_no_more_than_one() {
    let limiter = limiter(LimitConfig::with_rate(5000));
    let sent: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| taken(&limiter, "192.0.2.1", 4000, 0)[0]))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(sent, 5000);
}

#[test]
fn times_that_come_round_are_idle() {
    let limiter = limiter(LimitConfig::with_rate(MAX_RATE));
    assert_eq!(
        taken(&limiter, "192.0.2.1", 1_000_001, 0),
        [1_000_000, 1, 0]
    );
    let table = limiter.table.as_ref().unwrap();
    let round = (TIME_MASK + 1) / RESPONSE / u64::from(MAX_RATE) * SECOND;
    for days in [round / 4, round / 2, round - 10 * SECOND, round * 3 / 2] {
        assert_eq!(taken(&limiter, "192.0.2.1", 3, days), [3, 0, 0]);
    }
    // As the time comes round, nobody's account jumps.
    let edge = (u128::from(TIME_MASK) << 64).div_ceil(u128::from(table.pace)) as u64;
    assert!(table.units_at(Moment::from_nanos(edge + SECOND)) < table.burst * 2);
    assert_eq!(
        taken(&limiter, "192.0.2.1", 1_000_000, edge - 1000)[0],
        1_000_000
    );
    let later = taken(&limiter, "192.0.2.1", 1_000_000, edge + SECOND / 2);
    assert!(
        later[0].abs_diff(500_001) <= 1 && later[2] == 0,
        "{later:?}"
    );
}

#[test]
fn a_flood_of_networks_leaves_the_heaviest_limited() {
    let limiter = limiter(LimitConfig {
        v4_prefix: 32,
        ..LimitConfig::default()
    });
    let sets = |limiter: &Limiter| {
        let table = limiter.table.as_ref().unwrap();
        (table.sets.as_ptr(), size_of_val(&*table.sets))
    };
    let before = sets(&limiter);
    assert_eq!(before.1, 65_536 * 8);
    let heavy = ip("2001:db8::1");
    let mut rng = fastrand::Rng::with_seed(9);
    let mut sent = 0;
    // Three seconds: 10 000 a second of one network, and 330 000 of others.
    for n in 0..30_000_u64 {
        let now = Moment::from_nanos(n * SECOND / 10_000);
        sent += u64::from(limiter.take(heavy, now) == Allowance::Send);
        for _ in 0..33 {
            let other = Ipv4Addr::from_bits(rng.u32(0x1000_0000..0x7f00_0000));
            limiter.take(other.into(), now);
        }
    }
    assert!((4000 - 1..=4000).contains(&sent), "{sent}");
    assert_eq!(sets(&limiter), before);
}

#[test]
fn of_nine_in_a_set_the_lightest_gives_way() {
    let limiter = limiter(LimitConfig::default());
    let table = limiter.table.as_ref().unwrap();
    let set = table.hasher.hash_one(1u128) as usize % SETS;
    let nine: Vec<u128> = (1..)
        .filter(|network| table.hasher.hash_one(*network) as usize % SETS == set)
        .take(9)
        .collect();
    for (n, network) in (0..).zip(&nine[..8]) {
        for _ in 0..10 + n {
            assert_eq!(table.take(*network, 0), Allowance::Send);
        }
    }
    table.take(nine[8], 0);
    let owed = |network: u128| {
        let tag = table.hasher.hash_one(network) >> TAG_SHIFT;
        let cells = table.sets[set].0.iter().map(|cell| cell.load(Relaxed));
        let mut own = cells.filter(|held| held >> TAG_SHIFT == tag);
        own.next().map(|held| table.owed(held, 0) / RESPONSE)
    };
    let owed: Vec<_> = nine.iter().map(|network| owed(*network)).collect();
    let expected = [None, Some(11), Some(12), Some(13), Some(14), Some(15)];
    assert_eq!(owed[..6], expected);
    assert_eq!(owed[6..], [Some(16), Some(17), Some(1)]);
}

/// A rate with its burst, and times in nanoseconds at which responses fall due,
/// at about that rate.
fn load() -> impl Strategy<Value = (LimitConfig, Vec<u64>)> {
    (1..=3000u32, 1..=100u32, 0..(1u64 << 60), 0..4u64).prop_flat_map(
        |(rate, burst, start, haste)| {
            let config = LimitConfig {
                burst: burst.min(rate),
                ..LimitConfig::with_rate(rate)
            };
            let longest = (2 * SECOND / u64::from(rate)) >> haste;
            prop::collection::vec(0..=longest, 1..400).prop_map(move |gaps| {
                let mut time = start;
                let times = gaps.into_iter().map(|gap| {
                    time += gap;
                    time
                });
                (config, times.collect())
            })
        },
    )
}

proptest! {
    #[test]
    fn any_window_keeps_to_rate_and_burst((config, times) in load()) {
        let limiter = limiter(config);
        let sent: Vec<u64> = times.into_iter()
            .filter(|time| limiter.take(ip("192.0.2.1"), Moment::from_nanos(*time)) == Allowance::Send)
            .collect();
        // In billionths of a response; a sixteenth is for the rounding of time.
        let slack = SECOND / 16 + 1;
        for (first, start) in sent.iter().enumerate() {
            for (last, end) in sent.iter().enumerate().skip(first) {
                let most = u64::from(config.rate) * (end - start) + u64::from(config.burst) * SECOND;
                prop_assert!((last - first + 1) as u64 * SECOND <= most + slack);
            }
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_limited(
        (config, gaps) in load(), more in 0..3u64,
    ) {
        let limiter = limiter(config);
        let mut time = gaps[0];
        for gap in gaps {
            prop_assert_eq!(limiter.take(ip("192.0.2.1"), Moment::from_nanos(time)), Allowance::Send);
            time += SECOND.div_ceil(u64::from(config.rate)) + more * (gap % 1000);
        }
    }

    /// Limited exactly when the account is overdrawn, but for the rounding.
    #[test]
    fn accounts_are_kept_exactly((config, times) in load()) {
        let limiter = limiter(config);
        let (mut owed, mut before) = (0, times[0]);
        for time in times {
            owed = u64::saturating_sub(owed, (time - before) * u64::from(config.rate));
            before = time;
            let (after, burst) = (owed + SECOND, u64::from(config.burst) * SECOND);
            match limiter.take(ip("192.0.2.1"), Moment::from_nanos(time)) {
                Allowance::Send => {
                    prop_assert!(after <= burst + SECOND / 8);
                    owed = after;
                }
                _ => prop_assert!(burst < after + SECOND / 8),
            }
        }
    }

    #[test]
    fn networks_dont_disturb_each_other(
        (config, times) in load(), turns in prop::collection::vec(0..6usize, 400),
        networks in prop::collection::hash_set(any::<u64>(), 6),
    ) {
        let networks: Vec<IpAddr> = networks.into_iter()
            .map(|bits| Ipv6Addr::from_bits(u128::from(bits >> 8) << 72).into())
            .collect();
        let together = limiter(config);
        let alone: Vec<Limiter> = networks.iter().map(|_| limiter(config)).collect();
        for (time, turn) in times.into_iter().zip(turns) {
            let now = Moment::from_nanos(time);
            prop_assert_eq!(together.take(networks[turn], now), alone[turn].take(networks[turn], now));
        }
    }
}
