//! The running example of the guides: a quota that people raise, and who those people are.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use governance_core::{
    ActorId, Applied, Change, Clock, Directory, GovernedState, Intent, InvalidName, Members,
    Membership, Mutation, MutationError, PortError, Risk, Selector, StoreError, TenantId,
    Timestamp, ValidationErrors,
};
use serde::{Deserialize, Serialize};

/// Runs a guide's story on a runtime of its own.
///
/// # Panics
///
/// When the story ends in an error.
pub fn tell(story: impl Future<Output = Result<(), Box<dyn Error>>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    if let Err(error) = runtime.block_on(story) {
        panic!("the guide is wrong: {error:?}");
    }
}

/// How much a team may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// The limit.
    pub limit: u64,
}

impl GovernedState for Quota {
    const TYPE: &'static str = "billing.quota";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// Raises a quota. More than 100 is of high risk; a quota does not go above 10 000.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RaiseQuota {
    /// By how much.
    pub by: u64,
}

impl Mutation for RaiseQuota {
    type State = Quota;
    const TYPE: &'static str = "billing.raise_quota";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let risk = if self.by > 100 { Risk::High } else { Risk::Low };
        Ok(Intent::new("quota.raise", "billing")?.risk(risk))
    }

    fn validate(&self, quota: &Quota) -> Result<(), ValidationErrors> {
        let after = quota.limit.saturating_add(self.by);
        ValidationErrors::check(after <= 10_000, "by", "range", "at most 10 000 in all")
    }

    fn apply(self, quota: Quota) -> Result<Applied<Quota>, MutationError> {
        let limit = quota.limit.saturating_add(self.by);
        let change = Change::modified("limit", quota.limit, limit);
        Ok(Applied::new(Quota { limit }).change(change))
    }
}

/// A directory that is told who is who.
#[derive(Debug, Clone, Default)]
pub struct Team(BTreeMap<ActorId, Membership>);

impl Team {
    /// Adds somebody.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the text is not a valid actor id.
    pub fn with(mut self, actor: &str, membership: Membership) -> Result<Self, InvalidName> {
        self.0.insert(ActorId::new(actor)?, membership);
        Ok(self)
    }
}

#[async_trait]
impl Directory for Team {
    async fn membership(&self, _: &TenantId, actor: &ActorId) -> Result<Membership, PortError> {
        Ok(self.0.get(actor).cloned().unwrap_or_default())
    }

    async fn members(&self, _: &TenantId, leaf: &Selector) -> Result<Members, PortError> {
        if let Selector::Actor(actor) = leaf {
            return Ok(Members::Listed(BTreeSet::from([actor.clone()])));
        }
        let fits = |(actor, membership): &(&ActorId, &Membership)| leaf.matches(actor, membership);
        let actors = self.0.iter().filter(fits);
        Ok(Members::Listed(
            actors.map(|(actor, _)| actor.clone()).collect(),
        ))
    }
}

/// A clock that stands still until it is moved. A clone is a handle to the same clock.
#[derive(Debug, Clone, Default)]
pub struct StoppedClock(Arc<AtomicI64>);

impl StoppedClock {
    /// Moves it forwards.
    pub fn advance(&self, by: Duration) {
        let after = self.time().saturating_add(by);
        self.0.store(after.as_micros(), Ordering::SeqCst);
    }

    /// The time it shows.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Clock for StoppedClock {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.time())
    }
}
