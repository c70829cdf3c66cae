//! The suite of process state on the twin.

use std::sync::Arc;

use state_core::process::ProcessOptions;
use state_memory::{Faults, process::MemoryProcesses};
use state_testkit::{
    VirtualClock, async_trait,
    process::{ProcessHarness, ProcessParts},
    process_tests,
};

struct Memory;

#[async_trait]
impl ProcessHarness for Memory {
    async fn fresh(&self, options: ProcessOptions) -> ProcessParts {
        let clock = VirtualClock::new();
        let store = MemoryProcesses::with(options, Arc::new(clock.clone()), Faults::new());
        ProcessParts {
            store: Arc::new(store.expect("valid options")),
            clock: Arc::new(clock.clone()),
            passage: Arc::new(clock),
            guard: Box::new(()),
        }
    }
}

process_tests!(Memory);
