//! Cancel, supersede, amend, retry, expire.

use std::sync::Arc;

use super::{Governor, GovernorError, tick::system};
use crate::{
    context::{Act, Context, Reason},
    ids::{RequestId, Timestamp},
    request::{MutationRequest, RequestError},
    store::{Commit, Operation, StoreErrorKind, Written},
};

impl Governor {
    /// Takes a request back.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Request`] when it is final or overdue; otherwise as
    /// [`Governor::approve`].
    pub async fn cancel(
        &self,
        id: &RequestId,
        by: impl Into<Context> + Send,
        reason: impl AsRef<str> + Send,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let reason = Reason::new(reason)?;
        self.change(id, by.into(), Operation::Cancel, |draft, _| {
            draft.cancel(reason.clone())
        })
        .await
    }

    /// Changes the deadline of a pending request; `None` removes it.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Request`] when it is not pending, or the old or new deadline has passed;
    /// otherwise as [`Governor::approve`].
    pub async fn amend_deadline(
        &self,
        id: &RequestId,
        by: impl Into<Context> + Send,
        deadline: Option<Timestamp>,
        reason: impl AsRef<str> + Send,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let reason = Reason::new(reason)?;
        self.change(id, by.into(), Operation::Amend, |draft, _| {
            draft.amend_deadline(deadline, reason.clone())
        })
        .await
    }

    /// Changes the reason of a pending request.
    ///
    /// # Errors
    ///
    /// As [`Governor::amend_deadline`].
    pub async fn amend_reason(
        &self,
        id: &RequestId,
        by: impl Into<Context> + Send,
        reason: impl AsRef<str> + Send,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let reason = Reason::new(reason)?;
        self.change(id, by.into(), Operation::Amend, |draft, _| {
            draft.amend_reason(reason.clone())
        })
        .await
    }

    /// Lets a failed request be executed again.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Request`] when it has not failed or its failure cannot be retried;
    /// otherwise as [`Governor::approve`].
    pub async fn retry(
        &self,
        id: &RequestId,
        by: impl Into<Context> + Send,
        reason: impl AsRef<str> + Send,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let reason = Reason::new(reason)?;
        self.change(id, by.into(), Operation::Retry, |draft, _| {
            draft.retry(reason.clone())
        })
        .await
    }

    /// Lets another request of the same state take the place of this one. Both sides of the link
    /// are stored in one step. Returns the superseded request.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Request`] when this request is final, or the other is the same, final, or
    /// about another state; [`GovernorError::NotFound`] for either; otherwise as
    /// [`Governor::approve`].
    pub async fn supersede(
        &self,
        id: &RequestId,
        with: &RequestId,
        by: impl Into<Context> + Send,
        reason: impl AsRef<str> + Send,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let reason = Reason::new(reason)?;
        let mut old = self.load(id).await?;
        let scope = old.proposal().scope().clone();
        let call = self
            .admit(by.into(), Operation::Supersede, Some(&scope), Some(&old))
            .await?;
        let mut lost = None;
        for attempt in 0..self.parts.attempts {
            if attempt > 0 {
                super::update::pause(attempt, call.operation).await;
                old = self.reload(id, call.operation, lost.take()).await?;
            }
            if Self::replay(&old, &call)? {
                return Ok(old);
            }
            let new = self.load(with).await?;
            let now = self.now().await?;
            let mut closing = old.draft(call.act(now));
            if let Err(refused) = closing.supersede(&new, reason.clone()) {
                return Err(self.refused(&old, refused).await);
            }
            let mut taking = new.draft(call.act(now));
            taking.take_place_of(*id, reason.clone())?;
            let closed = Arc::new(closing.finish());
            let taken = Arc::new(taking.finish());
            self.check_document(&taken)?;
            let commit = Commit::of(Arc::clone(&closed), old.revision()).and(taken, new.revision());
            match self.parts.store.commit(&commit).await {
                Ok(Written::Applied) => return Ok(closed),
                Ok(Written::AlreadyApplied(stored)) => return Ok(stored),
                Err(error) if self.try_again(&error, attempt) => lost = Some(error),
                Err(error) => return Err(GovernorError::of_missing(error, *id, call.operation)),
            }
        }
        Err(GovernorError::Contended {
            id: *id,
            attempts: self.parts.attempts,
        })
    }

    /// Records that a deadline passed, in the name of the system. Whoever else was faster has
    /// changed the request; then there is nothing to do here any more.
    pub(super) async fn expire(
        &self,
        request: &Arc<MutationRequest>,
    ) -> Result<bool, GovernorError> {
        let operation = self.parts.ids.operation_id();
        let mut draft = request.draft(Act::new(&system()?, self.now().await?, operation));
        match draft.expire() {
            Ok(()) => {}
            Err(RequestError::NotDue | RequestError::NotAllowed { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let revision = request.revision();
        match self
            .parts
            .store
            .try_store(Arc::new(draft.finish()), revision)
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(false),
            Err(error) => Err(GovernorError::of_missing(error, *request.id(), operation)),
        }
    }
}
