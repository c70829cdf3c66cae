//! Fills one new partition from the old ones, or compares it with them.

use bytes::Bytes;
use futures_util::future::try_join_all;
use governance_core::RequestId;
use redis_client::{Operation, redis};

use super::{
    MigrationError, MigrationReport,
    copy::{AT_ONCE, Copier, Piece, Progress, Put},
    lanes::{self, Lane, Row},
    record::some_of_ours,
};
use crate::{
    admin::scan,
    apply::{After, Answer, Before, RecordWrite, Step},
    cache::IdSlot,
    codec::{BLOCK, Event, Frame, state_slot},
    error::RedisError,
    feed::{self, StreamId},
    keys::{CHUNK, JOURNAL_CHUNK, request_of},
    partition::{Counters, Hint, Partition},
    query::JournalEntry,
    shared::Shared,
};

const READ: Operation = Operation::read("migrate_read");
/// Requests that are copied in one step.
const REQUESTS: usize = 100;
/// Requests that are indexed at the same time.
const INDEXED: usize = 50;
/// Entries of the journal of one step.
const ENTRIES: usize = 1_024;
/// No ordinal.
const NONE: u64 = u64::MAX;

/// What is done one after the other.
mod phase {
    pub(super) const REQUESTS: u8 = 0;
    pub(super) const JOURNAL: u8 = 1;
    pub(super) const KEYS: u8 = 2;
    pub(super) const FEED: u8 = 3;
    pub(super) const INDEX: u8 = 4;
    pub(super) const DONE: u8 = 5;
}

pub(super) struct Fill<'a> {
    old: &'a Shared,
    new: &'a Shared,
    target: &'a Partition,
    /// The old partitions that have something for the new one.
    from: Vec<&'a Partition>,
}

/// New ordinals by old ones, for every lane.
type Ordinals = Vec<Vec<u64>>;

impl<'a> Fill<'a> {
    pub(super) fn new(old: &'a Shared, new: &'a Shared, target: &'a Partition) -> Self {
        // Both are powers of two, so slots that meet in one meet in the other, or are cut apart.
        let common = old.partitions.len().min(new.partitions.len());
        let fits =
            |p: &&Partition| usize::from(p.number) % common == usize::from(target.number) % common;
        Self {
            old,
            new,
            target,
            from: old.partitions.iter().filter(fits).collect(),
        }
    }

    fn is_mine(&self, slot: u16) -> bool {
        usize::from(slot) % self.new.partitions.len() == usize::from(self.target.number)
    }

    /// Goes on from where somebody came.
    pub(super) async fn fill(&self, copier: &mut Copier<'_>) -> Result<(), MigrationError> {
        let mut at = copier.progress().await?;
        if at.phase <= phase::JOURNAL {
            let skip = match at.phase {
                phase::REQUESTS => at.done,
                _ => NONE,
            };
            let (ordinals, requests) = self.requests(copier, skip).await?;
            let skip = match at.phase {
                phase::REQUESTS => 0,
                _ => at.done,
            };
            let entries = self.journal(copier, &ordinals, skip).await?;
            self.counters(copier, requests, entries).await?;
            at = progress(phase::KEYS, 0);
        }
        if at.phase == phase::KEYS {
            self.states(copier).await?;
            self.keys(copier).await?;
            at = progress(phase::FEED, 0);
            copier.put(Vec::new(), Some(at)).await?;
        }
        if at.phase == phase::FEED {
            // Events cannot be written twice: what somebody wrote goes first.
            let feed = self.target.keys.feed.as_str().into();
            let clear = vec![(feed, Piece::Done("DEL", Vec::new()))];
            copier.put(clear, None).await?;
            self.events(copier).await?;
            at = progress(phase::INDEX, 0);
            copier.put(Vec::new(), Some(at)).await?;
        }
        if at.phase == phase::INDEX {
            self.index(copier, at.done).await?;
        }
        self.learn().await?;
        Ok(())
    }

    /// Goes over everything again.
    pub(super) async fn compare(
        &self,
        copier: &mut Copier<'_>,
    ) -> Result<MigrationReport, MigrationError> {
        let (ordinals, requests) = self.requests(copier, 0).await?;
        let writes = self.journal(copier, &ordinals, 0).await?;
        self.counters(copier, requests, writes).await?;
        let states = self.states(copier).await?;
        let keys = self.keys(copier).await?;
        let events = self.events(copier).await?;
        self.records(copier).await?;
        let feed = &self.target.keys.feed;
        let mut length = redis::cmd("XLEN");
        length.arg(feed);
        if self.new.query::<u64>(READ, feed, &length).await? != events {
            copier.differs("the length of the feed");
        }
        Ok(MigrationReport {
            already: false,
            requests,
            writes,
            states,
            keys,
            events,
        })
    }

