//! What values have in common: tags.

use std::{fmt, sync::Arc};

/// Longest key of a value in bytes.
pub const MAX_KEY_BYTES: usize = 1_024;

/// Something values have in common, so that they can be invalidated together.
///
/// It may hold ids of users, so it is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// Longest tag in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks a tag.
    ///
    /// # Errors
    ///
    /// [`InvalidTags`] when it is empty or too long.
    pub fn new(tag: &str) -> Result<Self, InvalidTags> {
        if tag.is_empty() || tag.len() > Self::MAX_BYTES {
            return Err(InvalidTags::Length);
        }
        Ok(Self(tag.into()))
    }

    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag")
    }
}

/// Why texts are not [`Tags`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTags {
    /// One is empty or longer than [`Tag::MAX_BYTES`].
    #[error("a tag is 1 to 255 bytes long")]
    Length,
    /// There are more than [`Tags::MAX`].
    #[error("at most 16 tags are allowed")]
    Number,
}

impl InvalidTags {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Length => "cache.invalid_tag",
            Self::Number => "cache.too_many_tags",
        }
    }
}

/// The tags of a value: in order, each once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tags(Vec<Tag>);

impl Tags {
    /// Most tags of a value.
    pub const MAX: usize = 16;

    /// No tags.
    pub const NONE: &'static Self = &Self(Vec::new());

    /// Checks and sorts tags. One that is there twice counts once.
    ///
    /// # Errors
    ///
    /// [`InvalidTags`].
    pub fn new<T: AsRef<str>>(tags: impl IntoIterator<Item = T>) -> Result<Self, InvalidTags> {
        let mut list = Vec::new();
        for tag in tags {
            list.push(Tag::new(tag.as_ref())?);
        }
        list.sort_unstable();
        list.dedup();
        if list.len() > Self::MAX {
            return Err(InvalidTags::Number);
        }
        Ok(Self(list))
    }

    /// The tags.
    #[must_use]
    pub fn as_slice(&self) -> &[Tag] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
