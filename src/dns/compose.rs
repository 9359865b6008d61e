//! From an [`Outcome`] to the octets of a response. The only composer.
//!
//! Sections are filled in order with whole records; address records that were
//! added as a help go first when room is short, without a word, while answers
//! that don't fit set TC (RFC 2181 §9). Which records of a cut RRset are kept
//! depends on the client's class alone, which is made of its address, so that a
//! client that asks again sees the same ones.
//!
//! Owner names are compressed against every name written before (RFC 1035
//! §4.1.4); rdata is copied as it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;

use super::body::{AUTHORITATIVE, Draft, Extent, Head, RESPONSE, TRUNCATED, Turn, shares_of, turn};
use super::message::{ExtendedError, HEADER_LEN};
use super::outcome::Outcome;
use super::rr::{RecordType, RrSet, Varies};
use crate::name::wire_is_within;

/// Largest offset that a compression pointer can hold.
const MAX_POINTER: usize = 0x3fff;

/// Most octets of an extended error's text, so that it can't crowd out records.
const MAX_EXTRA_TEXT: usize = 200;

/// Names of a response, usually.
const NAMES: usize = 14;

/// Octets of a name that only points at an earlier one.
const POINTER_LEN: usize = 2;

/// Octets of the shortest record: owner `.`, type, class, TTL, a length of 0.
const MIN_RECORD_LEN: usize = 11;

/// What a response is composed for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// The question's name in wire form and lower case; nothing without a question.
    pub qname: &'a [u8],
    /// The class of all records.
    pub class: u16,
    /// What the client has room for.
    pub room: Room,
}

/// What a client has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Most octets of header, question, body and, with `edns`, the reason.
    pub space: usize,
    /// Octets of header and question.
    pub base: usize,
    /// Whether there's an OPT for a reason.
    pub edns: bool,
    /// The client's class.
    pub class: ClientClass,
}

/// One of 65 536 kinds of clients, each of which has its own subset of a service
/// whose policy has a limit of answers (`max_answers`): enough that together they
/// hold every instance, even where each has one of thousands.
///
/// Of an answer that is too long for a client each of 256 kinds has its own
/// [part](ClientClass::part): few enough that each part can be kept ready, enough
/// that together they hold every record.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct ClientClass(u16);

impl ClientClass {
    /// The class of a client, the same in every server and forever.
    pub(super) fn of(address: IpAddr) -> Self {
        let hash = foldhash::quality::FixedState::default().hash_one(address.to_canonical());
        Self(hash as u16)
    }

    /// Which of 256 parts of a long answer it has.
    pub(super) fn part(self) -> u8 {
        self.0 as u8
    }
}

/// Makes the body of a response in `draft`, whose contents it replaces.
pub(super) fn compose(frame: Frame<'_>, outcome: &Outcome<'_>, draft: &mut Draft) {
    draft.octets.clear();
    draft.reason.clear();
    draft.turns.clear();
    draft.head = Head::default();
    if let Some(error) = outcome.extended_error() {
        write_reason(error, &mut draft.reason);
    }
    let sections = outcome.sections();
    let mut writer = Writer::start(frame, draft);
    let answers = writer.section(sections.answer, Overflow::Truncates);
    writer.is_answer = false;
    let authority = writer.section(sections.authority, Overflow::Truncates);
    let help = match sections.additional_is_optional {
        true => Overflow::LeavesOut,
        false => Overflow::Truncates,
    };
    let additional = match writer.extent {
        Extent::Cut => 0,
        Extent::Whole | Extent::Essential => writer.section(sections.additional, help),
    };
    let (extent, turns_end, serial_at) = (writer.extent, writer.turns_end, writer.serial_at);
    let rcode = outcome.rcode();
    let mut flags = RESPONSE | rcode.0 & 0xf;
    flags |= if sections.authoritative {
        AUTHORITATIVE
    } else {
        0
    };
    flags |= if extent == Extent::Cut { TRUNCATED } else { 0 };
    draft.head = Head {
        flags,
        extended_rcode: (rcode.0 >> 4) as u8,
        counts: [answers, authority, additional],
        extent,
        serial_at,
        turns_end,
    };
}

/// Writes an extended error as an option: 15, its length, INFO-CODE, EXTRA-TEXT
/// ([RFC 8914](https://www.rfc-editor.org/rfc/rfc8914) §2).
fn write_reason(error: &ExtendedError, out: &mut Vec<u8>) {
    let mut end = error.text.len().min(MAX_EXTRA_TEXT);
    while !error.text.is_char_boundary(end) {
        end -= 1;
    }
    // The text has at most MAX_EXTRA_TEXT octets, so the length fits.
    for word in [15, end as u16 + 2, error.code] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(&error.text.as_bytes()[..end]);
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
    turns: &'a mut Vec<Turn>,
    turns_end: u16,
    serial_at: Option<u16>,
    is_answer: bool,
    extent: Extent,
    /// The part that the client has when there's too much.
    part: u8,
    /// The class of all records.
    class: u16,
    /// Octets before the body: header and question.
    base: usize,
    /// Most octets of the body.
    limit: usize,
    /// The question's name, which was written first.
    qname: &'a [u8],
    /// Where other names were written, by their octets.
    names: HashMap<&'a [u8], u16, foldhash::fast::RandomState>,
}

