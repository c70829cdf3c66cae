//! Votes against requirements.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    Distinct, Membership, Requirement, SelfApproval,
    ballot::Ballot,
    matching::seat,
    vote::{Verdict, Vote},
};
use crate::ids::{ActorId, RequirementId, Timestamp};

/// Where a ballot stands.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BallotOutcome {
    /// Every requirement is satisfied.
    Satisfied,
    /// This stage is open and waits for votes.
    Open {
        /// The stage.
        stage: u16,
    },
    /// A requirement was denied by as many as its threshold says.
    Denied {
        /// The requirement.
        requirement: RequirementId,
    },
    /// The deadline of an open requirement has passed.
    Expired {
        /// The requirement.
        requirement: RequirementId,
        /// Its deadline.
        deadline: Timestamp,
    },
}

/// How one requirement stands.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequirementStatus {
    /// Its stage has not opened.
    Waiting,
    /// It has open seats.
    Open,
    /// All its seats are filled.
    Satisfied,
    /// Its deny threshold is reached.
    Denied,
    /// Its deadline passed with open seats.
    Expired,
    /// Its request waits for approvals no more, so it was closed with open seats. An evaluation
    /// knows nothing of the request; listings say this.
    Closed,
}

impl RequirementStatus {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Satisfied => "satisfied",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for RequirementStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One requirement in an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementEvaluation {
    /// The requirement.
    pub id: RequirementId,
    /// How it stands.
    pub status: RequirementStatus,
    /// Its seats.
    pub seats: u16,
    /// Who fills seats, sorted. Where somebody could sit in two requirements this shows one of
    /// the possible seatings; the outcome is the same for all.
    pub filled: Vec<ActorId>,
    /// Who denied, sorted.
    pub denied_by: Vec<ActorId>,
    /// Its deadline, once its stage has opened.
    pub deadline: Option<Timestamp>,
}

impl RequirementEvaluation {
    /// Seats still open.
    #[must_use]
    pub fn open_seats(&self) -> usize {
        usize::from(self.seats).saturating_sub(self.filled.len())
    }
}

/// One stage in an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageEvaluation {
    /// The stage.
    pub stage: u16,
    /// Its requirements, by id.
    pub requirements: Vec<RequirementEvaluation>,
}

/// What votes and requirements come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// The outcome.
    pub outcome: BallotOutcome,
    /// The stages, in order.
    pub stages: Vec<StageEvaluation>,
}

impl Evaluation {
    /// Every requirement, by stage and id.
    pub fn requirements(&self) -> impl Iterator<Item = &RequirementEvaluation> {
        self.stages.iter().flat_map(|stage| &stage.requirements)
    }

    /// How many seats are filled.
    #[must_use]
    pub fn filled_seats(&self) -> usize {
        self.requirements().map(|r| r.filled.len()).sum()
    }

    /// The earliest deadline of an open requirement.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.requirements()
            .filter(|r| {
                matches!(
                    r.status,
                    RequirementStatus::Open | RequirementStatus::Expired
                )
            })
            .filter_map(|r| r.deadline)
            .min()
    }
}

/// Decides from requirements and votes where a ballot stands.
///
/// Pure, and independent of the order of votes: seats are filled by maximum matching, one person
/// fills one seat (in the whole request or in each requirement, as the rules say). An approval
/// added never turns a satisfied stage into an open one.
///
/// A denial counts in every requirement of its stage that asks for the voter. It counts even
/// where the seats are filled already, as long as the request waits for anything at all.
#[must_use]
pub fn evaluate(ballot: &Ballot<'_>, now: Timestamp) -> Evaluation {
    let votes = counted_votes(ballot);
    let mut outcome = None;
    let mut denied = None;
    let mut stages = Vec::with_capacity(ballot.rules.stages().count());
    for (stage, requirements) in ballot.rules.stages() {
        let opened = ballot
            .openings
            .iter()
            .find(|o| o.stage == stage)
            .map(|o| o.at);
        let here = |verdict| {
            let of_stage = move |v: &&Vote| v.stage == stage && v.verdict == verdict;
            votes.iter().copied().filter(of_stage)
        };
        // One of several requirements may take a person away from another.
        let contested = ballot.rules.distinct_rule() == Distinct::Request && requirements.len() > 1;
        let mut seated = contested.then(|| seat_votes(requirements, here(Verdict::Approve)));
        let mut satisfied = true;
        let mut evaluated = Vec::with_capacity(requirements.len());
        for (i, requirement) in requirements.iter().enumerate() {
            let asked = |v: &&Vote| asks_for(requirement, v);
            let actor = |v: &Vote| v.actor.clone();
            let filled: Vec<ActorId> = match &mut seated {
                Some(seated) => std::mem::take(&mut seated[i]),
                None => {
                    let seats = usize::from(requirement.seat_count());
                    let fitting = here(Verdict::Approve).filter(asked);
                    fitting.take(seats).map(actor).collect()
                }
            };
            let denied_by: Vec<ActorId> = here(Verdict::Deny).filter(asked).map(actor).collect();
            let deadline = opened
                .zip(requirement.lifetime())
                .map(|(at, lifetime)| at.saturating_add(lifetime));
            let full = filled.len() == usize::from(requirement.seat_count());
            satisfied &= full;
            let status = if denied_by.len() >= usize::from(requirement.deny_threshold()) {
                denied.get_or_insert_with(|| requirement.id().clone());
                RequirementStatus::Denied
            } else if full {
                RequirementStatus::Satisfied
            } else if outcome.is_some() {
                RequirementStatus::Waiting
            } else if deadline.is_some_and(|deadline| deadline <= now) {
                RequirementStatus::Expired
            } else {
                RequirementStatus::Open
            };
            evaluated.push(RequirementEvaluation {
                id: requirement.id().clone(),
                status,
                seats: requirement.seat_count(),
                filled,
                denied_by,
                deadline,
            });
        }
        if outcome.is_none() && !satisfied {
            let expired = evaluated
                .iter()
                .filter(|r| r.status == RequirementStatus::Expired)
                .filter_map(|r| Some((r.deadline?, r.id.clone())))
                .min();
            outcome = Some(match expired {
                Some((deadline, requirement)) => BallotOutcome::Expired {
                    requirement,
                    deadline,
                },
                None => BallotOutcome::Open { stage },
            });
        }
        stages.push(StageEvaluation {
            stage,
            requirements: evaluated,
        });
    }
    let outcome = match denied {
        Some(requirement) => BallotOutcome::Denied { requirement },
        None => outcome.unwrap_or(BallotOutcome::Satisfied),
    };
    Evaluation { outcome, stages }
}

