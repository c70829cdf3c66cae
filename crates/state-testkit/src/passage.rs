//! Letting time pass, on any backend.

use std::{future::Future, time::Duration};

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

/// Lets time pass in small steps until the future is ready. For cases on a runtime of one thread:
/// everybody who is ready gets a turn before time moves on.
pub(crate) async fn until<T>(passage: &dyn Passage, ready: impl Future<Output = T>) -> T {
    let mut ready = std::pin::pin!(ready);
    loop {
        tokio::select! {
            biased;
            value = &mut ready => return value,
            () = async {
                for _ in 0..32 {
                    tokio::task::yield_now().await;
                }
                passage.pass(Duration::from_millis(2)).await;
            } => {}
        }
    }
}
