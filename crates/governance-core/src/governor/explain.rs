//! Why a request waits and who can do something about it.

use std::sync::Arc;

use super::{Governor, GovernorError, people};
use crate::{
    approval::{RequirementStatus, Verdict, VoteRefused},
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
    if request.awaits_approval() {
        let people = people::candidates(directory, tenant, round.rules()).await?;
        let evaluation = request.evaluate(now);
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
                match request.check_vote(verdict, &person.actor, &person.membership, now) {
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
    }
    Ok(Explanation {
        id: *request.id(),
        status: request.status(),
        summary: summary(request, &requirements, now),
        round: round.number(),
        subject: *round.subject(),
        next_deadline: request.due_at(),
        requirements,
    })
}

fn summary(
    request: &MutationRequest,
    requirements: &[RequirementExplanation],
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
            format!("pending, waits for {}", open.join(" and "))
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
