//! The port of a backend.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    error::BackendError,
    lock::{Fence, Target, Token},
};

/// Who holds what for how long.
#[derive(Debug, Clone)]
pub struct Hold {
    /// What is held.
    pub target: Target,
    /// Who holds it.
    pub token: Token,
    /// For how long from now: whole milliseconds, at least one.
    pub ttl: Duration,
}

/// How an acquisition ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquired {
    /// The token holds the target from now on.
    Granted {
        /// Larger than that of every grant before; the same when this token held it already.
        fence: Fence,
    },
    /// Somebody else holds it, or all of it.
    Held {
        /// When it is free at the earliest, unless it is released or extended before.
        remaining: Duration,
    },
}

/// How an extension ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extended {
    /// The token holds the target from now on for the lifetime asked for.
    Extended,
    /// It does not hold it any more. Nothing was changed.
    Lost,
}

/// How a release ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Released {
    /// It was held and is not any more.
    Released,
    /// Its lifetime was over and nobody has taken it since.
    Expired,
    /// Its lifetime was over and somebody else holds it now, undisturbed.
    Stolen,
}

impl Released {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Stolen => "stolen",
        }
    }
}

/// How a guarded write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardedSet {
    /// The value was written.
    Stored,
    /// A later holder has written already. Nothing was changed.
    Fenced {
        /// The fence of that holder.
        current: Fence,
    },
}

/// A value and the fence it was written under. `Debug` does not show the value.
#[derive(Clone, PartialEq, Eq)]
pub struct GuardedValue {
    /// The fence of the holder that wrote it.
    pub fence: Fence,
    /// The value.
    pub value: Bytes,
}

impl fmt::Debug for GuardedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedValue")
            .field("fence", &self.fence)
            .field("bytes", &self.value.len())
            .finish()
    }
}

/// How long a writer that waits keeps new readers out, unless it comes again before.
pub const WRITER_CLAIM: Duration = Duration::from_secs(2);

/// What a backend of [`Locks`](crate::lock::Locks) can do, each in one atomic step that goes by the
/// backend's time.
///
/// Every call may be repeated with the same token after a failure: it has the effect of one.
#[async_trait]
pub trait LockStore: fmt::Debug + Send + Sync + 'static {
    /// Takes the target, all names of it or none. A token that holds it already gets the same fence
    /// and a new lifetime. One that holds only some of the names, or took them one after the other
    /// and so under different fences, gets a new fence for all of them: the fence of a grant is
    /// larger than every one given before for any of its names.
    ///
    /// `waits` tells that the caller will come again: a writer that waits keeps new readers out for
    /// a moment.
    async fn acquire(&self, hold: &Hold, waits: bool) -> Result<Acquired, BackendError>;

    /// Gives a held target a new lifetime.
    async fn extend(&self, hold: &Hold) -> Result<Extended, BackendError>;

    /// Gives a target back and wakes one who [`wait`](Self::wait)s for it.
    async fn release(&self, hold: &Hold) -> Result<Released, BackendError>;

    /// Returns when the target may have become free, at the latest after `at_most`.
    ///
    /// Waking up promises nothing, and not waking up either: the caller asks again.
    async fn wait(&self, target: &Target, at_most: Duration) -> Result<(), BackendError>;

    /// Writes a value under the name of a target, unless it was written under a later fence.
    async fn guarded_set(
        &self,
        target: &Target,
        fence: Fence,
        value: Bytes,
        ttl: Duration,
    ) -> Result<GuardedSet, BackendError>;

    /// Reads the value written under the name of a target.
    async fn guarded_get(&self, target: &Target) -> Result<Option<GuardedValue>, BackendError>;
}
