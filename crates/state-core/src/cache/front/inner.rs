//! What all handles of a cache share.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    cache::{
        BoundedMap, CacheError, CacheOptions, CacheStore, Lives, MAX_KEY_BYTES, Space,
        chance::{Chance, shortened},
        flight::Flights,
        local::{Kept, Local},
    },
    clock::{Clock, Timestamp},
    entropy::Entropy,
    observe::{Capability, Observation, Observer},
};

use super::{bus::Bus, retry::Retries};

pub(crate) struct Inner {
    pub(super) store: Arc<dyn CacheStore>,
    pub(super) space: Space,
    pub(super) options: CacheOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) chance: Chance,
    pub(super) flights: Arc<Flights>,
    /// Keys whose load failed, and until when they are left alone.
    pub(super) cooling: Mutex<BoundedMap<Arc<str>, Timestamp>>,
    pub(super) local: Option<Arc<Local>>,
    pub(super) bus: Option<Bus>,
    pub(super) retries: Retries,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("space", &self.space)
            .finish_non_exhaustive()
    }
}

/// How many keys whose load failed are remembered.
pub(super) const MAX_COOLING: usize = 1_024;

impl Inner {
    pub(super) fn observe(
        &self,
        operation: &'static str,
        outcome: &'static str,
        duration: Option<Duration>,
    ) {
        self.observer.operation(&Observation {
            capability: Capability::Cache,
            operation,
            outcome,
            namespace: self.space.namespace().as_str(),
            duration,
        });
    }

    pub(super) const fn check_key(key: &str) -> Result<(), CacheError> {
        if key.len() > MAX_KEY_BYTES {
            return Err(CacheError::KeyTooLong);
        }
        Ok(())
    }

    pub(super) fn check_value(&self, value: &Bytes) -> Result<(), CacheError> {
        let limit = self.options.max_value_bytes;
        if value.len() > limit {
            return Err(CacheError::ValueTooLarge { limit });
        }
        Ok(())
    }

    /// How long a value of this time to live is kept, by chance a little shorter.
    pub(super) fn lives(&self, ttl: Duration, stale: Duration) -> Lives {
        let fresh = shortened(ttl, self.options.jitter_percent, self.chance.unit());
        Lives {
            fresh,
            stored: fresh.saturating_add(stale),
        }
    }

    /// What this process keeps, while it is told of invalidations.
    pub(super) fn usable_local(&self) -> Option<&Arc<Local>> {
        let local = self.local.as_ref()?;
        self.bus.as_ref().is_some_and(Bus::is_live).then_some(local)
    }

    pub(super) fn kept(&self, key: &str) -> Option<Kept> {
        let kept = self.usable_local()?.find(key)?;
        (self.clock.now() < kept.keep_until).then_some(kept)
    }

    pub(super) fn is_cooling(&self, key: &str) -> bool {
        let now = self.clock.now();
        let cooling = self.cooling.lock();
        cooling.peek(key).is_some_and(|until| now < *until)
    }

    /// Loads of a key are left out for a while.
    pub(super) fn cool(&self, key: &str) {
        const PAUSE: Duration = Duration::from_secs(1);
        let until = self.clock.now().saturating_add(PAUSE);
        self.cooling.lock().insert(key.into(), until);
    }
}
