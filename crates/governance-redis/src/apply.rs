//! Puts together a call of the script that writes, and understands its answer.

use std::sync::Arc;

use bytes::Bytes;
use governance_core::RequestId;
use redis_client::{Script, ScriptCall, redis::Value};

use crate::{
    cache::IdSlot,
    codec::BLOCK,
    error::RedisError,
    index::{Class, IndexRecord, IndexTerm},
    keys::{CHUNK, JOURNAL_CHUNK},
    layout::Fence,
    partition::{Counters, Hint, Partition},
    script::APPLY,
};

/// What is stored of a request before a write.
#[derive(Debug, Clone)]
pub(crate) struct Before {
    pub(crate) block: [u8; BLOCK],
    pub(crate) ordinal: u64,
    pub(crate) index: Arc<IndexRecord>,
}

impl Before {
    /// The stamp of the request's creation.
    pub(crate) fn stamp(&self) -> Option<u64> {
        self.block[24..]
            .first_chunk()
            .copied()
            .map(u64::from_be_bytes)
    }
}

/// What a request is to be after a write.
#[derive(Debug, Clone)]
pub(crate) struct After {
    pub(crate) frame: Vec<u8>,
    pub(crate) index: Arc<IndexRecord>,
}

/// One request of a write.
#[derive(Debug, Clone)]
pub(crate) struct RecordWrite {
    pub(crate) id: RequestId,
    /// None for a create.
    pub(crate) before: Option<Before>,
    /// None to remove it.
    pub(crate) after: Option<After>,
    /// Empty for none.
    pub(crate) event: Vec<u8>,
    /// The number of the first decision that is new, and how many are.
    pub(crate) decisions: (u16, u16),
    /// Writes every entry of the index, not only what changed. For rebuild and repair.
    pub(crate) in_full: bool,
}

/// The write of a state.
#[derive(Debug, Clone)]
pub(crate) struct StateRecordWrite {
    pub(crate) key: redis_client::Key,
    /// The stored version, 0 if there is no record.
    pub(crate) expected: u64,
    pub(crate) record: Vec<u8>,
    pub(crate) event: Vec<u8>,
}

/// Instead of a record: it is compared, and kept as it is.
pub(crate) const KEEP: &[u8] = b"=";

/// One step: up to four requests and a state of one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    pub(crate) records: Vec<RecordWrite>,
    pub(crate) state: Option<StateRecordWrite>,
}

/// The answer of the script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done.
    ///
    /// With the counters after it: the stamp is that of the last record, and the ordinal of a
    /// request that was created is the one before theirs.
    Done(Hint),
    /// A request is not stored as it was expected.
    Conflict {
        record: usize,
        /// Empty if it is not there.
        stored: Bytes,
    },
    /// Another request has the idempotency key.
    Duplicate(RequestId),
    /// The state is not of the version expected; empty if it is not there.
    State(Bytes),
    /// The counters are lower than they were known to be.
    Regressed,
    /// Ordinal or journal are in another chunk.
    Chunk(Hint),
    /// The layout has changed.
    Fenced(Option<Fence>),
}

/// Most terms of one request. Whatever is stored can be written anew and removed in one step, in
/// both generations of the index: half of what a script may name, and some.
pub(crate) const MAX_TERMS: usize = 1_000;
/// A feed that keeps more than this is trimmed in steps.
const LONG_FEED: u64 = 1_000;

static NOTHING: IndexRecord = IndexRecord::NOTHING;

/// Names that a call brings into the dictionary.
pub(crate) type Names = Vec<String>;

/// Index keys of one record, in the order of the script's counts.
#[derive(Default)]
struct Groups([Vec<redis_client::Key>; 9]);

impl Groups {
    const SET: usize = 0;
    const CLEAR: usize = 1;
    const CLEAR_FULL: usize = 2;
    const ADD: usize = 3;
    const REMOVE: usize = 4;
    const INBOX_ADD: usize = 5;
    const INBOX_REMOVE: usize = 6;
    const DUE_ADD: usize = 7;
    const DUE_REMOVE: usize = 8;
}