    /// Copies documents and the id table. Gives the new ordinals, and how many there are.
    async fn requests(
        &self,
        copier: &mut Copier<'_>,
        skip: u64,
    ) -> Result<(Ordinals, u64), MigrationError> {
        let mut lanes: Vec<Lane<'_, Row>> = Lane::of(self.old, &self.from).await?;
        let mut ordinals: Ordinals = vec![Vec::new(); lanes.len()];
        let (mut next, mut batch) = (0_u64, Vec::new());
        while let Some((lane, row)) = lanes::next(self.old, &mut lanes).await? {
            if !self.is_mine(row.slot.id.slot().get()) {
                continue;
            }
            if let Ok(place) = usize::try_from(row.ordinal) {
                // Grows with what was read, whatever the counters say.
                let ordinals = &mut ordinals[lane];
                if ordinals.len() <= place {
                    ordinals.resize(place + 1, NONE);
                }
                ordinals[place] = next;
            }
            if next >= skip {
                batch.push((lane, row));
            }
            next += 1;
            // A step is of one chunk of the id table.
            if batch.len() == REQUESTS || next.is_multiple_of(CHUNK) {
                self.documents(copier, next, &mut batch).await?;
            }
        }
        self.documents(copier, next, &mut batch).await?;
        if skip != NONE {
            copier
                .put(Vec::new(), Some(progress(phase::JOURNAL, 0)))
                .await?;
        }
        Ok((ordinals, next))
    }

    /// Copies requests that are next to each other and end before an ordinal.
    async fn documents(
        &self,
        copier: &mut Copier<'_>,
        end: u64,
        batch: &mut Vec<(usize, Row)>,
    ) -> Result<(), MigrationError> {
        let batch = std::mem::take(batch);
        let first = end - batch.len() as u64;
        if batch.is_empty() {
            return Ok(());
        }
        let mut frames: Vec<Option<Bytes>> = vec![None; batch.len()];
        for (lane, partition) in self.from.iter().enumerate() {
            let places: Vec<usize> = (0..batch.len()).filter(|i| batch[*i].0 == lane).collect();
            let keys: Vec<_> = places
                .iter()
                .map(|i| partition.keys.request(&batch[*i].1.slot.id))
                .collect();
            for (places, keys) in places.chunks(64).zip(keys.chunks(64)) {
                let found = self.old.values(READ, partition, keys).await?;
                for (place, frame) in places.iter().zip(found) {
                    frames[*place] = frame;
                }
            }
        }
        let mut puts: Vec<Put> = Vec::with_capacity(batch.len() + 2);
        let mut table = Vec::with_capacity(batch.len() * IdSlot::BYTES);
        for ((ordinal, (_, row)), frame) in (first..).zip(&batch).zip(frames) {
            // An entry that leads nowhere, or to a request that has another, stays an empty one.
            let frame = frame
                .filter(|frame| frame.len() >= BLOCK && frame[16..24] == row.ordinal.to_be_bytes());
            let Some(frame) = frame else {
                table.extend([0; IdSlot::BYTES]);
                continue;
            };
            let mut frame = frame.to_vec();
            frame[16..24].copy_from_slice(&ordinal.to_be_bytes());
            let key = self.target.keys.request(&row.slot.id);
            puts.push((key.as_str().into(), Piece::Value(frame.into())));
            table.extend(row.slot.id.as_bytes());
            table.extend(row.slot.stamp.to_be_bytes());
        }
        let key: Vec<u8> = self.target.keys.ids(first / CHUNK).as_str().into();
        let width = IdSlot::BYTES as u64;
        if first >= CHUNK && first.is_multiple_of(CHUNK) {
            // As the script that writes does: a table of full length does not grow by and by.
            let last = (CHUNK * width - 1).to_string().into_bytes();
            puts.push((key.clone(), Piece::Done("SETRANGE", vec![last, vec![0]])));
        }
        puts.push((key, Piece::Part(first % CHUNK * width, table)));
        copier.put(puts, Some(progress(phase::REQUESTS, end))).await
    }

