//! Access rules: which clients are answered at all, by their network.
//!
//! Of the networks that hold an address the most specific one decides; where the
//! same network is allowed and denied, it's denied. An address in none of them is
//! permitted, unless there is something to allow: then it's refused.
//!
//! All of that is settled when the rules are made. What is left for a query is a
//! list of the addresses at which the verdict turns, and a binary search in it;
//! without rules it's a single branch.
//!
//! Invariant: an IPv4 address decides the same whether it's written as IPv4 or as
//! IPv6 (`::ffff:192.0.2.7`, [RFC 4291] §2.5.5.2), in rules and in clients alike.
//! So `::/0` is every IPv6 address and no IPv4 one.
//!
//! [RFC 4291]: https://www.rfc-editor.org/rfc/rfc4291

use std::net::IpAddr;

use crate::network::{Network, low_bits};

/// Most networks in the rules, allowed and denied together.
pub const MAX_NETWORKS: usize = 10_000;

/// Which addresses are permitted. The default permits all.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// None when there are no rules.
    verdicts: Option<Box<Verdicts>>,
    allow: Vec<Network>,
    deny: Vec<Network>,
}

/// The verdict for every address.
#[derive(Debug, Clone)]
struct Verdicts {
    v4: Turns<u32>,
    v6: Turns<u128>,
}

/// The verdict for every address of a family.
#[derive(Debug, Clone)]
struct Turns<Bits> {
    /// Whether address 0 is permitted.
    first: bool,
    /// The addresses at which the verdict is another than just before, in order.
    at: Box<[Bits]>,
}

impl Access {
    /// Permits by these rules; no more than [`MAX_NETWORKS`].
    pub fn new(allow: Vec<Network>, deny: Vec<Network>) -> Result<Self, TooManyNetworks> {
        let count = allow.len() + deny.len();
        if MAX_NETWORKS < count {
            return Err(TooManyNetworks(count));
        }
        let verdicts = (count != 0).then(|| {
            let rules = || {
                let allowed = allow.iter().map(|network| (network, true));
                allowed.chain(deny.iter().map(|network| (network, false)))
            };
            let (v4, v6): (Vec<_>, Vec<_>) = rules().partition(|rule| rule.0.is_ipv4());
            Box::new(Verdicts {
                v4: Turns::new(&v4, 32, allow.is_empty(), |bits| bits as u32),
                v6: Turns::new(&v6, 128, allow.is_empty(), |bits| bits),
            })
        });
        Ok(Self {
            verdicts,
            allow,
            deny,
        })
    }

    /// Whether a client at `address` is to be answered.
    pub fn permits(&self, address: IpAddr) -> bool {
        let Some(verdicts) = &self.verdicts else {
            return true;
        };
        match address.to_canonical() {
            IpAddr::V4(address) => verdicts.v4.permits(address.to_bits()),
            IpAddr::V6(address) => verdicts.v6.permits(address.to_bits()),
        }
    }

    /// The networks that are allowed, as given.
    pub fn allowed(&self) -> &[Network] {
        &self.allow
    }

    /// The networks that are denied, as given.
    pub fn denied(&self) -> &[Network] {
        &self.deny
    }
}

impl<Bits: Copy + Ord> Turns<Bits> {
    /// Lays out networks of one family, whose addresses have `width` bits, with
    /// `otherwise` for what is in none; `narrow` makes an address of its bits.
    fn new(
        rules: &[(&Network, bool)],
        width: u8,
        otherwise: bool,
        narrow: impl Fn(u128) -> Bits,
    ) -> Self {
        let all = low_bits(width);
        // A network goes before those inside of it, and a denied one before its twin.
        let mut rules: Vec<(u128, u8, bool)> = rules
            .iter()
            .map(|(network, permitted)| (network.bits(), network.length(), *permitted))
            .collect();
        rules.sort_unstable();
        rules.dedup_by_key(|(first, length, _)| (*first, *length));

        // Networks that hold the address reached, the outermost first, each with its
        // last address. Two networks either nest or are apart, so these nest.
        let mut open = vec![(all, otherwise)];
        let mut turns = vec![(0, otherwise)];
        let close_before = |address, open: &mut Vec<(u128, bool)>, turns: &mut Vec<_>| {
            while let [.., (_, outer), (last, _)] = open[..]
                && last < address
            {
                turn(turns, last + 1, outer);
                open.pop();
            }
        };
        for (first, length, permitted) in rules {
            close_before(first, &mut open, &mut turns);
            turn(&mut turns, first, permitted);
            open.push((first | low_bits(width - length), permitted));
        }
        close_before(all, &mut open, &mut turns);

        turns.dedup_by_key(|(_, permitted)| *permitted);
        Self {
            first: turns[0].1,
            at: turns[1..].iter().map(|(first, _)| narrow(*first)).collect(),
        }
    }

    fn permits(&self, address: Bits) -> bool {
        let turns = self.at.partition_point(|turn| *turn <= address);
        self.first ^ (turns % 2 == 1)
    }
}

/// From `address` on it's `permitted`, whatever was said of it before.
fn turn(turns: &mut Vec<(u128, bool)>, address: u128, permitted: bool) {
    match turns.last_mut() {
        Some(last) if last.0 == address => last.1 = permitted,
        _ => turns.push((address, permitted)),
    }
}

/// More rules than [`MAX_NETWORKS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} networks to allow and deny are too many; allowed is {MAX_NETWORKS}")]
pub struct TooManyNetworks(pub usize);

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
