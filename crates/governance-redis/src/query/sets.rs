//! Reads sorted sets of ordinals, several as one.

use std::{cmp::Reverse, sync::Arc};

use bytes::Bytes;
use redis_client::{
    Key, Operation,
    redis::{self, Cmd, Value},
};

use super::{
    chunks::{self, low_of, ordinal_of},
    foresight::{Part, State},
    source::{NEWEST, Raw},
    split::{Driver, Search},
};
use crate::{
    apply::dictionary_name,
    cache::IdSlot,
    error::RedisError,
    index::{Class, IndexTerm},
    keys::CHUNK,
    layout::Fence,
    partition::{Counters, Partition},
    shared::{Shared, members_of, mget, values_of},
};

const SETS: Operation = Operation::read("query_sets");
/// Members of a set of ordinals that are read at once. They are small.
const ORDINALS: usize = 1_024;
pub(super) const ATTEMPTS: usize = 8;
/// So few are judged by their documents, without asking the other sets first.
pub(super) const FEW: usize = 64;

/// A part of a union, in the order of the walk.
pub(super) struct Read {
    pub(super) members: Vec<Raw>,
    /// Where to go on: upwards the next ordinal, downwards the one below which. None at the end.
    pub(super) until: Option<u64>,
    /// The ordinal after the newest.
    pub(super) newest: u64,
    /// What each set had, where members tell ids.
    pub(super) sets: Vec<Vec<Member>>,
}

/// What came of reading drivers.
pub(super) enum Reading {
    /// Members of the driver with this number, which is the sparsest.
    Of(usize, Read),
    /// Every one has a value that is kept as bitmaps.
    Dense,
}

/// Where a walk goes on and how much of it is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) from: u64,
    pub(super) upwards: bool,
    pub(super) want: usize,
}

/// What is asked about drivers, to be sent behind a question for the values of [`about`].
pub(super) struct Question {
    pub(super) commands: Vec<Cmd>,
    pub(super) place: Place,
    fence: Fence,
    /// The numbers of the drivers that may be sparse.
    sparse: Vec<usize>,
    /// How many members were asked for, set by set.
    limits: Vec<usize>,
    names: Vec<String>,
    /// What is known already, unless something was written: then nothing is asked.
    known: Option<Arc<Part>>,
    /// Fence and counters that came with the answers.
    pub(super) state: Option<State>,
}

/// Reads the drivers on from a place. One round trip, none if it is known that they are dense.
///
/// Every match is in each driver, so the sparsest is the one to walk over; what others that were
/// read as far do not have is left out.
pub(super) async fn read(
    shared: &Shared,
    partition: &Partition,
    drivers: &[Driver],
    place: Place,
) -> Result<Reading, RedisError> {
    for _ in 0..ATTEMPTS {
        let Some(mut question) = Question::new(partition, drivers, place, &[]) else {
            return Ok(Reading::Dense);
        };
        let about = about(partition);
        let mut commands = vec![mget(&about)];
        commands.append(&mut question.commands);
        let mut answers = shared.together(SETS, partition, commands).await?;
        let mut about = values_of(answers.next().unwrap_or(Value::Nil), about.len())?.into_iter();
        if let Some(reading) =
            question.hear(shared, partition, drivers, &mut about, &mut answers)?
        {
            return Ok(reading);
        }
    }
    Err(RedisError::Fenced)
}

/// How many keys [`about`] has.
pub(super) const ABOUT: usize = 2;

/// The keys that are asked for before the commands of a question: the fence, so that what follows
/// is of a known generation, and the counters, so that nothing is taken for seen that came later.
pub(super) fn about(partition: &Partition) -> [Key; ABOUT] {
    [
        partition.keys.fence.clone(),
        partition.keys.counters.clone(),
    ]
}

/// Whether a value of this driver is known to be kept as bitmaps.
pub(super) fn is_known_dense(partition: &Partition, fence: Fence, driver: &Driver) -> bool {
    let is_listed =
        |term: &IndexTerm| partition.is_listed(fence.active, &dictionary_name(&term.as_bitmap()));
    driver.class == Class::Ordinals && driver.terms.iter().any(is_listed)
}

