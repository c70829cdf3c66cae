//! The suite of rate limits on a cluster, one after the other.

mod support;

use std::sync::Arc;

use redis_harness::Cluster;
use state_core::MonotonicClock;
use state_redis::rate_limit::RedisRateLimits;
use state_testkit::{
    async_trait,
    rate_limit::{RateLimitHarness, RateLimitParts},
    rate_limit_contract_in_turn,
};

use crate::support::{ServerTime, client_of};

struct OnCluster(Cluster);

#[async_trait]
impl RateLimitHarness for OnCluster {
    async fn fresh(&self) -> RateLimitParts {
        let client = client_of(&self.0).await;
        RateLimitParts {
            store: Arc::new(RedisRateLimits::new(client.clone())),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(()),
        }
    }
}

rate_limit_contract_in_turn!(OnCluster(Cluster::start(3, 0).await));
