//! How a value is stored.
//!
//! Version 1, integers big-endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version |
//! | 1 | 1 | flags: 1 = negative |
//! | 2 | 1 | number of tags, n |
//! | 3 | 1 | codec of the payload, the caller's business |
//! | 4 | 4 | cost of the load in microseconds, at most 2^32 - 1 |
//! | 8 | 8 | stored at, microseconds |
//! | 16 | 8 | fresh until, microseconds |
//! | 24 | 8 | epoch of the namespace |
//! | 32 | 8 n | epochs of the tags |
//! | 32 + 8 n | | n tags, each a length of one byte and its text; then the payload |
//!
//! Times and epochs stand together, because a backend knows them only when it stores: what comes
//! before them and what comes after them is handed to it.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::{
    cache::{Epoch, Epochs, Tag},
    clock::Timestamp,
};

const VERSION: u8 = 1;
const NEGATIVE: u8 = 1;
const FIXED: usize = 32;

/// A value on its way into a store: everything but times and epochs.
#[derive(Clone)]
pub struct Draft {
    head: [u8; Self::HEAD],
    tail: Bytes,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft")
            .field("bytes", &self.tail.len())
            .finish_non_exhaustive()
    }
}

impl Draft {
    /// Length of [`head`](Self::head).
    pub const HEAD: usize = 8;

    /// A value with its tags, in order. `None` says that there is none.
    #[must_use]
    pub fn new(payload: Option<&Bytes>, tags: &[Tag], codec: u8, cost: Duration) -> Self {
        let flags = if payload.is_none() { NEGATIVE } else { 0 };
        let micros = u32::try_from(cost.as_micros()).unwrap_or(u32::MAX);
        let mut head = [VERSION, flags, count(tags), codec, 0, 0, 0, 0];
        head[4..].copy_from_slice(&micros.to_be_bytes());
        let payload = payload.cloned().unwrap_or_default();
        let tail = if tags.is_empty() {
            payload
        } else {
            let names: usize = tags.iter().map(|tag| 1 + tag.as_str().len()).sum();
            let mut tail = BytesMut::with_capacity(names + payload.len());
            for tag in tags {
                // A tag is at most 255 bytes long.
                tail.put_u8(u8::try_from(tag.as_str().len()).unwrap_or(u8::MAX));
                tail.put_slice(tag.as_str().as_bytes());
            }
            tail.put_slice(&payload);
            tail.freeze()
        };
        Self { head, tail }
    }

    /// What comes before the times.
    #[must_use]
    pub const fn head(&self) -> &[u8; Self::HEAD] {
        &self.head
    }

    /// What comes after the epochs.
    #[must_use]
    pub const fn tail(&self) -> &Bytes {
        &self.tail
    }

    /// The whole, for a backend that puts it together in this process.
    #[must_use]
    pub fn seal(&self, times: Times, epochs: &Epochs) -> Bytes {
        let mut whole = BytesMut::with_capacity(FIXED + 8 * epochs.tags.len() + self.tail.len());
        whole.put_slice(&self.head);
        whole.put_u64(times.stored_at.as_micros());
        whole.put_u64(times.fresh_until.as_micros());
        whole.put_u64(epochs.namespace.get());
        for epoch in &epochs.tags {
            whole.put_u64(epoch.get());
        }
        whole.put_slice(&self.tail);
        whole.freeze()
    }
}

fn count(tags: &[Tag]) -> u8 {
    u8::try_from(tags.len()).unwrap_or(u8::MAX)
}

/// When a value was stored and until when it is fresh, by the backend's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it was stored.
    pub stored_at: Timestamp,
    /// From when on it is stale.
    pub fresh_until: Timestamp,
}

/// A stored value, read. The payload is a view of what was read, not a copy.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    negative: bool,
    codec: u8,
    cost: Duration,
    times: Times,
    namespace: Epoch,
    tags: Vec<(Tag, Epoch)>,
    payload: Bytes,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope")
            .field("negative", &self.negative)
            .field("times", &self.times)
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Bytes that are no envelope, or one of a version this program does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored value cannot be read")]
pub struct UnreadableEnvelope;