    /// Whether every record was copied, those too that no id table leads to: old ones are removed.
    async fn records(&self, copier: &mut Copier<'_>) -> Result<(), MigrationError> {
        for partition in &self.from {
            let mut cursor = Some(0);
            while let Some(at) = cursor {
                let (mut keys, next) = scan::some_keys(self.old, partition, "r:", at).await?;
                cursor = next;
                keys.retain(|key| {
                    let rest = key.strip_prefix(partition.keys.start().as_bytes());
                    let id = rest.and_then(request_of);
                    id.is_some_and(|id| self.is_mine(id.slot().get()))
                });
                let kinds = scan::kinds(self.old, partition, &keys).await?;
                let mut records = Vec::new();
                for (key, _) in keys.into_iter().zip(kinds).filter(|(_, k)| k == "string") {
                    records.push((self.moved(partition, &key)?, key));
                }
                let copies: Vec<Vec<u8>> = records.iter().map(|(copy, _)| copy.clone()).collect();
                let kinds = scan::kinds(self.new, self.target, &copies).await?;
                for ((_, key), _) in records.iter().zip(kinds).filter(|(_, kind)| kind == "none") {
                    copier.differs(&format!(
                        "{}, which is not listed",
                        String::from_utf8_lossy(key)
                    ));
                }
            }
        }
        Ok(())
    }

    /// Copies the journal, without what was purged. Gives its length.
    async fn journal(
        &self,
        copier: &mut Copier<'_>,
        ordinals: &Ordinals,
        skip: u64,
    ) -> Result<u64, MigrationError> {
        let mut lanes: Vec<Lane<'_, JournalEntry>> = Lane::of(self.old, &self.from).await?;
        let (mut next, mut batch) = (0_u64, Vec::new());
        while let Some((lane, entry)) = lanes::next(self.old, &mut lanes).await? {
            let ordinal = usize::try_from(entry.ordinal)
                .ok()
                .and_then(|ordinal| ordinals[lane].get(ordinal))
                .copied()
                .filter(|ordinal| *ordinal != NONE);
            let Some(ordinal) = ordinal else {
                continue;
            };
            if next >= skip {
                batch.extend(JournalEntry { ordinal, ..entry }.write());
            }
            next += 1;
            if batch.len() == ENTRIES * 16 || next.is_multiple_of(JOURNAL_CHUNK) {
                self.entries(copier, next, &mut batch).await?;
            }
        }
        self.entries(copier, next, &mut batch).await?;
        Ok(next)
    }

    async fn entries(
        &self,
        copier: &mut Copier<'_>,
        end: u64,
        batch: &mut Vec<u8>,
    ) -> Result<(), MigrationError> {
        let batch = std::mem::take(batch);
        let first = end - batch.len() as u64 / 16;
        if batch.is_empty() {
            return Ok(());
        }
        let key = self.target.keys.journal(first / JOURNAL_CHUNK);
        let part = Piece::Part(first % JOURNAL_CHUNK * 16, batch);
        let puts = vec![(key.as_str().into(), part)];
        copier.put(puts, Some(progress(phase::JOURNAL, end))).await
    }

    async fn counters(
        &self,
        copier: &mut Copier<'_>,
        ordinals: u64,
        entries: u64,
    ) -> Result<(), MigrationError> {
        let mut stamp = 0;
        for partition in &self.from {
            stamp = stamp.max(scan::counters(self.old, partition).await?.stamp);
        }
        if stamp == 0 {
            // Nothing was ever written: then there are none.
            return copier.put(Vec::new(), Some(progress(phase::KEYS, 0))).await;
        }
        let key: Vec<u8> = self.target.keys.counters.as_str().into();
        let puts = if copier.is_writing() {
            let numbers = [ordinals, stamp, entries];
            let value: Vec<u8> = numbers.into_iter().flat_map(u64::to_be_bytes).collect();
            vec![(key, Piece::Value(value.into()))]
        } else {
            // The last stamp has moved on since: indexing is writing.
            let parts = [(0, ordinals), (16, entries)];
            let part = |(at, number): (u64, u64)| Piece::Part(at, number.to_be_bytes().into());
            parts.map(|it| (key.clone(), part(it))).into()
        };
        copier.put(puts, Some(progress(phase::KEYS, 0))).await
    }

