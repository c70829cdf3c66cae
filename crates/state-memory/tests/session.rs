//! The suite of sessions on the twin.

use std::sync::Arc;

use state_core::session::SessionOptions;
use state_memory::{Faults, session::MemorySessions};
use state_testkit::{
    VirtualClock, async_trait,
    session::{SessionHarness, SessionParts},
    session_tests,
};

struct Memory;

#[async_trait]
impl SessionHarness for Memory {
    async fn fresh(&self, options: SessionOptions) -> SessionParts {
        let clock = VirtualClock::new();
        let store = MemorySessions::with(options, Arc::new(clock.clone()), Faults::new());
        let store = store.expect("valid options");
        let same = store.clone();
        SessionParts {
            store: Arc::new(store),
            reopened: Box::new(move |options| {
                Arc::new(same.reopened(options).expect("valid options"))
            }),
            clock: Arc::new(clock.clone()),
            passage: Arc::new(clock),
            guard: Box::new(()),
        }
    }
}

session_tests!(Memory);
