//! What sparse sets have in common, found by the server.

use redis_client::redis::{self, Value};

use super::{
    chunks::ordinal_of,
    sets::{ATTEMPTS, Place, Read, Reading, is_known_dense},
    source::{NEWEST, Raw},
    split::Driver,
};
use crate::{
    apply::dictionary_name,
    error::RedisError,
    index::{Class, IndexTerm},
    layout::Fence,
    partition::{Counters, Partition},
    script::COMMON,
    shared::{Shared, members_of, values_of},
};

/// Members the server looks up in other sets in one call, which takes it about 0.1 µs each.
const LOOKUPS: usize = 4_096;

/// Whether there are sets that may be sparse and have to have every match.
pub(super) fn may_help(partition: &Partition, drivers: &[Driver]) -> bool {
    sparse(partition, partition.fence(), drivers).len() > 1
}

/// The drivers that are one set of ordinals each and may be sparse, by their numbers.
fn sparse<'a>(
    partition: &Partition,
    fence: Fence,
    drivers: &'a [Driver],
) -> Vec<(usize, &'a IndexTerm)> {
    let numbered = drivers.iter().enumerate();
    numbered
        .filter_map(|(number, driver)| match driver.terms.as_slice() {
            [term] if driver.class == Class::Ordinals => {
                (!is_known_dense(partition, fence, driver)).then_some((number, term))
            }
            _ => None,
        })
        .collect()
}

/// Everything from a place on that is in all of these sets; none if that is better found out
/// otherwise. One round trip, and everything of one moment.
pub(super) async fn read(
    shared: &Shared,
    partition: &Partition,
    drivers: &[Driver],
    place: Place,
) -> Result<Option<Reading>, RedisError> {
    for _ in 0..ATTEMPTS {
        let fence = partition.fence();
        let sets = sparse(partition, fence, drivers);
        let [(number, _), _, ..] = sets.as_slice() else {
            return Ok(None);
        };
        let names = sets
            .iter()
            .map(|(_, term)| dictionary_name(&term.as_bitmap()));
        let names: Vec<String> = names.collect();
        let keys = &partition.keys;
        let call = COMMON
            .call()
            .key(&keys.fence)
            .key(&keys.counters)
            .key(keys.dictionary(fence.active))
            .keys(
                sets.iter()
                    .map(|(_, term)| keys.term(fence.active, term, 0)),
            )
            .arg(LOOKUPS / sets.len())
            .arg(&names);
        let answer = Answer::read(shared.invoke(&call).await?)?;
        if !shared.is_current(partition, fence, answer.fence.as_ref())? {
            continue;
        }
        let listed = names.iter().zip(&answer.listed);
        let mut listed = listed.filter(|(_, listed)| **listed).peekable();
        if listed.peek().is_some() {
            // Known from now on.
            listed.for_each(|(name, _)| partition.mark_listed(std::iter::once(fence.active), name));
            continue;
        }
        let Some(mut ordinals) = answer.ordinals else {
            return Ok(None);
        };
        if place.upwards {
            ordinals.retain(|ordinal| *ordinal >= place.from);
        } else {
            ordinals.retain(|ordinal| place.from == NEWEST || *ordinal < place.from);
            ordinals.reverse();
        }
        let members = ordinals.into_iter();
        return Ok(Some(Reading::Of(
            *number,
            Read {
                members: members.map(|ordinal| Raw::request(ordinal, None)).collect(),
                until: None,
                newest: answer.counters.ordinals,
                sets: Vec::new(),
            },
        )));
    }
    Err(RedisError::Fenced)
}

/// What the script tells.
struct Answer {
    fence: Option<bytes::Bytes>,
    counters: Counters,
    /// For every name whether the dictionary has it.
    listed: Vec<bool>,
    /// Upwards; none if the server did not look.
    ordinals: Option<Vec<u64>>,
}

impl Answer {
    fn read(answer: Value) -> Result<Self, RedisError> {
        let wrong = || RedisError::Reply("governance.common");
        let Value::Array(parts) = answer else {
            return Err(wrong());
        };
        let mut parts = parts.into_iter();
        let about = values_of(Value::Array(parts.by_ref().take(2).collect()), 2)?;
        let [fence, counters] = <[_; 2]>::try_from(about).map_err(|_| wrong())?;
        let listed = parts.next().ok_or_else(wrong)?;
        let listed = redis::from_redis_value(listed).map_err(|_| wrong())?;
        let ordinals = parts.next().map(|members| {
            let members = members_of(Some(members))?;
            let ordinals = members.iter().map(|member| ordinal_of(member));
            let ordinals: Option<Vec<u64>> = ordinals.collect();
            ordinals.ok_or(RedisError::Reply("a member of a sorted set"))
        });
        Ok(Self {
            fence,
            counters: Counters::read(counters.as_deref())?,
            listed,
            ordinals: ordinals.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn an_answer_has_ordinals_or_none() {
        let head = [text("1:1:0:1"), Value::Nil];
        let listed =
            |numbers: &[i64]| Value::Array(numbers.iter().copied().map(Value::Int).collect());
        let read = |tail: Vec<Value>| Answer::read(Value::Array([head.to_vec(), tail].concat()));
        let members = Value::Array(vec![text("3"), text("70000")]);
        let answer = read(vec![listed(&[0, 0]), members]).unwrap();
        assert_eq!(
            (answer.listed, answer.ordinals),
            (vec![false; 2], Some(vec![3, 70_000]))
        );
        let answer = read(vec![listed(&[0, 1])]).unwrap();
        assert_eq!((answer.listed, answer.ordinals), (vec![false, true], None));
        assert!(read(vec![]).is_err());
        assert!(read(vec![listed(&[0]), Value::Array(vec![text("x")])]).is_err());
        assert!(Answer::read(Value::Nil).is_err());
    }
}
