//! Query octets in, response octets out: the one function every transport calls.
//!
//! Synchronous, and it touches memory only: no disk, no socket, no lock that a
//! writer holds for longer than a pointer takes to swap, no telemetry. What a
//! transport adds is framing, limits and timeouts; nothing about an answer is
//! decided there.

use std::net::IpAddr;

use super::basis::Basis;
use super::body::{ASK_AGAIN, Draft, Opt};
use super::cache::{At, Cache};
use super::compose::{ClientClass, Frame, Room, compose};
use super::guard::Guard;
use super::identity::{CLASS_CH, Identity};
use super::message::{ExtendedError, HEADER_LEN, Rcode};
use super::outcome::Outcome;
use super::query::{CLASS_IN, Echo, FoldedName, Query, Unanswerable, fold_question, parse};
use super::resolve::{Resolver, resolve};
use super::rr::RecordType;
use super::store::{Held, ZoneStore};
use crate::limit::Allowance;
use crate::registry::Registry;
use crate::time::Moment;

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
    /// Send nothing: the client's network has had its number of answers.
    HoldBack,
}

/// What was asked and answered, for counters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Summary {
    /// The type asked for; type 0 when that couldn't be read.
    pub qtype: RecordType,
    /// The response code.
    pub rcode: Rcode,
    /// Where the answer came from.
    pub source: Source,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// It was prepared.
    Prepared,
    /// It was made for this query.
    Made,
    /// It only has the client ask again over TCP: its network has had its number
    /// of answers over UDP.
    HeldBack,
}

/// What one worker keeps between queries. The default keeps no answers.
#[derive(Debug, Default)]
pub struct Scratch {
    rng: fastrand::Rng,
    qname: FoldedName,
    draft: Draft,
    /// The zones that `cache` was filled from.
    held: Option<Held>,
    cache: Cache,
}

impl Scratch {
    /// One that keeps up to `cache` octets of prepared answers.
    pub fn with_cache(cache: usize) -> Self {
        Self {
            cache: Cache::new(cache),
            ..Self::default()
        }
    }

    /// Has the answers given counted with their services.
    pub fn settle(&mut self) {
        self.cache.settle();
    }

    /// Whether [`Scratch::settle`] is due, because there are many.
    pub fn is_unsettled(&self) -> bool {
        self.cache.is_unsettled()
    }

    /// Has the memory that answers to these messages will need fetched.
    pub fn expect<'a>(&mut self, messages: impl Iterator<Item = &'a [u8]>) {
        for message in messages {
            if fold_question(message, &mut self.qname).is_some() {
                self.cache.expect(self.qname.with_type());
            }
        }
        self.cache.fetch();
    }
}

/// Everything answers are made of. Shared by all workers.
pub struct Authority {
    zones: ZoneStore,
    registry: Registry,
    udp_payload: u16,
    guard: Guard,
    identity: Identity,
}

impl Authority {
    /// Answers from `zones` and from what is registered, with at most
    /// `udp_payload` octets (512 to 65535) in a datagram, whom `guard` lets.
    pub fn new(
        zones: impl Into<ZoneStore>,
        registry: Registry,
        udp_payload: u16,
        guard: Guard,
    ) -> Self {
        Self {
            zones: zones.into(),
            registry,
            udp_payload: udp_payload.max(PLAIN_UDP_PAYLOAD),
            guard,
            identity: Identity::default(),
        }
    }

    /// Says this of itself to those who ask.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// The moment it is now, on the clock that leases end by.
    pub fn now(&self) -> Moment {
        self.registry.now()
    }

