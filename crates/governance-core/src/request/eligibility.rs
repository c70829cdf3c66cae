//! Whose vote would count now.

use smallvec::SmallVec;

use super::{Draft, MutationRequest, RequestError};
use crate::{
    approval::{
        BallotOutcome, Candidate, Distinct, Membership, Requirement, Round, SelfApproval, Verdict,
        Vote, VoteRefused, fills_a_seat, stranded,
    },
    context::Reason,
    ids::{ActorId, OperationId, Timestamp},
};

/// Somebody who is about to vote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voter<'a> {
    pub(super) actor: &'a ActorId,
    pub(super) evidence: &'a Membership,
}

/// A request that takes votes, as it stands at one moment.
#[derive(Debug)]
pub(super) struct Poll<'a> {
    request: &'a MutationRequest,
    /// The stage that is open.
    stage: Option<u16>,
}

impl MutationRequest {
    /// Whether this person can decide now: an approval or a denial of theirs, with a reason that
    /// is good enough, would be accepted. The membership comes from the directory.
    ///
    /// # Errors
    ///
    /// Why an approval would be refused, when a denial would be too.
    pub fn can_decide(
        &self,
        actor: &ActorId,
        membership: &Membership,
        now: Timestamp,
    ) -> Result<(), RequestError> {
        let poll = self.poll(now.max(self.updated_at))?;
        let voter = Voter {
            actor,
            evidence: membership,
        };
        poll.admits(Verdict::Approve, voter)
            .or_else(|refused| poll.admits(Verdict::Deny, voter).map_err(|_| refused))
            .map(|_| ())
    }

    /// The stage a vote of this person would count for now, given a reason that is good enough.
    /// The membership comes from the directory.
    ///
    /// # Errors
    ///
    /// Why the vote would be refused.
    pub fn check_vote(
        &self,
        verdict: Verdict,
        actor: &ActorId,
        membership: &Membership,
        now: Timestamp,
    ) -> Result<u16, RequestError> {
        let poll = self.poll(now.max(self.updated_at))?;
        let voter = Voter {
            actor,
            evidence: membership,
        };
        poll.admits(verdict, voter)
    }

    /// Refuses the last vote of a round if too few people would be left with it for a requirement
    /// that could be met without it.
    pub(super) fn check_stranding(
        &self,
        voted: &Round,
        candidates: &[Candidate],
    ) -> Result<(), RequestError> {
        let parties = self.proposal.parties();
        let (before, after) = (self.round.ballot(parties), voted.ballot(parties));
        let (Some(short), Some(vote)) = (stranded(&before, &after, candidates), voted.votes.last())
        else {
            return Ok(());
        };
        let requirements = self.round.rules.requirements();
        let asks_for = requirements
            .iter()
            .find(|r| *r.id() == short.requirement)
            .map_or_else(String::new, |r| r.selector().to_string());
        Err(VoteRefused::WouldStrand {
            actor: vote.actor.clone(),
            requirement: short.requirement,
            asks_for,
            seats: short.seats,
            fillable: short.fillable,
        }
        .into())
    }

    /// Whether an approval of this person would leave too few people for another requirement, and
    /// be refused for that. `candidates` must be everybody the requirements could ask for.
    ///
    /// # Errors
    ///
    /// [`VoteRefused::WouldStrand`].
    pub fn check_approval_leaves_enough(
        &self,
        stage: u16,
        person: &Candidate,
        candidates: &[Candidate],
    ) -> Result<(), RequestError> {
        if !self
            .round
            .rules
            .may_strand(!person.membership.acts_for.is_empty())
        {
            return Ok(());
        }
        let mut voted = Round::clone(&self.round);
        voted.votes.push(Vote {
            actor: person.actor.clone(),
            verdict: Verdict::Approve,
            stage,
            subject: voted.subject,
            evidence: person.membership.clone(),
            reason: Reason::literal("what if"),
            at: self.updated_at,
            operation: OperationId::from_bytes([0; 16]),
        });
        let after = voted.evaluate(self.proposal.parties(), self.updated_at);
        match after.outcome {
            BallotOutcome::Open { .. } => self.check_stranding(&voted, candidates),
            _ => Ok(()),
        }
    }

