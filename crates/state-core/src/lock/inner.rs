//! What the front, its guards and its tasks share.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;

use crate::{
    clock::{Clock, Timestamp},
    entropy::Entropy,
    error::{BackendError, Classified as _},
    lock::{Hold, LockOptions, LockStore, releaser::Releaser, turns::Turns},
    observe::{Capability, Observation, Observer},
};

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) store: Arc<dyn LockStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) options: LockOptions,
    pub(super) releaser: Releaser,
    pub(super) turns: Turns,
}

impl Inner {
    /// Between `retry_min` and `retry_max`, growing with the attempts, and never twice the same.
    pub(super) fn pause(&self, attempt: u32) -> Duration {
        let LockOptions {
            retry_min,
            retry_max,
            ..
        } = self.options;
        let grown = retry_min
            .saturating_mul(1 << attempt.min(16))
            .min(retry_max);
        self.jittered(grown)
    }

    /// Between a half and the whole.
    pub(super) fn jittered(&self, whole: Duration) -> Duration {
        let mut byte = [0xFF];
        // Without randomness the whole is as good.
        let _ = self.entropy.fill(&mut byte);
        whole / 2 + whole * u32::from(byte[0]) / 512
    }

    /// The time a call began, where somebody wants to know how long it took.
    pub(super) fn started(&self) -> Option<Timestamp> {
        self.observer.listens().then(|| self.clock.now())
    }

    pub(super) fn tell(
        &self,
        capability: Capability,
        operation: &'static str,
        outcome: &'static str,
        since: Option<Timestamp>,
    ) {
        if !self.observer.listens() {
            return;
        }
        self.observer.operation(&Observation {
            capability,
            operation,
            outcome,
            namespace: "",
            duration: since.map(|since| self.clock.now().saturating_since(since)),
        });
    }

    pub(super) fn tell_failure(
        &self,
        capability: Capability,
        operation: &'static str,
        error: &BackendError,
        since: Option<Timestamp>,
    ) {
        self.tell(capability, operation, error.code(), since);
    }

    /// The end of a lifetime that was asked for at `asked`.
    pub(super) fn valid_until(&self, asked: Timestamp, ttl: Duration) -> Timestamp {
        asked.saturating_add(self.options.validity(ttl))
    }
}

/// Gives a lock back when it is dropped before it became a guard: what a cancelled or failed
/// acquisition may have been granted.
#[derive(Debug)]
pub(super) struct Pending {
    queue: mpsc::Sender<Hold>,
    hold: Option<Hold>,
}

impl Pending {
    pub(super) const fn new(queue: mpsc::Sender<Hold>, hold: Hold) -> Self {
        Self {
            queue,
            hold: Some(hold),
        }
    }

    pub(super) fn defuse(mut self) {
        self.hold = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take() {
            // A full queue leaves it to expire.
            let _ = self.queue.try_send(hold);
        }
    }
}
