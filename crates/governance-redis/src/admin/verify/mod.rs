//! Compares documents and indexes, in both directions.

mod kept;
mod report;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::future::try_join_all;
use governance_core::{RequestId, StoreError};
use redis_client::{Key, Operation, Signal, redis};

use self::kept::Kept;
pub use self::report::{Finding, FindingKind, VerifyReport};
use super::scan::{self, Row, STEP};
use crate::{
    RedisStore,
    apply::dictionary_name,
    cache::IdSlot,
    codec::Frame,
    error::RedisError,
    index::{Class, IndexRecord, IndexTerm},
    keys::{CHUNK, row_of},
    partition::Partition,
    query::Bits,
    shared::{Shared, full_text},
};

const VERIFY: Operation = Operation::read("verify");
/// Questions that are under way at the same time.
const AT_ONCE: usize = 512;
/// How often a partition is checked anew because its index was replaced meanwhile.
const ATTEMPTS: usize = 4;

impl RedisStore {
    /// Compares every request with everything it is found by, and everything in the index with the
    /// requests; reads every state; and lists keys under the prefix that are none of the store's.
    /// May run while the store is in use: what differs is looked at again before it counts.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout` and the like when the store cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    ///
    /// # Round trips
    ///
    /// In proportion to the size of the store; each step is bounded.
    pub async fn verify(&self) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport::default();
        for partition in &self.shared.partitions {
            check(&self.shared, partition, &mut report)
                .await
                .map_err(|error| error.at("verify"))?;
        }
        Ok(report)
    }
}

/// Checks one partition.
pub(super) async fn check(
    shared: &Shared,
    partition: &Partition,
    report: &mut VerifyReport,
) -> Result<(), RedisError> {
    for _ in 0..ATTEMPTS {
        // What this process knows may be a generation that somebody else has replaced since.
        let fence = shared.fence(partition).await?.for_reading()?;
        let generation = fence.active;
        partition.learn_fence(fence);
        let check = Check {
            shared,
            partition,
            generation,
        };
        let mut found = report.anew();
        check.run(&mut found).await?;
        if shared.fence(partition).await?.active == generation {
            report.merge(found);
            return Ok(());
        }
    }
    Err(RedisError::Fenced)
}

/// What the documents of one chunk say the bitmaps have to be.
#[derive(Default)]
struct Expected {
    live: Option<Bits>,
    terms: BTreeMap<IndexTerm, Bits>,
    ids: BTreeMap<u16, RequestId>,
}

struct Check<'a> {
    shared: &'a Shared,
    partition: &'a Partition,
    generation: u16,
}

