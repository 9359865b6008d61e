//! Rdata: from text to wire form, by one table of fields for each type.
//!
//! The same table checks rdata written as octets (`\# 4 c0000201`), so that
//! whatever leaves here is well formed whichever way it was written, and finds
//! the names inside rdata, so that two spellings of one record can be told.
//!
//! A type without a table is written as octets only ([RFC 3597] §5).
//!
//! [RFC 3597]: https://www.rfc-editor.org/rfc/rfc3597

use std::borrow::Cow;

use super::encoding;
use super::error::MasterError;
use super::fields::Fields;
use super::{loc, svcb};
use crate::dns::rr::RecordType;
use crate::dns::schema::Field::{self, *};
use crate::dns::schema::schema;
use crate::name::{DomainName, MAX_NAME_LEN};

/// Longest rdata, octets; its length has 16 bits (RFC 1035 §3.2.1).
const MAX_RDATA_LEN: usize = 65_535;

/// Longest character-string, octets (RFC 1035 §3.3).
const MAX_STRING_LEN: usize = 255;

impl Field {
    /// What an error says was expected.
    fn expected(self) -> String {
        match self {
            U8(what) => format!("the {what} (0 to 255)"),
            U16(what) => format!("the {what} (0 to 65535)"),
            U32(what) => format!("the {what} (0 to 4294967295)"),
            Time(what) => format!("the {what} (seconds, or like 1h30m; up to 4294967295)"),
            TtlTime(what) => format!("the {what} (seconds, or like 1h30m; up to 2147483647)"),
            Algorithm => "the algorithm (0 to 255, or a mnemonic like ED25519)".into(),
            Ipv4 => "an IPv4 address".into(),
            Ipv6 => "an IPv6 address".into(),
            Name(what) => format!("the {what} (a domain name)"),
            Text(what) => format!("the {what} (a string of up to 255 octets)"),
            Texts => "a string of up to 255 octets".into(),
            Rest(what, _) => format!("the {what} (a string)"),
            Tag => "the property tag (letters and digits)".into(),
            Hex(what) => format!("the {what} (hexadecimal digits)"),
            Base64(what) => format!("the {what} (base64)"),
            Parameters => "a parameter like alpn=h2".into(),
            Location => "a location".into(),
        }
    }

    /// Reads the field as text and appends its wire form to `rdata`.
    fn read(
        self,
        fields: &mut Fields<'_>,
        origin: &DomainName,
        rdata: &mut Vec<u8>,
    ) -> Result<(), MasterError> {
        let expected = self.expected();
        match self {
            U8(_) => rdata.extend(octet(fields.number(0xff, &expected)?)),
            U16(_) => rdata.extend(two_octets(fields.number(0xffff, &expected)?)),
            U32(_) => rdata.extend(fields.number(u32::MAX, &expected)?.to_be_bytes()),
            Time(_) => rdata.extend(fields.seconds(u32::MAX, &expected)?.to_be_bytes()),
            TtlTime(_) => rdata.extend(fields.seconds(0x7fff_ffff, &expected)?.to_be_bytes()),
            Algorithm => match fields.peek().and_then(|token| algorithm(token.raw)) {
                Some(number) => {
                    fields.word(&expected)?;
                    rdata.push(number);
                }
                None => rdata.extend(octet(fields.number(0xff, &expected)?)),
            },
            Ipv4 => rdata.extend(fields.ipv4()?.octets()),
            Ipv6 => rdata.extend(fields.ipv6()?.octets()),
            Name(_) => rdata.extend_from_slice(fields.name(origin, &expected)?.as_wire()),
            Text(_) => read_text(fields, &expected, rdata)?,
            Texts => {
                read_text(fields, &expected, rdata)?;
                while fields.peek().is_some() {
                    read_text(fields, &expected, rdata)?;
                }
            }
            Rest(..) => rdata.extend(fields.text(&expected)?),
            Tag => read_text(fields, &expected, rdata)?,
            Hex(_) => rdata.extend(fields.rest(&expected, encoding::hex)?),
            Base64(_) => rdata.extend(fields.rest(&expected, encoding::base64)?),
            Parameters => svcb::read(fields, rdata)?,
            Location => loc::read(fields, rdata)?,
        }
        Ok(())
    }

