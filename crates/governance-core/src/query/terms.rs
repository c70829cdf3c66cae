//! What a request is indexed under: one definition for every store.

use std::fmt;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::{
    approval::Selector,
    decision::{ApprovalEvent, DecisionCategory, DecisionKind},
    ids::{RequestId, Shared},
    request::MutationRequest,
};

/// How many different values a dimension has, as a hint for the layout of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// Few values with many requests each.
    Low,
    /// Many values with few requests each.
    High,
}

/// One respect in which requests are indexed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The tenant.
    Tenant,
    /// The status.
    Status,
    /// What it waits for.
    PendingReason,
    /// The risk.
    Risk,
    /// The category of its intent.
    Category,
    /// The operation of its intent.
    Operation,
    /// The kind of mutation.
    MutationType,
    /// The kind of state.
    StateType,
    /// The state. Tenants may have states of the same id, so a query of one tenant asks for the
    /// tenant too.
    StateId,
    /// Who asked for it.
    Requester,
    /// A tag.
    Tag,
    /// How far it reaches.
    BlastScope,
    /// The piece of work it belongs to.
    Correlation,
    /// A linked request.
    Link,
    /// A family its history has decisions of.
    DecisionCategory,
    /// Somebody who voted.
    DecidedBy,
    /// An actor a requirement names, while votes on it may be accepted.
    OpenActor,
    /// A role a requirement names, while votes on it may be accepted.
    OpenRole,
    /// A group a requirement names, while votes on it may be accepted.
    OpenGroup,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 19] = [
        Self::Tenant,
        Self::Status,
        Self::PendingReason,
        Self::Risk,
        Self::Category,
        Self::Operation,
        Self::MutationType,
        Self::StateType,
        Self::StateId,
        Self::Requester,
        Self::Tag,
        Self::BlastScope,
        Self::Correlation,
        Self::Link,
        Self::DecisionCategory,
        Self::DecidedBy,
        Self::OpenActor,
        Self::OpenRole,
        Self::OpenGroup,
    ];

    /// The stable name. Stores may keep it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Status => "status",
            Self::PendingReason => "pending_reason",
            Self::Risk => "risk",
            Self::Category => "category",
            Self::Operation => "operation",
            Self::MutationType => "mutation_type",
            Self::StateType => "state_type",
            Self::StateId => "state_id",
            Self::Requester => "requester",
            Self::Tag => "tag",
            Self::BlastScope => "blast_scope",
            Self::Correlation => "correlation",
            Self::Link => "link",
            Self::DecisionCategory => "decision_category",
            Self::DecidedBy => "decided_by",
            Self::OpenActor => "open_actor",
            Self::OpenRole => "open_role",
            Self::OpenGroup => "open_group",
        }
    }

    /// The dimension of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// How many different values it has.
    #[must_use]
    pub const fn cardinality(self) -> Cardinality {
        match self {
            Self::Tenant
            | Self::Status
            | Self::PendingReason
            | Self::Risk
            | Self::Category
            | Self::Operation
            | Self::MutationType
            | Self::StateType
            | Self::BlastScope
            | Self::DecisionCategory => Cardinality::Low,
            Self::StateId
            | Self::Requester
            | Self::Tag
            | Self::Correlation
            | Self::Link
            | Self::DecidedBy
            | Self::OpenActor
            | Self::OpenRole
            | Self::OpenGroup => Cardinality::High,
        }
    }

    /// Whether a request has at most one value of it.
    #[must_use]
    pub const fn is_single_valued(self) -> bool {
        match self {
            Self::Tenant
            | Self::Status
            | Self::Risk
            | Self::Category
            | Self::Operation
            | Self::MutationType
            | Self::StateType
            | Self::StateId
            | Self::Requester
            | Self::BlastScope
            | Self::Correlation => true,
            Self::PendingReason
            | Self::Tag
            | Self::Link
            | Self::DecisionCategory
            | Self::DecidedBy
            | Self::OpenActor
            | Self::OpenRole
            | Self::OpenGroup => false,
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One entry of an index: a dimension and a value of it. Cloning is cheap.
///
/// ```
/// use governance_core::{Dimension, Term};
///
/// let term = Term::new(Dimension::Tag, "emergency");
/// assert_eq!((term.dimension(), term.value()), (Dimension::Tag, "emergency"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    dimension: Dimension,
    value: SmolStr,
}

impl Term {
    /// A term.
    #[must_use]
    pub fn new(dimension: Dimension, value: impl AsRef<str>) -> Self {
        Self {
            dimension,
            value: SmolStr::new(value),
        }
    }

    /// A term with the text of a name. A long one is shared, not copied.
    pub(super) fn named(dimension: Dimension, name: &impl Shared) -> Self {
        Self {
            dimension,
            value: name.shared(),
        }
    }

    pub(super) const fn fixed(dimension: Dimension, value: &'static str) -> Self {
        Self {
            dimension,
            value: SmolStr::new_static(value),
        }
    }

    pub(super) fn link(request: &RequestId) -> Self {
        Self::new(Dimension::Link, request.to_string())
    }

    /// The dimension.
    #[must_use]
    pub const fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}", self.dimension, self.value())
    }
}

