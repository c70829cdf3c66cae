//! The change feed: one stream per partition, read as one.
//!
//! Trimming a stream leaves no trace that could be asked for. So a read begins with the event a
//! token stands at, and if that is not there any more, events behind it may be gone, too.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::try_join_all;
use governance_core::{FeedEvent, FeedToken, StoreError, StoreErrorKind, Timestamp};
use redis_client::{
    Operation,
    redis::{self, Value},
};

use crate::{
    codec::{Event, read_number, write_number},
    error::RedisError,
    partition::Partition,
    regress::StoreRegressed,
    shared::Shared,
};

const READ: Operation = Operation::read("feed");

/// The id of an entry of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId {
    millis: u64,
    seq: u64,
}

impl StreamId {
    /// This one, or if that is not behind the last one, the next behind it.
    pub(crate) fn behind(self, last: Option<Self>) -> Self {
        match last {
            Some(last) if self <= last => match last.seq.checked_add(1) {
                Some(seq) => Self { seq, ..last },
                None => Self {
                    millis: last.millis.saturating_add(1),
                    seq: 0,
                },
            },
            _ => self,
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.seq)
    }
}

impl FromStr for StreamId {
    type Err = RedisError;

    fn from_str(text: &str) -> Result<Self, RedisError> {
        let parts = text.split_once('-');
        let number = |part: &str| part.parse().ok();
        parts
            .and_then(|(millis, seq)| {
                Some(Self {
                    millis: number(millis)?,
                    seq: number(seq)?,
                })
            })
            .ok_or(RedisError::Reply("stream id"))
    }
}

/// A place in the stream of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// Before the first event ever.
    Start,
    /// Before an event that was the oldest kept.
    Before(StreamId),
    /// Behind an event.
    After(StreamId),
}

/// A place in the feed: one in every stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// How often the store was cut anew before.
    series: u32,
    places: Vec<Position>,
}

const VERSION: &str = "r1.";
/// The same with the series in front; what was never cut anew needs none.
const VERSION_SERIES: &str = "r2.";

