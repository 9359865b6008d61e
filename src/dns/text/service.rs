//! The parameters of SVCB and HTTPS as text ([RFC 9460](https://www.rfc-editor.org/rfc/rfc9460) §2.1, Appendix A).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::push_escaped;

/// The names of parameters, by their keys.
const NAMES: [&str; 7] = [
    "mandatory",
    "alpn",
    "no-default-alpn",
    "port",
    "ipv4hint",
    "ech",
    "ipv6hint",
];

/// All parameters, each behind a space but the first; `None` when they are malformed.
pub(super) fn text(mut rdata: &[u8]) -> Option<String> {
    let mut words = Vec::new();
    while let Some((&[key_0, key_1, len_0, len_1], rest)) = rdata.split_first_chunk() {
        let key = u16::from_be_bytes([key_0, key_1]);
        let (value, rest) = rest.split_at_checked(u16::from_be_bytes([len_0, len_1]).into())?;
        words.push(parameter(key, value)?);
        rdata = rest;
    }
    rdata.is_empty().then(|| words.join(" "))
}

fn name(key: u16) -> String {
    let known = NAMES.get(usize::from(key)).map(|name| (*name).to_owned());
    known.unwrap_or_else(|| format!("key{key}"))
}

fn parameter(key: u16, value: &[u8]) -> Option<String> {
    let value = match key {
        0 => {
            let keys = pieces::<2>(value)?;
            let names: Vec<String> = keys.map(|key| name(u16::from_be_bytes(key))).collect();
            names.join(",")
        }
        1 => format!("\"{}\"", protocols(value)?),
        2 => return value.is_empty().then(|| name(key)),
        3 => u16::from_be_bytes(value.try_into().ok()?).to_string(),
        4 => listed(pieces::<4>(value)?.map(Ipv4Addr::from)),
        5 => super::base64(value).replace(' ', ""),
        6 => listed(pieces::<16>(value)?.map(Ipv6Addr::from)),
        _ if value.is_empty() => return Some(name(key)),
        _ => super::quoted(value),
    };
    Some(format!("{}={value}", name(key)))
}

/// A value of parts of one length, one at least.
fn pieces<const N: usize>(value: &[u8]) -> Option<impl Iterator<Item = [u8; N]>> {
    let (pieces, rest) = value.as_chunks();
    (rest.is_empty() && !pieces.is_empty()).then(|| pieces.iter().copied())
}

fn listed(values: impl Iterator<Item = impl ToString>) -> String {
    let texts: Vec<String> = values.map(|value| value.to_string()).collect();
    texts.join(",")
}

/// Names of protocols, with commas between them. A comma or a backslash in a name is
/// escaped once for the list and once for the string.
fn protocols(mut value: &[u8]) -> Option<String> {
    let mut text = String::new();
    while let Some((&len, rest)) = value.split_first() {
        let (protocol, rest) = rest.split_at_checked(len.into()).filter(|_| len > 0)?;
        if !text.is_empty() {
            text.push(',');
        }
        for &octet in protocol {
            match octet {
                b',' => text.push_str("\\\\,"),
                b'\\' => text.push_str("\\\\\\\\"),
                octet => push_escaped(&mut text, octet, b"\""),
            }
        }
        value = rest;
    }
    (!text.is_empty()).then_some(text)
}
