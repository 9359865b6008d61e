//! Distributions against the weights, and what holds for every balancer.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::client::Outcome;

/// Endpoints of one priority with these weights.
fn endpoints(weights: &[u16]) -> Vec<Endpoint> {
    (1..)
        .zip(weights)
        .map(|(port, weight)| Endpoint::test(port, 10, *weight, false))
        .collect()
}

/// How often each is picked of `count` times.
fn picks(balancer: &dyn Balancer, endpoints: &[Endpoint], count: u32) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut picks = vec![0.0; endpoints.len()];
    let candidates: Vec<&Endpoint> = endpoints.iter().collect();
    for number in 0..count {
        let mut draw = |below: u64| random.u64(0..below.max(1));
        let key = number.to_le_bytes();
        let mut request = Request {
            key: Some(&key),
            random: &mut draw,
        };
        picks[balancer.pick(&candidates, &mut request)] += 1.0;
    }
    picks
}

/// Asserts that picks are as often as they're expected to be, within five standard
/// deviations.
#[track_caller]
fn assert_shares(picks: &[f64], shares: &[f64]) {
    let count: f64 = picks.iter().sum();
    for (picked, share) in picks.iter().zip(shares) {
        let deviation = (count * share * (1.0 - share)).sqrt();
        let off = (picked - count * share).abs();
        assert!(off <= 5.0 * deviation + 1e-9, "{picks:?} of {shares:?}");
    }
}

#[test]
fn round_robin_takes_turns() {
    let picked = picks(&RoundRobin::default(), &endpoints(&[1, 100, 0]), 300);
    assert_eq!(picked, [100.0, 100.0, 100.0]);
}

#[test]
fn rfc2782_weights_are_shares() {
    let picked = picks(&Weighted, &endpoints(&[100, 200, 700]), 100_000);
    assert_shares(&picked, &[0.1, 0.2, 0.7]);
    let picked = picks(&Weighted, &endpoints(&[1, 1]), 10_000);
    assert_shares(&picked, &[0.5, 0.5]);
    let picked = picks(&Weighted, &endpoints(&[0, 99, 0]), 100_000);
    assert_shares(&picked, &[0.005, 0.99, 0.005]);
    let picked = picks(&Weighted, &endpoints(&[0, 0, 0, 0]), 100_000);
    assert_shares(&picked, &[0.25; 4]);
    assert_eq!(picks(&Weighted, &endpoints(&[65_535]), 10), [10.0]);
}

#[test]
fn keys_are_spread_by_weight() {
    let picked = picks(&ConsistentHash, &endpoints(&[100, 200, 700]), 100_000);
    assert_shares(&picked, &[0.1, 0.2, 0.7]);
    let picked = picks(&ConsistentHash, &endpoints(&[0, 0, 100]), 1_000);
    assert_eq!(picked, [0.0, 0.0, 1_000.0]);
    let picked = picks(&ConsistentHash, &endpoints(&[0, 0]), 10_000);
    assert_shares(&picked, &[0.5, 0.5]);
}

#[test]
fn only_the_keys_of_one_that_goes_move() {
    let all = endpoints(&[256; 10]);
    let of = |endpoints: &[Endpoint], key: u32| {
        let candidates: Vec<&Endpoint> = endpoints.iter().collect();
        let key = key.to_le_bytes();
        let mut request = Request {
            key: Some(&key),
            random: &mut |_| 0,
        };
        endpoints[ConsistentHash.pick(&candidates, &mut request)].address()
    };
    let gone = all[3].address();
    let mut rest = all.clone();
    rest.remove(3);
    rest.reverse();
    let mut moved = 0;
    for key in 0..10_000 {
        let (before, after) = (of(&all, key), of(&rest, key));
        assert!(before == gone || before == after);
        moved += u32::from(before != after);
    }
    assert!((800..1_200).contains(&moved), "{moved}");
}

/// The load of ten endpoints stays close with two choices: the most loaded has little
/// more than the mean, where one random choice would leave it far behind.
#[test]
fn the_least_loaded_of_two_keeps_loads_even() {
    let all = endpoints(&[256; 10]);
    let candidates: Vec<&Endpoint> = all.iter().collect();
    let mut random = fastrand::Rng::with_seed(7);
    let mut held = Vec::new();
    for _ in 0..10_000 {
        let mut draw = |below: u64| random.u64(0..below.max(1));
        let mut request = Request {
            key: None,
            random: &mut draw,
        };
        let picked = LeastLoaded.pick(&candidates, &mut request);
        held.push(all[picked].clone().picked());
    }
    for endpoint in &all {
        let load = endpoint.in_flight();
        assert!((990..=1_010).contains(&load), "{load}");
    }
    drop(held);
    assert!(all.iter().all(|endpoint| endpoint.in_flight() == 0));
    // Three times the weight carries three times the load.
    let all = endpoints(&[256, 768]);
    let candidates: Vec<&Endpoint> = all.iter().collect();
    let mut held = Vec::new();
    for _ in 0..400 {
        let mut draw = |below: u64| random.u64(0..below.max(1));
        let mut request = Request {
            key: None,
            random: &mut draw,
        };
        let picked = LeastLoaded.pick(&candidates, &mut request);
        held.push(all[picked].clone().picked());
    }
    assert_eq!((all[0].in_flight(), all[1].in_flight()), (100, 300));
}

