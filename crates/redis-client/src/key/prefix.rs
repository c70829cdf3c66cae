//! The prefix of every key of one user of a server.

use std::{fmt, str::FromStr, sync::Arc};

use crate::key::{KeyBuilder, TaggedKeyBuilder};

/// The text every key of one client starts with.
///
/// Trimmed, without a trailing `:`. Braces, glob characters, blanks, `%` and empty parts are
/// refused, so that a prefix can neither choose a hash slot nor match another's keys. The default
/// is empty: keys then start with their first part.
///
/// Two clients on one server keep apart when their prefixes do not [overlap](Self::overlaps).
///
/// # Examples
///
/// ```
/// use redis_client::KeyPrefix;
///
/// let prefix = KeyPrefix::new(" app:prod: ")?;
/// assert_eq!(prefix.as_str(), "app:prod");
/// let key = prefix.key().part("cache").tag("user 1").part("doc").finish()?;
/// assert_eq!(key.as_str(), "app:prod:cache:{user%201}:doc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyPrefix(Arc<str>);

/// Why a prefix was refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrefix {
    /// Two `:` in a row, or one at the start.
    #[error("the key prefix {}", self.text())]
    EmptyPart,
    /// A character that a prefix may not have.
    #[error("the key prefix {}", self.text())]
    Character,
    /// Longer than [`KeyPrefix::MAX_BYTES`].
    #[error("the key prefix {}", self.text())]
    TooLong,
}

impl InvalidPrefix {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::EmptyPart => "prefix.empty_part",
            Self::Character => "prefix.character",
            Self::TooLong => "prefix.too_long",
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::EmptyPart => "has an empty part",
            Self::Character => {
                "has a character that is not allowed: a blank, a control character or one of {}[]*?\\%"
            }
            Self::TooLong => "is longer than 256 bytes",
        }
    }
}

impl KeyPrefix {
    /// Longest accepted prefix in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Normalises and checks a prefix. Blank text is the empty prefix.
    ///
    /// # Errors
    ///
    /// [`InvalidPrefix`] when the text breaks a rule of the type.
    pub fn new(text: &str) -> Result<Self, InvalidPrefix> {
        let text = text.trim();
        let text = text.strip_suffix(':').unwrap_or(text);
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidPrefix::TooLong);
        }
        if text.chars().any(is_refused) {
            return Err(InvalidPrefix::Character);
        }
        if !text.is_empty() && text.split(':').any(str::is_empty) {
            return Err(InvalidPrefix::EmptyPart);
        }
        Ok(Self(text.into()))
    }

    /// The normalised text, without a trailing `:`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether keys have no prefix.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key under one of the two prefixes could also be a key under the other.
    ///
    /// True for equal prefixes and for `a` beside `a:b`, as keys of `a` may start with part `b`.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let (short, long) = if self.0.len() <= other.0.len() {
            (&self.0, &other.0)
        } else {
            (&other.0, &self.0)
        };
        short.is_empty()
            || long
                .strip_prefix(&**short)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// Starts a key.
    pub fn key(&self) -> KeyBuilder {
        KeyBuilder::new(&self.0)
    }

    /// Starts a key whose hash tag directly follows the prefix.
    pub fn tag(&self, tag: impl AsRef<[u8]>) -> TaggedKeyBuilder {
        self.key().tag(tag)
    }
}

fn is_refused(c: char) -> bool {
    matches!(c, '{' | '}' | '[' | ']' | '*' | '?' | '\\' | '%')
        || c.is_whitespace()
        || c.is_control()
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPrefix({:?})", &*self.0)
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for KeyPrefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_normalised() {
        for (text, expected) in [
            ("", ""),
            ("  ", ""),
            (":", ""),
            ("app", "app"),
            ("app:", "app"),
            (" app ", "app"),
            ("app:prod", "app:prod"),
            ("größe", "größe"),
        ] {
            assert_eq!(KeyPrefix::new(text).unwrap().as_str(), expected, "{text:?}");
        }
    }

    #[test]
    fn refuses_what_could_escape_it() {
        for (text, code) in [
            ("a{b}", "prefix.character"),
            ("a b", "prefix.character"),
            ("a\u{7}b", "prefix.character"),
            ("a*", "prefix.character"),
            ("a%20", "prefix.character"),
            ("a::b", "prefix.empty_part"),
            (":a", "prefix.empty_part"),
            ("a::", "prefix.empty_part"),
            (&"x".repeat(257), "prefix.too_long"),
        ] {
            assert_eq!(KeyPrefix::new(text).unwrap_err().code(), code, "{text:?}");
        }
    }

    #[test]
    fn overlap_is_symmetric_and_by_part() {
        for (a, b, expected) in [
            ("app", "app", true),
            ("app", "app:x", true),
            ("app", "apple", false),
            ("app:x", "app:y", false),
            ("", "app", true),
        ] {
            let (a, b) = (KeyPrefix::new(a).unwrap(), KeyPrefix::new(b).unwrap());
            assert_eq!(
                (a.overlaps(&b), b.overlaps(&a)),
                (expected, expected),
                "{a} {b}"
            );
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,20}") {
            if let Ok(prefix) = KeyPrefix::new(&text) {
                prop_assert_eq!(KeyPrefix::new(prefix.as_str()).unwrap(), prefix);
            }
        }

        #[test]
        fn prefixes_that_do_not_overlap_share_no_key(
            a in "[ab]{1,2}(:[ab]{1,2}){0,2}", b in "[ab]{1,2}(:[ab]{1,2}){0,2}",
            head_a in prop::collection::vec("[ab:]{0,2}", 0..3), tag_a in "[ab]{0,2}",
            head_b in prop::collection::vec("[ab:]{0,2}", 0..3), tag_b in "[ab]{0,2}",
        ) {
            let (a, b) = (KeyPrefix::new(&a).unwrap(), KeyPrefix::new(&b).unwrap());
            prop_assume!(!a.overlaps(&b));
            let key = |prefix: &KeyPrefix, head: &[String], tag: &str| {
                let builder = head.iter().fold(prefix.key(), KeyBuilder::part);
                builder.tag(tag).finish().unwrap()
            };
            prop_assert_ne!(key(&a, &head_a, &tag_a), key(&b, &head_b, &tag_b));
        }
    }
}
