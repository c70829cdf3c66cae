//! Time, as an argument.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

/// A time in microseconds since the Unix epoch.
///
/// Arithmetic saturates: no time from outside can make it wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This much later.
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(whole_micros(by)))
    }

    /// This much earlier.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(whole_micros(by)))
    }

    /// How long it is since an earlier time; zero since a later one.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

fn whole_micros(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1_000_000);
    whole.saturating_add(duration.subsec_micros().into())
}

/// Tells the time and waits for it.
///
/// What several processes must agree on goes by the backend's time: the server's on Redis, this
/// clock in memory. The fronts use one for local deadlines only.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now. Never goes back.
    fn now(&self) -> Timestamp;

    /// Returns once the clock shows this time or a later one.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time.
    async fn sleep_until(&self, time: Timestamp);
}

/// Starts with the system's time and runs on evenly, whatever the system's clock does later.
///
/// It runs on Tokio's clock, so it stands still where a test paused that.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock {
    started: Instant,
    at: Timestamp,
}

impl MonotonicClock {
    /// A clock that shows the system's time now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where this crate takes the time"
    )]
    pub fn new() -> Self {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            at: Timestamp::default().saturating_add(since_epoch),
        }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for MonotonicClock {
    fn now(&self) -> Timestamp {
        self.at.saturating_add(self.started.elapsed())
    }

    async fn sleep_until(&self, time: Timestamp) {
        let left = time.saturating_since(self.now());
        if !left.is_zero() {
            // One microsecond more, because the time now was cut to whole ones.
            tokio::time::sleep(left.saturating_add(Duration::from_micros(1))).await;
        }
    }
}
