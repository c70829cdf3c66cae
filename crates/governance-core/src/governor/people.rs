//! The people rules could ask for.

use super::{Governor, GovernorError};
use crate::{
    approval::{ApprovalRules, Ballot, Candidate, Parties, reach},
    ids::{ActorId, Digest, TenantId},
    store::{Directory, Members, PortError},
};

/// Everybody the rules could ask for, or `None` if the directory cannot list them.
pub(super) async fn candidates(
    directory: &dyn Directory,
    tenant: &TenantId,
    rules: &ApprovalRules,
) -> Result<Option<Vec<Candidate>>, PortError> {
    let mut leaves: Vec<_> = rules
        .requirements()
        .iter()
        .flat_map(|r| r.selector().leaves())
        .collect();
    leaves.sort_unstable();
    leaves.dedup();
    let mut people: Vec<ActorId> = Vec::new();
    for leaf in leaves {
        match directory.members(tenant, leaf).await? {
            Members::Unlisted => return Ok(None),
            Members::Listed(actors) => people.extend(actors),
        }
    }
    people.sort_unstable();
    people.dedup();
    let mut candidates = Vec::with_capacity(people.len());
    for actor in people {
        let membership = directory.membership(tenant, &actor).await?;
        candidates.push(Candidate { actor, membership });
    }
    Ok(Some(candidates))
}

impl Governor {
    pub(super) async fn candidates(
        &self,
        rules: &ApprovalRules,
    ) -> Result<Option<Vec<Candidate>>, GovernorError> {
        Ok(candidates(&*self.parts.directory, &self.tenant, rules).await?)
    }

    /// Refuses rules that nobody could satisfy, as far as the directory can tell.
    pub(super) async fn check_satisfiable(
        &self,
        rules: &ApprovalRules,
        parties: &Parties,
    ) -> Result<(), GovernorError> {
        if rules.is_empty() {
            return Ok(());
        }
        let Some(candidates) = self.candidates(rules).await? else {
            return Ok(());
        };
        let ballot = Ballot {
            rules,
            openings: &[],
            votes: &[],
            subject: &Digest::ZERO,
            parties,
        };
        let shortages = reach(&ballot, &candidates).short;
        if shortages.is_empty() {
            Ok(())
        } else {
            Err(GovernorError::Unsatisfiable { shortages })
        }
    }
}
