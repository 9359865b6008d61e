//! Sets of HTTP status codes, as people write them: `200-299,401`.

use std::fmt;
use std::str::FromStr;

/// Most ranges of a set.
const MAX_RANGES: usize = 16;

/// Status codes from 100 to 599 ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) §15).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusRanges(Box<[(u16, u16)]>);

impl StatusRanges {
    /// The codes from `first` to `last`.
    pub(super) fn one(first: u16, last: u16) -> Self {
        Self([(first, last)].into())
    }

    /// Whether `code` is one of them.
    pub fn contains(&self, code: u16) -> bool {
        self.0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&code))
    }
}

impl FromStr for StatusRanges {
    type Err = StatusRangesError;

    fn from_str(text: &str) -> Result<Self, StatusRangesError> {
        let code = |text: &str| {
            let code: u16 = text.trim().parse().ok()?;
            (100..=599).contains(&code).then_some(code)
        };
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (code(first)?, code(last)?);
            (first <= last).then_some((first, last))
        };
        let ranges: Option<Vec<_>> = text.split(',').take(MAX_RANGES + 1).map(range).collect();
        ranges
            .filter(|ranges| ranges.len() <= MAX_RANGES)
            .map(|ranges| Self(ranges.into()))
            .ok_or(StatusRangesError)
    }
}

impl fmt::Display for StatusRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

/// A text that is no set of status codes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "is no set of status codes; write codes and ranges of 100 to 599 with commas between them, \
     16 at most, such as \"200-299,401\""
)]
pub struct StatusRangesError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_codes_and_ranges() {
        let ranges: StatusRanges = "200-299, 401,503-504".parse().unwrap();
        for (code, is_in) in [
            (199, false),
            (200, true),
            (299, true),
            (401, true),
            (402, false),
        ] {
            assert_eq!(ranges.contains(code), is_in, "{code}");
        }
        assert_eq!(ranges.to_string(), "200-299,401,503-504");
        assert_eq!(ranges.to_string().parse(), Ok(ranges));
    }

    #[test]
    fn refuses_what_is_none() {
        let many = vec!["200"; 17].join(",");
        for text in [
            "", "2xx", "99", "600", "299-200", "200-", "-200", "200,,201", &many,
        ] {
            assert_eq!(
                text.parse::<StatusRanges>(),
                Err(StatusRangesError),
                "{text}"
            );
        }
    }
}
