//! The system's resolvers, from `/etc/resolv.conf`, which changes with the network.
//!
//! Only `nameserver` counts: names are absolute here, so that there's nothing to search,
//! and waits are our own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::time::Moment;

/// Where the system's resolvers are written down.
const PATH: &str = "/etc/resolv.conf";

/// Time between two looks at the file, when somebody asks. It's small and in memory.
const LOOK: Duration = Duration::from_secs(1);

/// Most resolvers that are taken of the file, as the C library has it.
const MAX_SERVERS: usize = 3;

/// The file, and what it said last.
#[derive(Debug)]
pub(in crate::client) struct ResolvConf {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    servers: Arc<[SocketAddr]>,
    look_at: Moment,
}

impl ResolvConf {
    /// That of the system, as it is at `now`.
    pub(super) fn of_system(now: Moment) -> Self {
        Self::at(PATH.into(), now)
    }

    fn at(path: PathBuf, now: Moment) -> Self {
        // Without the file it's the resolver of this machine, as the C library has it.
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let known = Known {
            servers: parse(&text).into(),
            look_at: now.after(LOOK),
        };
        Self {
            path,
            known: Mutex::new(known),
        }
    }

    /// The resolvers at `now`, or a moment ago. At least one; when the file can't be
    /// read, those that it had.
    pub(super) fn servers(&self, now: Moment) -> Arc<[SocketAddr]> {
        // Nothing can panic while the lock is held, so it can't be poisoned.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.look_at <= now {
            known.look_at = now.after(LOOK);
            // Whoever writes it may put another file in its place.
            if let Ok(text) = std::fs::read_to_string(&self.path) {
                let servers = parse(&text);
                if *known.servers != *servers {
                    tracing::debug!(?servers, "the system has other resolvers");
                    known.servers = servers.into();
                }
            }
        }
        known.servers.clone()
    }
}

/// Reads resolvers. Without one it's the one of this machine, as the C library has it.
fn parse(text: &str) -> Vec<SocketAddr> {
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

    #[test]
    fn a_file_that_changes_is_read_again() {
        let name = format!("namebeat-resolv-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let at = Moment::from_millis;
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let of = |conf: &ResolvConf, now| -> Vec<String> {
            let servers = conf.servers(at(now));
            servers.iter().map(ToString::to_string).collect()
        };
        let conf = ResolvConf::at(path.clone(), at(0));
        assert_eq!(of(&conf, 0), ["127.0.0.1:53"], "there's no file");
        write("nameserver 10.0.0.1\n");
        assert_eq!(of(&conf, 999), ["127.0.0.1:53"]);
        assert_eq!(of(&conf, 1_000), ["10.0.0.1:53"]);
        write("nameserver 10.0.0.2\nnameserver 10.0.0.3\n");
        assert_eq!(of(&conf, 1_999), ["10.0.0.1:53"]);
        assert_eq!(of(&conf, 2_000), ["10.0.0.2:53", "10.0.0.3:53"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(of(&conf, 9_000), ["10.0.0.2:53", "10.0.0.3:53"]);
    }
}
