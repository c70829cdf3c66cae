//! Values this process keeps itself.
//!
//! It is filled from what was read and emptied by what is told. What was read before something was
//! told must not be kept after it: a [`Ticket`] is taken before a read, and is void when it moved.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    cache::{BoundedMap, Invalidation, Tag, mark::Mark},
    clock::Timestamp,
};

/// How many counters keys share. Two keys of one counter only keep each other from being kept for
/// a moment.
const SHARDS: usize = 64;
/// Tags whose last invalidation is remembered. One more, and everything is forgotten.
const MAX_CUTS: usize = 16_384;

/// A value as it is kept here. Times are those of the local clock.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) value: Option<Bytes>,
    pub(crate) codec: u8,
    pub(crate) cost: Duration,
    pub(crate) stored_at: Timestamp,
    pub(crate) fresh_until: Timestamp,
    pub(crate) keep_until: Timestamp,
    pub(crate) mark: Mark,
    pub(crate) tags: Vec<Tag>,
}

/// Where the counters stood when a read began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    all: u64,
    shard: u64,
}

#[derive(Debug)]
pub(crate) struct Local {
    kept: Mutex<Shelf>,
    /// Moves with everything that is not about single keys.
    all: AtomicU64,
    shards: Box<[AtomicU64]>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Shelf {
    entries: BoundedMap<Arc<str>, (u64, Kept)>,
    /// When each tag was last invalidated, counted in `turn`.
    cuts: HashMap<Tag, u64>,
    turn: u64,
}

impl Local {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            kept: Mutex::new(Shelf {
                entries: BoundedMap::new(capacity),
                cuts: HashMap::new(),
                turn: 0,
            }),
            all: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    fn shard(&self, key: &str) -> &AtomicU64 {
        let hash = self.hasher.hash_one(key);
        // The remainder is less than the number of shards.
        #[expect(clippy::cast_possible_truncation, reason = "a remainder by 64")]
        let index = (hash % SHARDS as u64) as usize;
        &self.shards[index]
    }

    pub(crate) fn ticket(&self, key: &str) -> Ticket {
        Ticket {
            all: self.all.load(Ordering::SeqCst),
            shard: self.shard(key).load(Ordering::SeqCst),
        }
    }

    /// Keeps a value, if the ticket of its read is still good.
    pub(crate) fn keep(&self, key: &str, ticket: Ticket, kept: Kept) {
        let mut shelf = self.kept.lock();
        // Under the lock, so that nothing is told between the check and the insert.
        if self.ticket(key) == ticket {
            shelf.turn += 1;
            let turn = shelf.turn;
            shelf.entries.insert(key.into(), (turn, kept));
        }
    }

    /// A value that nothing invalidated, whether its time is over or not.
    pub(crate) fn find(&self, key: &str) -> Option<Kept> {
        let mut shelf = self.kept.lock();
        let Shelf { entries, cuts, .. } = &mut *shelf;
        let (turn, kept) = entries.get(key)?;
        let cut = |tag: &Tag| cuts.get(tag).is_some_and(|cut| cut > turn);
        if !cuts.is_empty() && kept.tags.iter().any(cut) {
            entries.remove(key);
            return None;
        }
        Some(kept.clone())
    }

    /// Ends what was invalidated.
    pub(crate) fn end(&self, what: &Invalidation) {
        let mut shelf = self.kept.lock();
        match what {
            Invalidation::Keys(keys) => {
                for key in keys {
                    self.shard(key).fetch_add(1, Ordering::SeqCst);
                    shelf.entries.remove(&**key);
                }
            }
            Invalidation::Tags(tags) => {
                self.all.fetch_add(1, Ordering::SeqCst);
                shelf.turn += 1;
                let turn = shelf.turn;
                for tag in tags.as_slice() {
                    shelf.cuts.insert(tag.clone(), turn);
                }
                if shelf.cuts.len() > MAX_CUTS {
                    shelf.clear();
                }
            }
            Invalidation::Namespace => {
                self.all.fetch_add(1, Ordering::SeqCst);
                shelf.clear();
            }
        }
    }

    /// Ends everything.
    pub(crate) fn flush(&self) {
        self.end(&Invalidation::Namespace);
    }

    /// How many values are kept.
    pub(crate) fn len(&self) -> usize {
        self.kept.lock().entries.len()
    }
}

impl Shelf {
    fn clear(&mut self) {
        self.entries.clear();
        self.cuts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Tags;

    fn kept(tags: &[&str]) -> Kept {
        Kept {
            value: None,
            codec: 0,
            cost: Duration::ZERO,
            stored_at: Timestamp::default(),
            fresh_until: Timestamp::default(),
            keep_until: Timestamp::default(),
            mark: Mark::NONE,
            tags: Tags::new(tags).unwrap().as_slice().to_vec(),
        }
    }

    fn local(capacity: usize) -> Local {
        Local::new(capacity)
    }

    #[test]
    fn what_was_read_before_something_was_told_is_not_kept_after_it() {
        let tags = || Invalidation::Tags(Tags::new(["t"]).unwrap());
        for told in [Invalidation::key("k"), tags(), Invalidation::Namespace] {
            let local = local(4);
            let ticket = local.ticket("k");
            local.end(&told);
            local.keep("k", ticket, kept(&[]));
            assert!(local.find("k").is_none(), "{told:?}");
            local.keep("k", local.ticket("k"), kept(&[]));
            assert!(local.find("k").is_some(), "{told:?}");
        }
    }

    #[test]
    fn a_tag_ends_what_has_it_and_nothing_that_came_later() {
        let local = local(4);
        local.keep("a", local.ticket("a"), kept(&["t", "u"]));
        local.keep("b", local.ticket("b"), kept(&["u"]));
        local.end(&Invalidation::Tags(Tags::new(["t"]).unwrap()));
        assert!(local.find("a").is_none() && local.find("b").is_some());
        local.keep("a", local.ticket("a"), kept(&["t"]));
        assert!(local.find("a").is_some());
    }

    #[test]
    fn it_is_bounded() {
        let local = local(3);
        for number in 0..10 {
            let key = number.to_string();
            local.keep(&key, local.ticket(&key), kept(&[]));
        }
        assert_eq!(local.len(), 3);
        for number in 0..=MAX_CUTS {
            let tags = Tags::new([format!("t{number}")]).unwrap();
            local.end(&Invalidation::Tags(tags));
        }
        assert_eq!(local.len(), 0, "too many tags to remember: everything went");
        assert!(local.kept.lock().cuts.is_empty());
    }
}
