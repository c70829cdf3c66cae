//! The table of keys: what there is on the server, and for how long.

/// The type of a key on the server.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `string`
    String,
    /// `hash`
    Hash,
    /// `list`
    List,
    /// `zset`
    SortedSet,
    /// `stream`
    Stream,
    /// A Pub/Sub channel, which is no key.
    Channel,
}

/// One pattern of keys.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPattern {
    /// The capability that owns it.
    pub owner: &'static str,
    /// The pattern: `<name>` is a part that varies, `{..}` the hash tag, all of it after the prefix.
    pub pattern: &'static str,
    /// The type.
    pub kind: KeyType,
    /// What is in it.
    pub holds: &'static str,
    /// How long it lives; `None` for those that stay until they are deleted.
    pub lifetime: Option<&'static str>,
}

/// Every key this crate makes, by capability.
pub const KEYS: &[&[KeyPattern]] = &[
    crate::cache::KEYS,
    crate::event::KEYS,
    crate::rate_limit::KEYS,
    crate::session::KEYS,
    crate::process::KEYS,
    crate::lock::KEYS,
];
