//! Gives back what was dropped, without making the dropper wait.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::{
    clock::Clock,
    error::Classified as _,
    lock::{Hold, LockStore},
    observe::{Capability, Observation, Observer},
};

/// A bounded queue and, from the first acquisition on, a task that empties it.
#[derive(Debug)]
pub(super) struct Releaser {
    queue: mpsc::Sender<Hold>,
    waiting: Mutex<Option<mpsc::Receiver<Hold>>>,
}

impl Releaser {
    pub(super) fn new(capacity: usize) -> Self {
        let (queue, waiting) = mpsc::channel(capacity);
        Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
        }
    }

    /// The queue. Starts the task if it does not run yet, so it must be called on a runtime.
    pub(super) fn queue(
        &self,
        store: &Arc<dyn LockStore>,
        clock: &Arc<dyn Clock>,
        observer: &Arc<dyn Observer>,
    ) -> mpsc::Sender<Hold> {
        if let Some(waiting) = self.waiting.lock().take() {
            tokio::spawn(give_back(
                waiting,
                Arc::clone(store),
                Arc::clone(clock),
                Arc::clone(observer),
            ));
        }
        self.queue.clone()
    }
}

async fn give_back(
    mut dropped: mpsc::Receiver<Hold>,
    store: Arc<dyn LockStore>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
) {
    while let Some(hold) = dropped.recv().await {
        let since = observer.listens().then(|| clock.now());
        let outcome = match store.release(&hold).await {
            Ok(released) => released.as_str(),
            // It expires by itself.
            Err(error) => error.code(),
        };
        observer.operation(&Observation {
            capability: Capability::Lock,
            operation: "drop",
            outcome,
            namespace: "",
            duration: since.map(|since| clock.now().saturating_since(since)),
        });
    }
}
