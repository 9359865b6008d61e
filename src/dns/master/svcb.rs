//! Service parameters of SVCB and HTTPS records ([RFC 9460] §2.1, §2.2, appendix A).
//!
//! [RFC 9460]: https://www.rfc-editor.org/rfc/rfc9460

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding;
use super::error::MasterError;
use super::fields::{Fields, parse_ascii};
use super::lexer::Token;

/// Numbers of the keys by name: RFC 9460 §14.3.2, RFC 9461 §5 and RFC 9540 §4.
const KEYS: [(&[u8], u16); 9] = [
    (b"mandatory", MANDATORY),
    (b"alpn", ALPN),
    (b"no-default-alpn", NO_DEFAULT_ALPN),
    (b"port", PORT),
    (b"ipv4hint", IPV4HINT),
    (b"ech", ECH),
    (b"ipv6hint", IPV6HINT),
    (b"dohpath", DOHPATH),
    (b"ohttp", OHTTP),
];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;
/// Reserved, never valid (RFC 9460 §14.3.2).
const INVALID_KEY: u16 = 65_535;

const EXPECTED: &str = "a parameter like alpn=h2";

/// Reads all parameters that are left and appends them to `rdata` in the order of their keys.
pub(super) fn read(fields: &mut Fields<'_>, rdata: &mut Vec<u8>) -> Result<(), MasterError> {
    let first = fields.peek();
    let mut parameters: Vec<(u16, Vec<u8>)> = Vec::new();
    while fields.peek().is_some() {
        let (token, key, value) = read_parameter(fields)?;
        if parameters.iter().any(|(known, _)| *known == key) {
            let error = fields.source.unexpected(token, "another parameter");
            return Err(error.because("each may be given once"));
        }
        parameters.push((key, value));
    }
    parameters.sort();
    let mut wire = Vec::new();
    for (key, value) in parameters {
        // What doesn't fit 16 bits is over the limit of rdata too; the cut
        // length is then refused by `check`.
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        wire.extend(key.to_be_bytes());
        wire.extend(len.to_be_bytes());
        wire.extend(value);
    }
    match (check(&wire), first) {
        (Err(reason), Some(token)) => Err(fields
            .source
            .unexpected(token, "valid service parameters")
            .because(reason)),
        _ => {
            rdata.extend(wire);
            Ok(())
        }
    }
}

fn read_parameter<'a>(
    fields: &mut Fields<'a>,
) -> Result<(&'a Token<'a>, u16, Vec<u8>), MasterError> {
    let token = fields.word(EXPECTED)?;
    let equals = token.raw.iter().position(|byte| *byte == b'=');
    let (name, raw) = match equals {
        Some(at) => (&token.raw[..at], &token.raw[at + 1..]),
        None => (token.raw, &[][..]),
    };
    let by_number = is_by_number(name);
    let key = key(name).ok_or_else(|| {
        fields
            .source
            .unexpected(token, EXPECTED)
            .because("the key is unknown")
    })?;
    let quoted = if equals.is_some() && raw.is_empty() {
        fields.joined_value()
    } else {
        None
    };
    let raw = quoted.map_or(raw, |quoted| quoted.raw);
    let text = fields.unescaped(quoted.unwrap_or(token), raw)?;
    // A key written as a number has its value in wire form (RFC 9460 §2.1).
    let value = if by_number {
        Some(text)
    } else {
        encode(key, &text)
    };
    match value {
        Some(value) => Ok((token, key, value)),
        None => {
            let shown = quoted.unwrap_or(token);
            Err(fields
                .source
                .unexpected(shown, format!("a value for {}", show_key(key))))
        }
    }
}

/// Whether a key is written as `key` and digits.
fn is_by_number(name: &[u8]) -> bool {
    name.strip_prefix(b"key")
        .is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
}

/// The number of a key, by its name or written as `keyNNNNN`.
fn key(name: &[u8]) -> Option<u16> {
    if let Some((_, number)) = KEYS.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let digits = name.strip_prefix(b"key")?;
    let number = u16::try_from(encoding::number(digits)?).ok()?;
    let leading_zero = digits.len() > 1 && digits.starts_with(b"0");
    (number != INVALID_KEY && !leading_zero).then_some(number)
}

