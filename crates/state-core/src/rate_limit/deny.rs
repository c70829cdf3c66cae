//! What was denied, so that asking again at once costs nothing.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    clock::Timestamp,
    rate_limit::{Charge, Counters},
};

#[derive(Debug, Clone, Copy)]
struct Denial {
    cost: u64,
    until: Timestamp,
    reset: Timestamp,
    remaining: u64,
}

/// A bounded memory of denials. It only ever repeats one: the same cost or more, before it could
/// have been had.
pub(super) struct Denials {
    capacity: usize,
    known: Mutex<Counters<Denial>>,
    /// Whether something is known. Changes under the lock.
    any: AtomicBool,
}

/// Shows how many there are, not whose.
impl fmt::Debug for Denials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denials")
            .field("capacity", &self.capacity)
            .field("known", &self.known.lock().len())
            .finish()
    }
}

/// A denial that still holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) retry_after: Duration,
    pub(super) reset_after: Duration,
    pub(super) remaining: u64,
}

impl Denials {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            known: Mutex::default(),
            any: AtomicBool::new(false),
        }
    }

    /// Whether denials are remembered at all.
    #[inline]
    pub(super) const fn are_kept(&self) -> bool {
        self.capacity > 0
    }

    /// Whether there may be one to repeat.
    #[inline]
    pub(super) fn any(&self) -> bool {
        // A denial that another thread is just about to remember is one not found yet.
        self.any.load(Ordering::Relaxed)
    }

    /// Of the denials of a charge that hold, the one to wait for longest, with the index of its
    /// rule. Those that are over are forgotten.
    pub(super) fn longest(&self, charge: &Charge<'_>, now: Timestamp) -> Option<(usize, Held)> {
        let mut known = self.known.lock();
        let held = (0..charge.rules.len()).filter_map(|index| {
            let denial = *known.get(charge, index)?;
            if denial.until <= now {
                known.remove(charge, index);
                self.any.store(!known.is_empty(), Ordering::Relaxed);
                return None;
            }
            (charge.cost >= denial.cost).then(|| {
                let held = Held {
                    retry_after: denial.until.saturating_since(now),
                    reset_after: denial.reset.saturating_since(now),
                    remaining: denial.remaining,
                };
                (index, held)
            })
        });
        held.max_by_key(|(_, held)| held.retry_after)
    }

    /// Remembers a denial that was asked for at `asked`, which is before the backend decided it.
    pub(super) fn remember(&self, charge: &Charge<'_>, index: usize, held: Held, asked: Timestamp) {
        if !self.are_kept() {
            return;
        }
        let mut known = self.known.lock();
        if known.len() >= self.capacity {
            known.retain(|denial| denial.until > asked);
        }
        if known.len() < self.capacity {
            let denial = Denial {
                cost: charge.cost,
                until: asked.saturating_add(held.retry_after),
                reset: asked.saturating_add(held.reset_after),
                remaining: held.remaining,
            };
            known.insert(charge, index, denial);
        }
        self.any.store(!known.is_empty(), Ordering::Relaxed);
    }

    /// Forgets what was denied under the first rule of a charge.
    pub(super) fn forget(&self, charge: &Charge<'_>) {
        let mut known = self.known.lock();
        known.remove(charge, 0);
        self.any.store(!known.is_empty(), Ordering::Relaxed);
    }
}
