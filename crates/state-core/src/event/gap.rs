//! Whether something may be missing.

use std::fmt;

use crate::event::{Batch, EventId};

/// Why something may be missing.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The log was cut behind the last event that was read.
    Trimmed,
    /// The log is gone, or is behind what was read.
    Lost,
    /// Another server serves the log; the last events may not have reached it.
    Replaced,
    /// One who publishes had a number that did not come.
    Skipped,
    /// The handler was too slow.
    Overflow,
    /// An event cannot be read.
    Unreadable,
}

impl GapReason {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trimmed => "trimmed",
            Self::Lost => "lost",
            Self::Replaced => "replaced",
            Self::Skipped => "skipped",
            Self::Overflow => "overflow",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Judges a read behind a place. `incarnation` is that of the read before, zero if unknown.
#[must_use]
pub fn judge(after: EventId, incarnation: u64, batch: &Batch) -> Option<GapReason> {
    let is_other = |then: u64, now: u64| then != 0 && now != 0 && then != now;
    if batch.head < after {
        Some(GapReason::Lost)
    } else if batch.head > after && !batch.unbroken {
        Some(GapReason::Trimmed)
    } else if is_other(incarnation, batch.incarnation) {
        Some(GapReason::Replaced)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let after = EventId::new(5, 1);
        let judged = |head: (u64, u64), unbroken, incarnations: (u64, u64)| {
            let batch = Batch {
                head: EventId::new(head.0, head.1),
                unbroken,
                incarnation: incarnations.1,
                entries: Vec::new(),
            };
            judge(after, incarnations.0, &batch)
        };
        assert_eq!(judged((5, 1), true, (7, 7)), None);
        assert_eq!(judged((6, 0), true, (7, 7)), None);
        assert_eq!(judged((6, 0), false, (7, 7)), Some(GapReason::Trimmed));
        // Cut, but nothing came since.
        assert_eq!(judged((5, 1), false, (7, 7)), None);
        assert_eq!(judged((5, 0), true, (7, 7)), Some(GapReason::Lost));
        assert_eq!(judged((0, 0), true, (7, 7)), Some(GapReason::Lost));
        assert_eq!(judged((6, 0), true, (7, 8)), Some(GapReason::Replaced));
        assert_eq!(judged((6, 0), true, (0, 8)), None);
        assert_eq!(judged((6, 0), true, (7, 0)), None);
    }
}
