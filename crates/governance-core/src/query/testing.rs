//! Generated requests and queries for tests.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use proptest::prelude::*;
use serde_json::json;

use super::{Condition, Filter, Person, RequestQuery, SideEffectFilter, TimeRange};
use crate::{
    Act, Actor, ActorId, ApprovalRules, BlastRadius, BlastScope, Context, CorrelationId,
    DataContract, DecisionCategory, Denial, Distinct, Draft, Failure, Group, Intent, Judgement,
    Label, Membership, MutationRequest, MutationType, OperationId, Payload, PendingReason,
    Proposal, Reason, RequestError, RequestId, Requirement, Risk, Role, Scope, Selector,
    SelfApproval, Severity, SideEffect, StateId, StateType, StateVersion, Status, TenantId,
    Timestamp, Verdict,
};

pub(super) const PEOPLE: usize = 6;

pub(super) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(super) fn label(name: &str, i: usize) -> Label {
    Label::new(format!("{name}-{i}")).unwrap()
}

pub(super) fn tenant(i: usize) -> TenantId {
    TenantId::new(format!("tenant-{i}")).unwrap()
}

pub(super) fn state(i: usize) -> StateId {
    StateId::new(format!("State-{i}")).unwrap()
}

pub(super) fn correlation(i: usize) -> CorrelationId {
    CorrelationId::new(format!("work-{i}")).unwrap()
}

pub(super) fn actor_id(i: usize) -> ActorId {
    ActorId::new(format!("person-{i}")).unwrap()
}

fn actor(i: usize) -> Actor {
    let actor = Actor::user(actor_id(i)).unwrap();
    if i.is_multiple_of(2) {
        actor.named(format!("Name {i}"))
    } else {
        actor
    }
}

pub(super) fn role(i: usize) -> Role {
    Role::new(format!("role-{i}")).unwrap()
}

pub(super) fn group(i: usize) -> Group {
    Group::new(format!("group-{i}")).unwrap()
}

/// What the directory knows about everybody.
pub(super) fn membership(i: usize) -> Membership {
    match i {
        0 => Membership::default(),
        1 => Membership::default().role(role(0)),
        2 => Membership::default().role(role(0)).group(group(0)),
        3 => Membership::default().group(group(0)).role(role(1)),
        4 => Membership::default().role(role(0)).acting_for(actor_id(0)),
        _ => Membership::default().group(group(1)).role(role(1)),
    }
}

fn selector(i: usize) -> Selector {
    match i {
        0 => Selector::role(role(0)),
        1 => Selector::role(role(1)),
        2 => Selector::group(group(0)),
        3 => Selector::role(role(0)).and(Selector::group(group(0))),
        4 => Selector::role(role(0)).or(Selector::group(group(1))),
        _ => Selector::AnyOf((0..PEOPLE).map(actor_id).map(Selector::actor).collect()),
    }
}

pub(super) fn id(tenant_no: usize, state_no: usize, seed: u8) -> RequestId {
    let slot = crate::Slot::of(&tenant(tenant_no), &state(state_no));
    RequestId::new(at(0), slot, [seed; 10])
}

pub(super) fn reason() -> Reason {
    Reason::new("because of ticket 12").unwrap()
}

pub(super) fn act(who: usize, time: i64) -> Act {
    let mut operation = [0; 16];
    operation[8..].copy_from_slice(&time.to_be_bytes());
    Act::new(
        Context::of(&actor(who)),
        at(time),
        OperationId::from_bytes(operation),
    )
}

/// A request about to be handed in, as small numbers.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) tenant: usize,
    pub(super) state: usize,
    pub(super) kind: usize,
    pub(super) risk: usize,
    pub(super) tags: BTreeSet<usize>,
    pub(super) scope: Option<usize>,
    pub(super) requester: usize,
    pub(super) extras: bool,
    pub(super) deadline: Option<i64>,
    pub(super) seed: u8,
    pub(super) judgement: usize,
    pub(super) requirements: Vec<(u16, u16, usize, u16, Option<u8>)>,
    pub(super) distinct: bool,
    pub(super) self_approval: bool,
}

