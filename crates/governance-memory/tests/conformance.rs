//! The conformance suite on the in-memory provider: as it comes, and where a page ends after
//! looking at very few documents.

use std::sync::Arc;

use governance_core::Provider;
use governance_memory::{MemoryStore, MemoryStoreBuilder};
use governance_testkit::{ProviderHarness, async_trait, conformance_tests, fixtures::VirtualClock};

struct Memory(fn(MemoryStoreBuilder) -> MemoryStoreBuilder);

#[async_trait]
impl ProviderHarness for Memory {
    type Guard = VirtualClock;

    async fn fresh(&self) -> (Arc<dyn Provider>, VirtualClock) {
        let clock = VirtualClock::new();
        let builder = MemoryStore::builder().clock(clock.clone());
        (Arc::new((self.0)(builder).build()), clock)
    }

    fn clock(&self, clock: &VirtualClock) -> Option<VirtualClock> {
        Some(clock.clone())
    }

    async fn fresh_with_feed(&self, events: usize) -> Option<(Arc<dyn Provider>, VirtualClock)> {
        let clock = VirtualClock::new();
        let builder = MemoryStore::builder().clock(clock.clone());
        let store = (self.0)(builder).feed_capacity(events).build();
        Some((Arc::new(store), clock))
    }
}

conformance_tests!(Memory(|builder| builder));

mod short_pages {
    use super::{Memory, conformance_tests};

    conformance_tests!(Memory(|builder| builder.scan_limit(3)));
}
