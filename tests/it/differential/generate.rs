//! Zones and questions that like what is hard: wildcards, cuts, DNAMEs, chains of
//! aliases, and names that exist only because others do.
//!
//! What not every server loads is left out while a zone is put together: the
//! subject here is answers; what is refused has tests of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hickory_proto::rr::RecordType;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::harness::query;

/// Zones that are served together.
pub(super) struct Population {
    pub(super) zones: Vec<GeneratedZone>,
}

/// One zone: its records by owner, relative to the origin, and type.
pub(super) struct GeneratedZone {
    pub(super) origin: String,
    minimum: u32,
    records: BTreeMap<(String, &'static str), BTreeSet<String>>,
}

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) qtype: RecordType,
    pub(super) edns: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, qtype, edns } = self;
        write!(f, "{name} {qtype}{}", if *edns { " with EDNS" } else { "" })
    }
}

impl Case {
    pub(super) fn message(&self) -> Vec<u8> {
        query(&self.name, self.qtype, self.edns.then_some(1232))
    }
}

/// A record before it's known whether its zone can have it.
#[derive(Clone, Debug)]
struct Draft {
    owner: String,
    rtype: &'static str,
    rdata: String,
}

/// Few labels, so that names meet.
fn label() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        5 => Just("a"), 4 => Just("b"), 3 => Just("c"), 2 => Just("*"), 1 => Just("_tcp"), 1 => Just("A"),
    ]
}

/// A name relative to the origin; `@` for the origin itself.
fn relative() -> impl Strategy<Value = String> {
    prop::collection::vec(label(), 0..4).prop_map(|labels| match labels.is_empty() {
        true => "@".to_owned(),
        false => labels.join("."),
    })
}

/// Where a record points: mostly into the zone, at times into another one that is
/// served here, or at one that isn't.
fn target() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => relative(),
        1 => (relative(), 0..8u8).prop_map(|(name, zone)| match &*name {
            "@" => format!("z{zone}.test."),
            name => format!("{name}.z{zone}.test."),
        }),
        1 => Just("www.elsewhere.example.".to_owned()),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let rdata = prop_oneof![
        6 => (1..4u8).prop_map(|n| ("A", format!("192.0.2.{n}"))),
        2 => (1..3u8).prop_map(|n| ("AAAA", format!("2001:db8::{n}"))),
        2 => (1..3u8).prop_map(|n| ("TXT", format!("\"text {n}\""))),
        2 => target().prop_map(|to| ("MX", format!("10 {to}"))),
        2 => target().prop_map(|to| ("SRV", format!("1 2 80 {to}"))),
        1 => target().prop_map(|to| ("PTR", to)),
        5 => target().prop_map(|to| ("NS", to)),
        5 => target().prop_map(|to| ("CNAME", to)),
        3 => target().prop_map(|to| ("DNAME", to)),
        1 => Just(("DNAME", format!("{}.{}", "x".repeat(63), "y".repeat(63)))),
        1 => Just(("CAA", "0 issue \"ca.example\"".to_owned())),
        1 => Just(("TYPE65280", "\\# 3 0102ff".to_owned())),
        1 => Just(("DS", "1 8 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".to_owned())),
    ];
    (relative(), rdata).prop_map(|(owner, (rtype, rdata))| Draft {
        owner,
        rtype,
        rdata,
    })
}

impl Population {
    /// So many zones, some of them below others.
    pub(super) fn generate(runner: &mut TestRunner, count: usize) -> Self {
        let drafts = prop::collection::vec(draft(), 1..24);
        let below = prop::bool::weighted(0.2);
        let minimum = prop::sample::select(vec![0, 60, 300, 7200]);
        let strategy = (drafts, below, minimum);
        let zones = (0..count).map(|index| {
            let (drafts, below, minimum) = strategy.new_tree(runner).unwrap().current();
            // In the one before it, where that may or may not have a cut.
            let origin = match below && index > 0 {
                true => format!("b.z{}.test.", index - 1),
                false => format!("z{index}.test."),
            };
            GeneratedZone::new(origin, minimum, drafts)
        });
        let mut seen = BTreeSet::new();
        let zones = zones
            .filter(|zone| seen.insert(zone.origin.clone()))
            .collect();
        Self { zones }
    }

    /// The zones that a question is about.
    pub(super) fn zones_of(&self, case: &Case) -> impl Iterator<Item = &GeneratedZone> {
        let name = case.name.to_ascii_lowercase();
        self.zones
            .iter()
            .filter(move |zone| name.ends_with(&zone.origin))
    }
}

