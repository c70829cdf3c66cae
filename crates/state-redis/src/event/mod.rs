//! What happened, for everybody who listens: events.

use std::{fmt, sync::LazyLock, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use redis_client::{
    Client, Exclusive, Key, Operation, Script,
    redis::{self, Value},
};
use state_core::{
    BackendError, Namespace,
    event::{Batch, Bell, Entry, EventId, EventStore, Keep},
};

use crate::{
    error::{backend, too_long},
    keys::{KeyPattern, KeyType},
};

/// The keys of events.
pub(crate) const KEYS: &[KeyPattern] = &[KeyPattern {
    owner: "event",
    pattern: "bus:{<topic>}:log",
    kind: KeyType::Stream,
    holds: "the last events, each in a field `m`",
    lifetime: Some("retention, from the last event"),
}];

static APPEND: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../../lua/event_append.lua")));
static READ: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../../lua/event_read.lua")));
const LISTEN: &str = "event.listen";
const WAIT: Operation = Operation::read("event.wait");

/// Events on Redis, a stream per topic. A clone is a handle to the same.
///
/// To publish is one script. A subscription waits by a blocking `XREAD` on a connection of its
/// own, which is no connection that other commands share, and then reads by one script that also
/// tells whether something is missing. So a subscription takes one connection of the pool for as
/// long as it lives.
///
/// Where a user may not ask `INFO`, a server that takes over without the last events is noticed
/// only by the events that come then.
#[derive(Clone)]
pub struct RedisEventStore {
    client: Client,
}

impl fmt::Debug for RedisEventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisEventStore").finish_non_exhaustive()
    }
}

impl RedisEventStore {
    /// Events on a server, under the prefix of the client.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self { client }
    }

    fn log(&self, topic: &Namespace, operation: &'static str) -> Result<Key, BackendError> {
        let key = self
            .client
            .key_prefix()
            .key()
            .part("bus")
            .tag(topic.as_str())
            .part("log");
        key.finish().map_err(too_long(operation))
    }
}

#[async_trait]
impl EventStore for RedisEventStore {
    async fn append(
        &self,
        topic: &Namespace,
        message: &Bytes,
        keep: Keep,
    ) -> Result<EventId, BackendError> {
        let millis = u64::try_from(keep.retention.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let call = APPEND
            .call()
            .key(self.log(topic, APPEND.name())?)
            .arg(&message[..])
            .arg(keep.max_len)
            .arg(millis);
        let id: String = self.client.invoke(&call).await.map_err(backend)?;
        id.parse().map_err(|_| garbled(APPEND.name()))
    }

    async fn read(
        &self,
        topic: &Namespace,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Batch, BackendError> {
        let after = after.map_or_else(String::new, |after| after.to_string());
        let call = READ
            .call()
            .key(self.log(topic, READ.name())?)
            .arg(after)
            .arg(limit);
        let reply: (String, u8, String, Vec<(String, Vec<Value>)>) =
            self.client.invoke(&call).await.map_err(backend)?;
        let (head, unbroken, replication, events) = reply;
        let head = match head.as_str() {
            "" => Some(EventId::ZERO),
            head => head.parse().ok(),
        };
        let entries: Option<Vec<Entry>> = events.into_iter().map(entry).collect();
        Ok(Batch {
            head: head.ok_or_else(|| garbled(READ.name()))?,
            unbroken: unbroken == 1,
            incarnation: incarnation(&replication),
            entries: entries.ok_or_else(|| garbled(READ.name()))?,
        })
    }

    async fn listen(
        &self,
        topic: &Namespace,
        longest: Duration,
    ) -> Result<Box<dyn Bell>, BackendError> {
        let log = self.log(topic, LISTEN)?;
        let connection = self.client.blocking(&log, longest).await.map_err(backend)?;
        Ok(Box::new(RedisBell {
            connection,
            log,
            longest,
        }))
    }
}

/// One event of the log. One that somebody else put there has no message; it is unreadable.
fn entry((id, fields): (String, Vec<Value>)) -> Option<Entry> {
    let message = match fields.into_iter().nth(1) {
        Some(Value::BulkString(bytes)) => bytes.into(),
        _ => Bytes::new(),
    };
    let id = id.parse().ok()?;
    Some(Entry { id, message })
}

/// The first digits of the id of the replication, which are as good as all of them.
fn incarnation(replication: &str) -> u64 {
    let digits = replication.get(..16).unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

#[derive(Debug)]
struct RedisBell {
    connection: Exclusive,
    log: Key,
    longest: Duration,
}

#[async_trait]
impl Bell for RedisBell {
    async fn rings(&mut self, after: EventId) -> Result<(), BackendError> {
        let millis = u64::try_from(self.longest.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let mut wait = redis::cmd("XREAD");
        wait.arg("COUNT").arg(1).arg("BLOCK").arg(millis);
        wait.arg("STREAMS").arg(&self.log).arg(after.to_string());
        // What it says is read again by the script, together with what is missing.
        let answered = self.connection.query::<Value>(WAIT, &wait).await;
        answered.map(drop).map_err(backend)
    }
}

fn garbled(operation: &'static str) -> BackendError {
    BackendError::unexpected(operation, "the answer cannot be read")
}
