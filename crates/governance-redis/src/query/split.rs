//! Takes an expression apart by how its terms are kept.

use std::collections::BTreeSet;

use governance_core::{Digest, Expr, Term};

use crate::index::{Class, IndexTerm};

/// An expression, ready to be looked up.
#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) expr: Expr,
    /// What can be walked over instead of chunks, if there is something: each of them holds every
    /// match.
    pub(super) drivers: Vec<Driver>,
    /// Of the whole query, if it is one of a listing.
    pub(super) digest: Option<Digest>,
}

/// Sorted sets whose union holds every match, unless a value of them is kept as bitmaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Driver {
    pub(super) terms: Vec<IndexTerm>,
    /// Whether their members tell ids. All of a driver do or none.
    pub(super) class: Class,
}

impl Search {
    pub(super) fn new(expr: &Expr) -> Self {
        let parts = match expr {
            Expr::And(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        let mut drivers: Vec<Driver> = parts.iter().filter_map(driver).collect();
        // The inbox of a person is the shortest there is; then fewer sets before more.
        drivers.sort_by_key(|driver| (driver.class != Class::Inbox, driver.terms.len()));
        let inbox = drivers
            .first()
            .is_some_and(|driver| driver.class == Class::Inbox);
        drivers.truncate(if inbox { 1 } else { MOST_DRIVERS });
        // What few requests have comes first: where nothing is left, the rest need not be looked at.
        let expr = match expr {
            Expr::And(parts) => {
                let mut parts = parts.clone();
                parts.sort_by_key(|part| !is_keen(part));
                Expr::And(parts)
            }
            other => other.clone(),
        };
        Self {
            expr,
            drivers,
            digest: None,
        }
    }

    /// The search of a query with this digest.
    pub(super) fn of(expr: &Expr, digest: &Digest) -> Self {
        Self {
            digest: Some(*digest),
            ..Self::new(expr)
        }
    }

    /// The part of it that leaves least, if it has several terms of many values: what they have in
    /// common is often less than any of them, so the rest of the expression need not be read.
    pub(super) fn keen(&self) -> Option<Self> {
        let Expr::And(parts) = &self.expr else {
            return None;
        };
        let keen: Vec<Expr> = parts.iter().filter(|part| is_keen(part)).cloned().collect();
        (keen.len() > 1 && keen.len() < parts.len()).then(|| Self {
            expr: Expr::And(keen),
            drivers: Vec::new(),
            digest: self.digest,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.expr == Expr::Nothing
    }

    /// The part of it that bitmaps can tell, if there is any.
    pub(super) fn bitmaps_only(&self) -> Option<Self> {
        let parts = match &self.expr {
            Expr::And(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        let mut parts: Vec<Expr> = parts
            .iter()
            .filter(|part| {
                let mut terms = BTreeSet::new();
                collect(part, &mut terms);
                let bitmap = |term: &Term| Class::of(term.dimension()) == Class::Bitmap;
                !terms.is_empty() && terms.iter().all(bitmap)
            })
            .cloned()
            .collect();
        let expr = match parts.len() {
            0 => return None,
            1 => parts.remove(0),
            _ => Expr::And(parts),
        };
        Some(Self {
            expr,
            drivers: Vec::new(),
            digest: self.digest,
        })
    }

    /// Every term of it.
    pub(super) fn terms(&self) -> BTreeSet<Term> {
        let mut terms = BTreeSet::new();
        collect(&self.expr, &mut terms);
        terms
    }

    /// Whether it takes knowing every request there is.
    pub(super) fn needs_live(&self) -> bool {
        needs_live(&self.expr)
    }
}

/// Whether this is a choice among values of dimensions of many values.
fn is_keen(part: &Expr) -> bool {
    let is_of_many = |term: &Expr| match term {
        Expr::Term(term) => Class::of(term.dimension()) == Class::Ordinals,
        _ => false,
    };
    match part {
        Expr::Or(terms) => terms.iter().all(is_of_many),
        part => is_of_many(part),
    }
}

/// Most drivers that are looked at to choose one.
const MOST_DRIVERS: usize = 4;
/// Most sets that are walked over together.
const MOST_SETS: usize = 64;

fn driver(expr: &Expr) -> Option<Driver> {
    let parts = match expr {
        Expr::Or(parts) => parts.as_slice(),
        term @ Expr::Term(_) => std::slice::from_ref(term),
        _ => return None,
    };
    if parts.len() > MOST_SETS {
        return None;
    }
    let terms: Vec<IndexTerm> = parts
        .iter()
        .map(|part| match part {
            Expr::Term(term) => Some(IndexTerm::from(term)),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let class = terms.first()?.class();
    let same = class != Class::Bitmap && terms.iter().all(|term| term.class() == class);
    same.then_some(Driver { terms, class })
}

fn collect(expr: &Expr, terms: &mut BTreeSet<Term>) {
    match expr {
        Expr::Everything | Expr::Nothing => {}
        Expr::Term(term) => {
            terms.insert(term.clone());
        }
        Expr::And(parts) | Expr::Or(parts) => {
            parts.iter().for_each(|part| collect(part, terms));
        }
        Expr::Not(inner) => collect(inner, terms),
    }
}

fn needs_live(expr: &Expr) -> bool {
    match expr {
        Expr::Everything => true,
        Expr::Nothing | Expr::Term(_) => false,
        // What is taken away from something needs no more than that something.
        Expr::And(parts) => {
            let is_not = |part: &Expr| matches!(part, Expr::Not(_));
            parts.iter().all(is_not) || parts.iter().map(inner).any(needs_live)
        }
        Expr::Or(parts) => parts.iter().any(needs_live),
        Expr::Not(_) => true,
    }
}

/// What is in a negation, or the expression itself.
fn inner(expr: &Expr) -> &Expr {
    match expr {
        Expr::Not(inner) => inner,
        other => other,
    }
}
