//! What a case works with.

use std::{any::Any, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use state_core::{
    Clock, OsEntropy,
    process::{
        Claim, Claimed, Created, NewProcess, Payload, Process, ProcessOptions, ProcessStore,
        Processes, Saved, Version,
    },
};

use crate::{Passage, RecordingObserver};

/// A backend under test.
#[async_trait]
pub trait ProcessHarness: Send + Sync {
    /// A store without processes, with these settings.
    async fn fresh(&self, options: ProcessOptions) -> ProcessParts;
}

/// A store and what belongs to it.
#[expect(
    missing_debug_implementations,
    reason = "what a harness keeps alive need not have one"
)]
pub struct ProcessParts {
    /// The store.
    pub store: Arc<dyn ProcessStore>,
    /// The local clock of fronts. A virtual one is the store's too.
    pub clock: Arc<dyn Clock>,
    /// How time passes.
    pub passage: Arc<dyn Passage>,
    /// What must live as long as the store: a server.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// One case with a store of its own.
#[expect(missing_debug_implementations, reason = "as its parts")]
pub struct ProcessTrial {
    /// The store and what belongs to it.
    pub parts: ProcessParts,
    /// What the front of the trial told.
    pub observer: RecordingObserver,
    /// The front.
    pub processes: Processes,
}

/// The lease of claims in a trial.
pub(super) const LEASE: Duration = Duration::from_millis(400);
/// How long ended processes are kept in a trial.
pub(super) const RETENTION: Duration = Duration::from_millis(600);
/// How many processes a page has in a trial.
pub(super) const PAGE: usize = 3;
/// About how many events are kept in a trial.
pub(super) const EVENTS: u64 = 50;

impl ProcessTrial {
    /// A trial on a fresh store.
    pub async fn begin(harness: &dyn ProcessHarness) -> Self {
        let options = ProcessOptions::default()
            .lease(LEASE)
            .retention(RETENTION)
            .page_size(PAGE)
            .events(EVENTS, Duration::from_secs(60));
        let parts = harness.fresh(options).await;
        let observer = RecordingObserver::new();
        let processes = Processes::observed(
            Arc::clone(&parts.store),
            Arc::clone(&parts.clock),
            Arc::new(OsEntropy),
            Arc::new(observer.clone()),
        );
        Self {
            parts,
            observer,
            processes,
        }
    }

    pub(super) fn store(&self) -> &dyn ProcessStore {
        &*self.parts.store
    }

    pub(super) async fn pass(&self, time: Duration) {
        self.parts.passage.pass(time).await;
    }

    /// Lets time pass in small steps until the future is ready.
    pub(super) async fn until<T>(&self, ready: impl Future<Output = T>) -> T {
        crate::passage::until(&*self.parts.passage, ready).await
    }

    /// Creates a pending process.
    pub(super) async fn create(&self, id: &str) -> Version {
        let new = NewProcess::new(id, "upgrade").payload(Payload::new("text/1", "begun"));
        match self.processes.create(new).await.expect("an answer") {
            Created::Created { version } => version,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn get(&self, id: &str) -> Process {
        let found = self.processes.get(id).await.expect("an answer");
        found.unwrap_or_else(|| panic!("{id} is not there"))
    }

    pub(super) async fn claim(&self, id: &str, worker: &str) -> Claim {
        match self.processes.claim(id, worker).await.expect("an answer") {
            Claimed::Claimed(claim) => claim,
            other => panic!("{other:?}"),
        }
    }
}

/// The version a save gave.
pub(super) fn saved(saved: Saved) -> Version {
    match saved {
        Saved::Saved { version } => version,
        other => panic!("{other:?}"),
    }
}