impl Envelope {
    /// Reads what [`Draft::seal`] or a backend put together.
    ///
    /// # Errors
    ///
    /// [`UnreadableEnvelope`]; no bytes make it panic.
    pub fn open(mut whole: Bytes) -> Result<Self, UnreadableEnvelope> {
        let fixed = whole.get(..FIXED).ok_or(UnreadableEnvelope)?;
        if fixed[0] != VERSION || fixed[1] & !NEGATIVE != 0 {
            return Err(UnreadableEnvelope);
        }
        let (count, mut at) = (usize::from(fixed[2]), FIXED + 8 * usize::from(fixed[2]));
        let mut tags = Vec::with_capacity(count);
        for index in 0..count {
            let epoch = number(&whole, FIXED + 8 * index)?;
            let length = usize::from(*whole.get(at).ok_or(UnreadableEnvelope)?);
            let name = whole
                .get(at + 1..at + 1 + length)
                .ok_or(UnreadableEnvelope)?;
            let name = std::str::from_utf8(name).map_err(|_| UnreadableEnvelope)?;
            let tag = Tag::new(name).map_err(|_| UnreadableEnvelope)?;
            tags.push((tag, Epoch::new(epoch)));
            at += 1 + length;
        }
        if at > whole.len() {
            return Err(UnreadableEnvelope);
        }
        let cost = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let (negative, codec) = (fixed[1] & NEGATIVE != 0, fixed[3]);
        let times = Times {
            stored_at: Timestamp::from_micros(number(&whole, 8)?),
            fresh_until: Timestamp::from_micros(number(&whole, 16)?),
        };
        let namespace = Epoch::new(number(&whole, 24)?);
        whole.advance(at);
        Ok(Self {
            negative,
            codec,
            cost: Duration::from_micros(cost.into()),
            times,
            namespace,
            tags,
            payload: whole,
        })
    }

    /// What tells one stored value from the next under its key, whether it can be read or not: bytes
    /// 8 to 15, as far as they are there.
    #[must_use]
    pub fn mark(whole: &[u8]) -> &[u8] {
        let end = whole.len().min(16);
        whole.get(8..end).unwrap_or_default()
    }

    /// Whether it says that there is no value.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.negative
    }

    /// The codec of the payload.
    #[must_use]
    pub const fn codec(&self) -> u8 {
        self.codec
    }

    /// How long the load took.
    #[must_use]
    pub const fn cost(&self) -> Duration {
        self.cost
    }

    /// When it was stored and until when it is fresh.
    #[must_use]
    pub const fn times(&self) -> Times {
        self.times
    }

    /// The epoch of its namespace when it was stored.
    #[must_use]
    pub const fn namespace(&self) -> Epoch {
        self.namespace
    }

    /// Its tags and their epochs when it was stored.
    #[must_use]
    pub fn tags(&self) -> &[(Tag, Epoch)] {
        &self.tags
    }

    /// The value.
    #[must_use]
    pub const fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The value, taken out.
    #[must_use]
    pub fn into_payload(self) -> Bytes {
        self.payload
    }
}

