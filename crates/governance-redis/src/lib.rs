#![doc = include_str!("../README.md")]

mod admin;
mod apply;
mod cache;
mod codec;
mod density;
mod error;
mod feed;
mod index;
mod keys;
mod layout;
mod open;
mod options;
mod partition;
mod query;
mod recent;
mod regress;
mod retention;
mod script;
mod shared;
mod store;
#[cfg(test)]
mod versions;

use std::{fmt, sync::Arc};

pub use admin::{
    Finding, FindingKind, MigrationError, MigrationReport, MigrationStep, PartitionStats,
    PurgeReport, RebuildReport, Stats, VerifyReport,
};
pub use codec::NewerVersion;
pub use error::PartitionsMoved;
pub use keys::{KEYS, KeyPattern, keys_markdown};
pub use open::{OpenError, StoreLayout, Warning};
pub use options::{Compression, Durability, RedisStoreOptions, Strictness};
pub use redis_client::{Client, Config};
pub use regress::StoreRegressed;
pub use retention::Retention;
use shared::Shared;

/// Keeps everything in Redis, shared by every process that opens the same key prefix. A clone is
/// a handle to the same store.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

impl RedisStore {
    /// What the server cannot keep of what the options promise.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.shared.warnings
    }

    /// The client the store was opened with.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.shared.client
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.shared.prefix.as_str())
            .field("partitions", &self.shared.partitions.len())
            .finish_non_exhaustive()
    }
}
