//! The aggregate: one durable request for one change of one state.
//!
//! A [`MutationRequest`] is never edited in place. A [`Draft`] is opened on it for one act,
//! takes the steps the act asks for, checks each against the transition table and appends the
//! decisions; [`Draft::finish`] gives the request to store under the revision it was loaded with.

mod draft;
mod eligibility;
mod error;
mod execution;
mod facts;
mod history;
mod judgement;
mod known;
pub(crate) mod payload;
mod proposal;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use draft::Draft;
pub use error::RequestError;
pub use execution::{Execution, Failure};
pub use history::{HistoryError, HistoryProblem};
pub use judgement::Judgement;
use known::{Known, Standing};
pub use payload::{Payload, PayloadError};
pub use proposal::{Proposal, Scope};

use crate::{
    approval::{BallotOutcome, Evaluation, Round},
    context::{Act, Reason},
    decision::{AmendmentEvent, ApprovalEvent, Decision, DecisionKind, Lifecycle, RejectionCause},
    ids::{OperationId, RequestId, Revision, StateVersion, Timestamp},
    pending::{PendingReason, PendingReasons},
    status::Status,
};

/// Links to other requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) superseded_by: Option<RequestId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) supersedes: Vec<RequestId>,
}

impl Links {
    /// The request that took this one's place.
    #[must_use]
    pub const fn superseded_by(&self) -> Option<&RequestId> {
        self.superseded_by.as_ref()
    }

    /// The requests whose place this one took.
    #[must_use]
    pub fn supersedes(&self) -> &[RequestId] {
        &self.supersedes
    }

    /// Every linked request.
    pub fn iter(&self) -> impl Iterator<Item = &RequestId> {
        self.superseded_by.iter().chain(&self.supersedes)
    }
}

/// One durable request for one change of one state, with everything that was decided about it.
///
/// Cloning is cheap: what never changes and every decision are shared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MutationRequest {
    proposal: Arc<Proposal>,
    status: Status,
    #[serde(default, skip_serializing_if = "PendingReasons::is_empty")]
    pending: PendingReasons,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    updated_at: Timestamp,
    revision: Revision,
    round: Arc<Round>,
    #[serde(default)]
    execution: Execution,
    #[serde(default)]
    links: Links,
    decisions: Vec<Arc<Decision>>,
    #[serde(skip)]
    known: Known,
}

impl MutationRequest {
    /// A new request as policies judged it: approved, pending with the approvals they ask for, or
    /// rejected. The first decisions are recorded, the revision is [`Revision::FIRST`].
    ///
    /// # Errors
    ///
    /// [`RequestError::Overdue`] when the deadline is not in the future.
    pub fn submit(
        proposal: Proposal,
        judgement: &Judgement,
        expires_at: Option<Timestamp>,
        act: &Act,
    ) -> Result<Self, RequestError> {
        if let Some(deadline) = expires_at.filter(|deadline| *deadline <= act.at) {
            return Err(RequestError::Overdue { deadline });
        }
        let round = Round {
            number: 1,
            version: proposal.submitted_version(),
            subject: proposal.subject(1, proposal.submitted_version(), judgement.rules()),
            opened_at: act.at,
            rules: judgement.rules().clone(),
            stages: Vec::new(),
            votes: Vec::new(),
        };
        let subject = round.subject;
        let digest = proposal.digest();
        let request = Self {
            status: Status::Created,
            pending: PendingReasons::default(),
            reason: act.reason.clone(),
            expires_at,
            updated_at: act.at,
            revision: Revision::new(0),
            round: Arc::new(round),
            execution: Execution::default(),
            links: Links::default(),
            decisions: Vec::with_capacity(8),
            proposal: Arc::new(proposal),
            known: Known::made_here(),
        };
        let mut draft = Draft::open(request, act.clone());
        draft.record(DecisionKind::Lifecycle(Lifecycle::Submitted {
            subject,
            proposal: digest,
            deadline: expires_at,
        }));
        draft.judge_submission(judgement)?;
        Ok(draft.finish())
    }

    /// Opens a draft for one act. The draft's time is the act's, but never before the last write:
    /// time in a record does not run backwards even if a clock does.
    #[must_use]
    pub fn draft(&self, act: Act) -> Draft {
        // Room for what most acts decide, so that the history is not copied twice.
        let mut decisions = Vec::with_capacity(self.decisions.len() + 4);
        decisions.extend_from_slice(&self.decisions);
        let request = Self {
            proposal: Arc::clone(&self.proposal),
            status: self.status,
            pending: self.pending,
            reason: self.reason.clone(),
            expires_at: self.expires_at,
            updated_at: self.updated_at,
            revision: self.revision,
            round: Arc::clone(&self.round),
            execution: self.execution.clone(),
            links: self.links.clone(),
            decisions,
            known: self.known.clone(),
        };
        Draft::open(request, act)
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        self.proposal.id()
    }

    /// Everything that never changes: scope, payload, intent, requester.
    #[must_use]
    pub fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    /// The proposal, as all forms of the request share it.
    pub(crate) const fn shared_proposal(&self) -> &Arc<Proposal> {
        &self.proposal
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// What it waits for. Empty unless it is pending.
    #[must_use]
    pub const fn pending_reasons(&self) -> PendingReasons {
        self.pending
    }

    /// Why the change is wanted.
    #[must_use]
    pub const fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// Deadline for reaching a final status.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Time of submission.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.proposal.created_at()
    }