    /// How many octets the field has at the front of `rest`, or `None` if what
    /// is there is no such field.
    fn len(self, rest: &[u8]) -> Option<usize> {
        let len = match self {
            U8(_) | Algorithm => 1,
            U16(_) => 2,
            U32(_) | Time(_) | Ipv4 => 4,
            TtlTime(_) => rest.first().filter(|high| **high < 0x80).map(|_| 4)?,
            Ipv6 => 16,
            Name(_) => name_len(rest)?,
            Text(_) => 1 + usize::from(*rest.first()?),
            Tag => {
                let (&len, tag) = rest.split_first()?;
                let tag = tag.get(..usize::from(len)).filter(|tag| !tag.is_empty())?;
                tag.iter()
                    .all(u8::is_ascii_alphanumeric)
                    .then_some(1 + tag.len())?
            }
            Texts => {
                let mut at = 0;
                while at < rest.len() || at == 0 {
                    at += 1 + usize::from(*rest.get(at)?);
                }
                at
            }
            Rest(_, true) => rest.len(),
            Rest(_, false) | Hex(_) | Base64(_) => (!rest.is_empty()).then_some(rest.len())?,
            Parameters => svcb::check(rest).ok().map(|()| rest.len())?,
            Location => loc::is_valid(rest).then_some(rest.len())?,
        };
        (len <= rest.len()).then_some(len)
    }
}

/// The low octet of a number of at most 255.
fn octet(number: u32) -> [u8; 1] {
    let [.., low] = number.to_be_bytes();
    [low]
}

/// The low octets of a number of at most 65 535.
fn two_octets(number: u32) -> [u8; 2] {
    let [_, _, high, low] = number.to_be_bytes();
    [high, low]
}

fn read_text(
    fields: &mut Fields<'_>,
    expected: &str,
    rdata: &mut Vec<u8>,
) -> Result<(), MasterError> {
    let token = fields.peek();
    let text = fields.text(expected)?;
    match (u8::try_from(text.len()), token) {
        (Err(_), Some(token)) => {
            let error = fields.source.unexpected(token, expected.to_owned());
            Err(error.because(format!(
                "it has {} octets, {MAX_STRING_LEN} are allowed",
                text.len()
            )))
        }
        (len, _) => {
            rdata.extend(len);
            rdata.extend_from_slice(&text);
            Ok(())
        }
    }
}

/// The length of the uncompressed name at the front of `rest`.
fn name_len(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let label = *rest.get(at)?;
        at += 1 + usize::from(label);
        if label > 63 || at > MAX_NAME_LEN {
            return None;
        }
        if label == 0 {
            return Some(at);
        }
    }
}

/// The mnemonics of DNSSEC algorithms (RFC 4034 appendix A.1 and IANA's registry).
fn algorithm(text: &[u8]) -> Option<u8> {
    let known: [(&[u8], u8); 11] = [
        (b"RSAMD5", 1),
        (b"DSA", 3),
        (b"RSASHA1", 5),
        (b"DSA-NSEC3-SHA1", 6),
        (b"RSASHA1-NSEC3-SHA1", 7),
        (b"RSASHA256", 8),
        (b"RSASHA512", 10),
        (b"ECDSAP256SHA256", 13),
        (b"ECDSAP384SHA384", 14),
        (b"ED25519", 15),
        (b"ED448", 16),
    ];
    let found = known
        .iter()
        .find(|(mnemonic, _)| text.eq_ignore_ascii_case(mnemonic));
    found.map(|(_, number)| *number)
}

