//! Bytes, compressed or not.

use std::borrow::Cow;

use super::names::{expand, shorten};
use crate::options::Compression;

/// A record that says it is larger than this is not opened.
const LARGEST: usize = 64 << 20;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// MessagePack without the names of fields.
const NAMELESS: u8 = 2;

/// What is wrong with packed bytes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    #[error("the record is cut off")]
    Short,
    #[error("packed in a way this version does not know ({0})")]
    Unknown(u8),
    #[error("the record claims to be {0} bytes long")]
    TooLarge(usize),
    #[error("the compressed bytes are damaged")]
    Damaged(#[source] std::io::Error),
    #[error("the names of fields cannot be put back")]
    Names,
    #[error("the record is not as long as it claims")]
    Length,
}

/// One byte that says how, four that say how long it is unpacked, and the bytes.
pub(crate) fn pack(bytes: &[u8], compression: Compression) -> Vec<u8> {
    let mut packed = Vec::new();
    if !compress(&mut packed, bytes, compression) {
        plain(&mut packed, bytes);
    }
    packed
}

/// The same for a document in MessagePack, behind what is in `packed`: what is not compressed is
/// stored without the names of its fields.
pub(crate) fn pack_document(packed: &mut Vec<u8>, bytes: &[u8], compression: Compression) {
    if compress(packed, bytes, compression) {
        return;
    }
    let start = packed.len();
    begin(packed, NAMELESS, bytes);
    if shorten(bytes, packed).is_none() {
        packed.truncate(start);
        plain(packed, bytes);
    }
}

/// Whether it is shorter so.
fn compress(packed: &mut Vec<u8>, bytes: &[u8], compression: Compression) -> bool {
    let small = match compression {
        Compression::Zstd { level, from_bytes } if bytes.len() >= from_bytes => {
            // Without memory for it, the bytes are stored as they are.
            zstd::bulk::compress(bytes, level).ok()
        }
        Compression::Off | Compression::Zstd { .. } => None,
    };
    let Some(small) = small.filter(|small| small.len() < bytes.len()) else {
        return false;
    };
    begin(packed, ZSTD, bytes);
    packed.extend(small);
    true
}

fn plain(packed: &mut Vec<u8>, bytes: &[u8]) {
    begin(packed, PLAIN, bytes);
    packed.extend(bytes);
}

fn begin(packed: &mut Vec<u8>, how: u8, bytes: &[u8]) {
    packed.reserve(5 + bytes.len());
    packed.push(how);
    packed.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
}

pub(crate) fn unpack(packed: &[u8]) -> Result<Cow<'_, [u8]>, PackError> {
    let (head, body) = packed.split_first_chunk::<5>().ok_or(PackError::Short)?;
    let [how, length @ ..] = *head;
    let length = u32::from_be_bytes(length) as usize;
    if length > LARGEST {
        return Err(PackError::TooLarge(length));
    }
    let bytes: Cow<'_, [u8]> = match how {
        PLAIN => body.into(),
        ZSTD => zstd::bulk::decompress(body, length)
            .map_err(PackError::Damaged)?
            .into(),
        NAMELESS => expand(body, length).ok_or(PackError::Names)?.into(),
        other => return Err(PackError::Unknown(other)),
    };
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err(PackError::Length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_out(bytes in prop::collection::vec(0_u8..4, 0..600), level in 1..4) {
            for compression in [Compression::Off, Compression::Zstd { level, from_bytes: 64 }] {
                let packed = pack(&bytes, compression);
                prop_assert_eq!(&*unpack(&packed).unwrap(), &bytes);
                prop_assert!(packed.len() <= bytes.len() + 5);
            }
        }

        #[test]
        fn damage_is_an_error_or_other_bytes_never_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = unpack(&bytes);
        }
    }

    #[test]
    fn a_bomb_is_not_opened() {
        let mut bomb = pack(
            &vec![0; 1 << 20],
            Compression::Zstd {
                level: 1,
                from_bytes: 0,
            },
        );
        assert!(bomb.len() < 1_000);
        bomb[1..5].copy_from_slice(&100_u32.to_be_bytes());
        assert!(matches!(unpack(&bomb), Err(PackError::Damaged(_))));
        bomb[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(unpack(&bomb), Err(PackError::TooLarge(_))));
    }
}
