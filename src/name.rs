//! Names, valid by construction: labels, service names, instance ids, domain names.
//!
//! A [`Label`] is what people may register: letters, digits and hyphens, folded
//! to lower case, so that every name made of labels is a host name that any
//! client accepts ([RFC 952], [RFC 1123] §2.1). A [`DomainName`] is any absolute
//! name of the DNS ([RFC 1035] §3.1), with arbitrary octets in its labels.
//!
//! Nothing here does I/O or knows a zone.
//!
//! [RFC 952]: https://www.rfc-editor.org/rfc/rfc952
//! [RFC 1035]: https://www.rfc-editor.org/rfc/rfc1035
//! [RFC 1123]: https://www.rfc-editor.org/rfc/rfc1123

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Longest label, octets ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035) §2.3.4).
pub const MAX_LABEL_LEN: usize = 63;

/// Longest domain name on the wire, octets, the root's zero included (RFC 1035 §2.3.4).
pub const MAX_NAME_LEN: usize = 255;

/// Words of the name grammar that no service and no instance may be called.
pub const RESERVED: [&str; 3] = ["tag", "version", "locality"];

/// One label that may be registered: 1 to 63 of a-z, 0-9 and `-`, lower case,
/// not beginning or ending with `-`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Label(Arc<str>);

impl Label {
    /// The label's text, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        if text.is_empty() {
            return Err(LabelError::Empty);
        }
        if text.len() > MAX_LABEL_LEN {
            return Err(LabelError::TooLong(text.len()));
        }
        if let Some(odd) = text
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || *c == '-'))
        {
            return Err(LabelError::Character(odd));
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(LabelError::Hyphen);
        }
        // Most are lower case already, and aren't copied twice.
        Ok(Self(match text.bytes().any(|b| b.is_ascii_uppercase()) {
            true => text.to_ascii_lowercase().into(),
            false => text.into(),
        }))
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Borrow<str> for Label {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no [`Label`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LabelError {
    /// Nothing there.
    #[error("is empty; allowed are 1 to 63 of a-z, 0-9 and \"-\"")]
    Empty,
    /// More than [`MAX_LABEL_LEN`] octets.
    #[error("has {0} octets; a DNS label holds at most 63")]
    TooLong(usize),
    /// A character that host names don't have.
    #[error("holds {0:?}; allowed are a-z, 0-9 and \"-\"")]
    Character(char),
    /// A hyphen at either end.
    #[error("begins or ends with \"-\"; a host name's label may not")]
    Hyphen,
    /// A word of the name grammar.
    #[error("is reserved; \"tag\", \"version\" and \"locality\" are parts of names")]
    Reserved,
}

macro_rules! registered_name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $type(Label);

        impl $type {
            /// The text, lower case.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $type {
            type Err = LabelError;

            fn from_str(text: &str) -> Result<Self, LabelError> {
                let label: Label = text.parse()?;
                if RESERVED.contains(&label.as_str()) {
                    return Err(LabelError::Reserved);
                }
                Ok(Self(label))
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

registered_name! {
    /// The name that instances register under: a [`Label`] that isn't [`RESERVED`].
    ServiceName
}

registered_name! {
    /// The name of one instance, unique in the registry: a [`Label`] that isn't [`RESERVED`].
    InstanceId
}

/// An absolute domain name in wire form: length-prefixed labels, then a zero octet.
///
/// Letter case is kept as given. Equality and hashing are exact, so what is
/// looked up by name is kept [folded](DomainName::folded).
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DomainName(Arc<[u8]>);

impl DomainName {
    /// The root, `.`.
    pub fn root() -> Self {
        Self(Arc::from([0u8]))
    }

    /// Takes a name in wire form, without compression, that fills `wire` whole.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        if wire.len() > MAX_NAME_LEN {
            return Err(NameError::TooLong);
        }
        let mut at = 0;
        loop {
            match wire.get(at) {
                Some(0) if at + 1 == wire.len() => return Ok(Self(wire.into())),
                Some(&len) if len != 0 && usize::from(len) <= MAX_LABEL_LEN => {
                    at += 1 + usize::from(len);
                }
                _ => return Err(NameError::Malformed),
            }
        }
    }

    /// Reads master-file text (RFC 1035 §5.1): `\.` and `\DDD` are escapes, and
    /// a name without a final dot is taken relative to `origin`.
    pub fn parse(text: &str, origin: Option<&DomainName>) -> Result<Self, NameError> {
        Self::parse_octets(text.as_bytes(), origin)
    }

    /// Reads the same from octets, which need not be UTF-8: a master file may
    /// hold any octet in a label.
    pub fn parse_octets(text: &[u8], origin: Option<&DomainName>) -> Result<Self, NameError> {
        if text == b"@" {
            return origin.cloned().ok_or(NameError::Relative);
        }
        if text == b"." {
            return Ok(Self::root());
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        let mut label = Vec::new();
        let mut bytes = text.iter().copied();
        let mut absolute = false;
        while let Some(byte) = bytes.next() {
            absolute = false;
            match byte {
                b'.' => {
                    push_label(&mut wire, &label)?;
                    label.clear();
                    absolute = true;
                }
                b'\\' => label.push(unescape(&mut bytes)?),
                byte => label.push(byte),
            }
        }
        if absolute {
            wire.push(0);
        } else {
            push_label(&mut wire, &label)?;
            wire.extend_from_slice(origin.ok_or(NameError::Relative)?.as_wire());
        }
        Self::from_wire(&wire)
    }

    /// Puts `label` (1 to 63 octets) in front.
    pub fn prepend(&self, label: &[u8]) -> Result<Self, NameError> {
        self.prepend_all(&[label])
    }

    /// Puts labels (1 to 63 octets each) in front, in their order.
    pub fn prepend_all(&self, labels: &[&[u8]]) -> Result<Self, NameError> {
        let mut wire = [0; MAX_NAME_LEN];
        self.write_below(labels, &mut wire)
            .map(|wire| Self(wire.into()))
    }

    /// Writes the wire form of what [`prepend_all`](Self::prepend_all) makes.
    pub fn write_below<'w>(
        &self,
        labels: &[&[u8]],
        wire: &'w mut [u8; MAX_NAME_LEN],
    ) -> Result<&'w [u8], NameError> {
        let mut len = 0;
        let mut put = |octets: &[u8]| {
            let place = wire.get_mut(len..len + octets.len());
            place.ok_or(NameError::TooLong)?.copy_from_slice(octets);
            len += octets.len();
            Ok(())
        };
        for label in labels {
            put(&[label_len(label)?])?;
            put(label)?;
        }
        put(&self.0)?;
        Ok(&wire[..len])
    }

    /// The wire form: 1 to 255 octets, ending in the root's zero.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from left to right, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels::of_wire(&self.0)
    }

    /// This name in lower case, as everything is that is looked up (RFC 4343).
    pub fn folded(&self) -> Self {
        Self(self.0.to_ascii_lowercase().into())
    }

    /// The name without its first label; the root has none.
    pub fn parent(&self) -> Option<Self> {
        let len = usize::from(self.0[0]);
        (len != 0).then(|| Self(self.0[1 + len..].into()))
    }

    /// Whether this name is `ancestor` or below it, whatever the letter case.
    pub fn is_within(&self, ancestor: &DomainName) -> bool {
        wire_is_within(&self.0, &ancestor.0)
    }
}

