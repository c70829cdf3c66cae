//! Retention: removes what has been final for long.

use governance_core::{
    PageRequest, RequestQueries as _, RequestQuery, RequestStore as _, Status, StoreError,
    StoreErrorKind, TimeRange, Timestamp,
};

use crate::RedisStore;

/// What a purge did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgeReport {
    purged: u64,
    more: bool,
}

impl PurgeReport {
    /// Requests that were removed.
    #[must_use]
    pub const fn purged(self) -> u64 {
        self.purged
    }

    /// Whether there is more to remove. Call again.
    #[must_use]
    pub const fn more(self) -> bool {
        self.more
    }
}

impl RedisStore {
    /// Removes requests that reached one of these final statuses before a time, oldest first, at
    /// most so many. What somebody else removed meanwhile is left out.
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
        statuses: &[Status],
        before: Timestamp,
        limit: u16,
    ) -> Result<PurgeReport, StoreError> {
        if let Some(status) = statuses.iter().find(|status| !status.is_terminal()) {
            let detail = format!("{status} is not final");
            return Err(StoreError::new(
                StoreErrorKind::InvalidInput,
                "purge_finished",
                detail,
            ));
        }
        let query = RequestQuery::all_tenants()
            .statuses(statuses.iter().copied())
            .updated(TimeRange::until(before));
        let page = PageRequest::first(limit);
        let page = page.map_err(|error| StoreError::page("purge_finished", error))?;
        let found = self.requests(&query, &page).await?;
        let mut report = PurgeReport {
            purged: 0,
            more: found.next.is_some(),
        };
        for request in &found.items {
            match self.purge(request.id(), request.revision()).await {
                Ok(()) => report.purged += 1,
                Err(error) if error.kind() == StoreErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(report)
    }
}