#[test]
fn near_ones_go_first() {
    let all: Vec<Endpoint> = [(1, false), (2, true), (3, true), (4, false)]
        .map(|(port, is_local)| Endpoint::test(port, 10, 256, is_local))
        .into();
    let picked = picks(&LocalityFirst(RoundRobin::default()), &all, 100);
    assert_eq!(picked, [0.0, 50.0, 50.0, 0.0]);
    let picked = picks(&LocalityFirst(RoundRobin::default()), &all[..1], 100);
    assert_eq!(picked, [100.0]);
}

/// A balancer by its number.
fn balancer(number: usize) -> Box<dyn Balancer> {
    match number {
        0 => Box::new(RoundRobin::default()),
        1 => Box::new(Weighted),
        2 => Box::new(LeastLoaded),
        3 => Box::new(ConsistentHash),
        _ => Box::new(LocalityFirst(Weighted)),
    }
}

proptest! {
    /// Whatever failed before: there's one to try as long as one is untried, it isn't
    /// ejected while another isn't, and it has the lowest priority of those.
    #[test]
    fn the_last_one_is_never_ejected(
        of in prop::collection::vec((0u16..3, 0u16..400, any::<bool>(), 0u32..3), 1..12),
        tried in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        number in 0usize..5,
        seed: u64,
    ) {
        let now = Moment::from_millis(10_000_000);
        let mut all = Vec::new();
        for (port, (priority, weight, is_local, failures)) in (1..).zip(of) {
            let endpoint = Endpoint::test(port, priority, weight, is_local);
            for _ in 0..failures {
                endpoint.report_at(Outcome::Failed, now, 0.5);
            }
            all.push(endpoint);
        }
        let tried: Vec<SocketAddr> = tried.iter().map(|it| it.get(&all).address()).collect();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut draw = |below: u64| random.u64(0..below.max(1));
        let mut request = Request { key: Some(b"key"), random: &mut draw };
        let chosen = choose(&all, &tried, &*balancer(number), &mut request, now);
        let untried: Vec<&Endpoint> =
            all.iter().filter(|it| !tried.contains(&it.address())).collect();
        prop_assert_eq!(chosen.is_none(), untried.is_empty());
        if let Some(chosen) = chosen {
            let chosen = &all[chosen];
            prop_assert!(!tried.contains(&chosen.address()));
            let well: Vec<_> = untried.iter().filter(|it| it.ejected_until() <= now).collect();
            if let Some(lowest) = well.iter().map(|it| it.priority()).min() {
                prop_assert!(chosen.ejected_until() <= now);
                prop_assert_eq!(chosen.priority(), lowest);
            }
        }
    }

    /// Every index is one of the endpoints', whatever is drawn.
    #[test]
    fn picks_are_in_range(
        weights in prop::collection::vec(any::<u16>(), 1..20), number in 0usize..5, seed: u64,
    ) {
        let all = endpoints(&weights);
        let candidates: Vec<&Endpoint> = all.iter().collect();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut draw = |below: u64| random.u64(0..below.max(1));
        let mut request = Request { key: None, random: &mut draw };
        prop_assert!(balancer(number).pick(&candidates, &mut request) < all.len());
    }
}

#[test]
fn failover_goes_on_to_the_next_priority() {
    let now = Moment::from_millis(10_000_000);
    let all = [
        Endpoint::test(1, 10, 1, false),
        Endpoint::test(2, 20, 1, false),
    ];
    let mut chosen: HashMap<u16, u32> = HashMap::new();
    let mut pick = |now| {
        let mut request = Request {
            key: None,
            random: &mut |_| 0,
        };
        let index = choose(&all, &[], &Weighted, &mut request, now).unwrap();
        *chosen.entry(all[index].priority()).or_default() += 1;
        all[index].priority()
    };
    assert_eq!(pick(now), 10);
    all[0].report_at(Outcome::Failed, now, 1.0);
    assert_eq!(pick(now), 20);
    // Both failed: the one that is let back in first.
    all[1].report_at(Outcome::Failed, now, 0.0);
    assert_eq!(pick(now), 20);
    // The ejection is over.
    assert_eq!(pick(now.after(std::time::Duration::from_secs(1))), 10);
}
