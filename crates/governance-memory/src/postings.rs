//! Which requests have a term: sets of ordinals.

use std::{borrow::Cow, collections::BTreeMap};

use smallvec::SmallVec;

use crate::{chunk::Chunk, part::Part};

/// Ordinals are split into chunks of 65 536, so a page touches the chunks it needs and no more.
const CHUNK_BITS: u32 = 16;

/// The chunk of an ordinal and its place in there.
pub(crate) const fn split(ordinal: u32) -> (u32, u16) {
    (ordinal >> CHUNK_BITS, ordinal as u16)
}

/// The ordinal at a place in a chunk.
pub(crate) const fn join(chunk: u32, low: u16) -> u32 {
    (chunk << CHUNK_BITS) | low as u32
}

/// A set of ordinals. Most terms have a handful of requests, so small sets are plain lists, and
/// the smallest take no memory of their own.
#[derive(Debug)]
pub(crate) enum Posting {
    Few(SmallVec<[u32; 4]>),
    Many {
        chunks: BTreeMap<u32, Chunk>,
        len: u64,
    },
}

impl Default for Posting {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

impl Posting {
    const FEW: usize = 16;

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Few(ordinals) => ordinals.len() as u64,
            Self::Many { len, .. } => *len,
        }
    }

    pub(crate) fn insert(&mut self, ordinal: u32) {
        match self {
            Self::Few(ordinals) => {
                let Err(at) = ordinals.binary_search(&ordinal) else {
                    return;
                };
                if ordinals.len() < Self::FEW {
                    ordinals.reserve_exact(1);
                    ordinals.insert(at, ordinal);
                    return;
                }
                let mut many = Self::Many {
                    chunks: BTreeMap::new(),
                    len: 0,
                };
                for known in std::mem::take(ordinals) {
                    many.insert(known);
                }
                many.insert(ordinal);
                *self = many;
            }
            Self::Many { chunks, len } => {
                let (chunk, low) = split(ordinal);
                *len += u64::from(chunks.entry(chunk).or_default().insert(low));
            }
        }
    }

    pub(crate) fn remove(&mut self, ordinal: u32) {
        match self {
            Self::Few(ordinals) => {
                if let Ok(at) = ordinals.binary_search(&ordinal) {
                    ordinals.remove(at);
                }
            }
            Self::Many { chunks, len } => {
                let (chunk, low) = split(ordinal);
                if let Some(set) = chunks.get_mut(&chunk) {
                    *len -= u64::from(set.remove(low));
                    if set.is_empty() {
                        chunks.remove(&chunk);
                    }
                }
                if *len == 0 {
                    *self = Self::default();
                }
            }
        }
    }

    /// The part of the set in one chunk, `None` if it is empty.
    pub(crate) fn part(&self, chunk: u32) -> Option<Part<'_>> {
        match self {
            Self::Many { chunks, .. } => chunks.get(&chunk).and_then(Part::of),
            Self::Few(ordinals) => {
                let here: Vec<u16> = ordinals
                    .iter()
                    .map(|ordinal| split(*ordinal))
                    .filter(|(c, _)| *c == chunk)
                    .map(|(_, low)| low)
                    .collect();
                (!here.is_empty()).then_some(Part::list(Cow::Owned(here)))
            }
        }
    }

    pub(crate) fn contains(&self, ordinal: u32) -> bool {
        match self {
            Self::Few(ordinals) => ordinals.binary_search(&ordinal).is_ok(),
            Self::Many { chunks, .. } => {
                let (chunk, low) = split(ordinal);
                chunks.get(&chunk).is_some_and(|set| set.contains(low))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn grows_shrinks_and_counts() {
        let mut posting = Posting::default();
        let ordinals: Vec<u32> = (0..200).map(|i| i * 7_000).collect();
        for ordinal in &ordinals {
            posting.insert(*ordinal);
            posting.insert(*ordinal);
        }
        assert_eq!(posting.len(), 200);
        assert!(ordinals.iter().all(|o| posting.contains(*o)) && !posting.contains(1));
        for ordinal in &ordinals {
            posting.remove(*ordinal);
            posting.remove(*ordinal);
        }
        assert_eq!(posting.len(), 0);
        assert!(matches!(posting, Posting::Few(list) if list.is_empty()));
    }

    /// Around the edges of the forms: no memory of its own, a list, chunks, and back.
    #[test]
    fn is_a_set_whatever_comes_and_goes() {
        let (mut posting, mut set) = (Posting::default(), BTreeSet::new());
        let mut step: u32 = 1;
        for most in [4, 5, 16, 17, 18, 40, 17, 16, 3, 0, 20] {
            for _ in 0..400 {
                step = step.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Few values, in two chunks, so that most are met again.
                let ordinal = (step >> 16) % 50 + (step >> 30) % 2 * 65_536;
                if set.len() < most {
                    posting.insert(ordinal);
                    set.insert(ordinal);
                } else {
                    posting.remove(ordinal);
                    set.remove(&ordinal);
                }
                assert_eq!(posting.len(), set.len() as u64);
                assert_eq!(posting.contains(ordinal), set.contains(&ordinal));
                for chunk in 0..3 {
                    let here = set.iter().any(|o| split(*o).0 == chunk);
                    assert_eq!(posting.part(chunk).is_some(), here);
                }
            }
            assert!((0..150_000).all(|o| posting.contains(o) == set.contains(&o)));
        }
    }

    #[test]
    fn ordinals_split_and_join() {
        for ordinal in [0, 1, 65_535, 65_536, u32::MAX] {
            let (chunk, low) = split(ordinal);
            assert_eq!(join(chunk, low), ordinal);
        }
    }
}
