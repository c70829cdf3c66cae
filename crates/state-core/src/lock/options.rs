//! Settings of locks.

use std::time::Duration;

use crate::lock::InvalidOption;

/// Settings of [`Locks`](crate::lock::Locks).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockOptions {
    /// How long a lock is held without being renewed. Whole milliseconds, 1 ms to 1 day; 30 s
    /// unless set.
    pub ttl: Duration,
    /// How long [`acquire`](crate::lock::Lock::acquire_by_default) waits; not at all unless set.
    pub wait: Duration,
    /// Shortest pause between two attempts; 20 ms unless set.
    pub retry_min: Duration,
    /// Longest pause between two attempts when no release wakes the waiter; 1 s unless set.
    pub retry_max: Duration,
    /// By how much of the lifetime the clocks of the backend and of this process may disagree, in
    /// percent; 1 unless set.
    pub drift_percent: u8,
    /// How many guards may be dropped at a time before their locks are left to expire; 1024 unless
    /// set.
    pub release_queue: usize,
}

impl Default for LockOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            wait: Duration::ZERO,
            retry_min: Duration::from_millis(20),
            retry_max: Duration::from_secs(1),
            drift_percent: 1,
            release_queue: 1_024,
        }
    }
}

/// Longest lifetime of a lock.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

impl LockOptions {
    /// The same with this lifetime.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// The same with this wait.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The same with these pauses between attempts.
    #[must_use]
    pub const fn retry(mut self, min: Duration, max: Duration) -> Self {
        self.retry_min = min;
        self.retry_max = max;
        self
    }

    /// The same with this disagreement of clocks.
    #[must_use]
    pub const fn drift_percent(mut self, percent: u8) -> Self {
        self.drift_percent = percent;
        self
    }

    /// Checks them.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] with the first that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        check_ttl("ttl", self.ttl)?;
        let rules = [
            (
                "retry_min",
                !self.retry_min.is_zero() && self.retry_min <= self.retry_max,
                "more than zero and at most retry_max",
            ),
            ("retry_max", self.retry_max <= LONGEST, "at most one day"),
            ("drift_percent", self.drift_percent <= 50, "at most 50"),
            ("release_queue", self.release_queue > 0, "at least one"),
        ];
        rules
            .into_iter()
            .find(|(_, holds, _)| !holds)
            .map_or(Ok(()), |(option, _, rule)| {
                Err(InvalidOption { option, rule })
            })
    }

    /// How long a lifetime is good for, seen from the moment before it was asked for.
    pub(super) fn validity(&self, ttl: Duration) -> Duration {
        ttl.saturating_sub(ttl * u32::from(self.drift_percent) / 100)
    }
}

/// Checks a lifetime.
pub(super) fn check_ttl(option: &'static str, ttl: Duration) -> Result<(), InvalidOption> {
    let whole = ttl.subsec_nanos().is_multiple_of(1_000_000);
    if whole && !ttl.is_zero() && ttl <= LONGEST {
        Ok(())
    } else {
        Err(InvalidOption {
            option,
            rule: "whole milliseconds, more than zero and at most one day",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(LockOptions::default().validate(), Ok(()));
    }

    #[test]
    fn each_rule_is_checked() {
        let milli = Duration::from_millis(1);
        let fault = |options: LockOptions| options.validate().unwrap_err().option;
        let with = LockOptions::default();
        assert_eq!(fault(with.ttl(Duration::ZERO)), "ttl");
        assert_eq!(fault(with.ttl(Duration::from_micros(1_500))), "ttl");
        assert_eq!(fault(with.ttl(LONGEST + milli)), "ttl");
        assert_eq!(fault(with.retry(Duration::ZERO, milli)), "retry_min");
        assert_eq!(fault(with.retry(milli * 2, milli)), "retry_min");
        assert_eq!(fault(with.retry(milli, LONGEST + milli)), "retry_max");
        assert_eq!(fault(with.drift_percent(51)), "drift_percent");
    }

    #[test]
    fn n_lk_9_short_lifetimes_do_not_underflow() {
        let options = LockOptions::default();
        for millis in 1..500 {
            let ttl = Duration::from_millis(millis);
            let validity = options.validity(ttl);
            assert!(!validity.is_zero() && validity < ttl);
        }
    }
}
