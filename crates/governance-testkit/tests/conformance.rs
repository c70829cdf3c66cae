//! The conformance suite on the reference model: what the suite asks for can be had.

use std::sync::Arc;

use governance_core::Provider;
use governance_testkit::{
    ProviderHarness, async_trait, conformance_tests, fixtures::VirtualClock, model::ModelStore,
};

struct Model;

type Guard = (ModelStore, VirtualClock);

#[async_trait]
impl ProviderHarness for Model {
    type Guard = Guard;

    async fn fresh(&self) -> (Arc<dyn Provider>, Guard) {
        let clock = VirtualClock::new();
        let store = ModelStore::new(clock.clone());
        (Arc::new(store.clone()), (store, clock))
    }

    fn clock(&self, (_, clock): &Guard) -> Option<VirtualClock> {
        Some(clock.clone())
    }

    async fn reopen(&self, (store, _): &Guard) -> Option<Arc<dyn Provider>> {
        Some(Arc::new(store.clone()))
    }

    async fn fresh_with_feed(&self, events: usize) -> Option<(Arc<dyn Provider>, Guard)> {
        let clock = VirtualClock::new();
        let store = ModelStore::new(clock.clone()).keeping_events(events);
        Some((Arc::new(store.clone()), (store, clock)))
    }
}

conformance_tests!(Model);
