//! Reads a log and queues what it finds.

use std::{sync::Arc, time::Duration};

use super::{
    events::Inner,
    queue::{Queue, Queued},
    status::Status,
};
use crate::{
    cache::BoundedMap,
    error::{BackendError, Classified as _, ErrorKind},
    event::{
        Batch, Entry, EventId, GapReason, Message, Origin, Received, Signal, Start,
        SubscribeOptions, judge,
    },
    name::Namespace,
};

/// Most events of one read.
const LIMIT: usize = 128;
/// So many who publish are told apart. A new one takes the place of who was silent longest; a jump
/// in the numbers of that one goes unnoticed then, a cut of the log does not.
const MAX_ORIGINS: usize = 1_024;

pub(crate) struct Reader {
    inner: Arc<Inner>,
    topic: Namespace,
    options: SubscribeOptions,
    queue: Arc<Queue>,
    status: Arc<Status>,
    /// The last event that was read; none before the log was reached.
    after: Option<EventId>,
    incarnation: u64,
    seen: BoundedMap<Origin, u64>,
}

impl Reader {
    pub(crate) fn new(
        inner: Arc<Inner>,
        topic: Namespace,
        options: SubscribeOptions,
        queue: Arc<Queue>,
        status: Arc<Status>,
    ) -> Self {
        let after = match options.start {
            Start::Now => None,
            Start::After(id) => {
                status.starts_at(id);
                Some(id)
            }
        };
        Self {
            inner,
            topic,
            options,
            queue,
            status,
            after,
            incarnation: 0,
            seen: BoundedMap::new(MAX_ORIGINS),
        }
    }

    /// Reads until the backend is closed.
    pub(crate) async fn run(mut self) {
        const FIRST: Duration = Duration::from_millis(20);
        const LONGEST: Duration = Duration::from_secs(1);
        let mut pause = FIRST;
        loop {
            let before = self.after;
            let error = match self.listen().await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            self.status.interrupted();
            self.observe("read", error.code());
            if error.kind() == ErrorKind::Closed {
                return;
            }
            if self.after != before {
                pause = FIRST;
            }
            let clock = &self.inner.clock;
            clock.sleep_until(clock.now().saturating_add(pause)).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    async fn listen(&mut self) -> Result<std::convert::Infallible, BackendError> {
        let inner = Arc::clone(&self.inner);
        // Twice as often as needed, so that one wait fits into an interval whatever it costs.
        let wait = inner.options.poll_interval / 2;
        let mut bell = inner.store.listen(&self.topic, wait).await?;
        let turn = self.status.next_turn();
        let mut caught_up = false;
        loop {
            let batch = inner.store.read(&self.topic, self.after, LIMIT).await?;
            self.status.contact(inner.clock.now(), batch.head);
            let is_last = batch.entries.len() < LIMIT;
            let reread = self.take(batch);
            if reread || !is_last {
                continue;
            }
            if !caught_up {
                caught_up = true;
                self.queue.push(Signal::Resumed, turn);
            }
            bell.rings(self.after.unwrap_or_default()).await?;
        }
    }

    /// Queues what a read found. True when the log has to be read from its beginning.
    fn take(&mut self, batch: Batch) -> bool {
        let Some(after) = self.after else {
            self.after = Some(batch.head);
            self.incarnation = batch.incarnation;
            self.status.starts_at(batch.head);
            return false;
        };
        let reason = judge(after, self.incarnation, &batch);
        if let Some(reason) = reason {
            self.gap(reason);
            // Numbers that did not come are part of this gap.
            self.seen.clear();
        }
        if batch.incarnation != 0 {
            self.incarnation = batch.incarnation;
        }
        if batch.head < after {
            self.after = Some(EventId::ZERO);
            return batch.head > EventId::ZERO;
        }
        for entry in batch.entries {
            self.after = Some(entry.id);
            self.entry(&entry);
        }
        false
    }

    fn entry(&mut self, entry: &Entry) {
        let Ok(message) = Message::decode(&entry.message) else {
            self.gap(GapReason::Unreadable);
            return;
        };
        if !self.options.own && message.origin == self.inner.origin {
            self.status.handled(entry.id);
            return;
        }
        match self.seen.get(&message.origin) {
            Some(last) if message.seq <= *last => {
                self.observe("receive", "duplicate");
                return;
            }
            Some(last) if message.seq > last.saturating_add(1) => self.gap(GapReason::Skipped),
            _ => {}
        }
        self.seen.insert(message.origin, message.seq);
        let queued = self.queue.push(
            Signal::Event(Received {
                id: entry.id,
                origin: message.origin,
                seq: message.seq,
                event: message.event,
            }),
            0,
        );
        match queued {
            Queued::Added => self.observe("receive", "queued"),
            Queued::Coalesced => self.observe("receive", "coalesced"),
            Queued::Overflow => self.observe("gap", GapReason::Overflow.as_str()),
        }
    }

    fn gap(&self, reason: GapReason) {
        self.observe("gap", reason.as_str());
        self.queue.push(Signal::Gap(reason), 0);
    }

    fn observe(&self, operation: &'static str, outcome: &'static str) {
        self.inner.observe(&self.topic, operation, outcome, None);
    }
}