    /// The request as it stands, if it takes votes at this time.
    pub(super) fn poll(&self, now: Timestamp) -> Result<Poll<'_>, RequestError> {
        if !self.awaits_approval() {
            return Err(RequestError::TakesNoVotes {
                status: self.status,
            });
        }
        if self.decisions.len() >= Draft::MAX_DECISIONS {
            return Err(RequestError::HistoryFull);
        }
        self.check_in_time(now)?;
        // Until a deadline passes, time changes nothing about where the votes lead.
        Ok(Poll {
            request: self,
            stage: self.open_stage(),
        })
    }
}

impl Poll<'_> {
    fn admits(&self, verdict: Verdict, voter: Voter<'_>) -> Result<u16, RequestError> {
        let stage = self.stage_for(verdict, voter)?;
        self.check_seat(verdict, stage, voter)?;
        Ok(stage)
    }

    /// Refuses an approval that would fill no seat.
    pub(super) fn check_seat(
        &self,
        verdict: Verdict,
        stage: u16,
        voter: Voter<'_>,
    ) -> Result<(), RequestError> {
        let request = self.request;
        let ballot = request.round.ballot(request.proposal.parties());
        if verdict == Verdict::Approve && !fills_a_seat(&ballot, stage, voter.actor, voter.evidence)
        {
            let actor = voter.actor.clone();
            return Err(VoteRefused::SeatsFilled { actor }.into());
        }
        Ok(())
    }

    /// The stage a vote of this person counts for.
    pub(super) fn stage_for(
        &self,
        verdict: Verdict,
        voter: Voter<'_>,
    ) -> Result<u16, RequestError> {
        let Voter { actor, evidence } = voter;
        let round = &self.request.round;
        let parties = self.request.proposal.parties();
        if round.rules.self_approval_rule() == SelfApproval::Forbid
            && parties.include(actor, evidence)
        {
            return Err(VoteRefused::SelfApproval {
                actor: actor.clone(),
            }
            .into());
        }
        let Some(current) = self.stage else {
            return Err(RequestError::TakesNoVotes {
                status: self.request.status,
            });
        };
        let mut asked: SmallVec<[u16; 8]> = round
            .rules
            .requirements()
            .iter()
            .filter(|r| r.selector().matches(actor, evidence))
            .map(Requirement::stage)
            .collect();
        asked.dedup();
        let live = |stage: u16| {
            let counts = move |v: &&Vote| {
                round.rules.distinct_rule() == Distinct::Request || v.stage == stage
            };
            round.votes.iter().filter(counts)
        };
        let voted = |stage: u16| live(stage).any(|v| v.actor == *actor);
        let first_open = asked.iter().copied().find(|stage| *stage == current);
        // Who was asked in an earlier stage can still deny, as long as the request waits.
        let earlier = (verdict == Verdict::Deny)
            .then(|| asked.iter().copied().rfind(|stage| *stage < current))
            .flatten();
        let Some(stage) = first_open.or(earlier) else {
            let actor = actor.clone();
            return Err(
                match (asked.first(), asked.iter().find(|stage| **stage > current)) {
                    (None, _) => VoteRefused::NotEligible { actor },
                    (Some(stage), _) if voted(*stage) => VoteRefused::AlreadyVoted { actor },
                    (_, Some(later)) => VoteRefused::StageNotOpen {
                        stage: *later,
                        current,
                    },
                    (Some(_), None) => VoteRefused::SeatsFilled { actor },
                }
                .into(),
            );
        };
        if voted(stage) {
            return Err(VoteRefused::AlreadyVoted {
                actor: actor.clone(),
            }
            .into());
        }
        // A person and a service account of theirs are one voter.
        if let Some(vote) =
            live(stage).find(|v| evidence.is_one_person(actor, &v.actor, &v.evidence))
        {
            return Err(VoteRefused::SamePerson {
                actor: actor.clone(),
                other: vote.actor.clone(),
            }
            .into());
        }
        Ok(stage)
    }
}
