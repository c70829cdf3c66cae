//! The frame: one string that holds a request, its revision, its place and its index entries.
//!
//! | Offset | Field |
//! |---|---|
//! | 0 | magic and format, 2 B; flags, 1 B; 0; length of the index record, u32 |
//! | 8 | revision, u64 |
//! | 16 | ordinal, u64, and stamp, u64: zero in a create, written by the script |
//! | 32 | digest of the last decision, 32 B |
//! | 64 | number of decisions, u32; CRC-32C of everything from 32 on but itself, u32 |
//! | 72 | index record |
//! | then | document in its envelope |
//!
//! All numbers are big endian. The first 72 bytes are the block a write compares with. It holds the
//! checksum and the end of the history, so an equal block means an equal record, and a delta made
//! from a cached one is right.
//!
//! Format 1 had the index record as a map in MessagePack. It is read, not written.

use bytes::Bytes;

use super::{
    document::NewerVersion,
    index::{read_index, write_index},
    v1,
};
use crate::index::IndexRecord;

/// Length of the block that is compared.
pub(crate) const BLOCK: usize = 72;
/// Where the checksum begins: what is before is known by its place, or written by the script.
const SUMMED: usize = 32;
const HEAD: usize = BLOCK;
const MAGIC: u8 = 0xa7;
const FORMAT: u8 = 2;
/// The oldest format that is read.
const OLDEST: u8 = 1;

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the record is cut off")]
    Short,
    #[error("the record does not begin as a request does")]
    Magic,
    #[error("the record is of another format: {0}")]
    Format(#[source] NewerVersion),
    #[error("the checksum does not fit")]
    Checksum,
    #[error("the index record cannot be read")]
    Index,
}

/// The fixed part of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) revision: u64,
    pub(crate) ordinal: u64,
    pub(crate) stamp: u64,
    /// Digest of the last decision.
    pub(crate) chain: [u8; 32],
    pub(crate) decisions: u32,
}

/// A frame that was taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) block: [u8; BLOCK],
    pub(crate) head: Head,
    pub(crate) index: IndexRecord,
    /// The document in its envelope; checked by its sum, not decoded.
    pub(crate) document: Bytes,
}

