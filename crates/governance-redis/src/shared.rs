//! What all handles of a store share: connections, partitions, caches, and the way to the server.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use governance_core::{MutationRequest, RequestId, Slot, StoreError, StoreErrorKind, Timestamp};
use parking_lot::Mutex;
use redis_client::{
    Client, KeyPrefix, Operation, ScriptCall,
    redis::{self, Cmd, FromRedisValue, Value},
};

use crate::{
    apply::{After, Answer, Before, KEEP, RecordWrite, StateRecordWrite, Step},
    cache::{Documents, Slots, Stored},
    codec::{self, BLOCK, Frame, Head},
    error::{RedisError, UnreadableRequest},
    index::IndexRecord,
    layout::{Fence, Layout},
    open::Warning,
    options::{Durability, RedisStoreOptions},
    partition::{Hint, Partition},
    query::Foresight,
    regress::StoreRegressed,
};

pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) prefix: KeyPrefix,
    pub(crate) options: RedisStoreOptions,
    pub(crate) partitions: Vec<Partition>,
    /// How often the store was cut anew; see the layout record.
    pub(crate) series: u32,
    pub(crate) documents: Documents,
    pub(crate) slots: Slots,
    pub(crate) foresight: Foresight,
    pub(crate) warnings: Vec<Warning>,
    /// What was noticed of a store that went backwards, until somebody accepts it.
    pub(crate) regressed: Mutex<Option<StoreRegressed>>,
}

/// What a write found done already.
pub(crate) enum Found<'a> {
    /// Nothing in particular: all writes of before are waited for.
    Everything,
    Request(&'a Stored),
    /// The key of the state and its version.
    State(redis_client::Key, u64),
}

/// How often a step is put together anew because ordinals or layout had moved.
const ATTEMPTS: usize = 8;
/// Entries of id tables that are kept.
const SLOTS_KEPT: usize = 100_000;
/// What earlier pages tell may take an eighth of what documents may.
const FORESIGHT: usize = 8;

const GET: Operation = Operation::read("get");
const TIME: Operation = Operation::read("time");
const FENCE: Operation = Operation::read("fence");

impl Shared {
    pub(crate) fn new(
        client: Client,
        prefix: KeyPrefix,
        options: RedisStoreOptions,
        series: u32,
        partitions: Vec<Partition>,
    ) -> Self {
        Self {
            documents: Documents::new(options.cache_bytes),
            slots: Slots::new(SLOTS_KEPT),
            foresight: Foresight::new(options.cache_bytes / FORESIGHT),
            regressed: Mutex::default(),
            client,
            prefix,
            options,
            partitions,
            series,
            warnings: Vec::new(),
        }
    }

    /// The partition of a slot.
    pub(crate) fn partition(&self, slot: Slot) -> &Partition {
        // There is at least one partition, and the remainder is below their number.
        &self.partitions[Layout::partition(slot, self.partitions.len())]
    }