impl Token {
    fn encode(&self) -> FeedToken {
        let mut bytes = Vec::with_capacity(16 * self.places.len());
        if self.series != 0 {
            write_number(&mut bytes, u64::from(self.series));
        }
        for position in &self.places {
            let (kind, id) = match position {
                Position::Start => (0, None),
                Position::Before(id) => (1, Some(id)),
                Position::After(id) => (2, Some(id)),
            };
            bytes.push(kind);
            if let Some(id) = id {
                write_number(&mut bytes, id.millis);
                write_number(&mut bytes, id.seq);
            }
        }
        let version = if self.series == 0 {
            VERSION
        } else {
            VERSION_SERIES
        };
        FeedToken::new(format!("{version}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Reads a token; none if it is not one.
    fn decode(token: &FeedToken) -> Option<Self> {
        let text = token.as_str();
        let (has_series, body) = match text.strip_prefix(VERSION) {
            Some(body) => (false, body),
            None => (true, text.strip_prefix(VERSION_SERIES)?),
        };
        let bytes = URL_SAFE_NO_PAD.decode(body).ok()?;
        let mut rest = bytes.as_slice();
        let series = if has_series {
            u32::try_from(read_number(&mut rest)?).ok()?
        } else {
            0
        };
        let mut places = Vec::new();
        while let Some((kind, more)) = rest.split_first() {
            rest = more;
            let mut id = || {
                Some(StreamId {
                    millis: read_number(&mut rest)?,
                    seq: read_number(&mut rest)?,
                })
            };
            places.push(match kind {
                0 => Position::Start,
                1 => Position::Before(id()?),
                2 => Position::After(id()?),
                _ => return None,
            });
        }
        Some(Self { series, places })
    }

    pub(crate) fn of(token: &FeedToken, shared: &Shared) -> Result<Self, StoreError> {
        let refuse = |kind, detail: &str| Err(StoreError::new(kind, "read", detail));
        match Self::decode(token) {
            Some(token) if token.series < shared.series => refuse(
                StoreErrorKind::Expired,
                "the store was cut into other partitions since this token was given",
            ),
            Some(token)
                if token.series == shared.series
                    && token.places.len() == shared.partitions.len() =>
            {
                Ok(token)
            }
            _ => refuse(
                StoreErrorKind::InvalidInput,
                "the token is not of this feed",
            ),
        }
    }

    /// Where to wait in every stream.
    pub(crate) fn waits(&self) -> impl Iterator<Item = String> {
        self.places.iter().map(|position| match position {
            Position::Start | Position::Before(_) => "0-0".to_owned(),
            Position::After(id) => id.to_string(),
        })
    }
}

/// An event of one stream.
pub(crate) struct Entry {
    pub(crate) id: StreamId,
    pub(crate) payload: Vec<u8>,
}

/// What can be told about a place.
enum Read {
    Entries(Vec<Entry>),
    /// Events behind the place are not kept any more.
    Expired,
}

/// Up to `limit` events behind a token, and where to go on.
pub(crate) async fn read(
    shared: &Shared,
    after: Option<Token>,
    limit: usize,
) -> Result<(Vec<FeedEvent>, FeedToken), StoreError> {
    let wrap = |error: RedisError| error.at("read");
    let mut token = match after {
        Some(token) => token,
        None => oldest(shared).await.map_err(wrap)?,
    };
    let mut events = Vec::new();
    loop {
        let need = limit - events.len();
        let each = need.div_ceil(shared.partitions.len());
        let reads = shared.partitions.iter().zip(&token.places);
        let reads = reads.map(|(partition, position)| behind(shared, partition, *position, each));
        let mut lanes = Vec::new();
        for read in try_join_all(reads).await.map_err(wrap)? {
            match read {
                Read::Entries(entries) => lanes.push(entries),
                Read::Expired => {
                    let detail = "events behind this token are not kept any more";
                    return Err(StoreError::new(StoreErrorKind::Expired, "read", detail));
                }
            }
        }
        // A stream that was cut off hides what is behind its last event, so the order of the feed
        // is the same however it is read.
        let cut = lanes
            .iter()
            .enumerate()
            .filter(|(_, lane)| lane.len() >= each);
        let edge = cut.filter_map(|(i, lane)| Some((lane.last()?.id, i))).min();
        let mut found: Vec<(usize, Entry)> = lanes
            .into_iter()
            .enumerate()
            .flat_map(|(i, lane)| lane.into_iter().map(move |entry| (i, entry)))
            .filter(|(i, entry)| edge.is_none_or(|edge| (entry.id, *i) <= edge))
            .collect();
        found.sort_by_key(|(i, entry)| (entry.id, *i));
        found.truncate(need);
        for (partition, entry) in found {
            token.places[partition] = Position::After(entry.id);
            events.push(event(&entry, token.encode()).map_err(wrap)?);
        }
        if events.len() >= limit || edge.is_none() {
            let next = token.encode();
            return Ok((events, next));
        }
    }
}

/// The place behind the last event of every stream.
pub(crate) async fn head(shared: &Shared) -> Result<FeedToken, StoreError> {
    let last = shared.partitions.iter().map(|partition| async move {
        let id = info(shared, partition).await?.map(|info| info.last);
        Ok::<_, RedisError>(id.map_or(Position::Start, Position::After))
    });
    let positions = try_join_all(last).await.map_err(|error| error.at("head"))?;
    let series = shared.series;
    let places = positions;
    Ok(Token { series, places }.encode())
}

/// The place before the oldest event that is kept.
async fn oldest(shared: &Shared) -> Result<Token, RedisError> {
    let first = shared.partitions.iter().map(|partition| async move {
        let found = range(shared, partition, "-", 1).await?;
        if let Some(entry) = found.first() {
            return Ok(Position::Before(entry.id));
        }
        let info = info(shared, partition).await?;
        Ok::<_, RedisError>(info.map_or(Position::Start, |info| Position::After(info.last)))
    });
    Ok(Token {
        series: shared.series,
        places: try_join_all(first).await?,
    })
}

/// Events of one stream behind a place.
async fn behind(
    shared: &Shared,
    partition: &Partition,
    position: Position,
    limit: usize,
) -> Result<Read, RedisError> {
    match position {
        Position::Start => {
            let found = range(shared, partition, "-", limit).await?;
            if found.is_empty() {
                return Ok(Read::Entries(found));
            }
            // Only if nothing was ever trimmed is the oldest event the first one.
            let whole = info(shared, partition)
                .await?
                .is_some_and(|info| info.is_whole);
            Ok(if whole {
                Read::Entries(found)
            } else {
                Read::Expired
            })
        }
        Position::Before(id) => {
            let found = range(shared, partition, &id.to_string(), limit).await?;
            let held = found.first().is_some_and(|entry| entry.id == id);
            if held {
                return Ok(Read::Entries(found));
            }
            gone(shared, partition, id).await
        }
        Position::After(id) => {
            let mut found = range(shared, partition, &id.to_string(), limit + 1).await?;
            if found.first().is_some_and(|entry| entry.id == id) {
                found.remove(0);
                return Ok(Read::Entries(found));
            }
            // Everything was trimmed, but nothing came since: nothing was missed. A stream that
            // ends before the token has lost events that were told.
            let last = info(shared, partition).await?.map(|info| info.last);
            let nothing_missed = found.is_empty() && last == Some(id);
            if nothing_missed {
                return Ok(Read::Entries(found));
            }
            gone(shared, partition, id).await
        }
    }
}

/// Why an event is not there. Trimming takes the oldest first; anything else means that the stream
/// went backwards.
async fn gone(shared: &Shared, partition: &Partition, id: StreamId) -> Result<Read, RedisError> {
    let ends_later = info(shared, partition)
        .await?
        .is_some_and(|info| info.last > id);
    let oldest = range(shared, partition, "-", 1).await?;
    if ends_later && oldest.first().is_none_or(|oldest| oldest.id > id) {
        Ok(Read::Expired)
    } else {
        Err(StoreRegressed::Feed.into())
    }
}

pub(crate) async fn range(
    shared: &Shared,
    partition: &Partition,
    from: &str,
    limit: usize,
) -> Result<Vec<Entry>, RedisError> {
    let key = &partition.keys.feed;
    let mut range = redis::cmd("XRANGE");
    range.arg(key).arg(from).arg("+").arg("COUNT").arg(limit);
    let found: Vec<(String, Vec<Vec<u8>>)> = shared.query(READ, key, &range).await?;
    if found.len() < limit {
        // Where a stream ends is told only while it is where the events are written.
        shared.fence(partition).await?.for_reading()?;
    }
    let entry = |(id, fields): (String, Vec<Vec<u8>>)| {
        let payload = fields.into_iter().nth(1);
        Ok(Entry {
            id: id.parse()?,
            payload: payload.ok_or(RedisError::Reply("an event without a payload"))?,
        })
    };
    found.into_iter().map(entry).collect()
}

pub(crate) struct Info {
    pub(crate) last: StreamId,
    /// Whether every event there ever was is still kept.
    pub(crate) is_whole: bool,
}

/// What a stream says about itself, none if there never was an event.
pub(crate) async fn info(
    shared: &Shared,
    partition: &Partition,
) -> Result<Option<Info>, RedisError> {
    shared.fence(partition).await?.for_reading()?;
    let key = &partition.keys.feed;
    let mut exists = redis::cmd("EXISTS");
    exists.arg(key);
    if !shared.query::<bool>(READ, key, &exists).await? {
        return Ok(None);
    }
    let mut info = redis::cmd("XINFO");
    info.arg("STREAM").arg(key);
    let told: std::collections::HashMap<String, Value> = shared.query(READ, key, &info).await?;
    let number = |name: &str| match told.get(name) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    };
    let last = match told.get("last-generated-id") {
        Some(Value::BulkString(id)) => String::from_utf8_lossy(id).parse()?,
        Some(Value::SimpleString(id)) => id.parse()?,
        _ => return Err(RedisError::Reply("XINFO")),
    };
    Ok(Some(Info {
        last,
        is_whole: number("entries-added") == number("length"),
    }))
}

fn event(entry: &Entry, token: FeedToken) -> Result<FeedEvent, RedisError> {
    let event = Event::decode(&entry.payload).ok_or(RedisError::Reply("an event"))?;
    let micros = i64::try_from(entry.id.millis.saturating_mul(1_000)).unwrap_or(i64::MAX);
    Ok(FeedEvent {
        token,
        at: Timestamp::from_micros(micros),
        scope: event.scope,
        subject: event.subject,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_round_trips_and_is_of_its_feed() {
        let id = |millis, seq| StreamId { millis, seq };
        for series in [0, 1, u32::MAX] {
            let places = vec![
                Position::Start,
                Position::Before(id(1, 0)),
                Position::After(id(u64::MAX, 7)),
            ];
            let token = Token { series, places };
            assert_eq!(Token::decode(&token.encode()), Some(token));
        }
        for text in ["", "m3", "r1.A!", "r1.Aw", "r2.", "r3.AA"] {
            assert_eq!(Token::decode(&FeedToken::new(text)), None, "{text}");
        }
    }
}
