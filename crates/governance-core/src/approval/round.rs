//! One round of approvals.

use serde::{Deserialize, Serialize};

use super::{
    ApprovalRules,
    ballot::{Ballot, Parties, StageOpening},
    evaluate::{Evaluation, evaluate},
    vote::Vote,
};
use crate::ids::{Digest, StateVersion, Timestamp};

/// One round of approvals: what is asked for, on which version of the state, and the live votes.
///
/// A round without requirements is an automatic approval. A renewed approval begins a new round;
/// votes of earlier rounds are in the history only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    pub(crate) number: u32,
    pub(crate) version: StateVersion,
    pub(crate) subject: Digest,
    pub(crate) opened_at: Timestamp,
    pub(crate) rules: ApprovalRules,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) stages: Vec<StageOpening>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) votes: Vec<Vote>,
}

impl Round {
    /// Counted from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Version of the state that is to be approved. Never changes within a round.
    #[must_use]
    pub const fn version(&self) -> StateVersion {
        self.version
    }

    /// Digest of what is to be approved: request, payload, classification, version, round and
    /// rules. Votes name it.
    #[must_use]
    pub const fn subject(&self) -> &Digest {
        &self.subject
    }

    /// When it began.
    #[must_use]
    pub const fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// What is required.
    #[must_use]
    pub const fn rules(&self) -> &ApprovalRules {
        &self.rules
    }

    /// The live votes, in the order they came.
    #[must_use]
    pub fn votes(&self) -> &[Vote] {
        &self.votes
    }

    /// When each stage opened.
    #[must_use]
    pub fn stage_openings(&self) -> &[StageOpening] {
        &self.stages
    }

    /// Where the round stands.
    #[must_use]
    pub fn evaluate(&self, parties: &Parties, now: Timestamp) -> Evaluation {
        evaluate(&self.ballot(parties), now)
    }

    pub(crate) fn ballot<'a>(&'a self, parties: &'a Parties) -> Ballot<'a> {
        Ballot {
            rules: &self.rules,
            openings: &self.stages,
            votes: &self.votes,
            subject: &self.subject,
            parties,
        }
    }

    pub(crate) fn footprint(&self) -> usize {
        110 + self
            .rules
            .requirements()
            .iter()
            .map(super::Requirement::footprint)
            .sum::<usize>()
            + self.votes.iter().map(Vote::footprint).sum::<usize>()
            + self.stages.len() * 24
    }
}