    /// Runs one command where a key lives.
    ///
    /// Boxed, as every way to the server is: the driver's futures are too deep for the compiler
    /// to see through from the top of a listing.
    pub(crate) fn query<'a, T: FromRedisValue + Send>(
        &'a self,
        operation: Operation,
        key: &'a redis_client::Key,
        command: &'a Cmd,
    ) -> BoxFuture<'a, Result<T, RedisError>> {
        Box::pin(async move { Ok(self.client.query(operation, key, command).await?) })
    }

    /// Runs commands that read one partition, under way at once.
    pub(crate) fn together<'a>(
        &'a self,
        operation: Operation,
        partition: &'a Partition,
        commands: Vec<Cmd>,
    ) -> BoxFuture<'a, Result<std::vec::IntoIter<Value>, RedisError>> {
        Box::pin(async move {
            let key = &partition.keys.fence;
            let answers = self.client.read_together(operation, key, commands).await?;
            Ok(answers.into_iter())
        })
    }

    /// Calls a script.
    pub(crate) fn invoke<'a, T: FromRedisValue + Send>(
        &'a self,
        call: &'a ScriptCall<'a>,
    ) -> BoxFuture<'a, Result<T, RedisError>> {
        Box::pin(async move { Ok(self.client.invoke(call).await?) })
    }

    /// Reads values of one partition. Missing ones are none.
    pub(crate) async fn mget(
        &self,
        operation: Operation,
        partition: &Partition,
        keys: &[redis_client::Key],
    ) -> Result<Vec<Option<Bytes>>, RedisError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let values: Value = self
            .query(operation, &partition.keys.fence, &mget(keys))
            .await?;
        values_of(values, keys.len())
    }

    /// Reads values of one partition, if they are still there to be read: the fence comes with
    /// them, so a value that was moved away is never taken for one that is not there.
    pub(crate) async fn values(
        &self,
        operation: Operation,
        partition: &Partition,
        keys: &[redis_client::Key],
    ) -> Result<Vec<Option<Bytes>>, RedisError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut mget = redis::cmd("MGET");
        mget.arg(&partition.keys.fence).arg(keys);
        let mut values: Vec<Option<Vec<u8>>> =
            self.query(operation, &partition.keys.fence, &mget).await?;
        if values.len() != keys.len() + 1 {
            return Err(RedisError::Reply("MGET"));
        }
        self.told(values.remove(0).as_deref())?.for_reading()?;
        Ok(values
            .into_iter()
            .map(|value| value.map(Bytes::from))
            .collect())
    }

    /// The fence that came with a reply.
    pub(crate) fn told(&self, text: Option<&[u8]>) -> Result<Fence, RedisError> {
        let text = text.ok_or_else(|| self.noticed(StoreRegressed::LayoutGone))?;
        std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(RedisError::Fenced)
    }

    /// The frame of a request.
    pub(crate) async fn frame(&self, id: &RequestId) -> Result<Option<Bytes>, RedisError> {
        let partition = self.partition(id.slot());
        let key = [partition.keys.request(id)];
        Ok(self.values(GET, partition, &key).await?.pop().flatten())
    }

    /// The request as it is stored now.
    pub(crate) async fn read(&self, id: &RequestId) -> Result<Option<Arc<Stored>>, RedisError> {
        let before = self.documents.get(id);
        match self.frame(id).await? {
            Some(frame) => {
                let stored = self.take_in(*id, &frame)?;
                if !lost(before.as_deref(), &stored) {
                    return Ok(Some(stored));
                }
                // A master that was deposed may have answered; a write reaches only the master.
                self.reach_master(self.partition(id.slot())).await?;
                let again = self.frame(id).await?;
                let again = again.map(|frame| self.take_in(*id, &frame)).transpose()?;
                if let Some(again) = &again {
                    self.check_request(before.as_deref(), again)?;
                }
                Ok(again)
            }
            None => {
                self.documents.forget(id);
                Ok(None)
            }
        }
    }

    /// Notes that the store went backwards: nothing that was known counts any more.
    pub(crate) fn noticed(&self, what: StoreRegressed) -> RedisError {
        self.regressed.lock().get_or_insert(what);
        self.forget_everything();
        what.into()
    }

    pub(crate) fn forget_everything(&self) {
        self.documents.clear();
        self.slots.clear();
        self.foresight.clear();
    }

    /// Takes up counters that the server told after `before` was taken.
    pub(crate) fn learn(
        &self,
        partition: &Partition,
        before: Hint,
        told: Hint,
    ) -> Result<(), RedisError> {
        partition.learn(before, told).map_err(|error| match error {
            RedisError::Regressed(what) => self.noticed(what),
            other => other,
        })
    }

    /// Compares a request with what was known of it before the server was asked.
    pub(crate) fn check_request(
        &self,
        before: Option<&Stored>,
        now: &Stored,
    ) -> Result<(), RedisError> {
        if lost(before, now) {
            return Err(self.noticed(StoreRegressed::Request));
        }
        Ok(())
    }

    /// Writes nothing, where the master of a partition is: it tells a store that went backwards
    /// from an answer of a server that does not know yet that it is no master any more.
    async fn reach_master(&self, partition: &Partition) -> Result<(), RedisError> {
        if self.regressed.lock().is_some() {
            return Ok(());
        }
        self.apply(partition, &Step::default()).await.map(drop)
    }

    /// For reads: takes up counters that the server told after `before` was taken.
    pub(crate) async fn learn_read(
        &self,
        partition: &Partition,
        before: Hint,
        told: Hint,
    ) -> Result<(), RedisError> {
        if self.regressed.lock().is_some() || partition.learn(before, told).is_ok() {
            return Ok(());
        }
        self.reach_master(partition).await?;
        Err(RedisError::Stale)
    }

    /// Decodes a frame that was just read, and remembers it.
    pub(crate) fn take_in(&self, id: RequestId, frame: &Bytes) -> Result<Arc<Stored>, RedisError> {
        let known = self.documents.get(&id);
        self.take_in_beside(id, frame, known)
    }

    /// The same for several of them.
    pub(crate) fn take_in_all<'f>(
        &self,
        frames: impl Iterator<Item = (RequestId, &'f Bytes)> + Clone,
    ) -> Vec<Result<Arc<Stored>, RedisError>> {
        let ids = frames.clone().map(|(id, _)| id);
        let look = |stored: &Arc<Stored>| {
            // Where the block and the request begin.
            u64::from(stored.block[BLOCK - 1]) ^ stored.request.revision().get()
        };
        let known = self.documents.get_all(ids, look);
        let beside = frames.zip(known);
        beside
            .map(|((id, frame), known)| self.take_in_beside(id, frame, known))
            .collect()
    }

    fn take_in_beside(
        &self,
        id: RequestId,
        frame: &Bytes,
        known: Option<Arc<Stored>>,
    ) -> Result<Arc<Stored>, RedisError> {
        if let Some(known) = known
            && codec::block_of(frame) == Some(known.block)
            && codec::is_whole(frame)
        {
            // The same block with what it sums up is the same record: no need to decode it again.
            return Ok(known);
        }
        match self.decode(frame) {
            Ok(stored) => Ok(self.remember(Arc::new(stored))),
            Err(source) => {
                self.documents.forget(&id);
                Err(RedisError::Request { id, source })
            }
        }
    }

    /// Takes a frame and its document apart.
    pub(crate) fn decode(&self, bytes: &Bytes) -> Result<Stored, UnreadableRequest> {
        let frame = Frame::decode(bytes)?;
        let request = codec::decode_document(&frame.document, self.options.schemas)?;
        if request.revision().get() != frame.head.revision {
            return Err(UnreadableRequest::Inconsistent);
        }
        Ok(Stored {
            block: frame.block,
            ordinal: frame.head.ordinal,
            stamp: frame.head.stamp,
            index: Arc::new(frame.index),
            request: Arc::new(request),
            bytes: codec::plain_length(bytes),
        })
    }

    pub(crate) fn remember(&self, stored: Arc<Stored>) -> Arc<Stored> {
        let id = *stored.request.id();
        self.documents.put(id, Arc::clone(&stored), stored.bytes);
        stored
    }

    /// Encodes a request into its frame. Ordinal and stamp are 0 for a create.
    pub(crate) fn encode(
        &self,
        request: &MutationRequest,
        index: &IndexRecord,
        place: (u64, u64),
    ) -> Result<Vec<u8>, RedisError> {
        let document =
            codec::encode_document(request, self.options.compression, self.options.schemas)?;
        let last = request.decisions().last();
        let head = Head {
            revision: request.revision().get(),
            ordinal: place.0,
            stamp: place.1,
            chain: last.map_or([0; 32], |decision| *decision.digest().as_bytes()),
            decisions: u32::try_from(request.decisions().len()).unwrap_or(u32::MAX),
        };
        Ok(codec::encode_frame(&head, index, &document))
    }

    /// Takes a step on a partition. Follows ordinals and layout where they have moved.
    pub(crate) async fn apply(
        &self,
        partition: &Partition,
        step: &Step,
    ) -> Result<Answer, RedisError> {
        for _ in 0..ATTEMPTS {
            if let Some(what) = *self.regressed.lock() {
                return Err(what.into());
            }
            let (fence, before) = (partition.fence(), partition.hint());
            let (call, names) = step.call(partition, fence, before, self.options.feed_capacity)?;
            let value: Value = match self.options.durability {
                Durability::Replicated { replicas, wait } => {
                    let (value, confirmed) = self
                        .invoke_replicated(partition, &call, replicas, wait)
                        .await?;
                    if confirmed < replicas && matches!(Answer::read(&value)?, Answer::Done(_)) {
                        let wanted = replicas;
                        return Err(RedisError::NotConfirmed { confirmed, wanted });
                    }
                    value
                }
                _ => self.invoke(&call).await?,
            };
            match Answer::read(&value)? {
                Answer::Done(told) => {
                    self.learn(partition, before, told)?;
                    for name in names {
                        partition.mark_listed(fence.generations(), &name);
                    }
                    return Ok(Answer::Done(told));
                }
                Answer::Chunk(told) => self.learn(partition, before, told)?,
                Answer::Regressed => return Err(self.noticed(StoreRegressed::Writes)),
                Answer::Fenced(told) => self.follow(partition, fence, told).await?,
                answer => return Ok(answer),
            }
        }
        Err(RedisError::Fenced)
    }

    /// Calls the script on a connection of its own and waits there for replicas.
    fn invoke_replicated<'a>(
        &'a self,
        partition: &'a Partition,
        call: &'a ScriptCall<'a>,
        replicas: u32,
        wait: Duration,
    ) -> BoxFuture<'a, Result<(Value, u32), RedisError>> {
        Box::pin(async move {
            let mut connection = self.client.exclusive(&partition.keys.fence).await?;
            let answer = connection.invoke_replicated(call, replicas, wait).await?;
            let confirmed = answer.replicas();
            Ok((answer.into_answer(), confirmed))
        })
    }

    /// Takes up a fence that turned out to be another.
    async fn follow(
        &self,
        partition: &Partition,
        known: Fence,
        told: Option<Fence>,
    ) -> Result<(), RedisError> {
        let told = match told {
            Some(told) => told,
            None => self.fence(partition).await?,
        };
        let told = told.for_writing()?;
        if told.epoch <= known.epoch {
            // Epochs only rise; a lower one is of another life of the server.
            return Err(self.noticed(StoreRegressed::Writes));
        }
        partition.learn_fence(told);
        Ok(())
    }

    /// The fence as it is on the server.
    pub(crate) async fn fence(&self, partition: &Partition) -> Result<Fence, RedisError> {
        let key = &partition.keys.fence;
        let mut get = redis::cmd("GET");
        get.arg(key);
        let text: Option<Vec<u8>> = self.query(FENCE, key, &get).await?;
        self.told(text.as_deref())
    }

    /// For reads: takes up the fence a reply came with. True if the reply is of the layout that
    /// was assumed.
    pub(crate) fn is_current(
        &self,
        partition: &Partition,
        assumed: Fence,
        told: Option<&Bytes>,
    ) -> Result<bool, RedisError> {
        let told = self.told(told.map(|text| &**text))?.for_reading()?;
        if told.with_gate(assumed.gate) == assumed {
            return Ok(true);
        }
        if self.regressed.lock().is_some() {
            partition.set_fence(told);
            return Ok(false);
        }
        if told.epoch < assumed.epoch {
            return Err(self.noticed(StoreRegressed::Writes));
        }
        partition.learn_fence(told);
        Ok(false)
    }

    /// A write that was found done already proves nothing about its replicas, and a master that
    /// was deposed may have told of it: this compares it at the master, and waits for replicas.
    pub(crate) async fn confirm(
        &self,
        partition: &Partition,
        found: Found<'_>,
    ) -> Result<(), RedisError> {
        let Durability::Replicated { replicas, .. } = self.options.durability else {
            return Ok(());
        };
        let mut step = Step::default();
        match found {
            Found::Everything => {}
            Found::Request(stored) => step.records.push(RecordWrite {
                id: *stored.request.id(),
                before: Some(Before {
                    block: stored.block,
                    ordinal: stored.ordinal,
                    index: Arc::clone(&stored.index),
                }),
                after: Some(After {
                    frame: KEEP.to_vec(),
                    index: Arc::clone(&stored.index),
                }),
                event: Vec::new(),
                decisions: (0, 0),
                in_full: false,
            }),
            Found::State(key, version) => {
                step.state = Some(StateRecordWrite {
                    key,
                    expected: version,
                    record: KEEP.to_vec(),
                    event: Vec::new(),
                });
            }
        }
        match self.apply(partition, &step).await? {
            Answer::Done(_) => Ok(()),
            // Changed since, or not there: the next try finds out which.
            _ => Err(RedisError::NotConfirmed {
                confirmed: 0,
                wanted: replicas,
            }),
        }
    }

    /// The server's time, unless the options name another clock. In a cluster that of one node,
    /// the same for everybody.
    pub(crate) async fn now(&self) -> Result<Timestamp, RedisError> {
        if let Some(clock) = &self.options.clock {
            return clock.now().await.map_err(RedisError::Clock);
        }
        let key = &self.partitions[0].keys.fence;
        time_of(self.query(TIME, key, &redis::cmd("TIME")).await?)
    }

    pub(crate) fn check_size(&self, port: &'static str, bytes: usize) -> Result<(), StoreError> {
        let most = self.options.document_limit;
        if bytes > most {
            let detail = format!("{bytes} bytes, at most {most} are allowed");
            return Err(StoreError::new(StoreErrorKind::TooLarge, port, detail));
        }
        Ok(())
    }
}

