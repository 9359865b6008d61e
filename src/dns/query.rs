//! A borrowed view of a query: header, question and OPT.
//!
//! Nothing is copied but the name, which is folded to lower case for looking
//! up, into a place that the caller keeps; the question's own octets are kept
//! for the echo. What can't be answered
//! is refused in wire order: too short, a response, the opcode, the count of
//! questions, the question, the other records, OPT ([RFC 1035] §4.1,
//! [RFC 6891] §6, [RFC 9619]).
//!
//! No input panics, and none makes this do more than one pass.
//!
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 6891]: https://www.rfc-editor.org/rfc/rfc6891
//! [RFC 9619]: https://www.rfc-editor.org/rfc/rfc9619

use super::cookie::CookieOption;
use super::identity::NSID_OPTION;
use super::message::{HEADER_LEN, Rcode};
use super::rr::RecordType;
use crate::name::{MAX_LABEL_LEN, MAX_NAME_LEN};

/// Class IN.
pub(super) const CLASS_IN: u16 = 1;

/// The code of the COOKIE option.
pub(super) const COOKIE_OPTION: u16 = 10;

/// A query that can be answered.
#[derive(Debug)]
pub(super) struct Query<'a> {
    /// What an answer repeats.
    pub echo: Echo<'a>,
    /// The type asked for.
    pub qtype: RecordType,
    /// The class asked for.
    pub qclass: u16,
}

/// What every response repeats of its query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echo<'a> {
    /// The id.
    pub id: u16,
    /// The opcode, 0 to 15.
    pub opcode: u8,
    /// Recursion desired.
    pub recursion_desired: bool,
    /// The question's octets, or none when it couldn't be read.
    pub question: &'a [u8],
    /// The client's EDNS, if it sent one.
    pub edns: Option<Edns<'a>>,
}

/// What a client says in its OPT record ([RFC 6891](https://www.rfc-editor.org/rfc/rfc6891) §6.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Edns<'a> {
    /// Largest UDP payload it takes; below 512 counts as 512.
    pub payload: u16,
    /// Whether it set DO, which is copied ([RFC 3225](https://www.rfc-editor.org/rfc/rfc3225) §3).
    pub dnssec_ok: bool,
    /// Its cookie and perhaps ours ([RFC 7873](https://www.rfc-editor.org/rfc/rfc7873) §4).
    pub cookie: Option<CookieOption<'a>>,
    /// Whether it asks which server this is ([RFC 5001](https://www.rfc-editor.org/rfc/rfc5001) §2.1).
    pub wants_nsid: bool,
}

/// What came instead of a [`Query`].
#[derive(Debug)]
pub(super) enum Unanswerable<'a> {
    /// Nothing that may be answered: too short, or itself a response.
    Silence,
    /// An error response.
    Refuse(Echo<'a>, Rcode),
}

/// A name in wire form and lower case, with the type asked for behind it, in a
/// place that is used again for each query.
#[derive(Clone)]
pub(super) struct FoldedName {
    octets: [u8; MAX_NAME_LEN + 2],
    len: u8,
}

impl Default for FoldedName {
    fn default() -> Self {
        Self {
            octets: [0; MAX_NAME_LEN + 2],
            len: 0,
        }
    }
}

impl FoldedName {
    /// The name's octets, the root's zero included.
    pub(super) fn as_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// The name's octets and the type's two: the same for the same question.
    pub(super) fn with_type(&self) -> &[u8] {
        &self.octets[..usize::from(self.len) + 2]
    }

    /// Takes over a question's name, as it was sent, and its type; `None` when
    /// the name is longer than [`MAX_NAME_LEN`].
    fn set(&mut self, name: &[u8], qtype: RecordType) -> Option<()> {
        self.len = u8::try_from(name.len()).ok()?;
        let (folded, rest) = self.octets.split_at_mut(name.len());
        folded.copy_from_slice(name);
        // Lengths are below any letter's code.
        folded.make_ascii_lowercase();
        rest.get_mut(..2)?.copy_from_slice(&qtype.0.to_be_bytes());
        Some(())
    }
}

impl std::fmt::Debug for FoldedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "FoldedName({:?})",
            self.as_wire().escape_ascii().to_string()
        )
    }
}

/// Reads a message; the name asked for goes into `qname`.
pub(super) fn parse<'a>(
    message: &'a [u8],
    qname: &mut FoldedName,
) -> Result<Query<'a>, Unanswerable<'a>> {
    let mut reader = Reader { message, at: 0 };
    let header: &[u8; HEADER_LEN] = reader
        .take(HEADER_LEN)
        .and_then(|octets| octets.try_into().ok())
        .ok_or(Unanswerable::Silence)?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let flags = word(2);
    if flags & 0x8000 != 0 {
        return Err(Unanswerable::Silence);
    }
    let mut echo = Echo {
        id: word(0),
        opcode: (flags >> 11 & 0xf) as u8,
        recursion_desired: flags & 0x0100 != 0,
        question: &[],
        edns: None,
    };
    let others = u32::from(word(6)) + u32::from(word(8));
    if echo.opcode != 0 {
        // What its sections mean is unknown, too; if they read like a query's,
        // the OPT among them is answered (RFC 6891 §6.1.1).
        if word(4) == 0 || word(4) == 1 && reader.question(qname).is_some() {
            echo.edns = reader.opt(others, word(10)).0.map(|(edns, _)| edns);
        }
        return Err(Unanswerable::Refuse(echo, Rcode::NOTIMP));
    }
    // RFC 9619 §4: a query has exactly one question. The OPT behind others, or
    // none, is answered all the same.
    if word(4) != 1 {
        let skipped = (0..word(4)).all(|_| reader.skip_question().is_some());
        let (opt, well_formed) = match skipped {
            true => reader.opt(others, word(10)),
            false => (None, false),
        };
        echo.edns = opt.map(|(edns, _)| edns);
        // RFC 7873 §5.4: one who only wants a cookie.
        let wants_cookie = echo.edns.is_some_and(|edns| edns.cookie.is_some());
        let rcode = match word(4) == 0 && well_formed && wants_cookie {
            true => Rcode::NOERROR,
            false => Rcode::FORMERR,
        };
        return Err(Unanswerable::Refuse(echo, rcode));
    }
    let Some((qtype, qclass)) = reader.question(qname) else {
        return Err(Unanswerable::Refuse(echo, Rcode::FORMERR));
    };
    echo.question = &message[HEADER_LEN..reader.at];
    let (opt, well_formed) = reader.opt(others, word(10));
    echo.edns = opt.map(|(edns, _)| edns);
    match opt {
        _ if !well_formed => Err(Unanswerable::Refuse(echo, Rcode::FORMERR)),
        // RFC 6891 §6.1.3: before anything else is looked at.
        Some((_, version)) if version != 0 => Err(Unanswerable::Refuse(echo, Rcode::BADVERS)),
        _ => Ok(Query {
            echo,
            qtype,
            qclass,
        }),
    }
}

