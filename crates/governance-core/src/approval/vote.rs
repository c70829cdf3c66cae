//! Votes: facts about who said what.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Membership;
use crate::{
    context::Reason,
    ids::{ActorId, Digest, Label, OperationId, RequirementId, Timestamp},
};

/// What a voter said.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

impl Verdict {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why somebody denies, in a form programs can read too.
///
/// ```
/// use governance_core::Denial;
///
/// let denial = Denial::because("grants more than the ticket asks").code("scope.too_wide")?;
/// # Ok::<(), governance_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub(crate) reason: String,
    pub(crate) code: Option<Label>,
    pub(crate) category: Option<Label>,
}

impl Denial {
    /// A denial in words alone.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            code: None,
            category: None,
        }
    }

    /// Adds a code.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::InvalidName) when it is not a valid label.
    pub fn code(mut self, code: impl AsRef<str>) -> Result<Self, crate::InvalidName> {
        self.code = Some(Label::new(code)?);
        Ok(self)
    }

    /// Adds a category.
    ///
    /// # Errors
    ///
    /// [`InvalidName`](crate::InvalidName) when it is not a valid label.
    pub fn category(mut self, category: impl AsRef<str>) -> Result<Self, crate::InvalidName> {
        self.category = Some(Label::new(category)?);
        Ok(self)
    }
}

impl From<&str> for Denial {
    fn from(reason: &str) -> Self {
        Self::because(reason)
    }
}

impl From<String> for Denial {
    fn from(reason: String) -> Self {
        Self::because(reason)
    }
}

/// One live vote. Made by the request, which checks it; never edited, only withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    pub(crate) actor: ActorId,
    pub(crate) verdict: Verdict,
    pub(crate) stage: u16,
    pub(crate) subject: Digest,
    pub(crate) evidence: Membership,
    pub(crate) reason: Reason,
    pub(crate) at: Timestamp,
    pub(crate) operation: OperationId,
}

impl Vote {
    /// A vote as a fact. Providers and tests need this; requests make their own.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "a fact has as many parts as it has"
    )]
    pub const fn new(
        actor: ActorId,
        verdict: Verdict,
        stage: u16,
        subject: Digest,
        evidence: Membership,
        reason: Reason,
        at: Timestamp,
        operation: OperationId,
    ) -> Self {
        Self {
            actor,
            verdict,
            stage,
            subject,
            evidence,
            reason,
            at,
            operation,
        }
    }

    /// Who voted.
    #[must_use]
    pub const fn actor(&self) -> &ActorId {
        &self.actor
    }

    /// What they said.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The stage it was cast in and counts for.
    #[must_use]
    pub const fn stage(&self) -> u16 {
        self.stage
    }

    /// Digest of what was voted on.
    #[must_use]
    pub const fn subject(&self) -> &Digest {
        &self.subject
    }

    /// Roles and groups as the directory told them at that moment.
    #[must_use]
    pub const fn evidence(&self) -> &Membership {
        &self.evidence
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Store time.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The operation it came with.
    #[must_use]
    pub const fn operation(&self) -> OperationId {
        self.operation
    }

    pub(crate) fn footprint(&self) -> usize {
        150 + self.actor.as_str().len() + self.reason.as_str().len() + self.evidence.footprint()
    }
}

/// Why a vote does not count.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteRefused {
    /// The voter asked for the change, or acts for somebody who did.
    #[error("{actor} asked for this change or acts for somebody who did")]
    SelfApproval {
        /// The voter.
        actor: ActorId,
    },
    /// The voter has a live vote already.
    #[error("{actor} has voted already")]
    AlreadyVoted {
        /// The voter.
        actor: ActorId,
    },
    /// The voter acts for somebody who has voted, or the other way round, or both act for one
    /// person.
    #[error("{actor} and {other}, who has voted, are one person")]
    SamePerson {
        /// The voter.
        actor: ActorId,
        /// Who has voted.
        other: ActorId,
    },
    /// No requirement asks for this voter.
    #[error("no requirement asks for {actor}")]
    NotEligible {
        /// The voter.
        actor: ActorId,
    },
    /// The voter is asked for in a later stage.
    #[error("stage {stage} has not opened yet, stage {current} is open")]
    StageNotOpen {
        /// The first stage that asks for the voter.
        stage: u16,
        /// The stage that is open.
        current: u16,
    },
    /// Every seat the voter could fill is filled.
    #[error("every seat {actor} could fill is filled")]
    SeatsFilled {
        /// The voter.
        actor: ActorId,
    },
    /// Somebody else could take the seat, and with the voter in it too few people would be left
    /// for another requirement.
    #[error(
        "with {actor} in this seat {requirement} ({asks_for}) could fill {fillable} of {seats} \
         seats; somebody else can take this one"
    )]
    WouldStrand {
        /// The voter, who is missing there then.
        actor: ActorId,
        /// A requirement that could not be met any more.
        requirement: RequirementId,
        /// Whom it asks for, in words.
        asks_for: String,
        /// Its seats.
        seats: u16,
        /// How many of them could still be filled.
        fillable: usize,
    },
    /// The reason is not what a requirement asks for.
    #[error("the reason is not what requirement {requirement} asks for")]
    ReasonNotAccepted {
        /// The requirement.
        requirement: RequirementId,
    },
    /// The voter saw something else than what is asked for now.
    #[error("what is to be approved has changed since it was shown")]
    SubjectChanged {
        /// Digest the voter saw.
        seen: Digest,
        /// Digest that is asked for.
        current: Digest,
    },
    /// The actor has no vote to withdraw.
    #[error("{actor} has no vote to withdraw")]
    NoVote {
        /// The actor.
        actor: ActorId,
    },
}

impl VoteRefused {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SelfApproval { .. } => "vote.self_approval",
            Self::AlreadyVoted { .. } => "vote.already_voted",
            Self::SamePerson { .. } => "vote.same_person",
            Self::NotEligible { .. } => "vote.not_eligible",
            Self::StageNotOpen { .. } => "vote.stage_not_open",
            Self::SeatsFilled { .. } => "vote.seats_filled",
            Self::WouldStrand { .. } => "vote.would_strand",
            Self::ReasonNotAccepted { .. } => "vote.reason_not_accepted",
            Self::SubjectChanged { .. } => "vote.subject_changed",
            Self::NoVote { .. } => "vote.no_vote",
        }
    }
}
