//! One act on one request.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Failure, Judgement, MutationRequest, RequestError,
    eligibility::{Poll, Voter},
};
use crate::{
    approval::{
        Ballot, Candidate, Denial, Membership, Outcome, Requirement, RequirementStatus, Round,
        Shortage, StageOpening, Verdict, Vote, VoteRefused, reach,
    },
    context::{Act, Reason},
    decision::{
        AmendmentEvent, ApprovalEvent, Decision, DecisionKind, ExpiryCause, Lifecycle, LinkEvent,
        PolicyAnswer, PolicyEvent, PolicyPhase, RejectionCause, RenewalCause, VersionEvent,
    },
    effects::{Change, SideEffect},
    ids::{RequestId, RequirementId, Revision, StateVersion, Timestamp},
    status::{PendingReason, Status, Step},
};

/// One act on one request, not stored yet.
///
/// All decisions of a draft carry the time, actor and operation of its act and the revision after
/// the loaded one. A method that refuses leaves the draft as it was.
#[derive(Debug, Clone)]
pub struct Draft {
    request: MutationRequest,
    act: Act,
    revision: Revision,
    recorded: usize,
}

impl Draft {
    /// Most decisions of one request.
    pub const MAX_DECISIONS: usize = 10_000;

    pub(super) fn open(request: MutationRequest, mut act: Act) -> Self {
        act.at = act.at.max(request.updated_at);
        Self {
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

    pub(super) fn record(&mut self, kind: DecisionKind) {
        let request = &mut self.request;
        request.revision = self.revision;
        request.updated_at = self.act.at;
        request.decisions.push(Arc::new(Decision::following(
            request.decisions.last().map(|last| &**last),
            request.proposal.id(),
            &self.act,
            kind,
            request.status,
            self.revision,
        )));
        self.recorded += 1;
    }

    fn step(&mut self, step: Step, event: Lifecycle) -> Result<(), RequestError> {
        self.request.status = self.allowed(step)?;
        if self.request.status != Status::Pending {
            self.request.pending.clear();
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
        match self.request.due_at() {
            Some(deadline) if deadline <= self.act.at => Err(RequestError::Overdue { deadline }),
            _ => Ok(()),
        }
    }

    // ---- submission ----

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
        self.request.pending = BTreeSet::from([PendingReason::Approval]);
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

    fn open_stage(&mut self, stage: u16) {
        let round = Arc::make_mut(&mut self.request.round);
        if round.stages.iter().any(|opening| opening.stage == stage) {
            return;
        }
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

    // ---- votes ----

    /// Records an approval and whatever follows from it: requirements satisfied, the next stage
    /// opened, the request approved.
    ///
    /// # Errors
    ///
    /// [`RequestError::TakesNoVotes`], [`RequestError::Overdue`], or [`RequestError::Vote`] with
    /// the reason the vote does not count.
    pub fn approve(&mut self, evidence: Membership, reason: Reason) -> Result<(), RequestError> {
        self.vote(Verdict::Approve, evidence, reason, ApprovalWords::default())
    }

    /// Records a denial; the request is rejected when the threshold of a requirement is reached.
    ///
    /// # Errors
    ///
    /// As [`Draft::approve`].
    pub fn deny(
        &mut self,
        evidence: Membership,
        reason: Reason,
        denial: &Denial,
    ) -> Result<(), RequestError> {
        let words = ApprovalWords {
            code: denial.code.clone(),
            category: denial.category.clone(),
        };
        self.vote(Verdict::Deny, evidence, reason, words)
    }

    fn vote(
        &mut self,
        verdict: Verdict,
        evidence: Membership,
        reason: Reason,
        words: ApprovalWords,
    ) -> Result<(), RequestError> {
        let poll = self.takes_votes()?;
        let voter = Voter {
            actor: self.act.context.actor.id(),
            principal: self.act.context.on_behalf_of.as_ref(),
            evidence: &evidence,
        };
        let stage = poll.stage_for(verdict, voter)?;
        let round = &self.request.round;
        let asked = |r: &&Requirement| {
            r.stage() == stage && r.selector().matches(voter.actor, voter.evidence)
        };
        let requirements = round.rules.requirements();
        if let Some(requirement) = requirements
            .iter()
            .filter(asked)
            .find(|r| !r.reason_rule().accepts(&reason))
        {
            let requirement = requirement.id().clone();
            return Err(VoteRefused::ReasonNotAccepted { requirement }.into());
        }
        poll.check_seat(verdict, stage, voter)?;
        let before = poll.into_evaluation();
        let seen = evidence.digest();
        let mut voted = Round::clone(round);
        voted.votes.push(Vote {
            actor: self.act.context.actor.id().clone(),
            verdict,
            stage,
            subject: voted.subject,
            evidence,
            reason: reason.clone(),
            at: self.act.at,
            operation: self.act.operation,
        });
        let after = voted.evaluate(self.request.proposal.parties(), self.act.at);
        let (number, subject) = (voted.number, voted.subject);
        self.request.round = Arc::new(voted);
        self.act.reason = Some(reason);
        self.record(DecisionKind::Approval(match verdict {
            Verdict::Approve => ApprovalEvent::Granted {
                round: number,
                stage,
                subject,
                evidence: seen,
            },
            Verdict::Deny => ApprovalEvent::Denied {
                round: number,
                stage,
                subject,
                evidence: seen,
                code: words.code,
                category: words.category,
            },
        }));
        let was_satisfied = |id: &RequirementId| {
            before
                .requirements()
                .any(|r| r.id == *id && r.status == RequirementStatus::Satisfied)
        };
        let satisfied: Vec<_> = after
            .requirements()
            .filter(|r| r.status == RequirementStatus::Satisfied && !was_satisfied(&r.id))
            .map(|r| ApprovalEvent::Satisfied {
                requirement: r.id.clone(),
                by: r.filled.clone(),
            })
            .collect();
        for event in satisfied {
            self.record(DecisionKind::Approval(event));
        }
        match after.outcome {
            Outcome::Satisfied => self.step(Step::Approve, Lifecycle::Approved),
            Outcome::Denied { requirement } => {
                let cause = RejectionCause::ApprovalDenied { requirement };
                self.step(Step::Reject, Lifecycle::Rejected { cause })
            }
            Outcome::Open { stage } => {
                self.open_stage(stage);
                Ok(())
            }
            // Deadlines were checked before the vote, and a vote makes none pass.
            Outcome::Expired { .. } => Ok(()),
        }
    }

    fn takes_votes(&self) -> Result<Poll<'_>, RequestError> {
        let poll = self.request.poll(self.act.at)?;
        let current = self.request.round.subject;
        match self.act.context.subject {
            Some(seen) if seen != current => {
                Err(VoteRefused::SubjectChanged { seen, current }.into())
            }
            _ => Ok(poll),
        }
    }

    /// Takes back the actor's votes of this round.
    ///
    /// # Errors
    ///
    /// [`VoteRefused::NoVote`] when there is none; otherwise as [`Draft::approve`].
    pub fn withdraw(&mut self, reason: Reason) -> Result<(), RequestError> {
        self.takes_votes()?;
        let actor = self.act.context.actor.id().clone();
        let stages: Vec<u16> = self
            .request
            .round
            .votes
            .iter()
            .filter(|v| v.actor == actor)
            .map(|v| v.stage)
            .collect();
        if stages.is_empty() {
            return Err(VoteRefused::NoVote { actor }.into());
        }
        let round = Arc::make_mut(&mut self.request.round);
        round.votes.retain(|v| v.actor != actor);
        let number = round.number;
        self.act.reason = Some(reason);
        for stage in stages {
            self.record(DecisionKind::Approval(ApprovalEvent::Withdrawn {
                round: number,
                stage,
            }));
        }
        Ok(())
    }

    /// Ends the request if the people left could not satisfy it any more, however they vote.
    /// Returns whether it did.
    ///
    /// `candidates` must be everybody the requirements could ask for; leaving somebody out could
    /// end a request that can still be approved.
    ///
    /// # Errors
    ///
    /// None today; kept for the transition check.
    pub fn reject_if_unreachable(
        &mut self,
        candidates: &[Candidate],
    ) -> Result<bool, RequestError> {
        if !self.request.awaits_approval() {
            return Ok(false);
        }
        let short = reach(&self.ballot(), candidates).short;
        if short.is_empty() {
            return Ok(false);
        }
        let requirements = short.into_iter().map(|s: Shortage| s.requirement).collect();
        let cause = RejectionCause::QuorumUnreachable { requirements };
        self.step(Step::Reject, Lifecycle::Rejected { cause })?;
        Ok(true)
    }

    fn ballot(&self) -> Ballot<'_> {
        self.request.round.ballot(self.request.proposal.parties())
    }

    // ---- lifecycle ----

    /// Takes the request back.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`], [`RequestError::Overdue`].
    pub fn cancel(&mut self, reason: Reason) -> Result<(), RequestError> {
        self.allowed(Step::Cancel)?;
        self.in_time()?;
        self.act.reason = Some(reason);
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
            && let Outcome::Expired {
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
        self.act.reason = Some(reason);
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
        self.act.reason = Some(reason);
        self.record(DecisionKind::Link(LinkEvent::Supersedes { request: other }));
        Ok(())
    }

    /// Changes the deadline of a pending request. The same deadline again records nothing.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAmendable`], [`RequestError::Overdue`] when the old or the new deadline
    /// has passed.
    pub fn amend_deadline(
        &mut self,
        to: Option<Timestamp>,
        reason: Reason,
    ) -> Result<(), RequestError> {
        self.amendable()?;
        if let Some(deadline) = to.filter(|to| *to <= self.act.at) {
            return Err(RequestError::Overdue { deadline });
        }
        let from = self.request.expires_at;
        if from != to {
            self.request.expires_at = to;
            self.act.reason = Some(reason);
            self.record(DecisionKind::Amendment(AmendmentEvent::Deadline {
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

    // ---- execution ----

    /// Checks that the request may be executed now.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotAllowed`] unless it is approved, [`RequestError::Overdue`],
    /// [`RequestError::ApprovalsMissing`] when its own votes do not satisfy its own rules.
    pub fn check_executable(&self) -> Result<(), RequestError> {
        self.allowed(Step::Complete)?;
        self.in_time()?;
        match self.request.evaluate(self.act.at).outcome {
            Outcome::Satisfied => Ok(()),
            Outcome::Open { .. } | Outcome::Denied { .. } | Outcome::Expired { .. } => {
                Err(RequestError::ApprovalsMissing)
            }
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
        self.request.round = Arc::new(Round {
            number,
            version,
            subject: self.request.proposal.subject(number, version, &rules),
            opened_at: self.act.at,
            rules,
            stages: Vec::new(),
            votes: Vec::new(),
        });
        self.record(DecisionKind::Approval(ApprovalEvent::Renewed {
            round: number,
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
        self.check_executable()?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (changed, caused) = (count(changes.len()), count(side_effects.len()));
        let execution = &mut self.request.execution;
        execution.attempts = execution.attempts.saturating_add(1);
        execution.before = Some(before);
        execution.after = Some(after);
        execution.executed_at = Some(self.act.at);
        execution.failure = None;
        execution.changes = Arc::new(changes);
        execution.side_effects = Arc::new(side_effects);
        let event = Lifecycle::Executed {
            attempt: execution.attempts,
            before,
            after,
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
        self.act.reason = Some(reason);
        self.step(Step::Retry, Lifecycle::Retried)
    }
}

/// A denial's own words for programs.
#[derive(Debug, Default)]
struct ApprovalWords {
    code: Option<crate::ids::Label>,
    category: Option<crate::ids::Label>,
}
