//! How long what is final is kept.

use std::{collections::BTreeMap, time::Duration};

use governance_core::{Status, Timestamp};

/// How long requests are kept after the write that ended them, per final status. What is not named
/// is kept for ever.
///
/// ```
/// use governance_core::Status;
/// use governance_redis::Retention;
/// use std::time::Duration;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// let retention = Retention::default()
///     .keep(Status::Canceled, 30 * DAY)
///     .keep(Status::Executed, 400 * DAY);
/// assert_eq!(retention.age_of(Status::Rejected), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Retention {
    ages: BTreeMap<Status, Duration>,
}

impl Retention {
    /// Keeps requests of a status for so long. With a status that is not final no store is opened:
    /// what is under way is never removed.
    pub fn keep(mut self, status: Status, age: Duration) -> Self {
        self.ages.insert(status, age);
        self
    }

    /// Keeps requests of every final status for so long.
    pub fn keep_all(age: Duration) -> Self {
        Status::ALL
            .into_iter()
            .filter(|status| status.is_terminal())
            .fold(Self::default(), |all, status| all.keep(status, age))
    }

    /// How long requests of a status are kept; none for ever.
    #[must_use]
    pub fn age_of(&self, status: Status) -> Option<Duration> {
        self.ages.get(&status).copied()
    }

    /// Whether it names no status.
    pub(crate) fn is_for_ever(&self) -> bool {
        self.ages.is_empty()
    }

    /// A status that is named although it is not final.
    pub(crate) fn not_final(&self) -> Option<Status> {
        self.statuses().find(|status| !status.is_terminal())
    }

    /// The statuses that are named.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = Status> {
        self.ages.keys().copied()
    }

    /// Before which time a request of a status must have ended to go.
    pub(crate) fn before(&self, status: Status, now: Timestamp) -> Option<Timestamp> {
        let age = i64::try_from(self.age_of(status)?.as_micros()).unwrap_or(i64::MAX);
        Some(Timestamp::from_micros(now.as_micros().saturating_sub(age)))
    }
}
