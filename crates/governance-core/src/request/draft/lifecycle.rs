//! Cancel, expire, supersede, amend.

use super::Draft;
use crate::{
    approval::BallotOutcome,
    context::Reason,
    decision::{AmendmentEvent, ApprovalEvent, DecisionKind, ExpiryCause, Lifecycle, LinkEvent},
    ids::{RequestId, Timestamp},
    request::{MutationRequest, RequestError},
    status::{Status, Step},
};

impl Draft {
    /// Takes the request back.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`], [`RequestError::Overdue`].
    pub fn cancel(&mut self, reason: Reason) -> Result<(), RequestError> {
        self.allowed(Step::Cancel)?;
        self.in_time()?;
        self.because(reason);
        self.step(Step::Cancel, Lifecycle::Canceled)
    }

    /// Records that a deadline passed.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`], [`RequestError::NotDue`].
    pub fn expire(&mut self) -> Result<(), RequestError> {
        self.allowed(Step::Expire)?;
        if let Some(deadline) = self.request.expires_at.filter(|d| *d <= self.act.at) {
            let cause = ExpiryCause::RequestDeadline { deadline };
            return self.step(Step::Expire, Lifecycle::Expired { cause });
        }
        if self.request.awaits_approval()
            && let BallotOutcome::Expired {
                requirement,
                deadline,
            } = self.request.evaluate(self.act.at).outcome
        {
            self.record(DecisionKind::Approval(ApprovalEvent::Expired {
                requirement: requirement.clone(),
                deadline,
            }));
            let cause = ExpiryCause::RequirementDeadline {
                requirement,
                deadline,
            };
            return self.step(Step::Expire, Lifecycle::Expired { cause });
        }
        Err(RequestError::NotDue)
    }

    /// Lets another request of the same state take this one's place. The other side of the link
    /// is [`Draft::take_place_of`], stored in the same commit.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`], [`RequestError::Overdue`], and
    /// [`RequestError::SupersedesItself`], [`RequestError::OtherState`] or
    /// [`RequestError::OtherIsFinal`] when the other request cannot take the place. Because it
    /// must not be final and a superseded request is, a circle cannot come about.
    pub fn supersede(&mut self, by: &MutationRequest, reason: Reason) -> Result<(), RequestError> {
        self.allowed(Step::Supersede)?;
        self.in_time()?;
        if by.id() == self.request.id() {
            return Err(RequestError::SupersedesItself);
        }
        if by.proposal.scope() != self.request.proposal.scope() {
            return Err(RequestError::OtherState { other: *by.id() });
        }
        if by.status.is_terminal() {
            return Err(RequestError::OtherIsFinal {
                other: *by.id(),
                status: by.status,
            });
        }
        self.request.links.superseded_by = Some(*by.id());
        self.because(reason);
        self.step(Step::Supersede, Lifecycle::Superseded { by: *by.id() })
    }

    /// Records that this request takes the place of another.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`] when it is final, [`RequestError::Overdue`],
    /// [`RequestError::HistoryFull`].
    pub fn take_place_of(&mut self, other: RequestId, reason: Reason) -> Result<(), RequestError> {
        // What could itself be superseded is what can still take a place.
        self.allowed(Step::Supersede)?;
        self.in_time()?;
        if self.request.decisions.len() >= Self::MAX_DECISIONS {
            return Err(RequestError::HistoryFull);
        }
        self.request.links.supersedes.push(other);
        self.because(reason);
        self.record(DecisionKind::Link(LinkEvent::Supersedes { request: other }));
        Ok(())
    }

    /// Changes the deadline of a pending request. The same deadline again records nothing.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAmendable`], [`RequestError::Overdue`] when the old or the new deadline
    /// has passed, [`RequestError::BeyondPolicy`] when a policy set an earlier one.
    pub fn amend_deadline(
        &mut self,
        to: Option<Timestamp>,
        reason: Reason,
    ) -> Result<(), RequestError> {
        self.amendable()?;
        if let Some(deadline) = to.filter(|to| *to <= self.act.at) {
            return Err(RequestError::Overdue { deadline });
        }
        let latest = self.request.latest_deadline();
        if let Some(latest) = latest.filter(|latest| to.is_none_or(|to| to > *latest)) {
            return Err(RequestError::BeyondPolicy { latest });
        }
        let from = self.request.expires_at;
        if from != to {
            self.request.expires_at = to;
            self.because(reason);
            self.record(DecisionKind::Amendment(AmendmentEvent::Deadline {
                policy: None,
                from,
                to,
            }));
        }
        Ok(())
    }

    /// Changes the reason of a pending request. The same reason again records nothing.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAmendable`], [`RequestError::Overdue`].
    pub fn amend_reason(&mut self, to: Reason) -> Result<(), RequestError> {
        self.amendable()?;
        if self.request.reason.as_ref() != Some(&to) {
            let from = self.request.reason.replace(to.clone());
            self.record(DecisionKind::Amendment(AmendmentEvent::Reason { from, to }));
        }
        Ok(())
    }

    fn amendable(&self) -> Result<(), RequestError> {
        let status = self.request.status;
        if status != Status::Pending {
            return Err(RequestError::NotAmendable { status });
        }
        if self.request.decisions.len() >= Self::MAX_DECISIONS {
            return Err(RequestError::HistoryFull);
        }
        self.in_time()
    }
}