/// Whether one more approval, by somebody who has no vote yet, would fill a seat in a stage.
pub(crate) fn fills_a_seat(
    ballot: &Ballot<'_>,
    stage: u16,
    actor: &ActorId,
    membership: &Membership,
) -> bool {
    let rules = ballot.rules.requirements();
    let asked = |r: &Requirement| r.selector().matches(actor, membership);
    let votes = counted_votes(ballot);
    if votes.is_empty() {
        // Nobody sits anywhere, and every requirement has a seat.
        return rules.iter().any(|r| r.stage() == stage && asked(r));
    }
    let requirements: Vec<&Requirement> = rules.iter().filter(|r| r.stage() == stage).collect();
    let approvals = votes
        .into_iter()
        .filter(|v| v.stage == stage && v.verdict == Verdict::Approve);
    match ballot.rules.distinct_rule() {
        Distinct::Request => {
            let among = |fits: &dyn Fn(&Requirement) -> bool| -> Vec<usize> {
                (0..requirements.len())
                    .filter(|r| fits(requirements[*r]))
                    .collect()
            };
            let mut edges: Vec<Vec<usize>> =
                approvals.map(|v| among(&|r| asks_for(r, v))).collect();
            let newcomer = edges.len();
            edges.push(among(&asked));
            let seats: Vec<usize> = requirements
                .iter()
                .map(|r| usize::from(r.seat_count()))
                .collect();
            // Whoever is seated stays seated, so the newcomer sits only if there is a seat more.
            let seated = seat(&edges, &seats);
            seated.iter().any(|people| people.contains(&newcomer))
        }
        Distinct::Requirement => {
            let approvals: Vec<&Vote> = approvals.collect();
            requirements.into_iter().filter(|r| asked(r)).any(|r| {
                approvals.iter().filter(|v| asks_for(r, v)).count() < usize::from(r.seat_count())
            })
        }
    }
}

/// Whether the requirement asks for the voter, as the evidence of the vote says.
pub(super) fn asks_for(requirement: &Requirement, vote: &Vote) -> bool {
    requirement.selector().matches(&vote.actor, &vote.evidence)
}

/// The votes that count, sorted by voter. A request never holds two live votes of one person for
/// one purpose; if a document does, the earliest by stage, time and operation counts.
fn counted_votes<'a>(ballot: &Ballot<'a>) -> Vec<&'a Vote> {
    let counts = |vote: &&Vote| {
        let barred = ballot.rules.self_approval_rule() == SelfApproval::Forbid
            && ballot.parties.include(&vote.actor, &vote.evidence);
        !barred && vote.subject == *ballot.subject
    };
    let purpose = |vote: &Vote| match ballot.rules.distinct_rule() {
        Distinct::Request => 0,
        Distinct::Requirement => vote.stage,
    };
    let mut counted: Vec<&Vote> = ballot.votes.iter().filter(counts).collect();
    counted.sort_by_key(|v| (&v.actor, purpose(v), v.stage, v.at, v.operation));
    counted.dedup_by(|later, v| later.actor == v.actor && purpose(later) == purpose(v));
    counted
}

/// Who sits in which of the requirements of one stage, which compete for people.
fn seat_votes<'a>(
    requirements: &[Requirement],
    approvals: impl Iterator<Item = &'a Vote>,
) -> Vec<Vec<ActorId>> {
    let approvals: Vec<&Vote> = approvals.collect();
    let edges: Vec<Vec<usize>> = approvals
        .iter()
        .map(|vote| {
            (0..requirements.len())
                .filter(|r| asks_for(&requirements[*r], vote))
                .collect()
        })
        .collect();
    let seats: Vec<usize> = requirements
        .iter()
        .map(|r| usize::from(r.seat_count()))
        .collect();
    seat(&edges, &seats)
        .into_iter()
        .map(|mut people| {
            people.sort_unstable();
            people
                .into_iter()
                .map(|v| approvals[v].actor.clone())
                .collect()
        })
        .collect()
}
