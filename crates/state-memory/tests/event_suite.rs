//! The suite of events on the store in this process.

use std::sync::Arc;

use state_core::Namespace;
use state_memory::{cache::MemoryCacheStore, event::MemoryEventStore};
use state_testkit::{
    VirtualClock, async_trait,
    event::{Bench, Line},
    event_tests,
};

struct Hooks(MemoryEventStore);

#[async_trait]
impl Line for Hooks {
    async fn cut(&self) {
        self.0.disconnect();
    }

    async fn mend(&self) {
        self.0.reconnect();
    }

    async fn trim(&self, topic: &Namespace, keep: usize) {
        self.0.trim(topic, keep);
    }

    async fn lose(&self, _: &Namespace) {
        self.0.lose();
    }
}

async fn bench() -> Bench {
    let clock = VirtualClock::new();
    let store = MemoryEventStore::new(Arc::new(clock.clone()));
    let values = MemoryCacheStore::new(Arc::new(clock.clone()), 10_000);
    Bench::new(
        (Arc::new(store.clone()), Arc::new(store.clone())),
        Arc::new(values),
        Arc::new(Hooks(store)),
        Arc::new(clock.clone()),
        Arc::new(clock),
        (),
    )
}

event_tests!(bench());
