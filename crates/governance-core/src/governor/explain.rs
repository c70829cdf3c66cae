//! Why a request waits and who can do something about it.

use std::sync::Arc;

use super::{Governor, GovernorError, people};
use crate::{
    approval::{Candidate, Requirement, RequirementStatus, Shortage, Verdict, VoteRefused, reach},
    ids::{ActorId, Digest, RequestId, RequirementId, Timestamp},
    request::{MutationRequest, RequestError},
    status::Status,
    store::{Directory, PortError},
};

/// Somebody who is asked for but cannot decide now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CannotDecide {
    /// Who.
    pub actor: ActorId,
    /// Why not.
    pub why: VoteRefused,
}

/// Whether the people the directory lists could still satisfy what a request waits for.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reachability {
    /// They could.
    Reachable,
    /// They could not, whoever votes: too few are left.
    Unreachable {
        /// The requirements that would stay open.
        shortages: Vec<Shortage>,
    },
    /// The directory cannot list people, so nobody knows.
    Unknown,
}

/// One requirement of a request that waits.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RequirementExplanation {
    /// The requirement.
    pub id: RequirementId,
    /// Its stage.
    pub stage: u16,
    /// How it stands.
    pub status: RequirementStatus,
    /// Whom it asks for, in words.
    pub asks_for: String,
    /// The policy's words about it.
    pub description: Option<String>,
    /// Its seats.
    pub seats: u16,
    /// Who fills them.
    pub filled: Vec<ActorId>,
    /// Who denied.
    pub denied_by: Vec<ActorId>,
    /// Its deadline, once its stage has opened.
    pub deadline: Option<Timestamp>,
    /// Who could fill a seat now. None if the directory cannot list people.
    pub can_decide: Option<Vec<ActorId>>,
    /// Who is asked for but cannot, and why. None if the directory cannot list people.
    pub cannot_decide: Option<Vec<CannotDecide>>,
}

/// Why a request waits and who can do something about it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    /// The request.
    pub id: RequestId,
    /// Where it stands.
    pub status: Status,
    /// One sentence for people.
    pub summary: String,
    /// The round of approvals.
    pub round: u32,
    /// Digest of what is to be approved.
    pub subject: Digest,
    /// The next moment at which it ends by the passing of time alone.
    pub next_deadline: Option<Timestamp>,
    /// Its requirements. Empty unless it waits for approvals.
    pub requirements: Vec<RequirementExplanation>,
    /// Whether its requirements can still be met. None unless it waits for approvals.
    pub reachability: Option<Reachability>,
}

impl Explanation {
    /// Everybody who could fill a seat now, as far as the directory can tell.
    #[must_use]
    pub fn can_decide(&self) -> Vec<&ActorId> {
        let mut people: Vec<&ActorId> = self
            .requirements
            .iter()
            .flat_map(|r| r.can_decide.iter().flatten())
            .collect();
        people.sort_unstable();
        people.dedup();
        people
    }
}

/// Explains a request as it is at a moment, asking the directory who is who.
///
/// # Errors
///
/// [`PortError`] when the directory cannot answer.
///
/// # Cancel safety
///
/// Reads only.
pub async fn explain(
    request: &MutationRequest,
    directory: &dyn Directory,
    now: Timestamp,
) -> Result<Explanation, PortError> {
    let round = request.round();
    let tenant = &request.proposal().scope().tenant;
    let mut requirements = Vec::new();
    let mut reachability = None;
    if request.awaits_approval() {
        let people = people::candidates(directory, tenant, round.rules()).await?;
        let evaluation = request.evaluate(now);
        let ballot = round.ballot(request.proposal().parties());
        let reachable = match &people {
            None => Reachability::Unknown,
            Some(people) => match reach(&ballot, people).short {
                short if short.is_empty() => Reachability::Reachable,
                shortages => Reachability::Unreachable { shortages },
            },
        };
        let listed_people = people.as_deref().unwrap_or_default();
        let scarce = scarce(request, listed_people);
        for (requirement, standing) in round
            .rules()
            .requirements()
            .iter()
            .zip(evaluation.requirements())
        {
            let mut can = Vec::new();
            let mut cannot = Vec::new();
            for person in people.iter().flatten() {
                if !requirement
                    .selector()
                    .matches(&person.actor, &person.membership)
                {
                    continue;
                }
                let verdict = Verdict::Approve;
                let stranding = |stage| {
                    let needed = !person.membership.acts_for.is_empty()
                        || scarce
                            .iter()
                            .any(|r| r.selector().matches(&person.actor, &person.membership));
                    if !needed || reachable != Reachability::Reachable {
                        return Ok(stage);
                    }
                    request
                        .check_approval_leaves_enough(stage, person, listed_people)
                        .map(|()| stage)
                };
                let stage = request.check_vote(verdict, &person.actor, &person.membership, now);
                match stage.and_then(stranding) {
                    Ok(stage) if stage == requirement.stage() => can.push(person.actor.clone()),
                    Ok(_) => {}
                    Err(RequestError::Vote(why)) => {
                        cannot.push(CannotDecide {
                            actor: person.actor.clone(),
                            why,
                        });
                    }
                    Err(_) => {}
                }
            }
            let listed = people.is_some();
            requirements.push(RequirementExplanation {
                id: requirement.id().clone(),
                stage: requirement.stage(),
                status: standing.status,
                asks_for: requirement.selector().to_string(),
                description: requirement.description().map(str::to_owned),
                seats: requirement.seat_count(),
                filled: standing.filled.clone(),
                denied_by: standing.denied_by.clone(),
                deadline: standing.deadline,
                can_decide: listed.then_some(can),
                cannot_decide: listed.then_some(cannot),
            });
        }
        reachability = Some(reachable);
    }
    Ok(Explanation {
        id: *request.id(),
        status: request.status(),
        summary: summary(request, &requirements, reachability.as_ref(), now),
        round: round.number(),
        subject: *round.subject(),
        next_deadline: request.due_at(),
        requirements,
        reachability,
    })
}

