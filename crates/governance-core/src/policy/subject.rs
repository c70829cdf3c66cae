//! What a policy looks at.

use std::{any::Any, fmt};

use crate::{
    approval::{Membership, Round},
    context::{Actor, Metadata, Reason},
    decision::PolicyPhase,
    ids::{ActorId, StateVersion, Timestamp},
    intent::Intent,
    mutation::{GovernedState, Mutation},
    request::Scope,
};

/// One change of one state, as a policy sees it.
#[derive(Clone, Copy)]
pub struct PolicySubject<'a> {
    pub(crate) phase: PolicyPhase,
    pub(crate) scope: &'a Scope,
    pub(crate) intent: &'a Intent,
    pub(crate) requester: &'a Actor,
    pub(crate) on_behalf_of: Option<&'a ActorId>,
    pub(crate) membership: &'a Membership,
    pub(crate) reason: Option<&'a Reason>,
    pub(crate) metadata: &'a Metadata,
    pub(crate) version: StateVersion,
    pub(crate) mutation: &'a (dyn Any + Send + Sync),
    pub(crate) state: Option<&'a (dyn Any + Send + Sync)>,
    pub(crate) granted: Option<&'a Round>,
    pub(crate) now: Timestamp,
}

impl<'a> PolicySubject<'a> {
    /// At submission or at execution.
    #[must_use]
    pub const fn phase(&self) -> PolicyPhase {
        self.phase
    }

    /// Which state.
    #[must_use]
    pub const fn scope(&self) -> &'a Scope {
        self.scope
    }

    /// What is intended.
    #[must_use]
    pub const fn intent(&self) -> &'a Intent {
        self.intent
    }

    /// Who asks for it.
    #[must_use]
    pub const fn requester(&self) -> &'a Actor {
        self.requester
    }

    /// For whom it is asked for.
    #[must_use]
    pub const fn on_behalf_of(&self) -> Option<&'a ActorId> {
        self.on_behalf_of
    }

    /// What the directory knows about the requester.
    #[must_use]
    pub const fn membership(&self) -> &'a Membership {
        self.membership
    }

    /// Why the change is wanted.
    #[must_use]
    pub const fn reason(&self) -> Option<&'a Reason> {
        self.reason
    }

    /// The caller's own data.
    #[must_use]
    pub const fn metadata(&self) -> &'a Metadata {
        self.metadata
    }

    /// Version of the state the policy is asked about.
    #[must_use]
    pub const fn version(&self) -> StateVersion {
        self.version
    }

    /// The mutation, if it is an `M`.
    #[must_use]
    pub fn mutation<M: Mutation>(&self) -> Option<&'a M> {
        (self.mutation as &dyn Any).downcast_ref()
    }

    /// The state, if it is an `S` and is there.
    #[must_use]
    pub fn state<S: GovernedState>(&self) -> Option<&'a S> {
        self.state
            .and_then(|state| (state as &dyn Any).downcast_ref())
    }

    /// At execution, the round of approvals that was granted.
    #[must_use]
    pub const fn granted(&self) -> Option<&'a Round> {
        self.granted
    }

    /// Store time.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }
}

impl fmt::Debug for PolicySubject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySubject")
            .field("phase", &self.phase)
            .field("scope", &self.scope)
            .field("operation", self.intent.operation())
            .field("requester", self.requester)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
