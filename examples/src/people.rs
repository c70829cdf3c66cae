//! A directory of people who are known by name.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use governance_core::{
    ActorId, Directory, Group, InvalidName, Members, Membership, PortError, Role, Selector,
    TenantId,
};

/// Who holds which role and is in which group, from a list. A program asks its identity provider
/// instead.
///
/// ```
/// use examples::People;
///
/// let people = People::new()
///     .person("bob", &["reviewer"], &["payments"])?
///     .person("carol", &["lead", "reviewer"], &["payments"])?;
/// # Ok::<(), governance_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct People {
    memberships: BTreeMap<ActorId, Membership>,
}

impl People {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds somebody with roles and groups.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when one of the names is not valid.
    pub fn person(
        mut self,
        name: &str,
        roles: &[&str],
        groups: &[&str],
    ) -> Result<Self, InvalidName> {
        let membership = Membership {
            roles: roles.iter().map(Role::new).collect::<Result<_, _>>()?,
            groups: groups.iter().map(Group::new).collect::<Result<_, _>>()?,
            acts_for: BTreeSet::new(),
        };
        self.memberships.insert(ActorId::new(name)?, membership);
        Ok(self)
    }

    /// Adds somebody who works for somebody else, and so cannot approve what they ask for.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when one of the names is not valid.
    pub fn acting_for(mut self, name: &str, principal: &str) -> Result<Self, InvalidName> {
        let principal = ActorId::new(principal)?;
        let membership = self.memberships.entry(ActorId::new(name)?).or_default();
        membership.acts_for.insert(principal);
        Ok(self)
    }
}

#[async_trait]
impl Directory for People {
    async fn membership(&self, _: &TenantId, actor: &ActorId) -> Result<Membership, PortError> {
        Ok(self.memberships.get(actor).cloned().unwrap_or_default())
    }

    async fn members(&self, _: &TenantId, leaf: &Selector) -> Result<Members, PortError> {
        let described =
            |(actor, membership): &(&ActorId, &Membership)| leaf.matches(actor, membership);
        let mut people: BTreeSet<ActorId> = self
            .memberships
            .iter()
            .filter(described)
            .map(|(actor, _)| actor.clone())
            .collect();
        // Somebody who is asked for by name is somebody, whether or not they hold a role.
        if let Selector::Actor(actor) = leaf {
            people.insert(actor.clone());
        }
        Ok(Members::Listed(people))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lists_those_who_hold_a_role() {
        let people = People::new()
            .person("bob", &["reviewer"], &[])
            .and_then(|people| people.person("carol", &[], &["reviewer"]))
            .unwrap();
        let role = Selector::role(Role::new("reviewer").unwrap());
        let listed = people.members(&TenantId::default(), &role).await.unwrap();
        let bob = ActorId::new("bob").unwrap();
        assert_eq!(listed, Members::Listed([bob].into()));
    }

    #[tokio::test]
    async fn somebody_nobody_knows_holds_nothing() {
        let mallory = ActorId::new("mallory").unwrap();
        let people = People::new();
        let membership = people.membership(&TenantId::default(), &mallory).await;
        assert_eq!(membership.unwrap(), Membership::default());
    }
}
