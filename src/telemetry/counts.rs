//! The numbers behind the observable instruments: atomics and nothing else.
//!
//! What DNS workers count is in [`super::meter`]; the rest is seldom enough for
//! atomics that all threads share.
//!
//! The values of attributes are lists fixed here, with a last one for the rest, so
//! nothing a client sends makes a new time series.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::meter::Meters;
use super::services::Services;
use crate::time::Clock;

/// Question types that are counted by name; all others are `other`.
pub(super) const QTYPES: [&str; 13] = [
    "A", "AAAA", "SRV", "TXT", "SOA", "NS", "PTR", "CNAME", "MX", "HTTPS", "SVCB", "ANY", "other",
];

/// The codes of [`QTYPES`], without the last.
const QTYPE_CODES: [u8; QTYPES.len() - 1] = [1, 28, 33, 16, 6, 2, 12, 5, 15, 65, 64, 255];

/// The last of [`QTYPES`].
const OTHER_QTYPE: u8 = (QTYPES.len() - 1) as u8;

/// Response codes that are counted by name; all others are `other`.
pub(super) const RCODES: [&str; 8] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS", "other",
];

/// Kinds of checks; all others are `other`.
pub(super) const CHECK_KINDS: [&str; 7] = ["http", "https", "grpc", "tcp", "udp", "dns", "other"];

/// Transports, in the order of [`Transport`]'s variants.
pub(super) const TRANSPORTS: [&str; 5] = ["udp", "tcp", "tls", "https", "quic"];

/// What carries a DNS message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// One datagram each way ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §4.2.1).
    Udp,
    /// A stream ([RFC 7766](https://www.rfc-editor.org/rfc/rfc7766)).
    Tcp,
    /// A stream in TLS ([RFC 7858](https://www.rfc-editor.org/rfc/rfc7858)).
    Tls,
    /// An HTTP exchange ([RFC 8484](https://www.rfc-editor.org/rfc/rfc8484)).
    Https,
    /// A QUIC stream ([RFC 9250](https://www.rfc-editor.org/rfc/rfc9250)).
    Quic,
}

impl Transport {
    /// The value of the attribute `network.transport`.
    pub const fn as_str(self) -> &'static str {
        TRANSPORTS[self as usize]
    }
}

/// Index in [`QTYPES`] of a type's code.
#[inline]
pub(super) const fn qtype_index(qtype: u16) -> usize {
    // A table, because which type comes next can't be guessed.
    const NAMED: [u8; 256] = {
        let mut indexes = [OTHER_QTYPE; 256];
        let mut index = 0;
        while index < QTYPE_CODES.len() {
            indexes[QTYPE_CODES[index] as usize] = index as u8;
            index += 1;
        }
        indexes
    };
    if qtype < 256 {
        NAMED[qtype as usize] as usize
    } else {
        OTHER_QTYPE as usize
    }
}

/// Index in [`RCODES`] of a response code, the extended part included.
#[inline]
pub(super) const fn rcode_index(rcode: u16) -> usize {
    match rcode {
        0..=5 => rcode as usize,
        16 => 6,
        _ => RCODES.len() - 1,
    }
}

/// Index in [`CHECK_KINDS`] of a kind's name.
pub(super) fn check_kind_index(kind: &str) -> usize {
    let named = CHECK_KINDS.iter().position(|known| *known == kind);
    named.unwrap_or(CHECK_KINDS.len() - 1)
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) epoch: Epoch,
    pub(super) dns: Arc<Meters>,
    pub(super) services_asked: Services,
    /// In the order of [`super::instruments::RegistrationResult`]'s variants.
    pub(super) registrations: [AtomicU64; 3],
    pub(super) deregistrations: AtomicU64,
    pub(super) discoveries: AtomicU64,
    /// Renewed, unknown.
    pub(super) heartbeats: [AtomicU64; 2],
    pub(super) expiries: AtomicU64,
    pub(super) publishes: AtomicU64,
    /// Listed, withdrawn; set, not added to.
    pub(super) instances: [AtomicU64; 2],
    /// Set, not added to.
    pub(super) services: AtomicU64,
    /// Taken, failed.
    pub(super) zone_reloads: [AtomicU64; 2],
    /// Set, not added to.
    pub(super) watchers: AtomicU64,
    /// Set, not added to.
    pub(super) held: AtomicU64,
    /// Written, failed.
    pub(super) state_writes: [AtomicU64; 2],
    /// Set, not added to.
    pub(super) zones: AtomicU64,
    pub(super) check_requests: [AtomicU64; CHECK_KINDS.len()],
    pub(super) check_failures: [AtomicU64; CHECK_KINDS.len()],
    /// To passing, to warning, to failing.
    pub(super) check_transitions: [AtomicU64; 3],
    pub(super) check_damped: AtomicU64,
    /// Running, waiting; set, not added to.
    pub(super) check_probes: [AtomicU64; 2],
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Reads a counter.
pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// When counting began.
#[derive(Debug)]
pub(super) struct Epoch {
    clock: Clock,
    started: u64,
}

impl Default for Epoch {
    /// Counting begins now.
    fn default() -> Self {
        let clock = Clock::start();
        let started = unix_nanos(&clock);
        Self { clock, started }
    }
}

impl Epoch {
    /// The time at which counting began, in nanoseconds since 1970 began; always the same.
    pub(super) fn started(&self) -> u64 {
        self.started
    }

    /// The time now, in nanoseconds since 1970 began.
    pub(super) fn now(&self) -> u64 {
        unix_nanos(&self.clock)
    }
}

/// The time of day, in nanoseconds since 1970 began; 0 outside of 1970 to 2262.
fn unix_nanos(clock: &Clock) -> u64 {
    let now = clock.wall(clock.now()).timestamp_nanos_opt();
    now.and_then(|nanos| u64::try_from(nanos).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_meet_their_names() {
        let types = [1, 28, 33, 16, 6, 2, 12, 5, 15, 65, 64, 255];
        for (index, qtype) in types.into_iter().enumerate() {
            assert_eq!(qtype_index(qtype), index, "{}", QTYPES[index]);
        }
        for qtype in [0, 254, 256, 257, u16::MAX] {
            assert_eq!(QTYPES[qtype_index(qtype)], "other", "{qtype}");
        }
        for (rcode, name) in [
            (3, "NXDOMAIN"),
            (5, "REFUSED"),
            (16, "BADVERS"),
            (9, "other"),
        ] {
            assert_eq!(RCODES[rcode_index(rcode)], name);
        }
        assert_eq!(CHECK_KINDS[check_kind_index("tcp")], "tcp");
        assert_eq!(CHECK_KINDS[check_kind_index("smtp")], "other");
        assert_eq!(Transport::Quic.as_str(), "quic");
    }
}