    /// Answers `message`, which is there at `now`, writing the response into
    /// `out` in place of what it held.
    pub fn answer(
        &self,
        message: &[u8],
        client: Client,
        now: Moment,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Verdict {
        let Scratch {
            rng,
            qname,
            draft,
            held,
            cache,
        } = scratch;
        let (echo, query) = match parse(message, qname) {
            Ok(query) => (query.echo, Ok(query)),
            Err(Unanswerable::Silence) => return Verdict::Drop,
            Err(Unanswerable::Refuse(echo, rcode)) => (echo, Err(rcode)),
        };
        let sent = echo.edns.and_then(|edns| edns.cookie);
        let (cookie, standing) = self.guard.cookie(sent, client.address, || {
            self.registry.wall(now).timestamp() as u32
        });
        let opt = Opt {
            payload: self.payload(client),
            cookie: cookie.as_octets(),
            nsid: match echo.edns {
                Some(edns) if edns.wants_nsid => self.identity.nsid(),
                _ => &[],
            },
        };
        let qtype = query.as_ref().map_or(RecordType(0), |query| query.qtype);
        match self.guard.allowance(client, standing, now) {
            // An error is no longer than what asks again would be.
            Allowance::Slip if query.is_err() => {}
            Allowance::Send => {}
            Allowance::Slip => {
                ASK_AGAIN.write(&echo, opt, 0, rng, out);
                return Verdict::Reply(Summary {
                    qtype,
                    rcode: Rcode::NOERROR,
                    source: Source::HeldBack,
                });
            }
            Allowance::Drop => return Verdict::HoldBack,
        }
        let room = room(&echo, client, opt);
        let (zones, moved) = self.zones.hold(held);
        if moved {
            cache.clear();
        }
        // Before any view: what is seen to stand later stood at this revision.
        let revision = self.registry.directory().revision();
        let at = At { now, revision };
        let permitted = self.guard.permits(client);
        let wants_cookie = self.guard.wants_cookie(client, sent.is_some(), standing);
        if permitted
            && !wants_cookie
            && query.as_ref().is_ok_and(|query| query.qclass == CLASS_IN)
            && let Some(body) = cache.find(qname.with_type(), room, at)
        {
            body.write(&echo, opt, self.serial(), rng, out);
            return Verdict::Reply(Summary {
                qtype,
                rcode: body.head.rcode(),
                source: Source::Prepared,
            });
        }
        let mut basis = Basis::default();
        let outcome = match &query {
            Err(rcode) => Outcome::Refused {
                rcode: *rcode,
                error: None,
            },
            Ok(_) if !permitted => {
                let text = "this server doesn't answer your network";
                Outcome::refused(Rcode::REFUSED, ExtendedError::PROHIBITED, text)
            }
            Ok(_) if wants_cookie => Outcome::Refused {
                rcode: Rcode::BADCOOKIE,
                error: None,
            },
            Ok(query) => {
                let resolver = Resolver {
                    zones,
                    directory: self.registry.directory(),
                    now,
                    class: room.class,
                    rng,
                    basis: &mut basis,
                };
                self.look_up(query, qname, resolver)
            }
        };
        let frame = Frame {
            class: query.as_ref().map_or(CLASS_IN, |query| query.qclass),
            qname: match echo.question {
                [] => &[],
                _ => qname.as_wire(),
            },
            room,
        };
        compose(frame, &outcome, draft);
        draft.body().write(&echo, opt, self.serial(), rng, out);
        if let Some(view) = basis.views().first() {
            view.count(1);
        }
        if basis.is_kept() && outcome.is_kept(qtype) {
            cache.keep(qname.with_type(), room, draft, basis, revision);
        }
        Verdict::Reply(Summary {
            qtype,
            rcode: outcome.rcode(),
            source: Source::Made,
        })
    }

    fn look_up<'z>(
        &self,
        query: &Query<'_>,
        qname: &FoldedName,
        resolver: Resolver<'z, '_>,
    ) -> Outcome<'z> {
        if query.qclass == CLASS_CH
            && let Some(set) = self.identity.chaos_records(qname.as_wire(), query.qtype)
        {
            // The cache is asked in class IN alone.
            resolver.basis.discard();
            return Outcome::Hit {
                answer: vec![std::borrow::Cow::Owned(set)],
                additional: Vec::new(),
                error: None,
            };
        }
        if query.qclass != CLASS_IN {
            let text = "only class IN is served";
            return Outcome::refused(Rcode::REFUSED, ExtendedError::NOT_SUPPORTED, text);
        }
        if matches!(query.qtype, RecordType::AXFR | RecordType::IXFR) {
            let text = "zone transfers are not offered";
            return Outcome::refused(Rcode::REFUSED, ExtendedError::NOT_SUPPORTED, text);
        }
        resolve(resolver, qname.as_wire(), query.qtype)
    }

    /// The serial of the discovery zone's SOA: the low bits of the registry's
    /// revision ([RFC 1982](https://www.rfc-editor.org/rfc/rfc1982): serials wrap).
    fn serial(&self) -> u32 {
        self.registry.directory().revision() as u32
    }

    /// Most octets of a datagram to this client.
    fn payload(&self, client: Client) -> u16 {
        match client.address.to_canonical().is_loopback() {
            true => self.udp_payload.max(LOOPBACK_UDP_PAYLOAD),
            false => self.udp_payload,
        }
    }
}

/// What a client has room for, an OPT with these options set aside.
fn room(echo: &Echo<'_>, client: Client, opt: Opt<'_>) -> Room {
    let limit = match echo.edns {
        _ if !client.datagram => usize::from(u16::MAX),
        Some(edns) => usize::from(edns.payload.min(opt.payload)),
        None => usize::from(PLAIN_UDP_PAYLOAD),
    };
    let reserve = usize::from(client.reserve);
    let opt_len = match echo.edns {
        Some(_) => opt.len(),
        None => 0,
    };
    Room {
        space: limit.saturating_sub(reserve + opt_len),
        base: HEADER_LEN + echo.question.len(),
        edns: echo.edns.is_some(),
        class: ClientClass::of(client.address),
    }
}
