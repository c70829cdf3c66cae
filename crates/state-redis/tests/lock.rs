//! The suite of locks on one server.

mod support;

use std::sync::Arc;

use state_core::MonotonicClock;
use state_redis::lock::{RedisLockOptions, RedisLocks};
use state_testkit::{
    async_trait,
    lock::{LockHarness, LockParts},
    lock_contract_tests,
};

use crate::support::{ServerTime, client, server};

struct Standalone;

#[async_trait]
impl LockHarness for Standalone {
    async fn fresh(&self) -> LockParts {
        let server = server().await;
        let client = client(server.url()).await;
        let store = RedisLocks::new(client.clone(), RedisLockOptions::default());
        LockParts {
            store: Arc::new(store.expect("valid options")),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(server),
        }
    }
}

lock_contract_tests!(Standalone);
