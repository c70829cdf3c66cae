//! The suite of rate limits on the twin.

use std::sync::Arc;

use state_memory::{Faults, rate_limit::MemoryRateLimits};
use state_testkit::{
    VirtualClock, async_trait,
    rate_limit::{RateLimitHarness, RateLimitParts},
    rate_limit_tests,
};

struct Memory;

#[async_trait]
impl RateLimitHarness for Memory {
    async fn fresh(&self) -> RateLimitParts {
        let clock = VirtualClock::new();
        let store = MemoryRateLimits::with(Arc::new(clock.clone()), Faults::new());
        RateLimitParts {
            store: Arc::new(store),
            clock: Arc::new(clock.clone()),
            passage: Arc::new(clock),
            guard: Box::new(()),
        }
    }
}

rate_limit_tests!(Memory);
