//! Records → zone, with what makes records a zone checked.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::{APEX, Lookup, Node, NodeId, Zone};
use crate::dns::master::{Position, Record, fold_rdata};
use crate::dns::rr::{RecordType, RrSet};
use crate::name::DomainName;

/// Most warnings that are kept of one zone; the rest would say the same.
pub const MAX_WARNINGS: usize = 100;

/// What the records are to make.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ZoneKind {
    /// A zone of its own. Its origin is the owner of its one SOA.
    Whole,
    /// Static records of the zone of this origin, whose other names are dynamic.
    /// A SOA is welcome but not needed.
    Overlay(DomainName),
}

/// Why records make no zone.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ZoneError {
    /// No SOA (RFC 1035 §5.2).
    #[error("the zone has no SOA record (RFC 1035 §5.2)")]
    NoSoa,
    /// A second SOA that differs from the first (RFC 1035 §5.2).
    #[error("{position}: {owner} has a SOA, but the zone's SOA is that at {first} (RFC 1035 §5.2)")]
    TwoSoas {
        /// Where the second is.
        position: Position,
        /// Its owner.
        owner: DomainName,
        /// Where the first is.
        first: Position,
    },
    /// The SOA of an overlay belongs to another name than the zone.
    #[error("{position}: {owner} has a SOA, but the zone is {origin}")]
    OtherSoa {
        /// Where the SOA is.
        position: Position,
        /// Its owner.
        owner: DomainName,
        /// The origin of the zone.
        origin: DomainName,
    },
    /// A name that isn't in the zone.
    #[error("{position}: {owner} is not in the zone {origin}; a name without a final dot would be")]
    OutOfZone {
        /// Where the record is.
        position: Position,
        /// Its owner.
        owner: DomainName,
        /// The origin of the zone.
        origin: DomainName,
    },
    /// An alias with records beside it (RFC 1034 §3.6.2).
    #[error(
        "{position}: {owner} has a CNAME and other records; an alias has none (RFC 1034 §3.6.2)"
    )]
    AliasWithData {
        /// Where the record is that came second.
        position: Position,
        /// The name of the alias.
        owner: DomainName,
    },
    /// Two CNAMEs (RFC 2181 §10.1) or DNAMEs (RFC 6672 §2.4) of one name.
    #[error(
        "{position}: {owner} has a second {rtype}; a name has one (RFC 2181 §10.1, RFC 6672 §2.4)"
    )]
    SecondAlias {
        /// Where the second is.
        position: Position,
        /// The name.
        owner: DomainName,
        /// CNAME or DNAME.
        rtype: RecordType,
    },
    /// A DNAME and NS records of one name below the apex (RFC 6672 §2.3).
    #[error(
        "{position}: {owner} has a DNAME and NS; both speak for all names below (RFC 6672 §2.3)"
    )]
    DnameAtCut {
        /// Where the record is that came second.
        position: Position,
        /// The name.
        owner: DomainName,
    },
    /// A record below a DNAME (RFC 6672 §2.4).
    #[error("{position}: {owner} is below a DNAME, where no records may be (RFC 6672 §2.4)")]
    BelowDname {
        /// Where the record is.
        position: Position,
        /// Its owner.
        owner: DomainName,
    },
    /// NS or DNAME at a wildcard, which has no defined meaning (RFC 4592 §4.2, §4.4).
    #[error("{position}: {owner} has {rtype}, which no wildcard may have (RFC 4592 §4.2, §4.4)")]
    AtWildcard {
        /// Where the record is.
        position: Position,
        /// The wildcard.
        owner: DomainName,
        /// NS or DNAME.
        rtype: RecordType,
    },
    /// An alias of the whole discovery zone, which would hide all that is registered.
    #[error("{position}: {owner} has {rtype}, which would hide the names registered in the zone")]
    AliasOfOverlay {
        /// Where the record is.
        position: Position,
        /// The origin.
        owner: DomainName,
        /// CNAME or DNAME.
        rtype: RecordType,
    },
}

/// What is odd about a zone that is served nevertheless.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ZoneWarning {
    /// A name server in the zone that has no address there.
    #[error("{position}: the name server {target} is in the zone and has no address")]
    NoAddress {
        /// Where the NS record is.
        position: Position,
        /// The name server.
        target: DomainName,
    },
    /// Records of one RRset with different TTLs; the lowest is served (RFC 2181 §5.2).
    #[error("{position}: the {rtype} records of {owner} have different TTLs; the lowest is served")]
    MixedTtls {
        /// Where the first is that differs.
        position: Position,
        /// The name.
        owner: DomainName,
        /// The type.
        rtype: RecordType,
    },
    /// A record that was there before; it is served once (RFC 2181 §5).
    #[error("{position}: {owner} has this {rtype} record already; it is served once")]
    Duplicate {
        /// Where the second is.
        position: Position,
        /// The name.
        owner: DomainName,
        /// The type.
        rtype: RecordType,
    },
    /// An apex without NS records.
    #[error("the zone {origin} has no NS record at its apex (RFC 1035 §5.2)")]
    NoNs {
        /// The origin.
        origin: DomainName,
    },
}

