//! A message as text, as `dig` prints it.

use std::fmt::Write as _;

use super::{name_in, rdata_in};
use crate::dns::message::{HEADER_LEN, Rcode};
use crate::dns::rr::RecordType;

/// The names of extended errors ([RFC 8914](https://www.rfc-editor.org/rfc/rfc8914) §4), by their codes.
const EXTENDED_ERRORS: [&str; 25] = [
    "Other",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDOMAIN Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
];

/// Octets that are no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the response is malformed")]
pub struct Malformed;

/// A record, its rdata as a place in the message.
struct Record {
    owner: String,
    rtype: RecordType,
    class: u16,
    ttl: u32,
    rdata: std::ops::Range<usize>,
}

/// All of a message: header, OPT, and the sections that have something in them.
pub fn message(octets: &[u8]) -> Result<String, Malformed> {
    print(octets).ok_or(Malformed)
}

/// A message taken apart.
struct Parts {
    header: [u8; HEADER_LEN],
    questions: String,
    sections: [Vec<Record>; 3],
    opt: Option<Record>,
    rcode: Rcode,
}

fn parts(octets: &[u8]) -> Option<Parts> {
    let header = octets.first_chunk::<HEADER_LEN>()?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let mut at = HEADER_LEN;
    let mut questions = String::new();
    for _ in 0..word(4) {
        let (name, end) = name_in(octets, at)?;
        let [t0, t1, c0, c1] = *octets.get(end..)?.first_chunk()?;
        let (rtype, class) = (u16::from_be_bytes([t0, t1]), u16::from_be_bytes([c0, c1]));
        // Writing into a string can't fail, here and below.
        let _ = writeln!(
            questions,
            ";{name}\t\t{}\t{}",
            self::class(class),
            RecordType(rtype)
        );
        at = end + 4;
    }
    let mut sections = [Vec::new(), Vec::new(), Vec::new()];
    for (section, count) in sections.iter_mut().zip([word(6), word(8), word(10)]) {
        for _ in 0..count {
            let record = record(octets, at)?;
            at = record.rdata.end;
            section.push(record);
        }
    }
    if at != octets.len() {
        return None;
    }
    let [_, _, additional] = &mut sections;
    let is_opt = |record: &Record| record.rtype == RecordType::OPT;
    let opt = additional
        .iter()
        .position(is_opt)
        .map(|at| additional.remove(at));
    let extended = opt.as_ref().map_or(0, |opt| opt.ttl >> 24) as u16;
    Some(Parts {
        header: *header,
        questions,
        sections,
        opt,
        rcode: Rcode(extended << 4 | word(2) & 0xf),
    })
}

/// What a response says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// The response code by its name.
    pub rcode: String,
    /// AA.
    pub authoritative: bool,
    /// The records of answer, authority and additional, each a line of a master file.
    pub sections: [Vec<String>; 3],
    /// Least TTL of the answer's records, else of the authority's.
    pub ttl: Option<u32>,
    /// The extended error as `dig` prints it.
    pub error: Option<String>,
}

/// Reads a response.
pub fn said(octets: &[u8]) -> Result<Said, Malformed> {
    let parts = parts(octets).ok_or(Malformed)?;
    let ttl = |records: &Vec<Record>| records.iter().map(|record| record.ttl).min();
    let least = parts.sections.iter().find_map(ttl);
    let line = |record: Record| {
        let Record {
            owner,
            rtype,
            class,
            ttl,
            rdata,
        } = record;
        let rdata = rdata_in(rtype, octets, rdata);
        format!("{owner} {ttl} {} {rtype} {rdata}", self::class(class))
    };
    let options = parts.opt.and_then(|opt| options(octets.get(opt.rdata)?));
    let error = options.as_deref().and_then(|options| {
        let mut lines = options.lines();
        lines.find_map(|line| line.strip_prefix("; EDE: ").map(str::to_owned))
    });
    Ok(Said {
        rcode: status(parts.rcode),
        authoritative: parts.header[2] & 4 != 0,
        sections: parts
            .sections
            .map(|section| section.into_iter().map(line).collect()),
        ttl: least,
        error,
    })
}