impl Check<'_> {
    async fn run(&self, report: &mut VerifyReport) -> Result<(), RedisError> {
        let newest = scan::sound_counters(self.shared, self.partition)
            .await?
            .ordinals;
        let mut kept = Kept::default();
        for chunk in 0..newest.div_ceil(CHUNK) {
            let mut expected = Expected::default();
            let end = newest.min((chunk + 1) * CHUNK);
            let mut first = chunk * CHUNK;
            while first < end {
                let next = end.min(first + STEP);
                let rows = self.rows(first, next).await?;
                let mut listed = Vec::new();
                for row in &rows {
                    kept.id(row.id);
                    self.row(row, &mut expected, &mut listed, &mut kept, report)
                        .await?;
                }
                self.members(&listed, report).await?;
                self.idempotency_keys(&mut kept, report).await?;
                first = next;
            }
            self.bitmaps(chunk, &expected, report).await?;
        }
        self.journal(&kept, report).await?;
        self.keys(&kept, report).await
    }

    /// Some rows, none of a chunk whose table is of another type.
    async fn rows(&self, first: u64, end: u64) -> Result<Vec<Row>, RedisError> {
        none_if_foreign(scan::rows(self.shared, self.partition, first, end).await)
    }

    async fn row<'r>(
        &self,
        row: &'r Row,
        expected: &mut Expected,
        listed: &mut Vec<(&'r Row, IndexTerm)>,
        kept: &mut Kept,
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        report.request();
        let Some(bytes) = &row.frame else {
            // A purge between the two reads is no finding.
            if self.slot_is(row).await? {
                report.add(FindingKind::Dangling, self.partition, row.id.to_string());
            }
            return Ok(());
        };
        let index = match self.shared.decode(bytes) {
            Ok(stored) => {
                if stored.ordinal != row.ordinal || stored.stamp != row.stamp {
                    report.add(FindingKind::Dangling, self.partition, row.id.to_string());
                }
                if let Err(problem) = stored.request.verify_history() {
                    let subject = format!("{}: {problem}", row.id);
                    report.add(FindingKind::History, self.partition, subject);
                }
                if *stored.index != IndexRecord::after(&stored.request, &stored.index) {
                    report.add(FindingKind::Outdated, self.partition, row.id.to_string());
                }
                kept.request(row, stored.request.decisions().len(), stored.index.key());
                (*stored.index).clone()
            }
            Err(error) => {
                let subject = format!("{}: {}", row.id, full_text(&error));
                report.add(FindingKind::Unreadable, self.partition, subject);
                let Ok(frame) = Frame::salvage(bytes) else {
                    return Ok(());
                };
                frame.index
            }
        };
        let low = u16::try_from(row.ordinal % CHUNK).unwrap_or(0);
        expected.ids.insert(low, row.id);
        expected.live.get_or_insert_with(Bits::none).insert(low);
        for term in index.terms() {
            report.entry();
            if term.class() == Class::Bitmap {
                expected
                    .terms
                    .entry(term.clone())
                    .or_insert_with(Bits::none)
                    .insert(low);
            } else {
                listed.push((row, term.clone()));
            }
        }
        if let Some(due) = index.due() {
            report.entry();
            let mut member = row.ordinal.to_be_bytes().to_vec();
            member.extend(row.id.as_bytes());
            let found = self
                .score(&self.partition.keys.due(self.generation), &member)
                .await?;
            #[expect(clippy::cast_precision_loss, reason = "the server keeps doubles, too")]
            if found != Some(due as f64) && self.current(&row.id).await?.as_ref() == Some(&index) {
                report.add(
                    FindingKind::Missing,
                    self.partition,
                    format!("{} due", row.id),
                );
            }
        }
        Ok(())
    }

    /// Whether sorted sets have what they should have.
    async fn members(
        &self,
        listed: &[(&Row, IndexTerm)],
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        for listed in listed.chunks(AT_ONCE) {
            let found = listed.iter().map(|(row, term)| self.has(row, term));
            for ((row, term), has) in listed.iter().zip(try_join_all(found).await?) {
                if !has {
                    self.settle(row.id, row.ordinal, term, report).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether the id table still has this entry.
    async fn slot_is(&self, row: &Row) -> Result<bool, RedisError> {
        let end = row.ordinal + 1;
        let again = self.rows(row.ordinal, end).await?;
        Ok(again
            .first()
            .is_some_and(|again| again.id == row.id && again.frame.is_none()))
    }

    /// What the record of a request says it is indexed under now.
    async fn current(&self, id: &RequestId) -> Result<Option<IndexRecord>, RedisError> {
        let frame = self.shared.frame(id).await?;
        Ok(frame
            .and_then(|frame| Frame::salvage(&frame).ok())
            .map(|frame| frame.index))
    }

    async fn score(&self, key: &Key, member: &[u8]) -> Result<Option<f64>, RedisError> {
        let mut score = redis::cmd("ZSCORE");
        score.arg(key).arg(member);
        let found = self.shared.query(VERIFY, key, &score).await;
        unless_foreign(found)
    }

    /// Whether the sorted set of a term has a request.
    async fn has(&self, row: &Row, term: &IndexTerm) -> Result<bool, RedisError> {
        let key = self.partition.keys.term(self.generation, term, 0);
        let member = match term.class() {
            Class::Inbox => IdSlot {
                id: row.id,
                stamp: row.stamp,
            }
            .member(row.ordinal),
            Class::Ordinals | Class::Bitmap => row.ordinal.to_string().into_bytes(),
        };
        Ok(self.score(&key, &member).await?.is_some())
    }

    /// A difference counts if it is still there after the request was read again, and the request
    /// was not written meanwhile. One that always is has nothing that lasts.
    async fn settle(
        &self,
        id: RequestId,
        ordinal: u64,
        term: &IndexTerm,
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        for _ in 0..ATTEMPTS {
            let before = self.shared.frame(&id).await?;
            let index = before.as_ref().and_then(|it| Frame::salvage(it).ok());
            let says = index.is_some_and(|frame| frame.index.terms().binary_search(term).is_ok());
            let rows = self.rows(ordinal, ordinal + 1).await?;
            let row = rows.first().filter(|row| row.id == id);
            let has = match (term.class(), row) {
                (Class::Bitmap, _) => self.bit(term, ordinal).await?,
                (_, Some(row)) => self.has(row, term).await?,
                (_, None) => return Ok(()),
            };
            if says == has {
                return Ok(());
            }
            if self.shared.frame(&id).await? == before {
                let kind = match says {
                    true => FindingKind::Missing,
                    false => FindingKind::Stray,
                };
                let subject = format!("{id} under {}={}", term.dimension(), term.value());
                report.add(kind, self.partition, subject);
                return Ok(());
            }
        }
        Ok(())
    }

    async fn bit(&self, term: &IndexTerm, ordinal: u64) -> Result<bool, RedisError> {
        let key = self
            .partition
            .keys
            .term(self.generation, term, ordinal / CHUNK);
        let mut bit = redis::cmd("GETBIT");
        bit.arg(&key).arg(ordinal % CHUNK);
        let found = self.shared.query(VERIFY, &key, &bit).await;
        Ok(unless_foreign(found.map(Some))?.unwrap_or(false))
    }

    async fn bitmaps(
        &self,
        chunk: u64,
        expected: &Expected,
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        let keys = &self.partition.keys;
        let mut terms: BTreeSet<IndexTerm> = expected.terms.keys().cloned().collect();
        let names = scan::names(self.shared, &keys.dictionary(self.generation)).await;
        let names: HashSet<String> = none_if_foreign(names)?.into_iter().collect();
        for term in &terms {
            let name = dictionary_name(term);
            if !names.contains(&name) {
                let subject = format!("{name} in the dictionary");
                report.add(FindingKind::Missing, self.partition, subject);
            }
        }
        for name in &names {
            if let Some((dimension, value)) = name.split_once(':') {
                terms.insert(IndexTerm::bitmap(dimension, value));
            }
        }
        let terms: Vec<IndexTerm> = terms.into_iter().collect();
        for terms in terms.chunks(32) {
            let wanted: Vec<Key> = terms
                .iter()
                .map(|term| keys.term(self.generation, term, chunk))
                .collect();
            let found = self.shared.mget(VERIFY, self.partition, &wanted).await?;
            for (term, found) in terms.iter().zip(found) {
                let found = found.map_or_else(Bits::none, |found| Bits::read(&found));
                let wanted = expected.terms.get(term).cloned().unwrap_or_else(Bits::none);
                let missing = wanted.clone().and_not(&found);
                let stray = found.and_not(&wanted);
                for low in missing.or(&stray).iter() {
                    let ordinal = chunk * CHUNK + u64::from(low);
                    match expected.ids.get(&low) {
                        Some(id) => self.settle(*id, ordinal, term, report).await?,
                        None => self.stray_bit(term, ordinal, report).await?,
                    }
                }
            }
        }
        let live = [keys.live(self.generation, chunk)];
        let found = self
            .shared
            .mget(VERIFY, self.partition, &live)
            .await?
            .pop()
            .flatten();
        let found = found.map_or_else(Bits::none, |found| Bits::read(&found));
        let wanted = expected.live.clone().unwrap_or_else(Bits::none);
        for low in wanted.and_not(&found).iter() {
            if let Some(id) = expected.ids.get(&low)
                && self.current(id).await?.is_some()
            {
                report.add(
                    FindingKind::Missing,
                    self.partition,
                    format!("{id} among all"),
                );
            }
        }
        Ok(())
    }

    /// A bit of an ordinal that no request had when the rows were read.
    async fn stray_bit(
        &self,
        term: &IndexTerm,
        ordinal: u64,
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        let rows = self.rows(ordinal, ordinal + 1).await?;
        if let Some(row) = rows.first() {
            return self.settle(row.id, ordinal, term, report).await;
        }
        if !self.bit(term, ordinal).await? {
            return Ok(());
        }
        // It may have been created between the two questions.
        let rows = self.rows(ordinal, ordinal + 1).await?;
        if let Some(row) = rows.first() {
            return self.settle(row.id, ordinal, term, report).await;
        }
        let subject = format!(
            "ordinal {ordinal} under {}={}",
            term.dimension(),
            term.value()
        );
        report.add(FindingKind::Stray, self.partition, subject);
        Ok(())
    }

    /// Keys that are none of the store's, and members of sorted sets that no request has.
    async fn keys(&self, kept: &Kept, report: &mut VerifyReport) -> Result<(), RedisError> {
        let ours = self.partition.keys.start().as_bytes();
        // A scan may come to a key twice.
        let mut seen = HashSet::new();
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let (keys, next) = scan::some_keys(self.shared, self.partition, "", at).await?;
            let kinds = scan::kinds(self.shared, self.partition, &keys).await?;
            let mut beside = Vec::new();
            for (key, kind) in keys.iter().zip(kinds) {
                let rest = key.strip_prefix(ours).map(String::from_utf8_lossy);
                let row = rest.as_deref().and_then(row_of);
                let known = row.is_some_and(|row| row.kind == kind);
                // What is gone by now was none of them, or came and went with a request.
                let foreign = !known && kind != "none";
                let checked = known && self.is_checked(rest.as_deref().unwrap_or_default());
                if known
                    && let Some(rest) = &rest
                    && rest.starts_with(['r', 'k', 's'])
                {
                    beside.push((key, rest.clone().into_owned()));
                }
                if !(foreign || checked) || !seen.insert(key.clone()) {
                    continue;
                }
                if foreign {
                    let subject = format!("{} ({kind})", String::from_utf8_lossy(key));
                    report.add(FindingKind::Foreign, self.partition, subject);
                } else {
                    self.set(key, report).await?;
                }
            }
            self.beside(&beside, kept, &mut seen, report).await?;
            cursor = next;
        }
        Ok(())
    }

    /// Whether it is a sorted set of terms of the index that is in use.
    fn is_checked(&self, rest: &str) -> bool {
        let set = rest.strip_prefix(['z', 'q']);
        let generation = set.and_then(|rest| rest.split(':').next());
        generation.is_some_and(|text| text.parse() == Ok(self.generation))
    }

    async fn set(&self, key: &[u8], report: &mut VerifyReport) -> Result<(), RedisError> {
        let mut from = "-inf".to_owned();
        loop {
            let mut range = redis::cmd("ZRANGE");
            range
                .arg(key)
                .arg(&from)
                .arg("+inf")
                .arg("BYSCORE")
                .arg("LIMIT")
                .arg(0);
            range.arg(STEP).arg("WITHSCORES");
            let fence = &self.partition.keys.fence;
            let found: Vec<(Vec<u8>, f64)> = self.shared.query(VERIFY, fence, &range).await?;
            let belong = found.iter().map(|(_, score)| self.belongs(key, *score));
            for ((member, score), belongs) in found.iter().zip(try_join_all(belong).await?) {
                report.entry();
                // What came to it and went between two questions is neither.
                if !belongs
                    && self.still(key, member).await?
                    && !self.belongs(key, *score).await?
                    && self.still(key, member).await?
                {
                    let key = String::from_utf8_lossy(key);
                    let subject = format!("ordinal {score} in {key}");
                    report.add(FindingKind::Stray, self.partition, subject);
                }
            }
            match found.last() {
                Some((_, score)) if found.len() as u64 == STEP => from = format!("({score:?}"),
                _ => return Ok(()),
            }
        }
    }

    async fn still(&self, key: &[u8], member: &[u8]) -> Result<bool, RedisError> {
        let mut score = redis::cmd("ZSCORE");
        score.arg(key).arg(member);
        let fence = &self.partition.keys.fence;
        Ok(self
            .shared
            .query::<Option<f64>>(VERIFY, fence, &score)
            .await?
            .is_some())
    }

    /// Whether the request of an ordinal has a term with this key.
    async fn belongs(&self, key: &[u8], score: f64) -> Result<bool, RedisError> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "ordinals are whole numbers below 2^53"
        )]
        let ordinal = score as u64;
        let rows = self.rows(ordinal, ordinal + 1).await?;
        let frame = rows.into_iter().next().and_then(|row| row.frame);
        let Some(index) = frame.and_then(|frame| Frame::salvage(&frame).ok()) else {
            return Ok(false);
        };
        let mut terms = index.index.terms().iter();
        Ok(terms.any(|term| {
            term.class() != Class::Bitmap
                && self
                    .partition
                    .keys
                    .term(self.generation, term, 0)
                    .as_str()
                    .as_bytes()
                    == key
        }))
    }
}

/// What a key says, nothing if it is of another type: then it is somebody else's.
fn unless_foreign<T>(found: Result<Option<T>, RedisError>) -> Result<Option<T>, RedisError> {
    match found {
        Err(RedisError::Client(error)) if error.signal() == Signal::WrongType => Ok(None),
        found => found,
    }
}

/// What is listed under a key, nothing if it is of another type.
fn none_if_foreign<T>(found: Result<Vec<T>, RedisError>) -> Result<Vec<T>, RedisError> {
    Ok(unless_foreign(found.map(Some))?.unwrap_or_default())
}
