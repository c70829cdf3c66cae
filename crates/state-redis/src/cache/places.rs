//! The keys of one cache.

use redis_client::{Key, KeyPrefix, TaggedKeyBuilder};
use state_core::{
    BackendError,
    cache::{Space, Tag},
};

use crate::error::too_long;

/// Makes the keys of one cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    prefix: &'a KeyPrefix,
    space: &'a Space,
    operation: &'static str,
}

impl<'a> Places<'a> {
    pub(super) const fn new(
        prefix: &'a KeyPrefix,
        space: &'a Space,
        operation: &'static str,
    ) -> Self {
        Self {
            prefix,
            space,
            operation,
        }
    }

    fn start(&self) -> TaggedKeyBuilder {
        self.prefix
            .key()
            .part("cache")
            .tag(self.space.namespace().as_str())
    }

    fn finish(&self, key: TaggedKeyBuilder) -> Result<Key, BackendError> {
        key.finish().map_err(too_long(self.operation))
    }

    fn of(&self, kind: &str, key: &str) -> Result<Key, BackendError> {
        let version = self.space.version().to_string();
        self.finish(self.start().part(kind).part(version).part(key))
    }

    /// A value.
    pub(super) fn value(&self, key: &str) -> Result<Key, BackendError> {
        self.of("v", key)
    }

    /// The lease of a value.
    pub(super) fn lease(&self, key: &str) -> Result<Key, BackendError> {
        self.of("l", key)
    }

    /// The epoch of the namespace.
    pub(super) fn namespace(&self) -> Result<Key, BackendError> {
        self.finish(self.start().part("e"))
    }

    /// The epoch of a tag.
    pub(super) fn tag(&self, tag: &Tag) -> Result<Key, BackendError> {
        self.finish(self.start().part("t").part(tag.as_str()))
    }

    /// The epochs of the namespace and of tags.
    pub(super) fn epochs(&self, tags: &[Tag]) -> Result<Vec<Key>, BackendError> {
        let tags = tags.iter().map(|tag| self.tag(tag));
        std::iter::once(self.namespace()).chain(tags).collect()
    }

    /// Everything that storing a loaded value touches.
    pub(super) fn filled(&self, key: &str, tags: &[Tag]) -> Result<Vec<Key>, BackendError> {
        let mut keys = vec![self.value(key)?, self.lease(key)?];
        keys.extend(self.epochs(tags)?);
        Ok(keys)
    }
}
