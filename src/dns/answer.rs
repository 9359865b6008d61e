//! Query octets in, response octets out: the one function every transport calls.
//!
//! Synchronous, and it touches memory only: no disk, no socket, no lock that a
//! writer holds for longer than a pointer takes to swap, no telemetry. What a
//! transport adds is framing, limits and timeouts; nothing about an answer is
//! decided there.

use std::net::IpAddr;
use std::sync::Arc;

use super::compose::{Bounds, compose};
use super::message::{ExtendedError, Rcode};
use super::outcome::Outcome;
use super::query::{CLASS_IN, Echo, Query, Unanswerable, parse};
use super::resolve::{Resolver, resolve};
use super::rr::RecordType;
use super::zones::Zones;
use crate::registry::Registry;

/// Largest UDP payload for clients elsewhere, unless set: what passes any
/// path unfragmented ([RFC 9715](https://www.rfc-editor.org/rfc/rfc9715) §3).
pub const DEFAULT_UDP_PAYLOAD: u16 = 1232;

/// Largest UDP payload for clients on this machine, where nothing fragments.
/// HAProxy asks for as much and never retries over TCP.
const LOOPBACK_UDP_PAYLOAD: u16 = 8192;

/// UDP payload without EDNS ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §4.2.1).
const PLAIN_UDP_PAYLOAD: u16 = 512;

/// How a query came and from whom.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// Whether the response must fit a datagram.
    pub datagram: bool,
    /// Octets of a datagram to leave free, for a carrier that encodes the
    /// response once more and may make it longer.
    pub reserve: u8,
}

impl Client {
    /// One whose responses must fit a datagram.
    pub fn datagram(address: IpAddr) -> Self {
        Self {
            address,
            datagram: true,
            reserve: 0,
        }
    }

    /// One whose responses may be as long as a message can be.
    pub fn stream(address: IpAddr) -> Self {
        Self {
            address,
            datagram: false,
            reserve: 0,
        }
    }
}

/// What a transport does with a query.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Send what was written.
    Reply(Summary),
    /// Send nothing.
    Drop,
}

/// What was asked and answered, for counters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary {
    /// The type asked for; type 0 when that couldn't be read.
    pub qtype: RecordType,
    /// The response code.
    pub rcode: Rcode,
}

/// What one worker keeps between queries.
#[derive(Debug, Default)]
pub struct Scratch {
    rng: fastrand::Rng,
}

/// Everything answers are made of. Shared by all workers.
pub struct Authority {
    zones: Arc<Zones>,
    registry: Registry,
    udp_payload: u16,
}

impl Authority {
    /// Answers from `zones` and from what is registered, with at most
    /// `udp_payload` octets (512 to 65535) in a datagram.
    pub fn new(zones: Arc<Zones>, registry: Registry, udp_payload: u16) -> Self {
        Self {
            zones,
            registry,
            udp_payload: udp_payload.max(PLAIN_UDP_PAYLOAD),
        }
    }

    /// Answers `message`, writing the response into `out` in place of what it held.
    pub fn answer(
        &self,
        message: &[u8],
        client: Client,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Verdict {
        let (echo, qtype, outcome) = match parse(message) {
            Ok(query) => (query.echo, query.qtype, self.look_up(&query, scratch)),
            Err(Unanswerable::Silence) => return Verdict::Drop,
            Err(Unanswerable::Refuse(echo, rcode)) => {
                (echo, RecordType(0), Outcome::Refused { rcode, error: None })
            }
        };
        compose(&echo, &outcome, self.bounds(&echo, client), out);
        Verdict::Reply(Summary {
            qtype,
            rcode: outcome.rcode(),
        })
    }

    fn look_up(&self, query: &Query<'_>, scratch: &mut Scratch) -> Outcome<'_> {
        if query.qclass != CLASS_IN {
            let text = "only class IN is served";
            return Outcome::refused(Rcode::REFUSED, ExtendedError::NOT_SUPPORTED, text);
        }
        if matches!(query.qtype, RecordType::AXFR | RecordType::IXFR) {
            let text = "zone transfers are not offered";
            return Outcome::refused(Rcode::REFUSED, ExtendedError::NOT_SUPPORTED, text);
        }
        let resolver = Resolver {
            zones: &self.zones,
            directory: self.registry.directory(),
            now: self.registry.now(),
            rng: &mut scratch.rng,
        };
        resolve(resolver, query.qname.as_wire(), query.qtype)
    }

    fn bounds(&self, echo: &Echo<'_>, client: Client) -> Bounds {
        let payload = match client.address.to_canonical().is_loopback() {
            true => self.udp_payload.max(LOOPBACK_UDP_PAYLOAD),
            false => self.udp_payload,
        };
        let reserve = usize::from(client.reserve);
        let limit = match echo.edns {
            _ if !client.datagram => usize::from(u16::MAX),
            Some(edns) => usize::from(edns.payload.min(payload)) - reserve,
            None => usize::from(PLAIN_UDP_PAYLOAD) - reserve,
        };
        Bounds {
            limit,
            payload,
            client: client.address,
        }
    }
}
