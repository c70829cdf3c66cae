//! Governed states.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use super::{StateWrite, StoreError};
use crate::{ids::StateVersion, request::Scope};

/// A state as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSnapshot {
    /// Its version. [`StateVersion::ABSENT`] if it was never written; a deleted state keeps
    /// counting.
    pub version: StateVersion,
    /// Its encoded value, none if it is not there.
    pub body: Option<Bytes>,
}

impl StateSnapshot {
    /// A state that was never written.
    pub const ABSENT: Self = Self {
        version: StateVersion::ABSENT,
        body: None,
    };
}

/// Keeps governed states.
///
/// # Contract
///
/// 1. `save` writes or deletes if the stored version is the expected one, and changes nothing
///    otherwise; the version after is the expected one plus one.
/// 2. Repeating a save under its operation id right after it returns the first outcome.
/// 3. A save appears in the change feed.
///
/// Writing a state here goes past every policy. It is meant for setting up and for repair; the
/// governed way is a request.
///
/// # Cancel safety
///
/// Dropping the future of a save after it was sent may leave it done.
#[async_trait]
pub trait StateStore: fmt::Debug + Send + Sync {
    /// The state and its version.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it is stored but cannot be read.
    ///
    /// # Round trips
    ///
    /// One.
    async fn load(&self, scope: &Scope) -> Result<StateSnapshot, StoreError>;

    /// Writes or deletes a state; returns its new version.
    ///
    /// # Errors
    ///
    /// `Conflict` with both versions, `TooLarge`.
    ///
    /// # Round trips
    ///
    /// One.
    async fn save(&self, write: &StateWrite) -> Result<StateVersion, StoreError>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: StateStore + ?Sized> StateStore for Arc<T> {
    async fn load(&self, scope: &Scope) -> Result<StateSnapshot, StoreError> {
        (**self).load(scope).await
    }

    async fn save(&self, write: &StateWrite) -> Result<StateVersion, StoreError> {
        (**self).save(write).await
    }
}
