//! Ids and stamps of ordinals, from the cache or the id table.

use redis_client::{
    Operation,
    redis::{self, Value},
};

use super::source::Raw;
use crate::{cache::IdSlot, error::RedisError, keys::CHUNK, partition::Partition, shared::Shared};

const SLOTS: Operation = Operation::read("query_ids");
/// Ordinals this close are read in one piece.
const GAP: u64 = 16;
/// Entries of one piece at most.
const LONGEST: u64 = 1_024;

/// The entries of the id table for these ordinals; none where a request was purged. No round trip
/// if all are known, else one.
pub(super) async fn resolve(
    shared: &Shared,
    partition: &Partition,
    raw: &[Raw],
) -> Result<Vec<Option<IdSlot>>, RedisError> {
    let number = partition.number;
    let mut slots: Vec<Option<IdSlot>> = raw
        .iter()
        .map(|raw| {
            raw.slot
                .or_else(|| shared.slots.get(&(number, raw.ordinal)))
        })
        .collect();
    let mut missing: Vec<u64> = raw
        .iter()
        .zip(&slots)
        .filter(|(_, slot)| slot.is_none())
        .map(|(raw, _)| raw.ordinal)
        .collect();
    missing.sort_unstable();
    missing.dedup();
    let pieces = pieces(&missing);
    let width = IdSlot::BYTES as u64;
    let ranges = pieces.iter().map(|(first, last)| {
        let mut range = redis::cmd("GETRANGE");
        range
            .arg(partition.keys.ids(first / CHUNK))
            .arg((first % CHUNK) * width)
            .arg((last % CHUNK + 1) * width - 1);
        range
    });
    let ranges: Vec<_> = ranges.collect();
    let answers = if ranges.is_empty() {
        Vec::new().into_iter()
    } else {
        shared.together(SLOTS, partition, ranges).await?
    };
    let read = pieces
        .iter()
        .zip(answers)
        .map(|((first, _), answer)| match answer {
            Value::BulkString(bytes) => Ok((*first, bytes)),
            _ => Err(RedisError::Reply("GETRANGE")),
        });
    let read: Vec<(u64, Vec<u8>)> = read.collect::<Result<_, _>>()?;
    let find = |ordinal: u64| -> Option<IdSlot> {
        let at = read
            .partition_point(|(first, _)| *first <= ordinal)
            .checked_sub(1)?;
        let (first, bytes) = &read[at];
        let skip = usize::try_from(ordinal - first)
            .ok()?
            .checked_mul(IdSlot::BYTES)?;
        IdSlot::read(bytes.get(skip..skip + IdSlot::BYTES)?)
    };
    for (raw, slot) in raw.iter().zip(&mut slots) {
        if slot.is_none()
            && let Some(found) = find(raw.ordinal)
        {
            shared.slots.put((number, raw.ordinal), found, 1);
            *slot = Some(found);
        }
    }
    Ok(slots)
}

/// First and last ordinals of the pieces to read, none across chunks.
fn pieces(ordinals: &[u64]) -> Vec<(u64, u64)> {
    let mut pieces: Vec<(u64, u64)> = Vec::new();
    for ordinal in ordinals {
        match pieces.last_mut() {
            Some((first, last))
                if ordinal - *last <= GAP
                    && ordinal - *first < LONGEST
                    && *first / CHUNK == ordinal / CHUNK =>
            {
                *last = *ordinal;
            }
            _ => pieces.push((*ordinal, *ordinal)),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together_and_chunks_apart() {
        assert_eq!(
            pieces(&[1, 3, 15, 40, 65_535, 65_536]),
            [(1, 15), (40, 40), (65_535, 65_535), (65_536, 65_536)]
        );
        assert!(pieces(&[]).is_empty());
        let many: Vec<u64> = (0..3_000).collect();
        assert_eq!(pieces(&many), [(0, 1_023), (1_024, 2_047), (2_048, 2_999)]);
    }
}
