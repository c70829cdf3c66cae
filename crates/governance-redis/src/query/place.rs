//! Where a page ended: the position inside a cursor.

use governance_core::{Order, PageError};

use crate::codec::{read_number, write_number};

/// A position in a listing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// Upwards: the next ordinal to look at, per partition. Downwards: the ordinal below which to
    /// go on.
    Ordinals(Vec<u64>),
    /// By deadline: the last entry that was looked at, and its partition.
    Due(DuePlace),
}

/// A position among deadlines, the same for all partitions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DuePlace {
    pub(super) due: f64,
    pub(super) partition: u16,
    /// Ordinal and id, as the set has them.
    pub(super) member: [u8; 24],
}

/// How a store is cut: a position makes sense in no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) partitions: usize,
    pub(super) series: u32,
}

const VERSION: u8 = 1;
/// The same with the series behind it; what was never cut anew needs none.
const VERSION_SERIES: u8 = 2;
/// Far behind anything a store can come to, and far enough below the largest number that what is
/// around a place can be told without overflow. A cursor is not signed, so it may say anything.
const BEYOND: u64 = 1 << 62;
const ORDINALS: u8 = 0;
const DUE: u8 = 1;

impl Cut {
    fn write_series(self, bytes: &mut Vec<u8>) {
        if self.series != 0 {
            write_number(bytes, u64::from(self.series));
        }
    }
}

impl Place {
    /// Version, number of partitions, kind, then numbers of variable length or the due place.
    pub(super) fn encode(&self, cut: Cut) -> Vec<u8> {
        let partitions = cut.partitions;
        let mut bytes = vec![if cut.series == 0 {
            VERSION
        } else {
            VERSION_SERIES
        }];
        // There are at most 256 partitions.
        bytes.extend(u16::try_from(partitions).unwrap_or(u16::MAX).to_be_bytes());
        match self {
            Self::Ordinals(ordinals) => {
                bytes.push(ORDINALS);
                cut.write_series(&mut bytes);
                ordinals
                    .iter()
                    .for_each(|ordinal| write_number(&mut bytes, *ordinal));
            }
            Self::Due(place) => {
                bytes.push(DUE);
                cut.write_series(&mut bytes);
                bytes.extend(place.due.to_be_bytes());
                bytes.extend(place.partition.to_be_bytes());
                bytes.extend(place.member);
            }
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8], cut: Cut, order: Order) -> Result<Self, PageError> {
        let (place, of) = Self::read(bytes, order).ok_or(PageError::CursorMalformed)?;
        // A position that makes sense, but of a store that is cut otherwise.
        if of == cut {
            Ok(place)
        } else {
            Err(PageError::CursorExpired)
        }
    }

    /// A position and what it is of.
    fn read(bytes: &[u8], order: Order) -> Option<(Self, Cut)> {
        let ([version, high, low, kind], mut rest) = bytes.split_first_chunk()?;
        let partitions = usize::from(u16::from_be_bytes([*high, *low]));
        let series = match *version {
            VERSION => 0,
            VERSION_SERIES => u32::try_from(read_number(&mut rest)?).ok()?,
            _ => return None,
        };
        let place = match (*kind, order) {
            (ORDINALS, Order::Submission | Order::NewestFirst) => {
                let ordinals: Option<Vec<u64>> = (0..partitions)
                    .map(|_| read_number(&mut rest).filter(|ordinal| *ordinal < BEYOND))
                    .collect();
                rest.is_empty().then_some(Self::Ordinals(ordinals?))?
            }
            (DUE, Order::Deadline) => {
                let (due, rest) = rest.split_first_chunk()?;
                let (partition, member) = rest.split_first_chunk()?;
                let due = f64::from_be_bytes(*due);
                Self::Due(DuePlace {
                    due: (!due.is_nan()).then_some(due)?,
                    partition: u16::from_be_bytes(*partition),
                    member: member.try_into().ok()?,
                })
            }
            _ => return None,
        };
        Some((place, Cut { partitions, series }))
    }
}

#[cfg(test)]
mod tests {
    use governance_core::Cursor;
    use proptest::prelude::*;

    use super::*;

    const fn cut(partitions: usize) -> Cut {
        Cut {
            partitions,
            series: 0,
        }
    }

    proptest! {
        #[test]
        fn a_place_round_trips(
            ordinals in prop::collection::vec(0..BEYOND, 1..20), series in 0_u32..3,
        ) {
            let (place, partitions) = (Place::Ordinals(ordinals.clone()), ordinals.len());
            let cut = Cut { partitions, series };
            let bytes = place.encode(cut);
            prop_assert_eq!(Place::decode(&bytes, cut, Order::Submission), Ok(place));
            for other in [
                Cut { partitions: partitions + 1, series },
                Cut { partitions, series: series + 1 },
            ] {
                prop_assert_eq!(
                    Place::decode(&bytes, other, Order::Submission),
                    Err(PageError::CursorExpired)
                );
            }
            prop_assert_eq!(
                Place::decode(&bytes, cut, Order::Deadline),
                Err(PageError::CursorMalformed)
            );
        }

        #[test]
        fn nonsense_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            for order in Order::ALL {
                let _ = Place::decode(&bytes, cut(1), order);
            }
        }
    }

    #[test]
    fn a_place_beyond_everything_is_malformed() {
        for ordinal in [BEYOND, u64::MAX] {
            let bytes = Place::Ordinals(vec![ordinal]).encode(cut(1));
            let read = Place::decode(&bytes, cut(1), Order::Submission);
            assert_eq!(read, Err(PageError::CursorMalformed));
        }
    }

    #[test]
    fn a_due_place_round_trips() {
        let place = Place::Due(DuePlace {
            due: 1.5e15,
            partition: 3,
            member: [7; 24],
        });
        assert_eq!(
            Place::decode(&place.encode(cut(4)), cut(4), Order::Deadline),
            Ok(place)
        );
    }

    #[test]
    fn the_longest_place_fits_a_cursor() {
        // A million million requests in each of 256 partitions.
        let place = Place::Ordinals(vec![1 << 40; 256]);
        let cut = Cut {
            partitions: 256,
            series: u32::MAX,
        };
        assert!(place.encode(cut).len() <= Cursor::MAX_POSITION_BYTES);
    }
}
