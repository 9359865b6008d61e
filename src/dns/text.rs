//! Rdata as text, in the form that master files are written in and `dig` prints.
//!
//! What is printed reads back to the same octets. Rdata that isn't what its type says,
//! or of a type without a form of its own, is printed as octets ([RFC 3597] §5), so
//! that nothing which came over the wire can't be shown.
//!
//! [RFC 3597]: https://www.rfc-editor.org/rfc/rfc3597

mod location;
pub mod message;
mod service;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::rr::RecordType;
use super::schema::{Field, schema};
use crate::name::{DomainName, MAX_LABEL_LEN, MAX_NAME_LEN};

/// Digits of a long value that stand together.
const GROUP: usize = 56;

/// The rdata of a record, whose names aren't compressed.
pub fn rdata(rtype: RecordType, octets: &[u8]) -> String {
    rdata_in(rtype, octets, 0..octets.len())
}

/// The rdata at a place in a message, whose names may point at others before them.
pub fn rdata_in(rtype: RecordType, message: &[u8], place: std::ops::Range<usize>) -> String {
    let octets = message.get(place.clone()).unwrap_or_default();
    let printed = schema(rtype).and_then(|fields| {
        let mut reader = Reader {
            message,
            at: place.start,
            end: place.end,
        };
        let mut words = Vec::new();
        for field in fields {
            words.push(reader.field(*field)?);
        }
        words.retain(|word| !word.is_empty());
        (reader.at == reader.end).then(|| words.join(" "))
    });
    printed.unwrap_or_else(|| match octets {
        [] => "\\# 0".to_owned(),
        octets => format!("\\# {} {}", octets.len(), hex(octets)),
    })
}

/// A name at a place in a message, and where it ends. Pointers lead backwards only, so
/// they come to an end.
pub fn name_in(message: &[u8], start: usize) -> Option<(DomainName, usize)> {
    let (mut wire, mut at, mut end) = (Vec::new(), start, None);
    let mut before = start;
    loop {
        let len = *message.get(at)?;
        match len {
            0 => {
                wire.push(0);
                let name = DomainName::from_wire(&wire).ok()?;
                return Some((name, end.unwrap_or(at + 1)));
            }
            len if usize::from(len) <= MAX_LABEL_LEN => {
                let next = at + 1 + usize::from(len);
                wire.extend_from_slice(message.get(at..next)?);
                at = next;
                if wire.len() > MAX_NAME_LEN {
                    return None;
                }
            }
            len if len >= 0xc0 => {
                let low = *message.get(at + 1)?;
                end.get_or_insert(at + 2);
                at = usize::from(len & 0x3f) << 8 | usize::from(low);
                if at >= before {
                    return None;
                }
                before = at;
            }
            _ => return None,
        }
    }
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let next = self.at.checked_add(len).filter(|next| *next <= self.end)?;
        let taken = self.message.get(self.at..next)?;
        self.at = next;
        Some(taken)
    }

    fn rest(&mut self) -> Option<&'a [u8]> {
        self.take(self.end.checked_sub(self.at)?)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let [len] = self.array()?;
        self.take(len.into())
    }

    fn field(&mut self, field: Field) -> Option<String> {
        Some(match field {
            Field::U8(_) | Field::Algorithm => u8::from_be_bytes(self.array()?).to_string(),
            Field::U16(_) => self.u16()?.to_string(),
            Field::U32(_) | Field::Time(_) | Field::TtlTime(_) => {
                u32::from_be_bytes(self.array()?).to_string()
            }
            Field::Ipv4 => Ipv4Addr::from(self.array::<4>()?).to_string(),
            Field::Ipv6 => Ipv6Addr::from(self.array::<16>()?).to_string(),
            Field::Name(_) => {
                let (name, end) = name_in(&self.message[..self.end], self.at)?;
                self.at = end;
                name.to_string()
            }
            Field::Text(_) => quoted(self.text()?),
            Field::Tag => {
                let word = self.text()?;
                let plain = !word.is_empty() && word.iter().all(u8::is_ascii_alphanumeric);
                String::from_utf8(word.to_vec()).ok().filter(|_| plain)?
            }
            Field::Texts => {
                let mut texts = vec![quoted(self.text()?)];
                while self.at < self.end {
                    texts.push(quoted(self.text()?));
                }
                texts.join(" ")
            }
            Field::Rest(..) => quoted(self.rest()?),
            Field::Hex(_) => hex(self.rest().filter(|rest| !rest.is_empty())?),
            Field::Base64(_) => base64(self.rest().filter(|rest| !rest.is_empty())?),
            Field::Location => location::text(self.rest()?)?,
            Field::Parameters => service::text(self.rest()?)?,
        })
    }
}

/// A string in quotes; what isn't printable ASCII as `\DDD`.
fn quoted(octets: &[u8]) -> String {
    let mut text = String::from("\"");
    for &octet in octets {
        push_escaped(&mut text, octet, b"\"\\");
    }
    text.push('"');
    text
}

/// Adds an octet, with a backslash in front of those that are `special`.
fn push_escaped(text: &mut String, octet: u8, special: &[u8]) {
    match octet {
        octet if special.contains(&octet) => {
            text.push('\\');
            text.push(char::from(octet));
        }
        b' '..=b'~' => text.push(char::from(octet)),
        // Writing into a string can't fail.
        octet => drop(write!(text, "\\{octet:03}")),
    }
}

fn hex(octets: &[u8]) -> String {
    let digits: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    grouped(&digits)
}

fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in octets.chunks(3) {
        let octet = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place) & 0x3f) as usize;
            text.push(match place <= chunk.len() {
                true => char::from(DIGITS[digit]),
                false => '=',
            });
        }
    }
    grouped(&text)
}

/// Digits in groups, as `dig` prints them.
fn grouped(digits: &str) -> String {
    let groups = digits.as_bytes().chunks(GROUP);
    let groups: Vec<_> = groups.map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(" ")
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
