//! Reads the old partitions that a new one is made from, as one.
//!
//! Every one of them is in order already; what is next is what was stored first.

use std::collections::VecDeque;

use crate::{
    admin::scan,
    cache::IdSlot,
    error::RedisError,
    feed::{self, StreamId},
    keys::{CHUNK, JOURNAL_CHUNK},
    partition::{Counters, Partition},
    query::{JournalEntry, journal_range},
    shared::Shared,
};

/// Entries of an id table that are read at once.
const SLOTS: u64 = 4_096;
/// Entries of a journal that are read at once.
const ENTRIES: u64 = 1_024;
/// Events that are read at once.
const EVENTS: usize = 500;

/// One old partition, and how far it was read.
pub(super) struct Lane<'a, T> {
    pub(super) partition: &'a Partition,
    pub(super) counters: Counters,
    next: u64,
    after: Option<StreamId>,
    is_done: bool,
    buffer: VecDeque<T>,
}

impl<'a, T> Lane<'a, T> {
    pub(super) async fn of(
        shared: &Shared,
        partitions: &[&'a Partition],
    ) -> Result<Vec<Self>, RedisError> {
        let mut lanes = Vec::new();
        for partition in partitions {
            lanes.push(Self {
                partition,
                counters: scan::sound_counters(shared, partition).await?,
                next: 0,
                after: None,
                is_done: false,
                buffer: VecDeque::new(),
            });
        }
        Ok(lanes)
    }
}

/// What can be read in order from a partition.
pub(super) trait Ordered: Sized {
    type Key: Ord;

    fn key(&self) -> Self::Key;

    /// Reads on until something is there or nothing is left.
    async fn refill(shared: &Shared, lane: &mut Lane<'_, Self>) -> Result<(), RedisError>;
}

/// The next of all lanes, with the number of its lane.
pub(super) async fn next<T: Ordered>(
    shared: &Shared,
    lanes: &mut [Lane<'_, T>],
) -> Result<Option<(usize, T)>, RedisError> {
    for lane in lanes.iter_mut() {
        while lane.buffer.is_empty() && !lane.is_done {
            T::refill(shared, lane).await?;
        }
    }
    let first = lanes
        .iter()
        .enumerate()
        .filter_map(|(i, lane)| Some((lane.buffer.front()?.key(), i)))
        .min();
    Ok(first.and_then(|(_, i)| Some((i, lanes[i].buffer.pop_front()?))))
}

/// An entry of the id table.
pub(super) struct Row {
    pub(super) ordinal: u64,
    pub(super) slot: IdSlot,
}

impl Ordered for Row {
    type Key = u64;

    fn key(&self) -> u64 {
        self.slot.stamp
    }

    async fn refill(shared: &Shared, lane: &mut Lane<'_, Self>) -> Result<(), RedisError> {
        let first = lane.next;
        let end = lane.counters.ordinals.min((first / CHUNK + 1) * CHUNK);
        let end = end.min(first + SLOTS);
        if first >= end {
            lane.is_done = true;
            return Ok(());
        }
        let rows = scan::slots(shared, lane.partition, first, end).await?;
        let rows = rows
            .into_iter()
            .map(|(ordinal, slot)| Self { ordinal, slot });
        lane.buffer.extend(rows);
        lane.next = end;
        Ok(())
    }
}

impl Ordered for JournalEntry {
    type Key = u64;

    fn key(&self) -> u64 {
        self.stamp
    }

    async fn refill(shared: &Shared, lane: &mut Lane<'_, Self>) -> Result<(), RedisError> {
        let first = lane.next;
        let end = (first / JOURNAL_CHUNK + 1) * JOURNAL_CHUNK;
        let end = end.min(lane.counters.entries).min(first + ENTRIES);
        if first >= end {
            lane.is_done = true;
            return Ok(());
        }
        lane.buffer
            .extend(journal_range(shared, lane.partition, first, end).await?);
        lane.next = end;
        Ok(())
    }
}

impl Ordered for feed::Entry {
    type Key = StreamId;

    fn key(&self) -> StreamId {
        self.id
    }

    async fn refill(shared: &Shared, lane: &mut Lane<'_, Self>) -> Result<(), RedisError> {
        let from = lane
            .after
            .map_or_else(|| "-".to_owned(), |id| format!("({id}"));
        let found = feed::range(shared, lane.partition, &from, EVENTS).await?;
        lane.is_done = found.len() < EVENTS;
        lane.after = found.last().map(|entry| entry.id).or(lane.after);
        lane.buffer.extend(found);
        Ok(())
    }
}
