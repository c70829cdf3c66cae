//! The front: handles of locks.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    clock::{Clock, MonotonicClock},
    entropy::{Entropy, OsEntropy},
    error::Classified as _,
    lock::{
        Campaign, Fence, Guard, GuardedSet, GuardedValue, LeaderOptions, LockError, LockOptions,
        LockStore, Mode, Realm, Target,
        attempt::{self, Patience},
        inner::Inner,
        options::check_ttl,
        releaser::Releaser,
        turns::Turns,
    },
    observe::{Capability, NoObserver, Observer},
};

/// Locks on a backend. A clone is a handle to the same.
#[derive(Debug, Clone)]
pub struct Locks(pub(super) Arc<Inner>);

/// What came of an attempt that does not wait.
#[derive(Debug)]
pub enum Attempt {
    /// It is held now.
    Acquired(Guard),
    /// Somebody else holds it.
    Held {
        /// When it is free at the earliest, unless it is released or extended before.
        remaining: Duration,
    },
}

impl Attempt {
    /// The guard, if there is one.
    #[must_use]
    pub fn guard(self) -> Option<Guard> {
        match self {
            Self::Acquired(guard) => Some(guard),
            Self::Held { .. } => None,
        }
    }
}

impl Locks {
    /// Locks on a backend, with the local clock and the system's randomness.
    ///
    /// # Errors
    ///
    /// [`LockError::Option`] when a setting cannot work.
    pub fn new(store: Arc<dyn LockStore>, options: LockOptions) -> Result<Self, LockError> {
        Self::observed(
            store,
            options,
            Arc::new(MonotonicClock::new()),
            Arc::new(OsEntropy),
            Arc::new(NoObserver),
        )
    }

    /// The same with everything passed in.
    ///
    /// The clock is for local deadlines: how long a guard is good for.
    ///
    /// # Errors
    ///
    /// [`LockError::Option`] when a setting cannot work.
    pub fn observed(
        store: Arc<dyn LockStore>,
        options: LockOptions,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, LockError> {
        options.validate()?;
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            entropy,
            observer,
            options,
            releaser: Releaser::new(options.release_queue),
            turns: Turns::default(),
        })))
    }

    /// A lock with one holder.
    ///
    /// # Errors
    ///
    /// [`LockError::Target`] when the name is empty or too long.
    pub fn lock(&self, name: &str) -> Result<Lock, LockError> {
        self.one(Mode::Exclusive, name)
    }

    /// Several locks of one scope, all or none. They are apart from those of
    /// [`lock`](Self::lock).
    ///
    /// # Errors
    ///
    /// [`LockError::Target`] when a name cannot be locked, or too many are named.
    pub fn many<N: AsRef<str>>(
        &self,
        scope: &str,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Lock, LockError> {
        Ok(self.handle(Target::many(scope, names)?))
    }

    /// A lock that many may hold to read.
    ///
    /// # Errors
    ///
    /// [`LockError::Target`] when the name is empty or too long.
    pub fn read(&self, name: &str) -> Result<Lock, LockError> {
        self.one(Mode::Read, name)
    }

    /// The same lock, to write: by one holder, without readers. A writer that waits keeps new
    /// readers out, so it gets its turn.
    ///
    /// # Errors
    ///
    /// [`LockError::Target`] when the name is empty or too long.
    pub fn write(&self, name: &str) -> Result<Lock, LockError> {
        self.one(Mode::Write, name)
    }

    /// A lock with several holders. All processes must name the same number of permits.
    ///
    /// # Errors
    ///
    /// [`LockError::Target`] when the name or the number of permits cannot work.
    pub fn semaphore(&self, name: &str, permits: u32) -> Result<Lock, LockError> {
        self.one(Mode::Permit { of: permits }, name)
    }

    /// Stands for election under a name, in the background, until the campaign is dropped or
    /// resigns. Must be called on a runtime.
    ///
    /// # Errors
    ///
    /// [`LockError`] when the name or a setting cannot work, or there is no randomness.
    pub fn campaign(&self, name: &str, options: LeaderOptions) -> Result<Campaign, LockError> {
        Campaign::begin(Arc::clone(&self.0), name, options)
    }

    /// Writes a value under the name of a lock, unless it was written under a later fence: what
    /// keeps a holder that has lost the lock without knowing from doing harm.
    ///
    /// # Errors
    ///
    /// [`LockError`]; with an unknown outcome the write may be repeated.
    ///
    /// # Cancel safety
    ///
    /// The value may have been written when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn guarded_set(
        &self,
        name: &str,
        fence: Fence,
        value: impl Into<Bytes>,
        ttl: Duration,
    ) -> Result<GuardedSet, LockError> {
        let since = self.0.started();
        let stored = self.try_guarded_set(name, fence, value.into(), ttl).await;
        let outcome = match &stored {
            Ok(GuardedSet::Stored) => "stored",
            Ok(GuardedSet::Fenced { .. }) => "fenced",
            Err(error) => error.code(),
        };
        self.0.tell(Capability::Lock, "guarded_set", outcome, since);
        stored
    }

    async fn try_guarded_set(
        &self,
        name: &str,
        fence: Fence,
        value: Bytes,
        ttl: Duration,
    ) -> Result<GuardedSet, LockError> {
        check_ttl("ttl", ttl)?;
        let target = Target::one(Realm::Lock, Mode::Exclusive, name)?;
        Ok(self.0.store.guarded_set(&target, fence, value, ttl).await?)
    }

    /// Reads the value under the name of a lock.
    ///
    /// # Errors
    ///
    /// [`LockError`].
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn guarded_get(&self, name: &str) -> Result<Option<GuardedValue>, LockError> {
        let since = self.0.started();
        let found = self.try_guarded_get(name).await;
        let outcome = match &found {
            Ok(Some(_)) => "found",
            Ok(None) => "absent",
            Err(error) => error.code(),
        };
        self.0.tell(Capability::Lock, "guarded_get", outcome, since);
        found
    }

    async fn try_guarded_get(&self, name: &str) -> Result<Option<GuardedValue>, LockError> {
        let target = Target::one(Realm::Lock, Mode::Exclusive, name)?;
        Ok(self.0.store.guarded_get(&target).await?)
    }

    fn one(&self, mode: Mode, name: &str) -> Result<Lock, LockError> {
        Ok(self.handle(Target::one(Realm::Lock, mode, name)?))
    }

    fn handle(&self, target: Target) -> Lock {
        Lock {
            inner: Arc::clone(&self.0),
            target,
            ttl: self.0.options.ttl,
            renews: true,
        }
    }
}

