//! The only place that makes keys.

use std::{fmt, sync::Arc};

use redis::{RedisWrite, ToRedisArgs, ToSingleRedisArg};

use crate::key::slot;

/// A key, made by a [`KeyBuilder`]. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// Longest key in bytes, escapes included.
    pub const MAX_BYTES: usize = 4_096;

    /// The key as it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash slot of the key.
    #[must_use]
    pub fn slot(&self) -> u16 {
        slot(&*self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", &*self.0)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl ToRedisArgs for Key {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg(self.0.as_bytes());
    }
}

impl ToSingleRedisArg for Key {}

/// A key longer than [`Key::MAX_BYTES`]. Keys are never shortened or hashed in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the key would be {actual} bytes long, at most {} are allowed",
    Key::MAX_BYTES
)]
pub struct KeyTooLong {
    actual: usize,
}

impl KeyTooLong {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "key.too_long"
    }
}

/// Builds a key part by part: `prefix:part:{tag}:part`.
///
/// Parts are joined by `:`. Everything in a part but `A-Z a-z 0-9 . _ ~ -` is percent-encoded, so
/// different parts never make the same key, and no text from outside can bring a hash tag. A key
/// gets its one tag from [`tag`](Self::tag).
#[derive(Debug, Clone)]
#[must_use = "a builder makes a key only when finished"]
pub struct KeyBuilder(String);

impl KeyBuilder {
    pub(super) fn new(prefix: &str) -> Self {
        Self(prefix.to_owned())
    }

    /// Adds a part.
    pub fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        separate(&mut self.0);
        escape(part.as_ref(), &mut self.0);
        self
    }

    /// Adds the hash tag: keys with the same tag share a slot.
    pub fn tag(mut self, tag: impl AsRef<[u8]>) -> TaggedKeyBuilder {
        separate(&mut self.0);
        self.0.push('{');
        let start = self.0.len();
        escape(tag.as_ref(), &mut self.0);
        if self.0.len() == start {
            // `{}` is no tag to Redis, and no escape ends after the percent sign.
            self.0.push('%');
        }
        self.0.push('}');
        TaggedKeyBuilder(self.0)
    }

    /// The key, without a hash tag.
    ///
    /// # Errors
    ///
    /// [`KeyTooLong`].
    pub fn finish(self) -> Result<Key, KeyTooLong> {
        finish(self.0)
    }
}

/// A [`KeyBuilder`] that has its hash tag.
#[derive(Debug, Clone)]
#[must_use = "a builder makes a key only when finished"]
pub struct TaggedKeyBuilder(String);

impl TaggedKeyBuilder {
    /// Adds a part.
    pub fn part(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        self.0.reserve(part.len() + 1);
        separate(&mut self.0);
        escape(part, &mut self.0);
        self
    }

    /// The key with one part more, for many keys that begin alike.
    ///
    /// # Errors
    ///
    /// [`KeyTooLong`].
    pub fn with(&self, part: impl AsRef<[u8]>) -> Result<Key, KeyTooLong> {
        let part = part.as_ref();
        let mut text = String::with_capacity(self.0.len() + 1 + part.len());
        text.push_str(&self.0);
        separate(&mut text);
        escape(part, &mut text);
        finish(text)
    }

    /// The key.
    ///
    /// # Errors
    ///
    /// [`KeyTooLong`].
    pub fn finish(self) -> Result<Key, KeyTooLong> {
        finish(self.0)
    }
}

fn finish(text: String) -> Result<Key, KeyTooLong> {
    if text.len() > Key::MAX_BYTES {
        return Err(KeyTooLong { actual: text.len() });
    }
    Ok(Key(text.into()))
}

/// The first part of a key without a prefix is not separated from anything. An empty first part is
/// written as `%`, which no escape is, so that it cannot be mistaken for no part.
fn separate(key: &mut String) {
    if !key.is_empty() {
        key.push(':');
    }
}

fn escape(part: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if part.is_empty() && out.is_empty() {
        out.push('%');
    }
    out.reserve(part.len());
    // Most parts are plain as a whole.
    if part.iter().all(|byte| PLAIN[usize::from(*byte)])
        && let Ok(plain) = std::str::from_utf8(part)
    {
        out.push_str(plain);
        return;
    }
    for &byte in part {
        if PLAIN[usize::from(byte)] {
            out.push(byte.into());
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)].into());
            out.push(HEX[usize::from(byte & 15)].into());
        }
    }
}

/// The bytes that stand for themselves.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < plain.len() {
        plain[byte] = matches!(
            byte as u8,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'~' | b'-'
        );
        byte += 1;
    }
    plain
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key::KeyPrefix;

    #[test]
    fn shape() {
        let prefix = KeyPrefix::new("app").unwrap();
        let key = prefix
            .tag("7")
            .part("doc")
            .part("a:b/{c}")
            .finish()
            .unwrap();
        assert_eq!(key.as_str(), "app:{7}:doc:a%3Ab%2F%7Bc%7D");
        assert_eq!(key.slot(), slot("7"));
        let alike = prefix.tag("7").part("doc");
        assert_eq!(alike.with("a:b/{c}").unwrap(), key);
        assert_eq!(alike.with("").unwrap().as_str(), "app:{7}:doc:");
        let key = KeyPrefix::default().key().part("x").finish().unwrap();
        assert_eq!(key.as_str(), "x");
        assert_eq!(prefix.tag("").finish().unwrap().slot(), slot("%"));
        assert_eq!(prefix.key().finish().unwrap().as_str(), "app");
    }

    #[test]
    fn long_keys_are_refused_not_hashed() {
        let prefix = KeyPrefix::new("app").unwrap();
        let error = prefix.key().part("ä".repeat(700)).finish().unwrap_err();
        assert_eq!(error.code(), "key.too_long");
        assert!(error.to_string().contains("4204"), "{error}");
    }

    type Parts = (Vec<Vec<u8>>, Option<(Vec<u8>, Vec<Vec<u8>>)>);

    fn build(prefix: &KeyPrefix, (head, tail): &Parts) -> Key {
        let builder = head.iter().fold(prefix.key(), KeyBuilder::part);
        match tail {
            None => builder.finish(),
            Some((tag, tail)) => {
                let builder = builder.tag(tag);
                tail.iter().fold(builder, TaggedKeyBuilder::part).finish()
            }
        }
        .unwrap()
    }

    fn parts() -> impl Strategy<Value = Parts> {
        let part = || prop::collection::vec(prop::sample::select(b"a:%{}2".to_vec()), 0..3);
        let list = || prop::collection::vec(part(), 0..3);
        (list(), prop::option::of((part(), list())))
    }

    proptest! {
        #[test]
        fn different_parts_make_different_keys(
            prefix in prop::sample::select(vec!["", "app", "app:x"]),
            a in parts(), b in parts(),
        ) {
            let prefix = KeyPrefix::new(prefix).unwrap();
            prop_assert_eq!(a == b, build(&prefix, &a) == build(&prefix, &b));
        }

        #[test]
        fn only_the_tag_decides_the_slot(
            head in prop::collection::vec("\\PC{0,6}", 0..3), tag in "\\PC{1,6}", tail in "\\PC{0,6}",
        ) {
            let prefix = KeyPrefix::new("app").unwrap();
            let key = head.iter().fold(prefix.key(), KeyBuilder::part).tag(&tag).part(tail);
            prop_assert_eq!(key.finish().unwrap().slot(), prefix.tag(&tag).finish().unwrap().slot());
        }
    }
}