impl Question {
    /// What to ask; none if it is known that every driver is dense. An inbox is asked for about
    /// as many members as each of its sets is expected to have, if that is known.
    pub(super) fn new(
        partition: &Partition,
        drivers: &[Driver],
        place: Place,
        shares: &[usize],
    ) -> Option<Self> {
        let fence = partition.fence();
        let sparse: Vec<usize> = (0..drivers.len())
            .filter(|number| !is_known_dense(partition, fence, &drivers[*number]))
            .collect();
        if sparse.is_empty() {
            return None;
        }
        let (mut commands, mut limits) = (Vec::new(), Vec::new());
        for number in &sparse {
            let driver = &drivers[*number];
            for (at, term) in driver.terms.iter().enumerate() {
                let limit = limit(driver, place.want, shares.get(at));
                let key = partition.keys.term(fence.active, term, 0);
                commands.push(range(&key, place.from, place.upwards, limit));
                limits.push(limit);
            }
        }
        let names = names(sparse.iter().map(|number| &drivers[*number]));
        if !names.is_empty() {
            let mut ask = redis::cmd("SMISMEMBER");
            ask.arg(partition.keys.dictionary(fence.active)).arg(&names);
            commands.push(ask);
        }
        Some(Self {
            commands,
            place,
            fence,
            sparse,
            limits,
            names,
            known: None,
            state: None,
        })
    }

    /// Asks for fence and counters alone: while they are as they were, so is this.
    pub(super) fn unless_written(partition: &Partition, place: Place, known: Arc<Part>) -> Self {
        Self {
            commands: Vec::new(),
            place,
            fence: partition.fence(),
            sparse: Vec::new(),
            limits: Vec::new(),
            names: Vec::new(),
            known: Some(known),
            state: None,
        }
    }

    /// Whether it asked for fence and counters alone.
    pub(super) const fn is_short(&self) -> bool {
        self.known.is_some()
    }

    /// Takes its answers from those that came, and the values of [`about`] from theirs. None if it
    /// has to be asked anew.
    pub(super) fn hear(
        &mut self,
        shared: &Shared,
        partition: &Partition,
        drivers: &[Driver],
        about: &mut impl Iterator<Item = Option<Bytes>>,
        answers: &mut std::vec::IntoIter<Value>,
    ) -> Result<Option<Reading>, RedisError> {
        let upwards = self.place.upwards;
        let (told, counters) = (about.next().flatten(), about.next().flatten());
        if let Some(known) = &self.known {
            if !shared.is_current(partition, self.fence, told.as_ref())? {
                return Ok(None);
            }
            let state = (self.fence, Counters::read(counters.as_deref())?);
            return Ok(known.as_read(state).map(|read| Reading::Of(0, read)));
        }
        let mut sets = Vec::with_capacity(self.sparse.len());
        for number in &self.sparse {
            let driver = &drivers[*number];
            let members = driver.terms.iter().map(|_| {
                let found = members_of(answers.next())?;
                let members = found.iter().map(|member| member_of(member, driver.class));
                let members: Option<Vec<_>> = members.collect();
                members.ok_or(RedisError::Reply("a member of a sorted set"))
            });
            sets.push(members.collect::<Result<Vec<_>, _>>()?);
        }
        let dense = if self.names.is_empty() {
            false
        } else {
            listed(partition, self.fence, &self.names, answers.next())?
        };
        if !shared.is_current(partition, self.fence, told.as_ref())? {
            return Ok(None);
        }
        if dense {
            // Known from now on.
            return Ok(None);
        }
        let counters = Counters::read(counters.as_deref())?;
        self.state = Some((self.fence, counters));
        let newest = counters.ordinals;
        let mut limits = self.limits.as_slice();
        let reads = self.sparse.iter().zip(sets).map(|(number, sets)| {
            let (of_these, rest) = limits.split_at(sets.len());
            limits = rest;
            let mut read = join(&sets, of_these, upwards, newest);
            if drivers[*number].class == Class::Inbox {
                read.sets = sets;
            }
            (*number, read)
        });
        Ok(Some(choose(reads.collect(), upwards)))
    }
}