/// Whether the name `wire` is `ancestor` or below it, by whole labels and
/// whatever the letter case. Both are in uncompressed wire form.
pub fn wire_is_within(wire: &[u8], ancestor: &[u8]) -> bool {
    let Some(start) = wire.len().checked_sub(ancestor.len()) else {
        return false;
    };
    // A label border must be where the ancestor would start: a dot inside a
    // label and a label that only ends alike are no borders.
    let mut at = 0;
    while at < start {
        at += 1 + usize::from(wire[at]);
    }
    at == start && wire[start..].eq_ignore_ascii_case(ancestor)
}

fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), NameError> {
    wire.push(label_len(label)?);
    wire.extend_from_slice(label);
    Ok(())
}

/// The octet that stands before a label.
fn label_len(label: &[u8]) -> Result<u8, NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    u8::try_from(label.len())
        .ok()
        .filter(|len| usize::from(*len) <= MAX_LABEL_LEN)
        .ok_or(NameError::LongLabel(label.len()))
}

/// Reads what follows a backslash: three digits of an octet, or one character.
pub(crate) fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::Escape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes
            .next()
            .filter(u8::is_ascii_digit)
            .ok_or(NameError::Escape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::Escape)
}

impl Borrow<[u8]> for DomainName {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == 1 {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        write!(f, "\\{}", char::from(byte))?;
                    }
                    0x21..=0x7e => write!(f, "{}", char::from(byte))?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DomainName({self})")
    }
}

/// The labels of a name, left to right, without the root; see [`DomainName::labels`].
#[derive(Clone, Debug)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Labels<'a> {
    /// Walks `wire`, an uncompressed name whose form was checked before.
    pub(crate) fn of_wire(wire: &'a [u8]) -> Self {
        Self(wire)
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&len, rest) = self.0.split_first()?;
        if len == 0 || usize::from(len) > rest.len() {
            return None;
        }
        let (label, rest) = rest.split_at(usize::from(len));
        self.0 = rest;
        Some(label)
    }
}

/// Why a text or a run of octets is no [`DomainName`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// Over [`MAX_NAME_LEN`] octets on the wire.
    #[error("the name is longer than 255 octets")]
    TooLong,
    /// A label of more than [`MAX_LABEL_LEN`] octets.
    #[error("a label of the name has {0} octets; at most 63 are allowed")]
    LongLabel(usize),
    /// Two dots in a row, or a dot in front.
    #[error("the name has an empty label")]
    EmptyLabel,
    /// A backslash without a character or three digits up to 255 after it.
    #[error("the name has a bad escape; write \\. or \\DDD with DDD up to 255")]
    Escape,
    /// Octets that are no labels.
    #[error("the name is malformed")]
    Malformed,
    /// A relative name where nothing says what it is relative to.
    #[error("the name is relative; end it with a dot")]
    Relative,
}

#[cfg(test)]
mod tests;
