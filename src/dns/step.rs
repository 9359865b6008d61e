//! What one zone says of one name; chains of aliases are made of such steps.

use std::time::Duration;

use super::message::ExtendedError;
use super::outcome::RrSets;
use super::rr::{RecordType, RrSet};
use super::ttl::Ttl;
use crate::name::DomainName;

/// What one zone says of one name and type.
#[derive(Clone, Debug)]
pub enum Step<'z> {
    /// The records, and addresses that help to use them.
    Records {
        /// What was asked for.
        sets: RrSets<'z>,
        /// Addresses of names in it.
        additional: RrSets<'z>,
        /// What there is to say of them.
        error: Option<ExtendedError>,
    },
    /// The name stands for another one.
    Alias {
        /// CNAME, or DNAME with the CNAME made of it.
        sets: RrSets<'z>,
        /// The other name.
        target: DomainName,
    },
    /// The name exists without such records.
    NoData {
        /// Why nobody is listed, where that is so.
        error: Option<ExtendedError>,
        /// TTL of the negative answer, where it isn't the zone's.
        negative_ttl: Option<Duration>,
    },
    /// The name does not exist.
    NxDomain,
    /// Nor does this one, of a service that does, whatever wildcards there are.
    Absent {
        /// Why the service is taken for one that doesn't exist, where that is so.
        error: Option<ExtendedError>,
        /// The service's TTL of negative answers.
        negative_ttl: Duration,
    },
    /// The name is in a zone that was given away.
    Referral {
        /// NS of the cut.
        ns: RrSets<'z>,
        /// Addresses of those servers, as far as this zone has them.
        glue: RrSets<'z>,
    },
    /// A DNAME makes the name too long.
    TooLong {
        /// The DNAME.
        sets: RrSets<'z>,
    },
    /// It can't be told now, for this reason.
    Failed(&'static str),
}

impl Step<'_> {
    /// NODATA without more to say.
    pub fn no_data() -> Self {
        Self::NoData {
            error: None,
            negative_ttl: None,
        }
    }

    /// The same with a service's TTL of negative answers.
    pub fn no_data_for(negative_ttl: Duration) -> Self {
        Self::NoData {
            error: None,
            negative_ttl: Some(negative_ttl),
        }
    }

    /// NXDOMAIN with a service's TTL of negative answers.
    pub fn absent(negative_ttl: Duration) -> Self {
        Self::Absent {
            error: None,
            negative_ttl,
        }
    }

    /// These records alone.
    pub fn record_set(set: RrSet) -> Self {
        Self::Records {
            sets: vec![std::borrow::Cow::Owned(set)],
            additional: Vec::new(),
            error: None,
        }
    }

    /// The answer to ANY at a name that has records: one HINFO that says so
    /// ([RFC 8482](https://www.rfc-editor.org/rfc/rfc8482) §4.2).
    pub fn any(owner: &DomainName, ttl: Ttl) -> Self {
        let hinfo = RrSet::new(owner.clone(), RecordType::HINFO, ttl).with(b"\x07RFC8482\0");
        Self::record_set(hinfo)
    }
}
