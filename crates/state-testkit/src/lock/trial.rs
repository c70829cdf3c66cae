//! What a case works with.

use std::{any::Any, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use state_core::{
    Clock, OsEntropy,
    lock::{Acquired, Fence, Hold, LockOptions, LockStore, Locks, Mode, Realm, Target, Token},
};

use crate::{Passage, RecordingObserver};

/// A backend under test.
#[async_trait]
pub trait LockHarness: Send + Sync {
    /// A store in which nothing is locked.
    async fn fresh(&self) -> LockParts;
}

/// A store and what belongs to it.
#[expect(
    missing_debug_implementations,
    reason = "what a harness keeps alive need not have one"
)]
pub struct LockParts {
    /// The store.
    pub store: Arc<dyn LockStore>,
    /// The local clock of fronts. A virtual one is the store's too.
    pub clock: Arc<dyn Clock>,
    /// How time passes.
    pub passage: Arc<dyn Passage>,
    /// What must live as long as the store: a server.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// One case with a store of its own.
#[expect(missing_debug_implementations, reason = "as its parts")]
pub struct LockTrial {
    /// The store and what belongs to it.
    pub parts: LockParts,
    /// What the fronts of the trial told.
    pub observer: RecordingObserver,
}

/// A lifetime that passes soon, and that nothing on a slow machine takes as long as.
pub(super) const SHORT: Duration = Duration::from_millis(400);
/// A lifetime that does not pass in a test.
pub(super) const LONG: Duration = Duration::from_secs(600);

impl LockTrial {
    /// A trial on a fresh store.
    pub async fn begin(harness: &dyn LockHarness) -> Self {
        Self {
            parts: harness.fresh().await,
            observer: RecordingObserver::new(),
        }
    }

    /// The store.
    pub(super) fn store(&self) -> &dyn LockStore {
        &*self.parts.store
    }

    /// A front with its own queue and turns, as another process has.
    pub(super) fn front(&self, options: LockOptions) -> Locks {
        self.front_of(Arc::clone(&self.parts.store), options)
    }

    /// The same on a store in front of the trial's.
    pub(super) fn front_of(&self, store: Arc<dyn LockStore>, options: LockOptions) -> Locks {
        let made = Locks::observed(
            store,
            options,
            Arc::clone(&self.parts.clock),
            Arc::new(OsEntropy),
            Arc::new(self.observer.clone()),
        );
        made.expect("valid options")
    }

    /// A front with quick retries.
    pub(super) fn locks(&self) -> Locks {
        let (min, max) = (Duration::from_millis(5), Duration::from_millis(200));
        self.front(LockOptions::default().ttl(LONG).retry(min, max))
    }

    pub(super) async fn pass(&self, time: Duration) {
        self.parts.passage.pass(time).await;
    }

    /// Lets time pass in small steps until the future is ready.
    pub(super) async fn until<T>(&self, ready: impl Future<Output = T>) -> T {
        crate::passage::until(&*self.parts.passage, ready).await
    }

    /// Acquires on the store itself.
    pub(super) async fn acquire(&self, hold: &Hold) -> Acquired {
        let acquired = self.store().acquire(hold, false).await;
        acquired.expect("an answer")
    }

    /// Acquires what is free.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub(super) async fn granted(&self, hold: &Hold) -> Fence {
        match self.acquire(hold).await {
            Acquired::Granted { fence } => fence,
            held @ Acquired::Held { .. } => panic!("it is free, and yet {held:?}"),
        }
    }

    /// Fails to acquire what is held.
    ///
    /// # Panics
    ///
    /// When it is free.
    pub(super) async fn held(&self, hold: &Hold) -> Duration {
        match self.acquire(hold).await {
            Acquired::Held { remaining } => remaining,
            granted @ Acquired::Granted { .. } => panic!("it is held, and yet {granted:?}"),
        }
    }
}

/// A hold of a holder with a number.
pub(super) fn hold(target: &Target, holder: u8, ttl: Duration) -> Hold {
    Hold {
        target: target.clone(),
        token: Token::from_bytes([holder; 16]),
        ttl,
    }
}

/// A target with one name.
pub(super) fn target(mode: Mode, name: &str) -> Target {
    Target::one(Realm::Lock, mode, name).expect("a name")
}
