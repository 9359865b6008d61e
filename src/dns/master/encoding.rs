//! Numbers, time spans, hexadecimal digits and base64 as master files write them.

/// Reads a decimal number without sign.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Reads seconds, plain or with BIND's units: `3600`, `1h30m`, `2W`.
///
/// Mixing both, as in `1h30`, is refused: readers differ on what the 30 are.
pub(super) fn seconds(text: &[u8]) -> Option<u64> {
    if let Some(plain) = number(text) {
        return Some(plain);
    }
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let unit = match rest.get(digits)?.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number(&rest[..digits])?.checked_mul(unit)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(total)
}

/// Reads pairs of hexadecimal digits in any letter case.
pub(super) fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        // A hexadecimal digit is at most 15, so it fits.
        char::from(byte).to_digit(16).map(|digit| digit as u8)
    };
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect()
}

/// Reads base64 with its padding ([RFC 4648](https://www.rfc-editor.org/rfc/rfc4648) §4).
pub(super) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, []) = text.as_chunks::<4>() else {
        return None;
    };
    let mut octets = Vec::with_capacity(groups.len() * 3);
    for (index, group) in groups.iter().enumerate() {
        let digits = group.iter().take_while(|byte| **byte != b'=').count();
        let padded = group[digits..].iter().all(|byte| *byte == b'=');
        let last = index + 1 == groups.len();
        if digits < 2 || !padded || (digits < 4 && !last) {
            return None;
        }
        let mut bits = 0u32;
        for &byte in &group[..digits] {
            bits = bits << 6 | base64_digit(byte)?;
        }
        bits <<= 6 * (4 - digits);
        let [_, decoded @ ..] = bits.to_be_bytes();
        let (kept, spare) = decoded.split_at(digits - 1);
        if spare.iter().any(|octet| *octet != 0) {
            return None;
        }
        octets.extend_from_slice(kept);
    }
    Some(octets)
}

fn base64_digit(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_with_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("3600", Some(3600)),
            ("1h30m", Some(5400)),
            ("1W2D3H4M5S", Some(788_645)),
            ("", None),
            ("h", None),
            ("1h30", None),
            ("1y", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("18446744073709551615w", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn rfc4648_10_vectors() {
        for (text, octets) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYmFy", Some("foobar")),
            ("Zg=", None),
            ("Zg==Zg==", None),
            ("Zh==", None),
            ("Z===", None),
            ("Z=g=", None),
            ("Zm9*", None),
        ] {
            let expected = octets.map(|octets| octets.as_bytes().to_vec());
            assert_eq!(base64(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(hex(b"00fFA0"), Some(vec![0, 255, 160]));
        assert_eq!(hex(b"0"), None);
        assert_eq!(hex(b"0g"), None);
    }
}
