//! A map that forgets.

use std::{
    fmt,
    hash::{BuildHasher as _, Hash},
};

use foldhash::fast::RandomState;
use hashbrown::Equivalent;
use hashlink::{
    LinkedHashMap,
    linked_hash_map::{RawEntryMut, RawOccupiedEntryMut},
};

/// A map of so many entries at most. When one more comes, that which was used longest ago goes.
///
/// ```
/// use state_core::cache::BoundedMap;
///
/// let mut map = BoundedMap::new(2);
/// map.insert("a", 1);
/// map.insert("b", 2);
/// map.get("a");
/// map.insert("c", 3);
/// assert_eq!(map.peek("a"), Some(&1));
/// assert_eq!(map.peek("b"), None);
/// ```
///
/// What equals a key finds its value, as with [`Equivalent`] in `hashbrown`: a borrowed form needs
/// no key of its own.
pub struct BoundedMap<K, V> {
    /// In the order of use.
    entries: LinkedHashMap<K, V, RandomState>,
    capacity: usize,
}

impl<K, V> fmt::Debug for BoundedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedMap")
            .field("entries", &self.entries.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<K: Eq + Hash, V> BoundedMap<K, V> {
    /// An empty map. One of capacity zero stays empty.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: LinkedHashMap::with_hasher(RandomState::default()),
            capacity,
        }
    }

    fn there<Q>(&mut self, key: &Q) -> Option<RawOccupiedEntryMut<'_, K, V, RandomState>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.entries.hasher().hash_one(key);
        let entries = self.entries.raw_entry_mut();
        match entries.from_hash(hash, |known| key.equivalent(known)) {
            RawEntryMut::Occupied(there) => Some(there),
            RawEntryMut::Vacant(_) => None,
        }
    }

    /// The value of a key, which is used by that.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let mut there = self.there(key)?;
        there.to_back();
        Some(there.into_mut())
    }

    /// The value of a key, which is not used by that.
    #[must_use]
    pub fn peek<Q>(&self, key: &Q) -> Option<&V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.entries.hasher().hash_one(key);
        let entries = self.entries.raw_entry();
        let there = entries.from_hash(hash, |known| key.equivalent(known))?;
        Some(there.1)
    }

    /// The value of a key, to change it; it is not used by that.
    pub fn peek_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.there(key).map(RawOccupiedEntryMut::into_mut)
    }

    /// Stores a value and returns what there was under its key.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.entries.insert(key, value);
        if self.entries.len() > self.capacity {
            self.entries.pop_front();
        }
        before
    }

    /// Removes a value.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.there(key).map(RawOccupiedEntryMut::remove)
    }

    /// Keeps what passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.entries.retain(|key, value| keep(key, value));
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_list_in_the_order_of_use(
            steps in prop::collection::vec((0_u8..4, 0_u8..6), 0..60), capacity in 0_usize..4,
        ) {
            let mut map = BoundedMap::new(capacity);
            let mut list: Vec<(u8, usize)> = Vec::new();
            for (number, (step, key)) in steps.into_iter().enumerate() {
                let at = list.iter().position(|(known, _)| *known == key);
                match step {
                    0 | 1 => {
                        let before = at.map(|at| list.remove(at).1);
                        prop_assert_eq!(map.insert(key, number), before);
                        list.push((key, number));
                        if list.len() > capacity {
                            list.remove(0);
                        }
                    }
                    2 => {
                        let found = at.map(|at| list.remove(at));
                        prop_assert_eq!(map.get(&key).copied(), found.map(|(_, value)| value));
                        list.extend(found);
                    }
                    _ => {
                        let removed = at.map(|at| list.remove(at).1);
                        prop_assert_eq!(map.remove(&key), removed);
                    }
                }
                prop_assert_eq!(map.len(), list.len());
                let known: Vec<_> = map.entries.iter().map(|(key, value)| (*key, *value)).collect();
                prop_assert_eq!(&known, &list);
            }
        }
    }
}
