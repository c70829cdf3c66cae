//! Who may do what.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;

use super::PortError;
use crate::{
    approval::Membership,
    context::{Actor, ActorKind},
    ids::{Role, TenantId},
    request::{MutationRequest, Scope},
};

/// What somebody wants to do.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Hand in a request.
    Submit,
    /// Approve.
    Approve,
    /// Deny.
    Deny,
    /// Take back an own vote.
    Withdraw,
    /// Take back a request.
    Cancel,
    /// Let a request take the place of another.
    Supersede,
    /// Change the reason or deadline of a request.
    Amend,
    /// Execute a request.
    Execute,
    /// Let a failed request be executed again.
    Retry,
    /// See what an execution would do.
    DryRun,
    /// Do due work.
    Tick,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 11] = [
        Self::Submit,
        Self::Approve,
        Self::Deny,
        Self::Withdraw,
        Self::Cancel,
        Self::Supersede,
        Self::Amend,
        Self::Execute,
        Self::Retry,
        Self::DryRun,
        Self::Tick,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Withdraw => "withdraw",
            Self::Cancel => "cancel",
            Self::Supersede => "supersede",
            Self::Amend => "amend",
            Self::Execute => "execute",
            Self::Retry => "retry",
            Self::DryRun => "dry_run",
            Self::Tick => "tick",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who wants to do what to what.
#[derive(Debug, Clone, Copy)]
pub struct AccessRequest<'a> {
    /// What.
    pub operation: Operation,
    /// Who.
    pub actor: &'a Actor,
    /// What the directory knows about the actor.
    pub membership: &'a Membership,
    /// Where.
    pub tenant: &'a TenantId,
    /// To which state; none for due work.
    pub scope: Option<&'a Scope>,
    /// To which request; none for a submission and due work.
    pub request: Option<&'a MutationRequest>,
}

/// The answer of an authorizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Yes.
    Granted,
    /// No, and why.
    Refused {
        /// Words for people.
        reason: String,
    },
}

/// Says who may do what. Asked, with the authenticated actor, before every operation that writes
/// or runs something; these are the [`Operation`]s.
///
/// Reading is not asked about: requests, listings, counts, states and explanations are given to
/// whoever holds the governor. Whom to show them is for the application to guard.
///
/// Whether a vote counts is not asked here: that is what requirements are for.
#[async_trait]
pub trait Authorizer: fmt::Debug + Send + Sync {
    /// Whether the actor may.
    ///
    /// # Errors
    ///
    /// [`PortError`] when it cannot be told; the operation is refused then.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    async fn authorize(&self, access: &AccessRequest<'_>) -> Result<Access, PortError>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Authorizer + ?Sized> Authorizer for Arc<T> {
    async fn authorize(&self, access: &AccessRequest<'_>) -> Result<Access, PortError> {
        (**self).authorize(access).await
    }
}

/// The default: everybody may submit, vote, execute and look; canceling, superseding and amending
/// is for the requester, whoever it was asked for, and operators; due work is for the system and
/// operators.
#[derive(Debug, Clone, Default)]
pub struct OwnerAuthorizer {
    operators: BTreeSet<Role>,
}

impl OwnerAuthorizer {
    /// Without operators.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            operators: BTreeSet::new(),
        }
    }

    /// Whoever holds this role is an operator.
    #[must_use]
    pub fn operators(mut self, role: Role) -> Self {
        self.operators.insert(role);
        self
    }
}

#[async_trait]
impl Authorizer for OwnerAuthorizer {
    async fn authorize(&self, access: &AccessRequest<'_>) -> Result<Access, PortError> {
        let operator = !self.operators.is_disjoint(&access.membership.roles);
        let owner = access.request.is_some_and(|request| {
            let proposal = request.proposal();
            [Some(proposal.requester().id()), proposal.on_behalf_of()]
                .contains(&Some(access.actor.id()))
        });
        let granted = match access.operation {
            Operation::Submit
            | Operation::Approve
            | Operation::Deny
            | Operation::Withdraw
            | Operation::Execute
            | Operation::Retry
            | Operation::DryRun => true,
            Operation::Cancel | Operation::Supersede | Operation::Amend => operator || owner,
            Operation::Tick => operator || access.actor.kind() == ActorKind::System,
        };
        Ok(if granted {
            Access::Granted
        } else {
            let who = if access.operation == Operation::Tick {
                "the system"
            } else {
                "its owner"
            };
            Access::Refused {
                reason: format!("only {who} or an operator may {}", access.operation),
            }
        })
    }
}
