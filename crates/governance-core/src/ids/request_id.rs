//! Ids of requests and operations.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

use super::{DigestWriter, StateId, TenantId, Timestamp};

/// Where a state and its requests live: a 14-bit hash of tenant and state id.
///
/// A provider with P partitions keeps slot `s` in partition `s mod P`. The hash is the first 14
/// bits of SHA-256 over the length of the tenant id (8 bytes, big endian), the tenant id and the
/// state id; it is part of every stored id and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// Number of slots.
    pub const COUNT: u16 = 1 << 14;

    /// The slot of a state.
    #[must_use]
    pub fn of(tenant: &TenantId, state: &StateId) -> Self {
        use std::io::Write as _;
        let mut hash = DigestWriter::default();
        for part in [
            &(tenant.as_str().len() as u64).to_be_bytes()[..],
            tenant.as_str().as_bytes(),
            state.as_str().as_bytes(),
        ] {
            // Writing to a hash cannot fail.
            let _ = hash.write_all(part);
        }
        let digest = hash.finish();
        let [high, low, ..] = digest.as_bytes();
        Self(u16::from_be_bytes([*high, *low]) >> 2)
    }

    /// The number, below [`Slot::COUNT`].
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// The id of a mutation request: a UUIDv7 (RFC 9562) whose 14 bits after the variant are the
/// [`Slot`] of its state, so any id tells its partition without a look-up.
///
/// Ids are opaque to callers. They sort roughly by creation time, but the order of requests is
/// the submission order the store keeps, not this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Uuid", into = "Uuid")]
pub struct RequestId(Uuid);

impl RequestId {
    /// Makes an id from a time, the slot of the state and random bytes (60 of their bits are
    /// used: 12 before the variant and 48 at the end).
    #[must_use]
    pub fn new(at: Timestamp, slot: Slot, random: [u8; 10]) -> Self {
        let [high, low] = slot.get().to_be_bytes();
        let mut bytes = random;
        (bytes[2], bytes[3]) = (high, low);
        Self(uuid::Builder::from_unix_timestamp_millis(at.as_millis(), &bytes).into_uuid())
    }

    /// The slot of the state this request belongs to.
    #[must_use]
    pub fn slot(&self) -> Slot {
        let bytes = self.0.as_bytes();
        Slot(u16::from_be_bytes([bytes[8] & 0x3f, bytes[9]]))
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// An id from its 16 bytes.
    ///
    /// # Errors
    ///
    /// [`ParseIdError`] when they are not a UUIDv7.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, ParseIdError> {
        Uuid::from_bytes(bytes).try_into()
    }
}

impl TryFrom<Uuid> for RequestId {
    type Error = ParseIdError;

    fn try_from(uuid: Uuid) -> Result<Self, ParseIdError> {
        if uuid.get_version_num() == 7 && uuid.get_variant() == Variant::RFC4122 {
            Ok(Self(uuid))
        } else {
            Err(ParseIdError)
        }
    }
}

impl From<RequestId> for Uuid {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RequestId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        Uuid::parse_str(text).map_err(|_| ParseIdError)?.try_into()
    }
}

/// A text or value that is not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID of the right version")]
pub struct ParseIdError;

impl ParseIdError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "parse.id"
    }
}

/// The id of one operation of a caller. Repeating an operation under its id returns the first
/// outcome instead of doing it again, which is how an unknown outcome is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(Uuid);

impl OperationId {
    /// A new one, from the thread's cryptographic generator. Make it before the first call and
    /// keep it: what is repeated has to be repeated under the same.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// An operation id from 16 bytes. They must be unlike those of every other operation on the
    /// same request; random ones are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OperationId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        Ok(Self(Uuid::parse_str(text).map_err(|_| ParseIdError)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_tells_its_slot_and_round_trips(
            micros in 0_i64..(1 << 57), random: [u8; 10], state in "[a-z]{1,20}",
        ) {
            let slot = Slot::of(&TenantId::default(), &StateId::new(state).unwrap());
            let id = RequestId::new(Timestamp::from_micros(micros), slot, random);
            prop_assert_eq!(id.slot(), slot);
            prop_assert_eq!(id.to_string().parse::<RequestId>().unwrap(), id);
            prop_assert_eq!(RequestId::from_bytes(*id.as_bytes()).unwrap(), id);
        }
    }

    #[test]
    fn other_uuids_are_refused() {
        assert!(
            "550e8400-e29b-41d4-a716-446655440000"
                .parse::<RequestId>()
                .is_err()
        );
        assert!("nonsense".parse::<RequestId>().is_err());
        assert!(RequestId::from_bytes([0; 16]).is_err());
    }

    #[test]
    fn slots_are_fixed_for_ever_and_tell_tenant_from_state() {
        let slot = |t: &str, s: &str| {
            Slot::of(&TenantId::new(t).unwrap(), &StateId::new(s).unwrap()).get()
        };
        assert_eq!(slot("default", "billing/quota"), 11_096);
        assert_ne!(slot("ab", "c"), slot("a", "bc"));
    }
}