impl Zone {
    /// Makes a zone of `records`, in any order.
    pub fn build(
        records: &[Record],
        kind: &ZoneKind,
    ) -> Result<(Self, Vec<ZoneWarning>), ZoneError> {
        let origin = origin(records, kind)?.folded();
        let mut builder = Builder::new(origin, matches!(kind, ZoneKind::Overlay(_)));
        for record in records {
            builder.add(record)?;
        }
        builder.finish(records)
    }
}

/// The origin, with all SOA records checked to agree on it.
fn origin<'a>(records: &'a [Record], kind: &'a ZoneKind) -> Result<&'a DomainName, ZoneError> {
    let mut soas = records
        .iter()
        .filter(|record| record.rtype == RecordType::SOA);
    let first = soas.next();
    let origin = match (kind, first) {
        (ZoneKind::Overlay(origin), Some(first)) if first.owner.folded() != origin.folded() => {
            return Err(ZoneError::OtherSoa {
                position: first.position.clone(),
                owner: first.owner.clone(),
                origin: origin.clone(),
            });
        }
        (ZoneKind::Overlay(origin), _) => origin,
        (ZoneKind::Whole, Some(first)) => &first.owner,
        (ZoneKind::Whole, None) => return Err(ZoneError::NoSoa),
    };
    let folded = |soa: &'a Record| (soa.owner.folded(), fold_rdata(soa.rtype, &soa.rdata));
    if let Some(first) = first
        && let Some(other) = soas.find(|soa| folded(soa) != folded(first))
    {
        return Err(ZoneError::TwoSoas {
            position: other.position.clone(),
            owner: other.owner.clone(),
            first: first.position.clone(),
        });
    }
    Ok(origin)
}

struct Builder<'a> {
    zone: Zone,
    overlay: bool,
    warnings: Vec<ZoneWarning>,
    /// All records there are, to find duplicates at once in sets of many.
    seen: HashSet<(NodeId, RecordType, Cow<'a, [u8]>)>,
    /// The RRsets that were warned of for their TTLs.
    mixed: HashSet<(NodeId, RecordType)>,
}

impl<'a> Builder<'a> {
    fn new(origin: DomainName, overlay: bool) -> Self {
        let mut index: HashMap<Box<[u8]>, NodeId, _> = HashMap::default();
        index.insert(origin.as_wire().into(), APEX);
        let depth = origin.labels().count();
        Self {
            zone: Zone {
                origin,
                nodes: vec![Node::default()],
                index,
                depth,
            },
            overlay,
            warnings: Vec::new(),
            seen: HashSet::new(),
            mixed: HashSet::new(),
        }
    }

