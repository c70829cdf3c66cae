//! Reads the journal: which decisions were stored, in the order of storing.

use futures_util::future::try_join;
use redis_client::{Operation, redis};

use super::{
    sets,
    source::{NEWEST, Raw},
    split::Search,
};
use crate::{
    error::RedisError,
    keys::JOURNAL_CHUNK,
    partition::{Counters, Partition},
    shared::Shared,
};

const JOURNAL: Operation = Operation::read("query_journal");
/// Entries that are read at once.
pub(super) const LONGEST: u64 = 1_024;
const ENTRY: u64 = 16;

/// A decision is known by its entry and its place in it.
const PLACES: u64 = 1 << 16;

pub(super) struct Read {
    pub(super) decisions: Vec<Raw>,
    pub(super) until: u64,
    pub(super) is_end: bool,
}

/// One write as the journal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) stamp: u64,
    pub(crate) ordinal: u64,
    pub(crate) first: u16,
    pub(crate) count: u16,
}

impl Entry {
    /// As the script writes it.
    pub(crate) fn write(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..7].copy_from_slice(&self.stamp.to_be_bytes()[1..]);
        bytes[7..12].copy_from_slice(&self.ordinal.to_be_bytes()[3..]);
        bytes[12..14].copy_from_slice(&self.first.to_be_bytes());
        bytes[14..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    pub(crate) fn read(bytes: [u8; 16]) -> Self {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        Self {
            stamp: number(&bytes[..7]),
            ordinal: number(&bytes[7..12]),
            first: u16::from_be_bytes([bytes[12], bytes[13]]),
            count: u16::from_be_bytes([bytes[14], bytes[15]]),
        }
    }
}

/// Reads up to so many entries on from a place, which is a decision. One round trip, another when
/// it has to be narrowed, and another when the end of the journal was not where it was thought.
pub(super) async fn read(
    shared: &Shared,
    partition: &Partition,
    narrow: Option<&Search>,
    from: u64,
    upwards: bool,
    step: u64,
) -> Result<Read, RedisError> {
    let guess = partition.hint().entries;
    let bounds = |newest: u64| {
        if upwards {
            let first = from / PLACES;
            let of_chunk = (first / JOURNAL_CHUNK + 1) * JOURNAL_CHUNK;
            return (first, (first + step).min(of_chunk));
        }
        let end = if from == NEWEST {
            newest
        } else {
            from.div_ceil(PLACES)
        };
        let of_chunk = end.saturating_sub(1) / JOURNAL_CHUNK * JOURNAL_CHUNK;
        (end.saturating_sub(step).max(of_chunk), end)
    };
    let (mut first, mut end) = bounds(guess);
    let newest = newest(shared, partition);
    let (newest, mut entries) = try_join(newest, range(shared, partition, first, end)).await?;
    if upwards {
        end = end.min(newest).max(first);
    } else if from == NEWEST && newest != guess {
        (first, end) = bounds(newest);
        entries = range(shared, partition, first, end).await?;
    }
    let mut decisions: Vec<Raw> = Vec::new();
    for (number, entry) in (first..end).zip(entries) {
        let places = (0..entry.count).map(|place| Raw {
            at: number * PLACES + u64::from(place),
            ordinal: entry.ordinal,
            slot: None,
            stamp: Some(entry.stamp),
            decision: usize::from(entry.first) + usize::from(place),
        });
        let wanted = |raw: &Raw| {
            if upwards {
                raw.at >= from
            } else {
                raw.at < from
            }
        };
        decisions.extend(places.filter(wanted));
    }
    if !upwards {
        decisions.reverse();
    }
    if let Some(search) = narrow {
        decisions = sets::narrow(shared, partition, search, false, decisions).await?;
    }
    Ok(Read {
        decisions,
        until: if upwards {
            from.max(end * PLACES)
        } else {
            first * PLACES
        },
        is_end: if upwards { end >= newest } else { first == 0 },
    })
}

async fn newest(shared: &Shared, partition: &Partition) -> Result<u64, RedisError> {
    let key = [partition.keys.counters.clone()];
    let value = shared.values(JOURNAL, partition, &key).await?;
    let value = value.into_iter().next().flatten();
    Ok(Counters::read(value.as_deref())?.entries)
}

/// Entries of one chunk of the journal.
pub(crate) async fn range(
    shared: &Shared,
    partition: &Partition,
    first: u64,
    end: u64,
) -> Result<Vec<Entry>, RedisError> {
    if first >= end {
        return Ok(Vec::new());
    }
    let key = partition.keys.journal(first / JOURNAL_CHUNK);
    let skip = first / JOURNAL_CHUNK * JOURNAL_CHUNK;
    let mut range = redis::cmd("GETRANGE");
    range
        .arg(&key)
        .arg((first - skip) * ENTRY)
        .arg((end - skip) * ENTRY - 1);
    let bytes: Vec<u8> = shared.query(JOURNAL, &key, &range).await?;
    let (entries, _) = bytes.as_chunks();
    Ok(entries.iter().map(|entry| Entry::read(*entry)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_what_the_script_packs() {
        // struct.pack('>I7I5I2I2', 0x01020304050607, 0x08090a0b0c, 0x0d0e, 0x0f10)
        let bytes: [u8; 16] = std::array::from_fn(|i| i as u8 + 1);
        let entry = Entry {
            stamp: 0x0001_0203_0405_0607,
            ordinal: 0x0008_090a_0b0c,
            first: 0x0d0e,
            count: 0x0f10,
        };
        assert_eq!(Entry::read(bytes), entry);
    }
}
