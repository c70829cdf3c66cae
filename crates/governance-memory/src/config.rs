//! How a store is set up.

use std::sync::Arc;

use governance_core::Clock;

use crate::{MemoryStore, SystemClock};

/// Sets up a [`MemoryStore`].
#[derive(Debug, Clone)]
#[must_use]
pub struct MemoryStoreBuilder {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) document_limit: usize,
    pub(crate) feed_capacity: usize,
    pub(crate) scan_limit: usize,
}

impl Default for MemoryStoreBuilder {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            document_limit: 16 << 20,
            feed_capacity: 100_000,
            scan_limit: 10_000,
        }
    }
}

impl MemoryStoreBuilder {
    /// The clock. Default: the system's.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Largest request, in bytes as
    /// [`MutationRequest::footprint`](governance_core::MutationRequest::footprint) counts them,
    /// and largest state. Default 16 MiB.
    pub const fn document_limit(mut self, bytes: usize) -> Self {
        self.document_limit = bytes;
        self
    }

    /// How many events the change feed keeps. Default 100 000, at least 1.
    pub const fn feed_capacity(mut self, events: usize) -> Self {
        self.feed_capacity = if events == 0 { 1 } else { events };
        self
    }

    /// How many documents one page may look at; by deadline, how many deadlines. A page that
    /// reaches it ends early, with a cursor to go on from, and so does a page of decisions that
    /// passed 64 times as many of other requests. Default 10 000, at least 1.
    pub const fn scan_limit(mut self, documents: usize) -> Self {
        self.scan_limit = if documents == 0 { 1 } else { documents };
        self
    }

    /// The store, empty.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        MemoryStore::from_builder(self)
    }
}
