//! Listings.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::StoreError;
use crate::{
    query::{
        ApprovalQuery, ApprovalView, Count, DecisionQuery, DecisionView, Page, PageRequest,
        RequestQuery,
    },
    request::MutationRequest,
};

/// Finds requests, approvals and decisions.
///
/// # Contract
///
/// 1. Pages are bounded and in a stable order. Whatever matches during a whole walk appears in it
///    exactly once; what starts or stops matching meanwhile may or may not appear. Where items
///    are ordered by deadline, one whose deadline changes may move.
/// 2. A record that cannot be read is reported beside the page and never fails it.
/// 3. A page is found by [`query::plan`](crate::query::plan) over the terms of
///    [`query::terms`](crate::query::terms), and every hit is checked by
///    [`query::matches`](crate::query::matches): an index is never an opinion of its own. A hit
///    need not be checked where the plan is exact and terms cannot be seen without the document
///    they were made from.
///
/// # Errors
///
/// Every method: `InvalidInput` for a cursor of another query, `Expired` for one that is too old.
///
/// # Cancel safety
///
/// Every method reads only.
#[async_trait]
pub trait RequestQueries: fmt::Debug + Send + Sync {
    /// Requests.
    ///
    /// # Errors
    ///
    /// See the trait.
    ///
    /// # Round trips
    ///
    /// At most three for a page that fits one partition.
    async fn requests(
        &self,
        query: &RequestQuery,
        page: &PageRequest,
    ) -> Result<Page<Arc<MutationRequest>>, StoreError>;

    /// Approval requirements of requests, in the order of the requests, then by stage and id. The
    /// limit counts requirements; a page ends with the last requirement of a request, so it may
    /// be longer by what that request has.
    ///
    /// # Errors
    ///
    /// See the trait.
    ///
    /// # Round trips
    ///
    /// As [`RequestQueries::requests`].
    async fn approvals(
        &self,
        query: &ApprovalQuery,
        page: &PageRequest,
    ) -> Result<Page<ApprovalView>, StoreError>;

    /// Decisions, in the order they were stored, or newest first. There is no order by deadline.
    ///
    /// A page reads a bounded part of the journal. For a query that few of its entries match it
    /// may be empty and still have a cursor: one further along than the one it came from, so that
    /// a walk ends.
    ///
    /// # Errors
    ///
    /// See the trait; `InvalidInput` for an order by deadline.
    ///
    /// # Round trips
    ///
    /// At most three for a page that fits one partition.
    async fn decisions(
        &self,
        query: &DecisionQuery,
        page: &PageRequest,
    ) -> Result<Page<DecisionView>, StoreError>;

    /// How many requests match, as far as that can be told without reading them.
    ///
    /// # Errors
    ///
    /// See the trait.
    ///
    /// # Round trips
    ///
    /// One per partition and step.
    async fn count(&self, query: &RequestQuery) -> Result<Count, StoreError>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: RequestQueries + ?Sized> RequestQueries for Arc<T> {
    async fn requests(
        &self,
        query: &RequestQuery,
        page: &PageRequest,
    ) -> Result<Page<Arc<MutationRequest>>, StoreError> {
        (**self).requests(query, page).await
    }

    async fn approvals(
        &self,
        query: &ApprovalQuery,
        page: &PageRequest,
    ) -> Result<Page<ApprovalView>, StoreError> {
        (**self).approvals(query, page).await
    }

    async fn decisions(
        &self,
        query: &DecisionQuery,
        page: &PageRequest,
    ) -> Result<Page<DecisionView>, StoreError> {
        (**self).decisions(query, page).await
    }

    async fn count(&self, query: &RequestQuery) -> Result<Count, StoreError> {
        (**self).count(query).await
    }
}
