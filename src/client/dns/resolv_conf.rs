//! The system's resolvers, from `/etc/resolv.conf`. Reading the text is pure.
//!
//! Only `nameserver` counts: names are absolute here, so that there's nothing to search,
//! and waits are our own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

/// Most resolvers that are taken of the file, as the C library has it.
const MAX_SERVERS: usize = 3;

/// Reads resolvers. Without one it's the one of this machine, as the C library has it.
pub(in crate::client) fn parse(text: &str) -> Vec<SocketAddr> {
    let mut servers: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => address(words.next()?),
                _ => None,
            }
        })
        .collect();
    servers.truncate(MAX_SERVERS);
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, 53).into());
    }
    servers
}

/// Reads an address; a scope may be given by its number, as in `fe80::1%2`.
fn address(text: &str) -> Option<SocketAddr> {
    if let Some((ip, scope)) = text.split_once('%') {
        let scoped = SocketAddrV6::new(ip.parse().ok()?, 53, 0, scope.parse().ok()?);
        return Some(scoped.into());
    }
    let ip: IpAddr = text.parse().ok()?;
    Some((ip, 53).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read() {
        for (text, expected) in [
            ("", vec!["127.0.0.1:53"]),
            ("# nameserver 10.0.0.9\n", vec!["127.0.0.1:53"]),
            (
                "search a b\nnameserver 10.0.0.1\n  nameserver\t::1 # local\nnameserver x\nnameserver\n",
                vec!["10.0.0.1:53", "[::1]:53"],
            ),
            ("nameserver fe80::1%2", vec!["[fe80::1%2]:53"]),
            (
                "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4",
                vec!["10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"],
            ),
        ] {
            let read: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
            assert_eq!(read, expected, "{text:?}");
        }
    }
}
