//! Reads a partition from its first request to its last, in bounded steps.

use bytes::Bytes;
use governance_core::RequestId;
use redis_client::{Key, Operation, redis};

use crate::{
    cache::IdSlot,
    error::RedisError,
    keys::{CHUNK, JOURNAL_CHUNK, PartitionKeys},
    partition::{Counters, Partition},
    shared::Shared,
};

const SCAN: Operation = Operation::read("admin_scan");
/// Requests of one step.
pub(super) const STEP: u64 = 200;

/// An entry of the id table, with the record it leads to.
pub(super) struct Row {
    pub(super) ordinal: u64,
    pub(super) id: RequestId,
    pub(super) stamp: u64,
    pub(super) frame: Option<Bytes>,
}

/// The counters as they are now.
pub(super) async fn counters(
    shared: &Shared,
    partition: &Partition,
) -> Result<Counters, RedisError> {
    let key = [partition.keys.counters.clone()];
    let value = shared.values(SCAN, partition, &key).await?.pop().flatten();
    Counters::read(value.as_deref())
}

/// The counters as they are now, if what they count is there: nobody is to go over more than was
/// ever written. Two round trips.
///
/// One table that is lost is for the caller to find; so the one before the last will do, too.
pub(super) async fn sound_counters(
    shared: &Shared,
    partition: &Partition,
) -> Result<Counters, RedisError> {
    let counters = counters(shared, partition).await?;
    let keys = &partition.keys;
    let mut wanted = Vec::new();
    for (numbers, chunk, table) in [
        (counters.ordinals, CHUNK, PartitionKeys::ids as Table),
        (counters.entries, JOURNAL_CHUNK, PartitionKeys::journal),
    ] {
        let last = numbers.saturating_sub(1) / chunk;
        if last > 0 {
            let mut exists = redis::cmd("EXISTS");
            exists.arg(table(keys, last)).arg(table(keys, last - 1));
            wanted.push(exists);
        }
    }
    if wanted.is_empty() {
        return Ok(counters);
    }
    for answer in shared.together(SCAN, partition, wanted).await? {
        let there: u64 =
            redis::from_redis_value(answer).map_err(|_| RedisError::Reply("EXISTS"))?;
        if there == 0 {
            return Err(Counters::damaged());
        }
    }
    Ok(counters)
}

/// The key of a chunk of a table.
type Table = fn(&PartitionKeys, u64) -> Key;

/// The rows of some ordinals of one chunk. Two round trips.
pub(super) async fn rows(
    shared: &Shared,
    partition: &Partition,
    first: u64,
    end: u64,
) -> Result<Vec<Row>, RedisError> {
    let slots = slots(shared, partition, first, end).await?;
    let keys: Vec<Key> = slots
        .iter()
        .map(|(_, slot)| partition.keys.request(&slot.id))
        .collect();
    let mut frames = Vec::with_capacity(keys.len());
    for keys in keys.chunks(64) {
        frames.extend(shared.values(SCAN, partition, keys).await?);
    }
    let rows = slots
        .into_iter()
        .zip(frames)
        .map(|((ordinal, slot), frame)| Row {
            ordinal,
            id: slot.id,
            stamp: slot.stamp,
            frame,
        });
    Ok(rows.collect())
}

/// Members of a set.
pub(super) async fn names(shared: &Shared, key: &Key) -> Result<Vec<String>, RedisError> {
    let mut members = redis::cmd("SMEMBERS");
    members.arg(key);
    let names: Vec<Vec<u8>> = shared.query(SCAN, key, &members).await?;
    Ok(names
        .into_iter()
        .map(|name| String::from_utf8_lossy(&name).into_owned())
        .collect())
}

/// Some keys of the partition that begin like this, and where to go on, none at the end. A key may
/// come more than once. Asks the node that has the partition.
pub(super) async fn some_keys(
    shared: &Shared,
    partition: &Partition,
    start: &str,
    cursor: u64,
) -> Result<(Vec<Vec<u8>>, Option<u64>), RedisError> {
    // Neither prefix nor tag can hold a character of a pattern.
    let pattern = format!("{}{start}*", partition.keys.start());
    let mut scan = redis::cmd("SCAN");
    scan.arg(cursor)
        .arg("MATCH")
        .arg(&pattern)
        .arg("COUNT")
        .arg(1_000);
    let (next, keys): (u64, Vec<Vec<u8>>) =
        shared.query(SCAN, &partition.keys.fence, &scan).await?;
    Ok((keys, (next != 0).then_some(next)))
}

/// The types of some keys, in one round trip; `none` for one that is gone.
pub(super) async fn kinds(
    shared: &Shared,
    partition: &Partition,
    keys: &[Vec<u8>],
) -> Result<Vec<String>, RedisError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let commands = keys.iter().map(|key| {
        let mut kind = redis::cmd("TYPE");
        kind.arg(key);
        kind
    });
    let answers = shared.together(SCAN, partition, commands.collect()).await?;
    answers
        .map(|answer| redis::from_redis_value(answer).map_err(|_| RedisError::Reply("TYPE")))
        .collect()
}

/// Entries of the id table of one chunk, those that are in use.
pub(super) async fn slots(
    shared: &Shared,
    partition: &Partition,
    first: u64,
    end: u64,
) -> Result<Vec<(u64, IdSlot)>, RedisError> {
    let key = partition.keys.ids(first / CHUNK);
    let width = IdSlot::BYTES as u64;
    let skip = first / CHUNK * CHUNK;
    let mut range = redis::cmd("GETRANGE");
    range
        .arg(&key)
        .arg((first - skip) * width)
        .arg((end - skip) * width - 1);
    let table: Vec<u8> = shared.query(SCAN, &key, &range).await?;
    Ok((first..)
        .zip(table.chunks(IdSlot::BYTES))
        .filter_map(|(ordinal, slot)| Some((ordinal, IdSlot::read(slot)?)))
        .collect())
}
