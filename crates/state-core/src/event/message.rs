//! How an event is stored.
//!
//! Version 1, integers big-endian: a byte 1; the origin, 16 bytes; the sequence number, 8 bytes;
//! the kind with a length of one byte; the payload.

use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::{entropy::Entropy, error::BackendError, event::InvalidKind};

const VERSION: u8 = 1;
const FIXED: usize = 26;

/// Something that happened: what kind of thing, and bytes about it. `Debug` does not show those.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Event {
    kind: Bytes,
    payload: Bytes,
}

impl Event {
    /// Longest kind in bytes.
    pub const MAX_KIND: usize = 64;

    /// An event. The kind is a constant of the program.
    ///
    /// # Errors
    ///
    /// [`InvalidKind`] when it is empty, too long or not printable ASCII.
    pub fn new(kind: &str, payload: Bytes) -> Result<Self, InvalidKind> {
        if !is_kind(kind.as_bytes()) {
            return Err(InvalidKind);
        }
        Ok(Self {
            kind: Bytes::copy_from_slice(kind.as_bytes()),
            payload,
        })
    }

    /// What kind of thing happened.
    #[must_use]
    pub fn kind(&self) -> &str {
        // Checked when it was made.
        std::str::from_utf8(&self.kind).unwrap_or_default()
    }

    /// The bytes about it.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }
}

fn is_kind(kind: &[u8]) -> bool {
    (1..=Event::MAX_KIND).contains(&kind.len()) && kind.iter().all(u8::is_ascii_graphic)
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("kind", &self.kind())
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Who published: one [`Events`](crate::event::Events) of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin([u8; 16]);

impl Origin {
    /// A random one.
    ///
    /// # Errors
    ///
    /// When the source has no randomness.
    pub fn random(entropy: &dyn Entropy) -> Result<Self, BackendError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// An event with who published it and its number there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who published it.
    pub origin: Origin,
    /// Its number among those of the origin in the topic, from 1.
    pub seq: u64,
    /// The event.
    pub event: Event,
}

/// Bytes that are no message, or one of a version this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored event cannot be read")]
pub struct UnreadableMessage;

impl Message {
    /// Writes it down.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let Event { kind, payload } = &self.event;
        let mut out = BytesMut::with_capacity(FIXED + kind.len() + payload.len());
        out.put_u8(VERSION);
        out.put_slice(&self.origin.0);
        out.put_u64(self.seq);
        // A kind is at most 64 bytes long.
        out.put_u8(u8::try_from(kind.len()).unwrap_or(u8::MAX));
        out.put_slice(kind);
        out.put_slice(payload);
        out.freeze()
    }

    /// How many bytes it takes.
    #[must_use]
    pub const fn size(event: &Event) -> usize {
        FIXED + event.kind.len() + event.payload.len()
    }

    /// Reads it. The event is a view of the bytes.
    ///
    /// # Errors
    ///
    /// [`UnreadableMessage`]; no bytes make it panic.
    pub fn decode(bytes: &Bytes) -> Result<Self, UnreadableMessage> {
        let fixed = bytes.get(..FIXED).ok_or(UnreadableMessage)?;
        let array = |range: std::ops::Range<usize>| fixed.get(range).ok_or(UnreadableMessage);
        let end = FIXED + usize::from(fixed[FIXED - 1]);
        if fixed[0] != VERSION || !bytes.get(FIXED..end).is_some_and(is_kind) {
            return Err(UnreadableMessage);
        }
        let origin = array(1..17)?.try_into().map_err(|_| UnreadableMessage)?;
        let seq = array(17..25)?.try_into().map_err(|_| UnreadableMessage)?;
        Ok(Self {
            origin: Origin(origin),
            seq: u64::from_be_bytes(seq),
            event: Event {
                kind: bytes.slice(FIXED..end),
                payload: bytes.slice(end..),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn version_one_is_these_bytes() {
        let message = Message {
            origin: Origin([9; 16]),
            seq: 0x0102_0304_0506_0708,
            event: Event::new("a.b", Bytes::from_static(&[0, 255])).unwrap(),
        };
        let golden = [
            &[1][..],
            &[9; 16],
            &[1, 2, 3, 4, 5, 6, 7, 8],
            b"\x03a.b",
            &[0, 255],
        ];
        assert_eq!(&message.encode()[..], golden.concat());
        assert_eq!(message.encode().len(), Message::size(&message.event));
        assert_eq!(Message::decode(&message.encode()), Ok(message));
    }

    #[test]
    fn kinds_are_checked_both_ways() {
        for kind in ["", "a b", "\u{e9}", &"k".repeat(65)] {
            assert_eq!(Event::new(kind, Bytes::new()), Err(InvalidKind), "{kind:?}");
        }
        let mut bytes = vec![0; 30];
        bytes[0] = 1;
        bytes[25] = 2;
        bytes[26] = b' ';
        assert_eq!(Message::decode(&bytes.into()), Err(UnreadableMessage));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), version: bool) {
            let mut bytes = bytes;
            if version && !bytes.is_empty() {
                bytes[0] = 1;
            }
            if let Ok(message) = Message::decode(&bytes.clone().into()) {
                prop_assert_eq!(&message.encode()[..], bytes);
            }
        }
    }
}
