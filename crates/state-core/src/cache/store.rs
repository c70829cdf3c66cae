//! What a backend does for a cache.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    answering::Answering,
    cache::{Draft, Tag},
    clock::Timestamp,
    entropy::Entropy,
    error::BackendError,
    name::Namespace,
};

/// Most keys of one step of a store.
pub const MAX_BATCH: usize = 48;

/// One cache on a backend: its namespace and the version of its values. Values of another version
/// are not seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Space {
    namespace: Namespace,
    version: u32,
}

impl Space {
    /// A cache.
    #[must_use]
    pub const fn new(namespace: Namespace, version: u32) -> Self {
        Self { namespace, version }
    }

    /// The namespace.
    #[must_use]
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The version of its values.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }
}

/// A number that changes with each invalidation of a namespace or a tag: the time of the last one,
/// or of when it was first needed, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// From its number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after it, at a time: later than both.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        Self(now.as_micros().max(self.0.saturating_add(1)))
    }
}

/// The epochs a value depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epochs {
    /// That of its namespace.
    pub namespace: Epoch,
    /// Those of its tags, in their order.
    pub tags: Vec<Epoch>,
}

/// Names one attempt to fill a key. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken([u8; 16]);

impl LeaseToken {
    /// A random one.
    ///
    /// # Errors
    ///
    /// When the source has no randomness.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, BackendError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseToken")
    }
}

/// How long a value is fresh and how long it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// Until it is stale. Counted in microseconds.
    pub fresh: Duration,
    /// Until it is gone. Counted in milliseconds, at least 1.
    pub stored: Duration,
}

impl Lives {
    /// How long epochs of such a value are kept at least: longer than the value itself.
    #[must_use]
    pub fn epochs(&self) -> Duration {
        self.stored.saturating_add(Duration::from_secs(1))
    }
}

/// What a read found. Every list is in the order of the question.
#[derive(Debug, Clone)]
pub struct Read {
    /// The backend's time.
    pub now: Timestamp,
    /// The epoch of the namespace.
    pub namespace: Option<Epoch>,
    /// The epochs of the tags asked for.
    pub tags: Vec<Option<Epoch>>,
    /// The envelopes.
    pub values: Vec<Option<Bytes>>,
}

/// An attempt to be the one who fills a key.
#[derive(Debug, Clone)]
pub struct Begin<'a> {
    /// Names the attempt. Beginning again with the same token is the same attempt.
    pub token: LeaseToken,
    /// How long nobody else may try.
    pub lease: Duration,
    /// The [mark](crate::cache::Envelope::mark) of the value that was read, empty if there was none.
    pub seen: &'a [u8],
    /// The tags the value is going to have.
    pub tags: &'a [Tag],
    /// How long epochs are kept at least.
    pub epochs: Duration,
}

/// How an attempt went.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// The caller is to load the value, which will depend on these epochs.
    Won(Epochs),
    /// Somebody else is loading it.
    Held,
    /// There is another value than the one that was seen.
    Changed,
}

/// A loaded value.
#[derive(Debug, Clone)]
pub struct Fill<'a> {
    /// Names the attempt.
    pub token: LeaseToken,
    /// What the attempt began with.
    pub epochs: &'a Epochs,
    /// The tags, in the same order.
    pub tags: &'a [Tag],
    /// The value.
    pub draft: &'a Draft,
    /// How long it lives.
    pub lives: Lives,
}

/// What became of a loaded value.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// It is stored.
    Stored,
    /// It is not: the lease is somebody else's or gone. A set or a delete ends leases.
    Lost,
    /// It is not: something it depends on was invalidated since. The lease is over.
    Moved,
}

/// What is invalidated.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// Everything in the namespace, of every version.
    Namespace,
    /// Everything that has one of the tags.
    Tags(&'a [Tag]),
    /// These keys.
    Keys(&'a [&'a str]),
}

/// The atomic steps of a cache. Each method is one of them: it is done as a whole or not at all,
/// and in one round trip. Batches are at most [`MAX_BATCH`] keys.
///
/// # Contract
///
/// 1. An epoch changes only by [`invalidate`](Self::invalidate) and never comes back once it is
///    lost: the next one is later.
/// 2. [`fill`](Self::fill) stores only under its own lease and while every epoch is what it was.
/// 3. [`set`](Self::set) and [`delete`](Self::delete) end the leases of their keys.
/// 4. Everything that is stored has a lifetime.
///
/// # Cancel safety
///
/// A step whose future was dropped may have been done.
#[async_trait]
pub trait CacheStore: fmt::Debug + Send + Sync + 'static {
    /// Reads values and epochs, all at one time.
    ///
    /// # Errors
    ///
    /// When the backend fails.
    fn read<'a>(
        &'a self,
        space: &'a Space,
        keys: &'a [&'a str],
        tags: &'a [Tag],
    ) -> Answering<'a, Read>;

    /// Tries to be the one who fills a key.
    ///
    /// # Errors
    ///
    /// When the backend fails. May be repeated with the same token.
    async fn begin(
        &self,
        space: &Space,
        key: &str,
        begin: &Begin<'_>,
    ) -> Result<Begun, BackendError>;

    /// Stores a loaded value, unless something came in between.
    ///
    /// # Errors
    ///
    /// When the backend fails.
    async fn fill(&self, space: &Space, key: &str, fill: &Fill<'_>)
    -> Result<Filled, BackendError>;

    /// Gives a lease back without a value.
    ///
    /// # Errors
    ///
    /// When the backend fails.
    async fn abandon(
        &self,
        space: &Space,
        key: &str,
        token: LeaseToken,
    ) -> Result<(), BackendError>;

    /// Stores values of the same tags and lives, whatever was there.
    ///
    /// # Errors
    ///
    /// When the backend fails. May be repeated.
    async fn set(
        &self,
        space: &Space,
        items: &[(&str, &Draft)],
        tags: &[Tag],
        lives: Lives,
    ) -> Result<(), BackendError>;

    /// Removes values and says which there were, fresh or not.
    ///
    /// # Errors
    ///
    /// When the backend fails. May be repeated; the answer then tells of the last time only.
    async fn delete(&self, space: &Space, keys: &[&str]) -> Result<Vec<bool>, BackendError>;

    /// Ends every value of the namespace or of the tags. [`Target::Keys`] is [`delete`](Self::delete)
    /// without an answer.
    ///
    /// # Errors
    ///
    /// When the backend fails. May be repeated.
    async fn invalidate(&self, space: &Space, target: Target<'_>) -> Result<(), BackendError>;

    /// Makes what is there of a target end within a time, and lengthens nothing.
    ///
    /// # Errors
    ///
    /// When the backend fails. May be repeated.
    async fn shorten(
        &self,
        space: &Space,
        target: Target<'_>,
        life: Duration,
    ) -> Result<(), BackendError>;
}
