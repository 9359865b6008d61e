//! From an [`Outcome`] to the octets of a response. The only composer.
//!
//! ```text
//! header │ question, as asked │ answer │ authority │ additional │ OPT
//! ```
//!
//! Room for OPT is set aside first. Then sections are filled in order with whole
//! records; address records that were added as a help go first when room is
//! short, without a word, while answers that don't fit set TC (RFC 2181 §9).
//! Which records of a cut RRset are kept depends on the client's address alone,
//! so that a client that asks again sees the same ones.
//!
//! Owner names are compressed against every name written before (RFC 1035
//! §4.1.4); rdata is copied as it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;

use super::message::{ExtendedError, HEADER_LEN, Rcode};
use super::outcome::Outcome;
use super::query::{CLASS_IN, Echo};
use super::rr::{RecordType, RrSet};
use crate::name::wire_is_within;

/// Largest offset that a compression pointer can hold.
const MAX_POINTER: usize = 0x3fff;

/// OPT without options: root, type, class, TTL, length.
const OPT_LEN: usize = 11;

/// Most octets of an extended error's text, so that it can't crowd out records.
const MAX_EXTRA_TEXT: usize = 200;

/// Flags AA and TC, in the header's second word.
const AUTHORITATIVE: u16 = 0x0400;
const TRUNCATED: u16 = 0x0200;

/// What a response is bounded by, and whom it's for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most octets of the whole response, at least 257.
    pub limit: usize,
    /// The payload size that our OPT offers.
    pub payload: u16,
    /// The client, whose address decides what stays of a cut RRset.
    pub client: IpAddr,
}

/// Writes the response to `echo` into `out`, whose contents it replaces.
pub(super) fn compose(echo: &Echo<'_>, outcome: &Outcome<'_>, bounds: Bounds, out: &mut Vec<u8>) {
    let error = outcome.extended_error().filter(|_| echo.edns.is_some());
    let sections = outcome.sections();
    let mut writer = Writer::start(
        echo,
        bounds.client,
        bounds.limit - opt_len(echo, error),
        out,
    );
    let answers = writer.section(sections.answer, Overflow::Truncates);
    let authority = writer.section(sections.authority, Overflow::Truncates);
    let additional = match writer.truncated {
        true => 0,
        false if sections.additional_is_optional => {
            writer.section(sections.additional, Overflow::LeavesOut)
        }
        false => writer.section(sections.additional, Overflow::Truncates),
    };
    let truncated = writer.truncated;
    let rcode = outcome.rcode();
    if echo.edns.is_some() {
        write_opt(echo, rcode, error, bounds.payload, out);
    }
    let mut flags = 0x8000 | u16::from(echo.opcode) << 11 | rcode.0 & 0xf;
    flags |= if echo.recursion_desired { 0x0100 } else { 0 };
    flags |= if sections.authoritative {
        AUTHORITATIVE
    } else {
        0
    };
    flags |= if truncated { TRUNCATED } else { 0 };
    let header = [
        echo.id,
        flags,
        u16::from(!echo.question.is_empty()),
        answers,
        authority,
        additional + u16::from(echo.edns.is_some()),
    ];
    for (field, word) in out[..HEADER_LEN].chunks_exact_mut(2).zip(header) {
        field.copy_from_slice(&word.to_be_bytes());
    }
}

/// Octets of the OPT that this response will carry; none without EDNS.
fn opt_len(echo: &Echo<'_>, error: Option<&ExtendedError>) -> usize {
    if echo.edns.is_none() {
        return 0;
    }
    OPT_LEN + error.map_or(0, |error| 6 + extra_text(error).len())
}

fn extra_text(error: &ExtendedError) -> &str {
    let mut end = error.text.len().min(MAX_EXTRA_TEXT);
    while !error.text.is_char_boundary(end) {
        end -= 1;
    }
    &error.text[..end]
}

/// Writes our OPT ([RFC 6891](https://www.rfc-editor.org/rfc/rfc6891) §6.1.2): version 0, DO as it was.
fn write_opt(
    echo: &Echo<'_>,
    rcode: Rcode,
    error: Option<&ExtendedError>,
    payload: u16,
    out: &mut Vec<u8>,
) {
    let dnssec_ok = echo.edns.is_some_and(|edns| edns.dnssec_ok);
    out.push(0);
    out.extend_from_slice(&RecordType::OPT.0.to_be_bytes());
    out.extend_from_slice(&payload.to_be_bytes());
    out.extend_from_slice(&[(rcode.0 >> 4) as u8, 0, u8::from(dnssec_ok) << 7, 0]);
    let Some(error) = error else {
        out.extend_from_slice(&[0, 0]);
        return;
    };
    // RFC 8914 §2: option 15, INFO-CODE, EXTRA-TEXT. The text has at most
    // MAX_EXTRA_TEXT octets, so the lengths fit.
    let text = extra_text(error);
    let len = text.len() as u16 + 2;
    for word in [len + 4, 15, len, error.code] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

/// What happens to a section whose records don't all fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Overflow {
    /// TC is set: the client must ask again over TCP.
    Truncates,
    /// RRsets that don't fit are left out; the client can ask for them.
    LeavesOut,
}

