//! Counting in this process while the backend is away.

use std::{collections::HashMap, fmt};

use parking_lot::Mutex;

use crate::{
    clock::Timestamp,
    rate_limit::{Charge, Count, Counter, Verdict, gcra},
};

/// Most subjects counted at a time; beyond that nobody is denied.
const CAPACITY: usize = 100_000;

/// Due times by scope, rule and subject.
#[derive(Default)]
pub(super) struct LocalShare(Mutex<HashMap<(String, String, String), Counter>>);

/// Shows how many there are, not whose.
impl fmt::Debug for LocalShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalShare")
            .field(&self.0.lock().len())
            .finish()
    }
}

impl LocalShare {
    /// Takes a cost under the share of all rules, or none.
    pub(super) fn charge(&self, charge: &Charge<'_>, nodes: u32, now: Timestamp) -> Vec<Count> {
        let now = now.as_micros();
        let mut known = self.0.lock();
        if known.len() >= CAPACITY {
            known.retain(|_, counter| matches!(counter, Counter::Gcra { due } if *due > now));
        }
        let key = |index: usize| {
            let (rule, subject) = charge.rules[index];
            let scope = charge.scope.to_owned();
            (scope, rule.name().to_owned(), subject.to_owned())
        };
        let counts = |known: &mut HashMap<_, Counter>, takes: bool| -> Vec<Count> {
            let rules = charge.rules.iter().enumerate();
            rules
                .map(|(index, (rule, _))| {
                    let share = rule.limit().share(nodes);
                    // A share may be smaller than one call of the cost: then one call at a time.
                    let cost = charge.cost.min(share.at_once());
                    let stored = known.get(&key(index)).copied();
                    let (count, next) = gcra::count(share, stored, now, cost, takes);
                    if let Some(next) = next.filter(|_| known.len() < CAPACITY) {
                        known.insert(key(index), next);
                    }
                    count
                })
                .collect()
        };
        let looked = counts(&mut known, false);
        if looked.iter().all(|count| count.verdict == Verdict::Allowed) {
            counts(&mut known, true)
        } else {
            looked
        }
    }
}
