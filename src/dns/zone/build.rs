//! Records → zone, with what makes records a zone checked.

use std::borrow::Cow;
use std::collections::HashSet;

use super::error::{ZoneError, ZoneWarning};
use super::{APEX, Lookup, Node, NodeId, Zone};
use crate::dns::master::{Record, fold_rdata};
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

impl Zone {
    /// Makes a zone of `records`, in any order.
    pub fn build(
        records: &[Record],
        kind: &ZoneKind,
    ) -> Result<(Self, Vec<ZoneWarning>), ZoneError> {
        let origin = origin(records, kind)?;
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
    fn new(origin: &DomainName, overlay: bool) -> Self {
        Self {
            zone: Zone::empty(origin),
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
        if matches!(record.rtype, RecordType::NS | RecordType::DNAME) {
            self.check_cover(id, record)?;
        }
        let node = &self.zone.nodes[id];
        let rtype = record.rtype;
        let (position, owner) = (|| record.position.clone(), || record.owner.clone());
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
        Ok(())
    }

    /// Checks an NS or DNAME record, which speaks for all names below.
    fn check_cover(&self, id: NodeId, record: &Record) -> Result<(), ZoneError> {
        let node = &self.zone.nodes[id];
        if self.zone.nodes[node.parent].wildcard == Some(id) {
            return Err(ZoneError::AtWildcard {
                position: record.position.clone(),
                owner: record.owner.clone(),
                rtype: record.rtype,
            });
        }
        let other = match record.rtype {
            RecordType::NS => RecordType::DNAME,
            _ => RecordType::NS,
        };
        if id != APEX && node.rrset(other).is_some() {
            return Err(ZoneError::DnameAtCut {
                position: record.position.clone(),
                owner: record.owner.clone(),
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
