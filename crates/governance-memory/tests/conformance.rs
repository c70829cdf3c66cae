//! The conformance suite on the in-memory provider.

use std::sync::Arc;

use governance_core::Provider;
use governance_memory::MemoryStore;
use governance_testkit::{ProviderHarness, async_trait, conformance_tests, fixtures::VirtualClock};

struct Memory;

#[async_trait]
impl ProviderHarness for Memory {
    type Guard = VirtualClock;

    async fn fresh(&self) -> (Arc<dyn Provider>, VirtualClock) {
        let clock = VirtualClock::new();
        let store = MemoryStore::builder().clock(clock.clone()).build();
        (Arc::new(store), clock)
    }

    fn clock(&self, clock: &VirtualClock) -> Option<VirtualClock> {
        Some(clock.clone())
    }

    async fn fresh_with_feed(&self, events: usize) -> Option<(Arc<dyn Provider>, VirtualClock)> {
        let clock = VirtualClock::new();
        let store = MemoryStore::builder()
            .clock(clock.clone())
            .feed_capacity(events);
        Some((Arc::new(store.build()), clock))
    }
}

conformance_tests!(Memory);