impl<'a> Writer<'a> {
    fn start(frame: Frame<'a>, draft: &'a mut Draft) -> Self {
        let Room {
            space,
            base,
            edns,
            class,
        } = frame.room;
        let reason = if edns { draft.reason.len() } else { 0 };
        Self {
            out: &mut draft.octets,
            turns: &mut draft.turns,
            turns_end: 0,
            serial_at: None,
            is_answer: true,
            extent: Extent::Whole,
            part: class.part(),
            class: frame.class,
            base,
            limit: space.saturating_sub(base + reason),
            qname: frame.qname,
            names: HashMap::default(),
        }
    }

    /// Writes RRsets and counts the records that fit.
    fn section(&mut self, sets: &'a [Cow<'_, RrSet>], overflow: Overflow) -> u16 {
        let mut count = 0;
        for set in sets {
            let start = self.out.len();
            if self.is_answer {
                // The last set of the answer is the one whose order is drawn.
                self.turns.clear();
            }
            if (0..set.len()).all(|index| self.record(set, index)) {
                count += set.len();
                continue;
            }
            self.undo(start);
            self.extent = Extent::Essential;
            if overflow == Overflow::Truncates {
                self.extent = Extent::Cut;
                if self.is_answer {
                    self.turns.clear();
                }
                count += self.stable_subset(set);
                break;
            }
        }
        // 65 535 octets hold fewer records than that.
        u16::try_from(count).unwrap_or(u16::MAX)
    }

    /// Writes as many records of a set as fit: those that the client's class
    /// ranks first. A record that comes or goes moves no other one's rank.
    fn stable_subset(&mut self, set: &'a RrSet) -> usize {
        let rank = foldhash::quality::FixedState::default();
        let mut ranked: Vec<(u64, usize)> = (0..set.len())
            .map(|index| (rank.hash_one((self.part, set.rdata(index))), index))
            .collect();
        // Those that there's no room for needn't be in order.
        let most = self.limit.saturating_sub(self.out.len()) / MIN_RECORD_LEN;
        if most < ranked.len() {
            ranked.select_nth_unstable(most);
            ranked.truncate(most);
        }
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
        let owner_len = self.out.len() - start;
        self.out.extend_from_slice(&set.rtype.0.to_be_bytes());
        self.out.extend_from_slice(&self.class.to_be_bytes());
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
        // The name that the next records will have. The target of an SRV isn't
        // noted: hickory-server, which encodes this again, points at none, and a
        // response that it makes longer may not fit the client any more.
        if matches!(set.rtype, RecordType::NS | RecordType::CNAME) {
            self.note(rdata, rdata_start);
        }
        match &set.varies {
            // One that others point into has its place.
            Varies::First(shares) if self.is_answer && owner_len == POINTER_LEN => {
                let before = self.turns.last().map_or(0, shares_of);
                let (start, shares) = (start as u16, before.saturating_add(shares[index]));
                self.turns.push(turn(start, shares));
                self.turns_end = self.out.len() as u16;
            }
            // The last 20 octets of an SOA are its numbers, the serial first.
            Varies::Serial => self.serial_at = Some((self.out.len() - 20) as u16),
            Varies::First(_) | Varies::Nothing => {}
        }
        true
    }

    /// Takes back what was written from `start` on.
    fn undo(&mut self, start: usize) {
        self.out.truncate(start);
        let end = self.base + start;
        self.names.retain(|_, offset| usize::from(*offset) < end);
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

    /// Notes that `name` stands at octet `at` of the body, if a pointer can lead there.
    fn note(&mut self, name: &'a [u8], at: usize) {
        let offset = self.base + at;
        if offset <= MAX_POINTER {
            if self.names.is_empty() {
                self.names.reserve(NAMES);
            }
            // The first place is as good as any later one.
            self.names.entry(name).or_insert(offset as u16);
        }
    }

    /// Where `name` was written before.
    fn offset_of(&self, name: &[u8]) -> Option<u16> {
        // The question has the client's letter case, and the answer keeps it.
        if let Some(start) = self.qname.len().checked_sub(name.len())
            && wire_is_within(self.qname, name)
        {
            return u16::try_from(HEADER_LEN + start).ok();
        }
        self.names.get(name).copied()
    }
}
