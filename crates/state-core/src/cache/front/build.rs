//! Putting a cache together.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;

use super::{
    Cache,
    bus::{Bus, Listener},
    inner::{Inner, MAX_COOLING},
    retry::Retries,
};
use crate::{
    cache::{
        BoundedMap, CacheError, CacheOptions, CacheStore, InvalidOption, Space, chance::Chance,
        local::Local,
    },
    clock::{Clock, MonotonicClock},
    entropy::{Entropy, OsEntropy},
    event::Events,
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
    bus: Option<(Events, Namespace)>,
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
            bus: None,
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

    /// Tells other processes of invalidations through a topic, and hears of theirs: needed by all
    /// caches of the namespace as soon as one of them keeps values
    /// [in its process](crate::cache::CacheOptions::l1_capacity).
    ///
    /// What is published through the same `Events` is not heard, so a namespace has one cache per
    /// `Events`. Caches of several namespaces may share a topic.
    pub fn bus(mut self, events: Events, topic: Namespace) -> Self {
        self.bus = Some((events, topic));
        self
    }

    /// Makes the cache. Nothing is sent yet; with values kept in this process, listening begins.
    ///
    /// # Errors
    ///
    /// [`CacheError::Option`] for a setting that cannot work, [`CacheError::Backend`] when there is
    /// no randomness.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime, if values are kept in this process.
    pub fn build(self) -> Result<Cache, CacheError> {
        self.options.validate()?;
        let chance = Chance::new(&*self.entropy)?;
        let capacity = self.options.l1_capacity;
        let local = (capacity > 0).then(|| Arc::new(Local::new(capacity)));
        if local.is_some() && self.bus.is_none() {
            return Err(CacheError::Option(InvalidOption {
                option: "l1_capacity",
                rule: "needs a bus",
            }));
        }
        let bus = self.bus.map(|(events, topic)| {
            let listener = local.as_ref().map(|local| Listener {
                local: Arc::clone(local),
                namespace: self.namespace.clone(),
                observer: Arc::clone(&self.observer),
            });
            Bus::new(events, topic, listener)
        });
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
            local,
            bus,
            retries: Retries::new(self.options.retry_queue),
        });
        Ok(Cache { inner })
    }
}
