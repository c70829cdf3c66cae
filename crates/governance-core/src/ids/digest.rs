//! SHA-256 digests: of payloads, of what a vote was given for, and of the decision chain.

use std::{fmt, io, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::codec;

/// A SHA-256 digest. Shown, and written to readable formats, as 64 hexadecimal digits; written to
/// binary formats as 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest before the first decision of a history.
    pub const ZERO: Self = Self([0; 32]);

    /// Digest of the bytes.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Digest of the canonical encoding of a value: MessagePack with named fields.
    ///
    /// A field that is added to the value later keeps old digests valid as long as it is skipped
    /// while absent.
    pub(crate) fn of_value<T: Serialize + ?Sized>(
        value: &T,
    ) -> Result<Self, rmp_serde::encode::Error> {
        codec::encode(value, |bytes| Self::of(bytes))
    }
}

/// Whether free JSON values are encoded as digests were made to be: maps sorted by key, numbers as
/// numbers. Features of `serde_json` that some other crate of a program turns on
/// (`preserve_order`, `arbitrary_precision`) change that, and with it every digest.
pub(crate) fn json_is_canonical() -> bool {
    let mut value = serde_json::Map::new();
    value.insert("b".to_owned(), 1.into());
    value.insert("a".to_owned(), 0.5.into());
    let canonical = [
        0x82, 0xa1, b'a', 0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0, 0xa1, b'b', 1,
    ];
    codec::encode(&value, |bytes| bytes == canonical).unwrap_or(false)
}

/// Hashes what is written to it, so that what is digested need not be put together first.
///
/// Writers may write a few bytes at a time, hashes work on blocks: what is written is gathered.
#[derive(Debug)]
pub struct DigestWriter {
    hash: Sha256,
    gathered: [u8; Self::GATHERED],
    len: usize,
}

impl Default for DigestWriter {
    fn default() -> Self {
        Self {
            hash: Sha256::new(),
            gathered: [0; Self::GATHERED],
            len: 0,
        }
    }
}

impl DigestWriter {
    const GATHERED: usize = 512;

    /// The digest of everything written so far.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        self.hash.update(&self.gathered[..self.len]);
        Digest(self.hash.finalize().into())
    }

    /// Hashes what was gathered, and bytes there is no room for.
    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        self.hash.update(&self.gathered[..self.len]);
        self.hash.update(bytes);
        self.len = 0;
    }
}

impl io::Write for DigestWriter {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.gathered[self.len..].get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.spill(bytes),
        }
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).map(|_| ())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits")]
pub struct ParseDigestError;

impl ParseDigestError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "parse.digest"
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseDigestError);
        }
        for (i, byte) in digest.iter_mut().enumerate() {
            *byte =
                u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| ParseDigestError)?;
        }
        Ok(Self(digest))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 bytes or 64 hexadecimal digits")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Digest, E> {
                let bytes = bytes
                    .try_into()
                    .map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(Digest(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Bytes)
        } else {
            deserializer.deserialize_bytes(Bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_a_published_vector_and_round_trips() {
        let digest = Digest::of("abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), digest);
        let packed = rmp_serde::to_vec_named(&digest).unwrap();
        assert_eq!(packed.len(), 34);
        assert_eq!(rmp_serde::from_slice::<Digest>(&packed).unwrap(), digest);
        assert_eq!(
            serde_json::from_str::<Digest>(&format!("\"{text}\"")).unwrap(),
            digest
        );
    }

    #[test]
    fn free_json_is_canonical() {
        assert!(json_is_canonical());
    }

    #[test]
    fn bad_texts_and_lengths_are_errors() {
        assert!("abc".parse::<Digest>().is_err());
        assert!("zz".repeat(32).parse::<Digest>().is_err());
        assert!("é".repeat(32).parse::<Digest>().is_err());
        assert!(rmp_serde::from_slice::<Digest>(&[0xc4, 2, 1, 2]).is_err());
    }

    #[test]
    fn what_is_written_in_pieces_hashes_like_the_whole() {
        use io::Write as _;
        // Shorter, as long, and longer than what is gathered, in pieces of many lengths.
        for len in [0, 500, 511, 512, 513, 1_500] {
            let pieces = [
                vec![1; 3],
                vec![2; len],
                vec![3; 9],
                vec![4; len],
                vec![5; 1],
            ];
            let mut writer = DigestWriter::default();
            for piece in &pieces {
                writer.write_all(piece).unwrap();
            }
            assert_eq!(writer.finish(), Digest::of(pieces.concat()));
        }
    }

    #[test]
    fn a_value_hashes_like_its_encoding() {
        let text = "x".repeat(1_500);
        let value = ("a", 7_u64, vec![1_u8, 2], &text, [&*text, "b", &text]);
        let encoded = rmp_serde::to_vec_named(&value).unwrap();
        assert_eq!(Digest::of_value(&value).unwrap(), Digest::of(encoded));
    }
}