impl GeneratedZone {
    fn new(origin: String, minimum: u32, drafts: Vec<Draft>) -> Self {
        let mut zone = Self {
            origin,
            minimum,
            records: BTreeMap::new(),
        };
        for (owner, rtype, rdata) in [("@", "NS", "ns"), ("ns", "A", "192.0.2.53")] {
            zone.put(owner, rtype, rdata.to_owned());
        }
        for draft in drafts {
            let owner = draft.owner.to_ascii_lowercase();
            if zone.may_have(&owner, draft.rtype) {
                zone.put(&owner, draft.rtype, draft.rdata);
            }
        }
        zone
    }

    fn put(&mut self, owner: &str, rtype: &'static str, rdata: String) {
        self.records
            .entry((owner.to_owned(), rtype))
            .or_default()
            .insert(rdata);
    }

    fn has(&self, owner: &str, rtype: &str) -> bool {
        self.records
            .keys()
            .any(|(known, known_type)| known == owner && *known_type == rtype)
    }

    fn has_any(&self, owner: &str) -> bool {
        self.records.keys().any(|(known, _)| known == owner)
    }

    /// Whether all servers load the zone with one more record like this.
    fn may_have(&self, owner: &str, rtype: &str) -> bool {
        let at_wildcard = owner.starts_with('*');
        let is_apex = owner == "@";
        let below = |name: &str, above: &str| {
            name != above && (above == "@" || name.ends_with(&format!(".{above}")))
        };
        let dname_above = self
            .records
            .keys()
            .any(|(known, known_type)| *known_type == "DNAME" && below(owner, known));
        let allowed = match rtype {
            "CNAME" => !is_apex && !self.has_any(owner),
            "DNAME" => {
                let covers = self.records.keys().any(|(known, _)| below(known, owner));
                // NSD takes what another zone has below for data of this one.
                let is_shared =
                    self.origin.starts_with("b.") || owner == "b" || owner.ends_with(".b");
                !is_apex
                    && !at_wildcard
                    && !covers
                    && !is_shared
                    && !self.has(owner, "DNAME")
                    && !self.has(owner, "NS")
            }
            "NS" => !at_wildcard && !is_apex && !self.has(owner, "DNAME"),
            "DS" => self.has(owner, "NS") && !is_apex,
            _ => true,
        };
        allowed && !dname_above && !self.has(owner, "CNAME")
    }

    /// The master file.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "$ORIGIN {}\n$TTL 300\n@ 3600 SOA ns host 7 3600 600 86400 {}\n",
            self.origin, self.minimum
        );
        for ((owner, rtype), all) in &self.records {
            for rdata in all {
                text += &format!("{owner} {} {rtype} {rdata}\n", 300 + rtype.len() * 10);
            }
        }
        text
    }

    fn absolute(&self, name: &str) -> String {
        match name {
            "@" => self.origin.clone(),
            name if name.ends_with('.') => name.to_owned(),
            name => format!("{name}.{}", self.origin),
        }
    }

    /// Names that there is something to be asked about: owners, what lies between
    /// them and the origin, and where records point.
    fn names(&self) -> Vec<String> {
        let mut names = BTreeSet::from([self.origin.clone()]);
        for ((owner, rtype), all) in &self.records {
            let mut rest = owner.as_str();
            while let Some((_, above)) = rest.split_once('.') {
                names.insert(self.absolute(rest));
                rest = above;
            }
            names.insert(self.absolute(rest));
            if matches!(*rtype, "CNAME" | "DNAME" | "NS") {
                names.extend(all.iter().map(|to| self.absolute(to)));
            }
        }
        names
            .into_iter()
            .filter(|name| name.ends_with(".test."))
            .collect()
    }
}

/// So many questions about each zone.
pub(super) fn cases(runner: &mut TestRunner, population: &Population, each: usize) -> Vec<Case> {
    let types = prop::sample::select(vec![
        "A",
        "A",
        "A",
        "AAAA",
        "TXT",
        "MX",
        "SRV",
        "NS",
        "SOA",
        "CNAME",
        "DNAME",
        "DS",
        "PTR",
        "CAA",
        "ANY",
        "TYPE65280",
    ]);
    let before = prop::collection::vec(label(), 0..3);
    let strategy = (
        any::<prop::sample::Index>(),
        before,
        types,
        prop::bool::weighted(0.8),
        any::<u8>(),
    );
    let mut cases = Vec::new();
    for zone in &population.zones {
        let names = zone.names();
        for _ in 0..each {
            let (index, before, rtype, edns, case) = strategy.new_tree(runner).unwrap().current();
            let base = index.get(&names);
            let mut name = match before.is_empty() || case % 3 == 0 {
                true => base.clone(),
                false => format!("{}.{base}", before.join(".")),
            };
            if case & 0x80 != 0 {
                name = name.to_ascii_uppercase();
            }
            let qtype = match rtype {
                "TYPE65280" => RecordType::from(65280),
                known => known.parse().unwrap(),
            };
            if name.len() < 250 {
                cases.push(Case { name, qtype, edns });
            }
        }
    }
    cases
}
