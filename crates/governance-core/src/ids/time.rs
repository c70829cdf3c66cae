//! Points in time as the store's clock told them.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z. Stored as that integer, shown as
/// RFC 3339.
///
/// Stored means by serde, too: JSON made of records has that integer. Where people or other
/// programs read it, give them the text of `to_string()`, which [`str::parse`] reads back.
///
/// ```
/// use governance_core::Timestamp;
/// use std::time::Duration;
///
/// let at: Timestamp = "2026-11-21T01:02:03Z".parse()?;
/// let a_month_before = at.saturating_sub(Duration::from_secs(30 * 86_400));
/// assert_eq!(a_month_before.to_string(), "2026-10-22T01:02:03Z");
/// # Ok::<(), governance_core::ParseTimestampError>(())
/// ```
///
/// Arithmetic saturates at the ends of the range, so a far deadline is "never", not an overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The latest point in time that can be told.
    pub const MAX: Self = Self(i64::MAX);

    /// From microseconds since 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970, zero for anything earlier.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0 / 1_000).unwrap_or(0)
    }

    /// This time and a duration later, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// This time and a duration earlier, at least the earliest that can be told.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }

    /// How long after `earlier` this is, zero if it is not later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// What is out of range is the earliest or the latest time that can be told.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self::EPOCH.saturating_add(since),
            Err(before) => Self::EPOCH.saturating_sub(before.duration()),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// A text that is not an RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("not an RFC 3339 time")]
pub struct ParseTimestampError(#[source] jiff::Error);

impl ParseTimestampError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "parse.timestamp"
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        let time: jiff::Timestamp = text.parse().map_err(ParseTimestampError)?;
        Ok(Self(time.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_rfc_3339() {
        let time: Timestamp = "2026-11-21T01:02:03.5Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-21T01:02:03.5Z");
        assert_eq!(time.as_millis(), 1_795_222_923_500);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    fn the_time_of_the_system_is_read_on_both_sides_of_the_epoch() {
        let step = Duration::from_micros(1_500);
        let later = Timestamp::from(SystemTime::UNIX_EPOCH + step);
        let earlier = Timestamp::from(SystemTime::UNIX_EPOCH - step);
        assert_eq!((later.as_micros(), earlier.as_micros()), (1_500, -1_500));
        assert_eq!(later.saturating_sub(2 * step), earlier);
    }

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(
            Timestamp::EPOCH.saturating_since(Timestamp::MAX),
            Duration::ZERO
        );
        assert_eq!(
            Timestamp::from_micros(i64::MIN).saturating_sub(Duration::MAX),
            Timestamp::from_micros(i64::MIN)
        );
        assert_eq!(Timestamp::from_micros(-5).as_millis(), 0);
        assert!(!Timestamp::MAX.to_string().is_empty());
    }
}
