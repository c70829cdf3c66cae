//! What was decided: family, code and facts.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{AmendmentEvent, ApprovalEvent, Lifecycle, LinkEvent, PolicyEvent, VersionEvent};

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

/// What was decided, with its facts as typed fields. Callers' own data has a place of its own in
/// [`Decision::metadata`](super::Decision::metadata) and cannot touch them.
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
    /// Every code as [`Display`](fmt::Display) writes it, which is what
    /// [`RequestQuery::decision_codes`](crate::RequestQuery::decision_codes) takes.
    pub const CODES: [&'static str; 28] = [
        "lifecycle.submitted",
        "lifecycle.pending",
        "lifecycle.approved",
        "lifecycle.retried",
        "lifecycle.executed",
        "lifecycle.failed",
        "lifecycle.rejected",
        "lifecycle.canceled",
        "lifecycle.expired",
        "lifecycle.superseded",
        "policy.evaluated",
        "approval.requested",
        "approval.granted",
        "approval.denied",
        "approval.withdrawn",
        "approval.satisfied",
        "approval.stage_opened",
        "approval.expired",
        "approval.renewed",
        "version.rejected_as_stale",
        "version.renewed_approval_required",
        "version.revalidated",
        "version.any_version_accepted",
        "amendment.deadline",
        "amendment.reason",
        "amendment.risk",
        "amendment.tag",
        "link.supersedes",
    ];

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
