//! An expression over the postings of one chunk, evaluated only as far as a walk goes.

use std::{borrow::Cow, ops::ControlFlow};

use crate::chunk::{BLOCKS, Block, Blocks, Chunk, NUMBERS, has};

/// A set of numbers below 65 536 that is not worked out yet.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// Those of a short list that are in all the others.
    Listed {
        list: Cow<'a, [u16]>,
        and: Vec<Self>,
    },
    /// Bits.
    Bits(&'a Blocks),
    /// Those in all of these.
    And(Vec<Self>),
    /// Those in any of these.
    Or(Vec<Self>),
    /// Those of the first that are not in the second.
    Without(Box<Self>, Box<Self>),
}

/// A list this long has several numbers in every block of bits.
const LONG: usize = 512;

impl<'a> Part<'a> {
    /// The numbers of a chunk, `None` if there are none.
    pub(crate) fn of(chunk: &'a Chunk) -> Option<Self> {
        match chunk {
            _ if chunk.is_empty() => None,
            Chunk::Sparse(list) => Some(Self::list(Cow::Borrowed(list))),
            Chunk::Dense { blocks, .. } => Some(Self::Bits(blocks)),
        }
    }

    /// The numbers of an ascending list.
    pub(crate) const fn list(list: Cow<'a, [u16]>) -> Self {
        Self::Listed {
            list,
            and: Vec::new(),
        }
    }

    /// Those in all of the parts, which are at least one, rarest first. What lists have in common
    /// is one list; if it is short the others are asked about each number of it.
    ///
    /// `None` if one of the parts is, or if it is plain that nothing is in all of them.
    pub(crate) fn all(parts: impl ExactSizeIterator<Item = Option<Self>>) -> Option<Self> {
        let mut common: Option<Cow<'a, [u16]>> = None;
        let mut rest = Vec::with_capacity(parts.len());
        for part in parts {
            match part? {
                Self::Listed { list, mut and } => {
                    rest.append(&mut and);
                    common = Some(match common {
                        None => list,
                        Some(known) => Cow::Owned(in_both(&known, &list)),
                    });
                }
                part => {
                    // Dense sets that have nothing in common are told apart soonest as they are.
                    if let (Some(Self::Bits(a)), Self::Bits(b)) = (rest.last(), &part)
                        && a.iter().zip(*b).all(|(a, b)| disjoint(a, b))
                    {
                        return None;
                    }
                    rest.push(part);
                }
            }
        }
        Some(match common {
            // A long list is not asked about number by number: all are turned to bits.
            Some(list) if list.len() >= LONG && !rest.is_empty() => {
                rest.insert(0, Self::list(list));
                Self::And(rest)
            }
            Some(list) => Self::Listed { list, and: rest },
            None => Self::And(rest),
        })
    }

    pub(crate) fn contains(&self, number: u16) -> bool {
        match self {
            Self::Listed { list, and } => {
                list.binary_search(&number).is_ok() && and.iter().all(|part| part.contains(number))
            }
            Self::Bits(blocks) => has(blocks, number),
            Self::And(parts) => parts.iter().all(|part| part.contains(number)),
            Self::Or(parts) => parts.iter().any(|part| part.contains(number)),
            Self::Without(all, not) => all.contains(number) && !not.contains(number),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Listed { list, and } => {
                let hits = list
                    .iter()
                    .filter(|n| and.iter().all(|part| part.contains(**n)));
                hits.count() as u64
            }
            _ => (0..BLOCKS)
                .filter_map(|at| self.block(at))
                .map(|words| words.iter().map(|w| u64::from(w.count_ones())).sum::<u64>())
                .sum(),
        }
    }

