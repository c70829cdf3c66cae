//! The suite of rate limits on one server.

mod support;

use std::sync::Arc;

use state_core::MonotonicClock;
use state_redis::rate_limit::RedisRateLimits;
use state_testkit::{
    async_trait,
    rate_limit::{RateLimitHarness, RateLimitParts},
    rate_limit_contract_tests,
};

use crate::support::{ServerTime, client, server};

struct Standalone;

#[async_trait]
impl RateLimitHarness for Standalone {
    async fn fresh(&self) -> RateLimitParts {
        let server = server().await;
        let client = client(server.url()).await;
        RateLimitParts {
            store: Arc::new(RedisRateLimits::new(client.clone())),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(server),
        }
    }
}

rate_limit_contract_tests!(Standalone);
