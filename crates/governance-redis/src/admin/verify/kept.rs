//! What is kept beside the index: records that no listing comes to, the journal, idempotency keys
//! and states.

use std::collections::HashSet;

use bytes::Bytes;
use futures_util::future::try_join_all;
use governance_core::RequestId;
use redis_client::redis;

use super::{AT_ONCE, Check, FindingKind, VERIFY, VerifyReport, none_if_foreign, unless_foreign};
use crate::{
    admin::scan::{self, Row},
    codec::decode_state,
    error::RedisError,
    keys::{JOURNAL_CHUNK, request_of},
    query::journal_range,
};

/// Entries of the journal that are read at once.
const ENTRIES: u64 = 1_024;
/// States that are read at once: a state may be large.
const STATES: usize = 32;

/// What was read of the requests of a partition. About 36 bytes for each of them.
#[derive(Default)]
pub(super) struct Kept {
    ids: HashSet<RequestId>,
    /// How many decisions the request of an ordinal has.
    decisions: Vec<u32>,
    /// Idempotency keys that were not looked for yet.
    keys: Vec<(RequestId, [u8; 16])>,
}

impl Kept {
    pub(super) fn id(&mut self, id: RequestId) {
        self.ids.insert(id);
    }

    pub(super) fn request(&mut self, row: &Row, decisions: usize, key: Option<&[u8; 16]>) {
        if let Ok(place) = usize::try_from(row.ordinal) {
            // Grows with what was read, whatever the counters say.
            if self.decisions.len() <= place {
                self.decisions.resize(place + 1, 0);
            }
            self.decisions[place] = u32::try_from(decisions).unwrap_or(u32::MAX);
        }
        self.keys.extend(key.map(|key| (row.id, *key)));
    }
}

