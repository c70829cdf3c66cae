//! Sessions of one process.

mod table;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use state_core::{
    Answering, BackendError, Clock, MonotonicClock, Timestamp,
    session::{
        Change, InvalidOption, Listed, Moved, NewRecord, Record, SessionHash, SessionOptions,
        SessionStore, Stored, Target, Written,
    },
};

use self::table::Table;
use crate::Faults;

/// Sessions that one process knows. A clone is a handle to the same.
#[derive(Clone)]
pub struct MemorySessions(Arc<Inner>);

struct Inner {
    options: SessionOptions,
    clock: Arc<dyn Clock>,
    faults: Faults,
    table: Arc<Mutex<Table>>,
}

impl MemorySessions {
    /// Most sessions and revocations kept at a time.
    pub const CAPACITY: usize = 100_000;

    /// No sessions yet.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] when a setting cannot work.
    pub fn new(options: SessionOptions) -> Result<Self, InvalidOption> {
        Self::with(options, Arc::new(MonotonicClock::new()), Faults::new())
    }

    /// The same with a clock and failures on demand.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] when a setting cannot work.
    pub fn with(
        options: SessionOptions,
        clock: Arc<dyn Clock>,
        faults: Faults,
    ) -> Result<Self, InvalidOption> {
        options.validate()?;
        Ok(Self(Arc::new(Inner {
            options,
            clock,
            faults,
            table: Arc::new(Mutex::new(Table::new(options))),
        })))
    }

    /// The same sessions with other settings: what an application finds that was started anew with
    /// them.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] when a setting cannot work.
    pub fn reopened(&self, options: SessionOptions) -> Result<Self, InvalidOption> {
        options.validate()?;
        Ok(Self(Arc::new(Inner {
            options,
            clock: Arc::clone(&self.0.clock),
            faults: self.0.faults.clone(),
            table: Arc::clone(&self.0.table),
        })))
    }

    /// How many sessions, revocations and ids that were replaced are kept, those that are over and
    /// were not swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.table.lock().len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes what is over. It happens by itself too, when there is much of it.
    pub fn sweep(&self) {
        let mut table = self.0.table.lock();
        table.set_options(self.0.options);
        table.sweep(self.0.clock.now());
    }

    fn step<T>(
        &self,
        operation: &'static str,
        step: impl FnOnce(&mut Table, Timestamp) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let inner = &self.0;
        inner.faults.around(operation, || {
            let mut table = inner.table.lock();
            table.set_options(inner.options);
            step(&mut table, inner.clock.now())
        })
    }
}

/// Shows how much there is, not what.
impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessions")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for MemorySessions {
    fn options(&self) -> &SessionOptions {
        &self.0.options
    }

    async fn now(&self) -> Result<Timestamp, BackendError> {
        self.step("session.now", |_, now| Ok(now))
    }

    async fn create(&self, new: &NewRecord) -> Result<Stored, BackendError> {
        self.step("session.create", |table, now| table.create(new, now))
    }

    fn load<'a>(&'a self, hash: &'a SessionHash) -> Answering<'a, Target<Record>> {
        Answering::now(self.step("session.load", |table, now| Ok(table.load(hash, now))))
    }

    async fn save(
        &self,
        hash: &SessionHash,
        data: Bytes,
        version: u64,
    ) -> Result<Target<Written>, BackendError> {
        self.step("session.save", |table, now| {
            Ok(table.save(hash, data, version, now))
        })
    }

    async fn relocate(
        &self,
        (from, known): (&SessionHash, &Record),
        to: &SessionHash,
        change: Change<'_>,
    ) -> Result<Target<Moved>, BackendError> {
        self.step("session.relocate", |table, now| {
            table.relocate((from, known), to, change, now)
        })
    }

    async fn delete(&self, hash: &SessionHash) -> Result<Target<()>, BackendError> {
        self.step("session.delete", |table, now| Ok(table.delete(hash, now)))
    }

    async fn list(&self, user: &str) -> Result<Vec<Listed>, BackendError> {
        self.step("session.list", |table, now| Ok(table.list(user, now)))
    }

    async fn revoke_all(
        &self,
        user: &str,
        except: Option<&SessionHash>,
    ) -> Result<Target<()>, BackendError> {
        self.step("session.revoke_all", |table, now| {
            Ok(table.revoke_all(user, except, now))
        })
    }
}
