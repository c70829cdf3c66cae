//! The time, for little.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use state_core::{Clock, Timestamp};

/// The system's time, read off the processor's own counter.
///
/// Asking the system what time it is costs more than everything else that counts a call. This
/// clock asks it once in ten milliseconds and takes what lies between from the counter that the
/// processor keeps anyway, through the crate `quanta`. It shows the system's time to a few
/// microseconds, never goes back, and finds its way when the counter jumped, as it may when the
/// machine slept. Where there is no such counter it asks the system each time.
///
/// It goes on where a test paused Tokio's clock. There, take a
/// [`MonotonicClock`](state_core::MonotonicClock), or one of your own.
///
/// The first of a process takes a few milliseconds, at most 200, to learn how fast the counter is.
///
/// ```
/// use state_core::Clock as _;
/// use state_memory::CpuClock;
///
/// let clock = CpuClock::new();
/// assert!(clock.now() <= clock.now());
/// ```
pub struct CpuClock {
    counter: quanta::Clock,
    started: Instant,
    /// Microseconds since the epoch, by the system, when it started.
    at: u64,
    between: Between,
}

impl CpuClock {
    /// A clock that shows the system's time now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "a clock is where the time is taken"
    )]
    pub fn new() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let counter = quanta::Clock::new();
        Self {
            started: Instant::now(),
            at: whole_micros(since_epoch),
            between: Between::new(counter.delta_as_nanos(0, 1 << 32)),
            counter,
        }
    }

    fn system(&self) -> u64 {
        self.at.saturating_add(whole_micros(self.started.elapsed()))
    }

    #[inline]
    fn micros(&self) -> u64 {
        self.between.now(|| self.counter.raw(), || self.system())
    }
}

impl Default for CpuClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CpuClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuClock").finish_non_exhaustive()
    }
}

#[async_trait]
impl Clock for CpuClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros())
    }

    async fn sleep_until(&self, time: Timestamp) {
        loop {
            let left = time.saturating_since(self.now());
            if left.is_zero() {
                return;
            }
            // One microsecond more, because the time now was cut to whole ones.
            tokio::time::sleep(left.saturating_add(Duration::from_micros(1))).await;
        }
    }
}

fn whole_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What time it is between two times the system was asked, in microseconds.
struct Between {
    /// Microseconds in 2^32 of the counter. Less than there are, by an eighth of a thousandth: what
    /// that is off by is made up for when the system is asked, and then time can be put forward,
    /// but not back.
    pace: u64,
    /// How far the counter is trusted.
    trusted: u64,
    /// What the counter showed when the system was asked last. Together with what it said this is
    /// one thing to whoever reads both: it is read twice, and is `NEVER` while they change.
    asked_at: AtomicU64,
    /// What the system said.
    said: AtomicU64,
    asks: Mutex<()>,
}

impl Between {
    /// The longest time that is told without asking the system, in microseconds.
    const LONGEST: u64 = 10_000;

    /// So far from all that a counter shows that none of it is trusted.
    const NEVER: u64 = 1 << 63;

    /// By a counter of which 2^32 take so many nanoseconds.
    fn new(nanos: u64) -> Self {
        let pace = (nanos - (nanos >> 13)) / 1_000;
        Self {
            pace,
            // A counter so slow that it does not count microseconds is not used.
            trusted: (Self::LONGEST << 32).checked_div(pace).unwrap_or(0),
            asked_at: AtomicU64::new(Self::NEVER),
            said: AtomicU64::new(0),
            asks: Mutex::new(()),
        }
    }

    /// The time, from the counter and the system's time.
    #[inline]
    fn now(&self, counter: impl Fn() -> u64, system: impl Fn() -> u64) -> u64 {
        self.at(counter())
            .unwrap_or_else(|| self.ask(counter, system))
    }

    /// The time at a reading of the counter, if it can be told from that.
    #[inline]
    fn at(&self, counter: u64) -> Option<u64> {
        let asked_at = self.asked_at.load(Ordering::Acquire);
        let said = self.said.load(Ordering::Acquire);
        // A counter that went back has gone very far here.
        let since = counter.wrapping_sub(asked_at);
        (since < self.trusted && self.asked_at.load(Ordering::Relaxed) == asked_at)
            .then(|| said + self.micros(since))
    }