    /// Time of the last write.
    #[must_use]
    pub const fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// How often it was written.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The current round of approvals.
    #[must_use]
    pub fn round(&self) -> &Round {
        &self.round
    }

    /// Version of the state the current round is about: the only version that may be executed
    /// against unless a staleness rule says otherwise.
    #[must_use]
    pub fn approved_version(&self) -> StateVersion {
        self.round.version
    }

    /// What became of its execution.
    #[must_use]
    pub const fn execution(&self) -> &Execution {
        &self.execution
    }

    /// Links to other requests.
    #[must_use]
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// The history, oldest first.
    #[must_use]
    pub fn decisions(&self) -> &[Arc<Decision>] {
        &self.decisions
    }

    /// The operation of the last write. Repeating that write is recognised by it.
    #[must_use]
    pub fn last_operation(&self) -> Option<OperationId> {
        self.decisions.last().map(|decision| decision.operation())
    }

    /// The last decision of an operation, if the operation was applied to this request.
    #[must_use]
    pub fn outcome_of(&self, operation: OperationId) -> Option<&Decision> {
        self.decisions
            .iter()
            .rev()
            .find(|d| d.operation() == operation)
            .map(|d| &**d)
    }

    /// Whether it waits for approvals.
    #[must_use]
    pub fn awaits_approval(&self) -> bool {
        self.status == Status::Pending && self.pending.contains(PendingReason::Approval)
    }

    /// Where the current round stands.
    #[must_use]
    pub fn evaluate(&self, now: Timestamp) -> Evaluation {
        self.round.evaluate(self.proposal.parties(), now)
    }

    /// Whether it has ended without being executed: rejected, canceled, expired or superseded.
    #[must_use]
    pub fn ended_unexecuted(&self) -> bool {
        self.status.is_terminal() && self.status != Status::Executed
    }

    /// The next moment at which the passing of time alone changes something: the request's
    /// deadline or that of an open requirement, whichever is earlier. None when it is final.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        if self.status.is_terminal() {
            return None;
        }
        self.expires_at
            .into_iter()
            .chain(self.standing().deadline)
            .min()
    }

    /// Refuses when a deadline has passed.
    fn check_in_time(&self, now: Timestamp) -> Result<(), RequestError> {
        match self.due_at() {
            Some(deadline) if deadline <= now => Err(RequestError::Overdue { deadline }),
            _ => Ok(()),
        }
    }

    /// The latest deadline policies allow, if any of them set one at submission.
    #[must_use]
    pub fn latest_deadline(&self) -> Option<Timestamp> {
        let set = |decision: &Arc<Decision>| match decision.kind() {
            DecisionKind::Amendment(AmendmentEvent::Deadline {
                policy: Some(_),
                to,
                ..
            }) => *to,
            _ => None,
        };
        self.decisions.iter().filter_map(set).min()
    }

    /// The stage that waits for votes.
    #[must_use]
    pub fn open_stage(&self) -> Option<u16> {
        self.standing().stage
    }

    fn is_satisfied(&self) -> bool {
        self.known.satisfied(|| {
            let evaluation = self.evaluate(self.updated_at);
            evaluation.outcome == BallotOutcome::Satisfied
        })
    }

    fn standing(&self) -> Standing {
        if !self.awaits_approval() {
            return Standing::default();
        }
        self.known.standing(|| {
            let evaluation = self.evaluate(Timestamp::from_micros(i64::MIN));
            Standing {
                deadline: evaluation.next_deadline(),
                stage: match evaluation.outcome {
                    BallotOutcome::Open { stage } => Some(stage),
                    BallotOutcome::Satisfied
                    | BallotOutcome::Denied { .. }
                    | BallotOutcome::Expired { .. } => None,
                },
            }
        })
    }

    /// Why it was rejected, if it was.
    #[must_use]
    pub fn rejection(&self) -> Option<&RejectionCause> {
        self.decisions
            .iter()
            .rev()
            .find_map(|decision| match decision.kind() {
                DecisionKind::Lifecycle(Lifecycle::Rejected { cause }) => Some(cause),
                _ => None,
            })
    }

    /// The rounds so far and what each asked for, from the history.
    pub fn requested_rounds(&self) -> impl Iterator<Item = &ApprovalEvent> {
        self.decisions
            .iter()
            .filter_map(|decision| match decision.kind() {
                DecisionKind::Approval(event @ ApprovalEvent::Requested { .. }) => Some(event),
                _ => None,
            })
    }

    /// About how many bytes the request takes as a stored document. Counted from its parts in
    /// one pass, without encoding it; meant for limits.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.known.footprint(|| {
            200 + self.proposal.footprint()
                + self.round.footprint()
                + self.execution.footprint()
                + self.reason.as_ref().map_or(0, |r| r.as_str().len())
                + self.links.supersedes.len() * 18
                + self.decisions.iter().map(|d| d.footprint()).sum::<usize>()
        })
    }
}
