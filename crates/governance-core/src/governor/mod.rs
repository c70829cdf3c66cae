//! The governor: the face of the library.
//!
//! A [`Governor`] puts the pieces together: it asks the authorizer, loads, lets the request's own
//! methods decide, and stores under the revision it loaded, trying again on the fresh record when
//! it lost a race.

mod assess;
mod builder;
mod error;
mod execute;
mod explain;
mod lifecycle;
mod limits;
mod people;
mod prepared;
mod read;
mod remedy;
mod submit;
mod tick;
mod update;
mod votes;

use std::{sync::Arc, time::Duration};

pub use assess::{DryRun, NextState, Resolution};
pub use builder::{BuildError, GovernorBuilder};
pub use error::GovernorError;
pub use execute::{ExecutionOutcome, ExecutionReport, OnStale};
pub use explain::{CannotDecide, Explanation, Reachability, RequirementExplanation, explain};
pub use limits::{Limits, TooLarge};
pub use remedy::Remedy;
pub use submit::{Submission, SubmissionOutcome, SubmitOptions};
pub use tick::{TickItem, TickOutcome, TickReport};

use prepared::Prepared;

use crate::{
    ids::TenantId,
    mutation::Registry,
    policy::PolicyTree,
    store::{Authorizer, Directory, IdSource, Provider},
};

/// Puts changes of important state through policies, approvals and version-checked execution.
///
/// A governor belongs to one tenant; requests and states of others do not exist for it. Cloning
/// is cheap and gives a handle to the same parts; [`Governor::for_tenant`] gives one for another
/// tenant.
///
/// Every method that writes can be repeated under the same operation id
/// ([`Context::operation`](crate::Context::operation)): it then returns what the first call did.
/// For a submission the operation id serves as its idempotency key unless it has one.
///
/// Policies have deadlines, so the governor needs a tokio runtime with its timer enabled.
///
/// # Cancel safety
///
/// Dropping the future of a writing method may leave the write done, as a whole or not at all.
/// Repeating it under the same operation id finds out.
#[derive(Debug, Clone)]
pub struct Governor {
    parts: Arc<Parts>,
    tenant: TenantId,
}

#[derive(Debug)]
struct Parts {
    store: Arc<dyn Provider>,
    directory: Arc<dyn Directory>,
    authorizer: Arc<dyn Authorizer>,
    ids: Arc<dyn IdSource>,
    registry: Registry,
    policies: PolicyTree,
    policy_deadline: Duration,
    limits: Limits,
    time_to_live: Option<Duration>,
    attempts: u32,
    prepared: Prepared,
}

impl Governor {
    /// Begins to put a governor together on a store.
    pub fn builder(store: impl Provider) -> GovernorBuilder {
        GovernorBuilder::new(Arc::new(store))
    }

    /// A governor of another tenant with the same parts.
    #[must_use]
    pub fn for_tenant(&self, tenant: TenantId) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
            tenant,
        }
    }

    /// The tenant.
    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The store, for what goes past the governor: purging, the feed, setting up states.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Provider> {
        &self.parts.store
    }
}
