//! What a server says of itself: NSID ([RFC 5001]), and the names in class CH that
//! people ask to see which server and which version they have before them.
//!
//! Nothing is said unless the operator wants it, and NSID to those alone who ask.
//!
//! [RFC 5001]: https://www.rfc-editor.org/rfc/rfc5001

use super::rr::{RecordType, RrSet};
use super::ttl::Ttl;
use crate::name::DomainName;

/// Class CH.
pub(super) const CLASS_CH: u16 = 3;

/// The code of the NSID option.
pub(super) const NSID_OPTION: u16 = 3;

/// Most octets of a server's name: a string of TXT.
pub const MAX_SERVER_ID_LEN: usize = 255;

/// What a server says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    server_id: String,
    chaos: bool,
    /// The NSID option, ready for the wire; nothing without a name.
    nsid: Vec<u8>,
}

impl Identity {
    /// Says `server_id` (up to [`MAX_SERVER_ID_LEN`] octets), or nothing if it's empty,
    /// as NSID. With `chaos`, names in class CH are answered, too.
    pub fn new(server_id: &str, chaos: bool) -> Self {
        let mut nsid = Vec::new();
        if !server_id.is_empty() {
            for word in [NSID_OPTION, server_id.len().min(MAX_SERVER_ID_LEN) as u16] {
                nsid.extend_from_slice(&word.to_be_bytes());
            }
            let octets = server_id.as_bytes();
            nsid.extend_from_slice(&octets[..octets.len().min(MAX_SERVER_ID_LEN)]);
        }
        Self {
            server_id: server_id.to_owned(),
            chaos,
            nsid,
        }
    }

    /// The server's name; empty if it says none.
    pub fn server_id(&self) -> &str {
        &self.server_id
    }

    /// Whether names in class CH are answered.
    pub fn chaos(&self) -> bool {
        self.chaos
    }

    /// The NSID option, ready for the wire, or nothing.
    pub(super) fn nsid(&self) -> &[u8] {
        &self.nsid
    }

    /// The records of `qname`, in wire form and lower case, in class CH.
    pub(super) fn chaos_records(&self, qname: &[u8], qtype: RecordType) -> Option<RrSet> {
        let version = concat!("namebeat ", env!("CARGO_PKG_VERSION"));
        let text = match qname {
            b"\x07version\x04bind\0" | b"\x07version\x06server\0" => version,
            b"\x02id\x06server\0" | b"\x08hostname\x04bind\0" => &self.server_id,
            _ => return None,
        };
        let asked = matches!(qtype, RecordType::TXT | RecordType::ANY);
        if !self.chaos || !asked || text.is_empty() {
            return None;
        }
        let owner = DomainName::from_wire(qname).ok()?;
        let octets = &text.as_bytes()[..text.len().min(MAX_SERVER_ID_LEN)];
        let rdata = [&[octets.len() as u8], octets].concat();
        Some(RrSet::new(owner, RecordType::TXT, Ttl::ZERO).with(&rdata))
    }
}
