//! The keys of sessions.

use redis_client::{Key, KeyPrefix, KeyTooLong, TaggedKeyBuilder};
use state_core::session::SessionHash;

use crate::keys::{KeyPattern, KeyType};

const fn row(
    pattern: &'static str,
    kind: KeyType,
    holds: &'static str,
    lifetime: &'static str,
) -> KeyPattern {
    KeyPattern {
        owner: "session",
        pattern,
        kind,
        holds,
        lifetime: Some(lifetime),
    }
}

/// The keys of this module.
pub(crate) const KEYS: &[KeyPattern] = &[
    row(
        "sess:{<namespace>}:s:<hash>",
        KeyType::Hash,
        "a session, or where it was moved to",
        "the idle time from its last noted use, and never beyond its end; where it was moved to: the grace",
    ),
    row(
        "sess:{<namespace>}:u:<user>",
        KeyType::SortedSet,
        "the sessions of a user, by their end",
        "the longest age, by the settings now and before",
    ),
    row(
        "sess:{<namespace>}:cut",
        KeyType::SortedSet,
        "when the sessions of users were last revoked",
        "the longest age after the last revocation, by the settings then and before",
    ),
];

/// Makes the keys of one namespace.
#[derive(Debug, Clone)]
pub(super) struct SessionPlace {
    base: TaggedKeyBuilder,
    pub(super) cut: Key,
}

impl SessionPlace {
    pub(super) fn new(prefix: &KeyPrefix, namespace: &str) -> Result<Self, KeyTooLong> {
        let base = prefix.key().part("sess").tag(namespace);
        let cut = base.clone().part("cut").finish()?;
        Ok(Self { base, cut })
    }

    pub(super) fn session(&self, hash: &SessionHash) -> Result<Key, KeyTooLong> {
        self.base.clone().part("s").part(hash.as_str()).finish()
    }

    /// The index of a user; sessions of nobody have one that is never written.
    pub(super) fn index(&self, user: Option<&str>) -> Result<Key, KeyTooLong> {
        let part = self.base.clone().part("u");
        part.part(user.unwrap_or_default()).finish()
    }
}
