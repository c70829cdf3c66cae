//! From a query to an expression over terms.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    filter::{Condition, Filter},
    request_query::RequestQuery,
    terms::{Dimension, Term, Terms},
};
use crate::{
    decision::DecisionCategory,
    ids::{RequestId, Shared, Timestamp},
    intent::BlastScope,
    status::Status,
};

/// A set of requests, in terms of the index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Expr {
    /// Every request.
    Everything,
    /// No request.
    Nothing,
    /// Those with this term.
    Term(Term),
    /// Those in all of these.
    And(Vec<Self>),
    /// Those in one of these.
    Or(Vec<Self>),
    /// Those not in this.
    Not(Box<Self>),
}

impl Expr {
    /// Whether a request with these terms is in the set. What any index has to agree with.
    #[must_use]
    pub fn contains(&self, terms: &Terms) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing => false,
            Self::Term(term) => terms.contains(term),
            Self::And(parts) => parts.iter().all(|part| part.contains(terms)),
            Self::Or(parts) => parts.iter().any(|part| part.contains(terms)),
            Self::Not(inner) => !inner.contains(terms),
        }
    }

    fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut open: Vec<Self> = parts.into_iter().collect();
        let mut choices: BTreeMap<Dimension, BTreeSet<Term>> = BTreeMap::new();
        let mut rest = BTreeSet::new();
        while let Some(part) = open.pop() {
            match part {
                Self::Everything => {}
                Self::Nothing => return Self::Nothing,
                Self::And(inner) => open.extend(inner),
                other => match other.choice() {
                    Some((dimension, terms)) => {
                        choices
                            .entry(dimension)
                            .and_modify(|known| known.retain(|term| terms.contains(term)))
                            .or_insert(terms);
                    }
                    None => {
                        rest.insert(other);
                    }
                },
            }
        }
        let choices = choices.into_values();
        rest.extend(choices.map(|terms| Self::any(terms.into_iter().map(Self::Term))));
        if rest.contains(&Self::Nothing) {
            return Self::Nothing;
        }
        Self::join(rest, Self::Everything, Self::And)
    }

    fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut open: Vec<Self> = parts.into_iter().collect();
        let mut rest = BTreeSet::new();
        while let Some(part) = open.pop() {
            match part {
                Self::Nothing => {}
                Self::Everything => return Self::Everything,
                Self::Or(inner) => open.extend(inner),
                other => {
                    rest.insert(other);
                }
            }
        }
        Self::join(rest, Self::Nothing, Self::Or)
    }

    fn join(mut parts: BTreeSet<Self>, none: Self, many: fn(Vec<Self>) -> Self) -> Self {
        match (parts.pop_first(), parts.is_empty()) {
            (None, _) => none,
            (Some(only), true) => only,
            (Some(first), false) => many([first].into_iter().chain(parts).collect()),
        }
    }

    fn negated(self) -> Self {
        match self {
            Self::Everything => Self::Nothing,
            Self::Nothing => Self::Everything,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// The values to choose from, if this is a choice among values of one dimension of which a
    /// request has at most one. Two such choices together leave what both have.
    fn choice(&self) -> Option<(Dimension, BTreeSet<Term>)> {
        let (first, parts) = match self {
            Self::Term(term) => (term, std::slice::from_ref(self)),
            Self::Or(parts) => match parts.first() {
                Some(Self::Term(term)) => (term, &parts[..]),
                _ => return None,
            },
            Self::Everything | Self::Nothing | Self::And(_) | Self::Not(_) => return None,
        };
        let dimension = first.dimension();
        if !dimension.is_single_valued() {
            return None;
        }
        let terms = parts.iter().map(|part| match part {
            Self::Term(term) if term.dimension() == dimension => Some(term.clone()),
            _ => None,
        });
        Some((dimension, terms.collect::<Option<_>>()?))
    }
}

/// How to find what a query asks for: an expression over terms that holds for every match, and
/// perhaps for more. [`matches`](super::matches()) tells which of those it finds are matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    expr: Expr,
    exact: bool,
    ids: Option<BTreeSet<RequestId>>,
    due_until: Option<Timestamp>,
}

