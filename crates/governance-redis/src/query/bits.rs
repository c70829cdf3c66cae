//! The requests of one chunk as bits.

/// Bits of one chunk of ordinals, in the order the server keeps them: ordinal 0 is the highest bit
/// of the first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    const WORDS: usize = 1_024;

    /// No request.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// The value of a bitmap. What is missing at its end is zero.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut bits: Vec<u64> = words
            .iter()
            .take(Self::WORDS)
            .map(|word| u64::from_be_bytes(*word))
            .collect();
        if !rest.is_empty() && bits.len() < Self::WORDS {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            bits.push(u64::from_be_bytes(word));
        }
        Self(bits)
    }

    /// The same as [`read`](Self::read) and [`and_read`](Self::and_read), in one pass.
    pub(super) fn read_both(one: &[u8], other: &[u8]) -> Self {
        let length = one.len().min(other.len());
        let (Some(one), Some(other)) = (one.get(..length), other.get(..length)) else {
            return Self::none();
        };
        let (words, rest) = one.as_chunks::<8>();
        let (others, other_rest) = other.as_chunks::<8>();
        let pairs = words.iter().zip(others).take(Self::WORDS);
        let any = pairs.clone().fold(0, |any, (word, other)| {
            any | (u64::from_ne_bytes(*word) & u64::from_ne_bytes(*other))
        });
        if any == 0
            && rest
                .iter()
                .zip(other_rest)
                .all(|(byte, other)| byte & other == 0)
        {
            return Self::none();
        }
        Self::read(one).and_read(other)
    }

    pub(crate) fn insert(&mut self, low: u16) {
        let word = usize::from(low) / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (63 - low % 64);
    }

    pub(crate) fn contains(&self, low: u16) -> bool {
        let word = self.0.get(usize::from(low) / 64).copied().unwrap_or(0);
        word & (1 << (63 - low % 64)) != 0
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The same as `and` with what [`read`](Self::read) makes of these bytes, without making it.
    pub(super) fn and_read(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let words = words.iter().chain((!rest.is_empty()).then_some(&last));
        let mut read = 0;
        for (word, other) in self.0.iter_mut().zip(words) {
            *word &= u64::from_be_bytes(*other);
            read += 1;
        }
        self.0.truncate(read);
        self
    }

    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.0.truncate(other.0.len());
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
        self
    }

    pub(crate) fn or(mut self, other: &Self) -> Self {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
        self
    }

    pub(crate) fn and_not(mut self, other: &Self) -> Self {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= !other;
        }
        self
    }

    /// Leaves those from a low on.
    pub(crate) fn from(mut self, low: u16) -> Self {
        let word = usize::from(low) / 64;
        let end = word.min(self.0.len());
        self.0[..end].fill(0);
        if let Some(word) = self.0.get_mut(word) {
            *word &= u64::MAX >> (low % 64);
        }
        self
    }

    /// Leaves those below a low.
    pub(crate) fn below(mut self, low: u16) -> Self {
        let word = usize::from(low) / 64;
        self.0.truncate(word + 1);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !(u64::MAX >> (low % 64));
        }
        self
    }

    /// The lows that are set, upwards.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = u16> {
        let words = self.0.iter().enumerate().filter(|(_, word)| **word != 0);
        words.flat_map(|(at, word)| Word {
            // A chunk has 1 024 words, so this is below 65 536.
            base: u16::try_from(at * 64).unwrap_or(0),
            bits: *word,
        })
    }
}

/// The lows of one word.
struct Word {
    base: u16,
    bits: u64,
}

impl Word {
    fn take(&mut self, bit: u32) -> u16 {
        self.bits &= !(1 << (63 - bit));
        // A word has 64 bits.
        self.base + u16::try_from(bit).unwrap_or(0)
    }
}

impl Iterator for Word {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        (self.bits != 0).then(|| self.take(self.bits.leading_zeros()))
    }
}

impl DoubleEndedIterator for Word {
    fn next_back(&mut self) -> Option<u16> {
        (self.bits != 0).then(|| self.take(63 - self.bits.trailing_zeros()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bits(lows: &BTreeSet<u16>) -> Bits {
        let mut bits = Bits::none();
        lows.iter().for_each(|low| bits.insert(*low));
        bits
    }

    fn lows() -> impl Strategy<Value = BTreeSet<u16>> {
        prop::collection::btree_set(prop_oneof![0_u16..200, any::<u16>()], 0..40)
    }

    proptest! {
        #[test]
        fn bits_are_sets(a in lows(), b in lows(), low in any::<u16>()) {
            let set = |bits: Bits| bits.iter().collect::<BTreeSet<_>>();
            let (x, y) = (bits(&a), bits(&b));
            prop_assert_eq!(x.count(), a.len() as u64);
            prop_assert_eq!(set(x.clone().and(&y)), &a & &b);
            prop_assert_eq!(set(x.clone().or(&y)), &a | &b);
            prop_assert_eq!(set(x.clone().and_not(&y)), &a - &b);
            prop_assert!(a.iter().all(|low| x.contains(*low)));
            prop_assert_eq!(set(x.clone().from(low)), a.range(low..).copied().collect());
            prop_assert_eq!(set(x.clone().below(low)), a.range(..low).copied().collect());
            prop_assert!(x.iter().rev().eq(a.iter().rev().copied()));
        }
    }

    proptest! {
        #[test]
        fn bytes_need_not_be_read_first(
            a in lows(), bytes in prop::collection::vec(any::<u8>(), 0..70),
            // Mostly zeros, so that both often have nothing in common.
            others in prop::collection::vec(prop::sample::select(&[0_u8, 0, 0, 0, 0, 0, 1, 0xff][..]), 0..70),
        ) {
            let expected = Bits::read(&bytes).and(&Bits::read(&others));
            prop_assert!(Bits::read_both(&bytes, &others).iter().eq(expected.iter()));
            prop_assert!(Bits::read_both(&others, &bytes).iter().eq(expected.iter()));
            let (a, read) = (bits(&a), Bits::read(&bytes));
            let both = a.clone().and_read(&bytes);
            prop_assert_eq!(both.is_empty(), both.iter().next().is_none());
            prop_assert!(both.iter().eq(a.and(&read).iter()));
        }
    }

    #[test]
    fn reads_what_the_server_writes() {
        // SETBIT k 0 1, SETBIT k 9 1, SETBIT k 71 1.
        let bits = Bits::read(&[0x80, 0x40, 0, 0, 0, 0, 0, 0, 0x01]);
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 9, 71]);
    }
}
