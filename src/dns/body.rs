//! A response, but for what differs from query to query.
//!
//! ```text
//! header │ question │ answer │ authority │ additional │ OPT
//!  query    query    └────────────  body ───────────┘  query
//! ```
//!
//! A body is made once by the composer, into a [`Draft`], and written as often as
//! the same is asked: behind a header with the client's id and flags and behind
//! the question in the client's own letter case, with an OPT that answers the
//! client's. All that names in a body point at is the question or the body
//! itself, so it's right behind any question of the same length.
//!
//! Two things move from one writing to the next. Which record of the answer's
//! last RRset comes first is drawn by the records' shares, and the others follow
//! in a circle; and the serial in an SOA of ours is the one of the moment.

use super::message::{HEADER_LEN, MAX_DATAGRAM, Rcode};
use super::query::Echo;
use super::rr::RecordType;

/// OPT without options: root, type, class, TTL, length.
pub(super) const OPT_LEN: usize = 11;

/// Flags QR, AA and TC, in the header's second word.
pub(super) const RESPONSE: u16 = 0x8000;
pub(super) const AUTHORITATIVE: u16 = 0x0400;
pub(super) const TRUNCATED: u16 = 0x0200;

/// What a body is, beside its octets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    /// QR, AA, TC and the lower bits of the response code.
    pub flags: u16,
    /// The upper bits of the response code, which OPT carries.
    pub extended_rcode: u8,
    /// Records in the answer, authority and additional section, without OPT.
    pub counts: [u16; 3],
    /// How much of what belongs in it is in it.
    pub extent: Extent,
    /// Where the octets of an SOA's serial are that moves with the registry.
    pub serial_at: Option<u16>,
    /// Where the records end whose first is drawn.
    pub turns_end: u16,
}

impl Head {
    /// The response code.
    pub(super) fn rcode(&self) -> Rcode {
        Rcode(u16::from(self.extended_rcode) << 4 | self.flags & 0xf)
    }
}

/// How much of what belongs in a response is in it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Extent {
    /// Everything.
    #[default]
    Whole,
    /// Everything that was asked for, but not all that would help.
    Essential,
    /// As much of what was asked for as had room, by the client's class.
    Cut,
}

/// A record that may come first, as it's kept: where it starts in the body, and
/// the shares of first places up to it and its own.
pub(super) type Turn = [u8; 6];

/// Makes a [`Turn`].
pub(super) fn turn(start: u16, shares: u32) -> Turn {
    let ([a, b], [c, d, e, f]) = (start.to_ne_bytes(), shares.to_ne_bytes());
    [a, b, c, d, e, f]
}

fn start_of(&[a, b, ..]: &Turn) -> usize {
    u16::from_ne_bytes([a, b]).into()
}

/// The shares up to a record and its own.
pub(super) fn shares_of(&[_, _, a, b, c, d]: &Turn) -> u32 {
    u32::from_ne_bytes([a, b, c, d])
}

/// The buffers that a body is made in.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// What it is.
    pub head: Head,
    /// All sections.
    pub octets: Vec<u8>,
    /// The option of OPT that says why, or nothing.
    pub reason: Vec<u8>,
    /// The records that may come first, if the order isn't fixed.
    pub turns: Vec<Turn>,
}

impl Draft {
    /// The body that was made.
    pub(super) fn body(&self) -> Body<'_> {
        Body {
            head: &self.head,
            octets: &self.octets,
            reason: &self.reason,
            turns: &self.turns,
        }
    }
}

/// A response but for header, question and OPT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    /// What it is.
    pub head: &'a Head,
    /// All sections.
    pub octets: &'a [u8],
    /// The option of OPT that says why, or nothing.
    pub reason: &'a [u8],
    /// The records that may come first, if the order isn't fixed.
    pub turns: &'a [Turn],
}

/// A body without records that has the client ask again over TCP.
pub(super) const ASK_AGAIN: Body<'static> = Body {
    head: &Head {
        flags: RESPONSE | TRUNCATED,
        extended_rcode: 0,
        counts: [0; 3],
        extent: Extent::Cut,
        serial_at: None,
        turns_end: 0,
    },
    octets: &[],
    reason: &[],
    turns: &[],
};

