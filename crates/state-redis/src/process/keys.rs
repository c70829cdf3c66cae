//! The keys of processes.

use redis_client::{Key, KeyPrefix, KeyTooLong, TaggedKeyBuilder, slot};

use crate::keys::{KeyPattern, KeyType};

const fn row(
    pattern: &'static str,
    kind: KeyType,
    holds: &'static str,
    lifetime: Option<&'static str>,
) -> KeyPattern {
    KeyPattern {
        owner: "process",
        pattern,
        kind,
        holds,
        lifetime,
    }
}

/// The keys of this module.
pub(crate) const KEYS: &[KeyPattern] = &[
    row(
        "proc:{<namespace/shard>}:doc:<id>",
        KeyType::Hash,
        "a process; with its retention as lifetime once it has ended",
        None,
    ),
    row(
        "proc:{<namespace/shard>}:active",
        KeyType::SortedSet,
        "live processes, by the end of their lease",
        None,
    ),
    row(
        "proc:{<namespace/shard>}:kinds",
        KeyType::SortedSet,
        "live processes, by kind and id",
        None,
    ),
    row(
        "proc:{<namespace/shard>}:ended",
        KeyType::SortedSet,
        "ended processes, by when they ended",
        Some("retention after the last end"),
    ),
    row(
        "proc:{<namespace/shard>}:log",
        KeyType::Stream,
        "events",
        Some("events_retention after the last event"),
    ),
];

/// The keys of one shard.
#[derive(Debug, Clone)]
pub(super) struct ShardKeys {
    base: TaggedKeyBuilder,
    pub(super) active: Key,
    pub(super) kinds: Key,
    pub(super) ended: Key,
    pub(super) log: Key,
}

impl ShardKeys {
    pub(super) fn new(prefix: &KeyPrefix, namespace: &str, shard: u32) -> Result<Self, KeyTooLong> {
        let base = prefix
            .key()
            .part("proc")
            .tag(format!("{namespace}/{shard}"));
        let part = |part: &str| base.clone().part(part).finish();
        Ok(Self {
            active: part("active")?,
            kinds: part("kinds")?,
            ended: part("ended")?,
            log: part("log")?,
            base,
        })
    }

    pub(super) fn record(&self, id: &str) -> Result<Key, KeyTooLong> {
        self.base.clone().part("doc").part(id).finish()
    }
}

/// The shard of an id.
pub(super) fn shard(id: &str, shards: u32) -> u32 {
    u32::from(slot(id)) % shards
}
