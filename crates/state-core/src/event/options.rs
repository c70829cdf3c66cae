//! Settings of events.

use std::time::Duration;

use crate::event::{EventId, InvalidOption, Keep};

/// Settings of [`Events`](crate::event::Events).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventOptions {
    /// How many events a topic keeps. 1 to 10 million; 10 000 unless set.
    pub max_len: u64,
    /// How long a topic is kept after its last event. 1 s to 366 days; 24 h unless set.
    pub retention: Duration,
    /// How long a subscription may have heard nothing of the backend and still count as
    /// live. 10 ms to 10 min; 5 s unless set.
    pub poll_interval: Duration,
    /// How many events may wait for a handler. 1 to 1 million; 1024 unless set.
    pub queue: usize,
    /// Largest event with what is stored beside it. 128 bytes to 16 MiB; 64 KiB unless set.
    pub max_message_bytes: usize,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self {
            max_len: 10_000,
            retention: Duration::from_secs(24 * 60 * 60),
            poll_interval: Duration::from_secs(5),
            queue: 1_024,
            max_message_bytes: 64 << 10,
        }
    }
}

impl EventOptions {
    /// The same with so many events kept.
    #[must_use]
    pub const fn max_len(mut self, max_len: u64) -> Self {
        self.max_len = max_len;
        self
    }

    /// The same with this retention.
    #[must_use]
    pub const fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The same with this poll interval.
    #[must_use]
    pub const fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// The same with this queue.
    #[must_use]
    pub const fn queue(mut self, queue: usize) -> Self {
        self.queue = queue;
        self
    }

    /// The same with this largest event.
    #[must_use]
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] with the first one that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let refuse = |option, rule| Err(InvalidOption { option, rule });
        if !(1..=10_000_000).contains(&self.max_len) {
            return refuse("max_len", "must be 1 to 10 million");
        }
        if !(Duration::from_secs(1)..=366 * DAY).contains(&self.retention) {
            return refuse("retention", "must be 1 s to 366 days");
        }
        if !(Duration::from_millis(10)..=10 * MINUTE).contains(&self.poll_interval) {
            return refuse("poll_interval", "must be 10 ms to 10 min");
        }
        if !(1..=1_000_000).contains(&self.queue) {
            return refuse("queue", "must be 1 to 1 million");
        }
        if !(128..=16 << 20).contains(&self.max_message_bytes) {
            return refuse("max_message_bytes", "must be 128 bytes to 16 MiB");
        }
        Ok(())
    }

    pub(crate) const fn keep(&self) -> Keep {
        Keep {
            max_len: self.max_len,
            retention: self.retention,
        }
    }
}

/// Where a subscription starts.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With what is published from now on.
    #[default]
    Now,
    /// Behind an event. If it is not there any more, the handler is told of a gap.
    After(EventId),
}

/// How a subscription reads.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubscribeOptions {
    /// Where it starts.
    pub start: Start,
    /// Whether it gets what the same [`Events`](crate::event::Events) published; not unless set.
    pub own: bool,
    /// Whether an event like one that already waits for the handler is left out; not unless set.
    pub coalesce: bool,
}

impl SubscribeOptions {
    /// The same from this start.
    #[must_use]
    pub const fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// The same with or without events of its own.
    #[must_use]
    pub const fn own(mut self, own: bool) -> Self {
        self.own = own;
        self
    }

    /// The same with or without events like those that wait.
    #[must_use]
    pub const fn coalesce(mut self, coalesce: bool) -> Self {
        self.coalesce = coalesce;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_name_the_option() {
        let base = EventOptions::default();
        assert_eq!(base.validate(), Ok(()));
        for (options, option) in [
            (base.max_len(0), "max_len"),
            (base.retention(Duration::ZERO), "retention"),
            (base.poll_interval(Duration::ZERO), "poll_interval"),
            (base.queue(0), "queue"),
            (base.max_message_bytes(127), "max_message_bytes"),
        ] {
            assert_eq!(options.validate().unwrap_err().option, option);
        }
    }
}