/// What our OPT says, beside what the body has for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opt<'a> {
    /// The payload size that we send at most.
    pub payload: u16,
    /// Our cookie, as an option ready for the wire, or nothing.
    pub cookie: &'a [u8],
    /// The same for NSID.
    pub nsid: &'a [u8],
}

impl Opt<'_> {
    /// Octets of the whole record without a body's reason.
    pub(super) fn len(&self) -> usize {
        OPT_LEN + self.cookie.len() + self.nsid.len()
    }
}

impl Body<'_> {
    /// Octets of the whole response to `echo`.
    pub(super) fn response_len(&self, echo: &Echo<'_>, opt: Opt<'_>) -> usize {
        let opt_len = match echo.edns {
            Some(_) => opt.len() + self.reason.len(),
            None => 0,
        };
        HEADER_LEN + echo.question.len() + self.octets.len() + opt_len
    }

    /// Writes the response to `echo` into `out`, whose contents it replaces.
    pub(super) fn write(
        &self,
        echo: &Echo<'_>,
        opt: Opt<'_>,
        serial: u32,
        rng: &mut fastrand::Rng,
        out: &mut Vec<u8>,
    ) {
        let Head { flags, counts, .. } = *self.head;
        let desired = u16::from(echo.recursion_desired) << 8;
        let words = [
            echo.id,
            flags | u16::from(echo.opcode) << 11 | desired,
            u16::from(!echo.question.is_empty()),
            counts[0],
            counts[1],
            counts[2] + u16::from(echo.edns.is_some()),
        ];
        let mut header = [0; HEADER_LEN];
        for (field, word) in header.chunks_exact_mut(2).zip(words) {
            field.copy_from_slice(&word.to_be_bytes());
        }
        out.clear();
        out.reserve(self.response_len(echo, opt));
        out.extend_from_slice(&header);
        out.extend_from_slice(echo.question);
        let start = out.len();
        self.write_sections(rng, out);
        if let Some(at) = self.head.serial_at {
            let at = start + usize::from(at);
            out[at..at + 4].copy_from_slice(&serial.to_be_bytes());
        }
        if let Some(edns) = echo.edns {
            self.write_opt(edns.dnssec_ok, opt, out);
        }
    }

    fn write_sections(&self, rng: &mut fastrand::Rng, out: &mut Vec<u8>) {
        let [first, .., last] = self.turns else {
            out.extend_from_slice(self.octets);
            return;
        };
        let drawn = rng.u32(0..shares_of(last).max(1));
        let turn = self.turns.partition_point(|turn| shares_of(turn) <= drawn);
        let begin = start_of(first);
        let (drawn, end) = (
            self.turns.get(turn).map_or(begin, start_of),
            usize::from(self.head.turns_end),
        );
        let pieces = [0..begin, drawn..end, begin..drawn, end..self.octets.len()];
        for piece in pieces {
            out.extend_from_slice(&self.octets[piece]);
        }
    }

    /// Writes our OPT ([RFC 6891](https://www.rfc-editor.org/rfc/rfc6891) §6.1.2): version 0, DO as it was,
    /// and as the payload size what we take ourselves.
    fn write_opt(&self, dnssec_ok: bool, opt: Opt<'_>, out: &mut Vec<u8>) {
        let [type_0, type_1] = RecordType::OPT.0.to_be_bytes();
        let [payload_0, payload_1] = opt.payload.min(MAX_DATAGRAM).to_be_bytes();
        // All of them together are far below the 65 535 octets of rdata.
        let len = (opt.len() - OPT_LEN + self.reason.len()) as u16;
        let [len_0, len_1] = len.to_be_bytes();
        let fixed: [u8; OPT_LEN] = [
            0,
            type_0,
            type_1,
            payload_0,
            payload_1,
            self.head.extended_rcode,
            0,
            u8::from(dnssec_ok) << 7,
            0,
            len_0,
            len_1,
        ];
        out.extend_from_slice(&fixed);
        out.extend_from_slice(opt.cookie);
        out.extend_from_slice(opt.nsid);
        out.extend_from_slice(self.reason);
    }
}
