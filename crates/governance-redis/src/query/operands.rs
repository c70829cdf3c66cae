//! What was read of the terms of some chunks, and what an expression makes of it.

use bytes::Bytes;
use governance_core::{Expr, Term};

use super::{bits::Bits, chunks::low_of};
use crate::keys::CHUNK;

/// The terms of an expression, chunk by chunk.
pub(super) struct Operands {
    /// Sorted.
    terms: Vec<Term>,
    chunks: Vec<Chunk>,
}

/// What was read of one chunk.
pub(super) struct Chunk {
    number: u64,
    /// The bitmap of every request there is.
    pub(super) live: Option<Bytes>,
    /// One for every term.
    pub(super) terms: Vec<Operand>,
}

/// The requests with a term: those of a bitmap and those of a sorted set.
#[derive(Clone)]
pub(super) struct Operand {
    pub(super) bitmap: Option<Bytes>,
    members: Bits,
}

impl Operand {
    fn bits(&self) -> Bits {
        match &self.bitmap {
            Some(bitmap) => Bits::read(bitmap).or(&self.members),
            None => self.members.clone(),
        }
    }

    /// The bitmap, if there is no request with the term besides.
    fn only_bitmap(&self) -> Option<&[u8]> {
        self.bitmap.as_deref().filter(|_| self.members.is_empty())
    }

    /// Those of `all` that have the term.
    fn among(&self, all: Bits) -> Bits {
        match &self.bitmap {
            Some(bitmap) if self.members.is_empty() => all.and_read(bitmap),
            _ => all.and(&self.bits()),
        }
    }
}

impl Operands {
    /// Of chunks of which nothing was read yet.
    pub(super) fn new(terms: Vec<Term>, chunks: &[u64]) -> Self {
        let none = Operand {
            bitmap: None,
            members: Bits::none(),
        };
        let chunks = chunks.iter().map(|number| Chunk {
            number: *number,
            live: None,
            terms: vec![none.clone(); terms.len()],
        });
        Self {
            chunks: chunks.collect(),
            terms,
        }
    }

    /// The chunks, to fill in what was read.
    pub(super) fn chunks(&mut self) -> impl Iterator<Item = &mut Chunk> {
        self.chunks.iter_mut()
    }

    /// Adds a member of the sorted set of a term.
    pub(super) fn insert(&mut self, term: usize, ordinal: u64) {
        let number = ordinal / CHUNK;
        let chunk = self.chunks.iter_mut().find(|chunk| chunk.number == number);
        if let Some(operand) = chunk.and_then(|chunk| chunk.terms.get_mut(term)) {
            operand.members.insert(low_of(ordinal));
        }
    }

    /// The requests of every chunk for which the expression holds.
    pub(super) fn evaluate(&self, expr: &Expr) -> Vec<(u64, Bits)> {
        let chunks = self.chunks.iter();
        chunks
            .map(|chunk| (chunk.number, self.of(expr, chunk)))
            .collect()
    }

    fn of(&self, expr: &Expr, chunk: &Chunk) -> Bits {
        match expr {
            Expr::Everything => live(chunk),
            Expr::Nothing => Bits::none(),
            Expr::Term(term) => self
                .term(term, chunk)
                .map_or_else(Bits::none, Operand::bits),
            Expr::Or(parts) => parts
                .iter()
                .map(|part| self.of(part, chunk))
                .fold(Bits::none(), |all, part| all.or(&part)),
            Expr::Not(inner) => live(chunk).and_not(&self.of(inner, chunk)),
            Expr::And(parts) => self.all(parts, chunk),
        }
    }

    fn all(&self, parts: &[Expr], chunk: &Chunk) -> Bits {
        let is_not = |part: &&Expr| matches!(part, Expr::Not(_));
        let mut wanted = parts.iter().filter(|part| !is_not(part));
        let mut all = match wanted.next() {
            Some(first) => self.first(first, &mut wanted, chunk),
            None => live(chunk),
        };
        for part in wanted.chain(parts.iter().filter(is_not)) {
            if all.is_empty() {
                return Bits::none();
            }
            all = match part {
                Expr::Term(term) => match self.term(term, chunk) {
                    Some(operand) => operand.among(all),
                    None => Bits::none(),
                },
                Expr::Not(inner) => all.and_not(&self.of(inner, chunk)),
                part => all.and(&self.of(part, chunk)),
            };
        }
        all
    }

