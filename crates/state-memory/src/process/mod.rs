//! Process state of one process.

mod listing;
mod log;
mod records;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use state_core::{
    BackendError, Clock, MonotonicClock, OperationId,
    lock::Released,
    process::{
        Beat, Claim, Claimed, Created, Deleted, EventBatch, EventCursor, Expect, InvalidCursor,
        InvalidOption, Listing, NewProcess, PageCursor, Process, ProcessError, ProcessOptions,
        ProcessPage, ProcessStore, Save, Saved,
    },
};
use tokio::sync::watch;

use self::records::Records;
use crate::Faults;

/// Processes that one process of the system knows. A clone is a handle to the same.
#[derive(Clone)]
pub struct MemoryProcesses(Arc<Inner>);

struct Inner {
    options: ProcessOptions,
    clock: Arc<dyn Clock>,
    faults: Faults,
    records: Mutex<Records>,
    /// How many events there were.
    events: watch::Sender<u64>,
}

/// Shows how much there is, not what.
impl fmt::Debug for MemoryProcesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryProcesses")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl MemoryProcesses {
    /// Most processes kept at a time, live and ended.
    pub const CAPACITY: usize = 100_000;

    /// No processes yet.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] when a setting cannot work.
    pub fn new(options: ProcessOptions) -> Result<Self, InvalidOption> {
        Self::with(options, Arc::new(MonotonicClock::new()), Faults::new())
    }

    /// The same with a clock and failures on demand.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] when a setting cannot work.
    pub fn with(
        options: ProcessOptions,
        clock: Arc<dyn Clock>,
        faults: Faults,
    ) -> Result<Self, InvalidOption> {
        options.validate()?;
        Ok(Self(Arc::new(Inner {
            options,
            clock,
            faults,
            records: Mutex::new(Records::new(options)),
            events: watch::Sender::new(0),
        })))
    }

    /// How many processes are kept, those past their retention that were not swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.records.lock().len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes what is past its retention. It happens by itself too, when there is much of it.
    pub fn sweep(&self) {
        self.0.records.lock().sweep(self.0.clock.now());
    }

    fn step<T>(
        &self,
        operation: &'static str,
        step: impl FnOnce(&mut Records) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let inner = &self.0;
        inner.faults.around(operation, || {
            let mut records = inner.records.lock();
            records.at(inner.clock.now());
            let done = step(&mut records);
            let events = records.events_seen();
            drop(records);
            inner.events.send_if_modified(|seen| {
                let is_new = *seen < events;
                *seen = events;
                is_new
            });
            done
        })
    }
}

#[async_trait]
impl ProcessStore for MemoryProcesses {
    fn options(&self) -> &ProcessOptions {
        &self.0.options
    }

    async fn create(
        &self,
        new: &NewProcess,
        operation: OperationId,
    ) -> Result<Created, BackendError> {
        self.step("process.create", |records| records.create(new, operation))
    }

    async fn get(&self, id: &str) -> Result<Option<Process>, BackendError> {
        self.step("process.get", |records| Ok(records.get(id)))
    }

    async fn save(&self, id: &str, save: &Save<'_>) -> Result<Saved, BackendError> {
        self.step("process.save", |records| Ok(records.save(id, save)))
    }

    async fn delete(&self, id: &str, expect: Expect) -> Result<Deleted, BackendError> {
        self.step("process.delete", |records| Ok(records.delete(id, expect)))
    }

    async fn claim(
        &self,
        id: &str,
        worker: &str,
        lease: Duration,
        operation: OperationId,
    ) -> Result<Claimed, BackendError> {
        self.step("process.claim", |records| {
            Ok(records.claim(id, worker, lease, operation))
        })
    }

    async fn heartbeat(&self, claim: &Claim) -> Result<Beat, BackendError> {
        self.step("process.heartbeat", |records| Ok(records.heartbeat(claim)))
    }

    async fn release(&self, claim: &Claim) -> Result<Released, BackendError> {
        self.step("process.release", |records| Ok(records.release(claim)))
    }

    async fn list(
        &self,
        listing: Listing<'_>,
        after: Option<&PageCursor>,
    ) -> Result<ProcessPage, ProcessError> {
        if after.is_some_and(|after| after.shard != 0) {
            return Err(InvalidCursor.into());
        }
        Ok(self.step("process.list", |records| Ok(records.page(listing, after)))?)
    }

    async fn events_end(&self) -> Result<EventCursor, BackendError> {
        self.step("process.events", |records| {
            Ok(EventCursor::at(vec![(records.events_seen(), 0)]))
        })
    }

    async fn events(
        &self,
        after: &EventCursor,
        most: usize,
        wait: Duration,
    ) -> Result<EventBatch, ProcessError> {
        let until = self.0.clock.now().saturating_add(wait);
        let mut seen = self.0.events.subscribe();
        loop {
            let _ = seen.borrow_and_update();
            let now = self.0.clock.now();
            let batch = {
                let mut records = self.0.records.lock();
                records.at(now);
                records.events(after, most)?
            };
            if batch.gap || !batch.events.is_empty() || now >= until {
                return Ok(batch);
            }
            tokio::select! {
                _ = seen.changed() => {}
                () = self.0.clock.sleep_until(until) => {}
            }
        }
    }
}
