//! A map by what is counted.

use std::{
    fmt,
    hash::{BuildHasher as _, Hasher as _},
    ptr,
};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};

use crate::{
    name::Namespace,
    rate_limit::{Algorithm, Charge, Rule},
};

/// What one counter of a charge is found by.
#[derive(Clone, Copy)]
struct Name<'a> {
    scope: &'a str,
    rule: &'a Rule,
    /// `None` where it is the scope: most charges are made of one subject under one rule, and then
    /// its name is hashed, compared and stored once.
    subject: Option<&'a str>,
}

impl<'a> Name<'a> {
    #[inline]
    fn of(charge: &Charge<'a>, index: usize) -> Self {
        let (rule, subject) = charge.rules[index];
        let scope = charge.scope;
        Self {
            scope,
            rule,
            subject: (!is_same(scope, subject)).then_some(subject),
        }
    }

    #[inline]
    fn hash(&self, hashes: &RandomState) -> u64 {
        hash(hashes, self.scope, self.rule.name(), self.subject)
    }
}

#[inline]
fn hash(hashes: &RandomState, scope: &str, rule: &str, subject: Option<&str>) -> u64 {
    let mut hasher = hashes.build_hasher();
    hasher.write(scope.as_bytes());
    hasher.write(rule.as_bytes());
    if let Some(subject) = subject {
        hasher.write(subject.as_bytes());
    }
    hasher.finish()
}

/// Compares texts that are often the very same one.
#[inline]
fn is_same(a: &str, b: &str) -> bool {
    ptr::eq(a, b) || a == b
}

/// A value and its name.
struct Kept<V> {
    scope: Box<str>,
    rule: Namespace,
    subject: Option<Box<str>>,
    algorithm: Algorithm,
    value: V,
}

impl<V> Kept<V> {
    fn new(name: &Name<'_>, value: V) -> Self {
        Self {
            scope: name.scope.into(),
            rule: name.rule.namespace().clone(),
            subject: name.subject.map(Into::into),
            algorithm: name.rule.counted_by(),
            value,
        }
    }

    #[inline]
    fn is(&self, name: &Name<'_>) -> bool {
        *self.scope == *name.scope
            && self.subject.as_deref() == name.subject
            && self.algorithm == name.rule.counted_by()
            && is_same(self.rule.as_str(), name.rule.name())
    }

    fn hash(&self, hashes: &RandomState) -> u64 {
        let subject = self.subject.as_deref();
        hash(hashes, &self.scope, self.rule.as_str(), subject)
    }
}

/// Something for every counter, found by a charge and the index of one of its rules. Names are
/// copied when a counter is new, not when it is looked up.
///
/// Hashes are seeded by the map, so that nobody can choose subjects that meet in it.
pub struct Counters<V> {
    kept: HashTable<Kept<V>>,
    hashes: RandomState,
}

impl<V> Default for Counters<V> {
    fn default() -> Self {
        Self {
            kept: HashTable::new(),
            hashes: RandomState::default(),
        }
    }
}

/// Shows how many there are, not whose.
impl<V> fmt::Debug for Counters<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counters").field(&self.kept.len()).finish()
    }
}

impl<V> Counters<V> {
    /// What there is for a counter.
    ///
    /// # Panics
    ///
    /// When the charge has no such rule, as every method here.
    #[must_use]
    pub fn get(&self, charge: &Charge<'_>, index: usize) -> Option<&V> {
        let name = Name::of(charge, index);
        let hash = name.hash(&self.hashes);
        let kept = self.kept.find(hash, |kept| kept.is(&name))?;
        Some(&kept.value)
    }

    /// What there is for a counter, to change it where it is.
    #[inline]
    #[must_use]
    pub fn get_mut(&mut self, charge: &Charge<'_>, index: usize) -> Option<&mut V> {
        let name = Name::of(charge, index);
        let hash = name.hash(&self.hashes);
        let kept = self.kept.find_mut(hash, |kept| kept.is(&name))?;
        Some(&mut kept.value)
    }

    /// Stores something for a counter.
    pub fn insert(&mut self, charge: &Charge<'_>, index: usize, value: V) {
        let name = Name::of(charge, index);
        let hashes = &self.hashes;
        let entry = self.kept.entry(
            name.hash(hashes),
            |kept| kept.is(&name),
            |kept| kept.hash(hashes),
        );
        match entry {
            Entry::Occupied(mut there) => there.get_mut().value = value,
            Entry::Vacant(free) => {
                free.insert(Kept::new(&name, value));
            }
        }
    }

    /// Removes what there is for a counter.
    pub fn remove(&mut self, charge: &Charge<'_>, index: usize) -> Option<V> {
        let name = Name::of(charge, index);
        let hash = name.hash(&self.hashes);
        let there = self.kept.find_entry(hash, |kept| kept.is(&name));
        let (kept, _) = there.ok()?.remove();
        Some(kept.value)
    }

    /// Keeps what passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.kept.retain(|kept| keep(&kept.value));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate_limit::{Limit, Rule};

    #[test]
    fn every_part_of_a_name_tells_counters_apart() {
        let limit = Limit::new(1, Duration::from_secs(1)).unwrap();
        let [a, b] = ["a", "b"].map(|name| Rule::new(name, limit).unwrap());
        let other = a.clone().algorithm(Algorithm::FixedWindow);
        let mut counters = Counters::default();
        let places = [
            ("s", &a, "x"),
            ("t", &a, "x"),
            ("s", &b, "x"),
            ("s", &other, "x"),
            ("s", &a, "y"),
            ("sx", &a, "x"),
        ];
        for turn in 0..2 {
            for (number, (scope, rule, subject)) in places.iter().enumerate() {
                let rules = [(*rule, *subject)];
                let charge = Charge {
                    scope,
                    rules: &rules,
                    cost: 1,
                };
                let expected = (turn > 0).then_some(number);
                assert_eq!(counters.get(&charge, 0).copied(), expected);
                counters.insert(&charge, 0, number);
            }
        }
        assert_eq!(counters.len(), places.len());
        let rules = [(&b, "x")];
        let charge = Charge {
            scope: "s",
            rules: &rules,
            cost: 1,
        };
        if let Some(number) = counters.get_mut(&charge, 0) {
            *number += 10;
        }
        assert_eq!(counters.remove(&charge, 0), Some(12));
        assert_eq!(counters.get(&charge, 0), None);
        assert_eq!(counters.get_mut(&charge, 0), None);
        assert_eq!(counters.len(), places.len() - 1);
        counters.retain(|number| *number > 3);
        assert_eq!(counters.len(), 2);
    }
}
