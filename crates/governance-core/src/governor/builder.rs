//! Puts a governor together.

use std::{sync::Arc, time::Duration};

use super::{Governor, Limits, Parts, prepared::Prepared};
use crate::{
    ids::{TenantId, json_is_canonical},
    mutation::{Mutation, Registry, RegistryError},
    policy::PolicyTree,
    store::{
        Authorizer, Directory, IdSource, NamedActorsOnly, OwnerAuthorizer, Provider, RandomIds,
    },
};

/// Puts a [`Governor`] together. What is not said has a default that errs on the safe side.
#[derive(Debug)]
#[must_use]
pub struct GovernorBuilder {
    store: Arc<dyn Provider>,
    tenant: TenantId,
    directory: Arc<dyn Directory>,
    authorizer: Arc<dyn Authorizer>,
    ids: Arc<dyn IdSource>,
    registry: Registry,
    mistakes: Vec<RegistryError>,
    policies: Vec<PolicyTree>,
    policy_deadline: Duration,
    limits: Limits,
    time_to_live: Option<Duration>,
    attempts: u32,
}

/// A governor that cannot be put together.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A mutation cannot be registered.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No mutation is registered, so nothing could be done.
    #[error("no mutation is registered")]
    NoMutations,
    /// No policy is given, so everything would be denied.
    #[error("no policy is given: without one every change is denied")]
    NoPolicies,
    /// More than [`PolicyTree::MAX_LEVELS`] compositions of policies are within each other.
    #[error(
        "{levels} compositions of policies are within each other, at most {} may be",
        PolicyTree::MAX_LEVELS
    )]
    TooDeep {
        /// How many.
        levels: usize,
    },
    /// A feature of `serde_json` that changes how values are encoded is on in this program, so
    /// digests would not be those of other programs.
    #[error(
        "serde_json is built with `preserve_order` or `arbitrary_precision`, which changes digests"
    )]
    ForeignJson,
    /// A number is out of range.
    #[error("{what} must not be zero")]
    Zero {
        /// Which.
        what: &'static str,
    },
}

impl BuildError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Registry(error) => error.code(),
            Self::NoMutations => "build.no_mutations",
            Self::NoPolicies => "build.no_policies",
            Self::TooDeep { .. } => "build.too_deep",
            Self::ForeignJson => "build.foreign_json",
            Self::Zero { .. } => "build.zero",
        }
    }
}

impl GovernorBuilder {
    pub(super) fn new(store: Arc<dyn Provider>) -> Self {
        Self {
            store,
            tenant: TenantId::default(),
            directory: Arc::new(NamedActorsOnly),
            authorizer: Arc::new(OwnerAuthorizer::new()),
            ids: Arc::new(RandomIds),
            registry: Registry::default(),
            mistakes: Vec::new(),
            policies: Vec::new(),
            policy_deadline: Duration::from_secs(5),
            limits: Limits::default(),
            time_to_live: None,
            attempts: 64,
        }
    }

    /// Whose requests and states it is about. Default: the tenant `default`.
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }

    /// Who knows roles and groups. Default: nobody holds any.
    pub fn directory(mut self, directory: impl Directory + 'static) -> Self {
        self.directory = Arc::new(directory);
        self
    }

    /// Who says who may do what. Default: [`OwnerAuthorizer`].
    pub fn authorizer(mut self, authorizer: impl Authorizer + 'static) -> Self {
        self.authorizer = Arc::new(authorizer);
        self
    }

    /// Where ids come from. Default: [`RandomIds`].
    pub fn ids(mut self, ids: impl IdSource + 'static) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Makes a mutation known. Registering one twice is registering it once.
    pub fn register<M: Mutation>(mut self) -> Self {
        if let Err(mistake) = self.registry.register::<M>() {
            self.mistakes.push(mistake);
        }
        self
    }

    /// Adds a policy or a tree of policies; a closure becomes one by
    /// [`policy_fn`](crate::policy_fn). All that are added are asked, and one denial denies.
    /// Policies are fixed once the governor is built.
    pub fn policy(mut self, policy: impl Into<PolicyTree>) -> Self {
        self.policies.push(policy.into());
        self
    }

    /// How long each policy may take. Default: five seconds.
    pub const fn policy_deadline(mut self, deadline: Duration) -> Self {
        self.policy_deadline = deadline;
        self
    }

    /// How large things may be.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a request may take to become final, unless its submission says otherwise. Default:
    /// for ever.
    pub const fn time_to_live(mut self, duration: Duration) -> Self {
        self.time_to_live = Some(duration);
        self
    }

    /// How often a write is tried when others were faster. Default: 64.
    pub const fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The governor.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when something is missing or cannot be.
    pub fn build(self) -> Result<Governor, BuildError> {
        if let Some(mistake) = self.mistakes.into_iter().next() {
            return Err(mistake.into());
        }
        if !json_is_canonical() {
            return Err(BuildError::ForeignJson);
        }
        if self.registry.is_empty() {
            return Err(BuildError::NoMutations);
        }
        let levels = self.policies.iter().map(PolicyTree::levels).max();
        if let Some(levels) = levels.filter(|levels| *levels > PolicyTree::MAX_LEVELS) {
            return Err(BuildError::TooDeep { levels });
        }
        let policies = PolicyTree::all_of("policies", self.policies);
        if policies.is_empty() {
            return Err(BuildError::NoPolicies);
        }
        if self.attempts == 0 {
            return Err(BuildError::Zero {
                what: "the number of attempts",
            });
        }
        if self.policy_deadline.is_zero() {
            return Err(BuildError::Zero {
                what: "the deadline of policies",
            });
        }
        let parts = Parts {
            store: self.store,
            directory: self.directory,
            authorizer: self.authorizer,
            ids: self.ids,
            registry: self.registry,
            policies,
            policy_deadline: self.policy_deadline,
            limits: self.limits,
            time_to_live: self.time_to_live,
            attempts: self.attempts,
            prepared: Prepared::new(),
        };
        Ok(Governor {
            parts: Arc::new(parts),
            tenant: self.tenant,
        })
    }
}
