//! What earlier pages tell about the next one.
//!
//! What is expected of a page is a guess: it decides what is asked for together with what has to be
//! asked anyway, never what is on the page. It is used as an answer in one case: while fence and
//! counters of the partition are what they were. Every write raises the counters, and whatever else
//! changes an index changes the fence.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use governance_core::Digest;

use super::{
    sets::{Place, Read},
    source::{Candidate, Raw},
    split::Search,
};
use crate::{
    cache::IdSlot,
    layout::Fence,
    partition::{Counters, Hint},
    recent::Recent,
};

/// Guesses of a store, as many as fit.
#[derive(Debug)]
pub(crate) struct Foresight {
    hash: RandomState,
    parts: Recent<u64, Arc<Part>>,
    /// What turned out to be true of some searches.
    traits: Recent<u64, ()>,
}

/// The part of a page that came from one partition.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    /// Of which walk, lest another has the same number.
    pub(super) of: Walk,
    /// Fence and counters when it was read; none if it was not read as a whole.
    pub(super) state: Option<State>,
    /// Where a walk goes on behind it, and the ordinal after the newest.
    pub(super) until: Option<u64>,
    pub(super) newest: u64,
    /// Whether nothing was written to the partition between the last two times it was read.
    pub(super) is_quiet: bool,
    /// In the order of the walk.
    pub(super) members: Vec<(u64, IdSlot)>,
    /// How many of them each set had; none if that is not known.
    pub(super) shares: Vec<usize>,
    /// Whether it may be asked for: not while the page changes from one time to the next.
    pub(super) is_steady: bool,
}

/// Fence and counters of a partition.
pub(super) type State = (Fence, Counters);

/// A walk over an inbox, from a place on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Walk {
    search: Digest,
    partition: u16,
    from: u64,
    upwards: bool,
    want: usize,
}

/// Where a part of a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    number: u64,
    of: Walk,
}

const MIXED: u8 = 0;
const SCARCE: u8 = 1;
/// Traits that are kept. They take no more room than a number each.
const TRAITS: usize = 4_096;
/// What an entry takes beside its members.
const BESIDE: usize = 256;

impl Foresight {
    /// One that takes about so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            hash: RandomState::new(),
            parts: Recent::new(bytes),
            traits: Recent::new(TRAITS),
        }
    }

    pub(crate) fn clear(&self) {
        self.parts.clear();
        self.traits.clear();
    }

    /// Where a walk over the inbox of a search goes on.
    pub(super) fn start(&self, partition: u16, search: &Search, place: Place) -> Option<Start> {
        let Place {
            from,
            upwards,
            want,
        } = place;
        let of = Walk {
            search: search.digest?,
            partition,
            from,
            upwards,
            want,
        };
        let number = self.of(&of);
        Some(Start { number, of })
    }

    /// What is expected from there on.
    pub(super) fn expected(&self, start: Start) -> Option<Arc<Part>> {
        let part = self.parts.get(&start.number)?;
        (part.of == start.of).then_some(part)
    }

    /// Takes note of what was found from there on, where `before` was expected.
    pub(super) fn found(&self, start: Start, before: Option<&Arc<Part>>, mut part: Part) {
        part.is_steady = before.is_none_or(|before| before.is_like(&part));
        part.is_quiet = before.is_some_and(|before| before.state == part.state);
        if before.is_none_or(|before| **before != part) {
            self.expect(start, part);
        }
    }

    /// Takes note that something was written since.
    pub(super) fn changed(&self, start: Start, before: &Part) {
        let part = Part {
            is_quiet: false,
            ..before.clone()
        };
        self.expect(start, part);
    }

    /// Expects something.
    pub(super) fn expect(&self, start: Start, part: Part) {
        let weight = part.weight();
        self.parts.put(start.number, Arc::new(part), weight);
    }

    /// Whether the inbox of a search had many requests that are no matches.
    pub(super) fn is_mixed(&self, partition: u16, search: &Search) -> bool {
        self.has(self.of(&(search.digest, partition, MIXED)))
    }

    pub(super) fn set_mixed(&self, partition: u16, search: &Search, is_mixed: bool) {
        self.set(self.of(&(search.digest, partition, MIXED)), is_mixed);
    }

    /// Whether the keen part of a search left little of whole chunks.
    pub(super) fn is_scarce(&self, partition: u16, search: &Search) -> bool {
        self.has(self.of(&(search.digest, partition, SCARCE)))
    }

    pub(super) fn set_scarce(&self, partition: u16, search: &Search, is_scarce: bool) {
        self.set(self.of(&(search.digest, partition, SCARCE)), is_scarce);
    }

    fn of(&self, of: &impl Hash) -> u64 {
        self.hash.hash_one(of)
    }

    fn has(&self, number: u64) -> bool {
        self.traits.get(&number).is_some()
    }

    fn set(&self, number: u64, is_so: bool) {
        match (self.has(number), is_so) {
            (false, true) => self.traits.put(number, (), 1),
            (true, false) => self.traits.forget(&number),
            _ => {}
        }
    }
}

