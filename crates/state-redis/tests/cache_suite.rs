//! The suite of caches on a server, a new one for each case.

mod support;

use std::sync::Arc;

use state_core::MonotonicClock;
use state_redis::cache::RedisCacheStore;
use state_testkit::{cache::Bench, cache_tests};

use crate::support::{ServerTime, client, server};

async fn bench() -> Bench {
    let server = server().await;
    let client = client(server.url()).await;
    let store = RedisCacheStore::new(client.clone());
    let time = ServerTime(client);
    let clock = MonotonicClock::new();
    Bench::new(Arc::new(store), Arc::new(time), Arc::new(clock), server).rounds(100)
}

cache_tests!(bench());
