//! Removes what has been final for long.

use std::collections::BTreeMap;

use governance_core::{
    Clock as _, Cursor, PageRequest, RequestQueries as _, RequestQuery, RequestStore as _, Status,
    StoreError, StoreErrorKind,
};

use crate::RedisStore;

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
    /// Removes requests that have been final for longer than the options say they are to be kept
    /// ([`retention`](crate::RedisStoreOptions::retention)), oldest first: at most `limit` of them, from 1 to 1 000. Everything they are found by goes with them, and
    /// their idempotency keys are free again. Age is told by the store's clock. What somebody else
    /// removes meanwhile is left out.
    ///
    /// A step looks at `limit` requests of these statuses. Go on from [`PurgeReport::next`] until there
    /// is none.
    ///
    /// # Errors
    ///
    /// `InvalidInput` where the options name no status, else as the listing and
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
        after: Option<&Cursor>,
        limit: u16,
    ) -> Result<PurgeReport, StoreError> {
        self.retain(after, limit, true).await
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
        after: Option<&Cursor>,
        limit: u16,
    ) -> Result<PurgeReport, StoreError> {
        self.retain(after, limit, false).await
    }

    async fn retain(
        &self,
        after: Option<&Cursor>,
        limit: u16,
        remove: bool,
    ) -> Result<PurgeReport, StoreError> {
        let retention = &self.shared.options.retention;
        if retention.is_for_ever() {
            let detail = "no status is named in RedisStoreOptions::retention";
            let kind = StoreErrorKind::InvalidInput;
            return Err(StoreError::new(kind, "purge_finished", detail.to_owned()));
        }
        // Times are not part of the query: they move on, and a cursor is of one query.
        let query = RequestQuery::all_tenants().statuses(retention.statuses());
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
