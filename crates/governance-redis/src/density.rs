//! Which values many requests share.
//!
//! A bitmap of a chunk takes up to 8 KiB, a member of a sorted set about 100 bytes. So a value that
//! comes often is kept as bitmaps, whatever its dimension. Every process decides that for what it
//! creates; the record of a request says how it was decided, and readers look in both places.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

use crate::index::IndexTerm;

/// Counts how often values come in one chunk, about, and tells those that come often.
#[derive(Debug)]
pub(crate) struct Density {
    chunk: u64,
    rows: [Row; 2],
    /// Values that come often in this chunk, or did in the one before.
    dense: HashSet<IndexTerm>,
}

/// Counters that values share by their hash: one is never too low, and rarely too high in all rows.
#[derive(Debug)]
struct Row {
    hash: RandomState,
    counters: Vec<u8>,
}

/// So often in a chunk is often.
const OFTEN: u8 = 128;
const COUNTERS: usize = 1 << 14;

impl Default for Density {
    fn default() -> Self {
        let row = || Row {
            hash: RandomState::new(),
            counters: Vec::new(),
        };
        Self {
            chunk: 0,
            rows: [row(), row()],
            dense: HashSet::new(),
        }
    }
}

impl Density {
    /// Counts a value of a request that is created in this chunk. True if it comes often.
    pub(crate) fn count(&mut self, chunk: u64, term: &IndexTerm) -> bool {
        if chunk != self.chunk {
            self.turn(chunk);
        }
        let mut often = true;
        for row in &mut self.rows {
            often &= row.count(term);
        }
        if self.dense.contains(term) {
            return true;
        }
        if often {
            self.dense.insert(term.clone());
        }
        often
    }

    /// Begins a chunk. What came often in the last one does so from the start.
    fn turn(&mut self, chunk: u64) {
        let rows = &self.rows;
        self.dense
            .retain(|term| rows.iter().all(|row| row.is_often(term)));
        for row in &mut self.rows {
            row.counters.clear();
        }
        self.chunk = chunk;
    }
}

impl Row {
    fn place(&self, term: &IndexTerm) -> usize {
        // Only the lowest bits are used, so nothing is lost that matters.
        self.hash.hash_one(term) as usize % COUNTERS
    }

    fn is_often(&self, term: &IndexTerm) -> bool {
        let count = self.counters.get(self.place(term));
        count.is_some_and(|count| *count >= OFTEN)
    }

    fn count(&mut self, term: &IndexTerm) -> bool {
        if self.counters.is_empty() {
            self.counters.resize(COUNTERS, 0);
        }
        let place = self.place(term);
        let count = &mut self.counters[place];
        *count = count.saturating_add(1);
        *count >= OFTEN
    }
}

#[cfg(test)]
mod tests {
    use governance_core::Dimension;

    use super::*;

    fn tag(value: &str) -> IndexTerm {
        IndexTerm::of(Dimension::Tag, value)
    }

    #[test]
    fn what_comes_often_is_dense_from_then_on_and_in_the_next_chunk() {
        let mut density = Density::default();
        let often = tag("often");
        let first = (1..).find(|_| density.count(0, &often));
        assert_eq!(first, Some(u32::from(OFTEN)));
        assert!(!density.count(0, &tag("once")));
        assert!(density.count(1, &often), "known from the chunk before");
        assert!(!density.count(2, &often), "it came once in chunk 1");
        assert!(!density.count(2, &tag("once")));
    }
}