impl Spec {
    pub(super) fn plain() -> Self {
        Self {
            tenant: 0,
            state: 0,
            kind: 0,
            risk: 0,
            tags: BTreeSet::new(),
            scope: None,
            requester: 0,
            extras: false,
            deadline: None,
            seed: 0,
            judgement: 2,
            requirements: vec![(1, 1, 0, 1, None)],
            distinct: true,
            self_approval: false,
        }
    }

    pub(super) fn rules(&self) -> ApprovalRules {
        let requirements = self.requirements.iter().enumerate().map(
            |(i, (stage, seats, from, denials, lifetime))| {
                let requirement = Requirement::seats(format!("r{i}"), *seats, selector(*from))
                    .unwrap()
                    .in_stage(*stage)
                    .denied_by(*denials);
                match lifetime {
                    Some(micros) => {
                        requirement.expires_in(Duration::from_micros(u64::from(*micros) + 1))
                    }
                    None => requirement,
                }
            },
        );
        let rules = ApprovalRules::new(requirements).unwrap();
        let rules = if self.distinct {
            rules
        } else {
            rules.distinct(Distinct::Requirement)
        };
        if self.self_approval {
            rules.self_approval(SelfApproval::Allow)
        } else {
            rules
        }
    }

    pub(super) fn submit(&self) -> MutationRequest {
        let mut intent = Intent::new(
            label("Operation", self.kind).as_str(),
            label("category", self.kind).as_str(),
        )
        .unwrap()
        .risk(Risk::ALL[self.risk]);
        for tag in &self.tags {
            intent = intent.tag(label("tag", *tag)).unwrap();
        }
        if let Some(scope) = self.scope {
            intent = intent.blast_radius(BlastRadius::new(BlastScope::ALL[scope]));
        }
        let mut submission = act(self.requester, 0);
        if self.extras {
            intent = intent.described("Ärger avoided").with_metadata("n", 1);
            let context = Context::of(&actor(self.requester))
                .correlation(correlation(self.kind))
                .metadata("nested", json!({"b": [1, {"x": null}], "a": 1.5}));
            submission = Act::new(context, at(0), submission.operation).because(reason());
        }
        let scope = Scope {
            tenant: tenant(self.tenant),
            state_type: StateType::new(format!("type-{}", self.kind)).unwrap(),
            state_id: state(self.state),
        };
        let mutation = MutationType::new(format!("mutation-{}", self.kind)).unwrap();
        let proposal = Proposal::new(
            id(self.tenant, self.state, self.seed),
            scope,
            Payload::encode(mutation, 1, &7).unwrap(),
            intent,
            StateVersion::new(3),
            &submission,
        );
        let judgement = match self.judgement {
            0 => Judgement::allowed(Vec::new()),
            1 => Judgement::denied(Vec::new()),
            _ => Judgement::required(self.rules(), Vec::new()),
        };
        MutationRequest::submit(proposal, &judgement, self.deadline.map(at), &submission).unwrap()
    }
}

/// One act on a request.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Vote(usize, Verdict),
    Withdraw(usize),
    Cancel,
    Expire,
    TakePlaceOf(u8),
    Complete,
    Fail,
    Retry,
    Deadline(Option<i64>),
    Reason(usize),
    Renew,
}