/// Whether a request has gone backwards. One that was purged and created again has another ordinal.
fn lost(before: Option<&Stored>, now: &Stored) -> bool {
    before.is_some_and(|before| {
        before.ordinal == now.ordinal
            && (before.stamp != now.stamp || before.request.revision() > now.request.revision())
    })
}

/// Asks for the values of keys.
pub(crate) fn mget(keys: &[redis_client::Key]) -> Cmd {
    let mut mget = redis::cmd("MGET");
    mget.arg(keys);
    mget
}

/// The answer to [`mget`].
pub(crate) fn values_of(answer: Value, keys: usize) -> Result<Vec<Option<Bytes>>, RedisError> {
    let Value::Array(values) = answer else {
        return Err(RedisError::Reply("MGET"));
    };
    let value = |value| match value {
        Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
        Value::Nil => Ok(None),
        _ => Err(RedisError::Reply("MGET")),
    };
    let values: Vec<_> = values.into_iter().map(value).collect::<Result<_, _>>()?;
    if values.len() != keys {
        return Err(RedisError::Reply("MGET"));
    }
    Ok(values)
}

/// The answer to a question for the time.
pub(crate) fn time_of(answer: Value) -> Result<Timestamp, RedisError> {
    let (seconds, micros): (i64, i64) =
        redis::from_redis_value(answer).map_err(|_| RedisError::Reply("TIME"))?;
    Ok(Timestamp::from_micros(
        seconds.saturating_mul(1_000_000).saturating_add(micros),
    ))
}

/// The answer to a question for members of a set.
pub(crate) fn members_of(answer: Option<Value>) -> Result<Vec<Vec<u8>>, RedisError> {
    let Some(Value::Array(values)) = answer else {
        return Err(RedisError::Reply("members of a set"));
    };
    let member = |value| match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(RedisError::Reply("members of a set")),
    };
    values.into_iter().map(member).collect()
}

/// What is wrong, with its causes, in one line.
pub(crate) fn full_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