impl Step {
    /// The call that does this step, as far as ordinals and layout are known.
    pub(crate) fn call(
        &self,
        partition: &Partition,
        fence: Fence,
        hint: Hint,
        feed_capacity: u64,
    ) -> Result<(ScriptCall<'static>, Names), RedisError> {
        let keys = &partition.keys;
        for after in self.records.iter().filter_map(|r| r.after.as_ref()) {
            let terms = after.index.terms().len();
            if terms > MAX_TERMS {
                let most = MAX_TERMS;
                return Err(RedisError::TooManyTerms { terms, most });
            }
        }
        let creates = self.records.iter().any(|record| record.before.is_none());
        let (chunk, journal) = (hint.ordinals / CHUNK, hint.entries / JOURNAL_CHUNK);
        let mut call = APPLY
            .call()
            .key(&keys.fence)
            .key(&keys.counters)
            .key(&keys.feed)
            .key(keys.journal(journal));
        if self.records.len() > 1 {
            call = call.key(keys.journal(journal + 1));
        }
        let mut names = Names::new();
        let records: Vec<RecordCall<'_>> = self
            .records
            .iter()
            .map(|record| record.call(partition, fence, chunk, &mut names))
            .collect();
        names.sort_unstable();
        names.dedup();
        let dictionaries = if names.is_empty() { 0 } else { fence.count() };
        let mut head = Vec::with_capacity(38);
        head.push(low_byte(self.records.len()));
        head.push(u8::from(self.state.is_some()));
        head.push(low_byte(dictionaries));
        head.push(u8::from(feed_capacity > LONG_FEED));
        head.extend(low_bytes(if creates { chunk + 1 } else { 0 }));
        head.extend(low_bytes(journal));
        for number in [hint.ordinals, hint.stamp, hint.entries] {
            head.extend(number.to_be_bytes());
        }
        call = call.arg(fence.to_string()).arg(feed_capacity).arg(head);
        for record in records {
            call = call
                .keys(record.keys)
                .arg(record.block)
                .arg(record.frame)
                .arg(record.event)
                .arg(record.head)
                .arg(record.due)
                .arg(record.digest);
        }
        if let Some(state) = &self.state {
            let expected = match state.expected {
                0 => Vec::new(),
                version => version.to_be_bytes().to_vec(),
            };
            call = call
                .key(&state.key)
                .arg(expected)
                .arg(state.record.as_slice())
                .arg(state.event.as_slice());
        }
        if !names.is_empty() {
            let generations = fence.generations();
            call = call.keys(generations.map(|generation| keys.dictionary(generation)));
            for name in &names {
                call = call.arg(name.as_str());
            }
        }
        if call.key_count() > Script::MAX_KEYS {
            return Err(RedisError::TooManyTerms {
                terms: call.key_count(),
                most: Script::MAX_KEYS,
            });
        }
        Ok((call, names))
    }
}

/// One record as the script takes it.
struct RecordCall<'a> {
    keys: Vec<redis_client::Key>,
    block: &'a [u8],
    frame: &'a [u8],
    event: &'a [u8],
    head: Vec<u8>,
    due: String,
    digest: &'a [u8],
}

impl RecordWrite {
    fn call(
        &self,
        partition: &Partition,
        fence: Fence,
        current: u64,
        names: &mut Names,
    ) -> RecordCall<'_> {
        let keys = &partition.keys;
        let old = self.before.as_ref().map_or(&NOTHING, |b| &*b.index);
        let new = self.after.as_ref().map_or(&NOTHING, |a| &*a.index);
        let chunk = self
            .before
            .as_ref()
            .map_or(current, |before| before.ordinal / CHUNK);
        let listed = self.before.is_none() || self.after.is_none();
        let digest = if listed {
            old.key().or_else(|| new.key())
        } else {
            None
        };

        let mut groups = Groups::default();
        let clear = if chunk < current {
            Groups::CLEAR_FULL
        } else {
            Groups::CLEAR
        };
        let added: Vec<&IndexTerm> = if self.in_full {
            new.terms().iter().collect()
        } else {
            new.without(old).collect()
        };
        for generation in fence.generations() {
            for term in &added {
                let group = match term.class() {
                    Class::Bitmap => Groups::SET,
                    Class::Ordinals => Groups::ADD,
                    Class::Inbox => Groups::INBOX_ADD,
                };
                groups.0[group].push(keys.term(generation, term, chunk));
            }
            for term in old.without(new) {
                let group = match term.class() {
                    Class::Bitmap => clear,
                    Class::Ordinals => Groups::REMOVE,
                    Class::Inbox => Groups::INBOX_REMOVE,
                };
                groups.0[group].push(keys.term(generation, term, chunk));
            }
            if self.before.is_none() || (self.in_full && self.after.is_some()) {
                groups.0[Groups::SET].push(keys.live(generation, chunk));
            } else if self.after.is_none() {
                groups.0[clear].push(keys.live(generation, chunk));
            }
            if new.due().is_some() && (new.due() != old.due() || self.in_full) {
                groups.0[Groups::DUE_ADD].push(keys.due(generation));
            } else if old.due().is_some() && new.due().is_none() {
                groups.0[Groups::DUE_REMOVE].push(keys.due(generation));
            }
        }
        for term in added.iter().filter(|term| term.class() == Class::Bitmap) {
            let name = dictionary_name(term);
            let known = fence.generations().all(|g| partition.is_listed(g, &name));
            if !known {
                names.push(name);
            }
        }

