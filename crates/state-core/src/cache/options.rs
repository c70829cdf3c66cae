//! Settings of a cache and of single calls.

use std::time::Duration;

use crate::cache::{InvalidOption, Tags};

/// What happens when the backend cannot be read.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The value is loaded and not stored.
    #[default]
    Load,
    /// What this process still has is used, even if its time is over; else it is loaded.
    Stale,
    /// The call fails.
    Error,
}

/// What happens when an invalidation fails, here or on its way to the other processes.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// The call fails after the retries.
    #[default]
    Strict,
    /// It is queued and repeated until it succeeds.
    Eventual,
    /// What is there is given a short life instead; the call fails when that fails, too.
    ShortTtl,
}

/// Settings of a [`Cache`](crate::cache::Cache).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CacheOptions {
    /// How long a value is fresh. 1 ms to 366 days; 5 min unless set.
    pub default_ttl: Duration,
    /// How long it is kept beyond that, to be used while a new one is made. At most 366 days; 30 s
    /// unless set.
    pub stale_window: Duration,
    /// How long it is remembered that there is no value; zero for not at all. 30 s unless set.
    pub negative_ttl: Duration,
    /// By how many percent a time to live is made shorter at most, by chance, so that values do
    /// not end together. 0 to 100; 10 unless set.
    pub jitter_percent: u8,
    /// How eagerly values are refreshed before their time is over; 0 for not at all. 0 to 100; 1
    /// unless set.
    pub beta: f64,
    /// How long one process may keep the others from loading the same. 1 ms to 1 h and not below
    /// the hard timeout; 10 s unless set.
    pub lease_ttl: Duration,
    /// How long a caller waits for the load of another process before it loads itself; 2 s unless
    /// set.
    pub lease_wait: Duration,
    /// After this a caller gets the stale value if there is one, and the load goes on. Off unless
    /// set.
    pub soft_timeout: Option<Duration>,
    /// After this a load fails. 10 s unless set.
    pub hard_timeout: Duration,
    /// Largest value in bytes. 1 to 512 MiB; 1 MiB unless set.
    pub max_value_bytes: usize,
    /// How many values this process keeps itself; 0, as unless set, for none. More needs a bus.
    pub l1_capacity: usize,
    /// How long this process keeps a value itself; 30 s unless set.
    pub l1_ttl: Duration,
    /// What happens when an invalidation fails.
    pub consistency: Consistency,
    /// The short life of [`Consistency::ShortTtl`]; 30 s unless set.
    pub short_ttl: Duration,
    /// What happens when the backend cannot be read.
    pub on_error: OnError,
    /// Version of the values. Those of another version are not seen.
    pub version: u32,
    /// How many invalidations may be queued; 1024 unless set.
    pub retry_queue: usize,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            default_ttl: Duration::from_secs(300),
            stale_window: Duration::from_secs(30),
            negative_ttl: Duration::from_secs(30),
            jitter_percent: 10,
            beta: 1.0,
            lease_ttl: Duration::from_secs(10),
            lease_wait: Duration::from_secs(2),
            soft_timeout: None,
            hard_timeout: Duration::from_secs(10),
            max_value_bytes: 1 << 20,
            l1_capacity: 0,
            l1_ttl: Duration::from_secs(30),
            consistency: Consistency::Strict,
            short_ttl: Duration::from_secs(30),
            on_error: OnError::Load,
            version: 1,
            retry_queue: 1_024,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)+) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub const fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            }
        )+
    };
}

/// Longest time to live.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
const SHORTEST: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(60 * 60);