    /// Visits those from a number on, in ascending order.
    pub(crate) fn ascend(
        &self,
        from: u16,
        mut visit: impl FnMut(u16) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if let Self::Listed { list, and } = self {
            return list[list.partition_point(|n| *n < from)..]
                .iter()
                .filter(|n| and.iter().all(|part| part.contains(**n)))
                .try_for_each(|n| visit(*n));
        }
        for at in usize::from(from) / NUMBERS..BLOCKS {
            let Some(block) = self.block(at) else {
                continue;
            };
            for (i, mut word) in block.into_iter().enumerate() {
                while word != 0 {
                    let number = number(at, i, word.trailing_zeros());
                    word &= word - 1;
                    if number >= from {
                        visit(number)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Visits those up to a number, in descending order.
    pub(crate) fn descend(
        &self,
        from: u16,
        mut visit: impl FnMut(u16) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if let Self::Listed { list, and } = self {
            return list[..list.partition_point(|n| *n <= from)]
                .iter()
                .rev()
                .filter(|n| and.iter().all(|part| part.contains(**n)))
                .try_for_each(|n| visit(*n));
        }
        for at in (0..=usize::from(from) / NUMBERS).rev() {
            let Some(block) = self.block(at) else {
                continue;
            };
            for (i, mut word) in block.into_iter().enumerate().rev() {
                while word != 0 {
                    let highest = 63 - word.leading_zeros();
                    let number = number(at, i, highest);
                    word ^= 1 << highest;
                    if number <= from {
                        visit(number)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The numbers of one block, `None` if there are none.
    fn block(&self, at: usize) -> Option<Block> {
        let block = match self {
            Self::Listed { list, and } => {
                let low = list.partition_point(|n| usize::from(*n) < at * NUMBERS);
                let mut block = [0; NUMBERS / 64];
                for n in list[low..]
                    .iter()
                    .take_while(|n| usize::from(**n) < (at + 1) * NUMBERS)
                    .filter(|n| and.iter().all(|part| part.contains(**n)))
                {
                    let n = usize::from(*n) - at * NUMBERS;
                    block[n / 64] |= 1 << (n % 64);
                }
                block
            }
            Self::Bits(blocks) => blocks[at],
            Self::And(parts) => {
                let (first, rest) = parts.split_first()?;
                let mut block = first.block(at)?;
                for part in rest {
                    match part {
                        Self::Bits(blocks) => zip(&mut block, &blocks[at], |a, b| a & b),
                        other => zip(&mut block, &other.block(at)?, |a, b| a & b),
                    }
                }
                block
            }
            Self::Or(parts) => {
                let mut block = [0; NUMBERS / 64];
                for other in parts.iter().filter_map(|part| part.block(at)) {
                    zip(&mut block, &other, |a, b| a | b);
                }
                block
            }
            Self::Without(all, not) => {
                let mut block = all.block(at)?;
                if let Some(not) = not.block(at) {
                    zip(&mut block, &not, |a, b| a & !b);
                }
                block
            }
        };
        (!disjoint(&block, &block)).then_some(block)
    }
}

fn zip(block: &mut Block, other: &Block, both: impl Fn(u64, u64) -> u64) {
    for (word, other) in block.iter_mut().zip(other) {
        *word = both(*word, *other);
    }
}

/// The numbers two ascending lists have in common. The second is searched in growing steps, so
/// it may be much longer than the first.
fn in_both(short: &[u16], long: &[u16]) -> Vec<u16> {
    let mut rest = long;
    let mut in_rest = |number: &&u16| {
        let mut step = 1;
        while step < rest.len() && rest[step] < **number {
            step *= 2;
        }
        let (low, high) = (step / 2, rest.len().min(step + 1));
        let at = low + rest[low.min(high)..high].partition_point(|n| n < *number);
        rest = rest.get(at..).unwrap_or_default();
        rest.first() == Some(*number)
    };
    short.iter().filter(|n| in_rest(n)).copied().collect()
}

/// Whether no bit is in both.
fn disjoint(a: &Block, b: &Block) -> bool {
    a.iter().zip(b).fold(0, |any, (a, b)| any | (a & b)) == 0
}

/// A number from its block, its word in the block and its bit in the word.
fn number(at: usize, word: usize, bit: u32) -> u16 {
    (at * NUMBERS + word * 64) as u16 | bit as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The multiples of a number: dense ones as bits, rare ones as a list.
    fn multiples(of: u16) -> Chunk {
        let mut chunk = Chunk::default();
        for number in (0..=u16::MAX).step_by(usize::from(of)) {
            chunk.insert(number);
        }
        chunk
    }

    fn all<const N: usize>(parts: [Part<'_>; N]) -> Part<'_> {
        Part::all(parts.into_iter().map(Some)).unwrap()
    }

    fn check(part: &Part<'_>, holds: impl Fn(u16) -> bool) {
        let expected: Vec<u16> = (0..=u16::MAX).filter(|n| holds(*n)).collect();
        assert_eq!(part.count(), expected.len() as u64);
        assert!((0..=u16::MAX).all(|n| part.contains(n) == holds(n)));
        for from in [0, 1, 63, 64, 4_095, 4_096, 40_000, u16::MAX] {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            let _ = part.ascend(from, |n| {
                up.push(n);
                ControlFlow::Continue(())
            });
            let _ = part.descend(from, |n| {
                down.push(n);
                ControlFlow::Continue(())
            });
            down.reverse();
            let expected = |keep: &dyn Fn(u16) -> bool| -> Vec<u16> {
                expected.iter().copied().filter(|n| keep(*n)).collect()
            };
            assert_eq!(up, expected(&|n| n >= from));
            assert_eq!(down, expected(&|n| n <= from));
        }
    }

    #[test]
    fn parts_have_the_numbers_they_should() {
        let [two, three, five, hundred, thousand] = [2, 3, 5, 100, 1_000].map(multiples);
        let part = |chunk| Part::of(chunk).unwrap();
        let of = |n: u16, by: u16| n.is_multiple_of(by);
        check(&part(&two), |n| of(n, 2));
        check(&part(&hundred), |n| of(n, 100));
        check(&all([part(&two), part(&three), part(&five)]), |n| of(n, 30));
        check(&all([part(&three), part(&hundred)]), |n| of(n, 300));
        check(&all([part(&hundred), part(&three), part(&thousand)]), |n| {
            of(n, 3_000)
        });
        // As many as fit a list, many more than are asked for one by one.
        let seventeen = multiples(17);
        check(&all([part(&seventeen), part(&three)]), |n| of(n, 51));
        let seven = multiples(77);
        check(&all([part(&thousand), part(&seven), part(&hundred)]), |n| {
            of(n, 1_000) && of(n, 77)
        });
        check(&Part::Or(vec![part(&three), part(&hundred)]), |n| {
            of(n, 3) || of(n, 100)
        });
        let odd = || Part::Without(Box::new(part(&three)), Box::new(part(&two)));
        check(&odd(), |n| of(n, 3) && !of(n, 2));
        check(&all([odd(), part(&five)]), |n| of(n, 15) && !of(n, 2));
        check(&all([odd(), part(&hundred)]), |_| false);
        check(
            &Part::Without(Box::new(part(&hundred)), Box::new(part(&three))),
            |n| of(n, 100) && !of(n, 3),
        );
        let odd_numbers = Part::Without(Box::new(part(&three)), Box::new(part(&two)));
        check(&all([part(&two), odd_numbers]), |_| false);
        assert!(Part::of(&Chunk::default()).is_none());
        assert!(Part::all([Some(part(&two)), None].into_iter()).is_none());
    }
}
