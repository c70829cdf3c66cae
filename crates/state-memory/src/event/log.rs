//! The log of one topic.

use std::collections::VecDeque;

use bytes::Bytes;
use state_core::{
    Timestamp,
    event::{Batch, Entry, EventId, Keep},
};

#[derive(Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    head: EventId,
    /// Whether anything was ever removed.
    trimmed: bool,
    ends: Timestamp,
}

impl Log {
    pub(super) fn append(&mut self, message: Bytes, now: Timestamp, keep: Keep) -> EventId {
        let millis = (now.as_micros() / 1_000).max(self.head.millis());
        let id = if millis == self.head.millis() {
            EventId::new(millis, self.head.seq() + 1)
        } else {
            EventId::new(millis, 0)
        };
        self.head = id;
        self.entries.push_back(Entry { id, message });
        self.trim(usize::try_from(keep.max_len).unwrap_or(usize::MAX));
        self.ends = now.saturating_add(keep.retention);
        id
    }

    pub(super) fn trim(&mut self, keep: usize) {
        while self.entries.len() > keep {
            self.entries.pop_front();
            self.trimmed = true;
        }
    }

    pub(super) const fn head(&self) -> EventId {
        self.head
    }

    /// From when on there is no log.
    pub(super) const fn ends(&self) -> Timestamp {
        self.ends
    }

    /// What there is where there is no log.
    pub(super) const fn nothing() -> Batch {
        Batch {
            head: EventId::ZERO,
            unbroken: true,
            incarnation: 0,
            entries: Vec::new(),
        }
    }

    pub(super) fn read(&self, after: Option<EventId>, limit: usize) -> Batch {
        let behind = after.map(|after| self.entries.partition_point(|entry| entry.id <= after));
        let at = |id: EventId| {
            self.entries
                .binary_search_by_key(&id, |entry| entry.id)
                .is_ok()
        };
        let entries =
            behind.map(|start| self.entries.range(start..).take(limit).cloned().collect());
        Batch {
            head: self.head,
            unbroken: after.is_none_or(|after| !self.trimmed || at(after)),
            incarnation: 0,
            entries: entries.unwrap_or_default(),
        }
    }
}