impl Part {
    /// The first `most` of what was found, as far as it tells ids.
    pub(super) fn of(start: Start, found: impl Iterator<Item = Raw>, most: usize) -> Self {
        let members = found.take(most);
        Self {
            of: start.of,
            state: None,
            until: None,
            newest: 0,
            is_quiet: false,
            members: members
                .map_while(|raw| Some((raw.ordinal, raw.slot?)))
                .collect(),
            shares: Vec::new(),
            is_steady: true,
        }
    }

    fn weight(&self) -> usize {
        BESIDE + size_of_val(&*self.members) + size_of_val(&*self.shares)
    }

    /// Whether at least half of this is in another.
    fn is_like(&self, other: &Self) -> bool {
        let mut others = other.members.iter().map(|(ordinal, _)| *ordinal);
        // Both are in the same order. What the other lacks uses it up, so is looked for anew.
        let known = self.members.iter().filter(|(ordinal, _)| {
            let mut rest = others.clone();
            let is_known = rest.any(|other| other == *ordinal);
            if is_known {
                others = rest;
            }
            is_known
        });
        known.count() * 2 >= self.members.len()
    }

    /// Whether it is worth asking if it is still so: nothing was written lately, as far as is known.
    pub(super) fn may_hold(&self, known: Hint) -> bool {
        // Others may have written, so what is known here may be older.
        let is_newest = |(_, counters): State| counters.stamp >= known.stamp;
        self.is_quiet && self.state.is_some_and(is_newest)
    }

    /// What a reading would find, if the partition is in this state.
    pub(super) fn as_read(&self, state: State) -> Option<Read> {
        (self.state? == state).then(|| {
            let members = self.members.iter();
            Read {
                members: members
                    .map(|(ordinal, slot)| Raw::request(*ordinal, Some(*slot)))
                    .collect(),
                until: self.until,
                newest: self.newest,
                sets: Vec::new(),
            }
        })
    }

    /// Leaves what was taken, up to an ordinal, and the member behind that, with the place behind
    /// both.
    pub(super) fn truncate(&mut self, taken: Option<u64>) {
        let is_taken = |(ordinal, _): &&(u64, IdSlot)| {
            taken.is_some_and(|last| {
                if self.of.upwards {
                    *ordinal <= last
                } else {
                    *ordinal >= last
                }
            })
        };
        let most = self.members.iter().take_while(is_taken).count() + 1;
        if self.members.len() > most {
            self.members.truncate(most);
            let last = self.members.last().map(|(ordinal, _)| *ordinal);
            let place = |last: u64| if self.of.upwards { last + 1 } else { last };
            self.until = Some(last.map_or(self.of.from, place));
        }
    }

