//! Requests and state in one atomic step.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};

use super::{StoreError, Written};
use crate::{
    ids::{OperationId, Revision, StateVersion},
    request::{MutationRequest, Scope},
    status::Status,
};

/// One request of a commit.
#[derive(Debug, Clone)]
pub struct RequestWrite {
    /// The request to store.
    pub request: Arc<MutationRequest>,
    /// The revision it was made from.
    pub expected: Revision,
}

/// A write or delete of one state under a version check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateWrite {
    /// Which state.
    pub scope: Scope,
    /// The version the writer saw.
    pub expected: StateVersion,
    /// The new encoded value; none deletes the state.
    pub body: Option<Bytes>,
    /// The operation, for repeating.
    pub operation: OperationId,
}

/// What is to be done in one atomic step: up to [`Commit::MAX_REQUESTS`] requests and at most one
/// state, all of the same slot.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    requests: SmallVec<[RequestWrite; 1]>,
    state: Option<StateWrite>,
}

impl Commit {
    /// Most requests of one commit.
    pub const MAX_REQUESTS: usize = 4;

    /// A commit of one request.
    #[must_use]
    pub fn of(request: Arc<MutationRequest>, expected: Revision) -> Self {
        Self {
            requests: smallvec![RequestWrite { request, expected }],
            state: None,
        }
    }

    /// Adds another request.
    #[must_use]
    pub fn and(mut self, request: Arc<MutationRequest>, expected: Revision) -> Self {
        self.requests.push(RequestWrite { request, expected });
        self
    }

    /// Adds the write of the state.
    #[must_use]
    pub fn with_state(mut self, write: StateWrite) -> Self {
        self.state = Some(write);
        self
    }

    /// The requests, the one the operation is about first.
    #[must_use]
    pub fn requests(&self) -> &[RequestWrite] {
        &self.requests
    }

    /// The state.
    #[must_use]
    pub const fn state(&self) -> Option<&StateWrite> {
        self.state.as_ref()
    }

    /// Checks that there is something to commit, that it is not too much, that no request is
    /// named twice, that everything is of one slot, and that the write of the state is the one the
    /// first request records as executed.
    ///
    /// # Errors
    ///
    /// `InvalidInput`. Nothing was done.
    pub fn check(&self) -> Result<(), StoreError> {
        let refuse = |detail: &str| {
            let kind = super::StoreErrorKind::InvalidInput;
            Err(StoreError::new(kind, "commit", detail))
        };
        let Some(first) = self.requests.first() else {
            return refuse("a commit needs a request");
        };
        if self.requests.len() > Self::MAX_REQUESTS {
            return refuse("too many requests in one commit");
        }
        let slot = first.request.id().slot();
        let elsewhere = self
            .requests
            .iter()
            .any(|write| write.request.id().slot() != slot)
            || self
                .state
                .as_ref()
                .is_some_and(|write| write.scope.slot() != slot);
        if elsewhere {
            return refuse("a commit cannot span slots");
        }
        let twice = self.requests.iter().enumerate().any(|(i, write)| {
            self.requests[..i]
                .iter()
                .any(|other| other.request.id() == write.request.id())
        });
        if twice {
            return refuse("a request is named twice in one commit");
        }
        let made = |write: &StateWrite| {
            let (request, execution) = (&first.request, first.request.execution());
            request.status() == Status::Executed
                && *request.proposal().scope() == write.scope
                && execution.version_before() == Some(write.expected)
                && execution.version_after() == Some(write.expected.next())
                && execution.deleted_state() == write.body.is_none()
        };
        if self.state.as_ref().is_some_and(|write| !made(write)) {
            return refuse("the write of the state is not what the first request executed");
        }
        Ok(())
    }
}

/// Stores requests and a state in one atomic step: documents, everything they are found by, and
/// the events of the change feed.
///
/// This is what makes execution exactly-once without locks: a mutation is applied to the state
/// that was loaded, and the commit decides whether that still is the state.
///
/// # Contract
///
/// 1. All of a commit is stored or nothing.
/// 2. All revisions and the version are checked before anything is written. A missing request is
///    `NotFound`.
/// 3. A commit whose operation is already in the stored history of its first request returns
///    that request instead of doing anything again.
#[async_trait]
pub trait GovernedCommit: fmt::Debug + Send + Sync {
    /// Commits.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Conflict` with what was expected and met; `InvalidInput` as
    /// [`Commit::check`] and [`MutationRequest::check_extends`]; `TooLarge`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future after it was sent may leave the commit done, as a whole.
    ///
    /// # Round trips
    ///
    /// One, or two where the provider has to read what it replaces first.
    async fn commit(&self, commit: &Commit) -> Result<Written, StoreError>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: GovernedCommit + ?Sized> GovernedCommit for Arc<T> {
    async fn commit(&self, commit: &Commit) -> Result<Written, StoreError> {
        (**self).commit(commit).await
    }
}
