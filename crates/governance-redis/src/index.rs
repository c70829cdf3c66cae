//! What a request is indexed under, as it stands in the request's own record.
//!
//! The record is the truth about the index: every change takes back what the record says, never
//! what some version of this crate would derive, so no entry can be orphaned.

use std::sync::Arc;

use governance_core::{Digest, Dimension, MutationRequest, Scope, Term, query::Cardinality, terms};

/// How the entries of a term are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// A bitmap per chunk of ordinals.
    Bitmap,
    /// A sorted set of ordinals.
    Ordinals,
    /// A sorted set of ordinals whose members tell id and stamp, so a page needs no id table.
    Inbox,
}

impl Class {
    pub(crate) const fn of(dimension: Dimension) -> Self {
        match dimension {
            Dimension::OpenActor | Dimension::OpenRole | Dimension::OpenGroup => Self::Inbox,
            other => match other.cardinality() {
                Cardinality::Low => Self::Bitmap,
                Cardinality::High => Self::Ordinals,
            },
        }
    }
}

/// A term as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IndexTerm {
    class: Class,
    name: Name,
}

/// Dimension and value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Name {
    Known(Term),
    /// Of a dimension that only a newer version knows.
    Unknown(Arc<str>, Arc<str>),
}

impl IndexTerm {
    #[cfg(test)]
    pub(crate) fn of(dimension: Dimension, value: &str) -> Self {
        Self::known(Class::of(dimension), dimension, value)
    }

    pub(crate) fn known(class: Class, dimension: Dimension, value: &str) -> Self {
        Self {
            class,
            name: Name::Known(Term::new(dimension, value)),
        }
    }

    pub(crate) fn named(class: Class, dimension: &str, value: &str) -> Self {
        match Dimension::from_name(dimension) {
            Some(dimension) => Self::known(class, dimension, value),
            None => Self {
                class,
                name: Name::Unknown(dimension.into(), value.into()),
            },
        }
    }

    /// A value with bitmaps, as the dictionary names it.
    pub(crate) fn bitmap(dimension: &str, value: &str) -> Self {
        Self::named(Class::Bitmap, dimension, value)
    }

    /// The same value, kept as bitmaps.
    pub(crate) fn as_bitmap(&self) -> Self {
        Self {
            class: Class::Bitmap,
            ..self.clone()
        }
    }

    pub(crate) const fn class(&self) -> Class {
        self.class
    }

    /// The name of its dimension.
    pub(crate) fn dimension(&self) -> &str {
        match &self.name {
            Name::Known(term) => term.dimension().as_str(),
            Name::Unknown(dimension, _) => dimension,
        }
    }

    /// Its dimension, if this version knows it.
    pub(crate) const fn known_dimension(&self) -> Option<Dimension> {
        match &self.name {
            Name::Known(term) => Some(term.dimension()),
            Name::Unknown(..) => None,
        }
    }

    pub(crate) fn value(&self) -> &str {
        match &self.name {
            Name::Known(term) => term.value(),
            Name::Unknown(_, value) => value,
        }
    }
}

impl From<&Term> for IndexTerm {
    fn from(term: &Term) -> Self {
        Self {
            class: Class::of(term.dimension()),
            name: Name::Known(term.clone()),
        }
    }
}

/// Everything a request is found by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IndexRecord {
    /// Sorted, each once.
    terms: Vec<IndexTerm>,
    /// The next deadline in microseconds.
    due: Option<i64>,
    /// The digest of the idempotency key.
    key: Option<[u8; 16]>,
}

impl IndexRecord {
    /// Of a request that is not there.
    pub(crate) const NOTHING: Self = Self {
        terms: Vec::new(),
        due: None,
        key: None,
    };

    pub(crate) fn from_parts(
        mut terms: Vec<IndexTerm>,
        due: Option<i64>,
        key: Option<[u8; 16]>,
    ) -> Self {
        terms.sort_unstable();
        terms.dedup();
        Self { terms, due, key }
    }

