//! The people of the replay and the directory that knows them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use governance_core::{
    Actor, ActorId, Digest, Directory, Group, InvalidName, Members, Membership, PortError, Role,
    Selector, TenantId,
};

const TEAMS: [&str; 8] = [
    "compute",
    "data",
    "delivery",
    "edge",
    "network",
    "platform",
    "storage",
    "telemetry",
];
/// The first of these own the services of their team; all of them review.
const TEAM: [&str; 6] = ["ada", "ben", "cleo", "dan", "eva", "finn"];
const OWNERS: usize = 3;
/// The first of these lead.
const SECURITY: [&str; 6] = ["gus", "hana", "ivo", "jade", "kim", "lars"];
const LEADS: usize = 2;

/// The group that reviews what could do damage.
pub(crate) const SECURITY_GROUP: &str = "security";
/// The role of those who lead it.
pub(crate) const LEAD_ROLE: &str = "security-lead";
/// The role of those who may ask for changes of their team's policies.
pub(crate) const OWNER_ROLE: &str = "service-owner";

/// The team a policy belongs to. The same for everybody, from the name alone.
pub(crate) fn team_of(policy: &str) -> &'static str {
    let digest = Digest::of(policy);
    TEAMS[usize::from(digest.as_bytes()[0]) % TEAMS.len()]
}

/// The group of a team.
pub(crate) fn group_of(team: &str) -> Result<Group, InvalidName> {
    Group::new(format!("team-{team}"))
}

/// Everybody, by id, and what the directory knows about them.
#[derive(Debug)]
pub(crate) struct Organisation {
    people: BTreeMap<ActorId, (Actor, Membership)>,
    owners: HashMap<&'static str, Vec<ActorId>>,
}

impl Organisation {
    pub(crate) fn new() -> Result<Self, InvalidName> {
        let mut people = BTreeMap::new();
        let mut owners: HashMap<_, Vec<_>> = HashMap::new();
        for team in TEAMS {
            for (place, name) in TEAM.into_iter().enumerate() {
                let actor = Actor::user(format!("{name}@{team}"))?;
                let mut membership = Membership::default().group(group_of(team)?);
                if place < OWNERS {
                    membership = membership.role(Role::new(OWNER_ROLE)?);
                    owners.entry(team).or_default().push(actor.id().clone());
                }
                people.insert(actor.id().clone(), (actor, membership));
            }
        }
        for (place, name) in SECURITY.into_iter().enumerate() {
            let actor = Actor::user(format!("{name}@security"))?;
            let mut membership = Membership::default().group(Group::new(SECURITY_GROUP)?);
            if place < LEADS {
                membership = membership.role(Role::new(LEAD_ROLE)?);
            }
            people.insert(actor.id().clone(), (actor, membership));
        }
        Ok(Self { people, owners })
    }

    /// Who asks for the change of a policy at an attempt, counted from 1: its owner first, then
    /// the other owners of the team in turn.
    pub(crate) fn owner_of(&self, policy: &str, attempt: u32) -> Option<&Actor> {
        let owners = self.owners.get(team_of(policy))?;
        let first = usize::from(Digest::of(policy).as_bytes()[1]);
        let turn = usize::try_from(attempt)
            .unwrap_or(usize::MAX)
            .wrapping_sub(1);
        let owner = &owners[first.wrapping_add(turn) % owners.len()];
        self.people.get(owner).map(|(actor, _)| actor)
    }

    /// Everybody, in a fixed order.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = (&Actor, &Membership)> {
        self.people.values().map(|(actor, known)| (actor, known))
    }

    /// Somebody, by id.
    pub(crate) fn person(&self, id: &ActorId) -> Option<&Actor> {
        self.people.get(id).map(|(actor, _)| actor)
    }
}

#[async_trait]
impl Directory for Organisation {
    async fn membership(&self, _: &TenantId, actor: &ActorId) -> Result<Membership, PortError> {
        let known = self.people.get(actor).map(|(_, known)| known);
        Ok(known.cloned().unwrap_or_default())
    }

    async fn members(&self, _: &TenantId, leaf: &Selector) -> Result<Members, PortError> {
        let members = self
            .people
            .iter()
            .filter(|(id, (_, known))| leaf.matches(id, known))
            .map(|(id, _)| id.clone())
            .collect::<BTreeSet<_>>();
        Ok(Members::Listed(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_owners_and_a_rejected_change_comes_from_another() {
        let organisation = Organisation::new().unwrap();
        for policy in ["InvoiceReader", "KeyRotation", ""] {
            let owners: Vec<_> = (1..=4)
                .map(|attempt| organisation.owner_of(policy, attempt).unwrap().id().clone())
                .collect();
            assert_eq!(owners.iter().collect::<BTreeSet<_>>().len(), OWNERS);
            assert_eq!(owners[0], owners[3]);
            assert!(
                owners
                    .iter()
                    .all(|id| id.as_str().ends_with(team_of(policy)))
            );
        }
    }
}
