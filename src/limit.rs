//! Rate limiting: how many answers a client's network gets over UDP, and how many
//! changes of the registry it may ask for over HTTP.
//!
//! A datagram's source can be forged, so an answer may hit somebody who never
//! asked. Each network may have so many answers a second; above that it gets
//! truncated ones, which are no longer than their queries but for 16 octets of a
//! cookie where one was asked for: whoever asks really asks again over TCP, and for
//! an attacker there is nothing left to amplify.
//!
//! Over HTTP nobody's address is forged, and what is above the rate is refused.
//!
//! A network's account is one number: the time at which all it was sent will have
//! been paid for at its rate (the generic cell rate algorithm, ITU-T I.371).
//! Time is counted in sixteenths of a response, so that any rate comes out even.
//! The accounts are cells of a table that is allocated once. A network's hash
//! names a set of eight, a cache line; one that isn't in it takes over a cell that
//! is idle, which loses nothing, or else the cell that is soonest idle.
//!
//! What holds, for a rate r and a burst b:
//!
//! - In any span of t seconds a network is sent at most r·t + b answers and a
//!   sixteenth, from whatever number of threads, while it keeps its cell.
//! - It keeps its cell as long as it isn't idle and another cell of its set is
//!   idle, or sooner idle: a flood from random sources leaves the heaviest alone.
//! - When its cell is taken over, or two threads give it one each at the same time,
//!   it may be sent one burst more.
//! - A network that asks no more than r times a second, evenly, is never limited,
//!   unless one with the same tag shares its cell: 1 in 2000 for a full set.
//!
//! No lock and no allocation. Cells are relaxed atomics, for each holds all of an
//! account and nothing else is read because of it.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use foldhash::quality::SeedableRandomState;

use crate::time::Moment;

/// Highest rate that can be set, in responses a second for a network.
pub const MAX_RATE: u32 = 1_000_000;

/// Highest [`LimitConfig::slip`].
pub const MAX_SLIP: u32 = 100;

/// Sets in the table, a power of two: 65 536 cells, 512 KiB.
const SETS: usize = 8192;

/// A response, in the unit that accounts are kept in.
const RESPONSE: u64 = 16;

// A cell, from its highest bit: 14 of the network's hash, 7 that count limited
// responses for the slip, 43 of time. At the highest rate the time comes round in
// six days, at 1000 in seventeen years. A cell that nobody touched for exactly as
// long is misread as busy, until its burst is paid for; at any other time it's idle.
const TAG_SHIFT: u32 = 50;
const TURN_SHIFT: u32 = 43;
const TURN_MASK: u64 = (1 << (TAG_SHIFT - TURN_SHIFT)) - 1;
const TIME_MASK: u64 = (1 << TURN_SHIFT) - 1;

/// How many responses a client's network may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimitConfig {
    /// Responses a second, up to [`MAX_RATE`]; 0 limits nothing.
    pub rate: u32,
    /// Responses at once after a silence, 1 or more.
    pub burst: u32,
    /// Of the responses above the rate the first of each `slip` is truncated and
    /// sent, the others aren't sent: 1 truncates all, 0 sends none; up to [`MAX_SLIP`].
    pub slip: u32,
    /// Bits of an IPv4 address that tell networks apart, up to 32.
    pub v4_prefix: u8,
    /// Bits of an IPv6 address that tell networks apart, up to 128.
    pub v6_prefix: u8,
    /// Whether clients on this machine are limited, too.
    pub loopback: bool,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self::with_rate(1000)
    }
}

impl LimitConfig {
    /// A rate with one second's worth of burst, and the defaults for the rest.
    pub fn with_rate(rate: u32) -> Self {
        Self {
            rate,
            burst: rate,
            slip: 1,
            v4_prefix: 24,
            v6_prefix: 56,
            loopback: false,
        }
    }
}

/// What may be done with a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Allowance {
    /// Send it.
    Send,
    /// Send it truncated, without records.
    Slip,
    /// Send nothing.
    Drop,
}

/// The accounts of all networks. Shared by all workers.
pub struct Limiter {
    /// None when nothing is limited.
    table: Option<Table>,
}

struct Table {
    sets: Box<[Set]>,
    hasher: SeedableRandomState,
    /// Units of account per nanosecond, in 2^-64ths. Rounded up, so that who keeps
    /// to the rate is never found above it.
    pace: u64,
    /// Units of account.
    burst: u64,
    slip: u32,
    v4_mask: u128,
    v6_mask: u128,
    loopback: bool,
}

/// Cells that are searched together.
#[derive(Default)]
#[repr(align(64))]
struct Set([AtomicU64; 8]);

impl Limiter {
    /// Allocates the table. Settings above what they may be are taken as the most they may be.
    pub fn new(config: LimitConfig) -> Self {
        Self::with_hasher(config, SeedableRandomState::random())
    }

