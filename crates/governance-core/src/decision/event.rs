//! What is decided beside the status: votes, staleness, amendments, links.

use serde::{Deserialize, Serialize};

use super::RenewalCause;
use crate::{
    context::Reason,
    ids::{ActorId, Digest, Label, RequestId, RequirementId, StateVersion, Timestamp},
    intent::Risk,
};

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
        /// Version of the state it is about.
        version: StateVersion,
        /// Digest of what is to be approved.
        subject: Digest,
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

/// A change of a request's own reason, deadline or classification.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmendmentEvent {
    /// The deadline of the request changed.
    Deadline {
        /// The policy that set it; none if its owner did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<String>,
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
