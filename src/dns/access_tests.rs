//! Tests of the access rules, against a list that is read from end to end.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::network::width;

fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[track_caller]
fn check(allow: &[&str], deny: &[&str], permitted: &[&str], refused: &[&str]) {
    let access = Access::new(networks(allow), networks(deny)).unwrap();
    for (addresses, verdict) in [(permitted, true), (refused, false)] {
        for address in addresses {
            assert_eq!(
                access.permits(address.parse().unwrap()),
                verdict,
                "{address}"
            );
        }
    }
}

#[test]
fn without_rules_all_are_permitted() {
    check(&[], &[], &["0.0.0.0", "255.255.255.255", "::", "::1"], &[]);
    assert!(Access::default().permits(Ipv4Addr::LOCALHOST.into()));
}

#[test]
fn something_to_allow_refuses_the_rest() {
    check(
        &["10.0.0.0/8", "fd00::/8"],
        &[],
        &["10.0.0.0", "10.255.255.255", "fd12::1", "::ffff:10.0.0.1"],
        &["9.255.255.255", "11.0.0.0", "127.0.0.1", "fe00::", "::1"],
    );
    check(
        &[],
        &["192.0.2.7", "::/0"],
        &["192.0.2.6", "192.0.2.8", "::ffff:192.0.2.8"],
        &["192.0.2.7", "::ffff:192.0.2.7", "::", "2001:db8::1"],
    );
}

#[test]
fn the_most_specific_network_decides() {
    check(
        &["10.0.0.0/8", "10.1.2.0/24"],
        &["0.0.0.0/0", "10.1.0.0/16", "10.1.2.3"],
        &["10.0.0.1", "10.1.2.2", "10.1.2.4", "10.2.0.0"],
        &["10.1.0.0", "10.1.1.255", "10.1.2.3", "10.1.255.255", "::1"],
    );
    // The same one in both is denied.
    check(
        &["10.0.0.0/8", "fd00::/8"],
        &["10.0.0.0/8"],
        &["fd00::1"],
        &["10.0.0.1"],
    );
}

