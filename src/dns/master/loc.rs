//! Locations: LOC records ([RFC 1876]).
//!
//! ```text
//! d1 [m1 [s1]] {N|S} d2 [m2 [s2]] {E|W} alt[m] [size[m] [hp[m] [vp[m]]]]
//! ```
//!
//! [RFC 1876]: https://www.rfc-editor.org/rfc/rfc1876

use super::encoding;
use super::error::MasterError;
use super::fields::Fields;

/// The equator and the prime meridian, in thousandths of a second (RFC 1876 §2).
const ZERO_ANGLE: u32 = 1 << 31;

/// 100 000 m below the reference spheroid, where altitudes begin, in centimetres (RFC 1876 §2).
const ZERO_ALTITUDE: i64 = 10_000_000;

/// The largest size or precision, 90 000 km, in centimetres (RFC 1876 §2).
const MAX_EXTENT: i64 = 9_000_000_000;

/// Reads a location and appends its wire form, version 0, to `rdata`.
pub(super) fn read(fields: &mut Fields<'_>, rdata: &mut Vec<u8>) -> Result<(), MasterError> {
    let latitude = angle(fields, 90, [b'N', b'S'])?;
    let longitude = angle(fields, 180, [b'E', b'W'])?;
    let lowest = -ZERO_ALTITUDE;
    let highest = i64::from(u32::MAX) - ZERO_ALTITUDE;
    let altitude = metres(
        fields,
        lowest,
        highest,
        "the altitude (-100000.00 to 42849672.95 metres)",
    )?;
    // The defaults of RFC 1876 §3: 1 m, 10 km, 10 m.
    let mut extents = [0x12u8, 0x16, 0x13];
    for extent in &mut extents {
        if fields.peek().is_some() {
            let expected = "a size or precision (0 to 90000000.00 metres)";
            *extent = exponential(metres(fields, 0, MAX_EXTENT, expected)?);
        }
    }
    let altitude = u32::try_from(altitude + ZERO_ALTITUDE).unwrap_or(u32::MAX);
    rdata.push(0);
    rdata.extend(extents);
    rdata.extend(latitude.to_be_bytes());
    rdata.extend(longitude.to_be_bytes());
    rdata.extend(altitude.to_be_bytes());
    Ok(())
}

/// Whether `rdata` has the form that is read here.
///
/// Other versions than 0 may look like anything (RFC 1876 §2).
pub(super) fn is_valid(rdata: &[u8]) -> bool {
    let digits = |octet: &u8| octet >> 4 <= 9 && octet & 15 <= 9;
    match rdata {
        [0, extents @ .., _, _, _, _, _, _, _, _, _, _, _, _] => {
            extents.len() == 3 && extents.iter().all(digits)
        }
        [version, ..] => *version != 0,
        [] => false,
    }
}

/// Reads degrees, minutes, seconds and a hemisphere: the positive one or the negative one.
fn angle(
    fields: &mut Fields<'_>,
    max_degrees: u32,
    [positive, negative]: [u8; 2],
) -> Result<u32, MasterError> {
    let hemisphere = |raw: &[u8]| match raw {
        [letter] if letter.eq_ignore_ascii_case(&positive) => Some(true),
        [letter] if letter.eq_ignore_ascii_case(&negative) => Some(false),
        _ => None,
    };
    let (plus, minus) = (char::from(positive), char::from(negative));
    let first = fields.peek();
    let mut angle =
        fields.number(max_degrees, &format!("degrees (0 to {max_degrees})"))? * 3_600_000;
    let expected = format!("{plus}, {minus} or minutes (0 to 59)");
    let mut end = fields.peek().and_then(|token| hemisphere(token.raw));
    if end.is_none() {
        angle += fields.number(59, &expected)? * 60_000;
        end = fields.peek().and_then(|token| hemisphere(token.raw));
        if end.is_none() {
            let expected = format!("{plus}, {minus} or seconds (0 to 59.999)");
            let token = fields.word(&expected)?;
            angle += fixed(token.raw, 3)
                .and_then(|thousandths| u32::try_from(thousandths).ok())
                .filter(|thousandths| *thousandths < 60_000)
                .ok_or_else(|| fields.source.unexpected(token, expected))?;
        }
    }
    let token = fields.word(&format!("{plus} or {minus}"))?;
    let is_positive = hemisphere(token.raw).ok_or_else(|| {
        fields
            .source
            .unexpected(token, format!("{plus} or {minus}"))
    })?;
    match first {
        Some(token) if angle > max_degrees * 3_600_000 => {
            let expected = format!("an angle of at most {max_degrees} degrees");
            Err(fields.source.unexpected(token, expected))
        }
        _ if is_positive => Ok(ZERO_ANGLE + angle),
        _ => Ok(ZERO_ANGLE - angle),
    }
}

/// Reads metres, with `m` behind or not, as centimetres from `min` to `max`.
fn metres(
    fields: &mut Fields<'_>,
    min: i64,
    max: i64,
    expected: &'static str,
) -> Result<i64, MasterError> {
    let token = fields.word(expected)?;
    let text = token
        .raw
        .strip_suffix(b"m")
        .or(token.raw.strip_suffix(b"M"))
        .unwrap_or(token.raw);
    let value = match text.strip_prefix(b"-") {
        Some(text) => fixed(text, 2).map(|value| -value),
        None => fixed(text, 2),
    };
    value
        .filter(|value| (min..=max).contains(value))
        .ok_or_else(|| fields.source.unexpected(token, expected))
}

/// Reads a decimal with up to `places` digits after the dot, in units of the last of them.
fn fixed(text: &[u8], places: usize) -> Option<i64> {
    let dot = text
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(text.len());
    let (whole, fraction) = text.split_at(dot);
    let fraction = fraction.strip_prefix(b".").unwrap_or_default();
    if fraction.len() > places {
        return None;
    }
    let mut digits = whole.to_vec();
    digits.extend_from_slice(fraction);
    digits.resize(whole.len() + places, b'0');
    let number = encoding::number(&digits)?;
    (!whole.is_empty()).then_some(i64::try_from(number).ok()?)
}

/// One digit and a power of ten, a nibble each; further digits are dropped (RFC 1876 §2).
fn exponential(mut centimetres: i64) -> u8 {
    let mut exponent = 0u8;
    while centimetres > 9 {
        centimetres /= 10;
        exponent += 1;
    }
    u8::try_from(centimetres).map_or(0, |digit| digit << 4 | exponent)
}
