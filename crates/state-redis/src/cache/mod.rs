//! Values that can be had again: cache.

mod places;
mod scripts;
mod time;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use redis_client::{
    Client, Operation,
    redis::{self, Value},
};
use state_core::{
    Answering, BackendError, Timestamp,
    cache::{
        Begin, Begun, CacheStore, Draft, Epoch, Epochs, Fill, Filled, LeaseToken, Lives, Read,
        Space, Tag, Target,
    },
};

use self::{
    places::Places,
    scripts::{ABANDON, BEGIN, DELETE, FILL, INVALIDATE, SET, SHORTEN},
    time::ServerTime,
};
use crate::{error::backend, keys::KeyPattern, keys::KeyType};

/// The keys of caches.
pub(crate) const KEYS: &[KeyPattern] = &[
    KeyPattern {
        owner: "cache",
        pattern: "cache:{<namespace>}:v:<version>:<key>",
        kind: KeyType::String,
        holds: "a value in its envelope",
        lifetime: Some("time to live, shortened by jitter, and the stale window"),
    },
    KeyPattern {
        owner: "cache",
        pattern: "cache:{<namespace>}:l:<version>:<key>",
        kind: KeyType::String,
        holds: "the token of who is loading the value",
        lifetime: Some("lease"),
    },
    KeyPattern {
        owner: "cache",
        pattern: "cache:{<namespace>}:e",
        kind: KeyType::String,
        holds: "the epoch of the namespace in microseconds",
        lifetime: Some("longer than any value that depends on it"),
    },
    KeyPattern {
        owner: "cache",
        pattern: "cache:{<namespace>}:t:<tag>",
        kind: KeyType::String,
        holds: "the epoch of the tag in microseconds",
        lifetime: Some("longer than any value that depends on it"),
    },
];

/// Caches on Redis. A clone is a handle to the same.
///
/// A read is one `MGET`. Every other step is one script. All keys of a namespace share a slot:
/// more namespaces spread over a cluster, one does not.
///
/// Whether a value is fresh is judged by an estimate of the server's time, taken from the answers
/// of scripts and at least once a minute; when it goes, and what invalidates it, is the server's
/// own decision.
#[derive(Clone)]
pub struct RedisCacheStore {
    client: Client,
    time: ServerTime,
}

impl fmt::Debug for RedisCacheStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCacheStore").finish_non_exhaustive()
    }
}

const READ: Operation = Operation::read("cache.read");

impl RedisCacheStore {
    /// Caches on a server, under the prefix of the client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            time: ServerTime::default(),
        }
    }

    fn places<'a>(&'a self, space: &'a Space, operation: &'static str) -> Places<'a> {
        Places::new(self.client.key_prefix(), space, operation)
    }

    async fn replied<T: redis::FromRedisValue>(
        &self,
        call: redis_client::ScriptCall<'_>,
    ) -> Result<T, BackendError> {
        self.client.invoke(&call).await.map_err(backend)
    }
}

impl RedisCacheStore {
    async fn find(&self, space: &Space, keys: &[&str], tags: &[Tag]) -> Result<Read, BackendError> {
        let places = self.places(space, READ.name());
        let namespace = places.namespace()?;
        let mut mget = redis::cmd("MGET");
        mget.arg(&namespace);
        for tag in tags {
            mget.arg(places.tag(tag)?);
        }
        for key in keys {
            mget.arg(places.value(key)?);
        }
        let reading = self.client.query::<Vec<Value>>(READ, &namespace, &mget);
        let (found, now) = match self.time.now() {
            Some(now) => (reading.await, now),
            // Once a minute at most; both go out together.
            None => {
                let (found, now) = tokio::join!(reading, self.time.ask(&self.client, &namespace));
                (found, now?)
            }
        };
        let mut found = found.map_err(backend)?.into_iter();
        if found.len() != 1 + tags.len() + keys.len() {
            return Err(garbled(READ.name()));
        }
        let namespace = found.next().map_or(Ok(None), epoch)?;
        let epochs = found
            .by_ref()
            .take(tags.len())
            .map(epoch)
            .collect::<Result<_, _>>()?;
        Ok(Read {
            now,
            namespace,
            tags: epochs,
            values: found.map(value).collect::<Result<_, _>>()?,
        })
    }
}

