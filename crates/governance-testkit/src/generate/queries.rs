//! Filters and queries.

use std::{collections::BTreeSet, sync::Arc};

use governance_core::{
    ApprovalQuery, BlastScope, Condition, DecisionCategory, DecisionQuery, Filter, MutationType,
    Order, PendingReason, RequestId, RequestQuery, RequirementStatus, Risk, Severity, StateVersion,
    Status, TimeRange, Timestamp,
    query::{ApprovalCondition, DecisionCondition, Person, SideEffectFilter},
};
use proptest::{collection::btree_set, option, prelude::*, sample::select};
use serde_json::json;

use super::world::{PEOPLE, STATES, TENANTS, id_of, membership, people, state_name, tenant_name};
use crate::fixtures::{correlation, group, label, role, state_type};

fn some<T: Ord + std::fmt::Debug>(
    n: usize,
    make: impl Fn(usize) -> T,
) -> impl Strategy<Value = BTreeSet<T>> {
    btree_set(0..n, 0..3).prop_map(move |set| set.into_iter().map(&make).collect())
}

fn names(n: usize, stem: &'static str) -> impl Strategy<Value = BTreeSet<String>> {
    some(n, move |i| format!("{stem}{i}"))
}

/// Spans of time around a beginning, up to a few minutes long, with ends or without.
pub fn ranges(begin: Timestamp) -> impl Strategy<Value = TimeRange> {
    let end = move || {
        let seconds = (-10_i64..240).prop_map(move |seconds| {
            Timestamp::from_micros(begin.as_micros() + seconds * 1_000_000)
        });
        option::of(seconds)
    };
    (end(), end()).prop_map(|(from, to)| TimeRange { from, to })
}

/// Conditions of every kind, on the world of this module and the given ids, around a beginning.
///
/// # Panics
///
/// Never: its own names are valid.
pub fn conditions(begin: Timestamp, ids: Vec<RequestId>) -> BoxedStrategy<Condition> {
    let ids = move || -> BoxedStrategy<BTreeSet<RequestId>> {
        if ids.is_empty() {
            Just(BTreeSet::new()).boxed()
        } else {
            btree_set(select(ids.clone()), 0..4).boxed()
        }
    };
    let scopes = || option::of(select(&BlastScope::ALL[..]));
    let values = || {
        select(vec![
            json!(1),
            json!(1.0),
            json!({"b": [1, {"x": null}], "a": 1.5}),
        ])
    };
    let effects = (
        option::of(some(3, |i| label(format!("mail-{i}")))),
        option::of(some(3, |i| label(format!("contract-of-mutation-{i}")))),
        option::of(some(2, |i| [Severity::Info, Severity::Critical][i])),
        option::of(any::<bool>()),
    );
    let effects = effects.prop_map(|(kinds, contracts, severities, action)| {
        let mut filter = SideEffectFilter::any();
        if let Some(kinds) = kinds {
            filter = filter.kinds(kinds);
        }
        if let Some(contracts) = contracts {
            filter = filter.contracts(contracts);
        }
        if let Some(severities) = severities {
            filter = filter.severities(severities);
        }
        match action {
            Some(yes) => filter.requires_action(yes),
            None => filter,
        }
    });
    let texts = vec!["", "\u{c4}RGER", "operation-1", "state-2", "ticket", "no"];
    prop_oneof![
        prop_oneof![
            ids().prop_map(Condition::RequestIds),
            ids().prop_map(Condition::LinkedTo),
            some(STATES + 1, state_name).prop_map(Condition::StateIds),
            some(3, |i| state_type(format!("type-{i}"))).prop_map(Condition::StateTypes),
            some(3, |i| MutationType::new(format!("mutation-{i}"))
                .expect("a valid name"))
            .prop_map(Condition::MutationTypes),
            some(PEOPLE, id_of).prop_map(Condition::Requesters),
            names(PEOPLE, "Name ").prop_map(Condition::RequesterNames),
            some(3, |i| label(format!("category-{i}"))).prop_map(Condition::Categories),
            some(3, |i| label(format!("Operation-{i}"))).prop_map(Condition::Operations),
        ],
        prop_oneof![
            some(4, |i| Risk::ALL[i]).prop_map(Condition::Risks),
            some(4, |i| label(format!("tag-{i}"))).prop_map(Condition::Tags),
            (scopes(), scopes()).prop_map(|(min, max)| Condition::BlastScope { min, max }),
            values().prop_map(|value| Condition::IntentMetadata {
                key: "n".to_owned(),
                value
            }),
            values().prop_map(|value| Condition::RequestMetadata {
                key: "nested".to_owned(),
                value
            }),
            some(Status::ALL.len(), |i| Status::ALL[i]).prop_map(Condition::Statuses),
            some(PendingReason::ALL.len(), |i| PendingReason::ALL[i])
                .prop_map(Condition::PendingReasons),
            some(PEOPLE, id_of).prop_map(Condition::DecidedBy),
            some(DecisionCategory::ALL.len(), |i| DecisionCategory::ALL[i])
                .prop_map(Condition::DecisionCategories),
        ],
        prop_oneof![
            codes().prop_map(Condition::DecisionCodes),
            ranges(begin).prop_map(Condition::Created),
            ranges(begin).prop_map(Condition::Updated),
            ranges(begin).prop_map(Condition::Due),
            some(3, |i| correlation(format!("work-{i}"))).prop_map(Condition::Correlations),
            some(11, |i| StateVersion::new(i as u64)).prop_map(Condition::ResultingVersions),
            effects.prop_map(Condition::SideEffect),
            select(texts).prop_map(|text| Condition::Text(text.to_owned())),
            people().prop_map(|i| Condition::DecidableBy(Arc::new(Person {
                actor: id_of(i),
                membership: membership(i)
            }))),
        ],
    ]
    .boxed()
}

