//! Requests as they are at submission.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use governance_core::{
    Act, ApprovalRules, BlastRadius, BlastScope, Context, Distinct, Intent, Judgement,
    MutationRequest, MutationType, OperationId, Payload, Proposal, RequestId, Requirement, Risk,
    Selector, SelfApproval, StateVersion, Timestamp,
};
use proptest::{collection::btree_set, option, prelude::*};
use serde_json::json;

use super::world::{PEOPLE, STATES, TENANTS, id_of, people, person, scope_of};
use crate::fixtures::{correlation, group, key, reason, role};

/// A requirement, as small numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequirementSpec {
    /// Its stage, from 1.
    pub stage: u16,
    /// Its seats.
    pub seats: u16,
    /// Who may fill them, one of six selectors.
    pub selector: usize,
    /// How many denials reject.
    pub denials: u16,
    /// How long it may stay open, in seconds.
    pub lifetime: Option<u16>,
}

fn selector(i: usize) -> Selector {
    let lead = || Selector::role(role("lead"));
    let security = || Selector::group(group("security"));
    match i {
        0 => lead(),
        1 => Selector::role(role("auditor")),
        2 => security(),
        3 => lead().and(security()),
        4 => lead().or(Selector::group(group("operations"))),
        _ => Selector::AnyOf((0..PEOPLE).map(id_of).map(Selector::Actor).collect()),
    }
}

impl RequirementSpec {
    fn requirement(&self, i: usize) -> Requirement {
        let requirement = Requirement::seats(format!("r{i}"), self.seats, selector(self.selector))
            .expect("a valid id")
            .in_stage(self.stage)
            .denied_by(self.denials);
        match self.lifetime {
            Some(seconds) => requirement.expires_in(Duration::from_secs(u64::from(seconds) + 1)),
            None => requirement,
        }
    }
}

/// A request about to be handed in, as small numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestSpec {
    /// Its tenant.
    pub tenant: usize,
    /// Its state.
    pub state: usize,
    /// Which of two kinds of state, mutation, operation and category.
    pub kind: usize,
    /// Its risk.
    pub risk: usize,
    /// Its tags.
    pub tags: BTreeSet<usize>,
    /// How far it reaches.
    pub reach: Option<usize>,
    /// Who asks for it.
    pub requester: usize,
    /// For whom.
    pub principal: Option<usize>,
    /// Whether it has a correlation, metadata, a description and a reason.
    pub extras: bool,
    /// Its idempotency key.
    pub key: Option<usize>,
    /// When it has to be final, in seconds from its submission.
    pub deadline: Option<u16>,
    /// What policies said: 0 allowed, 1 denied, else approvals are required.
    pub judgement: usize,
    /// The approvals required.
    pub requirements: Vec<RequirementSpec>,
    /// Whether one person may sit once in the whole request only.
    pub distinct: bool,
    /// Whether the requester may approve.
    pub self_approval: bool,
}

impl RequestSpec {
    /// The approvals it requires.
    ///
    /// # Panics
    ///
    /// Never, for what the generators give.
    #[must_use]
    pub fn rules(&self) -> ApprovalRules {
        let requirements = self.requirements.iter().enumerate();
        let requirements = requirements.map(|(i, spec)| spec.requirement(i));
        let mut rules = ApprovalRules::new(requirements).expect("rules that can be met");
        if !self.distinct {
            rules = rules.distinct(Distinct::Requirement);
        }
        if self.self_approval {
            rules = rules.self_approval(SelfApproval::Allow);
        }
        rules
    }

