//! Which requests a caller asks for.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::filter::{Condition, Filter, FilterError, Person, SideEffectFilter, TimeRange};
use crate::{
    approval::Membership,
    decision::DecisionCategory,
    ids::{
        ActorId, CorrelationId, Digest, Label, MutationType, RequestId, StateId, StateType,
        StateVersion, TenantId, Timestamp,
    },
    intent::{BlastScope, Risk},
    pending::PendingReason,
    status::Status,
};

/// Which requests a caller asks for: those of a tenant that pass a filter.
///
/// Every method narrows: each condition is added to those before it, and no method, presets
/// included, takes one away. A query that is given the same condition twice means both.
///
/// ```
/// use governance_core::{RequestQuery, Risk, TenantId};
///
/// let query = RequestQuery::in_tenant(TenantId::new("acme")?)
///     .approval_queue()
///     .risks([Risk::High, Risk::Critical]);
/// query.check()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantId>,
    filter: Filter,
    #[serde(skip)]
    problem: Option<FilterError>,
}

impl RequestQuery {
    /// Every request of a tenant.
    #[must_use]
    pub const fn in_tenant(tenant: TenantId) -> Self {
        Self {
            tenant: Some(tenant),
            filter: Filter::everything(),
            problem: None,
        }
    }

    /// Every request of every tenant. For operators and maintenance: a caller's query names the
    /// caller's tenant.
    #[must_use]
    pub const fn all_tenants() -> Self {
        Self {
            tenant: None,
            filter: Filter::everything(),
            problem: None,
        }
    }

    /// The tenant, unless the query is for all of them.
    #[must_use]
    pub const fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// The filter.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Checks that the filter is within bounds. Stores call this first. A query that is not
    /// matches nothing.
    ///
    /// # Errors
    ///
    /// [`FilterError`] names the bound that was broken first.
    pub const fn check(&self) -> Result<(), FilterError> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    /// Digest of the query, which ties cursors to it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_value(self).unwrap_or(Digest::ZERO)
    }

    /// Only those the filter matches.
    #[must_use]
    pub fn and(mut self, filter: Filter) -> Self {
        if self.problem.is_none() {
            self.filter = self.filter.and(filter);
            if let Err(problem) = self.filter.check() {
                self.filter = Filter::nothing();
                self.problem = Some(problem);
            }
        }
        self
    }

    /// Only those the filter does not match.
    #[must_use]
    pub fn excluding(self, filter: Filter) -> Self {
        self.and(!filter)
    }

    fn is(self, condition: Condition) -> Self {
        self.and(Filter::Is(condition))
    }

    // ---- scope ----

    /// Only these.
    #[must_use]
    pub fn ids(self, ids: impl IntoIterator<Item = RequestId>) -> Self {
        self.is(Condition::RequestIds(ids.into_iter().collect()))
    }

    /// Only those about one of these states.
    #[must_use]
    pub fn states(self, states: impl IntoIterator<Item = StateId>) -> Self {
        self.is(Condition::StateIds(states.into_iter().collect()))
    }

    /// Only those about one of these kinds of state.
    #[must_use]
    pub fn state_types(self, types: impl IntoIterator<Item = StateType>) -> Self {
        self.is(Condition::StateTypes(types.into_iter().collect()))
    }

    /// Only these kinds of mutation.
    #[must_use]
    pub fn mutation_types(self, types: impl IntoIterator<Item = MutationType>) -> Self {
        self.is(Condition::MutationTypes(types.into_iter().collect()))
    }

    /// Only those one of these asked for.
    #[must_use]
    pub fn requesters(self, actors: impl IntoIterator<Item = ActorId>) -> Self {
        self.is(Condition::Requesters(actors.into_iter().collect()))
    }

    /// Only those somebody with one of these display names asked for.
    #[must_use]
    pub fn requester_names<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.is(Condition::RequesterNames(names))
    }

    /// Only those of one of these pieces of work.
    #[must_use]
    pub fn correlations(self, ids: impl IntoIterator<Item = CorrelationId>) -> Self {
        self.is(Condition::Correlations(ids.into_iter().collect()))
    }

    /// Only those linked to one of these requests.
    #[must_use]
    pub fn linked_to(self, ids: impl IntoIterator<Item = RequestId>) -> Self {
        self.is(Condition::LinkedTo(ids.into_iter().collect()))
    }

    /// Only those with this entry of their requester's data.
    #[must_use]
    pub fn request_metadata(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.is(Condition::RequestMetadata {
            key: key.into(),
            value: value.into(),
        })
    }

    // ---- intent ----

    /// Only these categories.
    #[must_use]
    pub fn categories(self, categories: impl IntoIterator<Item = Label>) -> Self {
        self.is(Condition::Categories(categories.into_iter().collect()))
    }

    /// Only these operations.
    #[must_use]
    pub fn operations(self, operations: impl IntoIterator<Item = Label>) -> Self {
        self.is(Condition::Operations(operations.into_iter().collect()))
    }

    /// Only these risks.
    #[must_use]
    pub fn risks(self, risks: impl IntoIterator<Item = Risk>) -> Self {
        self.is(Condition::Risks(risks.into_iter().collect()))
    }

    /// Only those with one of these tags.
    #[must_use]
    pub fn tags_any(self, tags: impl IntoIterator<Item = Label>) -> Self {
        self.is(Condition::Tags(tags.into_iter().collect()))
    }

    /// Only those with all of these tags. Everything has all of no tags.
    #[must_use]
    pub fn tags_all(self, tags: impl IntoIterator<Item = Label>) -> Self {
        let each = |tag| Filter::Is(Condition::Tags([tag].into()));
        self.and(Filter::All(tags.into_iter().map(each).collect()))
    }

    /// Only those that reach at least and at most this far.
    #[must_use]
    pub fn blast_scope(self, min: Option<BlastScope>, max: Option<BlastScope>) -> Self {
        self.is(Condition::BlastScope { min, max })
    }

    /// Only those whose intent has this entry of free data.
    #[must_use]
    pub fn intent_metadata(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.is(Condition::IntentMetadata {
            key: key.into(),
            value: value.into(),
        })
    }

    /// Only those with this text in reason, operation, description or state id.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.is(Condition::Text(text.into()))
    }

    // ---- lifecycle ----

    /// Only these statuses.
    #[must_use]
    pub fn statuses(self, statuses: impl IntoIterator<Item = Status>) -> Self {
        self.is(Condition::Statuses(statuses.into_iter().collect()))
    }

    /// Only those that wait for one of these.
    #[must_use]
    pub fn pending_reasons(self, reasons: impl IntoIterator<Item = PendingReason>) -> Self {
        self.is(Condition::PendingReasons(reasons.into_iter().collect()))
    }

    /// Only those submitted in this span.
    #[must_use]
    pub fn created(self, range: TimeRange) -> Self {
        self.is(Condition::Created(range))
    }

    /// Only those last written in this span.
    #[must_use]
    pub fn updated(self, range: TimeRange) -> Self {
        self.is(Condition::Updated(range))
    }

    /// Only those whose next deadline is in this span.
    #[must_use]
    pub fn due(self, range: TimeRange) -> Self {
        self.is(Condition::Due(range))
    }

    /// Only those with a deadline that has come by then.
    #[must_use]
    pub fn due_by(self, at: Timestamp) -> Self {
        self.due(TimeRange::until(at))
    }

    /// Only those that made one of these versions of their state.
    #[must_use]
    pub fn resulting_versions(self, versions: impl IntoIterator<Item = StateVersion>) -> Self {
        self.is(Condition::ResultingVersions(versions.into_iter().collect()))
    }

    /// Only those with a side effect like this.
    #[must_use]
    pub fn side_effect(self, effect: SideEffectFilter) -> Self {
        self.is(Condition::SideEffect(effect))
    }

    // ---- decisions ----

    /// Only those one of these voted on.
    #[must_use]
    pub fn decided_by(self, actors: impl IntoIterator<Item = ActorId>) -> Self {
        self.is(Condition::DecidedBy(actors.into_iter().collect()))
    }

    /// Only those with a decision of one of these families.
    #[must_use]
    pub fn decision_categories(
        self,
        categories: impl IntoIterator<Item = DecisionCategory>,
    ) -> Self {
        let categories = categories.into_iter().collect();
        self.is(Condition::DecisionCategories(categories))
    }

    /// Only those with a decision of one of these codes, written `category.code`.
    #[must_use]
    pub fn decision_codes<C: Into<String>>(self, codes: impl IntoIterator<Item = C>) -> Self {
        let codes = codes.into_iter().map(Into::into).collect();
        self.is(Condition::DecisionCodes(codes))
    }

    /// Only those this person can decide now: a vote for or against would be accepted. The
    /// membership comes from the directory, never from the person.
    #[must_use]
    pub fn decidable_by(self, actor: ActorId, membership: Membership) -> Self {
        self.is(Condition::DecidableBy(Arc::new(Person {
            actor,
            membership,
        })))
    }

    // ---- presets ----

    /// Only pending ones.
    #[must_use]
    pub fn pending(self) -> Self {
        self.statuses([Status::Pending])
    }

    /// Only those that wait for approvals.
    #[must_use]
    pub fn approval_queue(self) -> Self {
        self.pending().pending_reasons([PendingReason::Approval])
    }

    /// Only those that were approved by people and are approved or executed now.
    #[must_use]
    pub fn recently_approved(self) -> Self {
        self.statuses([Status::Approved, Status::Executed])
            .decision_categories([DecisionCategory::Approval])
    }

    /// Only those that came to an end or failed.
    #[must_use]
    pub fn recent_outcomes(self) -> Self {
        self.statuses(outcomes())
    }
}

