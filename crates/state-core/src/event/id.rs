//! Where an event is in its log.

use std::{fmt, str::FromStr};

use crate::event::EventError;

/// The place of an event in the log of its topic: a later event has a greater one.
///
/// ```
/// use state_core::event::EventId;
///
/// let id: EventId = "1767225600000-3".parse()?;
/// assert!(id > EventId::ZERO);
/// assert_eq!(id.to_string(), "1767225600000-3");
/// # Ok::<(), state_core::event::EventError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId {
    millis: u64,
    seq: u64,
}

impl EventId {
    /// Before every event.
    pub const ZERO: Self = Self { millis: 0, seq: 0 };

    /// From the backend's time in milliseconds and a number within that.
    #[must_use]
    pub const fn new(millis: u64, seq: u64) -> Self {
        Self { millis, seq }
    }

    /// The backend's time when it was stored, in milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.millis
    }

    /// The number among the events of that millisecond.
    #[must_use]
    pub const fn seq(self) -> u64 {
        self.seq
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.seq)
    }
}

impl FromStr for EventId {
    type Err = EventError;

    fn from_str(text: &str) -> Result<Self, EventError> {
        let (millis, seq) = text.split_once('-').ok_or(EventError::InvalidId)?;
        let number = |part: &str| part.parse().map_err(|_| EventError::InvalidId);
        Ok(Self::new(number(millis)?, number(seq)?))
    }
}
