//! Settings that only Redis has.

use std::time::Duration;

use state_core::lock::InvalidOption;

/// Settings of [`RedisLocks`](super::RedisLocks).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisLockOptions {
    /// How long the last fence of a name is remembered; 7 days unless set. When it is forgotten,
    /// fences go on rising by the server's time.
    pub fence_ttl: Duration,
    /// How many replicas must have a grant before it counts; none unless set.
    pub replicas: u32,
    /// How long to wait for them; 100 ms unless set.
    pub replica_wait: Duration,
    /// How many waits listen for a release on a connection of their own; 4 unless set. More than
    /// that poll. Keep it well below the size of the pool.
    pub listeners: usize,
}

impl Default for RedisLockOptions {
    fn default() -> Self {
        Self {
            fence_ttl: Duration::from_secs(7 * 24 * 60 * 60),
            replicas: 0,
            replica_wait: Duration::from_millis(100),
            listeners: 4,
        }
    }
}

impl RedisLockOptions {
    /// The same with this lifetime of fences.
    #[must_use]
    pub const fn fence_ttl(mut self, ttl: Duration) -> Self {
        self.fence_ttl = ttl;
        self
    }

    /// The same with this many replicas to wait for, and for how long.
    #[must_use]
    pub const fn replicas(mut self, replicas: u32, wait: Duration) -> Self {
        self.replicas = replicas;
        self.replica_wait = wait;
        self
    }

    /// The same with this many listeners.
    #[must_use]
    pub const fn listeners(mut self, listeners: usize) -> Self {
        self.listeners = listeners;
        self
    }

    /// Checks them.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] with the first that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        if self.fence_ttl < Duration::from_secs(60) {
            return Err(InvalidOption {
                option: "fence_ttl",
                rule: "at least one minute",
            });
        }
        if self.replicas > 0 && self.replica_wait < Duration::from_millis(1) {
            return Err(InvalidOption {
                option: "replica_wait",
                rule: "at least one millisecond when replicas are waited for",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked() {
        let options = RedisLockOptions::default();
        assert_eq!(options.validate(), Ok(()));
        let fault = |options: RedisLockOptions| options.validate().unwrap_err().option;
        assert_eq!(fault(options.fence_ttl(Duration::ZERO)), "fence_ttl");
        assert_eq!(fault(options.replicas(1, Duration::ZERO)), "replica_wait");
    }
}