/// The statuses an outcome can have: the final ones, and failed.
pub(super) fn outcomes() -> impl Iterator<Item = Status> {
    Status::ALL
        .into_iter()
        .filter(|status| status.is_terminal() || *status == Status::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d58_tenant_is_part_of_every_query() {
        let acme = RequestQuery::in_tenant(TenantId::new("acme").unwrap()).pending();
        let other = RequestQuery::in_tenant(TenantId::new("other").unwrap()).pending();
        assert_eq!(acme.tenant().unwrap().as_str(), "acme");
        assert_ne!(acme.digest(), other.digest());
        assert_ne!(
            acme.digest(),
            RequestQuery::all_tenants().pending().digest()
        );
    }

    #[test]
    fn a_digest_tells_queries_apart_and_is_repeatable() {
        let query = || RequestQuery::in_tenant(TenantId::default()).risks([Risk::High]);
        assert_eq!(query().digest(), query().digest());
        assert_ne!(query().digest(), query().risks([Risk::High]).digest());
        let filter = Filter::Is(Condition::Risks([Risk::High].into()));
        let without = RequestQuery::in_tenant(TenantId::default()).excluding(filter);
        assert_ne!(query().digest(), without.digest());
    }

    #[test]
    fn a_query_over_the_bounds_is_an_error_and_matches_nothing() {
        let large = Filter::Any(vec![Filter::everything(); Filter::MAX_PARTS]);
        let query = RequestQuery::all_tenants().and(large).pending();
        assert_eq!(query.check(), Err(FilterError::TooManyParts));
        assert_eq!(*query.filter(), Filter::nothing());
    }
}
