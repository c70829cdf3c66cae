//! What was read lately, so that writing it back takes one round trip.

use std::sync::Arc;

use governance_core::{MutationRequest, RequestId};

use crate::{codec::BLOCK, index::IndexRecord, recent::Recent};

/// A request as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    /// What a write compares with.
    pub(crate) block: [u8; BLOCK],
    pub(crate) ordinal: u64,
    pub(crate) stamp: u64,
    pub(crate) index: Arc<IndexRecord>,
    pub(crate) request: Arc<MutationRequest>,
    /// What it counts as in the cache.
    pub(crate) bytes: usize,
}

/// Requests by id.
pub(crate) type Documents = Recent<RequestId, Arc<Stored>>;

/// Id and stamp by partition and ordinal. They never change, except that a purge or a failover
/// makes them void, which the record they lead to tells.
pub(crate) type Slots = Recent<(u16, u64), IdSlot>;

/// An entry of the id table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdSlot {
    pub(crate) id: RequestId,
    pub(crate) stamp: u64,
}

impl IdSlot {
    /// Length of an entry.
    pub(crate) const BYTES: usize = 24;

    /// As a member of an inbox: id, 7 bytes of the stamp, 5 bytes of the ordinal.
    pub(crate) fn member(&self, ordinal: u64) -> Vec<u8> {
        let mut member = self.id.as_bytes().to_vec();
        member.extend(&self.stamp.to_be_bytes()[1..]);
        member.extend(&ordinal.to_be_bytes()[3..]);
        member
    }

    /// Reads a member of an inbox: the entry and its ordinal.
    pub(crate) fn of_member(member: &[u8]) -> Option<(Self, u64)> {
        let (id, rest) = member.split_first_chunk::<16>()?;
        let rest: &[u8; 12] = rest.try_into().ok()?;
        let (mut stamp, mut ordinal) = ([0; 8], [0; 8]);
        stamp[1..].copy_from_slice(&rest[..7]);
        ordinal[3..].copy_from_slice(&rest[7..]);
        let slot = Self {
            id: RequestId::from_bytes(*id).ok()?,
            stamp: u64::from_be_bytes(stamp),
        };
        Some((slot, u64::from_be_bytes(ordinal)))
    }

    /// Reads an entry; none if it is empty or damaged.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (id, stamp) = bytes.split_first_chunk::<16>()?;
        Some(Self {
            id: RequestId::from_bytes(*id).ok()?,
            stamp: u64::from_be_bytes(stamp.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_an_inbox_tells_all_it_is_made_of() {
        use governance_core::IdSource as _;
        use governance_testkit::fixtures::{SeededIds, scope};
        let now = governance_core::Timestamp::from_micros(1_900_000_000_000_000);
        let id = SeededIds::new(1).request_id(now, scope("a").slot());
        let slot = IdSlot {
            id,
            stamp: 0x00ab_cdef_0123_4567,
        };
        let member = slot.member(0x12_3456_789a);
        assert_eq!(member.len(), 28);
        assert_eq!(IdSlot::of_member(&member), Some((slot, 0x12_3456_789a)));
        assert_eq!(IdSlot::of_member(&member[1..]), None);
    }
}