    /// Copies governed states. Gives how many there are.
    async fn states(&self, copier: &mut Copier<'_>) -> Result<u64, MigrationError> {
        let mut count = 0;
        for partition in &self.from {
            let mut cursor = Some(0);
            while let Some(at) = cursor {
                let (keys, next) = some_of_ours(self.old, partition, "s:", at).await?;
                cursor = next;
                for keys in keys.chunks(64) {
                    let mut mget = redis::cmd("MGET");
                    mget.arg(keys);
                    let records: Vec<Option<Vec<u8>>> =
                        self.old.query(READ, &partition.keys.fence, &mget).await?;
                    let mut puts: Vec<Put> = Vec::new();
                    for (key, record) in keys.iter().zip(records) {
                        let record = record.unwrap_or_default();
                        let slot = state_slot(&record).ok_or_else(|| MigrationError::NoSlot {
                            key: String::from_utf8_lossy(key).into_owned(),
                        })?;
                        if self.is_mine(slot) {
                            let key = self.moved(partition, key)?;
                            puts.push((key, Piece::Value(record.into())));
                        }
                    }
                    count += puts.len() as u64;
                    copier.put(puts, None).await?;
                }
            }
        }
        Ok(count)
    }

    /// What a key of an old partition is called in the new one.
    fn moved(&self, from: &Partition, key: &[u8]) -> Result<Vec<u8>, RedisError> {
        let rest = key.strip_prefix(from.keys.start().as_bytes());
        let rest = rest.ok_or(RedisError::Reply("a key of another partition"))?;
        Ok([self.target.keys.start().as_bytes(), rest].concat())
    }

    /// Copies idempotency keys. Gives how many there are.
    async fn keys(&self, copier: &mut Copier<'_>) -> Result<u64, MigrationError> {
        let mut count = 0;
        for partition in &self.from {
            let mut cursor = Some(0);
            while let Some(at) = cursor {
                let (buckets, next) = some_of_ours(self.old, partition, "k:", at).await?;
                cursor = next;
                for buckets in buckets.chunks(64) {
                    let fence = &partition.keys.fence;
                    let reads = buckets.iter().map(|bucket| async move {
                        let mut all = redis::cmd("HGETALL");
                        all.arg(bucket);
                        let fields: Vec<(Vec<u8>, Vec<u8>)> =
                            self.old.query(READ, fence, &all).await?;
                        Ok::<_, RedisError>((bucket, fields))
                    });
                    let mut fields: Vec<(RequestId, Put)> = Vec::new();
                    for (bucket, found) in try_join_all(reads).await? {
                        for (field, id) in found {
                            let request = id
                                .as_slice()
                                .try_into()
                                .ok()
                                .and_then(|id| RequestId::from_bytes(id).ok())
                                .ok_or(RedisError::Reply("no request id under a key"))?;
                            if self.is_mine(request.slot().get()) {
                                let key = self.moved(partition, bucket)?;
                                fields.push((request, (key, Piece::Field(field, id))));
                            }
                        }
                    }
                    let mut puts: Vec<Put> = Vec::new();
                    while !fields.is_empty() {
                        let some = fields.drain(..fields.len().min(AT_ONCE)).collect();
                        puts.extend(self.that_lead_somewhere(some).await?);
                    }
                    count += puts.len() as u64;
                    copier.put(puts, None).await?;
                }
            }
        }
        Ok(count)
    }

    /// Leaves out the keys of requests that were lost, and so not copied: they led nowhere before.
    async fn that_lead_somewhere(
        &self,
        fields: Vec<(RequestId, Put)>,
    ) -> Result<impl Iterator<Item = Put> + use<>, RedisError> {
        let keys = &self.target.keys;
        let record = |(id, _): &(RequestId, Put)| keys.request(id).as_str().into();
        let records: Vec<Vec<u8>> = fields.iter().map(record).collect();
        let kinds = scan::kinds(self.new, self.target, &records).await?;
        let fields = fields.into_iter().zip(kinds);
        let there = fields.filter(|(_, kind)| kind == "string");
        Ok(there.map(|((_, put), _)| put))
    }

