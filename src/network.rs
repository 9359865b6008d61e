//! Networks: the addresses that begin with the same bits (CIDR, [RFC 4632] §3.1).
//!
//! Invariant: an IPv4 network is the same whether it's written as IPv4 or as IPv6
//! (`::ffff:192.0.2.0/120`, [RFC 4291] §2.5.5.2), and holds an address likewise.
//!
//! [RFC 4291]: https://www.rfc-editor.org/rfc/rfc4291
//! [RFC 4632]: https://www.rfc-editor.org/rfc/rfc4632

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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
    pub(crate) fn around(address: IpAddr, length: u8) -> Self {
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

    /// Whether its addresses are IPv4 ones.
    pub fn is_ipv4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Bits that are the same in all of its addresses.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether `address` is one of its addresses.
    pub fn contains(self, address: IpAddr) -> bool {
        self.range().contains(&address.to_canonical())
    }

    /// The bits of its first address, the low ones of the number.
    pub(crate) fn bits(self) -> u128 {
        match self.address {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => v6.to_bits(),
        }
    }
}

/// Bits of an address.
pub(crate) fn width(address: IpAddr) -> u8 {
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

/// The number whose lowest `count` bits are set, of 0 to 128.
pub(crate) fn low_bits(count: u8) -> u128 {
    u128::MAX.checked_shr(128 - u32::from(count)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_its_addresses_however_they_are_written() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        for (text, address, holds) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "192.0.2.7", false),
        ] {
            let found = network(text).contains(address.parse().unwrap());
            assert_eq!(found, holds, "{address} in {text}");
        }
    }
}
