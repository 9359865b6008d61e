//! Static zone data: a tree of nodes, and how it is built, loaded and asked.
//!
//! ```text
//! *.zone → load (files) → master (records) → build (checks, tree) → Zone → lookup
//! ```
//!
//! A node is kept under its name in a hash table, together with what the walk
//! down from the apex would have met: the topmost zone cut or DNAME above it.
//! So a lookup costs one step for a name that exists, and at most one step for
//! each label otherwise, however large the zone is. Names without records that
//! have names below them (empty non-terminals, [RFC 4592] §2.2.2) are nodes too.
//!
//! Within one zone only: following aliases, rewriting below a DNAME and making
//! messages is the caller's work. A zone never changes; a new version is a new
//! [`Zone`].
//!
//! [RFC 4592]: https://www.rfc-editor.org/rfc/rfc4592

mod build;
mod error;
mod load;
mod lookup;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use foldhash::fast::RandomState;

pub use self::build::{MAX_WARNINGS, ZoneKind};
pub use self::error::{ZoneError, ZoneWarning};
pub use self::load::{LoadError, ZoneFile, load_dir, load_file};
pub use self::lookup::Lookup;

use super::rr::{RecordType, RrSet};
use crate::name::DomainName;

/// All records of one zone, or those that are laid over the discovery zone.
///
/// Every `name` that is asked for is in uncompressed wire form and lower case.
#[derive(Debug)]
pub struct Zone {
    origin: DomainName,
    nodes: Vec<Node>,
    /// The node of each folded name. Seeded at random, for the names that are
    /// looked up are an attacker's.
    index: HashMap<Box<[u8]>, NodeId, RandomState>,
    /// Labels of the deepest node.
    depth: usize,
}

/// The place of a node in [`Zone::nodes`]; the apex is 0.
type NodeId = usize;

const APEX: NodeId = 0;

/// A name that exists.
#[derive(Debug, Default)]
struct Node {
    /// Its records; none if it is an empty non-terminal.
    rrsets: Vec<RrSet>,
    /// The node one label up; the apex is its own.
    parent: NodeId,
    /// The node `*` right below: the source of synthesis (RFC 4592 §2.1.1).
    wildcard: Option<NodeId>,
    /// The topmost zone cut or DNAME above this node, which hides it.
    cover: Option<NodeId>,
}

impl Node {
    fn rrset(&self, rtype: RecordType) -> Option<&RrSet> {
        self.rrsets.iter().find(|rrset| rrset.rtype == rtype)
    }
}

impl Zone {
    /// An overlay without records, for a discovery zone that has no file.
    pub fn empty(origin: &DomainName) -> Self {
        let origin = origin.folded();
        let mut index: HashMap<Box<[u8]>, NodeId, RandomState> = HashMap::default();
        index.insert(origin.as_wire().into(), APEX);
        let depth = origin.labels().count();
        Self {
            origin,
            nodes: vec![Node::default()],
            index,
            depth,
        }
    }

    /// The name of the apex, in lower case.
    pub fn origin(&self) -> &DomainName {
        &self.origin
    }

    /// The SOA, which only an overlay can lack.
    pub fn soa(&self) -> Option<&RrSet> {
        self.nodes[APEX].rrset(RecordType::SOA)
    }

    /// The names that exist, empty ones between others included, in no order.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.index.keys().map(|name| &**name)
    }

    /// How many names exist, empty non-terminals included.
    pub fn name_count(&self) -> usize {
        self.nodes.len()
    }

    /// How many records there are.
    pub fn record_count(&self) -> usize {
        let sets = self.nodes.iter().flat_map(|node| &node.rrsets);
        sets.map(RrSet::len).sum()
    }

    /// The serial of the SOA, if there's one.
    pub fn serial(&self) -> Option<u32> {
        // The last 20 octets are its numbers, the serial first.
        let numbers = self.soa()?.rdata(0).last_chunk::<20>()?;
        numbers.first_chunk().copied().map(u32::from_be_bytes)
    }

    fn node(&self, name: &[u8]) -> Option<&Node> {
        self.index.get(name).map(|id| &self.nodes[*id])
    }

    /// Whether the node begins another zone (RFC 1034 §4.2).
    fn is_cut(&self, id: NodeId) -> bool {
        id != APEX && self.nodes[id].rrset(RecordType::NS).is_some()
    }
}
