//! The cache, as an application uses it.

mod build;
mod bus;
mod inner;
mod lease;
mod load;
mod many;
mod read;
mod retry;
mod write;

use std::{error::Error, fmt, future::Future, sync::Arc};

use bytes::Bytes;

pub use self::build::CacheBuilder;
use self::{inner::Inner, load::boxed, read::Looked};
use crate::{
    cache::{CacheError, CacheStore, LoadOptions, Loaded, Lookup, Tags},
    error::Classified as _,
    name::Namespace,
};

/// One namespace of values.
///
/// A clone is a handle to the same cache: they share loads under way and what this process keeps.
///
/// # When the backend is away
///
/// [`get`](Self::get) and the writes fail. [`get_or_load`](Self::get_or_load) does as
/// [`on_error`](crate::cache::CacheOptions::on_error) says.
///
/// # Examples
///
/// See the [module](crate::cache).
#[derive(Clone)]
pub struct Cache {
    pub(super) inner: Arc<Inner>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("namespace", self.inner.space.namespace())
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Starts a cache on a store.
    pub fn builder(store: Arc<dyn CacheStore>, namespace: Namespace) -> CacheBuilder {
        CacheBuilder::new(store, namespace)
    }

    /// Looks a key up. Tags of the value that are named here are checked on the way; the others
    /// cost a second round trip.
    ///
    /// # Errors
    ///
    /// When the key is too long or the backend fails. A stored value that cannot be read is a
    /// miss.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One; two when the value has tags that were not named; none when this process has it.
    pub async fn get(&self, key: &str, tags: &Tags) -> Result<Lookup, CacheError> {
        let started = self.inner.started();
        let result = self.inner.get(key, tags).await;
        self.inner.tell("get", started, &result, Lookup::outcome);
        result
    }

    /// Looks a key up, and loads and stores its value when there is none.
    ///
    /// The loader gives `None` when there is no such value, which is remembered for the
    /// [`negative_ttl`](crate::cache::CacheOptions::negative_ttl). It runs on a task of its own:
    /// the load goes on when the caller does not wait for it. Callers of one key give the same
    /// options.
    ///
    /// # Errors
    ///
    /// [`CacheError::Loader`], [`CacheError::LoadTimeout`] and [`CacheError::LoaderPanicked`] when
    /// there is no stale value either. With [`OnError::Error`](crate::cache::OnError) the
    /// backend's. A value that could not be stored is no error.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any time; a load that began ends by itself.
    ///
    /// # Round trips
    ///
    /// As [`get`](Self::get) for a hit; two more for a load.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub async fn get_or_load<F, L, E>(
        &self,
        key: &str,
        options: &LoadOptions,
        loader: F,
    ) -> Result<Loaded, CacheError>
    where
        F: FnOnce() -> L + Send + 'static,
        L: Future<Output = Result<Option<Bytes>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        let started = self.inner.started();
        let result = match self.inner.look_or_load(key, options).await {
            Ok(Looked::Use(loaded)) => Ok(loaded),
            Ok(Looked::Early(loaded, need)) => {
                self.inner.refresh(key, options, boxed(loader), need);
                Ok(loaded)
            }
            Ok(Looked::Load(need)) => self.inner.load(key, options, boxed(loader), need).await,
            Err(error) => Err(error),
        };
        self.inner.tell("get_or_load", started, &result, |loaded| {
            loaded.source().as_str()
        });
        result
    }

    /// How many values this process keeps itself.
    #[must_use]
    pub fn kept_here(&self) -> usize {
        self.inner.local.as_ref().map_or(0, |local| local.len())
    }

    /// Whether this process uses what it keeps itself: only while it is told of invalidations.
    #[must_use]
    pub fn uses_local(&self) -> bool {
        self.inner.usable_local().is_some()
    }

    /// Stops listening for invalidations and waits for the end of that. What this process kept is
    /// not used any more; the backend still is.
    ///
    /// # Cancel safety
    ///
    /// Listening ends even when the future is dropped.
    pub async fn close(&self) {
        if let Some(bus) = &self.inner.bus {
            bus.close().await;
        }
    }

    /// How many loads of this process are under way.
    #[must_use]
    pub fn loads(&self) -> usize {
        self.inner.flights.count()
    }
}

impl Inner {
    /// The time an operation began, where somebody wants to know how long it took.
    fn started(&self) -> Option<crate::Timestamp> {
        self.observer.listens().then(|| self.clock.now())
    }

    /// Reports how an operation ended.
    fn tell<T>(
        &self,
        operation: &'static str,
        started: Option<crate::Timestamp>,
        result: &Result<T, CacheError>,
        outcome: impl FnOnce(&T) -> &'static str,
    ) {
        if !self.observer.listens() {
            return;
        }
        let outcome = match result {
            Ok(value) => outcome(value),
            Err(error) => error.code(),
        };
        let duration = started.map(|started| self.clock.now().saturating_since(started));
        self.observe(operation, outcome, duration);
    }
}