/// The terms of one request, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms(List);

/// As many as most requests that change have, without an allocation.
type List = SmallVec<[Term; 12]>;

impl Terms {
    fn of(mut terms: List) -> Self {
        terms.sort_unstable();
        terms.dedup();
        Self(terms)
    }

    /// The terms, by dimension and value.
    pub fn iter(&self) -> std::slice::Iter<'_, Term> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, term: &Term) -> bool {
        self.0.binary_search(term).is_ok()
    }

    /// Those of these terms that `newer` has no longer.
    pub fn removed<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = &'a Term> {
        let mut ahead = newer.0.as_slice();
        self.iter().filter(move |term| {
            // Both are sorted: what comes before this term comes before the next one, too.
            while let [first, rest @ ..] = ahead
                && first < *term
            {
                ahead = rest;
            }
            ahead.first() != Some(*term)
        })
    }

    /// Those `newer` has that these terms lack.
    pub fn added<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = &'a Term> {
        newer.removed(self)
    }
}

impl FromIterator<Term> for Terms {
    fn from_iter<I: IntoIterator<Item = Term>>(terms: I) -> Self {
        Self::of(terms.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Terms {
    type Item = &'a Term;
    type IntoIter = std::slice::Iter<'a, Term>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What the request is indexed under.
///
/// While a request takes votes, the actors, roles and groups of every requirement that has been
/// asked are terms: those of the open stage may approve or deny, those of an earlier stage may
/// still deny. Whoever can decide matches one of them; not everybody who does can decide.
#[must_use]
pub fn terms(request: &MutationRequest) -> Terms {
    let mut terms = List::with_capacity(24);
    lasting(request, &mut terms);
    passing(request, &mut terms);
    Terms::of(terms)
}

/// Those of the [`terms`] of a request that other forms of it may lack. All others come from its
/// proposal, so a write that replaces one form by the next need not look at them.
#[must_use]
pub fn passing_terms(request: &MutationRequest) -> Terms {
    let mut terms = List::new();
    passing(request, &mut terms);
    Terms::of(terms)
}

fn lasting(request: &MutationRequest, terms: &mut List) {
    let proposal = request.proposal();
    let (scope, intent) = (proposal.scope(), proposal.intent());
    terms.push(Term::named(Dimension::Tenant, &scope.tenant));
    terms.push(Term::fixed(Dimension::Risk, intent.risk_level().as_str()));
    terms.push(Term::named(Dimension::Category, intent.category()));
    terms.push(Term::named(Dimension::Operation, intent.operation()));
    terms.push(Term::named(
        Dimension::MutationType,
        proposal.payload().mutation(),
    ));
    terms.push(Term::named(Dimension::StateType, &scope.state_type));
    terms.push(Term::named(Dimension::StateId, &scope.state_id));
    terms.push(Term::named(Dimension::Requester, proposal.requester().id()));
    terms.extend(intent.tags().iter().map(|t| Term::named(Dimension::Tag, t)));
    if let Some(radius) = intent.radius() {
        terms.push(Term::fixed(Dimension::BlastScope, radius.scope().as_str()));
    }
    if let Some(correlation) = proposal.correlation() {
        terms.push(Term::named(Dimension::Correlation, correlation));
    }
}

fn passing(request: &MutationRequest, terms: &mut List) {
    terms.push(Term::fixed(Dimension::Status, request.status().as_str()));
    let reasons = request.pending_reasons().iter();
    terms.extend(reasons.map(|r| Term::fixed(Dimension::PendingReason, r.as_str())));
    terms.extend(request.links().iter().map(Term::link));
    let decisions = request.decisions();
    for category in DecisionCategory::ALL {
        if decisions.iter().any(|d| d.kind().category() == category) {
            terms.push(Term::fixed(Dimension::DecisionCategory, category.as_str()));
        }
    }
    let votes = decisions.iter().filter(|d| is_vote(d.kind()));
    terms.extend(votes.map(|d| Term::named(Dimension::DecidedBy, d.actor().id())));
    if let Some(stage) = request.open_stage() {
        for requirement in request.round().rules().requirements() {
            if requirement.stage() <= stage {
                open_terms(requirement.selector(), terms);
            }
        }
    }
}

/// Whether the decision is a vote for or against.
pub(super) const fn is_vote(kind: &DecisionKind) -> bool {
    matches!(
        kind,
        DecisionKind::Approval(ApprovalEvent::Granted { .. } | ApprovalEvent::Denied { .. })
    )
}

fn open_terms(selector: &Selector, terms: &mut List) {
    match selector {
        Selector::Actor(id) => terms.push(Term::named(Dimension::OpenActor, id)),
        Selector::Role(role) => terms.push(Term::named(Dimension::OpenRole, role)),
        Selector::Group(group) => terms.push(Term::named(Dimension::OpenGroup, group)),
        Selector::AnyOf(parts) | Selector::AllOf(parts) => {
            parts.iter().for_each(|part| open_terms(part, terms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Label;

    #[test]
    fn names_are_stable_and_read_back() {
        for dimension in Dimension::ALL {
            assert_eq!(Dimension::from_name(dimension.as_str()), Some(dimension));
        }
        assert_eq!(Dimension::from_name("due"), None);
    }

    #[test]
    fn a_term_shares_a_long_text() {
        let label = Label::new("x".repeat(40)).unwrap();
        let shared = Term::named(Dimension::Tag, &label);
        assert_eq!(shared.value().as_ptr(), label.as_str().as_ptr());
        assert_eq!(shared, Term::new(Dimension::Tag, "x".repeat(40)));
    }

    #[test]
    fn terms_compare_by_their_texts() {
        let label = Label::new("emergency").unwrap();
        let term = Term::named(Dimension::Tag, &label);
        assert_eq!(term, Term::fixed(Dimension::Tag, "emergency"));
        assert_ne!(term, Term::fixed(Dimension::Category, "emergency"));
        assert_eq!(format!("{term:?}"), "tag=\"emergency\"");
        let hash = |term: &Term| {
            let state = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
            std::hash::BuildHasher::hash_one(&state, term)
        };
        let long = ["y".repeat(40), "y".repeat(40)].map(|text| Term::new(Dimension::Tag, text));
        assert_eq!(hash(&long[0]), hash(&long[1]));
        assert_eq!(hash(&term), hash(&Term::fixed(Dimension::Tag, "emergency")));
    }

    #[test]
    fn terms_are_sorted_and_single() {
        let term = |value| Term::fixed(Dimension::Tag, value);
        let old: Terms = [term("b"), term("a"), term("b")].into_iter().collect();
        let new: Terms = [term("c"), term("b")].into_iter().collect();
        assert_eq!(old.len(), 2);
        assert!(old.contains(&term("a")) && !old.contains(&term("c")));
        assert_eq!(old.removed(&new).collect::<Vec<_>>(), [&term("a")]);
        assert_eq!(old.added(&new).collect::<Vec<_>>(), [&term("c")]);
    }
}