fn print(octets: &[u8]) -> Option<String> {
    let Parts {
        header,
        questions,
        sections: [answer, authority, additional],
        opt,
        rcode,
    } = parts(octets)?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let mut text = format!(
        ";; ->>HEADER<<- opcode: {}, status: {}, id: {}\n;; flags:{}; QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}\n",
        opcode(word(2) >> 11 & 0xf),
        status(rcode),
        word(0),
        flags(word(2)),
        word(4),
        word(6),
        word(8),
        word(10),
    );
    if let Some(opt) = opt {
        text += "\n;; OPT PSEUDOSECTION:\n";
        let dnssec_ok = if opt.ttl & 0x8000 != 0 { " do" } else { "" };
        let version = opt.ttl >> 16 & 0xff;
        let _ = writeln!(
            text,
            "; EDNS: version: {version}, flags:{dnssec_ok}; udp: {}",
            opt.class
        );
        text += &options(octets.get(opt.rdata)?)?;
    } else {
        text.push('\n');
    }
    if !questions.is_empty() {
        let _ = write!(text, ";; QUESTION SECTION:\n{questions}");
    }
    for (name, records) in [
        ("ANSWER", answer),
        ("AUTHORITY", authority),
        ("ADDITIONAL", additional),
    ] {
        if !records.is_empty() {
            let _ = writeln!(text, "\n;; {name} SECTION:");
        }
        for Record {
            owner,
            rtype,
            class,
            ttl,
            rdata,
        } in records
        {
            let rdata = rdata_in(rtype, octets, rdata);
            let _ = writeln!(
                text,
                "{owner}\t{ttl}\t{}\t{rtype}\t{rdata}",
                self::class(class)
            );
        }
    }
    Some(text)
}

fn record(octets: &[u8], at: usize) -> Option<Record> {
    let (owner, end) = name_in(octets, at)?;
    let fixed: &[u8; 10] = octets.get(end..)?.first_chunk()?;
    let word = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let start = end + 10;
    let rdata = start..start + usize::from(word(8));
    octets.get(rdata.clone())?;
    Some(Record {
        owner: owner.to_string(),
        rtype: RecordType(word(0)),
        class: word(2),
        ttl: u32::from(word(4)) << 16 | u32::from(word(6)),
        rdata,
    })
}

/// The options of OPT, a line each.
fn options(mut rdata: &[u8]) -> Option<String> {
    let mut text = String::new();
    while let Some((&[code_0, code_1, len_0, len_1], rest)) = rdata.split_first_chunk() {
        let (value, rest) = rest.split_at_checked(u16::from_be_bytes([len_0, len_1]).into())?;
        let digits = |gap| {
            let digits: Vec<String> = value.iter().map(|octet| format!("{octet:02x}")).collect();
            digits.join(gap)
        };
        let line = match (u16::from_be_bytes([code_0, code_1]), value) {
            (3, value) => format!("NSID: {} (\"{}\")", digits(" "), printable(value)),
            (10, _) => format!("COOKIE: {}", digits("")),
            (15, [code_0, code_1, reason @ ..]) => {
                let code = u16::from_be_bytes([*code_0, *code_1]);
                let name = EXTENDED_ERRORS.get(usize::from(code)).unwrap_or(&"Unknown");
                match reason {
                    [] => format!("EDE: {code} ({name})"),
                    reason => format!("EDE: {code} ({name}): ({})", printable(reason)),
                }
            }
            (code, _) => format!("OPT={code}: {}", digits(" ")),
        };
        let _ = writeln!(text, "; {line}");
        rdata = rest;
    }
    rdata.is_empty().then_some(text)
}

fn printable(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    text.chars()
        .map(|c| if c.is_control() { '.' } else { c })
        .collect()
}

fn opcode(opcode: u16) -> String {
    match opcode {
        0 => "QUERY".to_owned(),
        4 => "NOTIFY".to_owned(),
        5 => "UPDATE".to_owned(),
        other => format!("RESERVED{other}"),
    }
}

fn status(rcode: Rcode) -> String {
    match rcode.as_str() {
        "other" => format!("RESERVED{}", rcode.0),
        known => known.to_owned(),
    }
}

fn flags(word: u16) -> String {
    let names = [
        (15, "qr"),
        (10, "aa"),
        (9, "tc"),
        (8, "rd"),
        (7, "ra"),
        (5, "ad"),
        (4, "cd"),
    ];
    let set = names.iter().filter(|(bit, _)| word >> bit & 1 == 1);
    set.map(|(_, name)| format!(" {name}")).collect()
}

fn class(class: u16) -> String {
    match class {
        1 => "IN".to_owned(),
        3 => "CH".to_owned(),
        other => format!("CLASS{other}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200), counts in 0u8..3) {
            let _ = message(&octets);
            // Counts that can be met.
            let mut small = octets;
            for at in [4, 6, 8, 10] {
                if let Some(word) = small.get_mut(at..at + 2) {
                    word.copy_from_slice(&[0, counts]);
                }
            }
            let _ = message(&small);
        }
    }
}