    /// Copies the change feed. Gives how many events there are.
    async fn events(&self, copier: &mut Copier<'_>) -> Result<u64, MigrationError> {
        let mut lanes: Vec<Lane<'_, feed::Entry>> = Lane::of(self.old, &self.from).await?;
        let (mut is_whole, mut newest) = (true, None);
        for partition in &self.from {
            if let Some(info) = feed::info(self.old, partition).await? {
                is_whole &= info.is_whole;
                newest = newest.max(Some(info.last));
            }
        }
        let key: Vec<u8> = self.target.keys.feed.as_str().into();
        let (mut count, mut last, mut batch) = (0_u64, None, Vec::new());
        while let Some((_, entry)) = lanes::next(self.old, &mut lanes).await? {
            let Some(event) = Event::decode(&entry.payload) else {
                // Of a newer version: nobody knows whose it is. It counts as trimmed.
                is_whole = false;
                continue;
            };
            if !self.is_mine(event.scope.slot().get()) {
                continue;
            }
            // Streams of several partitions may have used one id; order is kept.
            let id = entry.id.behind(last);
            last = Some(id);
            count += 1;
            batch.push((key.clone(), Piece::Event(id.to_string(), entry.payload)));
            if batch.len() == AT_ONCE {
                copier.put(std::mem::take(&mut batch), None).await?;
            }
        }
        copier.put(batch, None).await?;
        if let Some(newest) = newest
            && copier.is_writing()
        {
            self.end_feed(copier, newest.max(last.unwrap_or(newest)), count, is_whole)
                .await?;
        }
        Ok(count)
    }

    /// Makes a feed end where the old ones did, and say whether it is all there ever was.
    async fn end_feed(
        &self,
        copier: &mut Copier<'_>,
        end: StreamId,
        count: u64,
        is_whole: bool,
    ) -> Result<(), MigrationError> {
        let key: Vec<u8> = self.target.keys.feed.as_str().into();
        let end = end.to_string().into_bytes();
        let mut puts: Vec<Put> = Vec::new();
        if count == 0 {
            if is_whole {
                // A feed that never had an event is not there.
                return Ok(());
            }
            let add = vec![end.clone(), b"e".to_vec(), Vec::new()];
            puts.push((key.clone(), Piece::Done("XADD", add)));
            puts.push((key.clone(), Piece::Done("XDEL", vec![end.clone()])));
        }
        let added = count + u64::from(!is_whole);
        let arguments = vec![
            end,
            b"ENTRIESADDED".to_vec(),
            added.to_string().into_bytes(),
        ];
        puts.push((key, Piece::Done("XSETID", arguments)));
        copier.put(puts, None).await
    }

    /// Takes up the counters of the new partition.
    async fn learn(&self) -> Result<Counters, MigrationError> {
        let counters = scan::counters(self.new, self.target).await?;
        let told = Hint {
            ordinals: counters.ordinals,
            stamp: counters.stamp,
            entries: counters.entries,
        };
        self.target.learn(self.target.hint(), told)?;
        Ok(counters)
    }

    /// Indexes what was copied, as its records say.
    async fn index(&self, copier: &mut Copier<'_>, from: u64) -> Result<(), MigrationError> {
        let newest = self.learn().await?.ordinals;
        let mut first = from;
        while first < newest {
            let end = newest
                .min(first + scan::STEP)
                .min((first / CHUNK + 1) * CHUNK);
            let rows = scan::rows(self.new, self.target, first, end).await?;
            for rows in rows.chunks(INDEXED) {
                try_join_all(rows.iter().map(|row| self.index_row(row))).await?;
            }
            first = end;
            copier
                .put(Vec::new(), Some(progress(phase::INDEX, end)))
                .await?;
        }
        copier.put(Vec::new(), Some(progress(phase::DONE, 0))).await
    }

    async fn index_row(&self, row: &scan::Row) -> Result<(), RedisError> {
        let Some(bytes) = &row.frame else {
            return Ok(());
        };
        // What does not even tell what it is indexed under was not found by anything before.
        let Ok(frame) = Frame::salvage(bytes) else {
            return Ok(());
        };
        let index = std::sync::Arc::new(frame.index);
        let record = RecordWrite {
            id: row.id,
            before: Some(Before {
                block: frame.block,
                ordinal: frame.head.ordinal,
                index: std::sync::Arc::clone(&index),
            }),
            after: Some(After {
                frame: bytes.to_vec(),
                index,
            }),
            event: Vec::new(),
            decisions: (0, 0),
            in_full: true,
        };
        let step = Step {
            records: vec![record],
            state: None,
        };
        match self.new.apply(self.target, &step).await? {
            Answer::Done(_) => Ok(()),
            _ => Err(RedisError::Reply("apply")),
        }
    }
}

const fn progress(phase: u8, done: u64) -> Progress {
    Progress { phase, done }
}
