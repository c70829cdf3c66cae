//! How the suite gets at a provider.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use governance_core::{
    Act, Creation, IdSource as _, MutationRequest, Provider, Timestamp, Written,
};

use crate::fixtures::{RequestBuilder, SeededIds, VirtualClock, actor};

/// Makes stores for the suite: one for each case, empty, and nobody else's.
///
/// Only [`fresh`](Self::fresh) has to be written. The other methods are hooks for what not every
/// provider has; a case that needs a hook the harness does not have says so and checks nothing.
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use governance_core::Provider;
/// use governance_testkit::{ProviderHarness, fixtures::VirtualClock, model::ModelStore};
///
/// struct Harness;
///
/// #[async_trait]
/// impl ProviderHarness for Harness {
///     type Guard = VirtualClock;
///
///     async fn fresh(&self) -> (Arc<dyn Provider>, VirtualClock) {
///         let clock = VirtualClock::new();
///         (Arc::new(ModelStore::new(clock.clone())), clock)
///     }
///
///     fn clock(&self, guard: &VirtualClock) -> Option<VirtualClock> {
///         Some(guard.clone())
///     }
/// }
/// ```
#[async_trait]
pub trait ProviderHarness: Send + Sync + 'static {
    /// What has to live as long as the store: dropping it removes what the store kept, or stops
    /// its server.
    type Guard: Send + Sync + 'static;

    /// An empty store of its own.
    async fn fresh(&self) -> (Arc<dyn Provider>, Self::Guard);

    /// The clock of that store, where tests may set it. Without it the store's own clock runs.
    fn clock(&self, guard: &Self::Guard) -> Option<VirtualClock> {
        let _ = guard;
        None
    }

    /// The same store once more, as after a restart of the process. Only for stores that keep
    /// what they were given.
    async fn reopen(&self, guard: &Self::Guard) -> Option<Arc<dyn Provider>> {
        let _ = guard;
        None
    }

    /// An empty store whose change feed keeps at most so many events, at least two.
    async fn fresh_with_feed(&self, events: usize) -> Option<(Arc<dyn Provider>, Self::Guard)> {
        let _ = events;
        None
    }
}

/// One run of one case: its store, and what cases need around it.
pub struct Trial {
    store: Arc<dyn Provider>,
    hooks: Box<dyn Hooks>,
    ids: SeededIds,
    start: Timestamp,
}

impl Trial {
    /// Begins with a fresh store.
    ///
    /// # Panics
    ///
    /// When the store cannot tell the time.
    pub async fn begin<H: ProviderHarness>(harness: H) -> Self {
        let (store, guard) = harness.fresh().await;
        Self::of(store, Hooked { harness, guard }).await
    }

    async fn of(store: Arc<dyn Provider>, hooks: impl Hooks + 'static) -> Self {
        let start = store.now().await.expect("the store tells the time");
        Self {
            store,
            hooks: Box::new(hooks),
            ids: SeededIds::new(7),
            start,
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Provider> {
        &self.store
    }

    /// The clock of the store, if it can be set.
    #[must_use]
    pub fn clock(&self) -> Option<VirtualClock> {
        self.hooks.clock()
    }

    /// The same store as after a restart, if it keeps what it was given.
    pub async fn reopen(&self) -> Option<Arc<dyn Provider>> {
        self.hooks.reopen().await
    }

    /// An empty store whose change feed keeps at most so many events. The second value has to
    /// live as long as the store.
    pub async fn with_feed(
        &self,
        events: usize,
    ) -> Option<(Arc<dyn Provider>, Box<dyn Send + Sync>)> {
        self.hooks.with_feed(events).await
    }

    /// Says that the harness lacks what a case needs, so the case checks nothing.
    #[expect(
        clippy::print_stderr,
        reason = "a case that is skipped must not pass in silence"
    )]
    pub fn lacks(&self, what: &str) {
        eprintln!("skipped: the harness of {:?} lacks {what}", self.store);
    }

    /// The store's time at the beginning.
    #[must_use]
    pub const fn start(&self) -> Timestamp {
        self.start
    }

    /// Where the ids of this run come from.
    #[must_use]
    pub const fn ids(&self) -> &SeededIds {
        &self.ids
    }

    /// Requests submitted at the beginning.
    pub fn request(&self) -> RequestBuilder {
        RequestBuilder::new(&self.ids, self.start)
    }

    /// An act of a person at the beginning, under an operation of its own.
    ///
    /// # Panics
    ///
    /// When the text is not a valid actor id.
    #[must_use]
    pub fn act(&self, who: &str) -> Act {
        Act::new(&actor(who), self.start, self.ids.operation_id())
    }

    /// A request of the builder, stored.
    ///
    /// # Panics
    ///
    /// When the store does not create it.
    pub async fn create(&self, builder: &RequestBuilder) -> Arc<MutationRequest> {
        let request = builder.build();
        let created = self.store.create(Arc::clone(&request)).await;
        assert!(
            matches!(created, Ok(Creation::Created)),
            "a new request was not created: {created:?}"
        );
        request
    }

    /// Stores the next form of a request.
    ///
    /// # Panics
    ///
    /// When the store does not.
    pub async fn update(
        &self,
        before: &MutationRequest,
        after: Arc<MutationRequest>,
    ) -> Arc<MutationRequest> {
        let written = self
            .store
            .try_store(Arc::clone(&after), before.revision())
            .await;
        assert!(
            matches!(written, Ok(Written::Applied)),
            "a change from the stored revision was not stored: {written:?}"
        );
        after
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial")
            .field("store", &self.store)
            .field("start", &self.start)
            .finish_non_exhaustive()
    }
}

/// A harness with the guard of one store, whatever their types.
#[async_trait]
trait Hooks: Send + Sync {
    fn clock(&self) -> Option<VirtualClock>;
    async fn reopen(&self) -> Option<Arc<dyn Provider>>;
    async fn with_feed(&self, events: usize) -> Option<(Arc<dyn Provider>, Box<dyn Send + Sync>)>;
}

struct Hooked<H: ProviderHarness> {
    harness: H,
    guard: H::Guard,
}

#[async_trait]
impl<H: ProviderHarness> Hooks for Hooked<H> {
    fn clock(&self) -> Option<VirtualClock> {
        self.harness.clock(&self.guard)
    }

    async fn reopen(&self) -> Option<Arc<dyn Provider>> {
        self.harness.reopen(&self.guard).await
    }

    async fn with_feed(&self, events: usize) -> Option<(Arc<dyn Provider>, Box<dyn Send + Sync>)> {
        let (store, guard) = self.harness.fresh_with_feed(events).await?;
        Some((store, Box::new(guard)))
    }
}
