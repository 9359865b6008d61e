//! Lookup within one zone: [RFC 1034] §4.3.2, steps 3a to 3c.
//!
//! [RFC 1034]: https://www.rfc-editor.org/rfc/rfc1034

use super::{APEX, NodeId, Zone};
use crate::dns::rr::{RecordType, RrSet};
use crate::name::{Labels, wire_is_within};

/// What a zone says to a question.
///
/// Where `wildcard` is set, the records come from a wildcard: their owner in the
/// answer is the question's name, not [`RrSet::owner`] (RFC 4592 §2.1.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lookup<'a> {
    /// The records asked for.
    Found {
        /// The RRset of the type asked for.
        rrset: &'a RrSet,
        /// Whether a wildcard holds it.
        wildcard: bool,
    },
    /// All records of the name, one RRset at least, for a question of type ANY.
    Any {
        /// The RRsets of the node.
        rrsets: &'a [RrSet],
        /// Whether a wildcard holds them.
        wildcard: bool,
    },
    /// The name is an alias and something else than the alias was asked for.
    Cname {
        /// The RRset of one CNAME.
        rrset: &'a RrSet,
        /// Whether a wildcard holds it.
        wildcard: bool,
    },
    /// The name is below a DNAME ([RFC 6672](https://www.rfc-editor.org/rfc/rfc6672) §2.3);
    /// rewriting is the caller's.
    Dname(&'a RrSet),
    /// The name is at or below a zone cut, whose NS records these are.
    Referral(&'a RrSet),
    /// The name exists, the type doesn't; or neither does at a wildcard that matches.
    NoData,
    /// Neither the name nor anything below it exists (RFC 8020 §2).
    NxDomain,
    /// The name isn't in this zone.
    OutOfZone,
}

impl Zone {
    /// Answers a question for `name` from this zone alone.
    ///
    /// Data of an overlay alone: a name that exists dynamically blocks its
    /// wildcards as a static one does (RFC 4592 §2.2.1), which the caller sees to.
    pub fn lookup(&self, name: &[u8], qtype: RecordType) -> Lookup<'_> {
        let Some((id, exact)) = self.closest_encloser(name) else {
            return Lookup::OutOfZone;
        };
        let node = &self.nodes[id];
        if let Some(cover) = node.cover {
            return self.covered_by(cover);
        }
        if self.is_cut(id) {
            // The DS records of a child are the parent's, the name's other
            // records are the child's (RFC 4035 §3.1.4.1).
            return match exact && qtype == RecordType::DS {
                true => self.answer(id, qtype, false),
                false => self.covered_by(id),
            };
        }
        if exact {
            return self.answer(id, qtype, false);
        }
        if node.rrset(RecordType::DNAME).is_some() {
            return self.covered_by(id);
        }
        match node.wildcard {
            Some(wildcard) => self.answer(wildcard, qtype, true),
            None => Lookup::NxDomain,
        }
    }

    /// Whether `name` is one of the zone's own, empty ones between others
    /// included: not one that only a wildcard, a DNAME or a cut answers for.
    pub fn has(&self, name: &[u8]) -> bool {
        self.index.contains_key(name)
    }

    /// The RRsets of `name`, whether or not a zone cut hides it; wildcards don't count.
    pub fn rrsets(&self, name: &[u8]) -> &[RrSet] {
        self.node(name).map_or(&[], |node| &node.rrsets)
    }

    /// The A and AAAA RRsets this zone is the authority for, for the additional section.
    ///
    /// Empty for names that only a wildcard matches: those are looked up.
    pub fn addresses(&self, name: &[u8]) -> impl Iterator<Item = &RrSet> {
        let visible = self
            .index
            .get(name)
            .is_some_and(|id| self.nodes[*id].cover.is_none() && !self.is_cut(*id));
        self.glue(name).filter(move |_| visible)
    }

    /// The A and AAAA RRsets of a name server that goes with a referral, which
    /// may be below the cut (RFC 9471 §2).
    pub fn glue(&self, name: &[u8]) -> impl Iterator<Item = &RrSet> {
        let is_address = |rrset: &&RrSet| matches!(rrset.rtype, RecordType::A | RecordType::AAAA);
        self.rrsets(name).iter().filter(is_address)
    }

    /// Whether `name` or anything below it is static, or hidden by a static zone
    /// cut or DNAME, so that no dynamic name may stand there.
    pub fn contains(&self, name: &[u8]) -> bool {
        match self.closest_encloser(name) {
            Some((_, true)) => true,
            Some((id, false)) => {
                let node = &self.nodes[id];
                node.cover.is_some() || self.is_cut(id) || node.rrset(RecordType::DNAME).is_some()
            }
            None => false,
        }
    }

    /// The deepest node that is `name` or above it (RFC 4592 §3.3.1), and
    /// whether it is `name`; `None` out of the zone.
    fn closest_encloser(&self, name: &[u8]) -> Option<(NodeId, bool)> {
        if !wire_is_within(name, self.origin.as_wire()) {
            return None;
        }
        let labels = Labels::of_wire(name).count();
        let mut rest = name;
        // Nothing that is deeper than the deepest node needs to be tried.
        for _ in self.depth..labels {
            rest = parent(rest)?;
        }
        loop {
            if let Some(&id) = self.index.get(rest) {
                return Some((id, rest.len() == name.len()));
            }
            rest = parent(rest)?;
        }
    }

    /// What is said of all names below a zone cut or a DNAME.
    fn covered_by(&self, id: NodeId) -> Lookup<'_> {
        let node = &self.nodes[id];
        let ns = node.rrset(RecordType::NS).filter(|_| id != APEX);
        match (ns, node.rrset(RecordType::DNAME)) {
            (Some(ns), _) => Lookup::Referral(ns),
            (None, Some(dname)) => Lookup::Dname(dname),
            (None, None) => Lookup::NxDomain,
        }
    }

    fn answer(&self, id: NodeId, qtype: RecordType, wildcard: bool) -> Lookup<'_> {
        let node = &self.nodes[id];
        if qtype == RecordType::ANY && !node.rrsets.is_empty() {
            return Lookup::Any {
                rrsets: &node.rrsets,
                wildcard,
            };
        }
        if let Some(rrset) = node.rrset(qtype) {
            return Lookup::Found { rrset, wildcard };
        }
        match node.rrset(RecordType::CNAME) {
            Some(rrset) => Lookup::Cname { rrset, wildcard },
            None => Lookup::NoData,
        }
    }
}

/// The name one label up; the root has none.
fn parent(wire: &[u8]) -> Option<&[u8]> {
    let len = usize::from(*wire.first()?);
    wire.get(1 + len..).filter(|_| len != 0)
}
