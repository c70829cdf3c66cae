//! One act on one request.

mod execution;
mod lifecycle;
mod votes;

use std::sync::Arc;

use super::{Judgement, MutationRequest, RequestError};
use crate::{
    approval::StageOpening,
    context::{Act, Reason},
    decision::{
        ApprovalEvent, Circumstances, Decision, DecisionKind, Lifecycle, PolicyAnswer, PolicyEvent,
        PolicyPhase, RejectionCause,
    },
    ids::{Revision, Timestamp},
    pending::{PendingReason, PendingReasons},
    status::{Status, Step},
};

/// One act on one request, not stored yet.
///
/// All decisions of a draft carry the time, actor and operation of its act and the revision after
/// the loaded one. A method that refuses leaves the draft as it was.
#[derive(Debug, Clone)]
pub struct Draft {
    request: MutationRequest,
    act: Act,
    /// The act as its decisions record it, once there is one.
    circumstances: Option<Arc<Circumstances>>,
    revision: Revision,
    recorded: usize,
}

impl Draft {
    /// Most decisions of one request.
    pub const MAX_DECISIONS: usize = 10_000;

    pub(super) fn open(request: MutationRequest, mut act: Act) -> Self {
        act.at = act.at.max(request.updated_at);
        Self {
            circumstances: None,
            revision: request.revision.next(),
            recorded: 0,
            request,
            act,
        }
    }

    /// The request as the draft has it.
    #[must_use]
    pub const fn request(&self) -> &MutationRequest {
        &self.request
    }

    /// The time of the act.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.act.at
    }

    /// Whether anything was decided. A draft that decided nothing need not be stored.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.recorded > 0
    }

    /// The request with everything the draft decided.
    #[must_use]
    pub fn finish(self) -> MutationRequest {
        self.request
    }

    /// Gives the reason of the decisions that follow.
    fn because(&mut self, reason: Reason) {
        self.act.reason = Some(reason);
        self.circumstances = None;
    }

    pub(super) fn record(&mut self, kind: DecisionKind) {
        let circumstances = self
            .circumstances
            .get_or_insert_with(|| Arc::new(Circumstances::new(&self.act, self.revision)));
        let request = &mut self.request;
        request.revision = self.revision;
        request.updated_at = self.act.at;
        request.decisions.push(Arc::new(Decision::following(
            request.decisions.last().map(|last| &**last),
            request.proposal.id(),
            circumstances,
            kind,
            request.status,
        )));
        // Every change of a request ends in a decision.
        request.known.changed();
        self.recorded += 1;
    }

    fn step(&mut self, step: Step, event: Lifecycle) -> Result<(), RequestError> {
        self.request.status = self.allowed(step)?;
        if self.request.status != Status::Pending {
            self.request.pending = PendingReasons::default();
        }
        self.record(DecisionKind::Lifecycle(event));
        Ok(())
    }

    fn allowed(&self, step: Step) -> Result<Status, RequestError> {
        let status = self.request.status;
        let after = status
            .after(step)
            .ok_or(RequestError::NotAllowed { status, step })?;
        // A history has room for one more ending even when it is full.
        if self.request.decisions.len() >= Self::MAX_DECISIONS && !after.is_terminal() {
            return Err(RequestError::HistoryFull);
        }
        Ok(after)
    }

    /// Refuses when a deadline has passed: then all that is left is [`Draft::expire`].
    fn in_time(&self) -> Result<(), RequestError> {
        self.request.check_in_time(self.act.at)
    }

    pub(super) fn judge_submission(&mut self, judgement: &Judgement) -> Result<(), RequestError> {
        for amendment in judgement.amendments() {
            self.record(DecisionKind::Amendment(amendment.clone()));
        }
        self.record_judgement(PolicyPhase::Submission, judgement);
        match judgement.answer() {
            PolicyAnswer::Allowed => self.step(Step::Approve, Lifecycle::Approved),
            PolicyAnswer::Required => self.hold_for_approval(),
            PolicyAnswer::Denied | PolicyAnswer::Abstained => self.step(
                Step::Reject,
                Lifecycle::Rejected {
                    cause: RejectionCause::PolicyDenied,
                },
            ),
        }
    }

    fn record_judgement(&mut self, phase: PolicyPhase, judgement: &Judgement) {
        self.record(DecisionKind::Policy(PolicyEvent::Evaluated {
            phase,
            answer: judgement.answer(),
            policies: judgement.policies().to_vec(),
        }));
    }

    fn hold_for_approval(&mut self) -> Result<(), RequestError> {
        self.request.pending = [PendingReason::Approval].into();
        let reasons = vec![PendingReason::Approval];
        self.step(Step::Hold, Lifecycle::Pending { reasons })?;
        let round = &self.request.round;
        let requested = ApprovalEvent::Requested {
            round: round.number,
            version: round.version,
            subject: round.subject,
            requirements: round
                .rules
                .requirements()
                .iter()
                .map(|r| r.id().clone())
                .collect(),
        };
        self.record(DecisionKind::Approval(requested));
        let first = self
            .request
            .round
            .rules
            .stages()
            .next()
            .map(|(stage, _)| stage);
        if let Some(stage) = first {
            self.open_stage(stage);
        }
        Ok(())
    }

    /// Opens a stage unless it is the open one. A stage that opens again, because a vote was
    /// withdrawn, closes those behind it, and its time begins anew.
    fn open_stage(&mut self, stage: u16) {
        let round = Arc::make_mut(&mut self.request.round);
        if round.stages.last().is_some_and(|last| last.stage == stage) {
            return;
        }
        round.stages.retain(|opening| opening.stage < stage);
        round.stages.push(StageOpening {
            stage,
            at: self.act.at,
        });
        let number = round.number;
        self.record(DecisionKind::Approval(ApprovalEvent::StageOpened {
            round: number,
            stage,
        }));
    }
}
