//! What a case works with.
#![allow(
    clippy::missing_panics_doc,
    reason = "constants that are as they must be"
)]

use std::{
    any::Any,
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use state_core::{
    Clock, Namespace,
    cache::{Cache, CacheOptions, CacheStore, Space},
};
use tokio::sync::watch;

use crate::{Passage, RecordingObserver, SeededEntropy};

/// A store that nobody else uses, and the time on it.
pub struct Bench {
    store: Arc<dyn CacheStore>,
    time: Arc<dyn Passage>,
    clock: Arc<dyn Clock>,
    rounds: u64,
    _guard: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Bytes of a text.
#[must_use]
pub fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

impl Bench {
    /// A store, the passage of its time, the clock of the fronts, and what has to live as long.
    #[must_use]
    pub fn new(
        store: Arc<dyn CacheStore>,
        time: Arc<dyn Passage>,
        clock: Arc<dyn Clock>,
        guard: impl Any + Send + Sync,
    ) -> Self {
        Self {
            store,
            time,
            clock,
            rounds: 200,
            _guard: Box::new(guard),
        }
    }

    /// How many rounds a case of random traces goes.
    #[must_use]
    pub const fn rounds(mut self, rounds: u64) -> Self {
        self.rounds = rounds;
        self
    }

    pub(crate) const fn round_count(&self) -> u64 {
        self.rounds
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn CacheStore> {
        &self.store
    }

    /// Settings without chance: no jitter, no early refresh, timeouts that a case does not meet.
    #[must_use]
    pub fn options() -> CacheOptions {
        let hour = Duration::from_secs(60 * 60);
        CacheOptions::default()
            .jitter_percent(0)
            .beta(0.0)
            .lease_ttl(hour)
            .lease_wait(hour)
            .hard_timeout(hour)
    }

    /// The namespace of the cases.
    #[must_use]
    pub fn namespace() -> Namespace {
        Namespace::new("things").expect("a namespace")
    }

    /// The space of the cases.
    #[must_use]
    pub fn space() -> Space {
        Space::new(Self::namespace(), 1)
    }

    /// A cache as another process would have it, and what it reports.
    #[must_use]
    pub fn cache(&self, options: CacheOptions) -> (Cache, RecordingObserver) {
        self.cache_of(Self::namespace(), options)
    }

    /// The same in another namespace.
    #[must_use]
    pub fn cache_of(
        &self,
        namespace: Namespace,
        options: CacheOptions,
    ) -> (Cache, RecordingObserver) {
        let observer = RecordingObserver::new();
        let cache = Cache::builder(Arc::clone(&self.store), namespace)
            .options(options)
            .clock(Arc::clone(&self.clock))
            .entropy(Arc::new(SeededEntropy::new(next_seed())))
            .observer(Arc::new(observer.clone()))
            .build()
            .expect("a cache");
        (cache, observer)
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        self.time.pass(time).await;
    }

    /// Does something while time passes.
    pub async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let some_time = async {
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                self.pass(Duration::from_millis(5)).await;
            };
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = some_time => {}
            }
        }
    }
}

/// Tokens of two fronts are never the same.
fn next_seed() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(0x1_0000_0001, Ordering::Relaxed)
}

/// A load under way.
pub type Loading = Pin<Box<dyn Future<Output = Result<Option<Bytes>, std::io::Error>> + Send>>;

/// Holds loaders back until it is opened, and counts them. A clone is a handle to the same gate.
#[derive(Debug, Clone)]
pub struct Gate(Arc<(watch::Sender<bool>, watch::Sender<usize>)>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new((watch::Sender::new(false), watch::Sender::new(0))))
    }

    /// An open gate, which only counts.
    #[must_use]
    pub fn open() -> Self {
        let gate = Self::closed();
        gate.let_in();
        gate
    }

    /// Opens it.
    pub fn let_in(&self) {
        self.0.0.send_replace(true);
    }

    /// How many came.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.0.1.borrow()
    }

    /// Returns once so many came.
    pub async fn came(&self, count: usize) {
        let mut came = self.0.1.subscribe();
        // Fails only when the gate is gone.
        let _ = came.wait_for(|came| *came >= count).await;
    }

    /// Comes, and passes when it is open.
    pub async fn pass(&self) {
        let mut open = self.0.0.subscribe();
        self.0.1.send_modify(|came| *came += 1);
        let _ = open.wait_for(|open| *open).await;
    }

    /// A loader that comes here and then gives a text.
    pub fn loader(&self, value: &str) -> impl FnOnce() -> Loading + Send + use<> {
        let (gate, value) = (self.clone(), text(value));
        move || {
            Box::pin(async move {
                gate.pass().await;
                Ok(Some(value))
            })
        }
    }
}
