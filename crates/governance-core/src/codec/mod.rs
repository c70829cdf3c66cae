//! The encoding of payloads, states and whatever is digested: MessagePack with named fields.
//!
//! Byte for byte what `rmp_serde` writes with named fields, and read as it reads them. Every
//! change encodes and decodes documents several times, so this is made for one case: values in
//! memory, one form, no readers and writers in between. Extension types are not part of the form.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::cell::Cell;

pub(crate) use decode::decode;
use encode::Encoder;
use serde::Serialize;

/// Why a value cannot be encoded or decoded.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct CodecError(Box<Problem>);

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("{0}")]
    Said(String),
    #[error("extension types are not supported")]
    Extension,
    #[error("more items or bytes than can be written")]
    TooLong,
    #[error("ends too early")]
    Ends,
    #[error("a value begins with {0:#04x}")]
    Unknown(u8),
    #[error("a variant was expected")]
    NoVariant,
    #[error("has items that nobody reads")]
    ItemsLeft,
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("is nested too deeply")]
    TooDeep,
}

impl From<Problem> for CodecError {
    #[cold]
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl serde::ser::Error for CodecError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Problem::Said(message.to_string()).into()
    }
}

impl serde::de::Error for CodecError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Problem::Said(message.to_string()).into()
    }
}

/// How newtypes are called that `rmp_serde` writes as extension types.
const EXTENSION: &str = "_ExtStruct";

/// Encodes a value and looks at the bytes, which are gone afterwards.
///
/// They are in a buffer that the thread keeps, so nothing is allocated for them, and what is kept
/// of them can be made exactly as long as it is.
pub(crate) fn encode<T: Serialize + ?Sized, R>(
    value: &T,
    look: impl FnOnce(&[u8]) -> R,
) -> Result<R, CodecError> {
    /// Longer buffers are not kept.
    const MOST_KEPT: usize = 64 << 10;
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // While it is taken, an encoding within this one begins with an empty one.
    let mut encoder = Encoder(BUFFER.take());
    encoder.0.clear();
    let result = value.serialize(&mut encoder).map(|()| look(&encoder.0));
    if encoder.0.capacity() <= MOST_KEPT {
        BUFFER.set(encoder.0);
    }
    result
}
