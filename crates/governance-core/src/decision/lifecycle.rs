//! Changes of status and their causes.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{Digest, Label, RequestId, RequirementId, StateVersion, Timestamp},
    pending::PendingReason,
};

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
        /// Digest of what the first round is about.
        subject: Digest,
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
        /// Whether the state ended: there is none after. Left out where it did not, so that
        /// decisions of before there was this keep their digests.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        deleted: bool,
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
