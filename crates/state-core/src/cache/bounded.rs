//! A map that forgets.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
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
pub struct BoundedMap<K, V> {
    entries: HashMap<K, (u64, V)>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
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

impl<K: Clone + Eq + Hash, V> BoundedMap<K, V> {
    /// An empty map. One of capacity zero stays empty.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            capacity,
        }
    }

    /// The value of a key, which is used by that.
    pub fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (last, value) = self.entries.get_mut(key)?;
        self.uses += 1;
        if let Some(key) = self.by_use.remove(last) {
            self.by_use.insert(self.uses, key);
        }
        *last = self.uses;
        Some(value)
    }

    /// The value of a key, which is not used by that.
    #[must_use]
    pub fn peek<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// The value of a key, to change it; it is not used by that.
    pub fn peek_mut<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Stores a value and returns what there was under its key.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.remove(&key);
        if self.capacity == 0 {
            return before;
        }
        while self.entries.len() >= self.capacity {
            let Some((_, oldest)) = self.by_use.pop_first() else {
                break;
            };
            self.entries.remove(&oldest);
        }
        self.uses += 1;
        self.by_use.insert(self.uses, key.clone());
        self.entries.insert(key, (self.uses, value));
        before
    }

    /// Removes a value.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (last, value) = self.entries.remove(key)?;
        self.by_use.remove(&last);
        Some(value)
    }

    /// Keeps what passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let by_use = &mut self.by_use;
        self.entries.retain(|key, (last, value)| {
            let kept = keep(key, value);
            if !kept {
                by_use.remove(last);
            }
            kept
        });
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.by_use.clear();
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
                prop_assert_eq!(map.by_use.len(), list.len());
            }
        }
    }
}