/// Takes the step if the request allows it.
pub(super) fn take(
    request: &MutationRequest,
    step: &Step,
    spec: &Spec,
    time: i64,
) -> Result<MutationRequest, RequestError> {
    let who = match step {
        Step::Vote(who, _) | Step::Withdraw(who) => *who,
        _ => 5,
    };
    let mut draft: Draft = request.draft(act(who, time));
    match step {
        Step::Vote(who, Verdict::Approve) => draft.approve(membership(*who), reason())?,
        Step::Vote(who, _) => {
            draft.deny(membership(*who), reason(), &Denial::because("no good"))?;
        }
        Step::Withdraw(_) => draft.withdraw(reason())?,
        Step::Cancel => draft.cancel(reason())?,
        Step::Expire => draft.expire()?,
        Step::TakePlaceOf(seed) => draft.take_place_of(id(0, 0, *seed), reason())?,
        Step::Complete => {
            let contract = DataContract {
                name: label("contract", spec.kind),
                version: 1,
            };
            let effects = vec![
                SideEffect::new(label("mail", 0), "tell").with_data(contract, 1),
                SideEffect::new(label("mail", 1), "ask").severity(Severity::Critical),
            ];
            draft.complete(
                StateVersion::new(3),
                StateVersion::new(4),
                Vec::new(),
                effects,
            )?;
        }
        Step::Fail => draft.fail(Failure {
            code: label("broken", 0),
            message: "broken".to_owned(),
            retryable: true,
        })?,
        Step::Retry => draft.retry(reason())?,
        Step::Deadline(to) => draft.amend_deadline(to.map(at), reason())?,
        Step::Reason(words) => {
            draft.amend_reason(Reason::new("words ".repeat(*words)).unwrap())?;
        }
        Step::Renew => {
            let judgement = Judgement::required(spec.rules(), Vec::new());
            draft.renew(StateVersion::new(9), &judgement)?;
        }
    }
    Ok(draft.finish())
}

pub(super) fn specs() -> impl Strategy<Value = Spec> {
    let requirement = (
        1_u16..4,
        1_u16..3,
        0_usize..6,
        1_u16..3,
        prop::option::of(any::<u8>()),
    );
    let what = (
        0_usize..2,
        0_usize..3,
        0_usize..2,
        0_usize..4,
        prop::collection::btree_set(0_usize..3, 0..3),
        prop::option::of(0_usize..4),
    );
    let who = (
        0_usize..PEOPLE,
        any::<bool>(),
        prop::option::of(1_i64..120),
        0_u8..3,
    );
    let rules = (
        prop_oneof![1 => Just(0_usize), 1 => Just(1), 6 => Just(2)],
        prop::collection::vec(requirement, 1..4),
        any::<bool>(),
        any::<bool>(),
    );
    (what, who, rules).prop_map(
        |(
            (tenant, state, kind, risk, tags, scope),
            (requester, extras, deadline, seed),
            (judgement, requirements, distinct, self_approval),
        )| Spec {
            tenant,
            state,
            kind,
            risk,
            tags,
            scope,
            requester,
            extras,
            deadline,
            seed,
            judgement,
            requirements,
            distinct,
            self_approval,
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..PEOPLE).prop_map(|who| Step::Vote(who, Verdict::Approve)),
        2 => (0..PEOPLE).prop_map(|who| Step::Vote(who, Verdict::Deny)),
        1 => (0..PEOPLE).prop_map(Step::Withdraw),
        1 => Just(Step::Cancel),
        1 => Just(Step::Expire),
        1 => (0_u8..3).prop_map(Step::TakePlaceOf),
        2 => Just(Step::Complete),
        1 => Just(Step::Fail),
        1 => Just(Step::Retry),
        1 => prop::option::of(1_i64..150).prop_map(Step::Deadline),
        1 => (1_usize..600).prop_map(Step::Reason),
        1 => Just(Step::Renew),
    ]
}

/// Every form a generated request had, oldest first, and the time of the last.
pub(super) fn lives() -> impl Strategy<Value = (Spec, Vec<MutationRequest>, i64)> {
    (specs(), prop::collection::vec((steps(), 0_i64..15), 0..9)).prop_map(|(spec, steps)| {
        let mut forms = vec![spec.submit()];
        let mut time = 0;
        for (step, wait) in steps {
            time += wait;
            if let Ok(next) = take(&forms[forms.len() - 1], &step, &spec, time) {
                forms.push(next);
            }
        }
        (spec, forms, time)
    })
}

fn some<T: Ord + std::fmt::Debug>(
    n: usize,
    make: impl Fn(usize) -> T,
) -> impl Strategy<Value = BTreeSet<T>> {
    prop::collection::btree_set(0..n, 0..3)
        .prop_map(move |set| set.into_iter().map(&make).collect())
}

fn ranges() -> impl Strategy<Value = TimeRange> {
    let end = || prop::option::of((-1_i64..100).prop_map(at));
    (end(), end()).prop_map(|(from, to)| TimeRange { from, to })
}

