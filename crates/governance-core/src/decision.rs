//! The append-only history of a request: who decided what, when and why.
//!
//! Every decision carries its sequence number, the status and revision it led to, and the digest
//! of the decision before it. Changing, dropping or reordering any of them breaks the chain,
//! which [`MutationRequest::verify_history`](crate::MutationRequest::verify_history) notices.
//! Cutting decisions off the end is noticed only by somebody who kept a later digest.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    context::{Act, Actor, Metadata, Reason, metadata_footprint},
    effects::Severity,
    ids::{
        ActorId, CorrelationId, Digest, Label, OperationId, RequestId, RequirementId, Revision,
        StateVersion, Timestamp,
    },
    intent::Risk,
    status::{PendingReason, Status},
};

/// The family a decision belongs to.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionCategory {
    /// A change of status. Every change of status has exactly one.
    Lifecycle,
    /// What policies said.
    Policy,
    /// Votes and what followed from them.
    Approval,
    /// What became of a request whose state had moved.
    Version,
    /// A change of a request's own reason, deadline or classification.
    Amendment,
    /// A link to another request.
    Link,
}

impl DecisionCategory {
    /// Every category.
    pub const ALL: [Self; 6] = [
        Self::Lifecycle,
        Self::Policy,
        Self::Approval,
        Self::Version,
        Self::Amendment,
        Self::Link,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle",
            Self::Policy => "policy",
            Self::Approval => "approval",
            Self::Version => "version",
            Self::Amendment => "amendment",
            Self::Link => "link",
        }
    }
}

/// Why a request was rejected.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCause {
    /// Policies denied it.
    PolicyDenied,
    /// So many of its eligible approvers denied a requirement that its threshold was reached.
    ApprovalDenied {
        /// The requirement.
        requirement: RequirementId,
    },
    /// Too few people are left who could still approve.
    QuorumUnreachable {
        /// The requirements that can no longer be met.
        requirements: Vec<RequirementId>,
    },
    /// The state had moved since the approval, and the mutation makes no sense on it any more.
    Invalid {
        /// What is wrong.
        violations: Vec<String>,
    },
    /// The state had moved since the approval, and the caller chose to reject then.
    Stale {
        /// Version the request was approved for.
        approved_for: StateVersion,
        /// Version found.
        current: StateVersion,
    },
}

impl RejectionCause {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PolicyDenied => "policy_denied",
            Self::ApprovalDenied { .. } => "approval_denied",
            Self::QuorumUnreachable { .. } => "quorum_unreachable",
            Self::Invalid { .. } => "invalid",
            Self::Stale { .. } => "stale",
        }
    }
}

/// Which deadline passed.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryCause {
    /// The deadline of the request.
    RequestDeadline {
        /// The deadline.
        deadline: Timestamp,
    },
    /// The deadline of a requirement that was still open.
    RequirementDeadline {
        /// The requirement.
        requirement: RequirementId,
        /// Its deadline.
        deadline: Timestamp,
    },
}

/// Why a new round of approvals began.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewalCause {
    /// The state had moved and the caller asked for renewed approval.
    Stale,
    /// Policies were asked again and require more than was approved.
    PolicyRequires,
}

/// A change of status.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// It was handed in.
    Submitted {
        /// Digest of everything about the request that never changes, so the chain covers it.
        proposal: Digest,
        /// The deadline it begins with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// It waits.
    Pending {
        /// For what.
        reasons: Vec<PendingReason>,
    },
    /// It may be executed.
    Approved,
    /// A failed execution may be tried again.
    Retried,
    /// Its change was made.
    Executed {
        /// Which attempt it was, from 1.
        attempt: u32,
        /// Version of the state before.
        before: StateVersion,
        /// Version of the state after.
        after: StateVersion,
        /// How many changes the mutation declared.
        changes: u32,
        /// How many side effects it declared.
        side_effects: u32,
        /// Digest of changes and side effects, so the chain covers them.
        effects: Digest,
    },
    /// Its execution ended in an error of the mutation.
    Failed {
        /// Which attempt it was, from 1.
        attempt: u32,
        /// Code of the error.
        code: Label,
        /// Its words.
        message: String,
        /// Whether trying again may help.
        retryable: bool,
    },
    /// It was refused.
    Rejected {
        /// Why.
        cause: RejectionCause,
    },
    /// It was taken back.
    Canceled,
    /// A deadline passed.
    Expired {
        /// Which one.
        cause: ExpiryCause,
    },
    /// Another request took its place.
    Superseded {
        /// The other request.
        by: RequestId,
    },
}

