//! The suite of rate limits on the twin, by the processor's counter.

use std::{sync::Arc, time::Duration};

use state_core::Clock as _;
use state_memory::{CpuClock, Faults, rate_limit::MemoryRateLimits};
use state_testkit::{
    Passage, async_trait,
    rate_limit::{RateLimitHarness, RateLimitParts},
    rate_limit_tests,
};

struct ByCpuClock;

struct Waits(Arc<CpuClock>);

#[async_trait]
impl Passage for Waits {
    async fn pass(&self, time: Duration) {
        let until = self.0.now().saturating_add(time);
        self.0.sleep_until(until).await;
    }
}

#[async_trait]
impl RateLimitHarness for ByCpuClock {
    async fn fresh(&self) -> RateLimitParts {
        let clock = Arc::new(CpuClock::new());
        let store = MemoryRateLimits::with(Arc::<CpuClock>::clone(&clock), Faults::new());
        RateLimitParts {
            store: Arc::new(store),
            clock: Arc::<CpuClock>::clone(&clock),
            passage: Arc::new(Waits(clock)),
            guard: Box::new(()),
        }
    }
}

rate_limit_tests!(ByCpuClock);