    fn with_hasher(config: LimitConfig, hasher: SeedableRandomState) -> Self {
        let rate = u128::from(config.rate.min(MAX_RATE)) * u128::from(RESPONSE);
        let pace = (rate << 64).div_ceil(1_000_000_000);
        let table = (config.rate != 0).then(|| Table {
            sets: (0..SETS).map(|_| Set::default()).collect(),
            hasher,
            // The highest rate comes to a 62nd of what fits.
            pace: u64::try_from(pace).unwrap_or(u64::MAX),
            burst: u64::from(config.burst.max(1)) * RESPONSE,
            slip: config.slip.min(MAX_SLIP),
            v4_mask: mask(96 + config.v4_prefix.min(32)),
            v6_mask: mask(config.v6_prefix.min(128)),
            loopback: config.loopback,
        });
        Self { table }
    }

    /// Accounts for a response to `address`, and says what may be done with it.
    pub fn take(&self, address: IpAddr, now: Moment) -> Allowance {
        let Some(table) = &self.table else {
            return Allowance::Send;
        };
        let address = address.to_canonical();
        if address.is_loopback() && !table.loopback {
            return Allowance::Send;
        }
        table.take(table.network(address), table.units_at(now))
    }
}

/// The number whose highest `length` bits are set, of 0 to 128.
fn mask(length: u8) -> u128 {
    u128::MAX
        .checked_shl(128 - u32::from(length))
        .unwrap_or_default()
}

impl Table {
    /// The network of a canonical address. IPv4's are apart from IPv6's, for no
    /// canonical IPv6 address is in `::ffff:0:0/96`.
    fn network(&self, address: IpAddr) -> u128 {
        match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits() & self.v4_mask,
            IpAddr::V6(v6) => v6.to_bits() & self.v6_mask,
        }
    }

    /// The time in units of account, at the rate of one network.
    fn units_at(&self, now: Moment) -> u64 {
        let units = (u128::from(now.as_nanos()) * u128::from(self.pace)) >> 64;
        units as u64 & TIME_MASK
    }

    fn take(&self, network: u128, now: u64) -> Allowance {
        let hash = self.hasher.hash_one(network);
        let tag = hash >> TAG_SHIFT;
        let set = &self.sets[hash as usize % SETS];
        // Another round is another thread's success.
        loop {
            let (cell, held) = self.cell(set, tag, now);
            let (next, allowance) = self.account(held, tag, now);
            if next == held
                || cell
                    .compare_exchange_weak(held, next, Relaxed, Relaxed)
                    .is_ok()
            {
                return allowance;
            }
        }
    }

    /// The cell with this tag, else the one to take over; and what it holds.
    fn cell<'a>(&self, set: &'a Set, tag: u64, now: u64) -> (&'a AtomicU64, u64) {
        for cell in &set.0 {
            let held = cell.load(Relaxed);
            if held >> TAG_SHIFT == tag {
                return (cell, held);
            }
        }
        let [first, others @ ..] = &set.0;
        let mut best = (first, first.load(Relaxed));
        let mut least = self.owed(best.1, now);
        for cell in others {
            if least == 0 {
                break;
            }
            let held = cell.load(Relaxed);
            let owed = self.owed(held, now);
            if owed < least {
                (best, least) = ((cell, held), owed);
            }
        }
        best
    }

    /// What a cell that holds `held` is to hold after a response to the network
    /// with this tag, and what may be done with that.
    fn account(&self, held: u64, tag: u64, now: u64) -> (u64, Allowance) {
        let (owed, turn) = match held >> TAG_SHIFT == tag {
            true => (self.owed(held, now), held >> TURN_SHIFT & TURN_MASK),
            false => (0, 0),
        };
        let cell = |turn, time| tag << TAG_SHIFT | turn << TURN_SHIFT | (time & TIME_MASK);
        if owed + RESPONSE <= self.burst {
            return (cell(turn, now + owed + RESPONSE), Allowance::Send);
        }
        match self.slip {
            0 => (held, Allowance::Drop),
            1 => (held, Allowance::Slip),
            // Counted for each network, so that none takes another's turn.
            slip => {
                let next = (turn + 1) % u64::from(slip);
                let allowance = match turn {
                    0 => Allowance::Slip,
                    _ => Allowance::Drop,
                };
                (cell(next, held), allowance)
            }
        }
    }

    /// Units that a cell's network has been sent and has yet to pay for; 0 is idle.
    ///
    /// More than two bursts is none's debt: it's a time that passed so long ago
    /// that it looks like one to come. One burst beyond the first is for threads
    /// whose time is a little behind.
    fn owed(&self, held: u64, now: u64) -> u64 {
        let ahead = held.wrapping_sub(now) & TIME_MASK;
        if ahead <= 2 * self.burst { ahead } else { 0 }
    }
}

#[cfg(test)]
mod tests;
