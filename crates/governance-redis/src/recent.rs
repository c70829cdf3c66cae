//! What was used lately, as much as fits.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use parking_lot::Mutex;

/// A map of bounded weight: what was not asked for the longest goes first.
///
/// An entry that was asked for lately stays where it is in that order, so most questions change
/// nothing. It goes an eighth of the weight too early at most.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    entries: Mutex<Entries<K, V>>,
    /// Most weight of all together.
    most: usize,
}

#[derive(Debug)]
struct Entries<K, V> {
    map: HashMap<K, Entry<V>>,
    /// Keys and when they were asked for, in that order. What has another time by now was asked
    /// for again, or is gone.
    order: VecDeque<(K, u64)>,
    weight: usize,
    /// The time: the weight of all that was added or took a new place so far.
    now: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    weight: usize,
    at: u64,
}

impl<K: Eq + Hash + Copy, V: Clone> Recent<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            entries: Mutex::new(Entries::new()),
            most,
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let mut entries = self.entries.lock();
        let entry = entries.map.get(key)?;
        let value = entry.value.clone();
        if entries.is_aged(entry, self.most) {
            entries.renew(*key);
        }
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
    ) -> Vec<Option<V>> {
        let mut entries = self.entries.lock();
        let mut aged = Vec::new();
        let found: Vec<Option<&V>> = keys
            .map(|key| {
                let entry = entries.map.get(&key)?;
                if entries.is_aged(entry, self.most) {
                    aged.push(key);
                }
                Some(&entry.value)
            })
            .collect();
        let looks = found.iter().flatten().map(|value| look(value));
        std::hint::black_box(looks.fold(0, |all, one| all ^ one));
        let values = found.into_iter().map(Option::<&V>::cloned).collect();
        aged.into_iter().for_each(|key| entries.renew(key));
        values
    }

    /// Adds an entry. One that is heavier than everything together may be is not kept.
    pub(crate) fn put(&self, key: K, value: V, weight: usize) {
        let mut entries = self.entries.lock();
        let before = entries.remove(&key);
        let mut gone = Vec::new();
        if weight <= self.most {
            entries.add(key, value, weight);
            while entries.weight > self.most
                && let Some(oldest) = entries.remove_oldest()
            {
                gone.push(oldest);
            }
        }
        // What is dropped can be large: nobody should wait for that.
        drop(entries);
        drop((before, gone));
    }

    pub(crate) fn forget(&self, key: &K) {
        let gone = self.entries.lock().remove(key);
        drop(gone);
    }

    pub(crate) fn clear(&self) {
        let gone = std::mem::replace(&mut *self.entries.lock(), Entries::new());
        drop(gone);
    }
}

impl<K: Eq + Hash + Copy, V> Entries<K, V> {
    fn new() -> Self {
        Self {
            map: HashMap::new(),
            order: VecDeque::new(),
            weight: 0,
            now: 0,
        }
    }

    fn is_aged(&self, entry: &Entry<V>, most: usize) -> bool {
        self.now - entry.at > most as u64 / 8
    }

    fn add(&mut self, key: K, value: V, weight: usize) {
        let at = self.now;
        self.map.insert(key, Entry { value, weight, at });
        self.order.push_back((key, at));
        self.weight += weight;
        self.pass(weight);
    }

    /// Puts an entry at the end of the order.
    fn renew(&mut self, key: K) {
        let at = self.now;
        if let Some(entry) = self.map.get_mut(&key) {
            entry.at = at;
            let weight = entry.weight;
            self.order.push_back((key, at));
            self.pass(weight);
        }
    }

    /// Lets time pass, so that no two places of a key in the order have the same.
    fn pass(&mut self, weight: usize) {
        self.now += weight.max(1) as u64;
        // Places that were left must not become more than those that are taken.
        if self.order.len() > 2 * self.map.len() + 16 {
            let map = &self.map;
            self.order
                .retain(|(key, at)| map.get(key).is_some_and(|entry| entry.at == *at));
        }
    }

    fn remove(&mut self, key: &K) -> Option<Entry<V>> {
        let gone = self.map.remove(key)?;
        self.weight -= gone.weight;
        Some(gone)
    }

    fn remove_oldest(&mut self) -> Option<Entry<V>> {
        loop {
            let (key, at) = self.order.pop_front()?;
            if self.map.get(&key).is_some_and(|entry| entry.at == at) {
                return self.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_stays_and_the_rest_goes() {
        let recent = Recent::new(20);
        for key in 0..60 {
            recent.put(key, key * 10, 1);
            assert_eq!(recent.get(&0), Some(0), "after {key}");
        }
        assert_eq!(recent.get(&59), Some(590));
        assert_eq!(recent.get(&30), None);
        assert_eq!(
            recent.get_all([59, 30, 0].into_iter(), |value| *value),
            [Some(590), None, Some(0)]
        );
        recent.forget(&59);
        assert_eq!(recent.get(&59), None);
        recent.clear();
        assert_eq!(recent.get(&0), None);
    }

    #[test]
    fn what_was_asked_for_together_stays_too() {
        let recent = Recent::new(20);
        for key in 0..60 {
            recent.put(key, 0, 1);
            let all = recent.get_all([0, key].into_iter(), |value| *value);
            assert_eq!(all, [Some(0), Some(0)], "{key}");
        }
    }

    #[test]
    fn as_much_is_kept_as_may_be() {
        let recent = Recent::new(800);
        for key in 0..2_000 {
            recent.put(key, key, 10);
        }
        for round in 0..3 {
            for key in 1_920..2_000 {
                assert_eq!(recent.get(&key), Some(key), "{round}");
            }
        }
        assert_eq!(recent.get(&1_919), None);
        // One that is heavy takes the room of many.
        recent.put(0, 0, 400);
        let left = (1_920..2_000).filter(|key| recent.get(key).is_some());
        assert_eq!(left.count(), 40);
        recent.put(0, 1, 801);
        assert_eq!(
            recent.get(&0),
            None,
            "too heavy, and the old one is no longer true"
        );
    }

    #[test]
    fn places_that_were_left_do_not_pile_up() {
        let recent = Recent::new(16);
        for round in 0..1_000 {
            recent.put(round % 4, round, 1);
            assert_eq!(recent.get(&(round % 4)), Some(round));
            recent.forget(&((round + 2) % 4));
        }
        let entries = recent.entries.lock();
        assert!(entries.order.len() <= 2 * entries.map.len() + 16);
        assert_eq!(entries.weight, entries.map.len());
    }
}
