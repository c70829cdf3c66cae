//! The keys of locks.

use redis_client::{Key, KeyPrefix, KeyTooLong, TaggedKeyBuilder};
use state_core::lock::{Mode, Target};

use crate::keys::{KeyPattern, KeyType};

const fn row(
    pattern: &'static str,
    kind: KeyType,
    holds: &'static str,
    lifetime: &'static str,
) -> KeyPattern {
    KeyPattern {
        owner: "lock",
        pattern,
        kind,
        holds,
        lifetime: Some(lifetime),
    }
}

/// The keys of this module; those of leaders begin with `leader` instead of `lock`.
pub(crate) const KEYS: &[KeyPattern] = &[
    row(
        "lock:{<name>}:l",
        KeyType::String,
        "fence and token of the holder",
        "lifetime of the lock",
    ),
    row(
        "lock:{<scope>}:l:<name>",
        KeyType::String,
        "the same, of one of several names",
        "lifetime of the lock",
    ),
    row(
        "lock:{<name>}:f",
        KeyType::String,
        "last fence",
        "fence_ttl",
    ),
    row(
        "lock:{<scope>}:f:<name>",
        KeyType::String,
        "last fence, of one of several names",
        "fence_ttl",
    ),
    row(
        "lock:{<name>}:bell:<manner>",
        KeyType::List,
        "rings for who waits",
        "2 s after a release",
    ),
    row(
        "lock:{<name>}:rw",
        KeyType::SortedSet,
        "readers or the writer, by expiry",
        "longest holder",
    ),
    row(
        "lock:{<name>}:rw-fences",
        KeyType::Hash,
        "fence of every holder",
        "longest holder",
    ),
    row(
        "lock:{<name>}:rw-last",
        KeyType::String,
        "last fence",
        "fence_ttl",
    ),
    row(
        "lock:{<name>}:rw-claim",
        KeyType::String,
        "token of a writer that waits",
        "2 s after it asked",
    ),
    row(
        "lock:{<name>}:s",
        KeyType::SortedSet,
        "holders of permits, by expiry",
        "longest holder",
    ),
    row(
        "lock:{<name>}:s-fences",
        KeyType::Hash,
        "fence of every holder",
        "longest holder",
    ),
    row(
        "lock:{<name>}:s-last",
        KeyType::String,
        "last fence",
        "fence_ttl",
    ),
    row(
        "lock:{<name>}:v",
        KeyType::String,
        "fence and guarded value",
        "as the caller says",
    ),
    row(
        "leader:{<name>}:l",
        KeyType::String,
        "term and token of the leader",
        "lifetime of the term",
    ),
    row(
        "leader:{<name>}:f",
        KeyType::String,
        "last term",
        "fence_ttl",
    ),
    row(
        "leader:{<name>}:bell:<manner>",
        KeyType::List,
        "rings for candidates",
        "2 s after a resignation",
    ),
];

/// The keys of one target.
#[derive(Debug)]
pub(super) struct TargetKeys<'a> {
    prefix: &'a KeyPrefix,
    target: &'a Target,
}

/// What a shared lock is made of.
#[derive(Debug)]
pub(super) struct SharedKeys {
    pub(super) holders: Key,
    pub(super) fences: Key,
    pub(super) last: Key,
    pub(super) claim: Key,
}

impl<'a> TargetKeys<'a> {
    pub(super) const fn new(prefix: &'a KeyPrefix, target: &'a Target) -> Self {
        Self { prefix, target }
    }

    fn base(&self) -> TaggedKeyBuilder {
        self.prefix
            .key()
            .part(self.target.realm().as_str())
            .tag(self.target.scope())
    }

    fn part(&self, part: &str) -> Result<Key, KeyTooLong> {
        self.base().part(part).finish()
    }

    /// The keys of a kind, one for every name.
    fn each(&self, kind: &str) -> Result<Vec<Key>, KeyTooLong> {
        if self.target.names().len() == 0 {
            return Ok(vec![self.part(kind)?]);
        }
        let names = self.target.names();
        names
            .map(|name| self.base().part(kind).part(name).finish())
            .collect()
    }

    /// The lock of every name.
    pub(super) fn locks(&self) -> Result<Vec<Key>, KeyTooLong> {
        self.each("l")
    }

    /// For every name the lock and its last fence.
    pub(super) fn locks_and_fences(&self) -> Result<Vec<Key>, KeyTooLong> {
        let pairs = self.each("l")?.into_iter().zip(self.each("f")?);
        Ok(pairs.flat_map(|(lock, fence)| [lock, fence]).collect())
    }

    pub(super) fn bell(&self) -> Result<Key, KeyTooLong> {
        let manner = match self.target.mode() {
            Mode::Exclusive => "l",
            Mode::Read | Mode::Write => "rw",
            Mode::Permit { .. } => "s",
        };
        self.base().part("bell").part(manner).finish()
    }

    pub(super) fn shared(&self) -> Result<SharedKeys, KeyTooLong> {
        let [holders, fences, last, claim] = match self.target.mode() {
            Mode::Permit { .. } => ["s", "s-fences", "s-last", "s-claim"],
            _ => ["rw", "rw-fences", "rw-last", "rw-claim"],
        };
        Ok(SharedKeys {
            holders: self.part(holders)?,
            fences: self.part(fences)?,
            last: self.part(last)?,
            claim: self.part(claim)?,
        })
    }

    pub(super) fn guarded(&self) -> Result<Key, KeyTooLong> {
        self.part("v")
    }
}
