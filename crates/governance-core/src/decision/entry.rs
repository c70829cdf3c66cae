//! One entry of the history.

use serde::{Deserialize, Serialize};

use super::{ApprovalEvent, DecisionKind, DenialReason, PolicyEvent};
use crate::{
    context::{Act, Actor, Metadata, Reason, metadata_footprint},
    ids::{ActorId, CorrelationId, Digest, OperationId, RequestId, Revision, Timestamp},
    status::Status,
};

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    seq: u32,
    at: Timestamp,
    actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<ActorId>,
    kind: DecisionKind,
    status: Status,
    revision: Revision,
    operation: OperationId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<CorrelationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
    prev: Digest,
    digest: Digest,
}

/// What a decision's digest covers: everything but the digest itself, and the request it belongs
/// to, so a decision cannot be moved to another history.
#[derive(Serialize)]
struct Sealed<'a> {
    request: &'a RequestId,
    seq: u32,
    at: Timestamp,
    actor: &'a Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<&'a ActorId>,
    kind: &'a DecisionKind,
    status: Status,
    revision: Revision,
    operation: OperationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<&'a CorrelationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    metadata: &'a Metadata,
    prev: &'a Digest,
}

impl Decision {
    /// Makes the decision that follows `last` in the history of `request`.
    pub(crate) fn following(
        last: Option<&Self>,
        request: &RequestId,
        act: &Act,
        kind: DecisionKind,
        status: Status,
        revision: Revision,
    ) -> Self {
        let mut decision = Self {
            seq: last.map_or(1, |last| last.seq.saturating_add(1)),
            at: act.at,
            actor: act.context.actor.clone(),
            on_behalf_of: act.context.on_behalf_of.clone(),
            kind,
            status,
            revision,
            operation: act.operation,
            correlation: act.context.correlation.clone(),
            reason: act.reason.clone(),
            metadata: act.context.metadata.clone(),
            prev: last.map_or(Digest::ZERO, |last| last.digest),
            digest: Digest::ZERO,
        };
        decision.digest = decision.compute_digest(request);
        decision
    }

    /// The digest this decision should have in the history of `request`.
    ///
    /// A decision that cannot be encoded has the digest zero, which no chain accepts.
    #[must_use]
    pub fn compute_digest(&self, request: &RequestId) -> Digest {
        Digest::of_value(&Sealed {
            request,
            seq: self.seq,
            at: self.at,
            actor: &self.actor,
            on_behalf_of: self.on_behalf_of.as_ref(),
            kind: &self.kind,
            status: self.status,
            revision: self.revision,
            operation: self.operation,
            correlation: self.correlation.as_ref(),
            reason: self.reason.as_ref(),
            metadata: &self.metadata,
            prev: &self.prev,
        })
        .unwrap_or(Digest::ZERO)
    }

    /// Position in the history, from 1.
    #[must_use]
    pub const fn seq(&self) -> u32 {
        self.seq
    }

    /// Store time.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Who decided.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// For whom, if for somebody else.
    #[must_use]
    pub const fn on_behalf_of(&self) -> Option<&ActorId> {
        self.on_behalf_of.as_ref()
    }

    /// What was decided.
    #[must_use]
    pub const fn kind(&self) -> &DecisionKind {
        &self.kind
    }

    /// The status it led to.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The revision it was stored with.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The operation it belongs to.
    #[must_use]
    pub const fn operation(&self) -> OperationId {
        self.operation
    }

    /// The piece of work it belongs to.
    #[must_use]
    pub const fn correlation(&self) -> Option<&CorrelationId> {
        self.correlation.as_ref()
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// The caller's own data.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Digest of the decision before, [`Digest::ZERO`] for the first.
    #[must_use]
    pub const fn prev(&self) -> &Digest {
        &self.prev
    }

    /// Digest of this decision.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Approximate bytes in a stored document.
    pub(crate) fn footprint(&self) -> usize {
        220 + self.actor.footprint()
            + self.reason.as_ref().map_or(0, |r| r.as_str().len())
            + metadata_footprint(&self.metadata)
            + match &self.kind {
                DecisionKind::Policy(PolicyEvent::Evaluated { policies, .. }) => policies
                    .iter()
                    .map(|p| {
                        let reason =
                            |r: &DenialReason| 20 + r.code.as_str().len() + r.message.len();
                        60 + p.policy.len() + p.reasons.iter().map(reason).sum::<usize>()
                    })
                    .sum(),
                DecisionKind::Approval(ApprovalEvent::Requested { requirements, .. }) => {
                    requirements.iter().map(|r| 3 + r.as_str().len()).sum()
                }
                DecisionKind::Lifecycle(_)
                | DecisionKind::Approval(_)
                | DecisionKind::Version(_)
                | DecisionKind::Amendment(_)
                | DecisionKind::Link(_) => 60,
            }
    }
}
