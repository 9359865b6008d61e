//! The numbers behind the observable instruments: atomics and nothing else.
//!
//! DNS answers are counted in a table of question type × rcode × transport. It
//! exists [`SHARDS`] times, each thread has its own as long as there are enough,
//! and each starts a cache line of its own, so counting is one uncontended
//! relaxed addition: no lock, no allocation. A reader sums the shards; it may miss
//! additions that are under way and finds them the next time.
//!
//! The values of attributes are lists fixed here, with a last one for the rest, so
//! nothing a client sends makes a new time series.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Copies of the DNS table; a power of two above the usual number of DNS workers.
const SHARDS: usize = 32;

/// Question types that are counted by name; all others are `other`.
pub(super) const QTYPES: [&str; 13] = [
    "A", "AAAA", "SRV", "TXT", "SOA", "NS", "PTR", "CNAME", "MX", "HTTPS", "SVCB", "ANY", "other",
];

/// Response codes that are counted by name; all others are `other`.
pub(super) const RCODES: [&str; 8] = [
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS", "other",
];

/// Kinds of checks; all others are `other`.
pub(super) const CHECK_KINDS: [&str; 6] = ["http", "https", "grpc", "tcp", "udp", "other"];

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
pub(super) const fn qtype_index(qtype: u16) -> usize {
    match qtype {
        1 => 0,
        28 => 1,
        33 => 2,
        16 => 3,
        6 => 4,
        2 => 5,
        12 => 6,
        5 => 7,
        15 => 8,
        65 => 9,
        64 => 10,
        255 => 11,
        _ => QTYPES.len() - 1,
    }
}

/// Index in [`RCODES`] of a response code, the extended part included.
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
    pub(super) dns: DnsCounts,
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
    pub(super) check_requests: [AtomicU64; CHECK_KINDS.len()],
    pub(super) check_failures: [AtomicU64; CHECK_KINDS.len()],
    /// To passing, to failing.
    pub(super) check_transitions: [AtomicU64; 2],
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Reads a counter.
pub(super) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The DNS table and its copies.
#[derive(Debug)]
pub(super) struct DnsCounts {
    shards: Box<[Shard; SHARDS]>,
}

/// One copy: responses by transport, then type, then rcode; and dropped queries.
///
/// 128 octets, because processors fetch cache lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    responses: [[[AtomicU64; RCODES.len()]; QTYPES.len()]; TRANSPORTS.len()],
    dropped: [AtomicU64; TRANSPORTS.len()],
}

impl Default for DnsCounts {
    fn default() -> Self {
        let shards: Vec<Shard> = (0..SHARDS)
            .map(|_| Shard {
                responses: Default::default(),
                dropped: Default::default(),
            })
            .collect();
        let shards = shards.into_boxed_slice().try_into();
        Self {
            shards: shards.expect("the vector was made with SHARDS elements"),
        }
    }
}

impl DnsCounts {
    /// Counts a response.
    pub(super) fn answered(&self, transport: Transport, qtype: u16, rcode: u16) {
        let responses = &self.mine().responses[transport as usize];
        add(&responses[qtype_index(qtype)][rcode_index(rcode)], 1);
    }

    /// Counts a query that got no response.
    pub(super) fn dropped(&self, transport: Transport) {
        add(&self.mine().dropped[transport as usize], 1);
    }

    /// Sums, by indexes of transport, type and rcode.
    pub(super) fn responses(&self, transport: usize, qtype: usize, rcode: usize) -> u64 {
        let cells = self.shards.iter().map(|shard| &shard.responses);
        cells
            .map(|cells| get(&cells[transport][qtype][rcode]))
            .sum()
    }

    /// Sums over all rcodes, by indexes of transport and type.
    pub(super) fn queries(&self, transport: usize, qtype: usize) -> u64 {
        let rcodes = 0..RCODES.len();
        rcodes
            .map(|rcode| self.responses(transport, qtype, rcode))
            .sum()
    }

    /// Sums, by index of transport.
    pub(super) fn drops(&self, transport: usize) -> u64 {
        let shards = self.shards.iter();
        shards.map(|shard| get(&shard.dropped[transport])).sum()
    }

    /// The shard of the running thread.
    fn mine(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
        }
        // A thread that is ending has no thread-locals any more.
        &self.shards[MINE.try_with(|mine| *mine).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn codes_meet_their_names() {
        let types = [1, 28, 33, 16, 6, 2, 12, 5, 15, 65, 64, 255];
        for (index, qtype) in types.into_iter().enumerate() {
            assert_eq!(qtype_index(qtype), index, "{}", QTYPES[index]);
        }
        assert_eq!(QTYPES[qtype_index(0)], "other");
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

    #[test]
    fn threads_lose_no_count() {
        let counts = Arc::new(DnsCounts::default());
        let threads = (0..SHARDS + 3).map(|_| {
            let counts = Arc::clone(&counts);
            thread::spawn(move || {
                for _ in 0..100 {
                    counts.answered(Transport::Tcp, 33, 0);
                }
                counts.dropped(Transport::Udp);
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
        let threads = u64::try_from(SHARDS + 3).unwrap();
        assert_eq!(counts.responses(1, 2, 0), threads * 100);
        assert_eq!(counts.drops(0), threads);
    }
}