    /// Its members as they would be found.
    pub(super) fn candidates(&self, partition: u16) -> impl Iterator<Item = Candidate> {
        self.members.iter().map(move |(ordinal, slot)| Candidate {
            partition,
            at: *ordinal,
            ordinal: *ordinal,
            id: slot.id,
            stamp: slot.stamp,
            due: 0.0,
            decision: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use governance_core::{Expr, IdSource as _, Timestamp};
    use governance_testkit::fixtures::{SeededIds, scope};

    use super::*;

    fn part(start: Start, ordinals: &[u64]) -> Part {
        let ids = SeededIds::new(1);
        let id = ids.request_id(Timestamp::from_micros(1), scope("a").slot());
        let slot = Some(IdSlot { id, stamp: 0 });
        let found = ordinals.iter().map(|ordinal| Raw::request(*ordinal, slot));
        Part::of(start, found, usize::MAX)
    }

    fn search() -> Search {
        Search::of(&Expr::Everything, &Digest::of("query"))
    }

    fn place(want: usize) -> Place {
        Place {
            from: 0,
            upwards: true,
            want,
        }
    }

    #[test]
    fn a_page_that_changes_is_not_asked_for_until_it_settles() {
        let foresight = Foresight::new(1 << 16);
        let start = foresight.start(0, &search(), place(3)).unwrap();
        let is_steady = |ordinals: &[u64]| {
            let before = foresight.expected(start);
            foresight.found(start, before.as_ref(), part(start, ordinals));
            foresight.expected(start).map(|part| part.is_steady)
        };
        assert_eq!(is_steady(&[1, 2, 3]), Some(true));
        assert_eq!(is_steady(&[2, 3, 4]), Some(true), "most were there before");
        assert_eq!(is_steady(&[7, 8, 9]), Some(false));
        assert_eq!(is_steady(&[7, 8, 9]), Some(true));
        assert_eq!(is_steady(&[]), Some(false));
    }

    #[test]
    fn what_differs_is_kept_apart_and_no_more_than_there_is_room_for() {
        let foresight = Foresight::new(1 << 12);
        let starts = [(0, 3), (1, 3), (0, 4)];
        let starts = starts
            .map(|(partition, want)| foresight.start(partition, &search(), place(want)).unwrap());
        foresight.expect(starts[0], part(starts[0], &[1]));
        assert!(foresight.expected(starts[1]).is_none());
        assert!(foresight.expected(starts[2]).is_none());
        for partition in 1..100 {
            let start = foresight.start(partition, &search(), place(3)).unwrap();
            foresight.expect(start, part(start, &[1, 2, 3]));
            assert!(foresight.expected(start).is_some());
        }
        assert!(foresight.expected(starts[0]).is_none());
        let nothing = Foresight::new(0);
        nothing.expect(starts[0], part(starts[0], &[1]));
        assert!(nothing.expected(starts[0]).is_none());
    }

    #[test]
    fn what_is_left_of_a_part_says_where_to_go_on() {
        let foresight = Foresight::new(1 << 12);
        for upwards in [true, false] {
            let from = if upwards { 1 } else { 9 };
            let place = Place {
                from,
                upwards,
                want: 3,
            };
            let start = foresight.start(0, &search(), place).unwrap();
            let mut ordinals = vec![2, 4, 6, 8];
            if !upwards {
                ordinals.reverse();
            }
            let left = |taken: Option<u64>| {
                let mut part = part(start, &ordinals);
                part.truncate(taken);
                let left: Vec<u64> = part.members.iter().map(|(ordinal, _)| *ordinal).collect();
                (left, part.until)
            };
            let (first, second, last) = (ordinals[0], ordinals[1], ordinals[3]);
            let behind = |ordinal: u64| Some(if upwards { ordinal + 1 } else { ordinal });
            assert_eq!(left(None), (vec![first], behind(first)));
            assert_eq!(left(Some(first)), (vec![first, second], behind(second)));
            assert_eq!(left(Some(last)), (ordinals.clone(), None));
        }
    }

    #[test]
    fn a_part_is_an_answer_while_nothing_was_written() {
        let foresight = Foresight::new(1 << 12);
        let start = foresight.start(0, &search(), place(3)).unwrap();
        let state = |stamp: u64| {
            let fence: Fence = "1:1:0:1".parse().unwrap();
            let counters = Counters {
                stamp,
                ..Counters::default()
            };
            (fence, counters)
        };
        let found = |stamp: u64| {
            let before = foresight.expected(start);
            let part = Part {
                state: Some(state(stamp)),
                ..part(start, &[1, 2])
            };
            foresight.found(start, before.as_ref(), part);
            foresight.expected(start).unwrap()
        };
        assert!(!found(1).is_quiet, "it was seen once");
        let quiet = found(1);
        assert!(quiet.is_quiet);
        assert!(quiet.as_read(state(1)).is_some());
        assert!(quiet.as_read(state(2)).is_none());
        foresight.changed(start, &quiet);
        assert!(!foresight.expected(start).unwrap().is_quiet);
        assert!(!found(2).is_quiet);
        assert!(part(start, &[1]).as_read(state(1)).is_none());
    }

    #[test]
    fn traits_come_and_go() {
        let foresight = Foresight::new(0);
        let search = search();
        foresight.set_mixed(0, &search, true);
        assert!(foresight.is_mixed(0, &search) && !foresight.is_mixed(1, &search));
        assert!(!foresight.is_scarce(0, &search));
        foresight.set_mixed(0, &search, false);
        assert!(!foresight.is_mixed(0, &search));
    }
}
