//! What was denied, so that asking again at once costs nothing.

use std::{collections::HashMap, fmt, time::Duration};

use parking_lot::Mutex;

use crate::{clock::Timestamp, rate_limit::Rule};

/// Scope, rule and subject.
type Key = (String, String, String);

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
    known: Mutex<HashMap<Key, Denial>>,
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
        }
    }

    pub(super) fn find(
        &self,
        scope: &str,
        (rule, subject): (&Rule, &str),
        cost: u64,
        now: Timestamp,
    ) -> Option<Held> {
        if self.capacity == 0 {
            return None;
        }
        let known = self.known.lock();
        let denial = known.get(&key(scope, rule, subject))?;
        (cost >= denial.cost && now < denial.until).then(|| Held {
            retry_after: denial.until.saturating_since(now),
            reset_after: denial.reset.saturating_since(now),
            remaining: denial.remaining,
        })
    }

    /// Remembers a denial that was asked for at `asked`, which is before the backend decided it.
    pub(super) fn remember(
        &self,
        scope: &str,
        (rule, subject): (&Rule, &str),
        cost: u64,
        held: Held,
        asked: Timestamp,
    ) {
        if self.capacity == 0 {
            return;
        }
        let mut known = self.known.lock();
        if known.len() >= self.capacity {
            known.retain(|_, denial| denial.until > asked);
        }
        if known.len() < self.capacity {
            let denial = Denial {
                cost,
                until: asked.saturating_add(held.retry_after),
                reset: asked.saturating_add(held.reset_after),
                remaining: held.remaining,
            };
            known.insert(key(scope, rule, subject), denial);
        }
    }

    pub(super) fn forget(&self, scope: &str, rule: &Rule, subject: &str) {
        self.known.lock().remove(&key(scope, rule, subject));
    }
}

fn key(scope: &str, rule: &Rule, subject: &str) -> Key {
    (scope.to_owned(), rule.name().to_owned(), subject.to_owned())
}
