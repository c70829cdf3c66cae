//! Execution: staleness, renewal, outcome, retry.

use std::sync::Arc;

use super::Draft;
use crate::{
    approval::Round,
    context::Reason,
    decision::{
        ApprovalEvent, DecisionKind, Lifecycle, PolicyAnswer, PolicyPhase, RejectionCause,
        RenewalCause, VersionEvent,
    },
    effects::{Change, SideEffect},
    ids::StateVersion,
    request::{Failure, Judgement, RequestError},
    status::Step,
};

impl Draft {
    /// Checks that the request may be executed now.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`] unless it is approved, [`RequestError::Overdue`],
    /// [`RequestError::ApprovalsMissing`] when its own votes do not satisfy its own rules.
    pub fn check_executable(&self) -> Result<(), RequestError> {
        self.allowed(Step::Complete)?;
        self.in_time()?;
        if self.request.is_satisfied() {
            Ok(())
        } else {
            Err(RequestError::ApprovalsMissing)
        }
    }

    /// Rejects the request because its state has moved since the approval.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`], [`RequestError::Overdue`].
    pub fn reject_stale(&mut self, current: StateVersion) -> Result<(), RequestError> {
        self.allowed(Step::Reject)?;
        self.in_time()?;
        let approved_for = self.request.approved_version();
        self.record(DecisionKind::Version(VersionEvent::RejectedAsStale {
            approved_for,
            current,
        }));
        let cause = RejectionCause::Stale {
            approved_for,
            current,
        };
        self.step(Step::Reject, Lifecycle::Rejected { cause })
    }

    /// Rejects the request because the state has moved and the mutation makes no sense on it as it
    /// is now.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`], [`RequestError::Overdue`].
    pub fn reject_invalid(
        &mut self,
        current: StateVersion,
        violations: Vec<String>,
    ) -> Result<(), RequestError> {
        self.allowed(Step::Reject)?;
        self.in_time()?;
        let approved_for = self.request.approved_version();
        self.record(DecisionKind::Version(VersionEvent::Revalidated {
            approved_for,
            current,
        }));
        let cause = RejectionCause::Invalid { violations };
        self.step(Step::Reject, Lifecycle::Rejected { cause })
    }

    /// Records that the state has moved and the caller accepts any version.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`] unless the request is approved.
    pub fn accept_any_version(&mut self, current: StateVersion) -> Result<(), RequestError> {
        self.allowed(Step::Complete)?;
        let approved_for = self.request.approved_version();
        self.record(DecisionKind::Version(VersionEvent::AnyVersionAccepted {
            approved_for,
            current,
        }));
        Ok(())
    }

    /// Follows what policies say about the latest state: the request stays approved, waits for
    /// approvals in a new round, or is rejected.
    ///
    /// It stays approved when what they require now is covered by what was granted.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`].
    pub fn revalidate(
        &mut self,
        current: StateVersion,
        judgement: &Judgement,
    ) -> Result<(), RequestError> {
        self.allowed(Step::Hold)?;
        let approved_for = self.request.approved_version();
        self.record(DecisionKind::Version(VersionEvent::Revalidated {
            approved_for,
            current,
        }));
        self.record_judgement(PolicyPhase::Execution, judgement);
        match judgement.answer() {
            PolicyAnswer::Denied | PolicyAnswer::Abstained => self.step(
                Step::Reject,
                Lifecycle::Rejected {
                    cause: RejectionCause::PolicyDenied,
                },
            ),
            PolicyAnswer::Allowed | PolicyAnswer::Required
                if judgement.rules().are_covered_by(self.request.round.rules()) =>
            {
                Ok(())
            }
            PolicyAnswer::Allowed | PolicyAnswer::Required => {
                self.begin_round(current, judgement, RenewalCause::PolicyRequires)
            }
        }
    }

    /// Begins a new round because the state has moved. Policies were asked afresh; where they
    /// require nothing any more the request stays approved, for the new version.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`].
    pub fn renew(
        &mut self,
        current: StateVersion,
        judgement: &Judgement,
    ) -> Result<(), RequestError> {
        self.allowed(Step::Hold)?;
        let approved_for = self.request.approved_version();
        self.record(DecisionKind::Version(
            VersionEvent::RenewedApprovalRequired {
                approved_for,
                current,
            },
        ));
        self.record_judgement(PolicyPhase::Execution, judgement);
        if judgement.answer() == PolicyAnswer::Denied {
            let cause = RejectionCause::PolicyDenied;
            return self.step(Step::Reject, Lifecycle::Rejected { cause });
        }
        self.begin_round(current, judgement, RenewalCause::Stale)
    }

