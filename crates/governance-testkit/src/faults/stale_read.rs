//! Reads that are answered with what was there before.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use governance_core::{MutationRequest, Provider, RequestId, Scope, StateSnapshot};

use super::faulty::{Fault, Faulty};

/// Answers reads it is told to answer with what the record was at the read before, as a replica
/// that lags behind would. Writes reach the provider at once.
pub type StaleReadStore = Faulty<StaleRead>;

/// What a [`StaleReadStore`] does.
#[derive(Debug, Default)]
pub struct StaleRead(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    lag: u32,
    requests: BTreeMap<RequestId, Option<Arc<MutationRequest>>>,
    states: BTreeMap<Scope, StateSnapshot>,
}

impl Faulty<StaleRead> {
    /// The provider, up to date.
    #[must_use]
    pub fn new(store: impl Provider) -> Self {
        Self::with(store, StaleRead::default())
    }

    /// Answers the next reads of records that were read before, so many of them, as it answered
    /// then.
    pub fn lag(&self, reads: u32) {
        self.fault().lock(|seen| seen.lag = reads);
    }

    /// How many reads are still to be answered late.
    #[must_use]
    pub fn lagging(&self) -> u32 {
        self.fault().lock(|seen| seen.lag)
    }
}

impl StaleRead {
    fn lock<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What was seen before if the read is to be answered late, else what was found.
fn told<K: Ord + Clone, V: Clone>(
    seen: &mut BTreeMap<K, V>,
    lag: &mut u32,
    key: &K,
    found: V,
) -> V {
    if *lag > 0
        && let Some(before) = seen.get(key)
    {
        *lag -= 1;
        return before.clone();
    }
    seen.insert(key.clone(), found.clone());
    found
}

#[async_trait]
impl Fault for StaleRead {
    fn request(
        &self,
        id: &RequestId,
        found: Option<Arc<MutationRequest>>,
    ) -> Option<Arc<MutationRequest>> {
        self.lock(|seen| told(&mut seen.requests, &mut seen.lag, id, found))
    }

    fn state(&self, scope: &Scope, found: StateSnapshot) -> StateSnapshot {
        self.lock(|seen| told(&mut seen.states, &mut seen.lag, scope, found))
    }
}