/// Votes and what follows from them.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalEvent {
    /// Approvals were asked for.
    Requested {
        /// The round.
        round: u32,
        /// Version of the state the round is about.
        version: StateVersion,
        /// Digest of what is to be approved; votes name it.
        subject: Digest,
        /// What is required.
        requirements: Vec<RequirementId>,
    },
    /// Somebody approved.
    Granted {
        /// The round.
        round: u32,
        /// The stage the vote was cast in.
        stage: u16,
        /// What was approved.
        subject: Digest,
        /// Digest of what the directory said about the voter, so the chain covers it.
        evidence: Digest,
    },
    /// Somebody denied.
    Denied {
        /// The round.
        round: u32,
        /// The stage the vote was cast in.
        stage: u16,
        /// What was denied.
        subject: Digest,
        /// Digest of what the directory said about the voter, so the chain covers it.
        evidence: Digest,
        /// The voter's code for the denial, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<Label>,
        /// The voter's category for the denial, if one was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<Label>,
    },
    /// Somebody took a vote back.
    Withdrawn {
        /// The round.
        round: u32,
        /// The stage of the vote.
        stage: u16,
    },
    /// A requirement has all its seats filled.
    Satisfied {
        /// The requirement.
        requirement: RequirementId,
        /// Who fills the seats.
        by: Vec<ActorId>,
    },
    /// A stage opened for votes.
    StageOpened {
        /// The round.
        round: u32,
        /// The stage.
        stage: u16,
    },
    /// The deadline of an open requirement passed.
    Expired {
        /// The requirement.
        requirement: RequirementId,
        /// Its deadline.
        deadline: Timestamp,
    },
    /// A new round began; the votes of the last one count no longer.
    Renewed {
        /// The new round.
        round: u32,
        /// Why.
        cause: RenewalCause,
    },
}

/// What became of a request whose state had moved since the approval.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionEvent {
    /// It is rejected.
    RejectedAsStale {
        /// Version the request was approved for.
        approved_for: StateVersion,
        /// Version found.
        current: StateVersion,
    },
    /// It has to be approved again.
    RenewedApprovalRequired {
        /// Version the request was approved for.
        approved_for: StateVersion,
        /// Version found.
        current: StateVersion,
    },
    /// Policies were asked about the latest state and their answer was followed.
    Revalidated {
        /// Version the request was approved for.
        approved_for: StateVersion,
        /// Version found.
        current: StateVersion,
    },
    /// The caller chose to execute whatever the version.
    AnyVersionAccepted {
        /// Version the request was approved for.
        approved_for: StateVersion,
        /// Version found.
        current: StateVersion,
    },
}

/// When policies were asked.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyPhase {
    /// At submission.
    Submission,
    /// At execution.
    Execution,
}

/// The answer of a policy, without its data.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyAnswer {
    /// It has no opinion.
    Abstained,
    /// It allows the change.
    Allowed,
    /// It requires approvals.
    Required,
    /// It denies the change.
    Denied,
}

/// What one policy said, as it is kept in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Names from the outermost composition to the policy, joined by `/`.
    pub policy: String,
    /// What it said.
    pub answer: PolicyAnswer,
    /// How serious it is.
    pub severity: Severity,
    /// Its reasons: code and words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<DenialReason>,
    /// Whether its answer decided the outcome.
    pub decisive: bool,
    /// Its own data.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// One reason of a denial.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DenialReason {
    /// Stable code, for programs.
    pub code: Label,
    /// Words, for people.
    pub message: String,
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// What policies said.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyEvent {
    /// They were asked.
    Evaluated {
        /// When.
        phase: PolicyPhase,
        /// Their common answer.
        answer: PolicyAnswer,
        /// What each of them said.
        policies: Vec<PolicyRecord>,
    },
}

