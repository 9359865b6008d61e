//! Resource records: types, and RRsets with their rdata in wire form.
//!
//! An [`RrSet`] is query-ready: its rdata is what goes on the wire, with names
//! inside it uncompressed ([RFC 3597] §4 wants that of every type since SRV), so
//! answering copies octets and parses nothing.
//!
//! [RFC 3597]: https://www.rfc-editor.org/rfc/rfc3597

use std::fmt;
use std::str::FromStr;

use super::ttl::Ttl;
use crate::name::DomainName;

/// The type of a record, or of a question ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §3.2.2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordType(pub u16);

macro_rules! record_types {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        #[allow(missing_docs, reason = "the names are the mnemonics of IANA's registry")]
        impl RecordType {
            $(pub const $name: Self = Self($number);)*

            /// The mnemonic of a type that has one here.
            pub fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($text),)*
                    _ => None,
                }
            }

            fn from_mnemonic(text: &str) -> Option<Self> {
                $(if text.eq_ignore_ascii_case($text) {
                    return Some(Self($number));
                })*
                None
            }
        }
    };
}

record_types! {
    A = 1, "A"; NS = 2, "NS"; MD = 3, "MD"; MF = 4, "MF"; CNAME = 5, "CNAME"; SOA = 6, "SOA";
    MB = 7, "MB"; MG = 8, "MG"; MR = 9, "MR"; NULL = 10, "NULL"; WKS = 11, "WKS"; PTR = 12, "PTR";
    HINFO = 13, "HINFO"; MINFO = 14, "MINFO"; MX = 15, "MX"; TXT = 16, "TXT"; RP = 17, "RP";
    AFSDB = 18, "AFSDB"; X25 = 19, "X25"; RT = 21, "RT"; PX = 26, "PX"; AAAA = 28, "AAAA";
    LOC = 29, "LOC"; SRV = 33, "SRV"; NAPTR = 35, "NAPTR"; KX = 36, "KX"; CERT = 37, "CERT";
    DNAME = 39, "DNAME"; OPT = 41, "OPT"; DS = 43, "DS"; SSHFP = 44, "SSHFP";
    RRSIG = 46, "RRSIG"; NSEC = 47, "NSEC"; DNSKEY = 48, "DNSKEY"; DHCID = 49, "DHCID";
    NSEC3 = 50, "NSEC3"; NSEC3PARAM = 51, "NSEC3PARAM"; TLSA = 52, "TLSA"; SMIMEA = 53, "SMIMEA";
    CDS = 59, "CDS"; CDNSKEY = 60, "CDNSKEY"; OPENPGPKEY = 61, "OPENPGPKEY";
    ZONEMD = 63, "ZONEMD"; SVCB = 64, "SVCB"; HTTPS = 65, "HTTPS"; SPF = 99, "SPF";
    TSIG = 250, "TSIG"; IXFR = 251, "IXFR"; AXFR = 252, "AXFR"; ANY = 255, "ANY";
    URI = 256, "URI"; CAA = 257, "CAA";
}

impl FromStr for RecordType {
    type Err = UnknownType;

    /// Reads a mnemonic or `TYPE` and a number (RFC 3597 §5), in any letter case.
    fn from_str(text: &str) -> Result<Self, UnknownType> {
        if let Some(known) = Self::from_mnemonic(text) {
            return Ok(known);
        }
        match text.split_at_checked(4) {
            Some((word, number)) if word.eq_ignore_ascii_case("TYPE") => number
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| number.parse().ok())
                .flatten()
                .map(Self)
                .ok_or(UnknownType),
            _ => Err(UnknownType),
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(text) => f.write_str(text),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

/// A word that names no record type.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is no record type")]
pub struct UnknownType;

/// All records of one owner and type, with one TTL ([RFC 2181](https://www.rfc-editor.org/rfc/rfc2181) §5).
///
/// Class is always IN. Equal rdata is kept once (RFC 2181 §5.5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RrSet {
    /// The name the records belong to.
    pub owner: DomainName,
    /// Their type.
    pub rtype: RecordType,
    /// Their common TTL.
    pub ttl: Ttl,
    /// What of them differs from one response to the next.
    pub varies: Varies,
    octets: Vec<u8>,
    ends: Vec<usize>,
}

/// What of an RRset differs from one response to the next, however often it is
/// answered from the same state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Varies {
    /// Nothing: the records come as they stand.
    Nothing,
    /// Which record comes first; the others follow it in a circle. Each record
    /// has its share of the first places here.
    First(Vec<u32>),
    /// The serial of an SOA, which moves with the registry.
    Serial,
}

impl RrSet {
    /// An RRset without a record yet.
    pub fn new(owner: DomainName, rtype: RecordType, ttl: Ttl) -> Self {
        Self {
            owner,
            rtype,
            ttl,
            varies: Varies::Nothing,
            octets: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The same set of one record.
    #[must_use]
    pub fn with(mut self, rdata: &[u8]) -> Self {
        self.push(rdata);
        self
    }

    /// Adds a record of `rdata` (at most 65 535 octets) unless the same is there.
    ///
    /// Looks through the set, so a set made of many should be made of
    /// [distinct](RrSet::push_distinct) ones.
    pub fn push(&mut self, rdata: &[u8]) -> bool {
        let new = !self.iter().any(|known| known == rdata);
        if new {
            self.push_distinct(rdata);
        }
        new
    }

    /// Adds a record of `rdata` that the caller knows isn't in the set.
    pub fn push_distinct(&mut self, rdata: &[u8]) {
        self.octets.extend_from_slice(rdata);
        self.ends.push(self.octets.len());
    }

    /// The rdata of each record, in the order they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.rdata(index))
    }

    /// The rdata of record `index`, which is below [`RrSet::len`].
    pub fn rdata(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.octets[start..self.ends[index]]
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3597_5_types_by_number() {
        assert_eq!("aaaa".parse(), Ok(RecordType::AAAA));
        assert_eq!("TYPE28".parse(), Ok(RecordType::AAAA));
        assert_eq!("type65280".parse(), Ok(RecordType(65280)));
        for bad in ["", "TYPE", "TYPE-1", "TYPE+1", "TYPE65536", "AAAAA"] {
            assert_eq!(bad.parse::<RecordType>(), Err(UnknownType), "{bad}");
        }
        assert_eq!(RecordType(65280).to_string(), "TYPE65280");
    }

    #[test]
    fn rfc2181_5_5_equal_rdata_is_one_record() {
        let mut set = RrSet::new(DomainName::root(), RecordType::A, Ttl::ZERO);
        assert!(set.push(&[1, 2, 3, 4]));
        assert!(set.push(&[1, 2, 3, 5]));
        assert!(!set.push(&[1, 2, 3, 4]));
        assert_eq!(set.iter().collect::<Vec<_>>(), [[1, 2, 3, 4], [1, 2, 3, 5]]);
    }
}
