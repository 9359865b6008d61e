//! Lists of `key=value`, as the `OTEL_*` variables have them.
//!
//! Pairs are separated by commas, values are percent-encoded. Resource attributes
//! and headers are written so.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Reads a list, or fails if an entry has no key or no `=`, or its encoding is broken.
pub(super) fn pairs(text: &str) -> Option<Vec<(&str, String)>> {
    text.split(',')
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = Some(key.trim()).filter(|key| !key.is_empty())?;
            Some((key, percent_decoded(value.trim())?))
        })
        .collect()
}

/// Reads a list of headers, or fails as [`pairs`] does or if one can't be a header.
///
/// Of two with the same name the last wins. Values are marked as secrets.
pub(super) fn headers(text: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(text)? {
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    Some(headers)
}

/// Undoes percent-encoding, or fails when it is cut short or is no UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut octets = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let hex = piece
            .get(..2)
            .filter(|hex| hex.bytes().all(|octet| octet.is_ascii_hexdigit()))?;
        octets.push(u8::from_str_radix(hex, 16).ok()?);
        octets.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs() {
        let read = |text| {
            let pairs = pairs(text)?;
            Some(pairs.iter().map(|(k, v)| format!("{k}:{v};")).collect())
        };
        for (text, expected) in [
            ("", Some("")),
            (" , ", Some("")),
            ("a=b", Some("a:b;")),
            (" a = b c , d=%2C%20=,", Some("a:b c;d:, =;")),
            ("a=", Some("a:;")),
            ("a=%c3%A9", Some("a:é;")),
            ("a", None),
            ("=b", None),
            ("a=%", None),
            ("a=%2", None),
            ("a=%+1", None),
            ("a=%ff", None),
        ] {
            assert_eq!(read(text), expected.map(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn reads_headers() {
        let read = headers("Api-Key=a%20secret,x=1,x=2").unwrap();
        assert_eq!(read["api-key"], "a secret");
        assert_eq!((read["x"].as_bytes(), read.len()), (&b"2"[..], 2));
        assert!(!format!("{read:?}").contains("secret"));
        for text in ["a b=c", "a=%0A", "é=a", "a"] {
            assert!(headers(text).is_none(), "{text:?}");
        }
    }
}
