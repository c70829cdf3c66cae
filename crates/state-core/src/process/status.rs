//! The status machine.

use std::fmt;

/// Where a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Not begun.
    Pending,
    /// Being worked on.
    Running,
    /// Stopped for a while.
    Paused,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Ended because somebody said so.
    Cancelled,
    /// Ended, and undone.
    RolledBack,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Running,
        Self::Paused,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::RolledBack,
    ];

    /// Those a process goes on from.
    pub const LIVE: [Self; 3] = [Self::Pending, Self::Running, Self::Paused];

    /// Whether nothing follows.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Cancelled | Self::RolledBack
        )
    }

    /// Whether a process may go from here to there. It may always stay where it is while it lives.
    ///
    /// This is the one table; backends are told what it says.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (
                Self::Pending | Self::Running | Self::Paused,
                Self::Pending | Self::Running | Self::Paused
            ) | (
                Self::Pending | Self::Running | Self::Paused,
                Self::Failed | Self::Cancelled
            ) | (Self::Running, Self::Completed | Self::RolledBack)
                | (Self::Paused, Self::RolledBack)
        )
    }

    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::RolledBack => "rolled_back",
        }
    }

    /// One letter, for a backend to store.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Pending => 'P',
            Self::Running => 'R',
            Self::Paused => 'S',
            Self::Completed => 'C',
            Self::Failed => 'F',
            Self::Cancelled => 'X',
            Self::RolledBack => 'B',
        }
    }

    /// The status of a [`letter`](Self::letter).
    #[must_use]
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.letter() == letter)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_an_end() {
        for from in Status::ALL {
            for to in Status::ALL {
                assert!(!(from.is_ended() && from.may_become(to)), "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn live_processes_can_stay_and_can_be_cancelled() {
        for status in Status::LIVE {
            assert!(status.may_become(status) && status.may_become(Status::Cancelled));
        }
    }

    #[test]
    fn letters_are_different() {
        for status in Status::ALL {
            assert_eq!(Status::from_letter(status.letter()), Some(status));
        }
        assert_eq!(Status::from_letter('?'), None);
    }
}
