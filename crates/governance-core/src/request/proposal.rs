//! What never changes about a request.

use serde::{Deserialize, Serialize};

use super::Payload;
use crate::{
    approval::{ApprovalRules, Parties},
    context::{Act, Actor, Metadata, metadata_footprint},
    ids::{
        ActorId, CorrelationId, Digest, IdempotencyKey, RequestId, Slot, StateId, StateType,
        StateVersion, TenantId, Timestamp,
    },
    intent::{Intent, Risk},
};

/// Which state of which tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The tenant.
    pub tenant: TenantId,
    /// The kind of state.
    pub state_type: StateType,
    /// The state.
    pub state_id: StateId,
}

impl Scope {
    /// Where this state and its requests live.
    #[must_use]
    pub fn slot(&self) -> Slot {
        Slot::of(&self.tenant, &self.state_id)
    }
}

/// What never changes about a request. The first decision holds its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    id: RequestId,
    scope: Scope,
    payload: Payload,
    intent: Intent,
    requester: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<ActorId>,
    parties: Parties,
    created_at: Timestamp,
    submitted_version: StateVersion,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<IdempotencyKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<CorrelationId>,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
}

/// A proposal as it is digested: the body of its payload stands for itself by its own digest, so
/// that nothing is hashed twice.
#[derive(Serialize)]
struct Digested<'a> {
    id: &'a RequestId,
    scope: &'a Scope,
    mutation: &'a str,
    schema: u32,
    payload: &'a Digest,
    intent: &'a Intent,
    requester: &'a Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<&'a ActorId>,
    parties: &'a Parties,
    created_at: Timestamp,
    submitted_version: StateVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a IdempotencyKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<&'a CorrelationId>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: &'a Metadata,
}

/// What is to be approved in one round.
#[derive(Serialize)]
struct Subject<'a> {
    request: &'a RequestId,
    scope: &'a Scope,
    mutation: &'a str,
    schema: u32,
    payload: &'a Digest,
    operation: &'a str,
    risk: Risk,
    round: u32,
    version: StateVersion,
    rules: &'a ApprovalRules,
}

impl Proposal {
    /// What is asked for by this act, about a state as it is at `version`. The requester and the
    /// one the requester works for are parties.
    #[must_use]
    pub fn new(
        id: RequestId,
        scope: Scope,
        payload: Payload,
        intent: Intent,
        version: StateVersion,
        act: &Act,
    ) -> Self {
        let context = &act.context;
        let parties = [context.actor.id()]
            .into_iter()
            .chain(&context.on_behalf_of)
            .cloned();
        Self {
            id,
            scope,
            payload,
            intent,
            requester: context.actor.clone(),
            on_behalf_of: context.on_behalf_of.clone(),
            parties: Parties::new(parties),
            created_at: act.at,
            submitted_version: version,
            idempotency_key: None,
            correlation: context.correlation.clone(),
            metadata: context.metadata.clone(),
        }
    }

    /// Adds people who share in the change and so cannot approve it.
    #[must_use]
    pub fn with_parties(mut self, others: impl IntoIterator<Item = ActorId>) -> Self {
        self.parties.extend(others);
        self
    }

    /// Adds the caller's own key.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: IdempotencyKey) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// Digest of all of it. The payload's body is covered by the payload's own digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Named one by one, so that a field that is added cannot be left out.
        let Self {
            id,
            scope,
            payload,
            intent,
            requester,
            on_behalf_of,
            parties,
            created_at,
            submitted_version,
            idempotency_key,
            correlation,
            metadata,
        } = self;
        Digest::of_value(&Digested {
            id,
            scope,
            mutation: payload.mutation().as_str(),
            schema: payload.schema(),
            payload: payload.digest(),
            intent,
            requester,
            on_behalf_of: on_behalf_of.as_ref(),
            parties,
            created_at: *created_at,
            submitted_version: *submitted_version,
            idempotency_key: idempotency_key.as_ref(),
            correlation: correlation.as_ref(),
            metadata,
        })
        .unwrap_or(Digest::ZERO)
    }

    /// Whether it is what was digested. The first records have a digest of the proposal as it is
    /// stored, the payload's body included.
    pub(super) fn is_what_was_digested(&self, digest: &Digest) -> bool {
        *digest == self.digest() || Digest::of_value(self).is_ok_and(|of_all| of_all == *digest)
    }

    /// Digest of what is to be approved in a round: which request, which state, which payload,
    /// at which version, under which rules. A vote for one subject is no vote for another.
    #[must_use]
    pub fn subject(&self, round: u32, version: StateVersion, rules: &ApprovalRules) -> Digest {
        Digest::of_value(&Subject {
            request: &self.id,
            scope: &self.scope,
            mutation: self.payload.mutation().as_str(),
            schema: self.payload.schema(),
            payload: self.payload.digest(),
            operation: self.intent.operation().as_str(),
            risk: self.intent.risk_level(),
            round,
            version,
            rules,
        })
        .unwrap_or(Digest::ZERO)
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &RequestId {
        &self.id
    }

    /// Which state.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The mutation.
    #[must_use]
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// What it intends, with what policies added at submission.
    #[must_use]
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }

    /// Who asked for it.
    #[must_use]
    pub const fn requester(&self) -> &Actor {
        &self.requester
    }

    /// For whom it was asked for.
    #[must_use]
    pub const fn on_behalf_of(&self) -> Option<&ActorId> {
        self.on_behalf_of.as_ref()
    }

    /// Who has a share in it.
    #[must_use]
    pub const fn parties(&self) -> &Parties {
        &self.parties
    }

    /// When it was asked for.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Version of the state at submission.
    #[must_use]
    pub const fn submitted_version(&self) -> StateVersion {
        self.submitted_version
    }

    /// The caller's own key.
    #[must_use]
    pub const fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }

    /// The piece of work it belongs to.
    #[must_use]
    pub const fn correlation(&self) -> Option<&CorrelationId> {
        self.correlation.as_ref()
    }

    /// The caller's own data.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) fn footprint(&self) -> usize {
        320 + self.scope.tenant.as_str().len()
            + self.scope.state_type.as_str().len()
            + self.scope.state_id.as_str().len()
            + self.payload.mutation().as_str().len()
            + self.payload.body().len()
            + self.intent.footprint()
            + self.requester.footprint()
            + self
                .parties
                .iter()
                .map(|p| 3 + p.as_str().len())
                .sum::<usize>()
            + self
                .idempotency_key
                .as_ref()
                .map_or(0, |k| k.as_str().len())
            + self.correlation.as_ref().map_or(0, |c| c.as_str().len())
            + metadata_footprint(&self.metadata)
    }
}
