//! Counting in this process while the backend is away.

use parking_lot::Mutex;

use crate::{
    clock::Timestamp,
    rate_limit::{Answer, Charge, Counter, Counters, Verdict, gcra},
};

/// Most subjects counted at a time; beyond that nobody is denied.
const CAPACITY: usize = 100_000;

/// Due times.
#[derive(Debug, Default)]
pub(super) struct LocalShare(Mutex<Counters<Counter>>);

impl LocalShare {
    /// Takes a cost under the share of all rules, or none.
    pub(super) fn charge(&self, charge: &Charge<'_>, nodes: u32, now: Timestamp) -> Answer {
        let now = now.as_micros();
        let mut known = self.0.lock();
        if known.len() >= CAPACITY {
            known.retain(|counter| matches!(counter, Counter::Gcra { due } if *due > now));
        }
        let counts = |known: &mut Counters<Counter>, takes: bool| -> Answer {
            let rules = charge.rules.iter().enumerate();
            rules
                .map(|(index, (rule, _))| {
                    let share = rule.limit().share(nodes);
                    // A share may be smaller than one call of the cost: then one call at a time.
                    let cost = charge.cost.min(share.at_once());
                    let stored = known.get(charge, index).copied();
                    let (count, next) = gcra::count(share, stored, now, cost, takes);
                    if let Some(next) = next.filter(|_| known.len() < CAPACITY) {
                        known.insert(charge, index, next);
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
