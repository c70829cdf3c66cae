//! A clock that stands still until it is told to move.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use state_core::{Clock, Timestamp};
use tokio::sync::watch;

/// A clock that stands still until it is told to move. A clone is a handle to the same clock.
///
/// ```
/// use std::time::Duration;
/// use state_core::Clock;
/// use state_testkit::VirtualClock;
///
/// let clock = VirtualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().saturating_since(before), Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<watch::Sender<Timestamp>>);

impl VirtualClock {
    /// Where a new clock stands: 2026-01-01T00:00:00Z.
    pub const START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

    /// A clock that stands at [`VirtualClock::START`].
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Self::START)))
    }

    /// Moves it forwards and wakes who waited for that.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|time| *time = time.saturating_add(by));
    }

    /// How many wait for a later time.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.0.receiver_count()
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep_until(&self, time: Timestamp) {
        let mut shown = self.0.subscribe();
        // Fails only when the clock is gone, and `self` is one of its handles.
        let _ = shown.wait_for(|now| *now >= time).await;
    }
}