fn ids() -> impl Strategy<Value = BTreeSet<RequestId>> {
    prop::collection::btree_set((0_usize..2, 0_usize..3, 0_u8..3), 0..6)
        .prop_map(|set| set.into_iter().map(|(t, s, n)| id(t, s, n)).collect())
}

fn conditions() -> BoxedStrategy<Condition> {
    let codes = [
        "approval.granted",
        "approval.denied",
        "lifecycle.executed",
        "lifecycle.granted",
        "granted",
        "nonsense.granted",
    ];
    let scopes = || prop::option::of(prop::sample::select(&BlastScope::ALL[..]));
    let values = || prop::sample::select(vec![json!(1), json!(1.0), json!({"a": 1.5})]);
    let effects = (
        prop::option::of(some(2, |i| label("mail", i))),
        prop::option::of(some(2, |i| label("contract", i))),
        prop::option::of(some(2, |i| [Severity::Info, Severity::Critical][i])),
        prop::option::of(any::<bool>()),
    );
    prop_oneof![
        prop_oneof![
            ids().prop_map(Condition::RequestIds),
            ids().prop_map(Condition::LinkedTo),
            some(4, state).prop_map(Condition::StateIds),
            some(3, |i| StateType::new(format!("type-{i}")).unwrap())
                .prop_map(Condition::StateTypes),
            some(3, |i| MutationType::new(format!("mutation-{i}")).unwrap())
                .prop_map(Condition::MutationTypes),
            some(PEOPLE, actor_id).prop_map(Condition::Requesters),
            some(PEOPLE, |i| format!("Name {i}")).prop_map(Condition::RequesterNames),
            some(3, |i| label("category", i)).prop_map(Condition::Categories),
            some(3, |i| label("Operation", i)).prop_map(Condition::Operations),
        ],
        prop_oneof![
            some(4, |i| Risk::ALL[i]).prop_map(Condition::Risks),
            some(4, |i| label("tag", i)).prop_map(Condition::Tags),
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
            some(1, |i| PendingReason::ALL[i]).prop_map(Condition::PendingReasons),
            some(PEOPLE, actor_id).prop_map(Condition::DecidedBy),
            some(6, |i| DecisionCategory::ALL[i]).prop_map(Condition::DecisionCategories),
        ],
        prop_oneof![
            some(codes.len(), move |i| codes[i].to_owned()).prop_map(Condition::DecisionCodes),
            ranges().prop_map(Condition::Created),
            ranges().prop_map(Condition::Updated),
            ranges().prop_map(Condition::Due),
            some(3, correlation).prop_map(Condition::Correlations),
            some(6, |i| StateVersion::new(i as u64)).prop_map(Condition::ResultingVersions),
            effects.prop_map(|(kinds, contracts, severities, requires_action)| {
                Condition::SideEffect(SideEffectFilter {
                    kinds,
                    contracts,
                    severities,
                    requires_action,
                })
            }),
            prop::sample::select(vec!["", "ÄRGER", "operation-1", "state-2", "ticket", "no"])
                .prop_map(|text| Condition::Text(text.to_owned())),
            (0..PEOPLE).prop_map(|i| Condition::DecidableBy(Arc::new(Person {
                actor: actor_id(i),
                membership: membership(i)
            }))),
        ],
    ]
    .boxed()
}

pub(super) fn filters() -> impl Strategy<Value = Filter> {
    conditions()
        .prop_map(Filter::Is)
        .prop_recursive(4, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
                prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
                inner.prop_map(|filter| Filter::Not(Box::new(filter))),
            ]
        })
}

pub(super) fn queries() -> impl Strategy<Value = RequestQuery> {
    (
        prop::option::of(0_usize..2),
        prop::collection::vec(filters(), 0..3),
    )
        .prop_map(|(tenant_no, filters)| {
            let query = match tenant_no {
                Some(i) => RequestQuery::in_tenant(tenant(i)),
                None => RequestQuery::all_tenants(),
            };
            filters.into_iter().fold(query, RequestQuery::and)
        })
}
