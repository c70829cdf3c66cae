//! Where a subscription stands.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{clock::Timestamp, event::EventId};

/// Where a subscription stands.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The log was not read yet.
    Starting,
    /// The handler was told everything up to a moment ago.
    Live,
    /// The log cannot be read, or the handler was not yet told what happened meanwhile.
    Interrupted,
    /// It was closed.
    Closed,
}

/// How far a handler is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// How many things wait for the handler.
    pub queued: usize,
    /// How much later the last event of the log is than the last one that was handled, by the
    /// backend's time.
    pub behind: Duration,
}

#[derive(Debug)]
pub(crate) struct Status {
    inner: Mutex<Standing>,
    contact: AtomicU64,
    queued: AtomicUsize,
}

#[derive(Debug)]
struct Standing {
    state: State,
    /// How often the log was reached anew.
    turn: u64,
    head: EventId,
    handled: EventId,
}

impl Status {
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Standing {
                state: State::Starting,
                turn: 0,
                head: EventId::ZERO,
                handled: EventId::ZERO,
            }),
            contact: AtomicU64::new(0),
            queued: AtomicUsize::new(0),
        }
    }

    /// The log was read at a time.
    pub(crate) fn contact(&self, now: Timestamp, head: EventId) {
        self.contact.store(now.as_micros(), Ordering::SeqCst);
        self.inner.lock().head = head;
    }

    /// The log is read from a place nothing before which will be handled.
    pub(crate) fn starts_at(&self, id: EventId) {
        self.inner.lock().handled = id;
    }

    /// The log is being reached; returns the number of the turn.
    pub(crate) fn next_turn(&self) -> u64 {
        let mut inner = self.inner.lock();
        inner.turn += 1;
        inner.turn
    }

    /// The log cannot be read.
    pub(crate) fn interrupted(&self) {
        let mut inner = self.inner.lock();
        inner.turn += 1;
        if inner.state == State::Live {
            inner.state = State::Interrupted;
        }
    }

    /// The handler was told everything from before a turn. False when that turn is over by now.
    pub(crate) fn resumed(&self, turn: u64) -> bool {
        let mut inner = self.inner.lock();
        let is_current = inner.turn == turn && inner.state != State::Closed;
        if is_current {
            inner.state = State::Live;
        }
        is_current
    }

    pub(crate) fn handled(&self, id: EventId) {
        let mut inner = self.inner.lock();
        inner.handled = inner.handled.max(id);
    }

    pub(crate) fn queued(&self, count: usize) {
        self.queued.store(count, Ordering::SeqCst);
    }

    pub(crate) fn closed(&self) {
        self.inner.lock().state = State::Closed;
    }

    pub(crate) fn state(&self) -> State {
        self.inner.lock().state
    }

    /// Whether the handler is up to date, as far as can be known.
    pub(crate) fn is_live(&self, now: Timestamp, longest: Duration) -> bool {
        let contact = Timestamp::from_micros(self.contact.load(Ordering::SeqCst));
        now.saturating_since(contact) <= longest && self.state() == State::Live
    }

    pub(crate) fn handled_up_to(&self) -> EventId {
        self.inner.lock().handled
    }

    pub(crate) fn lag(&self) -> Lag {
        let inner = self.inner.lock();
        Lag {
            queued: self.queued.load(Ordering::SeqCst),
            behind: Duration::from_millis(
                inner.head.millis().saturating_sub(inner.handled.millis()),
            ),
        }
    }
}
