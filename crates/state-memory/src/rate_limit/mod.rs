//! Rate limits of one process.

use std::{collections::HashMap, fmt, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use state_core::{
    BackendError, Clock, ErrorKind, MonotonicClock,
    rate_limit::{
        Algorithm, Answer, Charge, Counter, RateLimitStore, Rule, Verdict, count, refund,
    },
};

use crate::Faults;

/// Scope, rule, algorithm and subject.
type Key = (String, String, Algorithm, String);

/// A counter, and when nothing of it is left.
#[derive(Debug, Clone, Copy)]
struct Kept {
    counter: Counter,
    until: u64,
}

/// Rate limits that one process counts by itself. A clone is a handle to the same.
#[derive(Clone)]
pub struct MemoryRateLimits(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    faults: Faults,
    kept: Mutex<HashMap<Key, Kept>>,
}

/// Shows how much there is, not what.
impl fmt::Debug for MemoryRateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRateLimits")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl MemoryRateLimits {
    /// Most counters kept at a time.
    pub const CAPACITY: usize = 100_000;

    /// Nothing is counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Arc::new(MonotonicClock::new()), Faults::new())
    }

    /// The same with a clock and failures on demand.
    #[must_use]
    pub fn with(clock: Arc<dyn Clock>, faults: Faults) -> Self {
        Self(Arc::new(Inner {
            clock,
            faults,
            kept: Mutex::default(),
        }))
    }

    /// How many counters are kept, those that are over and were not swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.kept.lock().len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes what is over. It happens by itself too, when there is much of it.
    pub fn sweep(&self) {
        let now = self.0.clock.now().as_micros();
        self.0.kept.lock().retain(|_, kept| kept.until > now);
    }
}

impl Default for MemoryRateLimits {
    fn default() -> Self {
        Self::new()
    }
}

fn key(scope: &str, rule: &Rule, subject: &str) -> Key {
    let name = rule.name().to_owned();
    (
        scope.to_owned(),
        name,
        rule.counted_by(),
        subject.to_owned(),
    )
}

/// When nothing of a counter matters any more.
fn end(rule: &Rule, counter: Counter) -> u64 {
    let period = rule.limit().period_micros();
    match counter {
        Counter::Gcra { due } => due,
        // The window after it still looks back at a window that slides.
        Counter::Window { index, .. } => (index + 2) * period,
    }
}

fn make_room(kept: &mut HashMap<Key, Kept>, now: u64) -> Result<(), BackendError> {
    let len = kept.len();
    if (len >= 1_024 && len.is_power_of_two()) || len >= MemoryRateLimits::CAPACITY {
        kept.retain(|_, kept| kept.until > now);
    }
    if kept.len() < MemoryRateLimits::CAPACITY {
        return Ok(());
    }
    let message = "as many subjects are counted as there may be";
    Err(BackendError::new(
        ErrorKind::TooLarge,
        "rate_limit.charge",
        message,
    ))
}

#[async_trait]
impl RateLimitStore for MemoryRateLimits {
    async fn charge(&self, charge: &Charge<'_>) -> Result<Answer, BackendError> {
        let inner = &self.0;
        inner.faults.around("rate_limit.charge", || {
            let now = inner.clock.now().as_micros();
            let mut kept = inner.kept.lock();
            let stored: Vec<_> = charge
                .rules
                .iter()
                .map(|(rule, subject)| {
                    let kept = kept.get(&key(charge.scope, rule, subject))?;
                    (kept.until > now).then_some(kept.counter)
                })
                .collect();
            let ask = |takes| {
                let rules = charge.rules.iter().zip(&stored);
                rules.map(move |((rule, _), stored)| count(rule, *stored, now, charge.cost, takes))
            };
            let looked: Answer = ask(false).map(|(count, _)| count).collect();
            if looked.iter().any(|count| count.verdict != Verdict::Allowed) {
                return Ok(looked);
            }
            make_room(&mut kept, now)?;
            let mut answer = Answer::with_capacity(looked.len());
            for ((rule, subject), (count, next)) in charge.rules.iter().zip(ask(true)) {
                answer.push(count);
                if let Some(counter) = next {
                    let until = end(rule, counter);
                    kept.insert(key(charge.scope, rule, subject), Kept { counter, until });
                }
            }
            Ok(answer)
        })
    }

    async fn refund(&self, charge: &Charge<'_>) -> Result<(), BackendError> {
        let inner = &self.0;
        inner.faults.around("rate_limit.refund", || {
            let now = inner.clock.now().as_micros();
            let mut kept = inner.kept.lock();
            for (rule, subject) in charge.rules {
                let key = key(charge.scope, rule, subject);
                let Some(stored) = kept.get(&key).filter(|kept| kept.until > now) else {
                    continue;
                };
                match refund(rule, stored.counter, now, charge.cost) {
                    Some(counter) => {
                        let until = end(rule, counter);
                        kept.insert(key, Kept { counter, until });
                    }
                    None => {
                        kept.remove(&key);
                    }
                }
            }
            Ok(())
        })
    }

    async fn reset(&self, charge: &Charge<'_>) -> Result<(), BackendError> {
        let inner = &self.0;
        inner.faults.around("rate_limit.reset", || {
            let mut kept = inner.kept.lock();
            for (rule, subject) in charge.rules {
                kept.remove(&key(charge.scope, rule, subject));
            }
            Ok(())
        })
    }
}
