//! What happened, the last of it.

use std::collections::VecDeque;

use state_core::{
    Timestamp,
    process::{EventBatch, EventCursor, InvalidCursor, ProcessEvent, ProcessOptions},
};

#[derive(Debug, Default)]
pub(super) struct Log {
    events: VecDeque<ProcessEvent>,
    /// The number of the last event; they begin with 1.
    last: u64,
    /// When the events there are go, unless another one comes.
    until: Timestamp,
}

impl Log {
    pub(super) fn push(&mut self, event: ProcessEvent, options: &ProcessOptions) {
        self.expire(event.at);
        self.until = event.at.saturating_add(options.events_retention);
        self.last += 1;
        self.events.push_back(event);
        let most = usize::try_from(options.events_kept).unwrap_or(usize::MAX);
        while self.events.len() > most {
            self.events.pop_front();
        }
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        if self.until <= now {
            self.events.clear();
        }
    }

    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn read(
        &self,
        after: &EventCursor,
        most: usize,
    ) -> Result<EventBatch, InvalidCursor> {
        let &[(after, 0)] = after.places() else {
            return Err(InvalidCursor);
        };
        let kept = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        let trimmed = self.last.saturating_sub(kept);
        let gap = after < trimmed || after > self.last;
        let skip = usize::try_from(after.saturating_sub(trimmed)).unwrap_or(usize::MAX);
        let skip = if gap { 0 } else { skip };
        let events: Vec<_> = self.events.iter().skip(skip).take(most).cloned().collect();
        let read = u64::try_from(skip + events.len()).unwrap_or(u64::MAX);
        Ok(EventBatch {
            events,
            next: EventCursor::at(vec![(trimmed + read, 0)]),
            gap,
        })
    }
}
