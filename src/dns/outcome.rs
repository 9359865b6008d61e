//! What looking up a name comes to.
//!
//! NXDOMAIN and NODATA are outcomes, not errors; the outcome decides what goes
//! into all three sections of the response.

use std::borrow::Cow;

use super::message::{ExtendedError, Rcode};
use super::rr::{RecordType, RrSet};

/// RRsets, some of a zone and some made for this answer.
pub(super) type RrSets<'z> = Vec<Cow<'z, RrSet>>;

/// What a question came to.
#[derive(Clone, Debug)]
pub(super) enum Outcome<'z> {
    /// The records asked for, after the aliases that led there.
    Hit {
        /// Aliases, then the records.
        answer: RrSets<'z>,
        /// Addresses of names in them; help, not part of the answer.
        additional: RrSets<'z>,
        /// What there is to say of them.
        error: Option<ExtendedError>,
    },
    /// The name exists, but not the type ([RFC 2308](https://www.rfc-editor.org/rfc/rfc2308) §2.2).
    NoData {
        /// Aliases that led there.
        aliases: RrSets<'z>,
        /// SOA of the zone, whose TTL is that of the negative answer.
        soa: RrSets<'z>,
        /// Why nobody is listed, where that is so.
        error: Option<ExtendedError>,
    },
    /// Neither the name nor anything below it exists (RFC 2308 §2.1, RFC 8020).
    NxDomain {
        /// Aliases that led there.
        aliases: RrSets<'z>,
        /// SOA of the zone.
        soa: RrSets<'z>,
        /// Why it's said of a service that is registered.
        error: Option<ExtendedError>,
    },
    /// Another server's zone ([RFC 1034](https://www.rfc-editor.org/rfc/rfc1034) §4.3.2, step 3b).
    Referral {
        /// Aliases that led there.
        aliases: RrSets<'z>,
        /// NS of the cut.
        ns: RrSets<'z>,
        /// Addresses of those servers that lie below the cut.
        glue: RrSets<'z>,
    },
    /// A DNAME made the name too long ([RFC 6672](https://www.rfc-editor.org/rfc/rfc6672) §2.2).
    YxDomain {
        /// Aliases that led there.
        aliases: RrSets<'z>,
    },
    /// Nothing was looked up.
    Refused {
        /// What the response says.
        rcode: Rcode,
        /// And why, where it can be told.
        error: Option<ExtendedError>,
    },
}

/// What an outcome puts into the sections of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sections<'a, 'z> {
    /// Answer section.
    pub answer: &'a [Cow<'z, RrSet>],
    /// Authority section.
    pub authority: &'a [Cow<'z, RrSet>],
    /// Additional section, without OPT.
    pub additional: &'a [Cow<'z, RrSet>],
    /// Whether the additional section may be cut without TC. Not so the glue of
    /// a referral, which leads nowhere without it ([RFC 9471](https://www.rfc-editor.org/rfc/rfc9471) §3).
    pub additional_is_optional: bool,
    /// AA: whether the first name asked for is in one of our zones.
    pub authoritative: bool,
}

impl<'z> Outcome<'z> {
    /// Aliases alone: where they lead is another server's to tell, or nowhere.
    pub(super) fn aliases(answer: RrSets<'z>) -> Self {
        Self::Hit {
            answer,
            additional: Vec::new(),
            error: None,
        }
    }

    /// A refusal without records.
    pub(super) fn refused(rcode: Rcode, code: u16, text: &str) -> Self {
        Self::Refused {
            rcode,
            error: Some(ExtendedError {
                code,
                text: text.to_owned(),
            }),
        }
    }

    /// The response code.
    pub(super) fn rcode(&self) -> Rcode {
        match self {
            Self::Hit { .. } | Self::NoData { .. } | Self::Referral { .. } => Rcode::NOERROR,
            Self::NxDomain { .. } => Rcode::NXDOMAIN,
            Self::YxDomain { .. } => Rcode::YXDOMAIN,
            Self::Refused { rcode, .. } => *rcode,
        }
    }

    /// Whether it may be given again to whoever asks the same: not what a client
    /// can ask for without end, names and types that don't exist.
    pub(super) fn is_kept(&self, qtype: RecordType) -> bool {
        match self {
            Self::Hit { answer, .. } if answer.iter().any(|set| set.rtype == qtype) => true,
            Self::Hit { .. } | Self::Referral { .. } | Self::NoData { .. } => {
                qtype.mnemonic().is_some()
            }
            Self::NxDomain { .. } | Self::YxDomain { .. } | Self::Refused { .. } => false,
        }
    }

    /// The reason that goes into OPT.
    pub(super) fn extended_error(&self) -> Option<&ExtendedError> {
        match self {
            Self::Hit { error, .. }
            | Self::NoData { error, .. }
            | Self::NxDomain { error, .. }
            | Self::Refused { error, .. } => error.as_ref(),
            Self::Referral { .. } | Self::YxDomain { .. } => None,
        }
    }

    /// The three sections.
    pub(super) fn sections(&self) -> Sections<'_, 'z> {
        let (answer, authority, additional): (&[_], &[_], &[_]) = match self {
            Self::Hit {
                answer, additional, ..
            } => (answer, &[], additional),
            Self::NoData { aliases, soa, .. } | Self::NxDomain { aliases, soa, .. } => {
                (aliases, soa, &[])
            }
            Self::Referral { aliases, ns, glue } => (aliases, ns, glue),
            Self::YxDomain { aliases } => (aliases, &[], &[]),
            Self::Refused { .. } => (&[], &[], &[]),
        };
        Sections {
            answer,
            authority,
            additional,
            additional_is_optional: !matches!(self, Self::Referral { .. }),
            authoritative: match self {
                Self::Refused { .. } => false,
                Self::Referral { aliases, .. } => !aliases.is_empty(),
                _ => true,
            },
        }
    }
}
