//! The names that records lead to, whose addresses come along as a help.

use super::rr::{RecordType, RrSet};
use crate::name::DomainName;

/// The name that the addresses of a record of `set` are wanted of, in wire form.
pub(super) fn target_wire<'r>(set: &'r RrSet, rdata: &'r [u8]) -> Option<&'r [u8]> {
    match set.rtype {
        RecordType::NS => Some(rdata),
        RecordType::MX => rdata.get(2..),
        RecordType::SRV => rdata.get(6..),
        // Parameters follow the name; the root stands for the owner, but not where an
        // alias leads nowhere (RFC 9460 §2.5, §4.1).
        RecordType::SVCB | RecordType::HTTPS => match rdata {
            [0, 0, 0, ..] => None,
            [_, _, 0, ..] => Some(set.owner.as_wire()),
            [_, _, name @ ..] => first_name(name),
            _ => None,
        },
        _ => None,
    }
}

/// The name that `octets` begin with.
fn first_name(octets: &[u8]) -> Option<&[u8]> {
    let mut len = 0;
    loop {
        let label = *octets.get(len)?;
        len += 1 + usize::from(label);
        if label == 0 {
            return octets.get(..len);
        }
    }
}

/// A name in wire form as it's looked up.
pub(super) fn folded(wire: &[u8]) -> Option<DomainName> {
    DomainName::from_wire(wire).ok().map(|name| name.folded())
}
