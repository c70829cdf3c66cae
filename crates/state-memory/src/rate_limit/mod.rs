//! Rate limits of one process.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use smallvec::SmallVec;
use state_core::{
    Answering, BackendError, Clock, ErrorKind, MonotonicClock,
    rate_limit::{
        Answer, Charge, Counter, Counters, RateLimitStore, Rule, Spot, Verdict, count, refund,
    },
};

use crate::Faults;

const CHARGE: &str = "rate_limit.charge";

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
    kept: Mutex<Shelf>,
}

struct Shelf {
    counters: Counters<Kept>,
    /// With how many counters those that are over are removed before there are more.
    sweep_at: usize,
}

impl Shelf {
    const SWEEP_FROM: usize = 1_024;
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
            kept: Mutex::new(Shelf {
                counters: Counters::default(),
                sweep_at: Shelf::SWEEP_FROM,
            }),
        }))
    }

    /// How many counters are kept, those that are over and were not swept included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.kept.lock().counters.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes what is over. It happens by itself too, when there is much of it.
    pub fn sweep(&self) {
        let mut shelf = self.0.kept.lock();
        shelf.sweep(self.0.clock.now().as_micros());
    }

    /// One step at one time. The time is taken under the lock, so that it never goes back for a
    /// counter.
    fn step<T>(
        &self,
        operation: &'static str,
        step: impl FnOnce(&mut Shelf, u64) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        self.0.faults.around(operation, || {
            let mut shelf = self.0.kept.lock();
            let now = self.0.clock.now().as_micros();
            step(&mut shelf, now)
        })
    }
}

impl Default for MemoryRateLimits {
    fn default() -> Self {
        Self::new()
    }
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

impl Shelf {
    /// Where the counter of a rule is, and what of it is not over yet.
    fn live(&self, charge: &Charge<'_>, index: usize, now: u64) -> (Spot, Option<Counter>) {
        let (spot, kept) = self.counters.find(charge, index);
        let kept = kept.filter(|kept| kept.until > now);
        (spot, kept.map(|kept| kept.counter))
    }

    fn put(&mut self, spot: Spot, charge: &Charge<'_>, index: usize, counter: Counter) {
        let until = end(charge.rules[index].0, counter);
        let kept = Kept { counter, until };
        self.counters.put(spot, charge, index, kept);
    }

    fn sweep(&mut self, now: u64) {
        self.counters.retain(|kept| kept.until > now);
        let twice = self.counters.len() * 2;
        self.sweep_at = twice.clamp(Self::SWEEP_FROM, MemoryRateLimits::CAPACITY);
    }

    /// Sees to it that one more counter can be stored.
    fn make_room(&mut self, now: u64) -> Result<(), BackendError> {
        if self.counters.len() >= self.sweep_at {
            self.sweep(now);
        }
        if self.counters.len() < MemoryRateLimits::CAPACITY {
            return Ok(());
        }
        let message = "as many subjects are counted as there may be";
        Err(BackendError::new(ErrorKind::TooLarge, CHARGE, message))
    }

    fn charge(&mut self, charge: &Charge<'_>, now: u64) -> Result<Answer, BackendError> {
        let mut answer = Answer::new();
        let mut stores: SmallVec<[_; 1]> = SmallVec::new();
        for (index, (rule, _)) in charge.rules.iter().enumerate() {
            let (spot, stored) = self.live(charge, index, now);
            let (count, next) = count(rule, stored, now, charge.cost, true);
            answer.push(count);
            stores.push((spot, next));
        }
        if answer.iter().any(|count| count.verdict != Verdict::Allowed) {
            for (index, (rule, _)) in charge.rules.iter().enumerate() {
                let (_, stored) = self.live(charge, index, now);
                answer[index] = count(rule, stored, now, charge.cost, false).0;
            }
            return Ok(answer);
        }
        if stores.iter().any(|(spot, _)| spot.is_new()) {
            self.make_room(now)?;
        }
        for (index, (spot, next)) in stores.into_iter().enumerate() {
            if let Some(counter) = next {
                self.put(spot, charge, index, counter);
            }
        }
        Ok(answer)
    }
}

#[async_trait]
impl RateLimitStore for MemoryRateLimits {
    fn charge<'a>(&'a self, charge: &'a Charge<'_>) -> Answering<'a, Answer> {
        Answering::now(self.step(CHARGE, |shelf, now| shelf.charge(charge, now)))
    }

    async fn refund(&self, charge: &Charge<'_>) -> Result<(), BackendError> {
        self.step("rate_limit.refund", |shelf, now| {
            for (index, (rule, _)) in charge.rules.iter().enumerate() {
                let (spot, Some(stored)) = shelf.live(charge, index, now) else {
                    continue;
                };
                match refund(rule, stored, now, charge.cost) {
                    Some(counter) => shelf.put(spot, charge, index, counter),
                    None => {
                        shelf.counters.remove(charge, index);
                    }
                }
            }
            Ok(())
        })
    }

    async fn reset(&self, charge: &Charge<'_>) -> Result<(), BackendError> {
        self.step("rate_limit.reset", |shelf, _| {
            for index in 0..charge.rules.len() {
                shelf.counters.remove(charge, index);
            }
            Ok(())
        })
    }
}
