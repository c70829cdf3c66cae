//! An observer that remembers.

use std::sync::Arc;

use parking_lot::Mutex;
use state_core::{Capability, Observation, Observer};

/// Capability, operation and outcome.
type Told = (Capability, &'static str, &'static str);

/// Remembers what it was told. A clone is a handle to the same memory.
#[derive(Debug, Clone, Default)]
pub struct RecordingObserver(Arc<Mutex<Vec<Told>>>);

impl RecordingObserver {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Capability, operation and outcome of everything since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Observer for RecordingObserver {
    fn operation(&self, told: &Observation<'_>) {
        self.0
            .lock()
            .push((told.capability, told.operation, told.outcome));
    }
}
