//! What happened, shard by shard.

use std::{sync::LazyLock, time::Duration};

use futures_util::future::try_join_all;
use redis_client::{
    Operation, Script,
    redis::{
        self,
        streams::{StreamId, StreamRangeReply},
    },
};
use state_core::{
    BackendError, Timestamp,
    process::{
        EventBatch, EventCursor, InvalidCursor, ProcessError, ProcessEvent, ProcessEventKind,
        Version,
    },
};
use tokio::time::Instant;

use super::{
    keys::ShardKeys,
    reply::senseless,
    store::{Inner, status_of},
};
use crate::error::backend;

static EVENTS: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../../lua/process_events.lua")));

const NAME: &str = "process.events";
/// How often several shards are looked at.
const POLL: Duration = Duration::from_millis(50);

type Place = (u64, u64);
type Answer = (String, String, StreamRangeReply);

struct Read {
    events: Vec<ProcessEvent>,
    next: Place,
    gap: bool,
}

/// Where the events end.
pub(super) async fn end(inner: &Inner) -> Result<EventCursor, BackendError> {
    let ends = inner.shards.iter().map(|keys| async move {
        let call = EVENTS.call().key(&keys.log).arg("0-0").arg(1);
        let (_, last, _): Answer = inner.client.invoke(&call).await.map_err(backend)?;
        place(&last)
    });
    Ok(EventCursor::at(try_join_all(ends).await?))
}

/// Events behind a place.
pub(super) async fn read(
    inner: &Inner,
    after: &EventCursor,
    most: usize,
    wait: Duration,
) -> Result<EventBatch, ProcessError> {
    if after.places().len() != inner.shards.len() {
        return Err(InvalidCursor.into());
    }
    let until = Instant::now() + wait;
    loop {
        let shards = inner.shards.iter().zip(after.places());
        let reads = shards.map(|(keys, after)| shard(inner, keys, *after, most));
        let reads = try_join_all(reads).await?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || reads.iter().any(|read| read.gap || !read.events.is_empty()) {
            return Ok(EventBatch {
                gap: reads.iter().any(|read| read.gap),
                next: EventCursor::at(reads.iter().map(|read| read.next).collect()),
                events: reads.into_iter().flat_map(|read| read.events).collect(),
            });
        }
        if let ([keys], [after]) = (&inner.shards[..], after.places()) {
            block(inner, keys, *after, left).await?;
        } else {
            tokio::time::sleep(POLL.min(left)).await;
        }
    }
}

async fn shard(
    inner: &Inner,
    keys: &ShardKeys,
    after: Place,
    most: usize,
) -> Result<Read, BackendError> {
    let call = EVENTS.call().key(&keys.log).arg(id(after)).arg(most);
    let (gap, last, entries): Answer = inner.client.invoke(&call).await.map_err(backend)?;
    let gap = gap == "1";
    let mut read = Read {
        events: Vec::new(),
        next: if gap { place(&last)? } else { after },
        gap,
    };
    for entry in entries.ids {
        read.next = place(&entry.id)?;
        // What a newer version of this crate wrote is not for us.
        read.events.extend(event(&entry));
    }
    Ok(read)
}

/// Waits for an event on a connection of its own.
async fn block(
    inner: &Inner,
    keys: &ShardKeys,
    after: Place,
    wait: Duration,
) -> Result<(), BackendError> {
    let mut connection = inner
        .client
        .blocking(&keys.log, wait)
        .await
        .map_err(backend)?;
    let mut command = redis::cmd("XREAD");
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    command.arg("COUNT").arg(1).arg("BLOCK").arg(millis);
    command.arg("STREAMS").arg(&keys.log).arg(id(after));
    let operation = Operation::read(NAME);
    let answer = connection.query::<redis::Value>(operation, &command).await;
    answer.map(drop).map_err(backend)
}

fn event(entry: &StreamId) -> Option<ProcessEvent> {
    let text = |field: &str| entry.get::<String>(field);
    let kind = text("k")?;
    let mut kinds = ProcessEventKind::ALL.into_iter();
    Some(ProcessEvent {
        id: text("id")?,
        kind: kinds.find(|known| known.as_str() == kind)?,
        status: status_of(&text("s")?)?,
        version: Version::new(entry.get("v")?),
        at: Timestamp::from_micros(entry.get("t")?),
    })
}

fn id((time, number): Place) -> String {
    format!("{time}-{number}")
}

fn place(id: &str) -> Result<Place, BackendError> {
    let parsed = id
        .split_once('-')
        .and_then(|(time, number)| Some((time.parse().ok()?, number.parse().ok()?)));
    parsed.ok_or_else(|| senseless(NAME))
}