/// A change of a request's own reason, deadline or classification.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmendmentEvent {
    /// The deadline of the request changed.
    Deadline {
        /// Before.
        from: Option<Timestamp>,
        /// After.
        to: Option<Timestamp>,
    },
    /// The reason of the request changed.
    Reason {
        /// Before.
        from: Option<Reason>,
        /// After.
        to: Reason,
    },
    /// A policy raised the risk.
    Risk {
        /// Before.
        from: Risk,
        /// After.
        to: Risk,
        /// The policy.
        policy: String,
    },
    /// A policy added a tag.
    Tag {
        /// The tag.
        tag: Label,
        /// The policy.
        policy: String,
    },
}

/// A link to another request.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkEvent {
    /// This request took the place of another.
    Supersedes {
        /// The other request.
        request: RequestId,
    },
}

/// What was decided, with its facts as typed fields. Callers' own data has a place of its own in
/// [`Decision::metadata`] and cannot touch them.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// A change of status.
    Lifecycle(Lifecycle),
    /// What policies said.
    Policy(PolicyEvent),
    /// Votes and what follows from them.
    Approval(ApprovalEvent),
    /// What became of a stale request.
    Version(VersionEvent),
    /// A change of reason, deadline or classification.
    Amendment(AmendmentEvent),
    /// A link to another request.
    Link(LinkEvent),
}

impl DecisionKind {
    /// The family.
    #[must_use]
    pub const fn category(&self) -> DecisionCategory {
        match self {
            Self::Lifecycle(_) => DecisionCategory::Lifecycle,
            Self::Policy(_) => DecisionCategory::Policy,
            Self::Approval(_) => DecisionCategory::Approval,
            Self::Version(_) => DecisionCategory::Version,
            Self::Amendment(_) => DecisionCategory::Amendment,
            Self::Link(_) => DecisionCategory::Link,
        }
    }

    /// The code within the family.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Lifecycle(event) => match event {
                Lifecycle::Submitted { .. } => "submitted",
                Lifecycle::Pending { .. } => "pending",
                Lifecycle::Approved => "approved",
                Lifecycle::Retried => "retried",
                Lifecycle::Executed { .. } => "executed",
                Lifecycle::Failed { .. } => "failed",
                Lifecycle::Rejected { .. } => "rejected",
                Lifecycle::Canceled => "canceled",
                Lifecycle::Expired { .. } => "expired",
                Lifecycle::Superseded { .. } => "superseded",
            },
            Self::Policy(PolicyEvent::Evaluated { .. }) => "evaluated",
            Self::Approval(event) => match event {
                ApprovalEvent::Requested { .. } => "requested",
                ApprovalEvent::Granted { .. } => "granted",
                ApprovalEvent::Denied { .. } => "denied",
                ApprovalEvent::Withdrawn { .. } => "withdrawn",
                ApprovalEvent::Satisfied { .. } => "satisfied",
                ApprovalEvent::StageOpened { .. } => "stage_opened",
                ApprovalEvent::Expired { .. } => "expired",
                ApprovalEvent::Renewed { .. } => "renewed",
            },
            Self::Version(event) => match event {
                VersionEvent::RejectedAsStale { .. } => "rejected_as_stale",
                VersionEvent::RenewedApprovalRequired { .. } => "renewed_approval_required",
                VersionEvent::Revalidated { .. } => "revalidated",
                VersionEvent::AnyVersionAccepted { .. } => "any_version_accepted",
            },
            Self::Amendment(event) => match event {
                AmendmentEvent::Deadline { .. } => "deadline",
                AmendmentEvent::Reason { .. } => "reason",
                AmendmentEvent::Risk { .. } => "risk",
                AmendmentEvent::Tag { .. } => "tag",
            },
            Self::Link(LinkEvent::Supersedes { .. }) => "supersedes",
        }
    }
}

/// `category.code`, for example `approval.granted`.
impl fmt::Display for DecisionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.category().as_str(), self.code())
    }
}

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
                DecisionKind::Lifecycle(Lifecycle::Failed { message, .. }) => 60 + message.len(),
                DecisionKind::Lifecycle(_)
                | DecisionKind::Approval(_)
                | DecisionKind::Version(_)
                | DecisionKind::Amendment(_)
                | DecisionKind::Link(_) => 60,
            }
    }
}
