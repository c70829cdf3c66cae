//! A store that stops answering, fails, or answers late.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use state_core::{
    BackendError,
    lock::{
        Acquired, Extended, Fence, GuardedSet, GuardedValue, Hold, LockStore, Released, Target,
    },
};
use tokio::sync::watch;

use crate::Passage;

/// Passes everything on, until it stalls: then no call returns.
pub(super) struct Stalling {
    store: Arc<dyn LockStore>,
    stalled: watch::Sender<bool>,
    refuses: AtomicBool,
    /// How long after it was made a grant is told.
    late: Option<(Arc<dyn Passage>, Duration)>,
}

impl fmt::Debug for Stalling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stalling").finish_non_exhaustive()
    }
}

impl Stalling {
    pub(super) fn new(store: Arc<dyn LockStore>) -> Self {
        Self {
            store,
            stalled: watch::Sender::new(false),
            refuses: AtomicBool::new(false),
            late: None,
        }
    }

    /// A store whose grants are told so much later.
    pub(super) fn late(store: Arc<dyn LockStore>, by: Arc<dyn Passage>, time: Duration) -> Self {
        Self {
            late: Some((by, time)),
            ..Self::new(store)
        }
    }

    /// From now on extensions fail, or do not any more.
    pub(super) fn refuse_extensions(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
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
        let acquired = self.pass(self.store.acquire(hold, waits)).await;
        if let Some((passage, time)) = &self.late {
            passage.pass(*time).await;
        }
        acquired
    }

    async fn extend(&self, hold: &Hold) -> Result<Extended, BackendError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(BackendError::unavailable("lock.extend", "as asked"));
        }
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
