//! Reads sorted sets of ordinals, several as one.

use std::collections::BTreeMap;

use futures_util::future::{try_join, try_join_all};
use redis_client::{Operation, redis};

use super::{
    chunks,
    source::{NEWEST, Raw},
    split::{Driver, Search},
};
use crate::{
    cache::IdSlot,
    error::RedisError,
    index::Class,
    keys::CHUNK,
    partition::{Counters, Partition},
    shared::Shared,
};

const SETS: Operation = Operation::read("query_sets");
/// Members of a set of ordinals that are read at once. They are small.
const ORDINALS: usize = 512;
const ATTEMPTS: usize = 8;
/// So few are judged by their documents, without asking the other sets first.
const FEW: usize = 64;

/// A part of a union, in the order of the walk.
pub(super) struct Read {
    pub(super) members: Vec<Raw>,
    /// Where to go on: upwards the next ordinal, downwards the one below which. None at the end.
    pub(super) until: Option<u64>,
    /// The ordinal after the newest.
    pub(super) newest: u64,
}

/// Reads on from a place. One round trip.
pub(super) async fn read(
    shared: &Shared,
    partition: &Partition,
    driver: &Driver,
    from: u64,
    upwards: bool,
    want: usize,
) -> Result<Read, RedisError> {
    let limit = match driver.class {
        Class::Inbox => want + want / 2,
        Class::Ordinals | Class::Bitmap => ORDINALS.max(want),
    };
    for _ in 0..ATTEMPTS {
        let fence = partition.fence();
        let sets = driver.terms.iter().map(|term| {
            let mut range = redis::cmd("ZRANGE");
            range.arg(partition.keys.term(fence.active, term, 0));
            match (upwards, from) {
                (true, from) => range.arg(from).arg("+inf").arg("BYSCORE"),
                (false, NEWEST) => range.arg("+inf").arg("-inf").arg("BYSCORE").arg("REV"),
                (false, from) => range
                    .arg(format!("({from}"))
                    .arg("-inf")
                    .arg("BYSCORE")
                    .arg("REV"),
            };
            range.arg("LIMIT").arg(0).arg(limit).arg("WITHSCORES");
            async move {
                let found: Vec<(Vec<u8>, f64)> =
                    shared.query(SETS, &partition.keys.fence, &range).await?;
                Ok::<_, RedisError>(found)
            }
        });
        let about = [
            partition.keys.fence.clone(),
            partition.keys.counters.clone(),
        ];
        let (sets, about) =
            try_join(try_join_all(sets), shared.mget(SETS, partition, &about)).await?;
        if !shared.is_current(partition, fence, about.first().and_then(Option::as_ref))? {
            continue;
        }
        let counters = about.get(1).and_then(Option::as_ref);
        let newest = Counters::read(counters.map(|bytes| &**bytes))?.ordinals;
        return Ok(join(&sets, limit, upwards, newest));
    }
    Err(RedisError::Fenced)
}

/// One walk over several sets. A set that was cut off hides what is behind its last member.
fn join(sets: &[Vec<(Vec<u8>, f64)>], limit: usize, upwards: bool, newest: u64) -> Read {
    let last = |set: &Vec<(Vec<u8>, f64)>| set.last().map_or(0, |(_, score)| ordinal_of(*score));
    let cut = sets.iter().filter(|set| set.len() >= limit).map(last);
    let edge = if upwards { cut.min() } else { cut.max() };
    let is_seen = |ordinal: u64| {
        edge.is_none_or(|edge| {
            if upwards {
                ordinal <= edge
            } else {
                ordinal >= edge
            }
        })
    };
    let mut members = BTreeMap::new();
    for (member, score) in sets.iter().flatten() {
        let ordinal = ordinal_of(*score);
        if is_seen(ordinal) {
            members.insert(ordinal, IdSlot::read(member));
        }
    }
    let raw = members
        .into_iter()
        .map(|(ordinal, slot)| Raw::request(ordinal, slot));
    Read {
        members: if upwards {
            raw.collect()
        } else {
            raw.rev().collect()
        },
        until: edge.map(|edge| if upwards { edge + 1 } else { edge }),
        newest,
    }
}

/// Leaves out what the bitmaps tell is no match, when that is worth a round trip.
pub(super) async fn narrow(
    shared: &Shared,
    partition: &Partition,
    search: &Search,
    members: Vec<Raw>,
) -> Result<Vec<Raw>, RedisError> {
    let Some(filter) = search.bitmaps_only() else {
        return Ok(members);
    };
    let mut chunks: Vec<u64> = members.iter().map(|raw| raw.ordinal / CHUNK).collect();
    chunks.sort_unstable();
    chunks.dedup();
    if members.len() <= FEW || chunks.len() > chunks::at_once(&filter) {
        return Ok(members);
    }
    let answered = chunks::evaluate(shared, partition, &filter, &chunks).await?;
    let is_in = |raw: &Raw| {
        let low = u16::try_from(raw.ordinal % CHUNK).unwrap_or(0);
        let chunk = raw.ordinal / CHUNK;
        let bits = answered.chunks.iter().find(|(number, _)| *number == chunk);
        bits.is_some_and(|(_, bits)| bits.contains(low))
    };
    Ok(members.into_iter().filter(is_in).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ordinals are whole numbers below 2^53"
)]
fn ordinal_of(score: f64) -> u64 {
    score as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ordinals: &[u32]) -> Vec<(Vec<u8>, f64)> {
        ordinals
            .iter()
            .map(|ordinal| (Vec::new(), f64::from(*ordinal)))
            .collect()
    }

    fn ordinals(read: &Read) -> Vec<u64> {
        read.members.iter().map(|raw| raw.ordinal).collect()
    }

    #[test]
    fn a_set_that_is_cut_off_hides_what_follows() {
        let read = join(&[set(&[1, 4, 6]), set(&[2, 9])], 3, true, 10);
        assert_eq!((ordinals(&read), read.until), (vec![1, 2, 4, 6], Some(7)));
        let read = join(&[set(&[9, 4, 3]), set(&[8, 2])], 3, false, 10);
        assert_eq!((ordinals(&read), read.until), (vec![9, 8, 4, 3], Some(3)));
        let read = join(&[set(&[1, 4]), set(&[1])], 3, true, 10);
        assert_eq!((ordinals(&read), read.until), (vec![1, 4], None));
    }
}