/// Reads a message's question alone, if it has one, into `qname`.
pub(super) fn fold_question(message: &[u8], qname: &mut FoldedName) -> Option<RecordType> {
    let mut reader = Reader {
        message,
        at: HEADER_LEN,
    };
    Some(reader.question(qname)?.0)
}

/// Name and type of a message's question as they were sent, if it has one.
pub(super) fn question(message: &[u8]) -> Option<(&[u8], RecordType)> {
    let mut folded = FoldedName::default();
    let qtype = fold_question(message, &mut folded)?;
    let end = HEADER_LEN + folded.as_wire().len();
    Some((message.get(HEADER_LEN..end)?, qtype))
}

/// A record as it stands in the message, without its owner.
struct RawRecord<'a> {
    at_root: bool,
    rtype: RecordType,
    class: u16,
    ttl: [u8; 4],
    rdata: &'a [u8],
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    /// The question. A pointer in its name could only point into the header, so
    /// none is allowed.
    fn question(&mut self, folded: &mut FoldedName) -> Option<(RecordType, u16)> {
        let start = self.at;
        loop {
            match self.take(1)?[0] {
                0 => break,
                len if usize::from(len) <= MAX_LABEL_LEN => drop(self.take(usize::from(len))?),
                _ => return None,
            }
        }
        let name = &self.message[start..self.at];
        let (qtype, qclass) = (RecordType(self.u16()?), self.u16()?);
        folded.set(name, qtype)?;
        Some((qtype, qclass))
    }

    /// Passes over `others` records, then finds OPT and its version among
    /// `additional` ones; says, too, whether all of the message is well formed.
    fn opt(&mut self, others: u32, additional: u16) -> (Option<(Edns<'a>, u8)>, bool) {
        let mut found = None;
        for index in 0..others + u32::from(additional) {
            let Some(record) = self.record() else {
                return (found, false);
            };
            if record.rtype != RecordType::OPT || index < others {
                continue;
            }
            // RFC 6891 §6.1.1: one, at the root.
            if found.is_some() || !record.at_root {
                return (found, false);
            }
            let mut edns = Edns {
                payload: record.class.max(512),
                dnssec_ok: record.ttl[2] & 0x80 != 0,
                cookie: None,
                wants_nsid: false,
            };
            let well_formed = edns.read_options(record.rdata).is_some();
            found = Some((edns, record.ttl[1]));
            if !well_formed {
                return (found, false);
            }
        }
        (found, self.at == self.message.len())
    }

    fn record(&mut self) -> Option<RawRecord<'a>> {
        let owner = self.at;
        self.skip_name()?;
        let at_root = self.at - owner == 1;
        let (rtype, class) = (RecordType(self.u16()?), self.u16()?);
        let ttl = *self.take(4)?.first_chunk()?;
        let len = self.u16()?;
        Some(RawRecord {
            at_root,
            rtype,
            class,
            ttl,
            rdata: self.take(usize::from(len))?,
        })
    }

    fn skip_question(&mut self) -> Option<()> {
        self.skip_name()?;
        self.take(4).map(drop)
    }

    /// Passes over a name, compressed or not, without following pointers.
    fn skip_name(&mut self) -> Option<()> {
        loop {
            match self.take(1)?[0] {
                0 => return Some(()),
                len if usize::from(len) <= MAX_LABEL_LEN => drop(self.take(usize::from(len))?),
                len if len >= 0xc0 => return self.take(1).map(drop),
                _ => return None,
            }
        }
    }
}

impl<'a> Edns<'a> {
    /// Reads options: of each that's known the first. `None` when they don't fill
    /// `rdata` exactly, or a cookie is none (RFC 7873 §5.2.2).
    fn read_options(&mut self, mut rdata: &'a [u8]) -> Option<()> {
        while let Some((&[code_0, code_1, len_0, len_1], rest)) = rdata.split_first_chunk() {
            let (data, rest) = rest.split_at_checked(u16::from_be_bytes([len_0, len_1]).into())?;
            match u16::from_be_bytes([code_0, code_1]) {
                COOKIE_OPTION if self.cookie.is_none() => {
                    self.cookie = Some(CookieOption::parse(data).ok()?);
                }
                NSID_OPTION => self.wants_nsid = true,
                _ => {}
            }
            rdata = rest;
        }
        rdata.is_empty().then_some(())
    }
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