    fn warn(&mut self, warning: ZoneWarning) {
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        }
    }

    fn add(&mut self, record: &'a Record) -> Result<(), ZoneError> {
        let (rtype, owner, position) = (record.rtype, &record.owner, &record.position);
        if !owner.is_within(&self.zone.origin) {
            return Err(ZoneError::OutOfZone {
                position: position.clone(),
                owner: owner.clone(),
                origin: self.zone.origin.clone(),
            });
        }
        self.zone.depth = self.zone.depth.max(owner.labels().count());
        let id = self.intern(owner.folded().as_wire());
        if !self
            .seen
            .insert((id, rtype, fold_rdata(rtype, &record.rdata)))
        {
            self.settle_ttl(id, record);
            self.warn(ZoneWarning::Duplicate {
                position: position.clone(),
                owner: owner.clone(),
                rtype,
            });
            return Ok(());
        }
        self.check(id, record)?;
        match self.settle_ttl(id, record) {
            Some(rrset) => rrset.push_distinct(&record.rdata),
            None => {
                let rrset = RrSet::new(owner.clone(), rtype, record.ttl).with(&record.rdata);
                self.zone.nodes[id].rrsets.push(rrset);
            }
        }
        Ok(())
    }

    /// The node of a folded name in the zone, made if need be, with all above it.
    fn intern(&mut self, name: &[u8]) -> NodeId {
        if let Some(&id) = self.zone.index.get(name) {
            return id;
        }
        // The apex is there, so this name has a label; there are at most 127
        // above it, so the recursion is shallow.
        let (label, above) = name[1..].split_at(usize::from(name[0]));
        let parent = self.intern(above);
        let id = self.zone.nodes.len();
        self.zone.nodes.push(Node {
            parent,
            ..Node::default()
        });
        self.zone.index.insert(name.into(), id);
        if label == b"*" {
            self.zone.nodes[parent].wildcard = Some(id);
        }
        id
    }

    /// Lowers the TTL of the record's RRset to the record's, and returns the RRset if there is one.
    fn settle_ttl(&mut self, id: NodeId, record: &Record) -> Option<&mut RrSet> {
        let rtype = record.rtype;
        let at = self.zone.nodes[id]
            .rrsets
            .iter()
            .position(|rrset| rrset.rtype == rtype)?;
        if self.zone.nodes[id].rrsets[at].ttl != record.ttl && self.mixed.insert((id, rtype)) {
            self.warn(ZoneWarning::MixedTtls {
                position: record.position.clone(),
                owner: record.owner.clone(),
                rtype,
            });
        }
        let rrset = &mut self.zone.nodes[id].rrsets[at];
        rrset.ttl = rrset.ttl.min(record.ttl);
        Some(rrset)
    }

    /// Checks a record that isn't in the node yet against those that are.
    fn check(&self, id: NodeId, record: &Record) -> Result<(), ZoneError> {
        let node = &self.zone.nodes[id];
        let (rtype, position) = (record.rtype, || record.position.clone());
        let owner = || record.owner.clone();
        let is_alias = matches!(rtype, RecordType::CNAME | RecordType::DNAME);
        if is_alias && node.rrset(rtype).is_some() {
            return Err(ZoneError::SecondAlias {
                position: position(),
                owner: owner(),
                rtype,
            });
        }
        // DNSSEC's own records may be beside an alias (RFC 4035 §2.5).
        let beside = |rtype| {
            !matches!(
                rtype,
                RecordType::CNAME | RecordType::RRSIG | RecordType::NSEC
            )
        };
        let with_data = match rtype {
            RecordType::CNAME => node.rrsets.iter().any(|rrset| beside(rrset.rtype)),
            rtype => beside(rtype) && node.rrset(RecordType::CNAME).is_some(),
        };
        if with_data {
            return Err(ZoneError::AliasWithData {
                position: position(),
                owner: owner(),
            });
        }
        if is_alias && self.overlay && id == APEX {
            return Err(ZoneError::AliasOfOverlay {
                position: position(),
                owner: owner(),
                rtype,
            });
        }
        let covers = matches!(rtype, RecordType::NS | RecordType::DNAME);
        if covers && self.zone.nodes[node.parent].wildcard == Some(id) {
            return Err(ZoneError::AtWildcard {
                position: position(),
                owner: owner(),
                rtype,
            });
        }
        let other = match rtype {
            RecordType::NS => RecordType::DNAME,
            _ => RecordType::NS,
        };
        if covers && id != APEX && node.rrset(other).is_some() {
            return Err(ZoneError::DnameAtCut {
                position: position(),
                owner: owner(),
            });
        }
        Ok(())
    }

    /// Notes for each node what hides it, and looks at the zone as a whole.
    fn finish(mut self, records: &[Record]) -> Result<(Zone, Vec<ZoneWarning>), ZoneError> {
        let mut below_dname = vec![false; self.zone.nodes.len()];
        // A node comes after its parent, for `intern` makes that first.
        for id in 1..self.zone.nodes.len() {
            let parent = self.zone.nodes[id].parent;
            let dname = self.zone.nodes[parent].rrset(RecordType::DNAME).is_some();
            below_dname[id] = dname || below_dname[parent];
            let covers = dname || self.zone.is_cut(parent);
            self.zone.nodes[id].cover = self.zone.nodes[parent].cover.or(covers.then_some(parent));
        }
        for record in records {
            let id = self.intern(record.owner.folded().as_wire());
            if below_dname[id] {
                return Err(ZoneError::BelowDname {
                    position: record.position.clone(),
                    owner: record.owner.clone(),
                });
            }
        }
        // Name servers of the discovery zone may be dynamic.
        if !self.overlay {
            self.check_name_servers(records);
        }
        Ok((self.zone, self.warnings))
    }

    fn check_name_servers(&mut self, records: &[Record]) {
        if self.zone.nodes[APEX].rrset(RecordType::NS).is_none() {
            self.warn(ZoneWarning::NoNs {
                origin: self.zone.origin.clone(),
            });
        }
        for record in records
            .iter()
            .filter(|record| record.rtype == RecordType::NS)
        {
            let Ok(target) = DomainName::from_wire(&record.rdata) else {
                continue;
            };
            if target.is_within(&self.zone.origin) && !self.has_address(&target) {
                self.warn(ZoneWarning::NoAddress {
                    position: record.position.clone(),
                    target,
                });
            }
        }
    }

    fn has_address(&self, name: &DomainName) -> bool {
        let name = name.folded();
        let is_found = |rtype| {
            matches!(
                self.zone.lookup(name.as_wire(), rtype),
                Lookup::Found { .. }
            )
        };
        self.zone.glue(name.as_wire()).next().is_some()
            || is_found(RecordType::A)
            || is_found(RecordType::AAAA)
    }
}
