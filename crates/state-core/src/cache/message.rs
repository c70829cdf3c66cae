//! What is told to the other processes.
//!
//! Version 1: a byte 1, a byte for what (0 namespace, 1 tags, 2 keys), the namespace with a length
//! of one byte, then texts with lengths of two bytes, big-endian.

use std::{fmt, sync::Arc};

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::cache::{Tags, Target};

const VERSION: u8 = 1;

/// What ended.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Invalidation {
    /// Everything in the namespace.
    Namespace,
    /// Everything that has one of the tags.
    Tags(Tags),
    /// These keys.
    Keys(Vec<Arc<str>>),
}

impl fmt::Debug for Invalidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace => f.write_str("Namespace"),
            Self::Tags(tags) => write!(f, "Tags({})", tags.as_slice().len()),
            Self::Keys(keys) => write!(f, "Keys({})", keys.len()),
        }
    }
}

impl Invalidation {
    /// The kind of the events that carry it.
    pub const KIND: &'static str = "cache.invalidated";

    /// Of one key.
    #[must_use]
    pub fn key(key: &str) -> Self {
        Self::Keys(vec![key.into()])
    }

    /// Writes it down, with the namespace it is about.
    #[must_use]
    pub fn encode(&self, namespace: &str) -> Bytes {
        let mut out = BytesMut::new();
        let what = match self {
            Self::Namespace => 0,
            Self::Tags(_) => 1,
            Self::Keys(_) => 2,
        };
        out.put_slice(&[
            VERSION,
            what,
            u8::try_from(namespace.len()).unwrap_or(u8::MAX),
        ]);
        out.put_slice(namespace.as_bytes());
        let mut text = |text: &str| {
            // Keys and tags are checked to be much shorter.
            out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
            out.put_slice(text.as_bytes());
        };
        match self {
            Self::Namespace => {}
            Self::Tags(tags) => tags.as_slice().iter().for_each(|tag| text(tag.as_str())),
            Self::Keys(keys) => keys.iter().for_each(|key| text(key)),
        }
        out.freeze()
    }

    /// Reads the namespace and what ended in it. None when it is of another version or damaged;
    /// whoever gets none has to expect that anything ended.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(&str, Self)> {
        let (head, rest) = bytes.split_at_checked(3)?;
        if head[0] != VERSION {
            return None;
        }
        let (namespace, mut rest) = rest.split_at_checked(head[2].into())?;
        let namespace = std::str::from_utf8(namespace).ok()?;
        let mut texts = Vec::new();
        while !rest.is_empty() {
            let (length, more) = rest.split_first_chunk::<2>()?;
            let (text, more) = more.split_at_checked(u16::from_be_bytes(*length).into())?;
            texts.push(std::str::from_utf8(text).ok()?);
            rest = more;
        }
        let what = match head[1] {
            0 if texts.is_empty() => Self::Namespace,
            1 => Self::Tags(Tags::new(texts).ok()?),
            2 => Self::Keys(texts.into_iter().map(Into::into).collect()),
            _ => return None,
        };
        Some((namespace, what))
    }

    /// Calls with it as a step of a store wants it.
    pub(crate) fn keys(&self) -> Vec<&str> {
        match self {
            Self::Keys(keys) => keys.iter().map(|key| &**key).collect(),
            Self::Namespace | Self::Tags(_) => Vec::new(),
        }
    }

    pub(crate) fn target<'a>(&'a self, keys: &'a [&'a str]) -> Target<'a> {
        match self {
            Self::Namespace => Target::Namespace,
            Self::Tags(tags) => Target::Tags(tags.as_slice()),
            Self::Keys(_) => Target::Keys(keys),
        }
    }

    /// A hash that names it in errors without showing it.
    pub(crate) fn subject(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn version_one_is_these_bytes() {
        let tags = Invalidation::Tags(Tags::new(["b", "a"]).unwrap());
        assert_eq!(&tags.encode("ns")[..], b"\x01\x01\x02ns\0\x01a\0\x01b");
        assert_eq!(&Invalidation::Namespace.encode("ns")[..], b"\x01\0\x02ns");
        assert_eq!(
            &Invalidation::key("1/2").encode("n")[..],
            b"\x01\x02\x01n\0\x031/2"
        );
    }

    proptest! {
        #[test]
        fn decoded_is_what_was_encoded(keys in prop::collection::vec("\\PC{0,9}", 1..5)) {
            let what = Invalidation::Keys(keys.iter().map(|key| key.as_str().into()).collect());
            let encoded = what.encode("ns");
            prop_assert_eq!(Invalidation::decode(&encoded), Some(("ns", what)));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), start: bool) {
            let mut bytes = bytes;
            if start && bytes.len() > 2 {
                bytes[0] = 1;
                bytes[2] = 1;
            }
            let _ = Invalidation::decode(&bytes);
        }
    }
}
