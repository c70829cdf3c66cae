//! Whether a quorum can still be reached.

use std::collections::BTreeSet;

use super::{
    Distinct, Membership, Requirement, SelfApproval, ballot::Ballot, evaluate::asks_for,
    matching::seat, vote::Verdict,
};
use crate::ids::{ActorId, RequirementId};

/// Somebody who could still vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub actor: ActorId,
    /// Roles and groups.
    pub membership: Membership,
}

/// A requirement too few people are left for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Shortage {
    /// The requirement.
    pub requirement: RequirementId,
    /// Its seats.
    pub seats: u16,
    /// How many of them can be filled at most, together with all others.
    pub fillable: usize,
}

/// Whether everybody together could satisfy the rules. Empty `short` means they could.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The requirements that would stay open.
    pub short: Vec<Shortage>,
}

impl Reach {
    /// Whether the rules can be satisfied.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.short.is_empty()
    }
}

/// The first requirement that everybody together could satisfy before a vote and not with it.
///
/// Where one is found, somebody else could take the voter's seat: what could be satisfied without
/// the vote can be satisfied with the voter sitting elsewhere or nowhere.
pub(crate) fn stranded(
    before: &Ballot<'_>,
    after: &Ballot<'_>,
    candidates: &[Candidate],
) -> Option<Shortage> {
    let short = reach(after, candidates).short.into_iter().next()?;
    reach(before, candidates).is_reachable().then_some(short)
}

/// Whose vote a candidate's vote would be: an account votes for the person it acts for.
fn person(candidate: &Candidate) -> &ActorId {
    let principal = candidate.membership.acts_for.first();
    principal.unwrap_or(&candidate.actor)
}

/// Seats the live votes and then everybody in `candidates` who has not voted, and tells which
/// requirements would still have open seats.
///
/// Parties are left out as the rules say. Where several requirements compete for the same people,
/// which of them comes out short depends on the order of requirements; whether any does, does not.
#[must_use]
pub fn reach(ballot: &Ballot<'_>, candidates: &[Candidate]) -> Reach {
    let requirements = ballot.rules.requirements();
    let barred = |actor: &ActorId, membership: &Membership| {
        ballot.rules.self_approval_rule() == SelfApproval::Forbid
            && ballot.parties.include(actor, membership)
    };
    let votes = || {
        ballot.votes.iter().filter(|v| {
            v.subject == *ballot.subject
                && v.verdict == Verdict::Approve
                && !barred(&v.actor, &v.evidence)
        })
    };
    let free = |stage: Option<u16>| {
        candidates.iter().filter(move |c| {
            !barred(&c.actor, &c.membership)
                && !ballot.votes.iter().any(|v| {
                    c.membership.is_one_person(&c.actor, &v.actor, &v.evidence)
                        && stage.is_none_or(|stage| stage == v.stage)
                })
        })
    };
    let fits = |r: &Requirement, c: &Candidate| r.selector().matches(&c.actor, &c.membership);
    let fillable: Vec<usize> = match ballot.rules.distinct_rule() {
        // One of several requirements may take a person away from another.
        Distinct::Request if requirements.len() > 1 => {
            let seats: Vec<usize> = requirements
                .iter()
                .map(|r| usize::from(r.seat_count()))
                .collect();
            let seats_in_all: usize = seats.iter().sum();
            let mut edges: Vec<Vec<usize>> = votes()
                .map(|vote| {
                    (0..requirements.len())
                        .filter(|r| {
                            requirements[*r].stage() == vote.stage
                                && asks_for(&requirements[*r], vote)
                        })
                        .collect()
                })
                .collect();
            // A requirement with as many candidates as there are seats in all can always be
            // filled, so more of them need not be looked at.
            let mut wanted = vec![seats_in_all; requirements.len()];
            let mut fitting: Vec<(&ActorId, usize)> = Vec::with_capacity(candidates.len());
            for candidate in free(None) {
                let fits = (0..requirements.len()).filter(|r| fits(&requirements[*r], candidate));
                fitting.extend(fits.map(|r| (person(candidate), r)));
            }
            fitting.sort_unstable();
            fitting.dedup();
            for of_one in fitting.chunk_by(|a, b| a.0 == b.0) {
                let fitting = of_one.iter().map(|(_, r)| *r);
                let open: Vec<usize> = fitting.filter(|r| wanted[*r] > 0).collect();
                if !open.is_empty() {
                    open.iter().for_each(|r| wanted[*r] -= 1);
                    edges.push(open);
                }
            }
            seat(&edges, &seats).iter().map(Vec::len).collect()
        }
        Distinct::Request | Distinct::Requirement => requirements
            .iter()
            .map(|r| {
                votes()
                    .filter(|v| v.stage == r.stage() && asks_for(r, v))
                    .count()
                    + free(Some(r.stage()))
                        .filter(|c| fits(r, c))
                        .map(person)
                        .collect::<BTreeSet<_>>()
                        .len()
            })
            .collect(),
    };
    let short = requirements
        .iter()
        .zip(fillable)
        .filter(|(r, fillable)| *fillable < usize::from(r.seat_count()))
        .map(|(r, fillable)| Shortage {
            requirement: r.id().clone(),
            seats: r.seat_count(),
            fillable,
        })
        .collect();
    Reach { short }
}
