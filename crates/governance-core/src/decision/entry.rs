//! One entry of the history.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::DecisionKind;
use crate::{
    context::{Act, Actor, Metadata, Reason, metadata_footprint},
    ids::{ActorId, CorrelationId, Digest, OperationId, RequestId, Revision, Timestamp},
    status::Status,
};

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Record")]
pub struct Decision {
    seq: u32,
    kind: DecisionKind,
    status: Status,
    circumstances: Arc<Circumstances>,
    prev: Digest,
    digest: Digest,
}

/// What all decisions of one write have in common: who acted, when, why and under which operation.
#[derive(Debug, PartialEq)]
pub(crate) struct Circumstances {
    at: Timestamp,
    actor: Actor,
    on_behalf_of: Option<ActorId>,
    revision: Revision,
    operation: OperationId,
    correlation: Option<CorrelationId>,
    reason: Option<Reason>,
    metadata: Metadata,
}

impl Circumstances {
    pub(crate) fn new(act: &Act, revision: Revision) -> Self {
        Self {
            at: act.at,
            actor: act.context.actor.clone(),
            on_behalf_of: act.context.on_behalf_of.clone(),
            revision,
            operation: act.operation,
            correlation: act.context.correlation.clone(),
            reason: act.reason.clone(),
            metadata: act.context.metadata.clone(),
        }
    }
}

/// A decision as it is stored, read back.
#[derive(Deserialize)]
struct Record {
    seq: u32,
    at: Timestamp,
    actor: Actor,
    #[serde(default)]
    on_behalf_of: Option<ActorId>,
    kind: DecisionKind,
    status: Status,
    revision: Revision,
    operation: OperationId,
    #[serde(default)]
    correlation: Option<CorrelationId>,
    #[serde(default)]
    reason: Option<Reason>,
    #[serde(default)]
    metadata: Metadata,
    prev: Digest,
    digest: Digest,
}

impl From<Record> for Decision {
    fn from(record: Record) -> Self {
        Self {
            seq: record.seq,
            kind: record.kind,
            status: record.status,
            circumstances: Arc::new(Circumstances {
                at: record.at,
                actor: record.actor,
                on_behalf_of: record.on_behalf_of,
                revision: record.revision,
                operation: record.operation,
                correlation: record.correlation,
                reason: record.reason,
                metadata: record.metadata,
            }),
            prev: record.prev,
            digest: record.digest,
        }
    }
}

/// A decision as it is written: with its digest as it is stored, or with the request it belongs
/// to as it is digested. So the digest covers everything but itself, and a decision cannot be
/// moved to another history.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<&'a RequestId>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a Digest>,
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written(None, Some(&self.digest)).serialize(serializer)
    }
}

impl Decision {
    /// Makes the decision that follows `last` in the history of `request`.
    pub(crate) fn following(
        last: Option<&Self>,
        request: &RequestId,
        circumstances: &Arc<Circumstances>,
        kind: DecisionKind,
        status: Status,
    ) -> Self {
        let mut decision = Self {
            seq: last.map_or(1, |last| last.seq.saturating_add(1)),
            kind,
            status,
            circumstances: Arc::clone(circumstances),
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
        Digest::of_value(&self.written(Some(request), None)).unwrap_or(Digest::ZERO)
    }

    fn written<'a>(
        &'a self,
        request: Option<&'a RequestId>,
        digest: Option<&'a Digest>,
    ) -> Written<'a> {
        let circumstances = &*self.circumstances;
        Written {
            request,
            seq: self.seq,
            at: circumstances.at,
            actor: &circumstances.actor,
            on_behalf_of: circumstances.on_behalf_of.as_ref(),
            kind: &self.kind,
            status: self.status,
            revision: circumstances.revision,
            operation: circumstances.operation,
            correlation: circumstances.correlation.as_ref(),
            reason: circumstances.reason.as_ref(),
            metadata: &circumstances.metadata,
            prev: &self.prev,
            digest,
        }
    }

    /// Position in the history, from 1.
    #[must_use]
    pub const fn seq(&self) -> u32 {
        self.seq
    }

    /// Store time.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.circumstances.at
    }

    /// Who decided.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.circumstances.actor
    }

    /// For whom, if for somebody else.
    #[must_use]
    pub fn on_behalf_of(&self) -> Option<&ActorId> {
        self.circumstances.on_behalf_of.as_ref()
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
    pub fn revision(&self) -> Revision {
        self.circumstances.revision
    }

    /// The operation it belongs to.
    #[must_use]
    pub fn operation(&self) -> OperationId {
        self.circumstances.operation
    }

    /// The piece of work it belongs to.
    #[must_use]
    pub fn correlation(&self) -> Option<&CorrelationId> {
        self.circumstances.correlation.as_ref()
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        self.circumstances.reason.as_ref()
    }

    /// The caller's own data.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.circumstances.metadata
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
        220 + self.actor().footprint()
            + self.reason().map_or(0, |r| r.as_str().len())
            + self.on_behalf_of().map_or(0, |id| 15 + id.as_str().len())
            + self.correlation().map_or(0, |id| 15 + id.as_str().len())
            + metadata_footprint(self.metadata())
            + self.kind.footprint()
    }
}
