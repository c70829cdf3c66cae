//! A set of ordinals modulo 65 536: a list while it is small, bits when it is not.

/// The bits of 4 096 numbers: enough for the machine to be quick with, few enough for a page that
/// is full soon.
pub(crate) type Block = [u64; BLOCK];
const BLOCK: usize = 64;

/// How many numbers a block has bits for.
pub(crate) const NUMBERS: usize = BLOCK * 64;

/// The bits of a set.
pub(crate) type Blocks = [Block; BLOCKS];
pub(crate) const BLOCKS: usize = (1 << 16) / NUMBERS;

/// A set of numbers below 65 536. Never larger than 8 KiB.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// In ascending order.
    Sparse(Vec<u16>),
    /// As bits, with their number.
    Dense { blocks: Box<Blocks>, len: u32 },
}

impl Default for Chunk {
    fn default() -> Self {
        Self::Sparse(Vec::new())
    }
}

impl Chunk {
    /// From here on bits take less room than a list.
    const MOST_LISTED: usize = 4_096;
    /// Bits that are so few become a list again. Less than the other limit, so a set at the limit
    /// does not change its form with every write.
    const FEWEST_BITS: u32 = 2_048;

    pub(crate) const fn is_empty(&self) -> bool {
        match self {
            Self::Sparse(list) => list.is_empty(),
            Self::Dense { len, .. } => *len == 0,
        }
    }

    pub(crate) fn contains(&self, number: u16) -> bool {
        match self {
            Self::Sparse(list) => list.binary_search(&number).is_ok(),
            Self::Dense { blocks, .. } => has(blocks, number),
        }
    }

    /// Adds a number; whether it is new.
    pub(crate) fn insert(&mut self, number: u16) -> bool {
        match self {
            Self::Sparse(list) => {
                // Ordinals grow, so a new one is nearly always the last.
                let at = match list.last() {
                    Some(last) if number <= *last => match list.binary_search(&number) {
                        Ok(_) => return false,
                        Err(at) => at,
                    },
                    _ => list.len(),
                };
                if list.len() < Self::MOST_LISTED {
                    list.insert(at, number);
                } else {
                    let mut blocks = Box::new([[0; BLOCK]; BLOCKS]);
                    for known in list.iter().chain([&number]) {
                        *word(&mut blocks, *known) |= bit(*known);
                    }
                    let len = Self::MOST_LISTED as u32 + 1;
                    *self = Self::Dense { blocks, len };
                }
                true
            }
            Self::Dense { blocks, len } => {
                let new = !has(blocks, number);
                *word(blocks, number) |= bit(number);
                *len += u32::from(new);
                new
            }
        }
    }

    /// Takes a number out; whether it was there.
    pub(crate) fn remove(&mut self, number: u16) -> bool {
        match self {
            Self::Sparse(list) => list
                .binary_search(&number)
                .map(|at| list.remove(at))
                .is_ok(),
            Self::Dense { blocks, len } => {
                let known = has(blocks, number);
                *word(blocks, number) &= !bit(number);
                *len -= u32::from(known);
                if *len <= Self::FEWEST_BITS {
                    *self = Self::Sparse((0..=u16::MAX).filter(|n| has(blocks, *n)).collect());
                }
                known
            }
        }
    }
}

/// Whether the number is in the set.
pub(crate) const fn has(blocks: &Blocks, number: u16) -> bool {
    blocks[number as usize / NUMBERS][number as usize / 64 % BLOCK] & bit(number) != 0
}

const fn word(blocks: &mut Blocks, number: u16) -> &mut u64 {
    &mut blocks[number as usize / NUMBERS][number as usize / 64 % BLOCK]
}

const fn bit(number: u16) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_shrinks_through_both_forms() {
        let mut chunk = Chunk::default();
        // Coprime to 65 536, so every number comes once and in no order.
        let numbers: Vec<u16> = (0..10_000_u16).map(|i| i.wrapping_mul(40_503)).collect();
        for (i, number) in numbers.iter().enumerate() {
            assert!(!chunk.contains(*number));
            assert!(chunk.insert(*number) && !chunk.insert(*number));
            let listed = matches!(chunk, Chunk::Sparse(_));
            assert_eq!(listed, i < Chunk::MOST_LISTED);
        }
        assert!(numbers.iter().all(|number| chunk.contains(*number)));
        for number in &numbers {
            assert!(chunk.contains(*number));
            assert!(chunk.remove(*number) && !chunk.remove(*number));
        }
        assert!(chunk.is_empty() && matches!(chunk, Chunk::Sparse(_)));
    }
}
