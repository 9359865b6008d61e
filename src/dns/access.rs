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

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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
            let (v4, v6): (Vec<_>, Vec<_>) = rules().partition(|rule| rule.0.address.is_ipv4());
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
            .map(|(network, permitted)| (network.bits(), network.length, *permitted))
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

/// The number whose lowest `count` bits are set, of 0 to 128.
fn low_bits(count: u8) -> u128 {
    u128::MAX.checked_shr(128 - u32::from(count)).unwrap_or(0)
}

/// The addresses that begin with the same bits, written `10.0.0.0/8`,
/// `fd00::/8`, or `192.0.2.7` for a single one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Network {
    /// Its first address; never an IPv4 one in the clothes of IPv6.
    address: IpAddr,
    /// Bits that are the same: 0 to 32, or 0 to 128 for IPv6.
    length: u8,
}

impl Network {
    /// The addresses whose first `length` bits are those of `address`, which has no others set.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, NetworkError> {
        let width = width(address);
        if width < length {
            return Err(NetworkError::Length(width));
        }
        let network = Self::around(address, length);
        // Below 96 bits a network is more than the IPv4 addresses.
        let mapped = match address {
            IpAddr::V6(v6) if 96 <= length => v6.to_ipv4_mapped(),
            _ => None,
        };
        let network = mapped.map_or(network, |v4| Self::around(v4.into(), length - 96));
        if network.address != mapped.map_or(address, IpAddr::V4) {
            return Err(NetworkError::HostBits(network, address));
        }
        Ok(network)
    }

    /// The network of that many bits that `address` is in.
    fn around(address: IpAddr, length: u8) -> Self {
        let host = low_bits(width(address) - length);
        let address = match address {
            // Bits of the host are at most 32 here.
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !(host as u32)).into()),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !host)),
        };
        Self { address, length }
    }

    /// Its addresses, from the first to the last.
    pub fn range(self) -> RangeInclusive<IpAddr> {
        let host = low_bits(width(self.address) - self.length);
        let last = match self.address {
            // Bits of the host are at most 32 here.
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() | host as u32).into()),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() | host)),
        };
        self.address..=last
    }

    /// Bits that are the same in all of its addresses.
    pub fn length(self) -> u8 {
        self.length
    }

    fn bits(self) -> u128 {
        match self.address {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => v6.to_bits(),
        }
    }
}

/// Bits of an address.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Unreadable)?;
        let width = width(address);
        let length = length.map_or(Some(width), |text| {
            let length: u8 = text.parse().ok()?;
            // As it's usually written: no sign, no zeros before it.
            (length.to_string() == text).then_some(length)
        });
        Self::new(address, length.ok_or(NetworkError::Length(width))?)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length == width(self.address) {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.length),
        }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|error| de::Error::custom(format_args!("{text:?} {error}")))
    }
}

/// Why a text is no [`Network`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// It doesn't begin with an address.
    #[error(
        "is no network; write an address, such as 192.0.2.7 or 2001:db8::7, \
         or a network, such as 10.0.0.0/8 or fd00::/8"
    )]
    Unreadable,
    /// The prefix length isn't one of 0 to this.
    #[error("has a wrong prefix length; allowed is 0 to {0}")]
    Length(u8),
    /// Bits after the prefix are set. The network is what it would be without them.
    #[error("has bits set after its prefix; write {0} for that network, or {1} for that address")]
    HostBits(Network, IpAddr),
}

/// More rules than [`MAX_NETWORKS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} networks to allow and deny are too many; allowed is {MAX_NETWORKS}")]
pub struct TooManyNetworks(pub usize);

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
