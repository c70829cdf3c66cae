//! A clock that moves when it is told to and ids that count, so every run is the same.
//!
//! Programs leave both out: the default is the store's own clock and random ids.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use governance_core::{Clock, IdSource, OperationId, RequestId, Slot, StoreError, Timestamp};

/// A clock that stands still until it is moved. A clone is a handle to the same clock.
#[derive(Debug, Clone)]
pub struct VirtualClock {
    micros: Arc<AtomicI64>,
}

impl VirtualClock {
    /// Monday, 2026-03-02, nine o'clock UTC: when every scenario starts.
    pub const START: Timestamp = Timestamp::from_micros(1_772_442_000_000_000);

    /// A clock that stands at [`VirtualClock::START`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            micros: Arc::new(AtomicI64::new(Self::START.as_micros())),
        }
    }

    /// The time it shows.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::Acquire))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.micros.fetch_add(micros, Ordering::AcqRel);
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for VirtualClock {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.time())
    }
}

/// Ids that count from one. Requests and operations share the count.
#[derive(Debug, Default)]
pub struct CountingIds {
    made: AtomicU64,
}

impl CountingIds {
    fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl IdSource for CountingIds {
    fn request_id(&self, at: Timestamp, slot: Slot) -> RequestId {
        let mut random = [0; 10];
        // The slot takes the place of two of the first bytes; the last six are free.
        random[4..].copy_from_slice(&self.next().to_be_bytes()[2..]);
        RequestId::new(at, slot, random)
    }

    fn operation_id(&self) -> OperationId {
        OperationId::from_bytes(u128::from(self.next()).to_be_bytes())
    }
}

/// So many hours.
#[must_use]
pub const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use governance_core::{StateId, TenantId};

    use super::*;

    #[test]
    fn the_start_is_a_monday_morning() {
        assert_eq!(VirtualClock::START.to_string(), "2026-03-02T09:00:00Z");
    }

    #[test]
    fn a_clone_is_the_same_clock() {
        let clock = VirtualClock::new();
        VirtualClock::clone(&clock).advance(hours(2));
        assert_eq!(clock.time().to_string(), "2026-03-02T11:00:00Z");
    }

    #[test]
    fn ids_differ_although_the_time_stands_still_and_keep_their_slot() {
        let ids = CountingIds::default();
        let slot = Slot::of(&TenantId::default(), &StateId::new("quota").unwrap());
        let made: Vec<RequestId> = (0..1_000)
            .map(|_| ids.request_id(VirtualClock::START, slot))
            .collect();
        assert!(made.iter().all(|id| id.slot() == slot));
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), made.len());
    }
}
