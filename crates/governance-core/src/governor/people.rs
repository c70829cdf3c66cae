//! The people rules could ask for.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use super::{Governor, GovernorError};
use crate::{
    approval::{ApprovalRules, Ballot, Candidate, Membership, Parties, reach},
    ids::{ActorId, Digest, TenantId},
    store::{Directory, Members, PortError},
};

/// Everybody the rules could ask for, or `None` if the directory cannot list them.
pub(super) async fn candidates(
    directory: &dyn Directory,
    tenant: &TenantId,
    rules: &ApprovalRules,
) -> Result<Option<Vec<Candidate>>, PortError> {
    let mut people: BTreeMap<ActorId, Membership> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for leaf in rules
        .requirements()
        .iter()
        .flat_map(|r| r.selector().leaves())
    {
        if !asked.insert(leaf) {
            continue;
        }
        match directory.members(tenant, leaf).await? {
            Members::Unlisted => return Ok(None),
            Members::Listed(actors) => {
                for actor in actors {
                    if let Entry::Vacant(unknown) = people.entry(actor) {
                        let membership = directory.membership(tenant, unknown.key()).await?;
                        unknown.insert(membership);
                    }
                }
            }
        }
    }
    let candidate = |(actor, membership)| Candidate { actor, membership };
    Ok(Some(people.into_iter().map(candidate).collect()))
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
