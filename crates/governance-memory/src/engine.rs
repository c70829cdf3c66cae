//! Evaluates a plan's expression over postings, one chunk at a time.

use governance_core::{Expr, Term};

use crate::{inner::Map, part::Part, postings::Posting};

/// An expression with its postings looked up.
#[derive(Debug)]
pub(crate) enum Search<'a> {
    Everything,
    Nothing,
    Posting(&'a Posting),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
}

impl<'a> Search<'a> {
    /// Looks up the postings. A term nobody has is nothing, one that everybody has is everything.
    pub(crate) fn new(expr: &Expr, postings: &'a Map<Term, Posting>, live: &Posting) -> Self {
        match expr {
            Expr::Everything => Self::Everything,
            Expr::Nothing => Self::Nothing,
            Expr::Term(term) => match postings.get(term) {
                None => Self::Nothing,
                Some(posting) if posting.len() == live.len() => Self::Everything,
                Some(posting) => Self::Posting(posting),
            },
            Expr::And(parts) => Self::all(parts.iter().map(|p| Self::new(p, postings, live))),
            Expr::Or(parts) => Self::any(parts.iter().map(|p| Self::new(p, postings, live))),
            Expr::Not(inner) => match Self::new(inner, postings, live) {
                Self::Everything => Self::Nothing,
                Self::Nothing => Self::Everything,
                inner => Self::Not(Box::new(inner)),
            },
        }
    }

    fn all(parts: impl Iterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::Everything => {}
                Self::Nothing => return Self::Nothing,
                part => kept.push(part),
            }
        }
        // The rarest first: most chunks are empty there, and nothing else is looked at.
        kept.sort_by_key(Self::at_most);
        match kept.len() {
            0 => Self::Everything,
            1 => kept.remove(0),
            _ => Self::And(kept),
        }
    }

    fn any(parts: impl Iterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::Nothing => {}
                Self::Everything => return Self::Everything,
                part => kept.push(part),
            }
        }
        match kept.len() {
            0 => Self::Nothing,
            1 => kept.remove(0),
            _ => Self::Or(kept),
        }
    }

    /// An upper bound of how many there are.
    fn at_most(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Everything | Self::Not(_) => u64::MAX,
            Self::Posting(posting) => posting.len(),
            Self::And(parts) => parts.iter().map(Self::at_most).min().unwrap_or(u64::MAX),
            Self::Or(parts) => parts.iter().map(Self::at_most).fold(0, u64::saturating_add),
        }
    }

    /// Whether an ordinal that is alive is in the set.
    pub(crate) fn contains(&self, ordinal: u32) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::Posting(posting) => posting.contains(ordinal),
            Self::And(parts) => parts.iter().all(|part| part.contains(ordinal)),
            Self::Or(parts) => parts.iter().any(|part| part.contains(ordinal)),
            Self::Not(inner) => !inner.contains(ordinal),
        }
    }

    /// The part of the set in one chunk, `None` if it is known to be empty.
    pub(crate) fn part(&self, chunk: u32, live: &'a Posting) -> Option<Part<'a>> {
        match self {
            Self::Everything => live.part(chunk),
            Self::Nothing => None,
            Self::Posting(posting) => posting.part(chunk),
            Self::And(parts) => Part::all(parts.iter().map(|part| part.part(chunk, live))),
            Self::Or(parts) => {
                let parts = parts.iter().filter_map(|part| part.part(chunk, live));
                let mut parts: Vec<_> = parts.collect();
                match parts.len() {
                    0 | 1 => parts.pop(),
                    _ => Some(Part::Or(parts)),
                }
            }
            Self::Not(inner) => {
                let all = live.part(chunk)?;
                Some(match inner.part(chunk, live) {
                    Some(not) => Part::Without(Box::new(all), Box::new(not)),
                    None => all,
                })
            }
        }
    }
}
