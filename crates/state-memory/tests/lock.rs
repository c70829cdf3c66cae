//! The suite of locks on the twin.

use std::sync::Arc;

use state_memory::{Faults, lock::MemoryLocks};
use state_testkit::{
    VirtualClock, async_trait,
    lock::{LockHarness, LockParts},
    lock_contract_tests,
};

struct Memory;

#[async_trait]
impl LockHarness for Memory {
    async fn fresh(&self) -> LockParts {
        let clock = VirtualClock::new();
        LockParts {
            store: Arc::new(MemoryLocks::with(Arc::new(clock.clone()), Faults::new())),
            clock: Arc::new(clock.clone()),
            passage: Arc::new(clock),
            guard: Box::new(()),
        }
    }
}

lock_contract_tests!(Memory);
