//! Values that can be had again: cache.

mod shelf;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use state_core::{
    Answering, BackendError, Clock, MonotonicClock,
    cache::{
        Begin, Begun, CacheStore, Draft, Envelope, Epochs, Fill, Filled, LeaseToken, Lives, Read,
        Space, Tag, Target, Times,
    },
};

use self::shelf::{Shelf, whole_millis};
use crate::Faults;

/// A cache in this process. A clone is a handle to the same.
///
/// It keeps so many values; when one more comes, that which was used longest ago goes. Another
/// process with a store of this type has other values.
///
/// Operations that can be made to fail: `cache.read`, `cache.begin`, `cache.fill`,
/// `cache.abandon`, `cache.set`, `cache.delete`, `cache.invalidate`, `cache.shorten`.
#[derive(Clone)]
pub struct MemoryCacheStore {
    shelf: Arc<Mutex<Shelf>>,
    clock: Arc<dyn Clock>,
    faults: Faults,
}

impl fmt::Debug for MemoryCacheStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCacheStore").finish_non_exhaustive()
    }
}

impl Default for MemoryCacheStore {
    fn default() -> Self {
        Self::new(Arc::new(MonotonicClock::new()), Self::CAPACITY)
    }
}

impl MemoryCacheStore {
    /// How many values the default keeps.
    pub const CAPACITY: usize = 65_536;

    /// An empty cache of so many values, on a clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        Self {
            shelf: Arc::new(Mutex::new(Shelf::new(capacity))),
            clock,
            faults: Faults::new(),
        }
    }

    /// Makes calls fail.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How many values, leases and epochs there are, those whose time is over left out.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shelf.lock().count(self.clock.now())
    }

    /// Loses every epoch, as an evicting server may.
    pub fn lose_epochs(&self) {
        self.shelf.lock().lose_epochs();
    }

    fn step<T>(
        &self,
        operation: &'static str,
        step: impl FnOnce(&mut Shelf) -> T,
    ) -> Result<T, BackendError> {
        self.faults.around(operation, || {
            let mut shelf = self.shelf.lock();
            shelf.sweep(self.clock.now());
            Ok(step(&mut shelf))
        })
    }
}

#[async_trait]
impl CacheStore for MemoryCacheStore {
    fn read<'a>(
        &'a self,
        space: &'a Space,
        keys: &'a [&'a str],
        tags: &'a [Tag],
    ) -> Answering<'a, Read> {
        Answering::now(self.step("cache.read", |shelf| {
            let now = shelf.now();
            Read {
                now,
                namespace: shelf.epoch(space, None),
                tags: tags
                    .iter()
                    .map(|tag| shelf.epoch(space, Some(tag)))
                    .collect(),
                values: keys.iter().map(|key| shelf.value(space, key)).collect(),
            }
        }))
    }

    async fn begin(
        &self,
        space: &Space,
        key: &str,
        begin: &Begin<'_>,
    ) -> Result<Begun, BackendError> {
        self.step("cache.begin", |shelf| {
            let held = shelf.lease(space, key);
            if held.is_some_and(|token| token != begin.token) {
                return Begun::Held;
            }
            let stored = shelf.value(space, key).unwrap_or_default();
            if Envelope::mark(&stored) != begin.seen {
                return Begun::Changed;
            }
            let epochs = shelf.need_epochs(space, begin.tags, begin.epochs);
            shelf.put_lease(space, key, begin.token, begin.lease);
            Begun::Won(epochs)
        })
    }

    async fn fill(
        &self,
        space: &Space,
        key: &str,
        fill: &Fill<'_>,
    ) -> Result<Filled, BackendError> {
        self.step("cache.fill", |shelf| {
            if shelf.lease(space, key) != Some(fill.token) {
                return Filled::Lost;
            }
            shelf.drop_lease(space, key);
            let mut tags = fill.tags.iter().zip(&fill.epochs.tags);
            if shelf.epoch(space, None) != Some(fill.epochs.namespace)
                || !tags.all(|(tag, epoch)| shelf.epoch(space, Some(tag)) == Some(*epoch))
            {
                return Filled::Moved;
            }
            shelf.need_epochs(space, fill.tags, fill.lives.epochs());
            put(shelf, space, key, fill.draft, fill.epochs, fill.lives);
            Filled::Stored
        })
    }

    async fn abandon(
        &self,
        space: &Space,
        key: &str,
        token: LeaseToken,
    ) -> Result<(), BackendError> {
        self.step("cache.abandon", |shelf| {
            if shelf.lease(space, key) == Some(token) {
                shelf.drop_lease(space, key);
            }
        })
    }

    async fn set(
        &self,
        space: &Space,
        items: &[(&str, &Draft)],
        tags: &[Tag],
        lives: Lives,
    ) -> Result<(), BackendError> {
        self.step("cache.set", |shelf| {
            let epochs = shelf.need_epochs(space, tags, lives.epochs());
            for (key, draft) in items {
                put(shelf, space, key, draft, &epochs, lives);
                shelf.drop_lease(space, key);
            }
        })
    }

    async fn delete(&self, space: &Space, keys: &[&str]) -> Result<Vec<bool>, BackendError> {
        self.step("cache.delete", |shelf| {
            let remove = |key: &&str| {
                shelf.drop_lease(space, key);
                shelf.drop_value(space, key)
            };
            keys.iter().map(remove).collect()
        })
    }

    async fn invalidate(&self, space: &Space, target: Target<'_>) -> Result<(), BackendError> {
        self.step("cache.invalidate", |shelf| match target {
            Target::Namespace => shelf.move_epoch(space, None),
            Target::Tags(tags) => tags
                .iter()
                .for_each(|tag| shelf.move_epoch(space, Some(tag))),
            Target::Keys(keys) => {
                for key in keys {
                    shelf.drop_lease(space, key);
                    shelf.drop_value(space, key);
                }
            }
            _ => {}
        })
    }

    async fn shorten(
        &self,
        space: &Space,
        target: Target<'_>,
        life: Duration,
    ) -> Result<(), BackendError> {
        self.step("cache.shorten", |shelf| match target {
            Target::Namespace => shelf.shorten_epoch(space, None, life),
            Target::Tags(tags) => {
                tags.iter()
                    .for_each(|tag| shelf.shorten_epoch(space, Some(tag), life));
            }
            Target::Keys(keys) => keys
                .iter()
                .for_each(|key| shelf.shorten_value(space, key, life)),
            _ => {}
        })
    }
}

fn put(shelf: &mut Shelf, space: &Space, key: &str, draft: &Draft, epochs: &Epochs, lives: Lives) {
    let stored_at = shelf.now();
    let times = Times {
        stored_at,
        fresh_until: stored_at.saturating_add(lives.fresh),
    };
    let life = whole_millis(lives.stored);
    shelf.put_value(space, key, draft.seal(times, epochs), life);
}
