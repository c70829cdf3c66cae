//! Retention: removes what has been final for long.

use std::{collections::BTreeMap, time::Duration};

use governance_core::{
    Clock as _, Cursor, PageRequest, RequestQueries as _, RequestQuery, RequestStore as _, Status,
    StoreError, StoreErrorKind, Timestamp,
};

use crate::RedisStore;

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
    /// Keeps requests of a status for so long. A status that is not final makes every purge an
    /// error: what is under way is never removed.
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

    /// Before which time a request of a status must have ended to go.
    fn before(&self, status: Status, now: Timestamp) -> Option<Timestamp> {
        let age = i64::try_from(self.age_of(status)?.as_micros()).unwrap_or(i64::MAX);
        Some(Timestamp::from_micros(now.as_micros().saturating_sub(age)))
    }
}

/// What one step of a purge did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PurgeReport {
    purged: BTreeMap<Status, u64>,
    unreadable: u64,
    next: Option<Cursor>,
}

impl PurgeReport {
    /// Requests that were removed, or would be.
    #[must_use]
    pub fn purged(&self) -> u64 {
        self.purged.values().sum()
    }

    /// The same by status; without those of which there are none.
    #[must_use]
    pub const fn by_status(&self) -> &BTreeMap<Status, u64> {
        &self.purged
    }

    /// Requests that were met and stay because they cannot be read.
    #[must_use]
    pub const fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Where the next step goes on; none when everything was looked at.
    #[must_use]
    pub const fn next(&self) -> Option<&Cursor> {
        self.next.as_ref()
    }
}

impl RedisStore {
    /// Removes requests that have been final for longer than they are to be kept, oldest first: at
    /// most `limit` of them, from 1 to 1 000. Everything they are found by goes with them, and
    /// their idempotency keys are free again. Age is told by the store's clock. What somebody else
    /// removes meanwhile is left out.
    ///
    /// A step looks at `limit` requests of these statuses. Go on from [`PurgeReport::next`] until there
    /// is none.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a status that is not final, else as the listing and
    /// [`purge`](governance_core::RequestStore::purge). What was removed before stays removed.
    ///
    /// # Cancel safety
    ///
    /// What was removed stays removed; call again.
    ///
    /// # Round trips
    ///
    /// Two for each request, and those of the listing.
    pub async fn purge_finished(
        &self,
        retention: &Retention,
        after: Option<&Cursor>,
        limit: u16,
    ) -> Result<PurgeReport, StoreError> {
        self.retain(retention, after, limit, true).await
    }

    /// Counts what [`purge_finished`](Self::purge_finished) would remove in one step, and removes
    /// nothing.
    ///
    /// # Errors
    ///
    /// As `purge_finished`.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn preview_purge(
        &self,
        retention: &Retention,
        after: Option<&Cursor>,
        limit: u16,
    ) -> Result<PurgeReport, StoreError> {
        self.retain(retention, after, limit, false).await
    }

    async fn retain(
        &self,
        retention: &Retention,
        after: Option<&Cursor>,
        limit: u16,
        remove: bool,
    ) -> Result<PurgeReport, StoreError> {
        let refuse = |detail: String| {
            Err(StoreError::new(
                StoreErrorKind::InvalidInput,
                "purge_finished",
                detail,
            ))
        };
        let statuses = || retention.ages.keys().copied();
        if let Some(status) = statuses().find(|status| !status.is_terminal()) {
            return refuse(format!("{status} is not final"));
        }
        if retention.ages.is_empty() {
            return refuse("no status is named".to_owned());
        }
        // Times are not part of the query: they move on, and a cursor is of one query.
        let query = RequestQuery::all_tenants().statuses(statuses());
        let page = PageRequest::first(limit);
        let mut page = page.map_err(|error| StoreError::page("purge_finished", error))?;
        if let Some(after) = after {
            page = page.after(after.clone());
        }
        let now = self.now().await?;
        let found = self.requests(&query, &page).await?;
        let mut report = PurgeReport {
            purged: BTreeMap::new(),
            unreadable: found.undecodable.len() as u64,
            next: found.next,
        };
        for request in &found.items {
            let status = request.status();
            let before = retention.before(status, now);
            if before.is_none_or(|before| request.updated_at() >= before) {
                continue;
            }
            if remove {
                match self.purge(request.id(), request.revision()).await {
                    Ok(()) => {}
                    Err(error) if error.kind() == StoreErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            }
            *report.purged.entry(status).or_default() += 1;
        }
        Ok(report)
    }
}