#[async_trait]
impl CacheStore for RedisCacheStore {
    fn read<'a>(
        &'a self,
        space: &'a Space,
        keys: &'a [&'a str],
        tags: &'a [Tag],
    ) -> Answering<'a, Read> {
        Answering::later(self.find(space, keys, tags))
    }

    async fn begin(
        &self,
        space: &Space,
        key: &str,
        begin: &Begin<'_>,
    ) -> Result<Begun, BackendError> {
        let places = self.places(space, BEGIN.name());
        let call = BEGIN
            .call()
            .keys(places.filled(key, begin.tags)?)
            .arg(begin.token.as_bytes())
            .arg(millis(begin.lease))
            .arg(begin.seen)
            .arg(millis(begin.epochs));
        let reply: Vec<Bytes> = self.replied(call).await?;
        let (tag, epochs) = self
            .time
            .told(&reply)
            .ok_or_else(|| garbled(BEGIN.name()))?;
        match (tag, epochs) {
            (b"HELD", []) => Ok(Begun::Held),
            (b"CHANGED", []) => Ok(Begun::Changed),
            (b"WON", [namespace, tags @ ..]) if tags.len() == begin.tags.len() => {
                let number = |bytes: &Bytes| {
                    parse(bytes)
                        .map(Epoch::new)
                        .ok_or_else(|| garbled(BEGIN.name()))
                };
                Ok(Begun::Won(Epochs {
                    namespace: number(namespace)?,
                    tags: tags.iter().map(number).collect::<Result<_, _>>()?,
                }))
            }
            _ => Err(garbled(BEGIN.name())),
        }
    }

    async fn fill(
        &self,
        space: &Space,
        key: &str,
        fill: &Fill<'_>,
    ) -> Result<Filled, BackendError> {
        let places = self.places(space, FILL.name());
        let mut call = FILL
            .call()
            .keys(places.filled(key, fill.tags)?)
            .arg(fill.token.as_bytes())
            .arg(micros(fill.lives.fresh))
            .arg(millis(fill.lives.stored))
            .arg(millis(fill.lives.epochs()))
            .arg(fill.draft.head())
            .arg(&fill.draft.tail()[..])
            .arg(fill.epochs.namespace.get());
        for epoch in &fill.epochs.tags {
            call = call.arg(epoch.get());
        }
        let reply: Vec<Bytes> = self.replied(call).await?;
        match self.time.told(&reply) {
            Some((b"STORED", [])) => Ok(Filled::Stored),
            Some((b"LOST", [])) => Ok(Filled::Lost),
            Some((b"MOVED", [])) => Ok(Filled::Moved),
            _ => Err(garbled(FILL.name())),
        }
    }

    async fn abandon(
        &self,
        space: &Space,
        key: &str,
        token: LeaseToken,
    ) -> Result<(), BackendError> {
        let places = self.places(space, ABANDON.name());
        let call = ABANDON.call().key(places.lease(key)?).arg(token.as_bytes());
        self.replied::<u32>(call).await?;
        Ok(())
    }

    async fn set(
        &self,
        space: &Space,
        items: &[(&str, &Draft)],
        tags: &[Tag],
        lives: Lives,
    ) -> Result<(), BackendError> {
        if items.is_empty() {
            return Ok(());
        }
        let places = self.places(space, SET.name());
        let mut call = SET
            .call()
            .keys(places.epochs(tags)?)
            .arg(tags.len())
            .arg(micros(lives.fresh))
            .arg(millis(lives.stored))
            .arg(millis(lives.epochs()));
        for (key, draft) in items {
            call = call
                .key(places.value(key)?)
                .key(places.lease(key)?)
                .arg(draft.head())
                .arg(&draft.tail()[..]);
        }
        let reply: Bytes = self.replied(call).await?;
        let now = parse(&reply).ok_or_else(|| garbled(SET.name()))?;
        self.time.tell(Timestamp::from_micros(now));
        Ok(())
    }

    async fn delete(&self, space: &Space, keys: &[&str]) -> Result<Vec<bool>, BackendError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let places = self.places(space, DELETE.name());
        let mut call = DELETE.call();
        for key in keys {
            call = call.key(places.value(key)?).key(places.lease(key)?);
        }
        let reply: Vec<u32> = self.replied(call).await?;
        if reply.len() != keys.len() {
            return Err(garbled(DELETE.name()));
        }
        Ok(reply.into_iter().map(|count| count > 0).collect())
    }

    async fn invalidate(&self, space: &Space, target: Target<'_>) -> Result<(), BackendError> {
        let places = self.places(space, INVALIDATE.name());
        let keys = match target {
            Target::Namespace => vec![places.namespace()?],
            Target::Tags(tags) => tags
                .iter()
                .map(|tag| places.tag(tag))
                .collect::<Result<_, _>>()?,
            Target::Keys(keys) => return self.delete(space, keys).await.map(|_| ()),
            _ => return Err(unsupported(INVALIDATE.name())),
        };
        if keys.is_empty() {
            return Ok(());
        }
        self.replied::<u32>(INVALIDATE.call().keys(keys)).await?;
        Ok(())
    }

    async fn shorten(
        &self,
        space: &Space,
        target: Target<'_>,
        life: Duration,
    ) -> Result<(), BackendError> {
        let places = self.places(space, SHORTEN.name());
        let keys = match target {
            Target::Namespace => vec![places.namespace()?],
            Target::Tags(tags) => tags
                .iter()
                .map(|tag| places.tag(tag))
                .collect::<Result<_, _>>()?,
            Target::Keys(keys) => keys
                .iter()
                .map(|key| places.value(key))
                .collect::<Result<_, _>>()?,
            _ => return Err(unsupported(SHORTEN.name())),
        };
        if keys.is_empty() {
            return Ok(());
        }
        self.replied::<u32>(SHORTEN.call().keys(keys).arg(millis(life)))
            .await?;
        Ok(())
    }
}

/// The bytes of a bulk string, not copied.
fn value(value: Value) -> Result<Option<Bytes>, BackendError> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        _ => Err(garbled(READ.name())),
    }
}

fn epoch(stored: Value) -> Result<Option<Epoch>, BackendError> {
    match value(stored)? {
        None => Ok(None),
        // One that cannot be read is none: what depends on it is a miss.
        Some(bytes) => Ok(parse(&bytes).map(Epoch::new)),
    }
}

fn parse(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn micros(life: Duration) -> u64 {
    u64::try_from(life.as_micros()).unwrap_or(u64::MAX)
}

/// Whole milliseconds, rounded up, at least one.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_micros().div_ceil(1_000))
        .unwrap_or(u64::MAX)
        .max(1)
}

fn garbled(operation: &'static str) -> BackendError {
    BackendError::unexpected(operation, "the answer cannot be read")
}

fn unsupported(operation: &'static str) -> BackendError {
    let kind = state_core::ErrorKind::Unsupported;
    BackendError::new(kind, operation, "this target is not known here")
}
