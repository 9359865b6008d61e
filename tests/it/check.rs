//! The one way to say what a question is answered with.
//!
//! ```text
//! www.example. A
//! NOERROR aa
//! an www.example. 300 A 192.0.2.1
//! ad ns.example. 300 A 192.0.2.53
//! ```
//!
//! A question, what the header says, and the records of the answer (`an`), authority
//! (`au`) and additional (`ad`) section; an empty line, and the next one. All of it
//! has to be so, and nothing else may be there. RRsets of the answer have their order,
//! all else has none. Behind the flags, `ede=20` is the code of the extended error.
//!
//! Each is asked over UDP and TCP, with EDNS and without.

use crate::harness::{Client, query_wire};
use crate::oracle;

/// What a response is, or should be.
#[derive(Debug, Eq, PartialEq)]
struct Said {
    /// `NOERROR aa`.
    head: String,
    /// `an www.example. 300 IN A 192.0.2.1`, a line each.
    records: Vec<String>,
}

/// Asks the questions of `script` and wants the answers that stand there.
#[track_caller]
pub fn check(client: &Client, script: &str) {
    each_case(script, |question, expected| {
        ask(client, question, expected, &[Carrier::Udp, Carrier::Tcp]);
    });
}

/// The same over TCP alone, where there is room for all of an answer.
#[track_caller]
pub fn check_tcp(client: &Client, script: &str) {
    each_case(script, |question, expected| {
        ask(client, question, expected, &[Carrier::Tcp]);
    });
}

#[derive(Clone, Copy, Debug)]
enum Carrier {
    Udp,
    Tcp,
}

#[track_caller]
fn each_case(script: &str, mut ask: impl FnMut(&str, &Said)) {
    let lines: Vec<&str> = script.lines().map(str::trim).collect();
    let cases = lines.split(|line| line.is_empty());
    let mut asked = 0;
    for case in cases.filter(|case| !case.is_empty()) {
        let [question, head, records @ ..] = case else {
            panic!("no answer: {case:?}");
        };
        ask(question, &expected(head, records));
        asked += 1;
    }
    assert!(asked > 0, "no question in {script:?}");
}

#[track_caller]
fn ask(client: &Client, question: &str, expected: &Said, carriers: &[Carrier]) {
    let (name, rtype) = question.split_once(' ').expect("name and type");
    let (name, rtype) = (oracle::name(name), oracle::rtype(rtype));
    let asked = query_wire(&name, rtype, None);
    for payload in [Some(1232), None] {
        let message = query_wire(&name, rtype, payload);
        for carrier in carriers {
            let octets = match carrier {
                Carrier::Udp => client.udp(&message).expect("no response"),
                Carrier::Tcp => client.exchange_tcp(&message),
            };
            let how = format!("{question} over {carrier:?}, payload {payload:?}");
            assert_eq!(octets[..2], asked[..2], "id of {how}");
            assert_eq!(octets[12..asked.len()], asked[12..], "question of {how}");
            let options = oracle::options(&octets);
            assert_eq!(options.is_some(), payload.is_some(), "OPT of {how}");
            let said = said(&octets);
            let (head, ede) = expected.head.split_once(" ede=").unzip();
            match (payload, ede) {
                // Without OPT there is no place for the extended error.
                (None, Some(_)) => assert_eq!(Some(&*said.head), head, "{how}"),
                _ => assert_eq!(said.head, expected.head, "{how}"),
            }
            assert_eq!(said.records, expected.records, "{how}");
        }
    }
}

fn said(octets: &[u8]) -> Said {
    let mut head = oracle::rcode(octets);
    let [high, low] = [octets[2], octets[3]];
    assert_eq!(high & 0xf8, 0x80, "QR, and the opcode of a query");
    for (octet, flag, name) in [
        (high, 4, "aa"),
        (high, 2, "tc"),
        (high, 1, "rd"),
        (low, 0x80, "ra"),
        (low, 0x40, "z"),
        (low, 0x20, "ad"),
        (low, 0x10, "cd"),
    ] {
        if octet & flag != 0 {
            head += &format!(" {name}");
        }
    }
    for (code, data) in oracle::options(octets).into_iter().flatten() {
        assert_eq!(code, 15, "an option that nobody asked for");
        let (code, text) = data.split_first_chunk().expect("an INFO-CODE");
        assert!(!text.is_empty(), "an extended error says why in words");
        head += &format!(" ede={}", u16::from_be_bytes(*code));
    }
    let mut records = Vec::new();
    for (section, lines) in ["an", "au", "ad"].iter().zip(oracle::sections(octets)) {
        records.extend(lines.into_iter().map(|line| format!("{section} {line}")));
    }
    Said {
        head,
        records: in_order(records),
    }
}

fn expected(head: &str, lines: &[&str]) -> Said {
    let mut records = Vec::new();
    for line in lines {
        let (section, record) = line.split_once(' ').expect("section and record");
        assert!(["an", "au", "ad"].contains(&section), "{line}");
        let read = oracle::records(record, ".").unwrap_or_else(|error| panic!("{line}: {error}"));
        let [record] = &read[..] else {
            panic!("not one record: {line}");
        };
        records.push(format!("{section} {}", oracle::printed(record)));
    }
    Said {
        head: head.to_owned(),
        records: in_order(records),
    }
}

/// Sorts records, but leaves the RRsets of the answer where they are: aliases have to
/// stand before what they lead to.
fn in_order(mut records: Vec<String>) -> Vec<String> {
    let set = |record: &String| {
        let words: Vec<&str> = record.split(' ').collect();
        // Owner and type; between them are TTL and class.
        (words[0] == "an").then(|| [words[1], words[4]].map(str::to_owned))
    };
    let sets: Vec<_> = records.iter().map(set).collect();
    let place = |record: &String| sets.iter().position(|known| *known == set(record));
    records.sort_by_cached_key(|record| (place(record), record.clone()));
    records
}