#[test]
fn networks_read_as_written() {
    for (text, address, length) in [
        ("10.0.0.0/8", "10.0.0.0", 8),
        ("0.0.0.0/0", "0.0.0.0", 0),
        ("192.0.2.7", "192.0.2.7", 32),
        ("fd00::/8", "fd00::", 8),
        ("::/0", "::", 0),
        ("2001:db8::7", "2001:db8::7", 128),
    ] {
        let network: Network = text.parse().unwrap();
        assert_eq!(Network::new(address.parse().unwrap(), length), Ok(network));
        assert_eq!(network.to_string(), text);
    }
    for (text, shown) in [
        ("192.0.2.7/32", "192.0.2.7"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
        ("2001:DB8::/32", "2001:db8::/32"),
    ] {
        assert_eq!(text.parse::<Network>().unwrap().to_string(), shown);
    }
}

#[test]
fn errors_say_what_is_allowed() {
    for (text, part) in [
        ("", "write an address, such as 192.0.2.7"),
        ("/8", "is no network"),
        ("10/8", "is no network"),
        ("localhost", "is no network"),
        ("fe80::1%1", "is no network"),
        ("10.0.0.0/", "allowed is 0 to 32"),
        ("10.0.0.0/33", "allowed is 0 to 32"),
        ("10.0.0.0/+8", "allowed is 0 to 32"),
        ("10.0.0.0/08", "allowed is 0 to 32"),
        ("10.0.0.0/8/8", "allowed is 0 to 32"),
        ("fd00::/129", "allowed is 0 to 128"),
        ("10.1.2.3/8", "write 10.0.0.0/8 for that network"),
        ("10.1.2.3/0", "or 10.1.2.3 for that address"),
        ("fd00::1/8", "write fd00::/8"),
        ("::ffff:10.1.0.0/104", "write 10.0.0.0/8"),
    ] {
        let error = text.parse::<Network>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn networks_are_texts_to_serde() {
    let network: Network = serde_json::from_str("\"10.0.0.0/8\"").unwrap();
    assert_eq!(serde_json::to_string(&network).unwrap(), "\"10.0.0.0/8\"");
    let error = serde_json::from_str::<Network>("\"10.0.0.1/8\"").unwrap_err();
    assert!(
        error.to_string().contains("\"10.0.0.1/8\" has bits"),
        "{error}"
    );
}

#[test]
fn as_many_as_are_allowed_and_no_more() {
    let some = |count: u32| -> Vec<Network> {
        (0..count)
            .map(|n| Network::new(Ipv4Addr::from_bits(2 * n).into(), 32).unwrap())
            .collect()
    };
    let access = Access::new(some(6_000), some(4_000)).unwrap();
    assert!(!access.permits(Ipv4Addr::from_bits(2 * 3_999).into()));
    assert!(access.permits(Ipv4Addr::from_bits(2 * 4_000).into()));
    assert!(!access.permits(Ipv4Addr::from_bits(2 * 4_000 + 1).into()));
    assert_eq!(
        Access::new(some(6_000), some(4_001)).unwrap_err(),
        TooManyNetworks(10_001)
    );
}

/// Addresses that often share beginnings, and ends, of both families.
fn address() -> impl Strategy<Value = IpAddr> {
    let ends = prop::sample::select(vec![0, 1, 2, u32::MAX - 1, u32::MAX]);
    let v4 = prop_oneof![ends, any::<u32>().prop_map(|bits| bits & 0xe000_0007)];
    (v4, any::<bool>()).prop_map(|(bits, v4)| match v4 {
        true => Ipv4Addr::from_bits(bits).into(),
        false => Ipv6Addr::from_bits((u128::from(bits) << 96) | u128::from(bits & 7)).into(),
    })
}

fn network() -> impl Strategy<Value = Network> {
    (address(), 0u8..=128)
        .prop_map(|(address, length)| Network::around(address, length.min(width(address))))
}

impl Network {
    /// Whether it holds `address`, bit by bit.
    fn holds(self, address: IpAddr) -> bool {
        self.is_ipv4() == address.is_ipv4() && Self::around(address, self.length()) == self
    }
}

/// The rule, word by word.
fn permits(allow: &[Network], deny: &[Network], address: IpAddr) -> bool {
    let longest = |networks: &[Network]| {
        let holding = networks.iter().filter(|network| network.holds(address));
        holding.map(|network| network.length()).max()
    };
    match (longest(allow), longest(deny)) {
        (None, None) => allow.is_empty(),
        (allowed, denied) => denied < allowed,
    }
}

proptest! {
    #[test]
    fn decides_as_the_rule_has_it(
        allow in prop::collection::vec(network(), 0..12),
        deny in prop::collection::vec(network(), 0..12),
        mut probes in prop::collection::vec(address(), 1..20),
    ) {
        // Mistakes would be at the edges.
        for network in allow.iter().chain(&deny) {
            let host = low_bits(width(*network.range().start()) - network.length());
            for bits in [network.bits().wrapping_sub(1), network.bits(), network.bits() | host,
                (network.bits() | host).wrapping_add(1)] {
                probes.push(match *network.range().start() {
                    IpAddr::V4(_) => Ipv4Addr::from_bits(bits as u32).into(),
                    IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
                });
            }
        }
        let access = Access::new(allow.clone(), deny.clone()).unwrap();
        for probe in probes {
            prop_assert_eq!(access.permits(probe), permits(&allow, &deny, probe.to_canonical()), "{}", probe);
            if let IpAddr::V4(v4) = probe {
                prop_assert_eq!(access.permits(v4.to_ipv6_mapped().into()), access.permits(probe));
            }
        }
    }

    #[test]
    fn networks_print_as_they_read(network in network()) {
        prop_assert_eq!(network.to_string().parse(), Ok(network));
    }

    #[test]
    fn no_text_panics(text in "[0-9a-f:./]{0,24}") {
        let _ = text.parse::<Network>();
    }
}
