//! What is wrong with records that are to make a zone, and what is merely odd.

use crate::dns::master::Position;
use crate::dns::rr::RecordType;
use crate::name::DomainName;

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
