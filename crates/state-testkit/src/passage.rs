//! Letting time pass, on any backend.

use std::time::Duration;

use async_trait::async_trait;

/// How a harness lets time pass on its backend.
#[async_trait]
pub trait Passage: Send + Sync {
    /// Returns when the backend's time is this much later, and a little more where time cannot be
    /// set. A virtual clock is moved; a server's time is watched until it is there.
    async fn pass(&self, time: Duration);
}

#[async_trait]
impl Passage for crate::VirtualClock {
    async fn pass(&self, time: Duration) {
        self.advance(time);
    }
}
