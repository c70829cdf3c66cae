//! The record of a governed state.
//!
//! Magic, format; 1 and the slot, u16, or 0 where a record has none; 3 bytes of 0; version, u64; operation of the last write, 16 B; CRC-32C of what
//! follows, u32; 1 if there is a value, 0 if it was deleted; the packed value.

use bytes::Bytes;
use governance_core::OperationId;

use super::packed::{pack, unpack};
use crate::options::Compression;

const MAGIC: u8 = 0xa8;
const FORMAT: u8 = 1;
const HEAD: usize = 36;

/// A state as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateRecord {
    /// The slot of the state, which a long name in a key does not tell.
    pub(crate) slot: Option<u16>,
    pub(crate) version: u64,
    pub(crate) operation: OperationId,
    /// None if it was deleted.
    pub(crate) body: Option<Bytes>,
}

pub(crate) fn encode_state(record: &StateRecord, compression: Compression) -> Vec<u8> {
    let mut rest = vec![u8::from(record.body.is_some())];
    if let Some(body) = &record.body {
        rest.extend(pack(body, compression));
    }
    let mut bytes = Vec::with_capacity(HEAD + rest.len());
    let [high, low] = record.slot.unwrap_or_default().to_be_bytes();
    let known = u8::from(record.slot.is_some());
    bytes.extend([MAGIC, FORMAT, known, high, low, 0, 0, 0]);
    bytes.extend(record.version.to_be_bytes());
    bytes.extend(record.operation.as_bytes());
    bytes.extend(crc32c::crc32c(&rest).to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// Reads a record; the text says what is wrong with it.
pub(crate) fn decode_state(bytes: &[u8]) -> Result<StateRecord, &'static str> {
    let (version, operation) = state_head(bytes).ok_or("the record is not one of a state")?;
    let (sum, rest) = bytes
        .split_at_checked(HEAD)
        .map(|(head, rest)| (&head[HEAD - 4..], rest))
        .ok_or("the record is cut off")?;
    if sum != crc32c::crc32c(rest).to_be_bytes() {
        return Err("the checksum does not fit");
    }
    let body = match rest.split_first() {
        Some((0, [])) => None,
        Some((1, packed)) => {
            let body = unpack(packed).map_err(|_| "the value cannot be unpacked")?;
            Some(Bytes::copy_from_slice(&body))
        }
        _ => return Err("the record is damaged"),
    };
    Ok(StateRecord {
        slot: state_slot(bytes),
        version,
        operation,
        body,
    })
}

/// The slot of the state a record is of, if it tells.
pub(crate) fn state_slot(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [MAGIC, FORMAT, 1, high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// Version and last operation, which stand in front.
fn state_head(bytes: &[u8]) -> Option<(u64, OperationId)> {
    let head = bytes.first_chunk::<32>()?;
    if head[..2] != [MAGIC, FORMAT] {
        return None;
    }
    let version = u64::from_be_bytes(*head[8..].first_chunk()?);
    Some((version, OperationId::from_bytes(*head[16..].first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_state_round_trips(
            slot in prop::option::of(0..1_u16 << 14), version: u64, operation: [u8; 16],
            body in prop::option::of(prop::collection::vec(0_u8..3, 0..200)),
        ) {
            let operation = OperationId::from_bytes(operation);
            let record = StateRecord { slot, version, operation, body: body.map(Bytes::from) };
            let compression = Compression::Zstd { level: 1, from_bytes: 100 };
            let bytes = encode_state(&record, compression);
            prop_assert_eq!(decode_state(&bytes), Ok(record));
        }

        #[test]
        fn damage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode_state(&bytes);
        }
    }

    #[test]
    fn a_damaged_state_is_an_error() {
        let record = StateRecord {
            slot: Some(5),
            version: 3,
            operation: OperationId::from_bytes([1; 16]),
            body: Some(Bytes::from_static(b"value")),
        };
        let mut bytes = encode_state(&record, Compression::Off);
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(decode_state(&bytes), Err("the checksum does not fit"));
        assert!(decode_state(b"hello").is_err());
    }
}
