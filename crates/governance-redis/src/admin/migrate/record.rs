//! The layout record and the fences, changed only from what they were seen to be.

use futures_util::FutureExt as _;
use redis_client::{Client, Key, KeyPrefix, Operation, redis};

use super::MigrationError;
use crate::{
    admin::scan,
    error::RedisError,
    keys::row_of,
    layout::{Fence, Layout},
    open::{OpenError, layout_key, of_layout, read_layout},
    partition::Partition,
    script::FENCE,
    shared::Shared,
};

const RECORD: Operation = Operation::read("migrate_layout");
const TURN: Operation = Operation::read("migrate_fence");
const REMOVE: Operation = Operation::write("migrate_remove");
/// How often a fence is tried to be turned that somebody else turns, too.
const ATTEMPTS: usize = 8;

/// The layout record as it is stored.
pub(super) struct Record {
    key: Key,
    text: Vec<u8>,
    pub(super) layout: Layout,
}

impl Record {
    pub(super) async fn read(client: &Client, prefix: &KeyPrefix) -> Result<Self, MigrationError> {
        let key = layout_key(prefix)?;
        let mut get = redis::cmd("GET");
        get.arg(&key);
        let text: Option<Vec<u8>> = client
            .query(RECORD, &key, &get)
            .boxed()
            .await
            .map_err(|error| of_layout(&key, error))?;
        let text = text.ok_or(MigrationError::NoStore)?;
        let layout = read_layout(&key, &text)?;
        Ok(Self { key, text, layout })
    }

    /// Fails if it is not the one that was read or put any more: somebody else has taken over.
    pub(super) async fn confirm(&self, client: &Client) -> Result<(), MigrationError> {
        let mut get = redis::cmd("GET");
        get.arg(&self.key);
        let text: Option<Vec<u8>> = client
            .query(RECORD, &self.key, &get)
            .boxed()
            .await
            .map_err(RedisError::from)?;
        if text.as_deref() == Some(&self.text) {
            Ok(())
        } else {
            Err(MigrationError::TakenOver)
        }
    }

    /// Puts another in its place, if it is still the one that was read.
    pub(super) async fn replace(
        &mut self,
        client: &Client,
        next: Layout,
    ) -> Result<(), MigrationError> {
        let text = serde_json::to_vec(&next).map_err(|error| OpenError::Damaged {
            detail: error.to_string(),
        })?;
        let call = FENCE
            .call()
            .key(&self.key)
            .arg(self.text.as_slice())
            .arg(text.as_slice());
        let told: Vec<u8> = client
            .invoke(&call)
            .boxed()
            .await
            .map_err(RedisError::from)?;
        if told != text {
            return Err(MigrationError::TakenOver);
        }
        self.text = text;
        self.layout = next;
        Ok(())
    }
}

/// Turns a fence into what `next` makes of it; none leaves it.
///
/// Only for whom the layout record names. That is asked after the fence was read: whoever takes
/// over says so in the record first, and an undoing turns every fence after that, so a run that was
/// thought dead is refused by one or the other.
pub(super) async fn turn(
    record: &Record,
    shared: &Shared,
    partition: &Partition,
    next: impl Fn(Option<Fence>) -> Result<Option<Fence>, MigrationError> + Send + Sync,
) -> Result<(), MigrationError> {
    let key = &partition.keys.fence;
    let mut get = redis::cmd("GET");
    get.arg(key);
    for _ in 0..ATTEMPTS {
        let text: Option<String> = shared.query(TURN, key, &get).await?;
        let fence = match &text {
            Some(text) => Some(text.parse().map_err(|_| RedisError::Fenced)?),
            None => None,
        };
        let Some(next) = next(fence)? else {
            return Ok(());
        };
        let next = next.to_string();
        let text = text.unwrap_or_default();
        if text == next {
            return Ok(());
        }
        record.confirm(&shared.client).await?;
        let call = FENCE.call().key(key).arg(text).arg(&next);
        let told: String = shared.invoke(&call).await?;
        if told == next {
            return Ok(());
        }
    }
    Err(MigrationError::TakenOver)
}

/// Removes all keys of a partition but one, and those that are none of the store's.
pub(super) async fn remove(
    shared: &Shared,
    partition: &Partition,
    keep: Option<&Key>,
) -> Result<(), MigrationError> {
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let (mut keys, next) = some_of_ours(shared, partition, "", at).await?;
        keys.retain(|key| keep.is_none_or(|keep| keep.as_str().as_bytes() != key));
        unlink(shared, partition, &keys).await?;
        cursor = next;
    }
    Ok(())
}

/// Some keys of a partition that begin like this, and where to go on, without those that are none of
/// the store's.
pub(super) async fn some_of_ours(
    shared: &Shared,
    partition: &Partition,
    start: &str,
    cursor: u64,
) -> Result<(Vec<Vec<u8>>, Option<u64>), RedisError> {
    let (keys, next) = scan::some_keys(shared, partition, start, cursor).await?;
    let kinds = scan::kinds(shared, partition, &keys).await?;
    let keys = keys.into_iter().zip(kinds);
    let ours = keys.filter(|(key, kind)| is_ours(partition, key, kind));
    Ok((ours.map(|(key, _)| key).collect(), next))
}

/// Whether a key is spelled and typed as one of the store's.
fn is_ours(partition: &Partition, key: &[u8], kind: &str) -> bool {
    let rest = key.strip_prefix(partition.keys.start().as_bytes());
    let row = rest.map(String::from_utf8_lossy);
    row.and_then(|rest| row_of(&rest))
        .is_some_and(|row| row.kind == kind)
}

pub(super) async fn unlink(
    shared: &Shared,
    partition: &Partition,
    keys: &[Vec<u8>],
) -> Result<(), MigrationError> {
    for keys in keys.chunks(500) {
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(keys);
        shared
            .query::<u64>(REMOVE, &partition.keys.fence, &unlink)
            .await?;
    }
    Ok(())
}