    /// The first part, and the second too where both are no more than a bitmap: what they have in
    /// common is often nothing.
    fn first<'a>(
        &self,
        first: &Expr,
        rest: &mut (impl Iterator<Item = &'a Expr> + Clone),
        chunk: &Chunk,
    ) -> Bits {
        let bitmap = |part: &Expr| match part {
            Expr::Term(term) => self.term(term, chunk)?.only_bitmap(),
            _ => None,
        };
        let second = rest.clone().next().and_then(bitmap);
        match (bitmap(first), second) {
            (Some(one), Some(other)) => {
                rest.next();
                Bits::read_both(one, other)
            }
            _ => self.of(first, chunk),
        }
    }

    fn term<'a>(&self, term: &Term, chunk: &'a Chunk) -> Option<&'a Operand> {
        let number = self.terms.binary_search(term).ok()?;
        chunk.terms.get(number)
    }
}

fn live(chunk: &Chunk) -> Bits {
    chunk
        .live
        .as_ref()
        .map_or_else(Bits::none, |live| Bits::read(live))
}

#[cfg(test)]
mod tests {
    use governance_core::{Dimension, Terms};
    use proptest::prelude::*;

    use super::{super::split::Search, *};

    fn exprs() -> impl Strategy<Value = Expr> {
        let term = (0_usize..4).prop_map(|i| Expr::Term(term(i)));
        let leaf = prop_oneof![6 => term, 1 => Just(Expr::Everything), 1 => Just(Expr::Nothing)];
        leaf.prop_recursive(3, 12, 3, |inner| {
            let parts = || prop::collection::vec(inner.clone(), 1..4);
            prop_oneof![
                parts().prop_map(Expr::And),
                parts().prop_map(Expr::Or),
                inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            ]
        })
    }

    fn term(i: usize) -> Term {
        Term::new([Dimension::Status, Dimension::Tag][i % 2], format!("v{i}"))
    }

    proptest! {
        #[test]
        fn bits_agree_with_the_expression(
            expr in exprs(), documents in prop::collection::vec(prop::option::of(0_u8..16), 1..80),
            in_sets in prop::collection::vec(any::<bool>(), 80),
        ) {
            let search = Search::new(&expr);
            let terms: Vec<Term> = search.terms().into_iter().collect();
            let mut operands = Operands::new(terms.clone(), &[7]);
            let mut bitmaps = vec![[0; 10]; terms.len()];
            let mut live = [0; 10];
            let set = |bitmap: &mut [u8; 10], low: usize| bitmap[low / 8] |= 0x80 >> (low % 8);
            for (low, document) in documents.iter().enumerate() {
                let Some(document) = document else { continue };
                set(&mut live, low);
                for i in (0..4).filter(|i| document & (1 << i) != 0) {
                    let Ok(number) = terms.binary_search(&term(i)) else { continue };
                    // A value is in a bitmap for some requests, in a set for others.
                    if in_sets[low] {
                        operands.insert(number, 7 * CHUNK + low as u64);
                    } else {
                        set(&mut bitmaps[number], low);
                    }
                }
            }
            for chunk in operands.chunks() {
                // What the engine does not fetch must not be missed.
                chunk.live = search.needs_live().then(|| Bytes::copy_from_slice(&live));
                for (operand, bitmap) in chunk.terms.iter_mut().zip(&bitmaps) {
                    operand.bitmap = Some(Bytes::copy_from_slice(bitmap));
                }
            }
            let (_, found) = operands.evaluate(&search.expr).remove(0);
            for (low, document) in (0..).zip(&documents) {
                let expected = document.is_some_and(|document| {
                    let terms: Terms = (0..4).filter(|i| document & (1 << i) != 0).map(term).collect();
                    expr.contains(&terms)
                });
                prop_assert_eq!(found.contains(low), expected, "{:?}", expr);
            }
        }
    }
}