pub(crate) fn encode_frame(head: &Head, index: &IndexRecord, document: &[u8]) -> Vec<u8> {
    let index = write_index(index, document);
    let mut frame = Vec::with_capacity(HEAD + index.len() + document.len());
    frame.extend([MAGIC, FORMAT, 0, 0]);
    frame.extend(u32::try_from(index.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend(head.revision.to_be_bytes());
    frame.extend(head.ordinal.to_be_bytes());
    frame.extend(head.stamp.to_be_bytes());
    frame.extend(head.chain);
    frame.extend(head.decisions.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(index);
    frame.extend(document);
    let sum = checksum(&frame);
    frame[HEAD - 4..HEAD].copy_from_slice(&sum.to_be_bytes());
    frame
}

fn checksum(frame: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&frame[SUMMED..HEAD - 4]);
    crc32c::crc32c_append(sum, &frame[HEAD..])
}

/// The block of a frame, if it is long enough to have one.
pub(crate) fn block_of(frame: &[u8]) -> Option<[u8; BLOCK]> {
    frame.first_chunk().copied()
}

/// How long a frame would be if its document were neither shortened nor compressed: what it takes
/// decoded goes with that.
pub(crate) fn plain_length(frame: &[u8]) -> usize {
    let length = || {
        let index = u32::from_be_bytes(*frame.get(4..)?.first_chunk()?) as usize;
        let document = frame.get(HEAD.checked_add(index)?..)?;
        let plain = u32::from_be_bytes(*document.get(3..)?.first_chunk()?) as usize;
        Some(HEAD.saturating_add(index).saturating_add(plain))
    };
    length().unwrap_or(frame.len())
}

/// Whether the checksum of a frame fits.
pub(crate) fn is_whole(frame: &[u8]) -> bool {
    frame
        .get(HEAD - 4..HEAD)
        .is_some_and(|sum| sum == checksum(frame).to_be_bytes())
}

fn number<const N: usize>(frame: &[u8], at: usize) -> Result<[u8; N], FrameError> {
    frame
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or(FrameError::Short)
}

impl Frame {
    /// Takes a frame apart. The checksum comes first, so later steps see what was written.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, FrameError> {
        let (frame, sum) = Self::parts(bytes)?;
        if sum == checksum(bytes) {
            Ok(frame)
        } else {
            Err(FrameError::Checksum)
        }
    }

    /// Takes a frame apart without asking its checksum, for repair and purge of what is damaged.
    pub(crate) fn salvage(bytes: &Bytes) -> Result<Self, FrameError> {
        Self::parts(bytes).map(|(frame, _)| frame)
    }

    fn parts(bytes: &Bytes) -> Result<(Self, u32), FrameError> {
        let block = block_of(bytes).ok_or(FrameError::Short)?;
        let format = match block {
            [MAGIC, format @ OLDEST..=FORMAT, ..] => format,
            [MAGIC, format, ..] => {
                let newer = NewerVersion::new(u16::from(format), u16::from(FORMAT));
                return Err(FrameError::Format(newer));
            }
            _ => return Err(FrameError::Magic),
        };
        let index_len = u32::from_be_bytes(number(bytes, 4)?) as usize;
        let head = Head {
            revision: u64::from_be_bytes(number(bytes, 8)?),
            ordinal: u64::from_be_bytes(number(bytes, 16)?),
            stamp: u64::from_be_bytes(number(bytes, 24)?),
            chain: number(bytes, 32)?,
            decisions: u32::from_be_bytes(number(bytes, 64)?),
        };
        let sum = u32::from_be_bytes(number(bytes, 68)?);
        let end = HEAD
            .checked_add(index_len)
            .filter(|end| *end <= bytes.len());
        let end = end.ok_or(FrameError::Short)?;
        let index = match format {
            1 => v1::read_index(&bytes[HEAD..end]),
            _ => read_index(&bytes[HEAD..end], &bytes[end..]),
        };
        let index = index.ok_or(FrameError::Index)?;
        let frame = Self {
            block,
            head,
            index,
            document: bytes.slice(end..),
        };
        Ok((frame, sum))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heads() -> impl Strategy<Value = Head> {
        let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
        (numbers, any::<[u8; 32]>(), any::<u32>()).prop_map(
            |((revision, ordinal, stamp), chain, decisions)| Head {
                revision,
                ordinal,
                stamp,
                chain,
                decisions,
            },
        )
    }

    fn frame(head: &Head, document: &[u8]) -> Bytes {
        encode_frame(head, &IndexRecord::default(), document).into()
    }

    proptest! {
        #[test]
        fn a_frame_round_trips(head in heads(), document in prop::collection::vec(any::<u8>(), 0..99)) {
            let bytes = frame(&head, &document);
            let read = Frame::decode(&bytes).unwrap();
            prop_assert_eq!((read.head, &*read.document), (head, &*document));
            prop_assert_eq!(&read.block[..], &bytes[..BLOCK]);
        }

        #[test]
        fn the_script_may_write_ordinal_and_stamp(head in heads(), at in any::<[u8; 16]>()) {
            let mut bytes = frame(&head, b"document").to_vec();
            bytes[16..32].copy_from_slice(&at);
            prop_assert!(Frame::decode(&bytes.into()).is_ok());
        }

        #[test]
        fn any_other_change_is_noticed(head in heads(), at in 32_usize..100, by in 1_u8..) {
            let mut bytes = frame(&head, &[7; 40]).to_vec();
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= by;
            prop_assert!(Frame::decode(&bytes.into()).is_err());
        }

        #[test]
        fn damage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..200) {
            let mut framed = frame(&Head { revision: 1, ordinal: 2, stamp: 3, chain: [4; 32], decisions: 5 }, &bytes).to_vec();
            framed.truncate(cut);
            for bytes in [Bytes::from(bytes), Bytes::from(framed)] {
                let _ = Frame::decode(&bytes);
                let _ = Frame::salvage(&bytes);
            }
        }
    }
}