impl Check<'_> {
    /// Whether the journal has every decision of the requests. It is read after them, so what came
    /// meanwhile is in it.
    pub(super) async fn journal(
        &self,
        kept: &Kept,
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        let entries = scan::sound_counters(self.shared, self.partition).await?;
        let entries = entries.entries;
        let mut told = vec![0_u32; kept.decisions.len()];
        let mut first = 0;
        while first < entries {
            let end = (first / JOURNAL_CHUNK + 1) * JOURNAL_CHUNK;
            let end = end.min(entries).min(first + ENTRIES);
            let read = journal_range(self.shared, self.partition, first, end).await;
            for entry in none_if_foreign(read)? {
                let place = usize::try_from(entry.ordinal).ok();
                if let Some(told) = place.and_then(|place| told.get_mut(place)) {
                    *told = told.saturating_add(u32::from(entry.count));
                }
            }
            first = end;
        }
        for (ordinal, (has, told)) in (0..).zip(kept.decisions.iter().zip(told)) {
            if told >= *has {
                continue;
            }
            // What was purged since is missed by nobody.
            let rows = self.rows(ordinal, ordinal + 1).await?;
            if let Some(row) = rows.first().filter(|row| row.frame.is_some()) {
                let subject = format!("{} of {has} decisions of {}", has - told, row.id);
                report.add(FindingKind::Unlisted, self.partition, subject);
            }
        }
        Ok(())
    }

    /// Whether idempotency keys lead to the requests that were created under them.
    pub(super) async fn idempotency_keys(
        &self,
        kept: &mut Kept,
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        for keys in std::mem::take(&mut kept.keys).chunks(AT_ONCE) {
            let holders = try_join_all(keys.iter().map(|(_, digest)| self.holder(digest))).await?;
            for ((id, digest), holder) in keys.iter().zip(holders) {
                if holder.as_deref() == Some(id.as_bytes()) {
                    continue;
                }
                // A request that is there still had its key when that was looked for.
                let current = self.current(id).await?;
                if current.is_some_and(|index| index.key() == Some(digest)) {
                    let subject = format!("{id} by its idempotency key");
                    report.add(FindingKind::Unlisted, self.partition, subject);
                }
            }
        }
        Ok(())
    }

    async fn holder(&self, digest: &[u8; 16]) -> Result<Option<Vec<u8>>, RedisError> {
        let key = self.partition.keys.bucket(digest);
        let mut get = redis::cmd("HGET");
        get.arg(&key).arg(digest.as_slice());
        unless_foreign(self.shared.query(VERIFY, &key, &get).await)
    }

    /// Looks at keys that the index does not lead to, each with what it is called behind the tag; all
    /// of them are spelled and typed as the store does.
    pub(super) async fn beside(
        &self,
        keys: &[(&Vec<u8>, String)],
        kept: &Kept,
        seen: &mut HashSet<Vec<u8>>,
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        let mut states = Vec::new();
        for (key, rest) in keys {
            if let Some(id) = request_of(rest.as_bytes()) {
                if !kept.ids.contains(&id) && !seen.contains(*key) {
                    self.unlisted(key, &id, seen, report).await?;
                }
            } else if rest.starts_with("k:") {
                self.bucket(key, kept, seen, report).await?;
            } else if rest.starts_with("s:") {
                states.push(*key);
            }
        }
        for keys in states.chunks(STATES) {
            for (key, bytes) in keys.iter().zip(self.values(keys).await?) {
                let problem = bytes.and_then(|bytes| decode_state(&bytes).err());
                if let Some(problem) = problem
                    && seen.insert((*key).clone())
                {
                    let subject = format!("{}: {problem}", String::from_utf8_lossy(key));
                    report.add(FindingKind::Unreadable, self.partition, subject);
                }
            }
        }
        Ok(())
    }

    /// A record that the id table did not lead to when it was read.
    async fn unlisted(
        &self,
        key: &Vec<u8>,
        id: &RequestId,
        seen: &mut HashSet<Vec<u8>>,
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        let record = self.values(&[key]).await?.pop().flatten();
        let Some(record) = record else {
            return Ok(());
        };
        // It may have been created since.
        let newest = scan::counters(self.shared, self.partition).await?.ordinals;
        let ordinal = record.get(16..24).and_then(|bytes| bytes.try_into().ok());
        let ordinal = ordinal.map(u64::from_be_bytes);
        if let Some(ordinal) = ordinal.filter(|ordinal| *ordinal < newest) {
            let end = ordinal + 1;
            let rows = scan::slots(self.shared, self.partition, ordinal, end).await;
            let rows = none_if_foreign(rows)?;
            if rows.first().is_some_and(|(_, slot)| slot.id == *id) {
                return Ok(());
            }
        }
        // A purge takes the record before the entry, in one step.
        if self.values(&[key]).await?.pop().flatten().is_some() && seen.insert(key.clone()) {
            report.add(FindingKind::Unlisted, self.partition, id.to_string());
        }
        Ok(())
    }

    /// Idempotency keys that lead to no request.
    async fn bucket(
        &self,
        key: &Vec<u8>,
        kept: &Kept,
        seen: &mut HashSet<Vec<u8>>,
        report: &mut VerifyReport,
    ) -> Result<(), RedisError> {
        let fence = &self.partition.keys.fence;
        let mut all = redis::cmd("HGETALL");
        all.arg(key);
        let fields: Vec<(Vec<u8>, Vec<u8>)> = self.shared.query(VERIFY, fence, &all).await?;
        for (field, id) in fields {
            let holder = id.first_chunk().copied().map(RequestId::from_bytes);
            let subject = match holder {
                Some(Ok(id)) if kept.ids.contains(&id) => continue,
                Some(Ok(id)) if self.shared.frame(&id).await?.is_some() => continue,
                Some(Ok(id)) => id.to_string(),
                _ => String::from_utf8_lossy(key).into_owned(),
            };
            let mut again = redis::cmd("HGET");
            again.arg(key).arg(&field);
            let again: Option<Vec<u8>> = self.shared.query(VERIFY, fence, &again).await?;
            if again == Some(id) && seen.insert([key.as_slice(), &field].concat()) {
                let subject = format!("an idempotency key of {subject}");
                report.add(FindingKind::Dangling, self.partition, subject);
            }
        }
        Ok(())
    }

    async fn values(&self, keys: &[&Vec<u8>]) -> Result<Vec<Option<Bytes>>, RedisError> {
        let mut mget = redis::cmd("MGET");
        mget.arg(keys);
        let fence = &self.partition.keys.fence;
        let values: Vec<Option<Vec<u8>>> = self.shared.query(VERIFY, fence, &mget).await?;
        Ok(values
            .into_iter()
            .map(|value| value.map(Bytes::from))
            .collect())
    }
}