fn number(whole: &[u8], at: usize) -> Result<u64, UnreadableEnvelope> {
    let bytes = whole.get(at..at + 8).ok_or(UnreadableEnvelope)?;
    let bytes = <[u8; 8]>::try_from(bytes).map_err(|_| UnreadableEnvelope)?;
    Ok(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cache::Tags;

    fn times() -> Times {
        Times {
            stored_at: Timestamp::from_micros(0x0102_0304_0506_0708),
            fresh_until: Timestamp::from_micros(0x1112_1314_1516_1718),
        }
    }

    fn epochs(tags: &[u64]) -> Epochs {
        Epochs {
            namespace: Epoch::new(0x2122_2324_2526_2728),
            tags: tags.iter().copied().map(Epoch::new).collect(),
        }
    }

    #[test]
    fn version_one_is_these_bytes() {
        let tags = Tags::new(["b", "aa"]).unwrap();
        let payload = Bytes::from_static(&[0, 255, 7]);
        let cost = Duration::from_micros(0x3132_3334);
        let draft = Draft::new(Some(&payload), tags.as_slice(), 9, cost);
        let sealed = draft.seal(times(), &epochs(&[1, 2]));
        let golden = [
            &[1, 0, 2, 9, 0x31, 0x32, 0x33, 0x34][..],
            &[1, 2, 3, 4, 5, 6, 7, 8],
            &[0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18],
            &[0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28],
            &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2],
            &[2, b'a', b'a', 1, b'b'],
            &[0, 255, 7],
        ]
        .concat();
        assert_eq!(&sealed[..], golden);
        let negative = Draft::new(None, &[], 0, Duration::ZERO).seal(times(), &epochs(&[]));
        assert_eq!(negative[..8], [1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(negative.len(), 32);
    }

    #[test]
    fn payload_is_not_copied_and_not_grown() {
        let payload = Bytes::from(vec![7; 1_000]);
        let sealed = Draft::new(Some(&payload), &[], 0, Duration::ZERO).seal(times(), &epochs(&[]));
        assert_eq!(sealed.len(), 1_032);
        let opened = Envelope::open(sealed.clone()).unwrap();
        assert_eq!(opened.payload().as_ptr(), sealed[32..].as_ptr());
    }

    #[test]
    fn other_versions_and_flags_are_unreadable() {
        let sealed = Draft::new(None, &[], 0, Duration::ZERO).seal(times(), &epochs(&[]));
        for (at, byte) in [(0, 0), (0, 2), (1, 2), (1, 128)] {
            let mut other = sealed.to_vec();
            other[at] = byte;
            assert_eq!(Envelope::open(other.into()), Err(UnreadableEnvelope));
        }
    }

    proptest! {
        #[test]
        fn opened_is_what_was_sealed(
            payload in prop::option::of(prop::collection::vec(any::<u8>(), 0..64)),
            names in prop::collection::btree_set("[a-z:]{1,9}", 0..6),
            codec: u8, cost in 0_u32.., at in any::<[u64; 3]>(),
        ) {
            let tags = Tags::new(names).unwrap();
            let numbers: Vec<u64> = (0..tags.as_slice().len() as u64).collect();
            let times = Times {
                stored_at: Timestamp::from_micros(at[0]),
                fresh_until: Timestamp::from_micros(at[1]),
            };
            let payload = payload.map(Bytes::from);
            let cost = Duration::from_micros(cost.into());
            let epochs = Epochs { namespace: Epoch::new(at[2]), ..epochs(&numbers) };
            let sealed = Draft::new(payload.as_ref(), tags.as_slice(), codec, cost).seal(times, &epochs);
            let opened = Envelope::open(sealed).unwrap();
            prop_assert_eq!(opened.is_negative(), payload.is_none());
            prop_assert_eq!(opened.payload(), &payload.unwrap_or_default());
            prop_assert_eq!((opened.codec(), opened.cost(), opened.times()), (codec, cost, times));
            prop_assert_eq!(opened.namespace(), epochs.namespace);
            let expected: Vec<_> = tags.as_slice().iter().cloned().zip(epochs.tags).collect();
            prop_assert_eq!(opened.tags(), expected.as_slice());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), n in 0_u8..8) {
            let mut bytes = bytes;
            let _ = Envelope::open(bytes.clone().into());
            for (at, byte) in [1, 0, n].into_iter().enumerate() {
                if let Some(there) = bytes.get_mut(at) {
                    *there = byte;
                }
            }
            let _ = Envelope::open(bytes.into());
        }
    }
}
