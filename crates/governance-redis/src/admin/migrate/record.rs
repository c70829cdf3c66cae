//! The layout record and the fences, changed only from what they were seen to be.

use futures_util::FutureExt as _;
use redis_client::{Client, Key, KeyPrefix, Operation, redis};

use super::MigrationError;
use crate::{
    admin::scan,
    error::RedisError,
    layout::{Fence, Layout},
    open::{OpenError, layout_key, read_layout},
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
            .map_err(|error| MigrationError::from(OpenError::from(error)))?;
        let text = text.ok_or(MigrationError::NoStore)?;
        let layout = read_layout(&key, &text)?;
        Ok(Self { key, text, layout })
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
pub(super) async fn turn(
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
        let call = FENCE.call().key(key).arg(text).arg(&next);
        let told: String = shared.invoke(&call).await?;
        if told == next {
            return Ok(());
        }
    }
    Err(MigrationError::TakenOver)
}

/// Removes all keys of a partition but one.
pub(super) async fn remove(
    shared: &Shared,
    partition: &Partition,
    keep: Option<&Key>,
) -> Result<(), MigrationError> {
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let (mut keys, next) = scan::some_keys(shared, partition, "", at).await?;
        keys.retain(|key| keep.is_none_or(|keep| keep.as_str().as_bytes() != key));
        unlink(shared, partition, &keys).await?;
        cursor = next;
    }
    Ok(())
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
