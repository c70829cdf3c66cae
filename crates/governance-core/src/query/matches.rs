//! Whether a request is one a query asks for.

use std::collections::BTreeSet;

use super::{
    filter::{Condition, Filter, SideEffectFilter},
    request_query::RequestQuery,
    terms::is_vote,
};
use crate::{
    context::Reason, decision::DecisionKind, effects::SideEffect, ids::Timestamp,
    intent::BlastRadius, request::MutationRequest,
};

/// Whether the request is one the query asks for. This is what every condition means; stores
/// check with it whatever their indexes find.
#[must_use]
pub fn matches(query: &RequestQuery, request: &MutationRequest, now: Timestamp) -> bool {
    query
        .tenant()
        .is_none_or(|tenant| *tenant == request.proposal().scope().tenant)
        && passes(query.filter(), request, now)
}

fn passes(filter: &Filter, request: &MutationRequest, now: Timestamp) -> bool {
    match filter {
        Filter::Is(condition) => holds(condition, request, now),
        Filter::All(parts) => parts.iter().all(|part| passes(part, request, now)),
        Filter::Any(parts) => parts.iter().any(|part| passes(part, request, now)),
        Filter::Not(inner) => !passes(inner, request, now),
    }
}

fn holds(condition: &Condition, request: &MutationRequest, now: Timestamp) -> bool {
    let proposal = request.proposal();
    let (scope, intent) = (proposal.scope(), proposal.intent());
    let decisions = request.decisions();
    match condition {
        Condition::RequestIds(set) => set.contains(request.id()),
        Condition::StateIds(set) => set.contains(&scope.state_id),
        Condition::StateTypes(set) => set.contains(&scope.state_type),
        Condition::MutationTypes(set) => set.contains(proposal.payload().mutation()),
        Condition::Requesters(set) => set.contains(proposal.requester().id()),
        Condition::RequesterNames(set) => {
            proposal.requester().name().is_some_and(|n| set.contains(n))
        }
        Condition::Categories(set) => set.contains(intent.category()),
        Condition::Operations(set) => set.contains(intent.operation()),
        Condition::Risks(set) => set.contains(&intent.risk_level()),
        Condition::Tags(set) => !set.is_disjoint(intent.tags()),
        Condition::BlastScope { min, max } => {
            intent
                .radius()
                .map(BlastRadius::scope)
                .is_some_and(|scope| {
                    min.is_none_or(|min| min <= scope) && max.is_none_or(|max| scope <= max)
                })
        }
        Condition::IntentMetadata { key, value } => intent.metadata().get(key) == Some(value),
        Condition::RequestMetadata { key, value } => proposal.metadata().get(key) == Some(value),
        Condition::Statuses(set) => set.contains(&request.status()),
        Condition::PendingReasons(set) => {
            request.pending_reasons().iter().any(|r| set.contains(&r))
        }
        Condition::DecidedBy(set) => decisions
            .iter()
            .any(|d| is_vote(d.kind()) && set.contains(d.actor().id())),
        Condition::DecisionCategories(set) => {
            decisions.iter().any(|d| set.contains(&d.kind().category()))
        }
        Condition::DecisionCodes(set) => decisions.iter().any(|d| has_code(d.kind(), set)),
        Condition::Created(range) => range.contains(request.created_at()),
        Condition::Updated(range) => range.contains(request.updated_at()),
        Condition::Due(range) => request.due_at().is_some_and(|at| range.contains(at)),
        Condition::Correlations(set) => proposal.correlation().is_some_and(|c| set.contains(c)),
        Condition::LinkedTo(set) => request.links().iter().any(|id| set.contains(id)),
        Condition::ResultingVersions(set) => {
            let version = request.execution().version_after();
            version.is_some_and(|version| set.contains(&version))
        }
        Condition::SideEffect(wanted) => {
            let mut effects = request.execution().side_effects().iter();
            effects.any(|effect| is_like(wanted, effect))
        }
        Condition::Text(text) => {
            let wanted = folded(text);
            [
                request.reason().map(Reason::as_str),
                Some(intent.operation().as_str()),
                intent.description(),
                Some(scope.state_id.as_str()),
            ]
            .into_iter()
            .flatten()
            .any(|text| folded(text).contains(&wanted))
        }
        Condition::DecidableBy(person) => request
            .can_decide(&person.actor, &person.membership, now)
            .is_ok(),
    }
}

/// Whether the decision has one of the codes, written `category.code`.
pub(super) fn has_code(kind: &DecisionKind, codes: &BTreeSet<String>) -> bool {
    !codes.is_empty() && codes.contains(&kind.to_string())
}

fn is_like(wanted: &SideEffectFilter, effect: &SideEffect) -> bool {
    let contract = effect.contract().map(|contract| &contract.name);
    wanted
        .kinds
        .as_ref()
        .is_none_or(|set| set.contains(effect.kind()))
        && wanted
            .contracts
            .as_ref()
            .is_none_or(|set| contract.is_some_and(|name| set.contains(name)))
        && wanted
            .severities
            .as_ref()
            .is_none_or(|set| set.contains(&effect.severity_level()))
        && wanted
            .requires_action
            .is_none_or(|yes| yes == effect.requires_action())
}

/// The text in lower case, letter by letter, so a part of a text folds to a part of its folding.
fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}