    /// What policies said.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        match self.judgement {
            0 => Judgement::allowed(Vec::new()),
            1 => Judgement::denied(Vec::new()),
            _ => Judgement::required(self.rules(), Vec::new()),
        }
    }

    /// The id that a number stands for, for a request like this.
    #[must_use]
    pub fn id(&self, number: u64) -> RequestId {
        let slot = scope_of(self.tenant, self.state, self.kind).slot();
        let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
        RequestId::new(Timestamp::EPOCH, slot, [a, b, 0, 0, c, d, e, f, g, h])
    }

    /// The request, with an id made of a number, at a time, by an operation.
    ///
    /// # Panics
    ///
    /// Never, for what the generators give.
    #[must_use]
    pub fn submit(
        &self,
        number: u64,
        at: Timestamp,
        operation: OperationId,
    ) -> Arc<MutationRequest> {
        let kind = self.kind;
        let mut intent = Intent::new(format!("Operation-{kind}"), format!("category-{kind}"))
            .expect("valid labels")
            .risk(Risk::ALL[self.risk]);
        for tag in &self.tags {
            intent = intent.tag(format!("tag-{tag}")).expect("a valid label");
        }
        if let Some(reach) = self.reach {
            intent = intent.blast_radius(BlastRadius::new(BlastScope::ALL[reach]));
        }
        let mut context = Context::of(&person(self.requester));
        if let Some(principal) = self.principal {
            context = context.on_behalf_of(id_of(principal));
        }
        if self.extras {
            intent = intent.described("\u{c4}rger avoided").with_metadata("n", 1);
            context = context
                .correlation(correlation(format!("work-{kind}")))
                .metadata("nested", json!({"b": [1, {"x": null}], "a": 1.5}));
        }
        let mut act = Act::new(context, at, operation);
        if self.extras {
            act = act.because(reason("because of ticket 12"));
        }
        let mutation = MutationType::new(format!("mutation-{kind}")).expect("a valid name");
        let mut proposal = Proposal::new(
            self.id(number),
            scope_of(self.tenant, self.state, kind),
            Payload::encode(mutation, 1, &number).expect("a number encodes"),
            intent,
            StateVersion::ABSENT,
            &act,
        );
        if let Some(number) = self.key {
            proposal = proposal.with_idempotency_key(key(format!("key-{number}")));
        }
        let deadline = self
            .deadline
            .map(|seconds| at.saturating_add(Duration::from_secs(u64::from(seconds) + 1)));
        let request = MutationRequest::submit(proposal, &self.judgement(), deadline, &act);
        Arc::new(request.expect("a deadline after the submission"))
    }
}

/// Requirements that can be put into rules together.
pub fn requirements() -> impl Strategy<Value = Vec<RequirementSpec>> {
    let one = (
        1_u16..4,
        1_u16..3,
        0_usize..6,
        1_u16..3,
        option::of(0_u16..120),
    )
        .prop_map(
            |(stage, seats, selector, denials, lifetime)| RequirementSpec {
                stage,
                seats,
                selector,
                denials,
                lifetime,
            },
        );
    prop::collection::vec(one, 1..4)
}

/// Requests of all kinds, most of which ask for approvals.
pub fn requests() -> impl Strategy<Value = RequestSpec> {
    let what = (
        0..TENANTS,
        0..STATES,
        0_usize..2,
        0_usize..4,
        btree_set(0_usize..3, 0..3),
        option::of(0_usize..4),
    );
    let who = (
        people(),
        option::weighted(0.2, people()),
        any::<bool>(),
        option::weighted(0.2, 0_usize..2),
        option::of(0_u16..120),
    );
    let rules = (
        prop_oneof![1 => Just(0_usize), 1 => Just(1), 6 => Just(2)],
        requirements(),
        any::<bool>(),
        any::<bool>(),
    );
    (what, who, rules).prop_map(
        |(
            (tenant, state, kind, risk, tags, reach),
            (requester, principal, extras, key, deadline),
            (judgement, requirements, distinct, self_approval),
        )| RequestSpec {
            tenant,
            state,
            kind,
            risk,
            tags,
            reach,
            requester,
            principal,
            extras,
            key,
            deadline,
            judgement,
            requirements,
            distinct,
            self_approval,
        },
    )
}