    /// What a request is to be indexed under, every term as its dimension is usually kept.
    pub(crate) fn of(request: &MutationRequest) -> Self {
        let mut terms: Vec<IndexTerm> = terms(request).iter().map(IndexTerm::from).collect();
        terms.sort_unstable();
        let proposal = request.proposal();
        let key = proposal.idempotency_key();
        Self {
            terms,
            due: request.due_at().map(governance_core::Timestamp::as_micros),
            key: key.map(|key| key_digest(proposal.scope(), key.as_str())),
        }
    }

    /// What a new request is to be indexed under. `is_dense` tells which values of dimensions of
    /// many values are kept as bitmaps, since many requests share them.
    pub(crate) fn of_new(
        request: &MutationRequest,
        mut is_dense: impl FnMut(&IndexTerm) -> bool,
    ) -> Self {
        let mut record = Self::of(request);
        for term in &mut record.terms {
            if term.class == Class::Ordinals && is_dense(term) {
                term.class = Class::Bitmap;
            }
        }
        record.terms.sort_unstable();
        record
    }

    /// What a request is to be indexed under that is indexed already: what stays the same stays
    /// where it is.
    pub(crate) fn after(request: &MutationRequest, old: &Self) -> Self {
        Self::of_new(request, |term| old.has(&term.as_bitmap()))
    }

    fn has(&self, term: &IndexTerm) -> bool {
        self.terms.binary_search(term).is_ok()
    }

    pub(crate) fn terms(&self) -> &[IndexTerm] {
        &self.terms
    }

    pub(crate) const fn due(&self) -> Option<i64> {
        self.due
    }

    pub(crate) fn key(&self) -> Option<&[u8; 16]> {
        self.key.as_ref()
    }

    /// The terms that `other` lacks.
    pub(crate) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a IndexTerm> {
        self.terms.iter().filter(|term| !other.has(term))
    }
}

/// The digest under which a caller's own key is kept. Keys are separate for every state.
pub(crate) fn key_digest(scope: &Scope, key: &str) -> [u8; 16] {
    let parts = [
        scope.tenant.as_str(),
        scope.state_type.as_str(),
        scope.state_id.as_str(),
        key,
    ];
    let mut bytes = Vec::with_capacity(256);
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    let mut short = [0; 16];
    short.copy_from_slice(&Digest::of(bytes).as_bytes()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classes_of_layout_1_never_change() {
        let bitmaps: Vec<_> = Dimension::ALL
            .into_iter()
            .filter(|dimension| Class::of(*dimension) == Class::Bitmap)
            .map(Dimension::as_str)
            .collect();
        assert_eq!(
            bitmaps,
            [
                "tenant",
                "status",
                "pending_reason",
                "risk",
                "category",
                "operation",
                "mutation_type",
                "state_type",
                "blast_scope",
                "decision_category"
            ],
            "another class is another layout: raise its version and rebuild"
        );
    }

    #[test]
    fn a_request_stays_where_it_is_found() {
        use governance_testkit::fixtures::{RequestBuilder, SeededIds};
        let ids = SeededIds::new(1);
        let now = governance_core::Timestamp::from_micros(1);
        let request = RequestBuilder::new(&ids, now).build();
        let usual = IndexRecord::of(&request);
        let mut asked = 0;
        let dense = IndexRecord::of_new(&request, |term| {
            asked += 1;
            term.dimension() == Dimension::StateId.as_str()
        });
        assert!(asked > 0 && dense != usual);
        assert_eq!(IndexRecord::after(&request, &dense), dense);
        assert_eq!(IndexRecord::after(&request, &usual), usual);
        assert!(dense.terms().is_sorted());
    }

    #[test]
    fn a_delta_is_what_one_has_and_the_other_lacks() {
        let record = |values: &[&str]| IndexRecord {
            terms: values
                .iter()
                .map(|v| IndexTerm::of(Dimension::Tag, v))
                .collect(),
            ..IndexRecord::default()
        };
        let (old, new) = (record(&["a", "b"]), record(&["b", "c"]));
        let values = |terms: Vec<&IndexTerm>| -> Vec<String> {
            terms.into_iter().map(|t| t.value().to_owned()).collect()
        };
        assert_eq!(values(old.without(&new).collect()), ["a"]);
        assert_eq!(values(new.without(&old).collect()), ["c"]);
    }
}
