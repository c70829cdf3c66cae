//! Putting a cache together.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;

use super::{
    Cache,
    inner::{Inner, MAX_COOLING},
    retry::Retries,
};
use crate::{
    cache::{BoundedMap, CacheError, CacheOptions, CacheStore, Space, chance::Chance},
    clock::{Clock, MonotonicClock},
    entropy::{Entropy, OsEntropy},
    name::Namespace,
    observe::{NoObserver, Observer},
};

/// Puts a [`Cache`] together.
#[must_use = "a builder does nothing until it builds"]
pub struct CacheBuilder {
    store: Arc<dyn CacheStore>,
    namespace: Namespace,
    options: CacheOptions,
    clock: Option<Arc<dyn Clock>>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn Observer>,
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("namespace", &self.namespace)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl CacheBuilder {
    pub(super) fn new(store: Arc<dyn CacheStore>, namespace: Namespace) -> Self {
        Self {
            store,
            namespace,
            options: CacheOptions::default(),
            clock: None,
            entropy: Arc::new(OsEntropy),
            observer: Arc::new(NoObserver),
        }
    }

    /// The settings.
    pub const fn options(mut self, options: CacheOptions) -> Self {
        self.options = options;
        self
    }

    /// The clock of timeouts and waits; not of what other processes must agree on.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The source of tokens and jitter.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Who is told what happens.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Makes the cache. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`CacheError::Option`] for a setting that cannot work, [`CacheError::Backend`] when there is
    /// no randomness.
    pub fn build(self) -> Result<Cache, CacheError> {
        self.options.validate()?;
        let chance = Chance::new(&*self.entropy)?;
        let inner = Arc::new(Inner {
            store: self.store,
            space: Space::new(self.namespace, self.options.version),
            options: self.options,
            clock: self
                .clock
                .unwrap_or_else(|| Arc::new(MonotonicClock::new())),
            entropy: self.entropy,
            observer: self.observer,
            chance,
            flights: Arc::default(),
            cooling: Mutex::new(BoundedMap::new(MAX_COOLING)),
            local: None,
            retries: Retries::new(self.options.retry_queue),
        });
        Ok(Cache { inner })
    }
}
