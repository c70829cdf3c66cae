//! The suite of caches on the store in this process.

use std::sync::Arc;

use state_memory::cache::MemoryCacheStore;
use state_testkit::{VirtualClock, cache::Bench, cache_tests};

async fn bench() -> Bench {
    let clock = VirtualClock::new();
    let store = MemoryCacheStore::new(Arc::new(clock.clone()), 10_000);
    // With 40 steps in each of them.
    Bench::new(
        Arc::new(store),
        Arc::new(clock.clone()),
        Arc::new(clock),
        (),
    )
    .rounds(10_000)
}

cache_tests!(bench());