fn limit(driver: &Driver, want: usize, share: Option<&usize>) -> usize {
    match (driver.class, share) {
        // One more tells that nothing is in between, and a few may be gone.
        (Class::Inbox, Some(share)) => want.min(share + share / 8 + 1),
        (Class::Inbox, None) => want,
        (Class::Ordinals | Class::Bitmap, _) => ORDINALS.max(want),
    }
}

/// How many members each of these sets has up to an ordinal.
pub(super) fn shares(sets: &[Vec<Member>], last: u64, upwards: bool) -> Vec<usize> {
    let is_within = |(ordinal, _): &&Member| {
        if upwards {
            *ordinal <= last
        } else {
            *ordinal >= last
        }
    };
    let within = |set: &Vec<Member>| set.iter().take_while(is_within).count();
    sets.iter().map(within).collect()
}

fn range(key: &Key, from: u64, upwards: bool, limit: usize) -> Cmd {
    let mut range = redis::cmd("ZRANGE");
    range.arg(key);
    match (upwards, from) {
        (true, from) => range.arg(from).arg("+inf").arg("BYSCORE"),
        (false, NEWEST) => range.arg("+inf").arg("-inf").arg("BYSCORE").arg("REV"),
        (false, from) => range
            .arg(format!("({from}"))
            .arg("-inf")
            .arg("BYSCORE")
            .arg("REV"),
    };
    range.arg("LIMIT").arg(0).arg(limit);
    range
}

/// What the values of these drivers are called when they have bitmaps.
fn names<'a>(drivers: impl Iterator<Item = &'a Driver>) -> Vec<String> {
    drivers
        .filter(|driver| driver.class == Class::Ordinals)
        .flat_map(|driver| &driver.terms)
        .map(|term| dictionary_name(&term.as_bitmap()))
        .collect()
}

/// Whether one of these names has bitmaps. Which ones is remembered.
fn listed(
    partition: &Partition,
    fence: Fence,
    names: &[String],
    answer: Option<Value>,
) -> Result<bool, RedisError> {
    let listed: Vec<bool> = answer
        .and_then(|answer| redis::from_redis_value(answer).ok())
        .ok_or(RedisError::Reply("SMISMEMBER"))?;
    for (name, _) in names.iter().zip(&listed).filter(|(_, listed)| **listed) {
        partition.mark_listed(std::iter::once(fence.active), name);
    }
    Ok(listed.contains(&true))
}

/// Takes the driver that was read furthest.
fn choose(mut reads: Vec<(usize, Read)>, upwards: bool) -> Reading {
    let distance = |read: &Read| match (read.until, upwards) {
        (None, _) => u64::MAX,
        (Some(until), true) => until,
        (Some(until), false) => u64::MAX - 1 - until,
    };
    let Some(best) = (0..reads.len()).max_by_key(|i| {
        let (_, read) = &reads[*i];
        (distance(read), Reverse(read.members.len()))
    }) else {
        return Reading::Dense;
    };
    let (number, mut best) = reads.swap_remove(best);
    for (_, other) in &reads {
        // Both are in the order of the walk, so one pass over both tells.
        let mut others = other.members.iter().map(|raw| raw.ordinal).peekable();
        best.members.retain(|raw| {
            let is_behind = match (other.until, upwards) {
                (None, _) => false,
                (Some(until), true) => raw.ordinal >= until,
                (Some(until), false) => raw.ordinal < until,
            };
            let is_before =
                |ordinal: &u64| (*ordinal < raw.ordinal) == upwards && *ordinal != raw.ordinal;
            while others.next_if(is_before).is_some() {}
            is_behind || others.peek() == Some(&raw.ordinal)
        });
    }
    Reading::Of(number, best)
}

/// The ordinal of a member, and its slot if it tells that. Scores are not asked for.
pub(super) type Member = (u64, Option<IdSlot>);

fn member_of(member: &[u8], class: Class) -> Option<Member> {
    match class {
        Class::Inbox => IdSlot::of_member(member).map(|(slot, ordinal)| (ordinal, Some(slot))),
        Class::Ordinals | Class::Bitmap => Some((ordinal_of(member)?, None)),
    }
}