    /// What it takes the counter to get so far, which is not more than it is trusted for.
    #[inline]
    const fn micros(&self, since: u64) -> u64 {
        (since * self.pace) >> 32
    }

    #[cold]
    fn ask(&self, counter: impl Fn() -> u64, system: impl Fn() -> u64) -> u64 {
        let _one = self.asks.lock();
        let before = counter();
        if let Some(now) = self.at(before) {
            // Somebody else has asked meanwhile.
            return now;
        }
        // No later time than this was told.
        let told = self.said.load(Ordering::Relaxed) + self.micros(self.trusted);
        let now = system().max(told);
        self.asked_at.store(Self::NEVER, Ordering::Relaxed);
        self.said.store(now, Ordering::Release);
        self.asked_at.store(before, Ordering::Release);
        now
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const SECOND: u64 = 1_000_000;

    /// A system and a counter of a third of a nanosecond that is so many millionths off.
    struct Simulated {
        between: Between,
        nanos: Cell<u64>,
        counter: Cell<u64>,
        off: i64,
        last: Cell<u64>,
    }

    impl Simulated {
        fn new(off: i64) -> Self {
            Self {
                between: Between::new((1 << 32) / 3),
                nanos: Cell::new(1_767_225_600 * SECOND * 1_000),
                counter: Cell::new(5),
                off,
                last: Cell::new(0),
            }
        }

        fn pass(&self, nanos: u64) {
            self.nanos.set(self.nanos.get() + nanos);
            let exact = nanos * 3;
            let off = exact.cast_signed() * self.off / 1_000_000;
            let more = exact.saturating_add_signed(off);
            self.counter.set(self.counter.get() + more);
        }

        /// How many microseconds the clock is ahead of the system. It never goes back.
        fn error(&self) -> i64 {
            let system = || self.nanos.get() / 1_000;
            let now = self.between.now(|| self.counter.get(), system);
            assert!(now >= self.last.get(), "{now} after {}", self.last.get());
            self.last.set(now);
            now.cast_signed() - system().cast_signed()
        }
    }

    #[test]
    fn a_counter_that_is_a_little_off_is_put_right() {
        for off in [-100, -10, 0, 10, 100] {
            let time = Simulated::new(off);
            for step in 0..100_000 {
                // From fractions of what the counter is trusted for to more than it.
                time.pass(777 * (1 + step * step % 14_000));
                let error = time.error();
                assert!((-4..=0).contains(&error), "{off}: {error}");
            }
        }
    }

    #[test]
    fn a_counter_that_began_anew_is_followed() {
        let time = Simulated::new(0);
        time.error();
        time.pass(3_000_000);
        time.error();
        time.counter.set(7);
        time.pass(1_000 * SECOND);
        assert_eq!(time.error(), 0);
        time.pass(SECOND);
        assert!((-4..=0).contains(&time.error()));
    }

    #[test]
    fn a_counter_that_went_on_alone_is_not_believed() {
        let time = Simulated::new(0);
        time.error();
        time.counter.set(u64::MAX / 2);
        // Not later than it could have said before.
        assert!(time.error() <= Between::LONGEST.cast_signed());
        time.pass(1_000 * SECOND);
        assert_eq!(time.error(), 0);
    }

    #[test]
    fn a_counter_that_does_not_count_is_not_used() {
        let between = Between::new(0);
        for system in [7, 8, 1_000_000] {
            assert_eq!(between.now(|| 3, || system), system);
        }
    }

    #[test]
    fn it_shows_the_systems_time() {
        let clock = CpuClock::new();
        let start = clock.system();
        while clock.system() < start + 4 * Between::LONGEST {
            let before = clock.system();
            let now = clock.micros();
            let after = clock.system();
            // A millisecond more, for processors whose counter is found out badly.
            assert!((before - 1_000..=after + 1_000).contains(&now));
        }
    }

    #[tokio::test]
    async fn sleeping_ends_when_it_is_time() {
        let clock = CpuClock::new();
        let until = clock.now().saturating_add(Duration::from_millis(3));
        clock.sleep_until(until).await;
        assert!(clock.now() >= until);
        clock.sleep_until(until).await;
    }
}
