//! Load, decide, store, and once more if somebody was faster.

use std::{sync::Arc, time::Duration};

use super::{Governor, GovernorError, TooLarge};
use crate::{
    approval::Membership,
    context::{Act, Context, Metadata, metadata_footprint},
    ids::{OperationId, RequestId, Timestamp},
    request::{Draft, MutationRequest, RequestError, Scope},
    store::{
        Access, AccessRequest, Operation, Retry, StoreError, StoreErrorKind, WriteCertainty,
        Written,
    },
};

/// A call that may go on: the actor is authorized, the operation has its id.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) context: Context,
    pub(super) operation: OperationId,
    pub(super) membership: Membership,
}

impl Call {
    pub(super) fn act(&self, at: Timestamp) -> Act {
        Act::new(self.context.clone(), at, self.operation)
    }
}

impl Governor {
    pub(super) async fn now(&self) -> Result<Timestamp, GovernorError> {
        Ok(self.parts.store.now().await?)
    }

    /// The request, if it is of this tenant.
    pub(super) async fn load(&self, id: &RequestId) -> Result<Arc<MutationRequest>, GovernorError> {
        match self.parts.store.get(id).await? {
            Some(request) if request.proposal().scope().tenant == self.tenant => Ok(request),
            _ => Err(GovernorError::NotFound { id: *id }),
        }
    }

    /// Settles the operation id, bounds the caller's data, and asks the authorizer.
    pub(super) async fn admit(
        &self,
        context: Context,
        operation: Operation,
        scope: Option<&Scope>,
        request: Option<&MutationRequest>,
    ) -> Result<Call, GovernorError> {
        self.check_metadata(&context.metadata)?;
        let actor = context.actor.id();
        let membership = self.parts.directory.membership(&self.tenant, actor).await?;
        let access = AccessRequest {
            operation,
            actor: &context.actor,
            membership: &membership,
            tenant: &self.tenant,
            scope,
            request,
        };
        match self.parts.authorizer.authorize(&access).await? {
            Access::Granted => {
                let id = context
                    .operation
                    .unwrap_or_else(|| self.parts.ids.operation_id());
                Ok(Call {
                    operation: id,
                    membership,
                    context,
                })
            }
            Access::Refused { reason } => Err(GovernorError::Unauthorized {
                operation,
                actor: actor.clone(),
                reason,
            }),
        }
    }

    pub(super) fn check_metadata(&self, metadata: &Metadata) -> Result<(), TooLarge> {
        TooLarge::check(
            "metadata",
            metadata_footprint(metadata),
            self.parts.limits.metadata,
        )
    }

    pub(super) fn check_document(&self, request: &MutationRequest) -> Result<(), TooLarge> {
        // What ends a request is let through: it could not be ended otherwise.
        if request.status().is_terminal() {
            return Ok(());
        }
        TooLarge::check("document", request.footprint(), self.parts.limits.document)
    }

    /// What an operation did before, if it was applied to this request by this actor.
    pub(super) fn replay(request: &MutationRequest, call: &Call) -> Result<bool, GovernorError> {
        match request.outcome_of(call.operation) {
            None => Ok(false),
            Some(decision) if decision.actor().id() == call.context.actor.id() => Ok(true),
            Some(_) => Err(GovernorError::OperationReused {
                operation: call.operation,
            }),
        }
    }

    /// Changes one request by one act: asks the authorizer, loads, lets `decide` work on a
    /// draft, stores. Begins again on the fresh record when somebody else was faster.
    pub(super) async fn change(
        &self,
        id: &RequestId,
        context: Context,
        operation: Operation,
        decide: impl Fn(&mut Draft, &Call) -> Result<(), RequestError> + Send + Sync,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let mut request = self.load(id).await?;
        let scope = request.proposal().scope().clone();
        let call = self
            .admit(context, operation, Some(&scope), Some(&request))
            .await?;
        let mut lost = None;
        for attempt in 0..self.parts.attempts {
            if attempt > 0 {
                pause(attempt, call.operation).await;
                request = self.reload(id, call.operation, lost.take()).await?;
            }
            if Self::replay(&request, &call)? {
                return Ok(request);
            }
            let mut draft = request.draft(call.act(self.now().await?));
            if let Err(refused) = decide(&mut draft, &call) {
                return Err(self.refused(&request, refused).await);
            }
            if !draft.is_changed() {
                return Ok(request);
            }
            let changed = Arc::new(draft.finish());
            self.check_document(&changed)?;
            let stored = self
                .parts
                .store
                .try_store(Arc::clone(&changed), request.revision())
                .await;
            match stored {
                Ok(Written::Applied) => return Ok(changed),
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

    /// The fresh record for another attempt. Where it cannot be read, and the attempt before lost
    /// its answer, nobody knows what was done.
    pub(super) async fn reload(
        &self,
        id: &RequestId,
        operation: OperationId,
        lost: Option<StoreError>,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        match (self.load(id).await, lost) {
            (Err(GovernorError::Store(_)), Some(source))
                if source.outcome() == WriteCertainty::Unknown =>
            {
                Err(GovernorError::Unknown { operation, source })
            }
            (loaded, _) => loaded,
        }
    }

    /// Whether to load and decide again. An unknown outcome is settled that way too: the fresh
    /// record either has the operation or can take it.
    pub(super) fn try_again(&self, error: &StoreError, attempt: u32) -> bool {
        let last = attempt + 1 == self.parts.attempts;
        match error.kind() {
            // Told apart at the end, as contention.
            StoreErrorKind::Conflict => true,
            _ => {
                !last
                    && (error.outcome() == WriteCertainty::Unknown || error.retry() != Retry::Never)
                    && attempt < 3
            }
        }
    }

    /// A request that is past its deadline is expired on the way out, so it does not linger until
    /// the next sweep. Failing to do so changes nothing about the refusal.
    pub(super) async fn refused(
        &self,
        request: &Arc<MutationRequest>,
        refused: RequestError,
    ) -> GovernorError {
        let overdue = request.due_at();
        if matches!(refused, RequestError::Overdue { deadline } if overdue == Some(deadline)) {
            let expired = self.expire(request).await;
            if let Err(error) = expired {
                tracing::debug!(
                    code = error.code(),
                    "an overdue request could not be expired"
                );
            }
        }
        refused.into()
    }
}

/// Waits a little, longer each time and not the same for everybody, before trying again.
pub(super) async fn pause(attempt: u32, operation: OperationId) {
    // The first retries are free: on an in-process store the other writer is long done.
    let Some(step) = attempt.checked_sub(4) else {
        return;
    };
    let spread = u64::from(operation.as_bytes()[15] ^ u8::try_from(attempt & 0xff).unwrap_or(0));
    let most = 50_u64 << step.min(8);
    tokio::time::sleep(Duration::from_micros(most / 2 + most * spread / 512)).await;
}