    /// Begins a new round because policies, asked again before the execution, require more than
    /// was granted.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`].
    pub fn require_more(
        &mut self,
        current: StateVersion,
        judgement: &Judgement,
    ) -> Result<(), RequestError> {
        self.allowed(Step::Hold)?;
        self.record_judgement(PolicyPhase::Execution, judgement);
        self.begin_round(current, judgement, RenewalCause::PolicyRequires)
    }

    fn begin_round(
        &mut self,
        version: StateVersion,
        judgement: &Judgement,
        cause: RenewalCause,
    ) -> Result<(), RequestError> {
        let number = self.request.round.number.saturating_add(1);
        let rules = judgement.rules().clone();
        let subject = self.request.proposal.subject(number, version, &rules);
        self.request.round = Arc::new(Round {
            number,
            version,
            subject,
            opened_at: self.act.at,
            rules,
            stages: Vec::new(),
            votes: Vec::new(),
        });
        self.record(DecisionKind::Approval(ApprovalEvent::Renewed {
            round: number,
            version,
            subject,
            cause,
        }));
        if judgement.rules().is_empty() {
            Ok(())
        } else {
            self.hold_for_approval()
        }
    }

    /// Records an execution that made its change.
    ///
    /// # Errors
    ///
    /// As [`Draft::check_executable`].
    pub fn complete(
        &mut self,
        before: StateVersion,
        after: StateVersion,
        changes: Vec<Change>,
        side_effects: Vec<SideEffect>,
    ) -> Result<(), RequestError> {
        self.executed(before, after, false, changes, side_effects)
    }

    /// Records an execution that ended its state: there is none afterwards.
    ///
    /// # Errors
    ///
    /// As [`Draft::check_executable`].
    pub fn complete_deleting(
        &mut self,
        before: StateVersion,
        after: StateVersion,
        changes: Vec<Change>,
        side_effects: Vec<SideEffect>,
    ) -> Result<(), RequestError> {
        self.executed(before, after, true, changes, side_effects)
    }

    fn executed(
        &mut self,
        before: StateVersion,
        after: StateVersion,
        deleted: bool,
        changes: Vec<Change>,
        side_effects: Vec<SideEffect>,
    ) -> Result<(), RequestError> {
        self.check_executable()?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (changed, caused) = (count(changes.len()), count(side_effects.len()));
        let execution = &mut self.request.execution;
        execution.attempts = execution.attempts.saturating_add(1);
        execution.before = Some(before);
        execution.after = Some(after);
        execution.deleted = deleted;
        execution.executed_at = Some(self.act.at);
        execution.failure = None;
        execution.changes = shared(changes);
        execution.side_effects = shared(side_effects);
        let event = Lifecycle::Executed {
            attempt: execution.attempts,
            before,
            after,
            deleted,
            changes: changed,
            side_effects: caused,
            effects: execution.effects_digest(),
        };
        self.step(Step::Complete, event)
    }

    /// Records an execution that ended in an error of the mutation.
    ///
    /// # Errors
    ///
    /// As [`Draft::check_executable`].
    pub fn fail(&mut self, failure: Failure) -> Result<(), RequestError> {
        self.check_executable()?;
        let attempt = self.request.execution.attempts.saturating_add(1);
        let event = Lifecycle::Failed {
            attempt,
            code: failure.code.clone(),
            message: failure.message.clone(),
            retryable: failure.retryable,
        };
        self.request.execution.attempts = attempt;
        self.request.execution.failure = Some(failure);
        self.step(Step::Fail, event)
    }

    /// Lets a failed request be executed again.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`], [`RequestError::Overdue`], [`RequestError::NotRetryable`].
    pub fn retry(&mut self, reason: Reason) -> Result<(), RequestError> {
        self.allowed(Step::Retry)?;
        self.in_time()?;
        if self
            .request
            .execution
            .failure
            .as_ref()
            .is_some_and(|failure| !failure.retryable)
        {
            return Err(RequestError::NotRetryable);
        }
        self.because(reason);
        self.step(Step::Retry, Lifecycle::Retried)
    }
}

/// The items, shared. Nothing is allocated where there are none.
fn shared<T>(items: Vec<T>) -> Arc<[T]> {
    if items.is_empty() {
        Arc::default()
    } else {
        items.into()
    }
}
