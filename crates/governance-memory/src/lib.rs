#![doc = include_str!("../README.md")]

mod chunk;
mod clock;
mod config;
mod engine;
mod feed;
mod inner;
mod journal;
mod part;
mod postings;
mod store;
mod walk;

use std::{fmt, sync::Arc};

pub use clock::SystemClock;
pub use config::MemoryStoreBuilder;
use governance_core::{Clock, StoreError};
use inner::Inner;
use parking_lot::RwLock;
use tokio::sync::watch;

/// Keeps everything in memory. A clone is a handle to the same store.
///
/// Readers do not block each other. A write holds the lock while it is checked against what is
/// stored, the check that its history extends the stored one included, and while every index is
/// brought up to date; what the new record alone tells is made before. A page holds off writes
/// while it looks at the documents it needs, at most the builder's `scan_limit` of them. No code
/// of a user runs while the lock is held: clocks are asked before.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    inner: RwLock<Inner>,
    /// The place behind the last event, for those who wait for the next. Told only while somebody
    /// waits.
    head: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    scan_limit: usize,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Sets up a store.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::default()
    }

    fn from_builder(builder: MemoryStoreBuilder) -> Self {
        let shared = Shared {
            inner: RwLock::new(Inner::new(builder.document_limit, builder.feed_capacity)),
            head: watch::Sender::new(0),
            clock: builder.clock,
            scan_limit: builder.scan_limit,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// How many requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.inner.read().by_id.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&mut Inner) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (result, head) = {
            let mut inner = self.shared.inner.write();
            (change(&mut inner), inner.feed.head())
        };
        // Who begins to wait from here on looks at the feed itself first.
        if self.shared.head.receiver_count() > 0 {
            self.shared.head.send_if_modified(|known| {
                let newer = head > *known;
                *known = head.max(*known);
                newer
            });
        }
        result
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("requests", &self.len())
            .finish_non_exhaustive()
    }
}
