//! What happened, for everybody who listens: events.

mod log;

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use state_core::{
    BackendError, Clock, MonotonicClock, Namespace,
    event::{Batch, Bell, EventId, EventStore, Keep},
};
use tokio::sync::watch;

use self::log::Log;
use crate::Faults;

/// Logs of events in this process. A clone is a handle to the same.
///
/// Another process with a store of this type has other logs. The number of topics is the
/// program's; each keeps at most as many events as it is told to.
///
/// Operations that can be made to fail: `event.append`, `event.read`.
#[derive(Clone)]
pub struct MemoryEventStore {
    inner: Arc<Inner>,
    faults: Faults,
}

struct Inner {
    logs: Mutex<HashMap<Namespace, Log>>,
    clock: Arc<dyn Clock>,
    line: watch::Sender<Line>,
}

/// What listeners watch.
#[derive(Debug, Clone, Copy)]
struct Line {
    connected: bool,
    /// Moves with every append.
    appends: u64,
    incarnation: u64,
}

impl fmt::Debug for MemoryEventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryEventStore").finish_non_exhaustive()
    }
}

impl Default for MemoryEventStore {
    fn default() -> Self {
        Self::new(Arc::new(MonotonicClock::new()))
    }
}

impl MemoryEventStore {
    /// No topics yet, on a clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let line = Line {
            connected: true,
            appends: 0,
            incarnation: 1,
        };
        Self {
            inner: Arc::new(Inner {
                logs: Mutex::default(),
                clock,
                line: watch::Sender::new(line),
            }),
            faults: Faults::new(),
        }
    }

    /// Makes calls fail.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Cuts the line of everybody who reads, until [`reconnect`](Self::reconnect). Events can
    /// still be published.
    pub fn disconnect(&self) {
        self.inner.line.send_modify(|line| line.connected = false);
    }

    /// Mends the line.
    pub fn reconnect(&self) {
        self.inner.line.send_modify(|line| line.connected = true);
    }

    /// Removes all but the last events of a topic.
    pub fn trim(&self, topic: &Namespace, keep: usize) {
        if let Some(log) = self.inner.logs.lock().get_mut(topic) {
            log.trim(keep);
        }
    }

    /// Loses every log, as a server without persistence does when it starts again.
    pub fn lose(&self) {
        self.inner.logs.lock().clear();
        self.inner.line.send_modify(|line| line.incarnation += 1);
    }

    /// Goes over to another server, which has the same logs.
    pub fn replace(&self) {
        self.inner.line.send_modify(|line| line.incarnation += 1);
    }

    fn line(&self, operation: &'static str) -> Result<Line, BackendError> {
        let line = *self.inner.line.borrow();
        if line.connected {
            Ok(line)
        } else {
            Err(cut(operation))
        }
    }
}

fn cut(operation: &'static str) -> BackendError {
    BackendError::unavailable(operation, "the line is cut, as asked for")
}

#[async_trait]
impl EventStore for MemoryEventStore {
    async fn append(
        &self,
        topic: &Namespace,
        message: &Bytes,
        keep: Keep,
    ) -> Result<EventId, BackendError> {
        self.faults.around("event.append", || {
            let now = self.inner.clock.now();
            let mut logs = self.inner.logs.lock();
            logs.retain(|_, log| now < log.ends());
            let id = logs
                .entry(topic.clone())
                .or_default()
                .append(message.clone(), now, keep);
            drop(logs);
            self.inner.line.send_modify(|line| line.appends += 1);
            Ok(id)
        })
    }

    async fn read(
        &self,
        topic: &Namespace,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Batch, BackendError> {
        let line = self.line("event.read")?;
        self.faults.around("event.read", || {
            let now = self.inner.clock.now();
            let logs = self.inner.logs.lock();
            let log = logs.get(topic).filter(|log| now < log.ends());
            let mut batch = log.map_or_else(Log::nothing, |log| log.read(after, limit));
            batch.incarnation = line.incarnation;
            Ok(batch)
        })
    }

    async fn listen(
        &self,
        topic: &Namespace,
        longest: Duration,
    ) -> Result<Box<dyn Bell>, BackendError> {
        self.line("event.listen")?;
        Ok(Box::new(MemoryBell {
            inner: Arc::clone(&self.inner),
            topic: topic.clone(),
            longest,
        }))
    }
}

struct MemoryBell {
    inner: Arc<Inner>,
    topic: Namespace,
    longest: Duration,
}

impl fmt::Debug for MemoryBell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBell")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Bell for MemoryBell {
    async fn rings(&mut self, after: EventId) -> Result<(), BackendError> {
        let clock = Arc::clone(&self.inner.clock);
        let until = clock.now().saturating_add(self.longest);
        let mut line = self.inner.line.subscribe();
        let heard = async {
            loop {
                if !line.borrow_and_update().connected {
                    return Err(cut("event.wait"));
                }
                let head = self.inner.logs.lock().get(&self.topic).map(Log::head);
                if head.is_some_and(|head| head > after) {
                    return Ok(());
                }
                // Fails only when the store is gone, and this is a part of it.
                if line.changed().await.is_err() {
                    return Ok(());
                }
            }
        };
        tokio::select! {
            biased;
            heard = heard => heard,
            () = clock.sleep_until(until) => Ok(()),
        }
    }
}
