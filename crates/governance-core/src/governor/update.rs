//! Load, decide, store, and once more if somebody was faster.

use std::{sync::Arc, time::Duration};

use super::{Governor, GovernorError, TooLarge};
use crate::{
    approval::Membership,
    context::{Act, Context, Metadata, metadata_footprint},
    decision::{ApprovalEvent, DecisionKind, Lifecycle},
    ids::{OperationId, RequestId, Revision, Timestamp},
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
        GovernorError::check_nesting("metadata", context.metadata.values())?;
        // The display name is free text of the call, like its metadata.
        let name = context.actor.name().map_or(0, str::len);
        self.check_free_data(metadata_footprint(&context.metadata) + name)?;
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
        self.check_free_data(metadata_footprint(metadata))
    }

    fn check_free_data(&self, bytes: usize) -> Result<(), TooLarge> {
        TooLarge::check("metadata", bytes, self.parts.limits.metadata)
    }

    pub(super) fn check_document(&self, request: &MutationRequest) -> Result<(), TooLarge> {
        // What ends a request without executing it is let through: it could not be ended
        // otherwise. A submission that is denied was never stored.
        if request.ended_unexecuted() && request.revision() > Revision::FIRST {
            return Ok(());
        }
        TooLarge::check("document", request.footprint(), self.parts.limits.document)
    }

    /// Whether the operation was applied to this request before, by this actor and by this act.
    pub(super) fn replay(
        request: &MutationRequest,
        call: &Call,
        operation: Operation,
    ) -> Result<bool, GovernorError> {
        let mut known = request
            .decisions()
            .iter()
            .filter(|decision| decision.operation() == call.operation)
            .peekable();
        if known.peek().is_none() {
            return Ok(false);
        }
        let same = known.any(|decision| {
            decision.actor().id() == call.context.actor.id() && records(operation, decision.kind())
        });
        if same {
            Ok(true)
        } else {
            Err(GovernorError::OperationReused {
                operation: call.operation,
            })
        }
    }

    /// Changes one request by one act: loads, asks the authorizer, lets `decide` work on a
    /// draft, stores.
    pub(super) async fn change(
        &self,
        id: &RequestId,
        context: Context,
        operation: Operation,
        decide: impl Fn(&mut Draft, &Call) -> Result<(), RequestError> + Send + Sync,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let request = self.load(id).await?;
        let scope = request.proposal().scope();
        let call = self
            .admit(context, operation, Some(scope), Some(&request))
            .await?;
        self.change_as(&call, request, operation, decide).await
    }

    /// [`Governor::change`] by a call that was admitted. Begins again on the fresh record when
    /// somebody else was faster.
    pub(super) async fn change_as(
        &self,
        call: &Call,
        request: Arc<MutationRequest>,
        operation: Operation,
        decide: impl Fn(&mut Draft, &Call) -> Result<(), RequestError> + Send + Sync,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let mut doubt = Doubt::default();
        self.attempt_change(call, request, operation, decide, &mut doubt)
            .await
            .map_err(|error| doubt.conclude(error, call.operation))
    }

    async fn attempt_change(
        &self,
        call: &Call,
        mut request: Arc<MutationRequest>,
        operation: Operation,
        decide: impl Fn(&mut Draft, &Call) -> Result<(), RequestError> + Send + Sync,
        doubt: &mut Doubt,
    ) -> Result<Arc<MutationRequest>, GovernorError> {
        let id = *request.id();
        for attempt in 0..self.parts.attempts {
            if attempt > 0 {
                pause(attempt, call.operation).await;
                request = self.load(&id).await?;
            }
            if Self::replay(&request, call, operation)? {
                return Ok(request);
            }
            doubt.settle(request.revision());
            let mut draft = request.draft(call.act(self.now().await?));
            if let Err(refused) = decide(&mut draft, call) {
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
                Err(error) if self.try_again(&error, attempt) => {
                    doubt.note(error, request.revision());
                }
                Err(error) => return Err(GovernorError::of_missing(error, id, call.operation)),
            }
        }
        Err(GovernorError::Contended {
            id,
            attempts: self.parts.attempts,
        })
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

/// What a write whose answer was lost leaves open, until a fresh record settles it.
#[derive(Debug, Default)]
pub(super) struct Doubt(Option<(StoreError, Revision)>);

impl Doubt {
    /// Remembers the first lost answer, to a write made from a revision.
    pub(super) fn note(&mut self, error: StoreError, from: Revision) {
        if error.outcome() == WriteCertainty::Unknown && self.0.is_none() {
            self.0 = Some((error, from));
        }
    }

    /// A record without the operation that has another revision cannot take that write any more.
    pub(super) fn settle(&mut self, fresh: Revision) {
        if self.0.as_ref().is_some_and(|(_, from)| *from != fresh) {
            self.0 = None;
        }
    }

    /// What to tell the caller instead of an error, as long as there is doubt: that nobody knows.
    pub(super) fn conclude(self, error: GovernorError, operation: OperationId) -> GovernorError {
        match self.0 {
            Some((source, _)) => GovernorError::Unknown { operation, source },
            None => error,
        }
    }
}

/// Whether an operation records decisions of this kind, so that a repetition is told from another
/// act under the same id.
const fn records(operation: Operation, kind: &DecisionKind) -> bool {
    matches!(
        (operation, kind),
        (
            Operation::Submit,
            DecisionKind::Lifecycle(Lifecycle::Submitted { .. })
        ) | (
            Operation::Approve,
            DecisionKind::Approval(ApprovalEvent::Granted { .. })
        ) | (
            Operation::Deny,
            DecisionKind::Approval(ApprovalEvent::Denied { .. })
        ) | (
            Operation::Withdraw,
            DecisionKind::Approval(ApprovalEvent::Withdrawn { .. })
        ) | (
            Operation::Cancel,
            DecisionKind::Lifecycle(Lifecycle::Canceled)
        ) | (
            Operation::Supersede,
            DecisionKind::Lifecycle(Lifecycle::Superseded { .. })
        ) | (Operation::Amend, DecisionKind::Amendment(_))
            | (
                Operation::Retry,
                DecisionKind::Lifecycle(Lifecycle::Retried)
            )
            | (
                Operation::Execute,
                DecisionKind::Lifecycle(Lifecycle::Executed { .. } | Lifecycle::Failed { .. })
                    | DecisionKind::Version(_)
                    | DecisionKind::Approval(ApprovalEvent::Renewed { .. }),
            )
    )
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