        let mut all = vec![keys.request(&self.id)];
        if listed {
            all.push(keys.ids(chunk));
            all.extend(digest.map(|digest| keys.bucket(digest)));
        }
        let head = self.head(&groups);
        all.extend(groups.0.into_iter().flatten());
        RecordCall {
            keys: all,
            block: self.before.as_ref().map_or(&[], |before| &before.block),
            frame: self.after.as_ref().map_or(&[], |after| &after.frame),
            event: &self.event,
            head,
            due: new.due().map_or_else(String::new, |due| due.to_string()),
            digest: digest.map_or(&[], |digest| digest),
        }
    }

    /// The numbers and texts of a record, as the script unpacks them.
    fn head(&self, groups: &Groups) -> Vec<u8> {
        let id = self.id.as_bytes();
        let (ordinal, stamp) = match &self.before {
            // Taken from the block, which the script compares.
            Some(before) => (before.ordinal, before.stamp().unwrap_or(0)),
            None => (0, 0),
        };
        let (first, decisions) = self.decisions;
        let mut head = Vec::with_capacity(128);
        head.extend(first.to_be_bytes());
        head.extend(decisions.to_be_bytes());
        for group in &groups.0 {
            // No more than a script may have keys.
            let count = u16::try_from(group.len()).unwrap_or(u16::MAX);
            head.extend(count.to_be_bytes());
        }
        head.extend(id);
        head.extend(ordinal.to_be_bytes());
        head.extend(IdSlot { id: self.id, stamp }.member(ordinal));
        head.extend(ordinal.to_be_bytes());
        head.extend(id);
        for text in [ordinal % CHUNK, ordinal] {
            head.extend(text.to_string().as_bytes());
            head.push(0);
        }
        head
    }
}

/// A number that is below 256: of records, or of generations.
fn low_byte(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// The low five bytes of a number of a chunk.
fn low_bytes(number: u64) -> [u8; 5] {
    let [_, _, _, low @ ..] = number.to_be_bytes();
    low
}

/// How a value with bitmaps stands in the dictionary: dimension and value.
pub(crate) fn dictionary_name(term: &IndexTerm) -> String {
    format!("{}:{}", term.dimension(), term.value())
}

fn text(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn number(value: Option<&[u8]>) -> Option<u64> {
    std::str::from_utf8(value?).ok()?.parse().ok()
}

impl Answer {
    pub(crate) fn read(value: &Value) -> Result<Self, RedisError> {
        Self::parts(value).ok_or(RedisError::Reply("apply"))
    }

    fn parts(value: &Value) -> Option<Self> {
        let Value::Array(parts) = value else {
            return None;
        };
        let part = |at: usize| parts.get(at).and_then(text);
        let bytes = |at: usize| part(at).map(Bytes::copy_from_slice);
        Some(match part(0)? {
            b"OK" => Self::Done(Hint::of(Counters::read(part(1)).ok()?)),
            b"CONFLICT" => Self::Conflict {
                record: usize::try_from(number(part(1))?).ok()?,
                stored: bytes(2)?,
            },
            b"DUPLICATE" => Self::Duplicate(RequestId::from_bytes(part(1)?.try_into().ok()?).ok()?),
            b"STATE" => Self::State(bytes(1)?),
            b"CHUNK" => Self::Chunk(Hint::of(Counters::read(part(1)).ok()?)),
            b"REGRESSED" => Self::Regressed,
            b"FENCED" => {
                let fence = std::str::from_utf8(part(1)?).ok();
                Self::Fenced(fence.and_then(|fence| fence.parse().ok()))
            }
            _ => return None,
        })
    }
}
