//! How a store is set up.

use std::{sync::Arc, time::Duration};

use governance_core::Clock;

use crate::{codec::Schemas, retention::Retention};

/// What a crash or a failover may take, as the operator promises it. Checked when the store opens.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Everything since the last snapshot, or everything. For tests and data that can be lost.
    Memory,
    /// About the last second: the server appends to its log and syncs it once a second.
    #[default]
    Fsync1s,
    /// Nothing that was acknowledged, as long as the disk keeps what it was told to.
    FsyncAlways,
    /// Nothing that was acknowledged, as long as one of these replicas survives. A write that
    /// fewer replicas confirm in time is reported as of unknown outcome.
    Replicated {
        /// How many replicas have to confirm.
        replicas: u32,
        /// How long to wait for them.
        wait: Duration,
    },
}

impl Durability {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fsync1s => "fsync_1s",
            Self::FsyncAlways => "fsync_always",
            Self::Replicated { .. } => "replicated",
        }
    }
}

/// What to do about a server that cannot keep what the durability tier promises.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Open, and list it among [`RedisStore::warnings`](crate::RedisStore::warnings).
    #[default]
    Warn,
    /// Do not open.
    Refuse,
}

/// Whether stored documents are compressed. Either way every document can be read.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// No. Small documents need none: what is not compressed is stored without the names of its
    /// fields and without what it says twice.
    Off,
    /// With zstd, from so many bytes on.
    Zstd {
        /// From 1, fast, to 19, small.
        level: i32,
        /// Smaller documents are stored as they are.
        from_bytes: usize,
    },
}

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd {
            level: 1,
            from_bytes: 4 << 10,
        }
    }
}

/// Sets up a [`RedisStore`](crate::RedisStore).
///
/// ```
/// use governance_redis::{Durability, RedisStoreOptions, Strictness};
///
/// let options = RedisStoreOptions::default()
///     .key_prefix("billing:governance")
///     .partitions(8)
///     .durability(Durability::FsyncAlways, Strictness::Refuse);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct RedisStoreOptions {
    pub(crate) key_prefix: String,
    pub(crate) partitions: u16,
    pub(crate) durability: Durability,
    pub(crate) strictness: Strictness,
    pub(crate) document_limit: usize,
    pub(crate) compression: Compression,
    pub(crate) feed_capacity: u64,
    pub(crate) scan_limit: usize,
    pub(crate) cache_bytes: usize,
    pub(crate) retention: Retention,
    /// Others only in tests.
    pub(crate) schemas: Schemas,
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl Default for RedisStoreOptions {
    fn default() -> Self {
        Self {
            key_prefix: "governance".to_owned(),
            partitions: 1,
            durability: Durability::default(),
            strictness: Strictness::default(),
            document_limit: 256 << 10,
            compression: Compression::default(),
            feed_capacity: 100_000,
            scan_limit: 2_000,
            cache_bytes: 16 << 20,
            retention: Retention::default(),
            schemas: Schemas::PRESENT,
            clock: None,
        }
    }
}

impl RedisStoreOptions {
    /// Most partitions.
    pub const MAX_PARTITIONS: u16 = 256;

    /// What every key of the store starts with, behind the prefix of the client. Default
    /// `governance`.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// Into how many partitions the store is cut: a power of two up to
    /// [`MAX_PARTITIONS`](Self::MAX_PARTITIONS). Default 1, which is right until one server is not
    /// enough; then 8 or 16. Once the store was opened, only
    /// [`migrate_partitions`](crate::RedisStore::migrate_partitions) changes it.
    pub const fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = partitions;
        self
    }

    /// What is promised to be kept, and what happens when the server cannot. Default
    /// [`Durability::Fsync1s`] with a warning.
    pub const fn durability(mut self, tier: Durability, strictness: Strictness) -> Self {
        self.durability = tier;
        self.strictness = strictness;
        self
    }

    /// Largest request, in bytes as
    /// [`MutationRequest::footprint`](governance_core::MutationRequest::footprint) counts them,
    /// and largest state. Default 256 KiB: the server copies a document with every write to it.
    pub const fn document_limit(mut self, bytes: usize) -> Self {
        self.document_limit = bytes;
        self
    }

    /// How documents are compressed. Default: zstd at level 1 from 4 KiB on.
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// How many events the change feed keeps per partition; about so many when it is more than
    /// 1 000. Default 100 000, at least 1.
    pub const fn feed_capacity(mut self, events: u64) -> Self {
        self.feed_capacity = if events == 0 { 1 } else { events };
        self
    }

    /// How many documents one page may look at. A page that reaches it ends early, with a cursor
    /// to go on from. Default 2 000, at least 1.
    pub const fn scan_limit(mut self, documents: usize) -> Self {
        self.scan_limit = if documents == 0 { 1 } else { documents };
        self
    }

    /// How long requests are kept that are final. Nothing goes by itself: call
    /// [`purge_finished`](crate::RedisStore::purge_finished) from time to time. Default for ever.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// How many bytes of documents are kept in this process, so that a write of what was just read
    /// takes one round trip; and an eighth as much of what was on which page of an inbox, so that
    /// reading it again takes one, too. Default 16 MiB; 0 turns both off.
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Where the time of the store comes from instead of the server: what deadlines are compared
    /// with and what records say about when. For tests and demonstrations that move time; every
    /// process that shares the store has to be told the time of the same clock. Change events and
    /// the order of requests keep the time of the server.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }
}