/// The requirements that could lack people if one of them sat elsewhere. One that as many people
/// fit as there are seats in all, and one more, never does; so only for the few who fit the
/// others it has to be found out what their vote would leave.
fn scarce<'a>(request: &'a MutationRequest, people: &[Candidate]) -> Vec<&'a Requirement> {
    let round = request.round();
    let requirements = round.rules().requirements();
    let seats: usize = requirements
        .iter()
        .map(|r| usize::from(r.seat_count()))
        .sum();
    let parties = request.proposal().parties();
    let free: Vec<&Candidate> = people
        .iter()
        .filter(|c| {
            c.membership.acts_for.is_empty()
                && !parties.include(&c.actor, &c.membership)
                && !round.votes().iter().any(|v| {
                    c.membership
                        .is_one_person(&c.actor, v.actor(), v.evidence())
                })
        })
        .collect();
    let fitting = |r: &Requirement| {
        free.iter()
            .filter(|c| r.selector().matches(&c.actor, &c.membership))
            .take(seats + 1)
            .count()
    };
    requirements
        .iter()
        .filter(|r| fitting(r) <= seats)
        .collect()
}

fn summary(
    request: &MutationRequest,
    requirements: &[RequirementExplanation],
    reachability: Option<&Reachability>,
    now: Timestamp,
) -> String {
    let status = request.status();
    if let Some(deadline) = request.due_at().filter(|deadline| *deadline <= now) {
        return format!("{status}, and overdue since {deadline}");
    }
    match status {
        Status::Pending => {
            let open: Vec<String> = requirements
                .iter()
                .filter(|r| r.status == RequirementStatus::Open)
                .map(|r| {
                    let missing = usize::from(r.seats).saturating_sub(r.filled.len());
                    format!("{missing} of {} for {} ({})", r.seats, r.id, r.asks_for)
                })
                .collect();
            let reach = match reachability {
                Some(Reachability::Unreachable { shortages }) => {
                    let short: Vec<String> = shortages
                        .iter()
                        .map(|s| format!("{} of {} for {}", s.fillable, s.seats, s.requirement))
                        .collect();
                    format!(
                        "; unreachable: at most {} could be filled",
                        short.join(" and ")
                    )
                }
                Some(Reachability::Unknown) => "; reachability unknown".to_owned(),
                Some(Reachability::Reachable) | None => String::new(),
            };
            format!("pending, waits for {}{reach}", open.join(" and "))
        }
        Status::Approved => {
            format!(
                "approved, to be executed on state version {}",
                request.approved_version()
            )
        }
        Status::Failed => match request.execution().failure() {
            Some(failure) => format!("failed: {} ({})", failure.message, failure.code),
            None => "failed".to_owned(),
        },
        Status::Rejected => match request.rejection() {
            Some(cause) => format!("rejected: {}", cause.code()),
            None => "rejected".to_owned(),
        },
        Status::Superseded => match request.links().superseded_by() {
            Some(by) => format!("superseded by {by}"),
            None => "superseded".to_owned(),
        },
        Status::Created | Status::Executed | Status::Canceled | Status::Expired => {
            status.to_string()
        }
    }
}

impl Governor {
    /// Why a request waits, who can unblock it now, and who cannot and why.
    ///
    /// # Errors
    ///
    /// [`GovernorError::NotFound`], [`GovernorError::Port`], [`GovernorError::Store`].
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn explain(&self, id: &RequestId) -> Result<Explanation, GovernorError> {
        let request: Arc<MutationRequest> = self.load(id).await?;
        Ok(explain(&request, &*self.parts.directory, self.now().await?).await?)
    }
}