/// Records on their way into a response of limited size.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    client: IpAddr,
    limit: usize,
    truncated: bool,
    /// The question's name, which was written first.
    question: &'a [u8],
    /// Where other names were written, by their octets.
    names: HashMap<&'a [u8], u16, foldhash::fast::RandomState>,
}

impl<'a> Writer<'a> {
    fn start(echo: &Echo<'a>, client: IpAddr, limit: usize, out: &'a mut Vec<u8>) -> Self {
        out.clear();
        out.resize(HEADER_LEN, 0);
        out.extend_from_slice(echo.question);
        let name_len = echo.question.len().saturating_sub(4);
        let question = &echo.question[..name_len];
        Self {
            out,
            client,
            limit,
            truncated: false,
            question,
            names: HashMap::default(),
        }
    }

    /// Writes RRsets and counts the records that fit.
    fn section(&mut self, sets: &'a [Cow<'_, RrSet>], overflow: Overflow) -> u16 {
        let mut count = 0;
        for set in sets {
            let start = self.out.len();
            if (0..set.len()).all(|index| self.record(set, index)) {
                count += set.len();
                continue;
            }
            self.undo(start);
            if overflow == Overflow::Truncates {
                self.truncated = true;
                count += self.stable_subset(set);
                break;
            }
        }
        // 65 535 octets hold fewer records than that.
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// Writes as many records of a set as fit: those that the client's address
    /// ranks first. A record that comes or goes moves no other one's rank.
    fn stable_subset(&mut self, set: &'a RrSet) -> usize {
        let rank = foldhash::quality::FixedState::default();
        let mut ranked: Vec<(u64, usize)> = (0..set.len())
            .map(|index| (rank.hash_one((self.client, set.rdata(index))), index))
            .collect();
        ranked.sort_unstable();
        ranked
            .into_iter()
            .take_while(|(_, index)| self.record(set, *index))
            .count()
    }

    /// Writes one record, or nothing when it doesn't fit.
    fn record(&mut self, set: &'a RrSet, index: usize) -> bool {
        let (start, rdata) = (self.out.len(), set.rdata(index));
        self.name(set.owner.as_wire());
        self.out.extend_from_slice(&set.rtype.0.to_be_bytes());
        self.out.extend_from_slice(&CLASS_IN.to_be_bytes());
        self.out.extend_from_slice(&set.ttl.as_secs().to_be_bytes());
        // Rdata comes from checked input and has at most 65 535 octets.
        self.out
            .extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        let rdata_start = self.out.len();
        self.out.extend_from_slice(rdata);
        if self.out.len() > self.limit {
            self.undo(start);
            return false;
        }
        // The name that its address records will have. The target of an SRV isn't
        // noted: hickory-server, which encodes this again, points at none, and a
        // response that it makes longer may not fit the client any more.
        if set.rtype == RecordType::NS {
            self.note(rdata, rdata_start);
        }
        true
    }

    /// Takes back what was written from `start` on.
    fn undo(&mut self, start: usize) {
        self.out.truncate(start);
        self.names.retain(|_, offset| usize::from(*offset) < start);
    }

    /// Writes a name, as far as needed: what was written before is pointed at.
    fn name(&mut self, name: &'a [u8]) {
        let mut at = 0;
        while name[at] != 0 {
            let rest = &name[at..];
            if let Some(offset) = self.offset_of(rest) {
                self.out.extend_from_slice(&(0xc000 | offset).to_be_bytes());
                return;
            }
            self.note(rest, self.out.len());
            let next = at + 1 + usize::from(name[at]);
            self.out.extend_from_slice(&name[at..next]);
            at = next;
        }
        self.out.push(0);
    }

    /// Notes that `name` stands at `offset`, if a pointer can lead there.
    fn note(&mut self, name: &'a [u8], offset: usize) {
        if offset <= MAX_POINTER {
            // The first place is as good as any later one.
            self.names.entry(name).or_insert(offset as u16);
        }
    }

    /// Where `name` was written before.
    fn offset_of(&self, name: &[u8]) -> Option<u16> {
        // The question has the client's letter case, and the answer keeps it.
        if let Some(start) = self.question.len().checked_sub(name.len())
            && wire_is_within(self.question, name)
        {
            return u16::try_from(HEADER_LEN + start).ok();
        }
        self.names.get(name).copied()
    }
}
