//! Requests by id.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::StoreError;
use crate::{
    ids::{IdempotencyKey, RequestId, Revision},
    request::{MutationRequest, Scope},
};

/// What a create did.
#[derive(Debug, Clone)]
pub enum Creation {
    /// The request is stored now.
    Created,
    /// Nothing was stored: the same operation stored it before, or a request of the same state
    /// has the same idempotency key. This is the stored request.
    Existing(Arc<MutationRequest>),
}

/// What a store did.
#[derive(Debug, Clone)]
pub enum Written {
    /// The request is stored now.
    Applied,
    /// Nothing was stored: the same operation was applied before. This is the stored request.
    AlreadyApplied(Arc<MutationRequest>),
}

/// Keeps requests.
///
/// # Contract
///
/// 1. `create` stores a request under an id nobody has; of any number of creates of one id or one
///    idempotency key exactly one stores.
/// 2. `try_store` stores a request if the stored revision is the expected one, and changes nothing
///    otherwise. A missing request is `NotFound`, never `Conflict`.
/// 3. Every write first asks [`MutationRequest::check_new`] or
///    [`MutationRequest::check_extends`], so recorded decisions cannot be rewritten.
/// 4. A write whose operation is already in the stored history returns the stored request instead
///    of doing anything again. Except one that expects the stored revision and brings a shorter
///    history: it repeats nothing, and is refused as any history that does not extend.
/// 5. A request and everything it is found by change in one step. A read after a write that was
///    acknowledged sees it.
///
/// # Cancel safety
///
/// Dropping the future of a write after it was sent may leave it done. Repeat it under the same
/// operation id to find out.
#[async_trait]
pub trait RequestStore: fmt::Debug + Send + Sync {
    /// Stores a new request.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` when another request has the id, `InvalidInput` when the request is not
    /// new or its id does not route to its state, `TooLarge`.
    ///
    /// # Round trips
    ///
    /// One.
    async fn create(&self, request: Arc<MutationRequest>) -> Result<Creation, StoreError>;

    /// Stores a changed request if the stored one still has the revision it was made from.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Conflict` with both revisions; `InvalidInput` when the history does not
    /// extend the stored one; `TooLarge`.
    ///
    /// # Round trips
    ///
    /// One, or two where the provider has to read what it replaces first.
    async fn try_store(
        &self,
        request: Arc<MutationRequest>,
        expected: Revision,
    ) -> Result<Written, StoreError>;

    /// The request with this id.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it is stored but cannot be read.
    ///
    /// # Round trips
    ///
    /// One.
    async fn get(&self, id: &RequestId) -> Result<Option<Arc<MutationRequest>>, StoreError>;

    /// The requests with these ids, in the same order. Not one snapshot.
    ///
    /// # Errors
    ///
    /// As [`RequestStore::get`], for the first that cannot be read.
    ///
    /// # Round trips
    ///
    /// One per partition.
    async fn get_many(
        &self,
        ids: &[RequestId],
    ) -> Result<Vec<Option<Arc<MutationRequest>>>, StoreError>;

    /// The request a caller's own key belongs to. Keys are separate for every state.
    ///
    /// # Errors
    ///
    /// As [`RequestStore::get`].
    ///
    /// # Round trips
    ///
    /// At most two.
    async fn find_by_key(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Result<Option<Arc<MutationRequest>>, StoreError>;

    /// Removes a request in a final status with everything it is found by, and frees its
    /// idempotency key.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Conflict`, `InvalidInput` when the request is not final.
    ///
    /// # Round trips
    ///
    /// At most two.
    async fn purge(&self, id: &RequestId, expected: Revision) -> Result<(), StoreError>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: RequestStore + ?Sized> RequestStore for Arc<T> {
    async fn create(&self, request: Arc<MutationRequest>) -> Result<Creation, StoreError> {
        (**self).create(request).await
    }

    async fn try_store(
        &self,
        request: Arc<MutationRequest>,
        expected: Revision,
    ) -> Result<Written, StoreError> {
        (**self).try_store(request, expected).await
    }

    async fn get(&self, id: &RequestId) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        (**self).get(id).await
    }

    async fn get_many(
        &self,
        ids: &[RequestId],
    ) -> Result<Vec<Option<Arc<MutationRequest>>>, StoreError> {
        (**self).get_many(ids).await
    }

    async fn find_by_key(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        (**self).find_by_key(scope, key).await
    }

    async fn purge(&self, id: &RequestId, expected: Revision) -> Result<(), StoreError> {
        (**self).purge(id, expected).await
    }
}
