//! What was read lately, so that writing it back takes one round trip.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use governance_core::{MutationRequest, RequestId};
use parking_lot::Mutex;

use crate::{codec::BLOCK, index::IndexRecord};

/// A request as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    /// What a write compares with.
    pub(crate) block: [u8; BLOCK],
    pub(crate) ordinal: u64,
    pub(crate) stamp: u64,
    pub(crate) index: Arc<IndexRecord>,
    pub(crate) request: Arc<MutationRequest>,
    /// What it counts as in the cache.
    pub(crate) bytes: usize,
}

/// A map of bounded weight. Entries that were not asked for while half of it filled up go.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    halves: Mutex<Halves<K, V>>,
    /// Most weight of one half.
    most: usize,
}

#[derive(Debug)]
struct Halves<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    weight: usize,
}

type Gone<K, V> = (HashMap<K, V>, [Option<V>; 2]);

impl<K: Eq + Hash + Copy, V: Clone> Recent<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            halves: Mutex::new(Halves {
                young: HashMap::new(),
                old: HashMap::new(),
                weight: 0,
            }),
            most: most / 2,
        }
    }

    pub(crate) fn get(&self, key: &K, weight: impl FnOnce(&V) -> usize) -> Option<V> {
        let mut halves = self.halves.lock();
        if let Some(value) = halves.young.get(key) {
            return Some(value.clone());
        }
        let value = halves.old.remove(key)?;
        let weight = weight(&value);
        let gone = self.add(&mut halves, *key, value.clone(), weight);
        drop(halves);
        drop(gone);
        Some(value)
    }

    /// The values of these keys.
    ///
    /// All are looked at before any is used, with `look`, which reads what will be used of one: what
    /// has left the processor's caches is then fetched side by side and not one after the other.
    pub(crate) fn get_all(
        &self,
        keys: impl Iterator<Item = K>,
        look: impl Fn(&V) -> u64,
        weight: impl Fn(&V) -> usize,
    ) -> Vec<Option<V>> {
        let halves = self.halves.lock();
        let mut aged = Vec::new();
        let found: Vec<Option<&V>> = keys
            .map(|key| {
                halves.young.get(&key).or_else(|| {
                    let value = halves.old.get(&key)?;
                    aged.push(key);
                    Some(value)
                })
            })
            .collect();
        let looks = found.iter().flatten().map(|value| look(value));
        std::hint::black_box(looks.fold(0, |all, one| all ^ one));
        let values = found.into_iter().map(Option::<&V>::cloned).collect();
        drop(halves);
        for key in aged {
            self.get(&key, &weight);
        }
        values
    }

    pub(crate) fn put(&self, key: K, value: V, weight: usize) {
        if weight <= self.most {
            let gone = self.add(&mut self.halves.lock(), key, value, weight);
            drop(gone);
        }
    }

    /// Adds an entry and gives back what goes, to be dropped when nobody waits for the lock.
    fn add(&self, halves: &mut Halves<K, V>, key: K, value: V, weight: usize) -> Gone<K, V> {
        let mut gone = HashMap::new();
        if halves.weight + weight > self.most {
            let young = std::mem::take(&mut halves.young);
            gone = std::mem::replace(&mut halves.old, young);
            halves.weight = 0;
        }
        // A key that is written again counts again, which only makes the half shorter.
        halves.weight += weight;
        let before = [halves.old.remove(&key), halves.young.insert(key, value)];
        (gone, before)
    }

    pub(crate) fn clear(&self) {
        let mut halves = self.halves.lock();
        (halves.young, halves.old, halves.weight) = Default::default();
    }

    pub(crate) fn forget(&self, key: &K) {
        let mut halves = self.halves.lock();
        halves.young.remove(key);
        halves.old.remove(key);
    }
}

/// Requests by id.
pub(crate) type Documents = Recent<RequestId, Arc<Stored>>;

/// Id and stamp by partition and ordinal. They never change, except that a purge or a failover
/// makes them void, which the record they lead to tells.
pub(crate) type Slots = Recent<(u16, u64), IdSlot>;

/// An entry of the id table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdSlot {
    pub(crate) id: RequestId,
    pub(crate) stamp: u64,
}

impl IdSlot {
    /// Length of an entry.
    pub(crate) const BYTES: usize = 24;

    /// As a member of an inbox: id, 7 bytes of the stamp, 5 bytes of the ordinal.
    pub(crate) fn member(&self, ordinal: u64) -> Vec<u8> {
        let mut member = self.id.as_bytes().to_vec();
        member.extend(&self.stamp.to_be_bytes()[1..]);
        member.extend(&ordinal.to_be_bytes()[3..]);
        member
    }

    /// Reads a member of an inbox: the entry and its ordinal.
    pub(crate) fn of_member(member: &[u8]) -> Option<(Self, u64)> {
        let (id, rest) = member.split_first_chunk::<16>()?;
        let rest: &[u8; 12] = rest.try_into().ok()?;
        let (mut stamp, mut ordinal) = ([0; 8], [0; 8]);
        stamp[1..].copy_from_slice(&rest[..7]);
        ordinal[3..].copy_from_slice(&rest[7..]);
        let slot = Self {
            id: RequestId::from_bytes(*id).ok()?,
            stamp: u64::from_be_bytes(stamp),
        };
        Some((slot, u64::from_be_bytes(ordinal)))
    }

    /// Reads an entry; none if it is empty or damaged.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (id, stamp) = bytes.split_first_chunk::<16>()?;
        Some(Self {
            id: RequestId::from_bytes(*id).ok()?,
            stamp: u64::from_be_bytes(stamp.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_an_inbox_tells_all_it_is_made_of() {
        use governance_core::IdSource as _;
        use governance_testkit::fixtures::{SeededIds, scope};
        let now = governance_core::Timestamp::from_micros(1_900_000_000_000_000);
        let id = SeededIds::new(1).request_id(now, scope("a").slot());
        let slot = IdSlot {
            id,
            stamp: 0x00ab_cdef_0123_4567,
        };
        let member = slot.member(0x12_3456_789a);
        assert_eq!(member.len(), 28);
        assert_eq!(IdSlot::of_member(&member), Some((slot, 0x12_3456_789a)));
        assert_eq!(IdSlot::of_member(&member[1..]), None);
    }

    #[test]
    fn what_is_asked_for_together_stays_too() {
        let recent = Recent::new(20);
        recent.put(0, 0, 1);
        for key in 1..30 {
            recent.put(key, 0, 1);
            let all = recent.get_all([0, key].into_iter(), |value| *value, |_| 1);
            assert_eq!(all, [Some(0), Some(0)], "{key}");
        }
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let recent = Recent::new(20);
        for key in 0..30 {
            recent.put(key, key * 10, 1);
            assert_eq!(recent.get(&0, |_| 1), Some(0));
        }
        assert_eq!(recent.get(&29, |_| 1), Some(290));
        assert_eq!(recent.get(&1, |_| 1), None);
        recent.put(50, 0, 11);
        assert_eq!(recent.get(&50, |_| 11), None, "too heavy to be kept");
        let all = recent.get_all([29, 1, 0].into_iter(), |value| *value, |_| 1);
        assert_eq!(all, [Some(290), None, Some(0)]);
        recent.forget(&29);
        assert_eq!(recent.get(&29, |_| 1), None);
    }
}
