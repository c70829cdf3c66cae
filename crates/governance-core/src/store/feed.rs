//! Everything that changed, in order.

use std::{fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::{
    ids::{OperationId, RequestId, Revision, StateVersion, Timestamp},
    request::Scope,
    status::Status,
};

/// A place in the feed, to go on from. Opaque; made by the provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeedToken(String);

impl FeedToken {
    /// A token of a provider's own making.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FeedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for FeedToken {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// What an event is about.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedSubject {
    /// A request was created or changed.
    Request {
        /// The request.
        id: RequestId,
        /// Its revision now.
        revision: Revision,
        /// Its status before, none if it is new.
        before: Option<Status>,
        /// Its status now.
        after: Status,
        /// The operation that did it.
        operation: OperationId,
    },
    /// A request was removed.
    Purged {
        /// The request.
        id: RequestId,
    },
    /// A state was written or deleted.
    State {
        /// Its version now.
        version: StateVersion,
    },
}

/// One event. It tells that something changed, not what it is now: read that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedEvent {
    /// The place behind this event.
    pub token: FeedToken,
    /// Store time.
    pub at: Timestamp,
    /// The state it belongs to.
    pub scope: Scope,
    /// What it is about.
    pub subject: FeedSubject,
}

/// Some events in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedBatch {
    /// The events.
    pub events: Vec<FeedEvent>,
    /// Where to go on.
    pub next: FeedToken,
}

/// Tells everything that changed, in order and without gaps.
///
/// # Contract
///
/// 1. The events of one state and its requests come in the order of the writes, each exactly
///    once, and an event is there as soon as its write is acknowledged.
/// 2. Going on from a token gives everything behind it, also after a restart, as long as it is
///    kept; when it is not, the answer is `Expired` and never a gap. Then list what is of
///    interest and go on from [`ChangeFeed::head`], taken before the listing.
#[async_trait]
pub trait ChangeFeed: fmt::Debug + Send + Sync {
    /// Up to `limit` events behind a token, or from the oldest that is kept.
    ///
    /// # Errors
    ///
    /// `Expired` when events behind the token are not kept any more, which is also what a token of
    /// another instance of a store that outlives no restart is told; `InvalidInput` for a text
    /// that is no token of this provider's feeds or a limit outside 1..=1000.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    ///
    /// # Round trips
    ///
    /// One per partition.
    async fn read(&self, after: Option<&FeedToken>, limit: u16) -> Result<FeedBatch, StoreError>;

    /// The place behind the last event.
    ///
    /// # Errors
    ///
    /// `Unavailable`, `Timeout`.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    ///
    /// # Round trips
    ///
    /// One per partition.
    async fn head(&self) -> Result<FeedToken, StoreError>;

    /// Waits until there is something behind a token.
    ///
    /// # Errors
    ///
    /// As [`ChangeFeed::read`].
    ///
    /// # Cancel safety
    ///
    /// Reads only; drop it to stop waiting.
    ///
    /// # Round trips
    ///
    /// Blocks on one.
    async fn wait(&self, after: &FeedToken) -> Result<(), StoreError>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: ChangeFeed + ?Sized> ChangeFeed for Arc<T> {
    async fn read(&self, after: Option<&FeedToken>, limit: u16) -> Result<FeedBatch, StoreError> {
        (**self).read(after, limit).await
    }

    async fn head(&self) -> Result<FeedToken, StoreError> {
        (**self).head().await
    }

    async fn wait(&self, after: &FeedToken) -> Result<(), StoreError> {
        (**self).wait(after).await
    }
}
