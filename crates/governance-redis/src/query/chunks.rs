//! Evaluates an expression chunk by chunk.

use futures_util::future::try_join_all;
use governance_core::Term;
use redis_client::{
    Key, Operation,
    redis::{self, Value},
};

use super::{bits::Bits, operands::Operands, split::Search};
use crate::{
    cache::IdSlot,
    error::RedisError,
    index::{Class, IndexTerm},
    keys::CHUNK,
    layout::Fence,
    partition::{Counters, Hint, Partition},
    shared::{Shared, members_of, mget, values_of},
};

const CHUNKS: Operation = Operation::read("query_chunks");
/// Most bitmaps that are asked for together: 512 KiB of them.
const BITMAPS: usize = 64;
/// Most bitmaps of one answer. Answers are under way together: while one is taken apart, the
/// server gets the next ready, and memory is needed for one or two of them.
const IN_ONE_ANSWER: usize = 16;
/// How often a read is done anew because the layout changed under it.
const ATTEMPTS: usize = 8;

/// Some chunks of an answer, and the counters as they were.
pub(super) struct Answered {
    pub(super) chunks: Vec<(u64, Bits)>,
    pub(super) counters: Counters,
}

/// How many chunks of this search are read at once at most.
pub(super) fn at_once(search: &Search) -> usize {
    (BITMAPS / bitmaps(search)).max(1)
}

/// How many bitmaps the search needs of one chunk, at least one.
fn bitmaps(search: &Search) -> usize {
    let has_bitmaps = |term: &&Term| Class::of(term.dimension()) != Class::Inbox;
    let terms = search.terms();
    let bitmaps = terms.iter().filter(has_bitmaps).count() + usize::from(search.needs_live());
    bitmaps.max(1)
}

/// Evaluates the search on these chunks, which follow one another. One round trip.
///
/// The bitmaps of a chunk, the fence and the counters come in one answer, so they are of one
/// moment; sorted sets come in answers of their own, beside it.
pub(super) async fn evaluate(
    shared: &Shared,
    partition: &Partition,
    search: &Search,
    chunks: &[u64],
) -> Result<Answered, RedisError> {
    for _ in 0..ATTEMPTS {
        let (fence, hint) = (partition.fence(), partition.hint());
        let in_one_answer = (IN_ONE_ANSWER / bitmaps(search)).max(1);
        let answers = chunks.len().div_ceil(in_one_answer).max(1);
        let parts = chunks
            .chunks(chunks.len().div_ceil(answers).max(1))
            .map(|chunks| once(shared, partition, search, chunks, fence, hint));
        let parts: Option<Vec<Answered>> = try_join_all(parts).await?.into_iter().collect();
        let whole = parts.and_then(|parts| {
            parts.into_iter().reduce(|mut whole, part| {
                whole.chunks.extend(part.chunks);
                // The earliest: what came after it may be missing in its chunks.
                if part.counters.ordinals < whole.counters.ordinals {
                    whole.counters = part.counters;
                }
                whole
            })
        });
        if let Some(whole) = whole {
            return Ok(whole);
        }
    }
    Err(RedisError::Fenced)
}

async fn once(
    shared: &Shared,
    partition: &Partition,
    search: &Search,
    chunks: &[u64],
    fence: Fence,
    hint: Hint,
) -> Result<Option<Answered>, RedisError> {
    let terms: Vec<Term> = search.terms().into_iter().collect();
    let (mut bitmaps, mut sets) = (Vec::new(), Vec::new());
    for (number, term) in terms.iter().enumerate() {
        let index = IndexTerm::from(term);
        // A value of many requests is in bitmaps, whatever its dimension.
        if index.class() != Class::Inbox {
            bitmaps.push((number, index.as_bitmap()));
        }
        if index.class() != Class::Bitmap {
            sets.push((number, index));
        }
    }
    let keys = &partition.keys;
    let mut wanted: Vec<Key> = vec![keys.fence.clone(), keys.counters.clone()];
    let live = search.needs_live();
    for chunk in chunks {
        if live {
            wanted.push(keys.live(fence.active, *chunk));
        }
        wanted.extend(
            bitmaps
                .iter()
                .map(|(_, term)| keys.term(fence.active, term, *chunk)),
        );
    }
    let (first, last) = match (chunks.iter().min(), chunks.iter().max()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => return Ok(None),
    };
    let mut commands = vec![mget(&wanted)];
    commands.extend(sets.iter().map(|(_, index)| {
        let mut range = redis::cmd("ZRANGE");
        range
            .arg(keys.term(fence.active, index, first))
            .arg(first * CHUNK)
            .arg(format!("({}", (last + 1) * CHUNK))
            .arg("BYSCORE");
        range
    }));
    let mut answers = shared.together(CHUNKS, partition, commands).await?;
    let values = values_of(answers.next().unwrap_or(Value::Nil), wanted.len())?;
    let mut values = values.into_iter();
    let told = values.next().flatten();
    if !shared.is_current(partition, fence, told.as_ref())? {
        return Ok(None);
    }
    let counters = Counters::read(values.next().flatten().as_deref())?;
    let told = Hint {
        ordinals: counters.ordinals,
        stamp: counters.stamp,
        entries: counters.entries,
    };
    shared.learn_read(partition, hint, told).await?;
    let mut operands = Operands::new(terms, chunks);
    for chunk in operands.chunks() {
        if live {
            chunk.live = values.next().flatten();
        }
        for (number, _) in &bitmaps {
            chunk.terms[*number].bitmap = values.next().flatten();
        }
    }
    for (number, index) in &sets {
        for member in members_of(answers.next())? {
            let ordinal = match index.class() {
                Class::Inbox => IdSlot::of_member(&member).map(|(_, ordinal)| ordinal),
                Class::Ordinals | Class::Bitmap => ordinal_of(&member),
            };
            let ordinal = ordinal.ok_or(RedisError::Reply("a member of a sorted set"))?;
            operands.insert(*number, ordinal);
        }
    }
    Ok(Some(Answered {
        chunks: operands.evaluate(&search.expr),
        counters,
    }))
}

/// The ordinal that a member of a set of ordinals is.
pub(super) fn ordinal_of(member: &[u8]) -> Option<u64> {
    std::str::from_utf8(member).ok()?.parse().ok()
}

/// The place of an ordinal in its chunk.
pub(super) fn low_of(ordinal: u64) -> u16 {
    u16::try_from(ordinal % CHUNK).unwrap_or(0)
}