fn codes() -> impl Strategy<Value = BTreeSet<String>> {
    let known = [
        "approval.granted",
        "approval.denied",
        "lifecycle.executed",
        "lifecycle.granted",
        "granted",
        "nonsense.granted",
    ];
    some(known.len(), move |i| known[i].to_owned())
}

/// Filters: conditions, all of them, any of them, none of them, nested.
pub fn filters(begin: Timestamp, ids: Vec<RequestId>) -> impl Strategy<Value = Filter> {
    conditions(begin, ids)
        .prop_map(Filter::Is)
        .prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
                inner.prop_map(|filter| !filter),
            ]
        })
}

/// Queries of one tenant or of all.
pub fn queries(begin: Timestamp, ids: Vec<RequestId>) -> impl Strategy<Value = RequestQuery> {
    let filters = prop::collection::vec(filters(begin, ids), 0..3);
    (option::of(0..TENANTS), filters).prop_map(|(tenant, filters)| {
        let query = match tenant {
            Some(i) => RequestQuery::in_tenant(tenant_name(i)),
            None => RequestQuery::all_tenants(),
        };
        filters.into_iter().fold(query, RequestQuery::and)
    })
}

/// Queries for approval requirements.
pub fn approval_queries(
    begin: Timestamp,
    ids: Vec<RequestId>,
) -> impl Strategy<Value = ApprovalQuery> {
    let statuses = select(vec![
        RequirementStatus::Open,
        RequirementStatus::Satisfied,
        RequirementStatus::Denied,
        RequirementStatus::Expired,
    ]);
    let condition = prop_oneof![
        btree_set(statuses, 0..3).prop_map(ApprovalCondition::Statuses),
        some(PEOPLE, id_of).prop_map(ApprovalCondition::Actors),
        some(2, |i| role(["lead", "auditor"][i])).prop_map(ApprovalCondition::Roles),
        some(2, |i| group(["security", "operations"][i])).prop_map(ApprovalCondition::Groups),
        btree_set(1_u16..4, 0..3).prop_map(ApprovalCondition::Stages),
    ];
    let conditions = prop::collection::vec(condition, 0..3);
    (queries(begin, ids), conditions).prop_map(|(requests, conditions)| {
        let query = ApprovalQuery::of(requests);
        conditions.into_iter().fold(query, ApprovalQuery::and)
    })
}

/// Queries for decisions.
pub fn decision_queries(
    begin: Timestamp,
    ids: Vec<RequestId>,
) -> impl Strategy<Value = DecisionQuery> {
    let condition = prop_oneof![
        some(DecisionCategory::ALL.len(), |i| DecisionCategory::ALL[i])
            .prop_map(DecisionCondition::Categories),
        codes().prop_map(DecisionCondition::Codes),
        some(PEOPLE, id_of).prop_map(DecisionCondition::Actors),
        names(PEOPLE, "Name ").prop_map(DecisionCondition::Names),
        ranges(begin).prop_map(DecisionCondition::At),
        some(Status::ALL.len(), |i| Status::ALL[i]).prop_map(DecisionCondition::Statuses),
    ];
    let conditions = prop::collection::vec(condition, 0..3);
    (queries(begin, ids), conditions).prop_map(|(requests, conditions)| {
        let query = DecisionQuery::of(requests);
        conditions.into_iter().fold(query, DecisionQuery::and)
    })
}

/// Every order.
pub fn orders() -> impl Strategy<Value = Order> {
    select(&Order::ALL[..])
}
