//! A store that went backwards: how it is told, and how an operator accepts it.

use std::error::Error;

use governance_core::StoreError;
use redis_client::Client;

use crate::{
    RedisStore,
    open::{self, OpenError},
    shared::Shared,
};

/// Writes that this process was told of are gone: a failover to a replica without them, an older
/// backup, an empty server. It is the cause of the error of whoever notices.
///
/// From then on the handle refuses writes, before anything is written, and its cache is empty.
/// Reads go on with what is there, so it can be looked at and compared; where the layout is gone
/// there is nothing to read, and they say so. Writes go on after
/// [`RedisStore::accept_regression`], or through a store that is opened anew.
///
/// ```
/// # async fn handle(store: &governance_redis::RedisStore, error: &governance_core::StoreError) {
/// use governance_redis::StoreRegressed;
///
/// if let Some(regressed) = StoreRegressed::of(error) {
///     eprintln!("page somebody: {regressed}");
/// }
/// # }
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreRegressed {
    /// What every partition has from its first day on is not there.
    #[error(
        "the layout of the store is gone, the server lost its data; restore a backup, or accept the regression to begin with an empty store"
    )]
    LayoutGone,
    /// The counters of a partition, or its fence, are lower than this process knew them.
    #[error(
        "the store went backwards: writes that were acknowledged are gone; list what is there, then accept the regression or open the store anew"
    )]
    Writes,
    /// A request is in an earlier revision than this process knew.
    #[error(
        "the store went backwards: a request has lost decisions; list what is there, then accept the regression or open the store anew"
    )]
    Request,
    /// The event a feed token stands at is gone, and not because old events are trimmed.
    #[error(
        "the feed went backwards: events that were told are gone; read what is there anew, then go on from its head"
    )]
    Feed,
}

impl StoreRegressed {
    /// Finds it among the causes of an error.
    #[must_use]
    pub fn of(error: &StoreError) -> Option<Self> {
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(regressed) = error.downcast_ref() {
                return Some(*regressed);
            }
            cause = error.source();
        }
        None
    }

    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::LayoutGone => "redis.regressed_layout",
            Self::Writes => "redis.regressed_writes",
            Self::Request => "redis.regressed_request",
            Self::Feed => "redis.regressed_feed",
        }
    }
}

impl RedisStore {
    /// What this handle, or a clone of it, has noticed of a store that went backwards. While there
    /// is something it refuses writes.
    #[must_use]
    pub fn regression(&self) -> Option<StoreRegressed> {
        *self.shared.regressed.lock()
    }

    /// Takes what is on the server as right, from now on, for this handle and its clones. An empty
    /// server is set up as a new store.
    ///
    /// Every other process has to accept for itself, or to open the store anew. Feed readers go on
    /// from the head after reading anew what they keep.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. Writes are refused as before.
    ///
    /// # Cancel safety
    ///
    /// Nothing is accepted, or everything is; a store that was being set up may be left half set
    /// up, and accepting again goes on.
    ///
    /// # Round trips
    ///
    /// Two, the second to all partitions at once.
    pub async fn accept_regression(&self) -> Result<(), OpenError> {
        let shared: &Shared = &self.shared;
        let client: &Client = &shared.client;
        let found = open::found(client, &shared.prefix, &shared.partitions).await?;
        for (partition, (fence, counters)) in shared.partitions.iter().zip(found) {
            partition.begin_anew(fence, counters);
        }
        shared.forget_everything();
        *shared.regressed.lock() = None;
        Ok(())
    }
}
