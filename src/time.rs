//! Time: moments of a steady clock, and durations as people write them.
//!
//! Everything that decides takes a [`Moment`] as an argument; only the edges
//! (transports, the writer's loop, probes) own a [`Clock`] and read it. Wall
//! time is for showing only, so setting the machine's clock moves no lease.

pub mod rfc3339;

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How long before a [`Clock`] was made its moments begin: what registered before a
/// restart has its moment, too. 100 years, of the 584 that fit.
const BEFORE: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A point on a [`Clock`], in nanoseconds; 584 years fit.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

impl Moment {
    /// Later than any that comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `millis` milliseconds after the first.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The moment `nanos` nanoseconds after the first.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Whole milliseconds since the first moment.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Nanoseconds since the first moment.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This moment and `later` after it.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(later.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// The time from `now` to this moment; zero when it has passed.
    pub fn left_at(self, now: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now.0))
    }
}

/// A steady clock that also knows what time of day its start was.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    wall_start: DateTime<Utc>,
}

impl Clock {
    /// Starts a clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clocks"
    )]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
            wall_start: Utc::now(),
        }
    }

    /// The moment it is now.
    pub fn now(&self) -> Moment {
        Moment::default().after(BEFORE).after(self.start.elapsed())
    }

    /// The time of day of a moment, by the machine's clock as it's set now.
    pub fn wall(&self, moment: Moment) -> DateTime<Utc> {
        self.time_of_day().of(moment)
    }

    /// The time of day of any moment, by the machine's clock as it's set now: the clocks
    /// are read once for all.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clocks"
    )]
    pub fn time_of_day(&self) -> TimeOfDay {
        let set = Utc::now() - self.reckoned(self.now());
        TimeOfDay {
            clock: *self,
            set: TimeDelta::seconds(set.num_seconds()),
        }
    }

    /// The moment of a time of day, as the machine's clock was set at the start; the
    /// first one of all that are longer ago.
    pub fn moment(&self, wall: DateTime<Utc>) -> Moment {
        let since_start = (wall - self.wall_start).num_nanoseconds();
        let start = Moment::default().after(BEFORE);
        match since_start.unwrap_or(i64::MIN) {
            later @ 0.. => start.after(Duration::from_nanos(later.unsigned_abs())),
            earlier => Moment(start.0.saturating_sub(earlier.unsigned_abs())),
        }
    }

    fn reckoned(&self, moment: Moment) -> DateTime<Utc> {
        let start = Moment::default().after(BEFORE);
        // Half of the range is 292 years, and this begins 100 years before the start.
        let passed = i64::try_from(i128::from(moment.0) - i128::from(start.0));
        self.wall_start
            .checked_add_signed(TimeDelta::nanoseconds(passed.unwrap_or(i64::MAX)))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

/// How moments are shown.
///
/// Reckoned from the clock's start, so that a moment is always shown the same; a clock
/// that was set meanwhile moves it by the whole seconds it was off.
#[derive(Clone, Copy, Debug)]
pub struct TimeOfDay {
    clock: Clock,
    set: TimeDelta,
}

impl TimeOfDay {
    /// The time of day of a moment.
    pub fn of(&self, moment: Moment) -> DateTime<Utc> {
        let shown = self.clock.reckoned(moment);
        shown.checked_add_signed(self.set).unwrap_or(shown)
    }
}

/// A duration as people write it: a whole number and a unit, `500ms`, `30s`, `2m` or `1h`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TimeSpan(pub Duration);

impl FromStr for TimeSpan {
    type Err = TimeSpanError;

    fn from_str(text: &str) -> Result<Self, TimeSpanError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let millis_per_unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(TimeSpanError),
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(millis_per_unit))
            .map(|millis| Self(Duration::from_millis(millis)))
            .ok_or(TimeSpanError)
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            0 => f.write_str("0s"),
            millis if millis % 3_600_000 == 0 => write!(f, "{}h", millis / 3_600_000),
            millis if millis % 60_000 == 0 => write!(f, "{}m", millis / 60_000),
            millis if millis % 1_000 == 0 => write!(f, "{}s", millis / 1_000),
            millis => write!(f, "{millis}ms"),
        }
    }
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|error| de::Error::custom(format_args!("{text:?} {error}")))
    }
}

/// A text that is no [`TimeSpan`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "is no duration; write a whole number and a unit, such as \"500ms\", \"30s\", \"2m\" or \"1h\""
)]
pub struct TimeSpanError;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_read_as_written() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                text.parse(),
                Ok(TimeSpan(Duration::from_millis(millis))),
                "{text}"
            );
        }
        for text in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "30 s",
            "1d",
            "99999999999999999999s",
        ] {
            assert_eq!(text.parse::<TimeSpan>(), Err(TimeSpanError), "{text}");
        }
    }

    #[test]
    fn moments_before_the_start_have_their_time() {
        let clock = Clock::start();
        for days in [-30_000, -1, 0, 1] {
            let wall = clock.wall_start + TimeDelta::days(days);
            let moment = clock.moment(wall);
            assert_eq!(clock.reckoned(moment), wall);
            assert_eq!(moment < clock.now(), days <= 0);
        }
        assert_eq!(clock.moment(DateTime::<Utc>::MIN_UTC), Moment::default());
    }

    proptest! {
        #[test]
        fn spans_print_as_they_read(millis in 0u64..100_000_000) {
            let span = TimeSpan(Duration::from_millis(millis));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
