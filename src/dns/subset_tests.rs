//! Subsets: stable, spread over clients, and together everybody.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::registry::check::Health;
use crate::registry::instance::Instance;
use crate::registry::lease::Lease;
use crate::registry::view::Entry;
use crate::time::Moment;

/// A member with so many addresses, the first of them from 10.0.0.0 on.
fn member(id: &str, priority: u16, weight: u16, addresses: &[u32]) -> Member {
    let body = serde_json::json!({
        "id": id, "name": "web", "host": "10.0.0.1", "port": 80, "priority": priority, "weight": weight,
    });
    let registration: crate::api::Registration = serde_json::from_value(body).unwrap();
    let address = |n: &u32| IpAddr::V4(Ipv4Addr::from_bits(10 << 24 | n));
    Member {
        entry: Arc::new(Entry::new(
            Instance::try_from(registration).unwrap(),
            Lease::grant(None, Moment::default()),
            1,
            Moment::default(),
        )),
        addresses: addresses.iter().map(address).collect(),
        health: Health::Passing,
        output: None,
        report: None,
        draining: false,
        left: false,
        drained_at: None,
    }
}

fn members(count: u32) -> Vec<Member> {
    let one = |n: u32| member(&format!("web-{n}"), 10, 256, &[n]);
    (0..count).map(one).collect()
}

/// What a client has.
fn limit(most: usize, client: u32) -> Limit {
    let address = IpAddr::V4(Ipv4Addr::from_bits(192 << 24 | client));
    Limit {
        most,
        class: ClientClass::of(address),
    }
}

/// The ids that a limit leaves.
fn chosen<'m>(limit: Limit, members: impl Iterator<Item = &'m Member>) -> BTreeSet<&'m str> {
    let mut members: Vec<_> = members.map(|member| (member, Duration::MAX)).collect();
    let all = members.len();
    assert_eq!(limit.cut(&mut members), all > limit.most);
    assert_eq!(members.len(), all.min(limit.most));
    let ids = members
        .iter()
        .map(|(member, _)| member.instance().id.as_str());
    ids.collect()
}

proptest! {
    /// Promise 4: one that comes or goes changes a subset only where it is in it.
    #[test]
    fn promise_4_a_subset_is_stable(
        count in 1u32..60, most in 1usize..20, client: u32, gone in any::<prop::sample::Index>(), turn in 0usize..60,
    ) {
        let mut members = members(count);
        let limit = limit(most, client);
        let ids = |members: &[Member]| -> BTreeSet<String> {
            chosen(limit, members.iter()).into_iter().map(str::to_owned).collect()
        };
        let before = ids(&members);
        // The order of members doesn't matter.
        members.rotate_left(turn % count as usize);
        prop_assert_eq!(&ids(&members), &before);
        let gone = members.remove(gone.index(count as usize));
        let gone = gone.instance().id.as_str();
        let after = ids(&members);
        let stayed: BTreeSet<String> = before.iter().filter(|id| *id != gone).cloned().collect();
        prop_assert!(stayed.is_subset(&after));
        if !before.contains(gone) {
            prop_assert_eq!(after, before);
        }
    }

    /// Addresses are those of the same instances, each of which has one here.
    #[test]
    fn addresses_are_of_the_same_instances(count in 1u32..40, most in 1usize..20, client: u32) {
        let members = members(count);
        let limit = limit(most, client);
        let ids = chosen(limit, members.iter());
        let expected: BTreeSet<IpAddr> = members
            .iter()
            .filter(|member| ids.contains(member.instance().id.as_str()))
            .map(|member| member.addresses[0])
            .collect();
        let subset = limit.addresses(members.iter(), |_| true);
        prop_assert_eq!(subset.is_none(), members.len() <= most);
        if let Some(subset) = subset {
            prop_assert_eq!(subset.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}

#[test]
fn together_they_are_everybody_and_evenly() {
    const CLIENTS: u32 = 8_192;
    for (count, most) in [(10u32, 1usize), (60, 5), (300, 1), (300, 100)] {
        let members = members(count);
        let mut times = vec![0u32; count as usize];
        for client in 0..CLIENTS {
            let subset = chosen(limit(most, client), members.iter());
            for (member, times) in members.iter().zip(&mut times) {
                *times += u32::from(subset.contains(member.instance().id.as_str()));
            }
        }
        let mean = f64::from(CLIENTS) * most as f64 / f64::from(count);
        let deviation = (mean * (1.0 - most as f64 / f64::from(count))).sqrt();
        for times in times {
            assert!(times > 0);
            let off = (f64::from(times) - mean).abs();
            assert!(off < 5.0 * deviation, "{count} {most}: {times} of {mean}");
        }
    }
}

#[test]
fn the_lowest_priority_value_comes_first_and_weight_0_last() {
    let mut members: Vec<Member> = Vec::new();
    for n in 0..9 {
        let (priority, weight) = [(10, 256), (10, 0), (20, 256)][n % 3];
        members.push(member(
            &format!("{priority}-{weight}-{n}"),
            priority,
            weight,
            &[],
        ));
    }
    for client in 0..100 {
        let all = |most| chosen(limit(most, client), members.iter());
        assert!(all(3).iter().all(|id| id.starts_with("10-256")));
        assert!(all(6).iter().all(|id| id.starts_with("10-")));
        assert_eq!(all(8).iter().filter(|id| id.starts_with("10-")).count(), 6);
    }
}

#[test]
fn each_address_of_an_instance_is_in_somebodys_subset() {
    let members = [member("a", 10, 1, &[1, 2, 3, 4]), member("b", 10, 1, &[4])];
    let mut seen = BTreeSet::new();
    for client in 0..100 {
        let subset = limit(1, client)
            .addresses(members.iter(), |_| true)
            .unwrap();
        assert_eq!(subset.len(), 1);
        seen.extend(subset);
        // An address that two have is one record.
        assert_eq!(limit(4, client).addresses(members.iter(), |_| true), None);
        let odd = |ip: &IpAddr| ip.to_string().ends_with(['1', '3']);
        assert_eq!(limit(2, client).addresses(members.iter(), odd), None);
    }
    assert_eq!(seen.len(), 4);
}
