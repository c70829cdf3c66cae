//! The encoding of payloads, states and whatever is digested: MessagePack with named fields.

mod watch;

use std::{cell::Cell, fmt};

use rmp_serde::{
    decode::Error as DecodeError,
    encode::{self, Error as EncodeError},
};
use serde::{
    Deserializer as _, Serialize,
    de::{self, DeserializeOwned},
};

/// Encodes a value and looks at the bytes, which are gone afterwards.
///
/// They are in a buffer that the thread keeps, so nothing is allocated for them, and what is kept
/// of them can be made exactly as long as it is.
pub(crate) fn encode<T: Serialize + ?Sized, R>(
    value: &T,
    look: impl FnOnce(&[u8]) -> R,
) -> Result<R, EncodeError> {
    /// Longer buffers are not kept.
    const MOST_KEPT: usize = 64 << 10;
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // While it is taken, an encoding within this one begins with an empty one.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let result = encode::write_named(&mut buffer, value).map(|()| look(&buffer));
    if buffer.capacity() <= MOST_KEPT {
        BUFFER.set(buffer);
    }
    result
}

/// Decodes a value, or `None` where something follows it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>, DecodeError> {
    let mut input = rmp_serde::Deserializer::from_read_ref(bytes);
    let value = T::deserialize(&mut input)?;
    Ok(at_end(&mut input).then_some(value))
}

/// [`decode`], which also tells whether the type left nothing unread: fields it does not know.
pub(crate) fn decode_watched<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<Option<(T, bool)>, DecodeError> {
    let mut input = rmp_serde::Deserializer::from_read_ref(bytes);
    let skipped = Cell::new(false);
    let value = T::deserialize(watch::Watch::new(&mut input, &skipped))?;
    Ok(at_end(&mut input).then_some((value, !skipped.get())))
}

fn at_end<'de>(
    input: &mut rmp_serde::Deserializer<rmp_serde::decode::ReadRefReader<'de, [u8]>>,
) -> bool {
    // Reading one value more has to fail for want of its first byte.
    let more = input.deserialize_any(Nothing);
    matches!(more, Err(DecodeError::InvalidMarkerRead(_)))
}

/// Takes no value at all and looks into none.
struct Nothing;

impl de::Visitor<'_> for Nothing {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}

#[cfg(test)]
mod tests {
    use serde::{Serialize, Serializer};

    use super::encode;

    /// Is encoded by encoding something else first.
    struct Within;

    impl Serialize for Within {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = encode(&[1_u8, 2], <[u8]>::to_vec).map_err(serde::ser::Error::custom)?;
            serializer.serialize_bytes(&inner)
        }
    }

    struct Raw(Vec<u8>);

    impl Serialize for Raw {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }

    #[test]
    fn encodings_within_each_other_and_after_each_other_are_apart() {
        let bytes = encode(&("before", Within, "after"), <[u8]>::to_vec).unwrap();
        let inner = rmp_serde::to_vec_named(&[1_u8, 2]).unwrap();
        let known = ("before", Raw(inner), "after");
        assert_eq!(bytes, rmp_serde::to_vec_named(&known).unwrap());
        let long = "x".repeat(100_000);
        for text in ["", "short", &long, "short"] {
            let bytes = encode(text, <[u8]>::to_vec).unwrap();
            assert_eq!(bytes, rmp_serde::to_vec_named(text).unwrap());
        }
    }
}
