//! The suite of locks on a cluster, one after the other.

mod support;

use std::sync::Arc;

use redis_client::{Client, Config};
use redis_harness::{Cluster, unique_prefix};
use state_core::MonotonicClock;
use state_redis::lock::{RedisLockOptions, RedisLocks};
use state_testkit::{
    async_trait,
    lock::{LockHarness, LockParts},
    lock_contract_in_turn,
};

use crate::support::ServerTime;

struct OnCluster(Cluster);

#[async_trait]
impl LockHarness for OnCluster {
    async fn fresh(&self) -> LockParts {
        let builder = self
            .0
            .urls()
            .fold(Config::builder(), |builder, url| builder.address(url));
        let config = builder.cluster().key_prefix(unique_prefix("state")).build();
        let client = Client::connect(config.expect("a configuration")).await;
        let client = client.expect("a client");
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
