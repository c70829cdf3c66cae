//! Rate limits of one process.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use smallvec::SmallVec;
use state_core::{
    BackendError, Clock, ErrorKind, MonotonicClock,
    rate_limit::{
        Algorithm, Answer, Charge, Count, Counter, Counters, RateLimitStore, Rule, Verdict, count,
        refund,
    },
};

use crate::{CpuClock, Faults};

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
    /// The latest time there was.
    now: u64,
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

    /// Nothing is counted yet. The time is that of a [`MonotonicClock`], which stands still where a
    /// test paused Tokio's.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Arc::new(MonotonicClock::new()), Faults::new())
    }

    /// The same by a [`CpuClock`], which makes a check cheaper by a third or more: for a service
    /// that is one process and needs no backend.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use state_core::rate_limit::{Limit, LimiterOptions, RateLimiter, Rule};
    /// use state_memory::rate_limit::MemoryRateLimits;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = Arc::new(MemoryRateLimits::by_cpu_clock());
    /// let limiter = RateLimiter::new(store, LimiterOptions::default())?;
    /// let rule = Rule::new("login", Limit::new(1, Duration::from_secs(3_600))?)?;
    /// assert!(limiter.check(&rule, "192.0.2.7", 1).await?.is_allowed());
    /// assert!(!limiter.check(&rule, "192.0.2.7", 1).await?.is_allowed());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn by_cpu_clock() -> Self {
        Self::with(Arc::new(CpuClock::new()), Faults::new())
    }

    /// The same with a clock and failures on demand.
    #[must_use]
    pub fn with(clock: Arc<dyn Clock>, faults: Faults) -> Self {
        Self(Arc::new(Inner {
            clock,
            faults,
            kept: Mutex::new(Shelf {
                counters: Counters::default(),
                now: 0,
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
        let now = shelf.now(&*self.0.clock);
        shelf.sweep(now);
    }

    fn take(&self, charge: &Charge<'_>, counts: &mut [Count]) -> Result<(), BackendError> {
        self.step(CHARGE, |shelf, now| shelf.charge(charge, now, counts))
    }

    /// One step at one time.
    #[inline]
    fn step<T>(
        &self,
        operation: &'static str,
        step: impl FnOnce(&mut Shelf, u64) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        self.0.faults.around(operation, || {
            let mut shelf = self.0.kept.lock();
            let now = shelf.now(&*self.0.clock);
            step(&mut shelf, now)
        })
    }
}

impl Default for MemoryRateLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl Kept {
    fn new(rule: &Rule, counter: Counter) -> Self {
        let until = match counter {
            Counter::Gcra { due } => due,
            // The window after it still looks back at a window that slides.
            Counter::Window { index, .. } => (index + 2) * rule.limit().period_micros(),
        };
        Self { counter, until }
    }

    /// Takes a cost under a rule, if that allows it, and puts down how it stands.
    #[inline(always)]
    fn take(&mut self, rule: &Rule, now: u64, cost: u64, place: &mut Count) {
        // Two calls, so that the one for the algorithm that most rules have is made in place.
        if rule.counted_by() == Algorithm::Gcra {
            *place = self.count(rule, now, cost);
        } else {
            *place = self.count_windows(rule, now, cost);
        }
    }

    #[inline(always)]
    fn count(&mut self, rule: &Rule, now: u64, cost: u64) -> Count {
        let (count, next) = count(rule, self.live(now), now, cost, true);
        if let Some(counter) = next {
            *self = Self::new(rule, counter);
        }
        count
    }

    fn count_windows(&mut self, rule: &Rule, now: u64, cost: u64) -> Count {
        self.count(rule, now, cost)
    }

    /// What is not over yet.
    fn live(&self, now: u64) -> Option<Counter> {
        (self.until > now).then_some(self.counter)
    }
}

impl Shelf {
    /// The time. It is taken under the lock and never goes back for a counter, even by the little
    /// that processors may disagree on.
    #[inline]
    fn now(&mut self, clock: &dyn Clock) -> u64 {
        self.now = self.now.max(clock.now().as_micros());
        self.now
    }

    /// What of the counter of a rule is not over yet.
    fn live(&self, charge: &Charge<'_>, index: usize, now: u64) -> Option<Counter> {
        self.counters.get(charge, index)?.live(now)
    }

    fn put(&mut self, charge: &Charge<'_>, index: usize, counter: Counter) {
        let kept = Kept::new(charge.rules[index].0, counter);
        self.counters.insert(charge, index, kept);
    }

    fn sweep(&mut self, now: u64) {
        self.counters.retain(|kept| kept.until > now);
        let twice = self.counters.len() * 2;
        self.sweep_at = twice.clamp(Self::SWEEP_FROM, MemoryRateLimits::CAPACITY);
    }

    /// Sees to it that so many more counters can be stored.
    fn make_room(&mut self, more: usize, now: u64) -> Result<(), BackendError> {
        if self.counters.len() + more > self.sweep_at {
            self.sweep(now);
        }
        if self.counters.len() + more <= MemoryRateLimits::CAPACITY {
            return Ok(());
        }
        let message = "as many subjects are counted as there may be";
        Err(BackendError::new(ErrorKind::TooLarge, CHARGE, message))
    }

    /// Takes a cost under one rule after the other, which is one look at each, and puts back what
    /// was there if not all can be had. Answers whether that is all there is to do: not if a
    /// counter is new, nor if one of several rules denied it, as the others are told as they stand
    /// then.
    #[inline]
    fn charge_known(&mut self, charge: &Charge<'_>, now: u64, counts: &mut [Count]) -> bool {
        if let ([(rule, _)], [place]) = (charge.rules, &mut *counts) {
            let Some(kept) = self.counters.get_mut(charge, 0) else {
                return false;
            };
            kept.take(rule, now, charge.cost, place);
            return true;
        }
        self.charge_all_known(charge, now, counts)
    }

    fn charge_all_known(&mut self, charge: &Charge<'_>, now: u64, counts: &mut [Count]) -> bool {
        let mut before: SmallVec<[Kept; 4]> = SmallVec::new();
        for (index, ((rule, _), place)) in charge.rules.iter().zip(counts).enumerate() {
            if let Some(kept) = self.counters.get_mut(charge, index) {
                before.push(*kept);
                kept.take(rule, now, charge.cost, place);
                if place.verdict == Verdict::Allowed {
                    continue;
                }
            }
            for (index, was) in before.into_iter().enumerate() {
                if let Some(kept) = self.counters.get_mut(charge, index) {
                    *kept = was;
                }
            }
            return false;
        }
        true
    }

    fn charge(
        &mut self,
        charge: &Charge<'_>,
        now: u64,
        counts: &mut [Count],
    ) -> Result<(), BackendError> {
        let mut nexts: SmallVec<[_; 4]> = SmallVec::new();
        let mut more = 0;
        for (index, ((rule, _), place)) in charge.rules.iter().zip(&mut *counts).enumerate() {
            let kept = self.counters.get(charge, index);
            let stored = kept.and_then(|kept| kept.live(now));
            let (count, next) = count(rule, stored, now, charge.cost, true);
            *place = count;
            more += usize::from(kept.is_none() && next.is_some());
            nexts.push(next);
        }
        if counts.iter().any(|count| count.verdict != Verdict::Allowed) {
            for (index, ((rule, _), place)) in charge.rules.iter().zip(counts).enumerate() {
                let stored = self.live(charge, index, now);
                *place = count(rule, stored, now, charge.cost, false).0;
            }
            return Ok(());
        }
        if more > 0 {
            self.make_room(more, now)?;
        }
        for (index, next) in nexts.into_iter().enumerate() {
            if let Some(counter) = next {
                self.put(charge, index, counter);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl RateLimitStore for MemoryRateLimits {
    async fn charge(&self, charge: &Charge<'_>) -> Result<Answer, BackendError> {
        let mut answer = Answer::from_elem(Count::NOTHING, charge.rules.len());
        self.take(charge, &mut answer).map(|()| answer)
    }

    fn charge_now(
        &self,
        charge: &Charge<'_>,
        counts: &mut [Count],
    ) -> Option<Result<(), BackendError>> {
        if self.0.faults.are_asked_for() {
            return Some(self.take(charge, counts));
        }
        let mut shelf = self.0.kept.lock();
        let now = shelf.now(&*self.0.clock);
        if shelf.charge_known(charge, now, counts) {
            return Some(Ok(()));
        }
        Some(shelf.charge(charge, now, counts))
    }

    async fn refund(&self, charge: &Charge<'_>) -> Result<(), BackendError> {
        self.step("rate_limit.refund", |shelf, now| {
            for (index, (rule, _)) in charge.rules.iter().enumerate() {
                let Some(stored) = shelf.live(charge, index, now) else {
                    continue;
                };
                match refund(rule, stored, now, charge.cost) {
                    Some(counter) => shelf.put(charge, index, counter),
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