/// Reads all fields that are left as rdata of `rtype`, in wire form.
pub(super) fn read(
    rtype: RecordType,
    fields: &mut Fields<'_>,
    origin: &DomainName,
) -> Result<Vec<u8>, MasterError> {
    let first = fields.peek();
    let rdata = match (schema(rtype), first) {
        (_, Some(token)) if !token.quoted && token.raw == b"\\#" => read_octets(rtype, fields)?,
        (Some(schema), _) => {
            let mut rdata = Vec::new();
            for field in schema {
                field.read(fields, origin, &mut rdata)?;
            }
            rdata
        }
        (None, _) => {
            let error = fields.unexpected("\\# and the length and octets of the rdata");
            return Err(error.because(format!("{rtype} is read as octets only (RFC 3597 §5)")));
        }
    };
    fields.finish()?;
    if let (true, Some(token)) = (rdata.len() > MAX_RDATA_LEN, first) {
        let error = fields
            .source
            .unexpected(token, "rdata of at most 65535 octets");
        return Err(error.because(format!("it has {}", rdata.len())));
    }
    if let (false, Some(token)) = (is_well_formed(rtype, &rdata), first) {
        let error = fields
            .source
            .unexpected(token, format!("rdata of type {rtype}"));
        return Err(error.because("its octets are not well formed"));
    }
    Ok(rdata)
}

/// Reads `\# length octets`, the form of any type (RFC 3597 §5).
fn read_octets(rtype: RecordType, fields: &mut Fields<'_>) -> Result<Vec<u8>, MasterError> {
    let mark = fields.word("\\#")?;
    let len = fields.number(0xffff, "the length of the rdata (0 to 65535)")?;
    let octets = match fields.peek() {
        Some(_) => fields.rest("the octets of the rdata in hexadecimal", encoding::hex)?,
        None => Vec::new(),
    };
    let unfit = if usize::try_from(len) != Ok(octets.len()) {
        Some(format!(
            "the length is {len}, but {} octets follow",
            octets.len()
        ))
    } else if !is_well_formed(rtype, &octets) {
        Some(format!("these octets are no rdata of type {rtype}"))
    } else {
        None
    };
    match unfit {
        Some(reason) => {
            let error = fields
                .source
                .unexpected(mark, format!("rdata of type {rtype}"));
            Err(error.because(reason))
        }
        None => Ok(octets),
    }
}

/// The fields in `rdata`, each with its octets; `None` if they don't fill it
/// exactly, or if the type's fields aren't known.
fn split(rtype: RecordType, rdata: &[u8]) -> Option<Vec<(Field, &[u8])>> {
    let mut rest = rdata;
    let mut parts = Vec::new();
    for &field in schema(rtype)? {
        let (part, after) = rest.split_at_checked(field.len(rest)?)?;
        parts.push((field, part));
        rest = after;
    }
    rest.is_empty().then_some(parts)
}

pub(super) fn is_well_formed(rtype: RecordType, rdata: &[u8]) -> bool {
    schema(rtype).is_none() || split(rtype, rdata).is_some()
}

/// `rdata` with the names in it in lower case, for comparing: names that differ
/// in letter case only are equal (RFC 4343 §3), strings are not.
pub fn fold_rdata(rtype: RecordType, rdata: &[u8]) -> Cow<'_, [u8]> {
    let Some(parts) = split(rtype, rdata) else {
        return Cow::Borrowed(rdata);
    };
    if !parts
        .iter()
        .any(|(field, part)| matches!(field, Name(_)) && part.iter().any(u8::is_ascii_uppercase))
    {
        return Cow::Borrowed(rdata);
    }
    let fold = |(field, part): (Field, &[u8])| match field {
        // A label's length is below 64, so it's no letter.
        Name(_) => part.to_ascii_lowercase(),
        _ => part.to_vec(),
    };
    Cow::Owned(parts.into_iter().flat_map(fold).collect())
}
