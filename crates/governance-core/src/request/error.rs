//! Why a request refuses an act.

use crate::{
    approval::VoteRefused,
    ids::{RequestId, Timestamp},
    status::{Status, Step},
};

/// Why a request refuses an act. Nothing was recorded.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The transition table does not allow the step from this status.
    #[error("a request that is {status} cannot be {}", .step.done())]
    NotAllowed {
        /// Where the request stands.
        status: Status,
        /// The step asked for.
        step: Step,
    },
    /// The act needs a request that waits for approvals.
    #[error("a request that is {status} takes no votes")]
    TakesNoVotes {
        /// Where the request stands.
        status: Status,
    },
    /// Only a pending request can be amended.
    #[error("a request that is {status} cannot be amended")]
    NotAmendable {
        /// Where the request stands.
        status: Status,
    },
    /// Approvals are still missing.
    #[error("approvals are missing")]
    ApprovalsMissing,
    /// A deadline has passed; all that is left is to expire.
    #[error("the deadline {deadline} has passed")]
    Overdue {
        /// The deadline.
        deadline: Timestamp,
    },
    /// A policy wants the request to be final earlier.
    #[error("a policy wants the request to be final by {latest}")]
    BeyondPolicy {
        /// The latest deadline the policy allows.
        latest: Timestamp,
    },
    /// No deadline has passed.
    #[error("no deadline has passed")]
    NotDue,
    /// A vote does not count.
    #[error(transparent)]
    Vote(#[from] VoteRefused),
    /// A request cannot take its own place.
    #[error("a request cannot take its own place")]
    SupersedesItself,
    /// The other request is about another state.
    #[error("request {other} is about another state")]
    OtherState {
        /// The other request.
        other: RequestId,
    },
    /// The other request is final, so it cannot take a place.
    #[error("request {other} is {status} and cannot take a place")]
    OtherIsFinal {
        /// The other request.
        other: RequestId,
        /// Where it stands.
        status: Status,
    },
    /// The failure cannot be retried.
    #[error("the failure cannot be retried")]
    NotRetryable,
    /// The history is as long as it may be.
    #[error("the history is as long as it may be")]
    HistoryFull,
}

impl RequestError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAllowed { .. } => "request.not_allowed",
            Self::TakesNoVotes { .. } => "request.takes_no_votes",
            Self::NotAmendable { .. } => "request.not_amendable",
            Self::ApprovalsMissing => "request.approvals_missing",
            Self::Overdue { .. } => "request.overdue",
            Self::BeyondPolicy { .. } => "request.beyond_policy",
            Self::NotDue => "request.not_due",
            Self::Vote(refused) => refused.code(),
            Self::SupersedesItself => "request.supersedes_itself",
            Self::OtherState { .. } => "request.other_state",
            Self::OtherIsFinal { .. } => "request.other_is_final",
            Self::NotRetryable => "request.not_retryable",
            Self::HistoryFull => "request.history_full",
        }
    }
}
