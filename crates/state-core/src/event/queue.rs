//! What waits for a handler.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::status::Status;
use crate::event::{GapReason, Signal};

/// A bounded queue. When the handler is too slow, what waits is replaced by one gap.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<VecDeque<Waiting>>,
    more: Notify,
    capacity: usize,
    coalesce: bool,
    status: Arc<Status>,
}

/// Something to tell, and for [`Signal::Resumed`] the turn it is about.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) signal: Signal,
    pub(crate) turn: u64,
}

/// What became of something that was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queued {
    Added,
    /// The same waits already.
    Coalesced,
    /// There was no room: everything that waited is one gap now.
    Overflow,
}

impl Queue {
    pub(crate) fn new(capacity: usize, coalesce: bool, status: Arc<Status>) -> Self {
        Self {
            waiting: Mutex::default(),
            more: Notify::new(),
            capacity,
            coalesce,
            status,
        }
    }

    pub(crate) fn push(&self, signal: Signal, turn: u64) -> Queued {
        let mut waiting = self.waiting.lock();
        let queued = self.add(&mut waiting, signal, turn);
        self.status.queued(waiting.len());
        drop(waiting);
        self.more.notify_one();
        queued
    }

    fn add(&self, waiting: &mut VecDeque<Waiting>, signal: Signal, turn: u64) -> Queued {
        match &signal {
            Signal::Event(received) => {
                let same = |there: &Waiting| matches!(&there.signal, Signal::Event(other) if other.event == received.event);
                if self.coalesce && waiting.iter().any(same) {
                    return Queued::Coalesced;
                }
                if waiting.len() >= self.capacity {
                    let resumed = waiting
                        .iter()
                        .rfind(|there| there.signal == Signal::Resumed);
                    let resumed = resumed.cloned();
                    waiting.clear();
                    let gap = Signal::Gap(GapReason::Overflow);
                    waiting.push_back(Waiting { signal: gap, turn });
                    // The event that found no room is part of the gap.
                    waiting.extend(resumed);
                    return Queued::Overflow;
                }
            }
            Signal::Gap(_) => {
                let last = waiting.back().map(|there| &there.signal);
                if matches!(last, Some(Signal::Gap(_))) {
                    return Queued::Coalesced;
                }
            }
            Signal::Resumed => {}
        }
        waiting.push_back(Waiting { signal, turn });
        Queued::Added
    }

    /// The next thing. May be dropped at any time.
    pub(crate) async fn pop(&self) -> Waiting {
        loop {
            // Waits from before the look, so that nothing comes unnoticed between the two.
            let more = self.more.notified();
            if let Some(next) = self.take() {
                return next;
            }
            more.await;
        }
    }

    fn take(&self) -> Option<Waiting> {
        let mut waiting = self.waiting.lock();
        let next = waiting.pop_front();
        self.status.queued(waiting.len());
        next
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{Event, EventId, Origin, Received};

    fn event(number: u64, kind: &str) -> Signal {
        Signal::Event(Received {
            id: EventId::new(number, 0),
            origin: Origin::from_bytes([0; 16]),
            seq: number,
            event: Event::new(kind, Bytes::new()).unwrap(),
        })
    }

    fn queue(capacity: usize, coalesce: bool) -> Queue {
        Queue::new(capacity, coalesce, Arc::new(Status::new()))
    }

    async fn drained(queue: &Queue, count: usize) -> Vec<Signal> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(queue.pop().await.signal);
        }
        assert!(queue.take().is_none());
        all
    }

    #[tokio::test]
    async fn overflow_is_a_gap_and_keeps_the_turn() {
        let queue = queue(3, false);
        queue.push(Signal::Resumed, 4);
        assert_eq!(queue.push(event(1, "a"), 4), Queued::Added);
        assert_eq!(queue.push(event(2, "b"), 4), Queued::Added);
        assert_eq!(queue.push(event(3, "c"), 4), Queued::Overflow);
        assert_eq!(queue.push(event(4, "d"), 4), Queued::Added);
        let all = drained(&queue, 3).await;
        let gap = Signal::Gap(GapReason::Overflow);
        assert_eq!(all, [gap, Signal::Resumed, event(4, "d")]);
    }

    #[tokio::test]
    async fn the_same_waits_once_if_wanted() {
        let queue = queue(9, true);
        queue.push(event(1, "a"), 0);
        assert_eq!(queue.push(event(2, "a"), 0), Queued::Coalesced);
        queue.push(event(3, "b"), 0);
        assert_eq!(drained(&queue, 2).await, [event(1, "a"), event(3, "b")]);
        assert_eq!(
            queue.push(event(4, "a"), 0),
            Queued::Added,
            "it waits no more"
        );
    }

    #[tokio::test]
    async fn gaps_in_a_row_are_one() {
        let queue = queue(9, false);
        queue.push(Signal::Gap(GapReason::Lost), 0);
        assert_eq!(
            queue.push(Signal::Gap(GapReason::Skipped), 0),
            Queued::Coalesced
        );
        assert_eq!(drained(&queue, 1).await, [Signal::Gap(GapReason::Lost)]);
    }
}