/// A lock that can be acquired. It holds nothing.
#[derive(Debug, Clone)]
#[must_use = "a handle holds nothing"]
pub struct Lock {
    inner: Arc<Inner>,
    target: Target,
    ttl: Duration,
    renews: bool,
}

impl Lock {
    /// The same with this lifetime: whole milliseconds, more than zero and at most one day.
    ///
    /// # Errors
    ///
    /// [`LockError::Option`] when it is not.
    pub fn ttl(mut self, ttl: Duration) -> Result<Self, LockError> {
        check_ttl("ttl", ttl)?;
        self.ttl = ttl;
        Ok(self)
    }

    /// The same, but its guards are not renewed in the background: they last one lifetime unless
    /// [extended](Guard::extend).
    pub const fn without_renewal(mut self) -> Self {
        self.renews = false;
        self
    }

    /// Acquires it if it is free.
    ///
    /// # Errors
    ///
    /// [`LockError::Backend`] when the backend does not answer. It is never granted then.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, what may have been granted is given back in the background.
    ///
    /// # Round trips
    ///
    /// One; one more when the answer was lost.
    pub async fn try_acquire(&self) -> Result<Attempt, LockError> {
        let asked = attempt::Asked::new(&self.inner, &self.target, self.ttl, self.renews);
        asked.once().await
    }

    /// Acquires it, waiting for as long as [`LockOptions::wait`] says.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_by_default(&self) -> Result<Guard, LockError> {
        self.acquire(self.inner.options.wait).await
    }

    /// Acquires it, waiting at most this long. Those who wait in one process take turns.
    ///
    /// # Errors
    ///
    /// [`LockError::WaitTimeout`] when others held it all the time; [`LockError::Backend`] at once
    /// when the backend does not answer, with nothing granted.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, what may have been granted is given back in the background.
    ///
    /// # Round trips
    ///
    /// One if it is free; then two for every time it may have become free.
    pub async fn acquire(&self, wait: Duration) -> Result<Guard, LockError> {
        let asked = attempt::Asked::new(&self.inner, &self.target, self.ttl, self.renews);
        asked.patiently(Patience::new(&self.inner, wait)).await
    }
}
