//! A store that stops answering.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use state_core::{
    BackendError,
    lock::{
        Acquired, Extended, Fence, GuardedSet, GuardedValue, Hold, LockStore, Released, Target,
    },
};
use tokio::sync::watch;

/// Passes everything on, until it stalls: then no call returns.
#[derive(Debug)]
pub(super) struct Stalling {
    store: Arc<dyn LockStore>,
    stalled: watch::Sender<bool>,
}

impl Stalling {
    pub(super) fn new(store: Arc<dyn LockStore>) -> Self {
        Self {
            store,
            stalled: watch::Sender::new(false),
        }
    }

    pub(super) fn stall(&self) {
        self.stalled.send_replace(true);
    }

    async fn pass<T>(&self, answer: impl Future<Output = T>) -> T {
        let mut stalled = self.stalled.subscribe();
        tokio::select! {
            biased;
            () = async { drop(stalled.wait_for(|stalled| *stalled).await) } => {}
            answer = answer => return answer,
        }
        std::future::pending().await
    }
}

#[async_trait]
impl LockStore for Stalling {
    async fn acquire(&self, hold: &Hold, waits: bool) -> Result<Acquired, BackendError> {
        self.pass(self.store.acquire(hold, waits)).await
    }

    async fn extend(&self, hold: &Hold) -> Result<Extended, BackendError> {
        self.pass(self.store.extend(hold)).await
    }

    async fn release(&self, hold: &Hold) -> Result<Released, BackendError> {
        self.pass(self.store.release(hold)).await
    }

    async fn wait(&self, target: &Target, at_most: Duration) -> Result<(), BackendError> {
        self.pass(self.store.wait(target, at_most)).await
    }

    async fn guarded_set(
        &self,
        target: &Target,
        fence: Fence,
        value: Bytes,
        ttl: Duration,
    ) -> Result<GuardedSet, BackendError> {
        self.pass(self.store.guarded_set(target, fence, value, ttl))
            .await
    }

    async fn guarded_get(&self, target: &Target) -> Result<Option<GuardedValue>, BackendError> {
        self.pass(self.store.guarded_get(target)).await
    }
}
