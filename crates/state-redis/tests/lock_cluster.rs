//! The suite of locks on a cluster, one after the other.

mod support;

use std::sync::Arc;

use redis_harness::Cluster;
use state_core::MonotonicClock;
use state_redis::lock::{RedisLockOptions, RedisLocks};
use state_testkit::{
    async_trait,
    lock::{LockHarness, LockParts},
    lock_contract_in_turn,
};

use crate::support::{ServerTime, client_of};

struct OnCluster(Cluster);

#[async_trait]
impl LockHarness for OnCluster {
    async fn fresh(&self) -> LockParts {
        let client = client_of(&self.0).await;
        let store = RedisLocks::new(client.clone(), RedisLockOptions::default());
        LockParts {
            store: Arc::new(store.expect("valid options")),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(()),
        }
    }
}

lock_contract_in_turn!(OnCluster(Cluster::start(3, 0).await));
