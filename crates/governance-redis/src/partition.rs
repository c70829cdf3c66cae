//! What a process knows about one partition.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU64, Ordering},
};

use governance_core::MutationRequest;
use parking_lot::Mutex;

use crate::{
    density::Density,
    error::RedisError,
    index::{IndexRecord, IndexTerm},
    keys::{CHUNK, PartitionKeys},
    layout::Fence,
    regress::StoreRegressed,
};

/// The counters of a partition as somebody read them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// The next ordinal.
    pub(crate) ordinals: u64,
    /// The last stamp.
    pub(crate) stamp: u64,
    /// The next journal entry.
    pub(crate) entries: u64,
}

impl Counters {
    /// What counts up stays below it: what is indexed holds an ordinal in five bytes.
    const END: u64 = 1 << 40;

    /// Reads the value of the counters; without one everything is at zero.
    pub(crate) fn read(bytes: Option<&[u8]>) -> Result<Self, RedisError> {
        let Some(bytes) = bytes else {
            return Ok(Self::default());
        };
        let number = |at: usize| -> Option<u64> {
            Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
        };
        match (number(0), number(8), number(16), bytes.len()) {
            (Some(ordinals), Some(stamp), Some(entries), 24)
                if ordinals < Self::END && entries < Self::END =>
            {
                Ok(Self {
                    ordinals,
                    stamp,
                    entries,
                })
            }
            _ => Err(Self::damaged()),
        }
    }

    pub(crate) const fn damaged() -> RedisError {
        RedisError::Reply("the counters are damaged")
    }
}

/// One partition: its keys, its fence, and the highest counters seen.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) number: u16,
    pub(crate) keys: PartitionKeys,
    fence: Mutex<Fence>,
    ordinals: AtomicU64,
    stamp: AtomicU64,
    entries: AtomicU64,
    /// Names that are known to be in the dictionary of a generation.
    listed: Mutex<HashSet<(u16, String)>>,
    density: Mutex<Density>,
}

impl Partition {
    /// Names remembered at most; beyond that they are sent again.
    const MOST_LISTED: usize = 10_000;

    pub(crate) fn new(number: u16, keys: PartitionKeys, fence: Fence, counters: Counters) -> Self {
        Self {
            number,
            keys,
            fence: Mutex::new(fence),
            ordinals: AtomicU64::new(counters.ordinals),
            stamp: AtomicU64::new(counters.stamp),
            entries: AtomicU64::new(counters.entries),
            listed: Mutex::default(),
            density: Mutex::default(),
        }
    }

    pub(crate) fn fence(&self) -> Fence {
        *self.fence.lock()
    }

    /// Takes up a fence unless a later one is known.
    pub(crate) fn learn_fence(&self, fence: Fence) {
        let mut known = self.fence.lock();
        if fence.epoch > known.epoch {
            *known = fence;
        }
    }

    /// Forgets what was known: the server is right, whatever it says.
    pub(crate) fn begin_anew(&self, fence: Fence, counters: Counters) {
        *self.fence.lock() = fence;
        self.ordinals.store(counters.ordinals, Ordering::Release);
        self.stamp.store(counters.stamp, Ordering::Release);
        self.entries.store(counters.entries, Ordering::Release);
        self.listed.lock().clear();
    }

    /// Takes up a fence, also an earlier one.
    pub(crate) fn set_fence(&self, fence: Fence) {
        *self.fence.lock() = fence;
    }

    /// The counters, as far as known. Take it before asking the server: an answer below it means
    /// the server lost what it had acknowledged.
    pub(crate) fn hint(&self) -> Hint {
        Hint {
            ordinals: self.ordinals.load(Ordering::Acquire),
            stamp: self.stamp.load(Ordering::Acquire),
            entries: self.entries.load(Ordering::Acquire),
        }
    }

    /// Takes up counters that the server told after `before` was taken.
    pub(crate) fn learn(&self, before: Hint, told: Hint) -> Result<(), RedisError> {
        let lost = told.ordinals < before.ordinals
            || told.stamp < before.stamp
            || told.entries < before.entries;
        if lost {
            return Err(StoreRegressed::Writes.into());
        }
        self.ordinals.fetch_max(told.ordinals, Ordering::AcqRel);
        self.stamp.fetch_max(told.stamp, Ordering::AcqRel);
        self.entries.fetch_max(told.entries, Ordering::AcqRel);
        Ok(())
    }

    /// What a new request is to be indexed under here.
    pub(crate) fn index_of(&self, request: &MutationRequest) -> IndexRecord {
        let chunk = self.hint().ordinals / CHUNK;
        let mut density = self.density.lock();
        IndexRecord::of_new(request, |term: &IndexTerm| density.count(chunk, term))
    }

    pub(crate) fn is_listed(&self, generation: u16, name: &str) -> bool {
        self.listed.lock().contains(&(generation, name.to_owned()))
    }

    pub(crate) fn mark_listed(&self, generations: impl Iterator<Item = u16> + Clone, name: &str) {
        let mut listed = self.listed.lock();
        if listed.len() >= Self::MOST_LISTED {
            listed.clear();
        }
        for generation in generations {
            listed.insert((generation, name.to_owned()));
        }
    }
}

/// Where the counters of a partition are at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) ordinals: u64,
    /// The stamp of the last write: it rises with every one.
    pub(crate) stamp: u64,
    pub(crate) entries: u64,
}

impl Hint {
    pub(crate) const fn of(counters: Counters) -> Self {
        Self {
            ordinals: counters.ordinals,
            stamp: counters.stamp,
            entries: counters.entries,
        }
    }
}

#[cfg(test)]
mod tests {
    use redis_client::KeyPrefix;

    use super::*;

    #[test]
    fn a_store_that_went_backwards_is_noticed() {
        let keys = PartitionKeys::new(&KeyPrefix::default(), "0");
        let partition = Partition::new(0, keys, Fence::FIRST, Counters::default());
        let before = partition.hint();
        let told = |ordinals, stamp, entries| Hint {
            ordinals,
            stamp,
            entries,
        };
        partition.learn(before, told(5, 9, 7)).unwrap();
        // An answer that was under way while another came is no step back.
        partition.learn(before, told(4, 8, 6)).unwrap();
        assert_eq!(partition.hint(), told(5, 9, 7));
        for less in [told(4, 9, 7), told(5, 8, 7), told(5, 9, 6)] {
            let error = partition.learn(partition.hint(), less).unwrap_err();
            let lost = RedisError::Regressed(StoreRegressed::Writes);
            assert_eq!(error.to_string(), lost.to_string(), "{less:?}");
        }
        partition.begin_anew(Fence::FIRST, Counters::default());
        assert_eq!(partition.hint(), told(0, 0, 0));
    }

    #[test]
    fn damaged_counters_are_an_error() {
        assert_eq!(Counters::read(None).unwrap(), Counters::default());
        assert!(Counters::read(Some(b"12")).is_err());
        let value = |numbers: [u64; 3]| numbers.map(u64::to_be_bytes).concat();
        let most = (1 << 40) - 1;
        let read = Counters::read(Some(&value([most, u64::MAX, most]))).unwrap();
        assert_eq!((read.ordinals, read.stamp), (most, u64::MAX));
        for wrong in [[1 << 40, 1, 1], [1, 1, 1 << 40], [u64::MAX, 1, 1]] {
            assert!(Counters::read(Some(&value(wrong))).is_err(), "{wrong:?}");
        }
    }
}