impl CacheOptions {
    setters! {
        /// The same with this time to live.
        default_ttl: Duration;
        /// The same with this stale window.
        stale_window: Duration;
        /// The same with this memory of what is not there.
        negative_ttl: Duration;
        /// The same with this jitter.
        jitter_percent: u8;
        /// The same with this eagerness of early refreshes.
        beta: f64;
        /// The same with these leases.
        lease_ttl: Duration;
        /// The same with this wait for other processes.
        lease_wait: Duration;
        /// The same with this soft timeout of loads.
        soft_timeout: Option<Duration>;
        /// The same with this hard timeout of loads.
        hard_timeout: Duration;
        /// The same with this largest value.
        max_value_bytes: usize;
        /// The same with so many values kept in this process.
        l1_capacity: usize;
        /// The same with this life of values in this process.
        l1_ttl: Duration;
        /// The same with this policy for invalidations that fail.
        consistency: Consistency;
        /// The same with this short life.
        short_ttl: Duration;
        /// The same with this policy for reads that fail.
        on_error: OnError;
        /// The same with this version of values.
        version: u32;
        /// The same with this queue of invalidations.
        retry_queue: usize;
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] with the first one that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        let refuse = |option, rule| Err(InvalidOption { option, rule });
        if !(SHORTEST..=LONGEST).contains(&self.default_ttl) {
            return refuse("default_ttl", "must be 1 ms to 366 days");
        }
        if self.stale_window > LONGEST {
            return refuse("stale_window", "must be at most 366 days");
        }
        if self.negative_ttl > LONGEST {
            return refuse("negative_ttl", "must be at most 366 days");
        }
        if self.jitter_percent > 100 {
            return refuse("jitter_percent", "must be 0 to 100");
        }
        if !(0.0..=100.0).contains(&self.beta) {
            return refuse("beta", "must be 0 to 100");
        }
        if !(SHORTEST..=HOUR).contains(&self.hard_timeout) {
            return refuse("hard_timeout", "must be 1 ms to 1 h");
        }
        if !(self.hard_timeout..=HOUR).contains(&self.lease_ttl) {
            return refuse("lease_ttl", "must be the hard timeout to 1 h");
        }
        if self.lease_wait > HOUR {
            return refuse("lease_wait", "must be at most 1 h");
        }
        if self
            .soft_timeout
            .is_some_and(|soft| soft > self.hard_timeout)
        {
            return refuse("soft_timeout", "must not be above the hard timeout");
        }
        if !(1..=512 << 20).contains(&self.max_value_bytes) {
            return refuse("max_value_bytes", "must be 1 to 512 MiB");
        }
        if !(SHORTEST..=LONGEST).contains(&self.l1_ttl) {
            return refuse("l1_ttl", "must be 1 ms to 366 days");
        }
        if !(SHORTEST..=LONGEST).contains(&self.short_ttl) {
            return refuse("short_ttl", "must be 1 ms to 366 days");
        }
        if self.retry_queue == 0 {
            return refuse("retry_queue", "must be above 0");
        }
        Ok(())
    }

    /// How long this process keeps a value at most.
    pub(crate) fn local_life(&self) -> Duration {
        match self.consistency {
            Consistency::ShortTtl => self.l1_ttl.min(self.short_ttl),
            Consistency::Strict | Consistency::Eventual => self.l1_ttl,
        }
    }
}

/// How one value is stored.
#[non_exhaustive]
#[derive(Debug, Clone, Default)]
pub struct SetOptions {
    /// How long it is fresh; the cache's own unless set.
    pub ttl: Option<Duration>,
    /// Its tags.
    pub tags: Tags,
    /// A number for the codec of the value, which readers get back.
    pub codec: u8,
}

/// How one value is read and, if need be, loaded and stored.
pub type LoadOptions = SetOptions;

impl SetOptions {
    /// The same with this time to live.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The same with these tags.
    #[must_use]
    pub fn tags(mut self, tags: Tags) -> Self {
        self.tags = tags;
        self
    }

    /// The same with this codec.
    #[must_use]
    pub const fn codec(mut self, codec: u8) -> Self {
        self.codec = codec;
        self
    }

    /// The tags.
    #[must_use]
    pub const fn tags_ref(&self) -> &Tags {
        &self.tags
    }

    pub(crate) fn checked_ttl(&self, default: Duration) -> Result<Duration, InvalidOption> {
        let ttl = self.ttl.unwrap_or(default);
        if (SHORTEST..=LONGEST).contains(&ttl) {
            Ok(ttl)
        } else {
            Err(InvalidOption {
                option: "ttl",
                rule: "must be 1 ms to 366 days",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_name_the_option() {
        assert_eq!(CacheOptions::default().validate(), Ok(()));
        let base = CacheOptions::default();
        let day = 24 * HOUR;
        for (options, option) in [
            (base.default_ttl(Duration::ZERO), "default_ttl"),
            (base.default_ttl(400 * day), "default_ttl"),
            (base.stale_window(400 * day), "stale_window"),
            (base.negative_ttl(400 * day), "negative_ttl"),
            (base.jitter_percent(101), "jitter_percent"),
            (base.beta(-1.0), "beta"),
            (base.beta(f64::NAN), "beta"),
            (base.hard_timeout(Duration::ZERO), "hard_timeout"),
            (base.lease_ttl(Duration::from_secs(9)), "lease_ttl"),
            (base.lease_wait(day), "lease_wait"),
            (base.soft_timeout(Some(HOUR)), "soft_timeout"),
            (base.max_value_bytes(0), "max_value_bytes"),
            (base.l1_ttl(Duration::ZERO), "l1_ttl"),
            (base.short_ttl(Duration::ZERO), "short_ttl"),
            (base.retry_queue(0), "retry_queue"),
        ] {
            assert_eq!(options.validate().unwrap_err().option, option);
        }
    }
}