fn show_key(key: u16) -> String {
    match KEYS.iter().find(|(_, number)| *number == key) {
        Some((name, _)) => String::from_utf8_lossy(name).into_owned(),
        None => format!("key{key}"),
    }
}

/// The wire form of a value, or `None` if `text` is no value of that key.
fn encode(key_number: u16, text: &[u8]) -> Option<Vec<u8>> {
    match key_number {
        MANDATORY => {
            let keys: Option<Vec<u16>> = text.split(|byte| *byte == b',').map(key).collect();
            let mut keys = keys?;
            keys.sort_unstable();
            Some(keys.into_iter().flat_map(u16::to_be_bytes).collect())
        }
        ALPN => {
            let mut wire = Vec::new();
            for id in split_list(text)? {
                wire.push(u8::try_from(id.len()).ok()?);
                wire.extend(id);
            }
            Some(wire)
        }
        PORT => {
            let port = u16::try_from(encoding::number(text)?).ok()?;
            Some(port.to_be_bytes().to_vec())
        }
        IPV4HINT => {
            let octets = |item| parse_ascii(item).map(|address: Ipv4Addr| address.octets());
            let all: Option<Vec<_>> = text.split(|byte| *byte == b',').map(octets).collect();
            Some(all?.concat())
        }
        IPV6HINT => {
            let octets = |item| parse_ascii(item).map(|address: Ipv6Addr| address.octets());
            let all: Option<Vec<_>> = text.split(|byte| *byte == b',').map(octets).collect();
            Some(all?.concat())
        }
        ECH => encoding::base64(text),
        _ => Some(text.to_vec()),
    }
}

/// Splits at commas; `\,` and `\\` are a comma and a backslash (RFC 9460 appendix A.1).
fn split_list(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = Vec::new();
    let mut item = Vec::new();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b',' => items.push(std::mem::take(&mut item)),
            b'\\' => item.push(*bytes.next().filter(|next| matches!(next, b',' | b'\\'))?),
            byte => item.push(byte),
        }
    }
    items.push(item);
    items.iter().all(|item| !item.is_empty()).then_some(items)
}

/// Checks parameters in wire form: their order, and the values of the keys that are known.
pub(super) fn check(mut rest: &[u8]) -> Result<(), &'static str> {
    const CUT: &str = "a parameter is cut short";
    let mut keys = Vec::new();
    let mut mandatory: &[u8] = &[];
    while !rest.is_empty() {
        let (header, after) = rest.split_first_chunk::<4>().ok_or(CUT)?;
        let key = u16::from_be_bytes([header[0], header[1]]);
        let len = u16::from_be_bytes([header[2], header[3]]);
        let (value, after) = after.split_at_checked(usize::from(len)).ok_or(CUT)?;
        if keys.last().is_some_and(|last| *last >= key) {
            return Err("the keys are not in rising order");
        }
        if !is_value(key, value) {
            return Err("a value doesn't suit its key");
        }
        if key == MANDATORY {
            mandatory = value;
        }
        keys.push(key);
        rest = after;
    }
    let (mandatory, _) = mandatory.as_chunks::<2>();
    // RFC 9460 §8: the list is sorted, never names itself, and all it names is there.
    if !mandatory.is_sorted_by(|a, b| a < b) {
        return Err("mandatory names a key twice");
    }
    if mandatory
        .iter()
        .any(|key| *key == [0, 0] || !keys.contains(&u16::from_be_bytes(*key)))
    {
        return Err("mandatory names itself or a key that is not given");
    }
    // RFC 9460 §7.1.1.
    if keys.contains(&NO_DEFAULT_ALPN) && !keys.contains(&ALPN) {
        return Err("no-default-alpn needs alpn");
    }
    Ok(())
}

fn is_value(key: u16, value: &[u8]) -> bool {
    match key {
        MANDATORY => !value.is_empty() && value.len().is_multiple_of(2),
        ALPN => {
            let mut rest = value;
            while let Some((&len, after)) = rest.split_first() {
                match after.split_at_checked(usize::from(len)) {
                    Some((id, after)) if !id.is_empty() => rest = after,
                    _ => return false,
                }
            }
            !value.is_empty()
        }
        NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
        PORT => value.len() == 2,
        IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
        IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
        ECH => !value.is_empty(),
        DOHPATH => !value.is_empty() && std::str::from_utf8(value).is_ok(),
        INVALID_KEY => false,
        _ => true,
    }
}
