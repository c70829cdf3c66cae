//! Approvals: what is required, what was voted, and the pure evaluation of one against the other.
//!
//! A policy asks for [`Requirement`]s: so many seats, to be filled by people a [`Selector`]
//! names, in stages. A [`Vote`] is a fact: who, what, when, on which digest, with which roles and
//! groups as the directory told them at that moment. [`evaluate`] decides from requirements and
//! votes alone; it reads no clock and asks nobody.

mod ballot;
mod evaluate;
mod matching;
mod reach;
mod requirement;
mod round;
mod rules;
mod selector;
mod vote;

pub use ballot::{Ballot, Parties, StageOpening};
pub(crate) use evaluate::fills_a_seat;
pub use evaluate::{
    BallotOutcome, Evaluation, RequirementEvaluation, RequirementStatus, StageEvaluation, evaluate,
};
pub(crate) use reach::stranded;
pub use reach::{Candidate, Reach, Shortage, reach};
pub use requirement::{InvalidRequirement, ReasonRule, Requirement};
pub use round::Round;
pub use rules::{ApprovalRules, Distinct, ExecutorRule, RuleConflict, SelfApproval};
pub use selector::{Membership, Selector};
pub use vote::{Denial, Verdict, Vote, VoteRefused};
