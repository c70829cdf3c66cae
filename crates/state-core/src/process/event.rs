//! What happened to processes.

use std::{fmt, str::FromStr};

use crate::{
    clock::Timestamp,
    process::{Status, Version},
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProcessEventKind {
    /// It was created.
    Created,
    /// It was changed.
    Saved,
    /// It was changed for the last time.
    Ended,
    /// A worker claimed it.
    Claimed,
    /// A worker let go of it.
    Released,
    /// It was deleted.
    Deleted,
}

impl ProcessEventKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::Saved,
        Self::Ended,
        Self::Claimed,
        Self::Released,
        Self::Deleted,
    ];

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Saved => "saved",
            Self::Ended => "ended",
            Self::Claimed => "claimed",
            Self::Released => "released",
            Self::Deleted => "deleted",
        }
    }
}

/// One thing that happened. `Debug` does not show the id.
#[derive(Clone, PartialEq, Eq)]
pub struct ProcessEvent {
    /// To which process.
    pub id: String,
    /// What.
    pub kind: ProcessEventKind,
    /// Where the process stands since.
    pub status: Status,
    /// Which form it has since.
    pub version: Version,
    /// When, by the backend's time.
    pub at: Timestamp,
}

impl fmt::Debug for ProcessEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessEvent")
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("version", &self.version)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// A text that is not an [`EventCursor`] or a [`PageCursor`](crate::process::PageCursor).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of this store")]
pub struct InvalidCursor;

/// Until where events were read: one place for every shard of the store.
///
/// Its text can be kept and read again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventCursor(Vec<(u64, u64)>);

impl EventCursor {
    /// A cursor at these places.
    #[must_use]
    pub const fn at(places: Vec<(u64, u64)>) -> Self {
        Self(places)
    }

    /// The places, shard by shard.
    #[must_use]
    pub fn places(&self) -> &[(u64, u64)] {
        &self.0
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shard, (time, number)) in self.0.iter().enumerate() {
            let comma = if shard == 0 { "" } else { "," };
            write!(f, "{comma}{time}-{number}")?;
        }
        Ok(())
    }
}

impl FromStr for EventCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let place = |part: &str| {
            let (time, number) = part.split_once('-')?;
            Some((time.parse().ok()?, number.parse().ok()?))
        };
        let places: Option<Vec<_>> = text.split(',').take(1_024).map(place).collect();
        places.map(Self).ok_or(InvalidCursor)
    }
}

/// Some events, in the order they happened within each process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch {
    /// The events.
    pub events: Vec<ProcessEvent>,
    /// Where to read on.
    pub next: EventCursor,
    /// Whether events before these were dropped unread: whoever follows has to read everything
    /// anew.
    pub gap: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        let cursor = EventCursor::at(vec![(1, 2), (u64::MAX, 0)]);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1", "1-", "a-1", "1-1,", "-1-1"] {
            assert_eq!(text.parse::<EventCursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
