//! Execution.

use std::sync::Arc;

use super::{
    Governor, GovernorError,
    update::{Call, Doubt, pause},
};
use crate::{
    context::Context,
    ids::RequestId,
    request::MutationRequest,
    status::Status,
    store::{Commit, Operation, StateWrite, Written},
};

/// What to do when the state has moved since the approval.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnStale {
    /// Reject the request.
    Reject,
    /// Ask for approval again, for the state as it is now: policies say what is required, old
    /// votes do not count.
    RenewApproval,
    /// Let policies judge the state as it is now: execute if what they require was granted,
    /// otherwise ask for approval again, or reject.
    Revalidate,
    /// Execute whatever the version. The history says so.
    AnyVersion,
}

impl OnStale {
    /// Every rule.
    pub const ALL: [Self; 4] = [
        Self::Reject,
        Self::RenewApproval,
        Self::Revalidate,
        Self::AnyVersion,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::RenewApproval => "renew_approval",
            Self::Revalidate => "revalidate",
            Self::AnyVersion => "any_version",
        }
    }
}

impl std::fmt::Display for OnStale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

crate::ids::parse_by_name!(OnStale, "a staleness rule");

/// What became of a request at an execution.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionOutcome {
    /// The change was made.
    Executed,
    /// The mutation could not be applied; see [`Execution::failure`](crate::Execution::failure).
    Failed,
    /// The staleness rule or policies refused it for good.
    Rejected,
    /// It waits for approvals again, in a new round.
    AwaitingApproval,
}

impl ExecutionOutcome {
    pub(super) const fn of(status: Status) -> Self {
        match status {
            Status::Executed => Self::Executed,
            Status::Failed => Self::Failed,
            Status::Pending | Status::Created | Status::Approved => Self::AwaitingApproval,
            Status::Rejected | Status::Canceled | Status::Expired | Status::Superseded => {
                Self::Rejected
            }
        }
    }
}

/// What an execution did.
#[derive(Debug, Clone)]
pub struct ExecutionReport {
    outcome: ExecutionOutcome,
    request: Arc<MutationRequest>,
    replayed: bool,
}

impl ExecutionReport {
    /// What an earlier call did: this operation if it is in the history, else the execution that
    /// made the change.
    fn replayed(request: Arc<MutationRequest>, call: &Call) -> Self {
        let status = request
            .outcome_of(call.operation)
            .map_or(request.status(), |decision| decision.status());
        Self {
            outcome: ExecutionOutcome::of(status),
            request,
            replayed: true,
        }
    }

    /// What became of the request.
    #[must_use]
    pub const fn outcome(&self) -> ExecutionOutcome {
        self.outcome
    }

    /// The request with everything the execution recorded.
    #[must_use]
    pub const fn request(&self) -> &Arc<MutationRequest> {
        &self.request
    }

    /// Whether this tells what an earlier call did. Nothing was run then.
    #[must_use]
    pub const fn is_replayed(&self) -> bool {
        self.replayed
    }
}

impl Governor {
    /// Executes an approved request: the state and the record change together, or not at all.
    ///
    /// Executing a request that is executed already runs nothing and tells what was done. Losing
    /// a race against another writer of the state loads it again and decides afresh under the
    /// staleness rule.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Request`] unless the request is approved and in time;
    /// [`GovernorError::ExecutorBarred`]; [`GovernorError::PolicyDenied`] and
    /// [`GovernorError::PolicyUnavailable`], which leave it approved;
    /// [`GovernorError::Tampered`], [`GovernorError::IntentChanged`],
    /// [`GovernorError::UnknownMutation`], [`GovernorError::Upgrade`],
    /// [`GovernorError::Unsatisfiable`], [`GovernorError::TooLarge`],
    /// [`GovernorError::Unauthorized`], [`GovernorError::NotFound`],
    /// [`GovernorError::Contended`], [`GovernorError::Unknown`], [`GovernorError::Store`].
    /// An error of the mutation itself is not an error here but [`ExecutionOutcome::Failed`].
    pub async fn execute(
        &self,
        id: &RequestId,
        by: impl Into<Context> + Send,
        on_stale: OnStale,
    ) -> Result<ExecutionReport, GovernorError> {
        let request = self.load(id).await?;
        let scope = request.proposal().scope();
        let call = self
            .admit(by.into(), Operation::Execute, Some(scope), Some(&request))
            .await?;
        let mut doubt = Doubt::default();
        self.attempt_execution(&call, request, on_stale, &mut doubt)
            .await
            .map_err(|error| doubt.conclude(error, call.operation))
    }

    async fn attempt_execution(
        &self,
        call: &Call,
        mut request: Arc<MutationRequest>,
        on_stale: OnStale,
        doubt: &mut Doubt,
    ) -> Result<ExecutionReport, GovernorError> {
        let id = *request.id();
        for attempt in 0..self.parts.attempts {
            if attempt > 0 {
                pause(attempt, call.operation).await;
                request = self.load(&id).await?;
            }
            if request.status() == Status::Executed {
                return Ok(ExecutionReport::replayed(request, call));
            }
            if Self::replay(&request, call, Operation::Execute)? {
                return Ok(ExecutionReport::replayed(request, call));
            }
            doubt.settle(request.revision());
            let prepared = self.parts.prepared.take(&id);
            let assessment = match self.assess(&request, call, on_stale, prepared).await {
                Ok(assessment) => assessment,
                Err(GovernorError::Request(refused)) => {
                    return Err(self.refused(&request, refused).await);
                }
                Err(error) => return Err(error),
            };
            let changed = Arc::new(assessment.draft.finish());
            self.check_document(&changed)?;
            let mut commit = Commit::of(Arc::clone(&changed), request.revision());
            if let Some(next) = assessment.next {
                commit = commit.with_state(StateWrite {
                    scope: request.proposal().scope().clone(),
                    expected: assessment.before,
                    body: next.into_body(),
                    operation: call.operation,
                });
            }
            match self.parts.store.commit(&commit).await {
                Ok(Written::Applied) => {
                    return Ok(ExecutionReport {
                        outcome: ExecutionOutcome::of(changed.status()),
                        request: changed,
                        replayed: false,
                    });
                }
                Ok(Written::AlreadyApplied(stored)) => {
                    return Ok(ExecutionReport::replayed(stored, call));
                }
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
}