/// One walk over several sets. A set that was cut off hides what is behind its last member.
fn join(sets: &[Vec<Member>], limits: &[usize], upwards: bool, newest: u64) -> Read {
    let last = |set: &Vec<Member>| set.last().map_or(0, |(ordinal, _)| *ordinal);
    let cut = sets
        .iter()
        .zip(limits)
        .filter(|(set, limit)| set.len() >= **limit)
        .map(|(set, _)| last(set));
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
    let mut members: Vec<Member> = sets
        .iter()
        .flatten()
        .filter(|(ordinal, _)| is_seen(*ordinal))
        .copied()
        .collect();
    if sets.len() > 1 {
        members.sort_unstable_by_key(|(ordinal, _)| *ordinal);
        members.dedup_by_key(|(ordinal, _)| *ordinal);
        if !upwards {
            members.reverse();
        }
    }
    let raw = members.into_iter();
    Read {
        members: raw
            .map(|(ordinal, slot)| Raw::request(ordinal, slot))
            .collect(),
        until: edge.map(|edge| if upwards { edge + 1 } else { edge }),
        newest,
        sets: Vec::new(),
    }
}

/// Leaves out what bitmaps tell is no match, when that is worth a round trip; `with_sets` asks
/// sorted sets too, which are short unless they are inboxes.
pub(super) async fn narrow(
    shared: &Shared,
    partition: &Partition,
    search: &Search,
    with_sets: bool,
    members: Vec<Raw>,
) -> Result<Vec<Raw>, RedisError> {
    let filter = if with_sets {
        Some(search.clone())
    } else {
        search.bitmaps_only()
    };
    let Some(filter) = filter else {
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
        let low = low_of(raw.ordinal);
        let chunk = raw.ordinal / CHUNK;
        let bits = answered.chunks.iter().find(|(number, _)| *number == chunk);
        bits.is_some_and(|(_, bits)| bits.contains(low))
    };
    Ok(members.into_iter().filter(is_in).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ordinals: &[u64]) -> Vec<Member> {
        ordinals.iter().map(|ordinal| (*ordinal, None)).collect()
    }

    fn ordinals(read: &Read) -> Vec<u64> {
        read.members.iter().map(|raw| raw.ordinal).collect()
    }

    #[test]
    fn what_another_set_was_read_past_and_lacks_is_left_out() {
        for upwards in [true, false] {
            let read = |mut ordinals: Vec<u64>, until: Option<u64>| {
                if !upwards {
                    ordinals.reverse();
                }
                let members = ordinals
                    .into_iter()
                    .map(|ordinal| Raw::request(ordinal, None));
                Read {
                    members: members.collect(),
                    until,
                    newest: 100,
                    sets: Vec::new(),
                }
            };
            // Upwards read below 40, downwards from 10 on.
            let cut = Some(if upwards { 40 } else { 10 });
            let reads = vec![
                (0, read(vec![10, 20, 30, 35], cut)),
                (1, read(vec![5, 10, 15, 30, 36, 40, 50], None)),
            ];
            let Reading::Of(1, chosen) = choose(reads, upwards) else {
                panic!("the one that was read to its end");
            };
            let mut left = ordinals(&chosen);
            left.sort_unstable();
            let expected: &[u64] = if upwards {
                &[10, 30, 40, 50]
            } else {
                &[5, 10, 30]
            };
            assert_eq!(left, expected, "upwards: {upwards}");
        }
    }

    #[test]
    fn a_set_that_is_cut_off_hides_what_follows() {
        let read = join(&[set(&[1, 4, 6]), set(&[2, 9])], &[3, 3], true, 10);
        assert_eq!((ordinals(&read), read.until), (vec![1, 2, 4, 6], Some(7)));
        let read = join(&[set(&[9, 4, 3]), set(&[8, 2])], &[3, 3], false, 10);
        assert_eq!((ordinals(&read), read.until), (vec![9, 8, 4, 3], Some(3)));
        let read = join(&[set(&[1, 4]), set(&[1])], &[3, 3], true, 10);
        assert_eq!((ordinals(&read), read.until), (vec![1, 4], None));
    }
}
