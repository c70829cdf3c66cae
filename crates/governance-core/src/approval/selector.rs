//! Who may fill a seat.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::ids::{ActorId, Digest, Group, Role};

/// What the directory knows about an actor at one moment. Votes keep it as evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Roles the actor holds.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// Groups the actor is in.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<Group>,
    /// Whom the actor works for: the owners of a service account, for example. An actor who works
    /// for the requester cannot approve the request. Nobody asks for whom these work in turn: a
    /// directory of accounts that own accounts names everybody along the way.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub acts_for: BTreeSet<ActorId>,
}

impl Membership {
    /// Adds a role.
    #[must_use]
    pub fn role(mut self, role: Role) -> Self {
        self.roles.insert(role);
        self
    }

    /// Adds a group.
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.groups.insert(group);
        self
    }

    /// Adds somebody the actor works for.
    #[must_use]
    pub fn acting_for(mut self, principal: ActorId) -> Self {
        self.acts_for.insert(principal);
        self
    }

    /// Digest of all of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_value(self).unwrap_or(Digest::ZERO)
    }

    /// Whether an actor of this membership and another are one person: one acts for the other, or
    /// both act for the same.
    #[must_use]
    pub fn is_one_person(&self, actor: &ActorId, other: &ActorId, theirs: &Self) -> bool {
        actor == other
            || self.acts_for.contains(other)
            || theirs.acts_for.contains(actor)
            || !self.acts_for.is_disjoint(&theirs.acts_for)
    }

    pub(crate) fn footprint(&self) -> usize {
        self.roles
            .iter()
            .map(|r| 3 + r.as_str().len())
            .sum::<usize>()
            + self
                .groups
                .iter()
                .map(|g| 3 + g.as_str().len())
                .sum::<usize>()
            + self
                .acts_for
                .iter()
                .map(|a| 3 + a.as_str().len())
                .sum::<usize>()
    }
}

/// A description of people.
///
/// ```
/// use governance_core::{Group, Role, Selector};
///
/// let lead = Selector::role(Role::new("lead")?).and(Selector::group(Group::new("security")?));
/// assert_eq!(lead.to_string(), "role lead and group security");
/// # Ok::<(), governance_core::InvalidName>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    /// One actor.
    Actor(ActorId),
    /// Whoever holds the role.
    Role(Role),
    /// Whoever is in the group.
    Group(Group),
    /// Whoever one of these describes. Empty: nobody.
    AnyOf(Vec<Self>),
    /// Whoever all of these describe. Empty: nobody, because a rule without conditions is a
    /// mistake and a mistake must not let everybody in.
    AllOf(Vec<Self>),
}

impl Selector {
    /// Deepest nesting of [`Selector::AnyOf`] and [`Selector::AllOf`].
    pub const MAX_DEPTH: usize = 5;
    /// Most parts of one selector.
    pub const MAX_PARTS: usize = 256;

    /// One actor.
    #[must_use]
    pub const fn actor(id: ActorId) -> Self {
        Self::Actor(id)
    }

    /// Whoever holds the role.
    #[must_use]
    pub const fn role(role: Role) -> Self {
        Self::Role(role)
    }

    /// Whoever is in the group.
    #[must_use]
    pub const fn group(group: Group) -> Self {
        Self::Group(group)
    }

    /// Whoever this or the other describes.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::AnyOf(mut parts) => {
                parts.push(other);
                Self::AnyOf(parts)
            }
            first => Self::AnyOf(vec![first, other]),
        }
    }

    /// Whoever both this and the other describe.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::AllOf(mut parts) => {
                parts.push(other);
                Self::AllOf(parts)
            }
            first => Self::AllOf(vec![first, other]),
        }
    }

    /// Whether it describes this actor.
    #[must_use]
    pub fn matches(&self, actor: &ActorId, membership: &Membership) -> bool {
        match self {
            Self::Actor(id) => id == actor,
            Self::Role(role) => membership.roles.contains(role),
            Self::Group(group) => membership.groups.contains(group),
            Self::AnyOf(parts) => parts.iter().any(|part| part.matches(actor, membership)),
            Self::AllOf(parts) => {
                !parts.is_empty() && parts.iter().all(|part| part.matches(actor, membership))
            }
        }
    }

    /// The actors, roles and groups it is made of, in order.
    pub fn leaves(&self) -> impl Iterator<Item = &Self> {
        let mut first = Some(self);
        let mut open = Vec::new();
        std::iter::from_fn(move || {
            loop {
                let selector = first.take().or_else(|| open.pop())?;
                match selector {
                    Self::AnyOf(parts) | Self::AllOf(parts) => open.extend(parts.iter().rev()),
                    Self::Actor(_) | Self::Role(_) | Self::Group(_) => return Some(selector),
                }
            }
        })
    }

    /// Whether nesting and size are within bounds and no part is empty.
    pub(crate) fn is_well_formed(&self) -> bool {
        fn walk(selector: &Selector, depth: usize, parts: &mut usize) -> bool {
            *parts += 1;
            match selector {
                Selector::AnyOf(inner) | Selector::AllOf(inner) => {
                    depth < Selector::MAX_DEPTH
                        && !inner.is_empty()
                        && inner.iter().all(|part| walk(part, depth + 1, parts))
                }
                Selector::Actor(_) | Selector::Role(_) | Selector::Group(_) => true,
            }
        }
        let mut parts = 0;
        walk(self, 0, &mut parts) && parts <= Self::MAX_PARTS
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::AnyOf(_) | Self::AllOf(_) => write!(f, "({part})")?,
                    Self::Actor(_) | Self::Role(_) | Self::Group(_) => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::Actor(id) => write!(f, "{id}"),
            Self::Role(role) => write!(f, "role {role}"),
            Self::Group(group) => write!(f, "group {group}"),
            Self::AnyOf(parts) => list(f, parts, "or"),
            Self::AllOf(parts) => list(f, parts, "and"),
        }
    }
}
