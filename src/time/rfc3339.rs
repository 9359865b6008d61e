//! Times of day in JSON, as [RFC 3339] has them: `2026-11-23T22:14:07.982009901Z`.
//!
//! What chrono writes, octet for octet, and in a tenth of the time: an answer to a
//! registration holds four of them.
//!
//! [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use serde::{Serialize as _, Serializer};

/// Octets of the longest that is written here.
const MAX_LEN: usize = "2026-11-23T22:14:07.982009901Z".len();

/// Writes a time of day.
pub fn serialize<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    let mut text = [0; MAX_LEN];
    match write(time, &mut text) {
        Some(text) => to.serialize_str(text),
        // Before the year 0, or after 9999.
        None => time.serialize(to),
    }
}

/// Writes one that may be left out.
pub mod option {
    use chrono::{DateTime, Utc};
    use serde::Serializer;

    /// Writes a time of day, or `null`.
    pub fn serialize<S: Serializer>(
        time: &Option<DateTime<Utc>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::serialize(time, to),
            None => to.serialize_none(),
        }
    }
}

/// Writes a time of day at the beginning of `into`; `None` when its year hasn't four digits.
fn write<'t>(time: &DateTime<Utc>, into: &'t mut [u8; MAX_LEN]) -> Option<&'t str> {
    let year = u32::try_from(time.year())
        .ok()
        .filter(|year| *year <= 9999)?;
    into.copy_from_slice(b"0000-00-00T00:00:00.000000000Z");
    let mut put = |at: usize, digits: usize, mut number: u32| {
        for place in into[at..at + digits].iter_mut().rev() {
            // A digit.
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    // Leap seconds are none of Unix time: chrono has them as nanoseconds above a second.
    let nanos = time.nanosecond();
    put(0, 4, year);
    put(5, 2, time.month());
    put(8, 2, time.day());
    put(11, 2, time.hour());
    put(14, 2, time.minute());
    put(17, 2, time.second() + nanos / 1_000_000_000);
    put(20, 9, nanos % 1_000_000_000);
    // As many digits as it takes, in threes.
    let len = match nanos % 1_000_000_000 {
        0 => 19,
        nanos if nanos % 1_000_000 == 0 => 23,
        nanos if nanos % 1_000 == 0 => 26,
        _ => 29,
    };
    into[len] = b'Z';
    std::str::from_utf8(&into[..=len]).ok()
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDate, TimeDelta};
    use proptest::prelude::*;

    use super::*;

    fn is_as_chrono_has_it(time: DateTime<Utc>) -> Result<(), TestCaseError> {
        let own = serialize(&time, serde_json::value::Serializer).unwrap();
        prop_assert_eq!(own, serde_json::to_value(time).unwrap());
        Ok(())
    }

    proptest! {
        #[test]
        fn it_is_what_chrono_writes(seconds in -99_999_999_999i64..999_999_999_999, nanos in 0i64..1_000_000_000, unit in 0usize..4) {
            let unit = [1, 1_000, 1_000_000, 1_000_000_000][unit];
            let time = DateTime::from_timestamp(seconds, 0).unwrap();
            is_as_chrono_has_it(time + TimeDelta::nanoseconds(nanos / unit * unit))?;
        }
    }

    #[test]
    fn edges_are_what_chrono_writes() {
        let leap = NaiveDate::from_ymd_opt(2016, 12, 31).unwrap();
        let leap = leap.and_hms_nano_opt(23, 59, 59, 1_500_000_000).unwrap();
        for time in [
            leap.and_utc(),
            DateTime::<Utc>::MIN_UTC,
            DateTime::<Utc>::MAX_UTC,
            DateTime::<Utc>::UNIX_EPOCH,
        ] {
            is_as_chrono_has_it(time).unwrap();
        }
    }
}
