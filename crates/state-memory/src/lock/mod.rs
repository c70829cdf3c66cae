//! Locks of one process.

mod bells;
mod table;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use state_core::{
    BackendError, Clock, MonotonicClock,
    lock::{
        Acquired, Extended, Fence, GuardedSet, GuardedValue, Hold, LockStore, Released, Target,
    },
};

use self::{bells::Bells, table::Table};
use crate::Faults;

/// Locks that one process has with itself. A clone is a handle to the same.
#[derive(Clone)]
pub struct MemoryLocks(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    faults: Faults,
    table: Mutex<Table>,
    bells: Bells,
}

/// Shows how much there is, not what.
impl fmt::Debug for MemoryLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLocks")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl MemoryLocks {
    /// Most locks and guarded values held at a time.
    pub const CAPACITY: usize = 100_000;

    /// Nothing is locked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Arc::new(MonotonicClock::new()), Faults::new())
    }

    /// The same with a clock and failures on demand.
    #[must_use]
    pub fn with(clock: Arc<dyn Clock>, faults: Faults) -> Self {
        Self(Arc::new(Inner {
            clock,
            faults,
            table: Mutex::default(),
            bells: Bells::default(),
        }))
    }

    /// How many locks and guarded values are kept, those that expired and were not swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.table.lock().len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes what has expired. It happens by itself too, when there is much of it.
    pub fn sweep(&self) {
        self.0.table.lock().sweep(self.0.clock.now());
    }
}

impl Default for MemoryLocks {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl LockStore for MemoryLocks {
    async fn acquire(&self, hold: &Hold, waits: bool) -> Result<Acquired, BackendError> {
        let inner = &self.0;
        inner.faults.around("lock.acquire", || {
            let acquired = inner.table.lock().acquire(hold, waits, inner.clock.now())?;
            if waits && matches!(acquired, Acquired::Held { .. }) {
                // From now on a release is heard, also before the wait begins.
                inner.bells.put_up(&hold.target);
            }
            Ok(acquired)
        })
    }

    async fn extend(&self, hold: &Hold) -> Result<Extended, BackendError> {
        let inner = &self.0;
        inner.faults.around("lock.extend", || {
            Ok(inner.table.lock().extend(hold, inner.clock.now()))
        })
    }

    async fn release(&self, hold: &Hold) -> Result<Released, BackendError> {
        let inner = &self.0;
        inner.faults.around("lock.release", || {
            let released = inner.table.lock().release(hold, inner.clock.now());
            inner.bells.ring(&hold.target);
            Ok(released)
        })
    }

    async fn wait(&self, target: &Target, at_most: Duration) -> Result<(), BackendError> {
        let until = self.0.clock.now().saturating_add(at_most);
        tokio::select! {
            () = self.0.bells.heard(target) => {}
            () = self.0.clock.sleep_until(until) => {}
        }
        Ok(())
    }

    async fn guarded_set(
        &self,
        target: &Target,
        fence: Fence,
        value: Bytes,
        ttl: Duration,
    ) -> Result<GuardedSet, BackendError> {
        let inner = &self.0;
        inner.faults.around("lock.guarded_set", || {
            let now = inner.clock.now();
            let mut table = inner.table.lock();
            table.guarded_set(target, GuardedValue { fence, value }, ttl, now)
        })
    }

    async fn guarded_get(&self, target: &Target) -> Result<Option<GuardedValue>, BackendError> {
        let inner = &self.0;
        inner.faults.around("lock.guarded_get", || {
            Ok(inner.table.lock().guarded_get(target, inner.clock.now()))
        })
    }
}