impl Plan {
    /// An upper bound of the matches.
    #[must_use]
    pub const fn expr(&self) -> &Expr {
        &self.expr
    }

    /// Whether the expression holds for the matches and nothing else, so counting needs no
    /// documents. Never true of a query that is narrowed to ids, unless nothing matches.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.exact
    }

    /// The only ids that can match, if the query names them: read these and nothing else.
    #[must_use]
    pub const fn ids(&self) -> Option<&BTreeSet<RequestId>> {
        self.ids.as_ref()
    }

    /// The latest deadline that can match, if only requests with a deadline can: a walk in the
    /// order of deadlines ends there.
    #[must_use]
    pub const fn due_until(&self) -> Option<Timestamp> {
        self.due_until
    }
}

/// The latest deadline a match can have, if every match has to have one that is no later.
fn due_until(filter: &Filter) -> Option<Timestamp> {
    match filter {
        Filter::Is(Condition::Due(range)) => range.to,
        Filter::All(parts) => parts.iter().filter_map(due_until).min(),
        Filter::Is(_) | Filter::Any(_) | Filter::Not(_) => None,
    }
}

/// Plans a query.
#[must_use]
pub fn plan(query: &RequestQuery) -> Plan {
    let ids = named_ids(query.filter());
    let bound = Bound::of(query.filter(), false);
    let tenant = query
        .tenant()
        .map(|tenant| Expr::Term(Term::named(Dimension::Tenant, tenant)));
    let mut expr = Expr::all([bound.expr].into_iter().chain(tenant));
    if ids.as_ref().is_some_and(BTreeSet::is_empty) {
        expr = Expr::Nothing;
    }
    Plan {
        exact: bound.exact || expr == Expr::Nothing,
        expr,
        ids,
        due_until: due_until(query.filter()),
    }
}

/// The ids every match has to be among.
fn named_ids(filter: &Filter) -> Option<BTreeSet<RequestId>> {
    match filter {
        Filter::Is(Condition::RequestIds(ids)) => Some(ids.clone()),
        Filter::All(parts) => parts
            .iter()
            .filter_map(named_ids)
            .reduce(|a, b| a.intersection(&b).copied().collect()),
        Filter::Is(_) | Filter::Any(_) | Filter::Not(_) => None,
    }
}

/// An expression that holds for every match of a filter; for nothing else if it is exact.
struct Bound {
    expr: Expr,
    exact: bool,
}

impl Bound {
    const UNKNOWN: Self = Self {
        expr: Expr::Everything,
        exact: false,
    };

    fn new(expr: Expr, exact: bool) -> Self {
        Self {
            exact: exact || expr == Expr::Nothing,
            expr,
        }
    }

    /// The bound of a filter or of its opposite. Negation is carried down to the conditions, where
    /// an exact bound can be turned round and any other tells nothing.
    fn of(filter: &Filter, negated: bool) -> Self {
        match filter {
            Filter::Is(condition) => {
                let bound = Self::of_condition(condition);
                match (negated, bound.exact) {
                    (false, _) => bound,
                    (true, true) => Self::new(bound.expr.negated(), true),
                    (true, false) => Self::UNKNOWN,
                }
            }
            Filter::Not(inner) => Self::of(inner, !negated),
            Filter::All(parts) if !negated => Self::all(parts, negated),
            Filter::Any(parts) if negated => Self::all(parts, negated),
            Filter::All(parts) | Filter::Any(parts) => Self::any(parts, negated),
        }
    }

    fn all(parts: &[Filter], negated: bool) -> Self {
        let mut exact = true;
        let parts = parts.iter().map(|part| {
            let bound = Self::of(part, negated);
            exact &= bound.exact;
            bound.expr
        });
        let expr = Expr::all(parts.collect::<Vec<_>>());
        Self::new(expr, exact)
    }

