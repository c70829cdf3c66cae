//! Votes and what follows from them.

use std::sync::Arc;

use super::Draft;
use crate::{
    approval::{
        BallotOutcome, Candidate, Denial, Evaluation, Membership, Requirement,
        RequirementEvaluation, RequirementStatus, Round, Shortage, Verdict, Vote, VoteRefused,
        reach,
    },
    context::Reason,
    decision::{ApprovalEvent, DecisionKind, Lifecycle, RejectionCause},
    ids::{Label, RequirementId},
    request::{
        RequestError,
        eligibility::{Poll, Voter},
    },
    status::Step,
};

impl Draft {
    /// Records an approval and whatever follows from it: requirements satisfied, the next stage
    /// opened, the request approved.
    ///
    /// # Errors
    ///
    /// [`RequestError::TakesNoVotes`], [`RequestError::Overdue`], or [`RequestError::Vote`] with
    /// the reason the vote does not count.
    pub fn approve(&mut self, evidence: Membership, reason: Reason) -> Result<(), RequestError> {
        let words = ApprovalWords::default();
        self.vote(Verdict::Approve, evidence, reason, words, None)
    }

    /// As [`Draft::approve`], but refuses an approval after which too few people would be left for
    /// another requirement that could be met before it: somebody else can take the seat.
    ///
    /// `candidates` must be everybody the requirements could ask for, the voter among them.
    ///
    /// # Errors
    ///
    /// As [`Draft::approve`], and [`VoteRefused::WouldStrand`].
    pub fn approve_among(
        &mut self,
        evidence: Membership,
        reason: Reason,
        candidates: &[Candidate],
    ) -> Result<(), RequestError> {
        let words = ApprovalWords::default();
        self.vote(Verdict::Approve, evidence, reason, words, Some(candidates))
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
        self.vote(Verdict::Deny, evidence, reason, words, None)
    }

    fn vote(
        &mut self,
        verdict: Verdict,
        evidence: Membership,
        reason: Reason,
        words: ApprovalWords,
        candidates: Option<&[Candidate]>,
    ) -> Result<(), RequestError> {
        // Whom the voter speaks for is known with the vote, so that both are one voter.
        let mut evidence = evidence;
        evidence
            .acts_for
            .extend(self.act.context.on_behalf_of.clone());
        let poll = self.takes_votes()?;
        let voter = Voter {
            actor: self.act.context.actor.id(),
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
        let seen = evidence.digest();
        let mut voted = Round::clone(round);
        voted.votes.reserve_exact(1);
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
        if let Some(candidates) = candidates
            && matches!(after.outcome, BallotOutcome::Open { .. })
        {
            self.request.check_stranding(&voted, candidates)?;
        }
        let satisfied = self.newly_satisfied(&after);
        let (number, subject) = (voted.number, voted.subject);
        self.request.round = Arc::new(voted);
        self.because(reason);
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
        for requirement in satisfied {
            self.record(DecisionKind::Approval(ApprovalEvent::Satisfied {
                requirement: requirement.id.clone(),
                by: requirement.filled.clone(),
            }));
        }
        match after.outcome {
            BallotOutcome::Satisfied => {
                self.step(Step::Approve, Lifecycle::Approved)?;
                self.request.known.set_satisfied();
                Ok(())
            }
            BallotOutcome::Denied { requirement } => {
                let cause = RejectionCause::ApprovalDenied { requirement };
                self.step(Step::Reject, Lifecycle::Rejected { cause })
            }
            BallotOutcome::Open { stage } => {
                self.open_stage(stage);
                Ok(())
            }
            // Deadlines were checked before the vote, and a vote makes none pass.
            BallotOutcome::Expired { .. } => Ok(()),
        }
    }

    /// The requirements that are satisfied now and were not before.
    fn newly_satisfied<'e>(&self, after: &'e Evaluation) -> Vec<&'e RequirementEvaluation> {
        let is_satisfied = |r: &&RequirementEvaluation| r.status == RequirementStatus::Satisfied;
        let mut satisfied: Vec<_> = after.requirements().filter(is_satisfied).collect();
        if !satisfied.is_empty() {
            let before = self.request.evaluate(self.act.at);
            let was_satisfied = |id: &RequirementId| {
                before
                    .requirements()
                    .filter(is_satisfied)
                    .any(|r| r.id == *id)
            };
            satisfied.retain(|r| !was_satisfied(&r.id));
        }
        satisfied
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
        self.because(reason);
        for stage in stages {
            self.record(DecisionKind::Approval(ApprovalEvent::Withdrawn {
                round: number,
                stage,
            }));
        }
        if let Some(stage) = self.request.open_stage() {
            self.open_stage(stage);
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
        let ballot = self.request.round.ballot(self.request.proposal.parties());
        let short = reach(&ballot, candidates).short;
        if short.is_empty() {
            return Ok(false);
        }
        let requirements = short.into_iter().map(|s: Shortage| s.requirement).collect();
        let cause = RejectionCause::QuorumUnreachable { requirements };
        self.step(Step::Reject, Lifecycle::Rejected { cause })?;
        Ok(true)
    }
}

/// A denial's own words for programs.
#[derive(Debug, Default)]
struct ApprovalWords {
    code: Option<Label>,
    category: Option<Label>,
}
