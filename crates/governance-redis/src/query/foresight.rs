//! What earlier pages tell about the next one.
//!
//! All of it are guesses: they decide what is asked for together with what has to be asked anyway,
//! never what is on a page. So they may be old, lost, or of somebody else's query with the same
//! hash.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::Arc,
};

use super::{
    sets::Place,
    source::{Candidate, Raw},
    split::Search,
};
use crate::cache::{IdSlot, Recent};

/// Guesses of a store, as many as fit.
#[derive(Debug)]
pub(crate) struct Foresight {
    hash: RandomState,
    parts: Recent<u64, Arc<Part>>,
    /// What turned out to be true of some searches.
    traits: Recent<u64, ()>,
}

/// The part of a page that came from one partition.
#[derive(Debug)]
pub(super) struct Part {
    /// In the order of the walk.
    pub(super) members: Vec<(u64, IdSlot)>,
    /// How many of them each set had; none if that is not known.
    pub(super) shares: Vec<usize>,
    /// Whether it may be asked for: not while the page changes from one time to the next.
    pub(super) is_steady: bool,
}

/// Where a part of a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start(u64);

const MIXED: u8 = 0;
const SCARCE: u8 = 1;
/// Traits that are kept. They take no more room than a number each.
const TRAITS: usize = 4_096;
/// What an entry takes beside its members.
const BESIDE: usize = 160;

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
    pub(super) fn start(&self, partition: u16, search: &Search, place: Place) -> Start {
        let Place {
            from,
            upwards,
            want,
        } = place;
        Start(self.of(&(search.number, partition, from, upwards, want)))
    }

    /// What is expected from there on.
    pub(super) fn expected(&self, start: Start) -> Option<Arc<Part>> {
        self.parts.get(&start.0, |part| part.weight())
    }

    /// Takes note of what was found from there on, where `before` was expected.
    pub(super) fn found(&self, start: Start, before: Option<&Arc<Part>>, mut part: Part) {
        let is_as_before = |before: &Part| {
            before.is_steady && before.members == part.members && before.shares == part.shares
        };
        if before.is_some_and(|before| is_as_before(before)) {
            return;
        }
        part.is_steady = before.is_none_or(|before| before.is_like(&part));
        self.expect(start, part);
    }

    /// Expects something.
    pub(super) fn expect(&self, start: Start, part: Part) {
        let weight = part.weight();
        self.parts.put(start.0, Arc::new(part), weight);
    }

    /// Whether the inbox of a search had many requests that are no matches.
    pub(super) fn is_mixed(&self, partition: u16, search: &Search) -> bool {
        self.has(self.of(&(search.number, partition, MIXED)))
    }

    pub(super) fn set_mixed(&self, partition: u16, search: &Search, is_mixed: bool) {
        self.set(self.of(&(search.number, partition, MIXED)), is_mixed);
    }

    /// Whether the keen part of a search left little of whole chunks.
    pub(super) fn is_scarce(&self, partition: u16, search: &Search) -> bool {
        self.has(self.of(&(search.number, partition, SCARCE)))
    }

    pub(super) fn set_scarce(&self, partition: u16, search: &Search, is_scarce: bool) {
        self.set(self.of(&(search.number, partition, SCARCE)), is_scarce);
    }

    fn of(&self, of: &impl Hash) -> u64 {
        self.hash.hash_one(of)
    }

    fn has(&self, number: u64) -> bool {
        self.traits.get(&number, |()| 1).is_some()
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
    pub(super) fn of(found: impl Iterator<Item = Raw>, most: usize) -> Self {
        let members = found.take(most);
        Self {
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

    fn part(ordinals: &[u64]) -> Part {
        let ids = SeededIds::new(1);
        let id = ids.request_id(Timestamp::from_micros(1), scope("a").slot());
        let slot = Some(IdSlot { id, stamp: 0 });
        let found = ordinals.iter().map(|ordinal| Raw::request(*ordinal, slot));
        Part::of(found, usize::MAX)
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
        let start = foresight.start(0, &Search::new(&Expr::Everything), place(3));
        let is_steady = |ordinals: &[u64]| {
            let before = foresight.expected(start);
            foresight.found(start, before.as_ref(), part(ordinals));
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
        let search = Search::new(&Expr::Everything);
        let starts = [(0, 3), (1, 3), (0, 4)];
        let starts =
            starts.map(|(partition, want)| foresight.start(partition, &search, place(want)));
        foresight.expect(starts[0], part(&[1]));
        assert!(foresight.expected(starts[1]).is_none());
        assert!(foresight.expected(starts[2]).is_none());
        (0..100).for_each(|_| foresight.expect(starts[1], part(&[1, 2, 3])));
        assert!(foresight.expected(starts[0]).is_none());
        assert!(foresight.expected(starts[1]).is_some());
        let nothing = Foresight::new(0);
        nothing.expect(starts[0], part(&[1]));
        assert!(nothing.expected(starts[0]).is_none());
    }

    #[test]
    fn traits_come_and_go() {
        let foresight = Foresight::new(0);
        let search = Search::new(&Expr::Everything);
        foresight.set_mixed(0, &search, true);
        assert!(foresight.is_mixed(0, &search) && !foresight.is_mixed(1, &search));
        assert!(!foresight.is_scarce(0, &search));
        foresight.set_mixed(0, &search, false);
        assert!(!foresight.is_mixed(0, &search));
    }
}