    fn any(parts: &[Filter], negated: bool) -> Self {
        let (mut exact, mut certain) = (true, false);
        let parts = parts.iter().map(|part| {
            let bound = Self::of(part, negated);
            exact &= bound.exact;
            certain |= bound.exact && bound.expr == Expr::Everything;
            bound.expr
        });
        let expr = Expr::any(parts.collect::<Vec<_>>());
        Self::new(expr, exact || certain)
    }

    fn of_condition(condition: &Condition) -> Self {
        use Dimension as D;
        let expr = match condition {
            Condition::StateIds(set) => named(D::StateId, set),
            Condition::StateTypes(set) => named(D::StateType, set),
            Condition::MutationTypes(set) => named(D::MutationType, set),
            Condition::Requesters(set) => named(D::Requester, set),
            Condition::Categories(set) => named(D::Category, set),
            Condition::Operations(set) => named(D::Operation, set),
            Condition::Risks(set) => fixed(D::Risk, set.iter().map(|v| v.as_str())),
            Condition::Tags(set) => named(D::Tag, set),
            Condition::BlastScope { min, max } => {
                let within = BlastScope::ALL.into_iter().filter(|scope| {
                    min.is_none_or(|min| min <= *scope) && max.is_none_or(|max| *scope <= max)
                });
                fixed(D::BlastScope, within.map(BlastScope::as_str))
            }
            Condition::Statuses(set) => fixed(D::Status, set.iter().map(|v| v.as_str())),
            Condition::PendingReasons(set) => {
                fixed(D::PendingReason, set.iter().map(|v| v.as_str()))
            }
            Condition::DecidedBy(set) => named(D::DecidedBy, set),
            Condition::DecisionCategories(set) => {
                fixed(D::DecisionCategory, set.iter().map(|v| v.as_str()))
            }
            Condition::Correlations(set) => named(D::Correlation, set),
            Condition::LinkedTo(set) => Expr::any(set.iter().map(Term::link).map(Expr::Term)),
            Condition::RequestIds(_)
            | Condition::RequesterNames(_)
            | Condition::IntentMetadata { .. }
            | Condition::RequestMetadata { .. }
            | Condition::DecisionCodes(_)
            | Condition::Created(_)
            | Condition::Updated(_)
            | Condition::Due(_)
            | Condition::ResultingVersions(_)
            | Condition::SideEffect(_)
            | Condition::Text(_)
            | Condition::DecidableBy(_) => return Self::new(wider(condition), false),
        };
        Self::new(expr, true)
    }
}

/// What terms tell about a condition they cannot decide.
fn wider(condition: &Condition) -> Expr {
    let unless_empty = |empty| {
        if empty {
            Expr::Nothing
        } else {
            Expr::Everything
        }
    };
    match condition {
        Condition::RequestIds(set) => unless_empty(set.is_empty()),
        Condition::RequesterNames(set) => unless_empty(set.is_empty()),
        Condition::ResultingVersions(set) => unless_empty(set.is_empty()),
        Condition::Created(range) | Condition::Updated(range) => unless_empty(range.is_empty()),
        Condition::Due(range) if range.is_empty() => Expr::Nothing,
        // What is final is due no more.
        Condition::Due(_) => {
            let live = Status::ALL.into_iter().filter(|s| !s.is_terminal());
            fixed(Dimension::Status, live.map(Status::as_str))
        }
        Condition::DecisionCodes(codes) => {
            let asked = DecisionCategory::ALL.into_iter().filter(|category| {
                let category = category.as_str();
                codes.iter().any(|code| {
                    code.split_once('.')
                        .is_some_and(|(family, _)| family == category)
                })
            });
            fixed(
                Dimension::DecisionCategory,
                asked.map(DecisionCategory::as_str),
            )
        }
        Condition::DecidableBy(person) => {
            let membership = &person.membership;
            let roles = membership.roles.iter();
            let groups = membership.groups.iter();
            Expr::any(
                [Term::named(Dimension::OpenActor, &person.actor)]
                    .into_iter()
                    .chain(roles.map(|role| Term::named(Dimension::OpenRole, role)))
                    .chain(groups.map(|group| Term::named(Dimension::OpenGroup, group)))
                    .map(Expr::Term),
            )
        }
        _ => Expr::Everything,
    }
}

fn named(dimension: Dimension, names: &BTreeSet<impl Shared>) -> Expr {
    let terms = names.iter().map(|name| Term::named(dimension, name));
    Expr::any(terms.map(Expr::Term))
}

fn fixed(dimension: Dimension, values: impl IntoIterator<Item = &'static str>) -> Expr {
    let terms = values
        .into_iter()
        .map(|value| Term::fixed(dimension, value));
    Expr::any(terms.map(Expr::Term))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Label, Risk};

    fn status(status: Status) -> Expr {
        Expr::Term(Term::fixed(Dimension::Status, status.as_str()))
    }

    fn tag(name: &str) -> Filter {
        Filter::Is(Condition::Tags([Label::new(name).unwrap()].into()))
    }

    fn planned(filter: Filter) -> Plan {
        plan(&RequestQuery::all_tenants().and(filter))
    }

    #[test]
    fn choices_of_one_dimension_are_cut() {
        let query = RequestQuery::all_tenants()
            .statuses([Status::Pending, Status::Approved])
            .statuses([Status::Approved, Status::Failed]);
        assert_eq!(*plan(&query).expr(), status(Status::Approved));
        let query = query.pending();
        assert_eq!(*plan(&query).expr(), Expr::Nothing);
        // A request may have several tags.
        let both = planned(tag("a").and(tag("b")));
        assert!(matches!(both.expr(), Expr::And(parts) if parts.len() == 2));
    }

    #[test]
    fn only_what_is_exact_is_turned_round() {
        let text = || Filter::Is(Condition::Text("x".to_owned()));
        assert_eq!(*planned(!text()).expr(), Expr::Everything);
        assert!(!planned(!text()).is_exact());
        let Expr::Not(inner) = planned(!tag("a")).expr().clone() else {
            panic!("an exact condition can be negated");
        };
        assert_eq!(inner, Box::new(Expr::Term(Term::new(Dimension::Tag, "a"))));
        // Not (a or text) is neither a nor text: the first half can be looked up.
        let neither = planned(!tag("a").or(text()));
        assert_eq!(*neither.expr(), Expr::Not(inner));
        assert!(!neither.is_exact());
    }

    #[test]
    fn trivial_parts_are_dropped() {
        let risks = Filter::Is(Condition::Risks([Risk::Low].into()));
        let term = Expr::Term(Term::fixed(Dimension::Risk, "low"));
        let nested = Filter::All(vec![
            Filter::everything(),
            Filter::Any(vec![risks.clone(), Filter::nothing(), risks]),
        ]);
        assert_eq!(*planned(nested).expr(), term);
        assert_eq!(*planned(Filter::everything()).expr(), Expr::Everything);
        assert!(planned(Filter::everything().or(tag("a"))).is_exact());
        assert_eq!(*planned(Filter::nothing()).expr(), Expr::Nothing);
    }

    #[test]
    fn ids_at_the_top_are_read_directly() {
        let id = |n| super::super::testing::id(0, 0, n);
        let all = RequestQuery::all_tenants;
        assert_eq!(plan(&all()).ids(), None);
        let two = all().ids([id(1), id(2)]).ids([id(2), id(3)]);
        assert_eq!(plan(&two).ids(), Some(&[id(2)].into()));
        assert_eq!(*plan(&two.ids([id(1)])).expr(), Expr::Nothing);
        let others = all().excluding(Filter::Is(Condition::RequestIds([id(1)].into())));
        assert_eq!(plan(&others).ids(), None);
    }
}
