//! Whether a history is whole.

use std::sync::Arc;

use super::MutationRequest;
use crate::{
    decision::{Decision, DecisionCategory, DecisionKind, Lifecycle},
    ids::{Digest, Revision, Timestamp},
    status::{Status, Step},
};

/// A history that is not what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("decision {seq}: {problem}")]
pub struct HistoryError {
    seq: u32,
    problem: HistoryProblem,
}

impl HistoryError {
    /// The decision at which it shows, counted from 1; 0 for the request as a whole.
    #[must_use]
    pub const fn seq(&self) -> u32 {
        self.seq
    }

    /// What is wrong.
    #[must_use]
    pub const fn problem(&self) -> HistoryProblem {
        self.problem
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.problem {
            HistoryProblem::Empty => "history.empty",
            HistoryProblem::Sequence => "history.sequence",
            HistoryProblem::Chain => "history.chain",
            HistoryProblem::Digest => "history.digest",
            HistoryProblem::Order => "history.order",
            HistoryProblem::Transition => "history.transition",
            HistoryProblem::Head => "history.head",
            HistoryProblem::Proposal => "history.proposal",
            HistoryProblem::Subject => "history.subject",
            HistoryProblem::Votes => "history.votes",
            HistoryProblem::Execution => "history.execution",
            HistoryProblem::Facts => "history.facts",
            HistoryProblem::Rewritten => "history.rewritten",
        }
    }
}

/// What is wrong with a history.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistoryProblem {
    /// There is none.
    #[error("the history is empty")]
    Empty,
    /// Sequence numbers are not 1, 2, 3 and so on.
    #[error("the sequence number is out of order")]
    Sequence,
    /// A decision does not name the digest of the one before.
    #[error("the link to the decision before is broken")]
    Chain,
    /// A decision is not what its digest says.
    #[error("the decision does not match its digest")]
    Digest,
    /// Times or revisions run backwards, or a revision is left out.
    #[error("time or revision is out of order")]
    Order,
    /// A change of status the transition table does not allow, or one without its decision.
    #[error("the change of status is not in the transition table")]
    Transition,
    /// Status, revision or time of the request are not those of the last decision.
    #[error("the request is not where its last decision left it")]
    Head,
    /// Scope, payload, intent or requester are not those that were submitted.
    #[error("the proposal is not what was submitted")]
    Proposal,
    /// What is to be approved is not what was asked for.
    #[error("the round is not what was asked for")]
    Subject,
    /// The live votes are not those the history records.
    #[error("the votes are not those that were recorded")]
    Votes,
    /// The facts of the execution are not those the history records.
    #[error("the execution is not what was recorded")]
    Execution,
    /// Reason, deadline, links or what it waits for are not those the history records.
    #[error("reason, deadline, links or what is waited for are not what was recorded")]
    Facts,
    /// A stored decision was changed or left out.
    #[error("stored decisions were changed or left out")]
    Rewritten,
}

impl MutationRequest {
    /// Checks the whole record against itself: every digest and link of the history, sequence,
    /// times, revisions and statuses, and that everything beside the history is what the history
    /// says: proposal, round, votes with their evidence, execution with its effects, reason,
    /// deadline and links. Linear in the length of the history.
    ///
    /// Decisions cut off the end of a history together with a matching head cannot be noticed
    /// from the record alone; keep the digest of the last decision elsewhere to notice that.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] names the first decision at which something is wrong.
    pub fn verify_history(&self) -> Result<(), HistoryError> {
        let error = |seq, problem| HistoryError { seq, problem };
        let Some(last) = self.decisions.last() else {
            return Err(error(0, HistoryProblem::Empty));
        };
        let mut status = None;
        let mut prev = Digest::ZERO;
        let mut at = Timestamp::from_micros(i64::MIN);
        let mut revision = Revision::new(0);
        for (seq, decision) in (1_u32..).zip(&self.decisions) {
            let problem = if decision.seq() != seq {
                Some(HistoryProblem::Sequence)
            } else if *decision.prev() != prev {
                Some(HistoryProblem::Chain)
            } else if decision.compute_digest(self.id()) != *decision.digest()
                || *decision.digest() == Digest::ZERO
            {
                Some(HistoryProblem::Digest)
            } else if decision.at() < at
                || (decision.revision() != revision && decision.revision() != revision.next())
                || decision.revision() < Revision::FIRST
            {
                Some(HistoryProblem::Order)
            } else if !follows(status, decision) {
                Some(HistoryProblem::Transition)
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(error(seq, problem));
            }
            status = Some(decision.status());
            prev = *decision.digest();
            (at, revision) = (decision.at(), decision.revision());
        }
        if (self.status, self.revision, self.updated_at)
            != (last.status(), last.revision(), last.at())
        {
            return Err(error(last.seq(), HistoryProblem::Head));
        }
        self.verify_facts().map_err(|problem| error(0, problem))
    }

    /// [`MutationRequest::verify_history`], unless this process made the whole record and nobody
    /// can have changed it.
    pub(crate) fn verify_if_read(&self) -> Result<(), HistoryError> {
        if self.known.made_here {
            Ok(())
        } else {
            self.verify_history()
        }
    }

    /// Checks that this record may replace the stored one: the same proposal, the stored history
    /// unchanged at its beginning, new decisions linked behind it, and the revision after the
    /// stored one. Every store calls this before it writes.
    ///
    /// New decisions are checked by their links, not hashed again.
    ///
    /// # Errors
    ///
    /// [`HistoryError`] with [`HistoryProblem::Rewritten`] or [`HistoryProblem::Head`].
    pub fn check_extends(&self, stored: &Self) -> Result<(), HistoryError> {
        let rewritten = HistoryError {
            seq: 0,
            problem: HistoryProblem::Rewritten,
        };
        let same_proposal =
            Arc::ptr_eq(&self.proposal, &stored.proposal) || self.proposal == stored.proposal;
        let known = stored.decisions.len();
        if !same_proposal || self.decisions.len() <= known {
            return Err(rewritten);
        }
        // A decision that claims its old digest may still have been changed, so all of them are
        // compared. What was loaded here is shared, and comparing that costs nothing.
        let same = |(mine, known): (&Arc<Decision>, &Arc<Decision>)| {
            Arc::ptr_eq(mine, known) || mine == known
        };
        if !self.decisions.iter().zip(&stored.decisions).all(same) {
            return Err(rewritten);
        }
        self.check_tail(known, stored.status, stored.revision)
    }

    /// Checks that this record may be created: a history of one revision, linked from its start,
    /// and an id that routes to its state.
    ///
    /// # Errors
    ///
    /// [`HistoryError`].
    pub fn check_new(&self) -> Result<(), HistoryError> {
        if self.id().slot() != self.proposal.scope().slot() {
            return Err(HistoryError {
                seq: 0,
                problem: HistoryProblem::Proposal,
            });
        }
        self.check_tail(0, Status::Created, Revision::new(0))
    }

    fn check_tail(
        &self,
        known: usize,
        mut status: Status,
        stored: Revision,
    ) -> Result<(), HistoryError> {
        let mut prev = known.checked_sub(1).map(|i| *self.decisions[i].digest());
        for (i, decision) in self.decisions.iter().enumerate().skip(known) {
            let seq = u32::try_from(i + 1).unwrap_or(u32::MAX);
            if decision.seq() != seq
                || *decision.prev() != prev.unwrap_or(Digest::ZERO)
                || decision.revision() != stored.next()
            {
                return Err(HistoryError {
                    seq,
                    problem: HistoryProblem::Chain,
                });
            }
            if !follows((i > 0).then_some(status), decision) {
                return Err(HistoryError {
                    seq,
                    problem: HistoryProblem::Transition,
                });
            }
            status = decision.status();
            prev = Some(*decision.digest());
        }
        if self.status != status || self.revision != stored.next() || self.decisions.is_empty() {
            return Err(HistoryError {
                seq: 0,
                problem: HistoryProblem::Head,
            });
        }
        Ok(())
    }
}

/// Whether a decision may follow a status: a lifecycle decision takes a step of the table, any
/// other leaves the status alone.
fn follows(before: Option<Status>, decision: &Decision) -> bool {
    let lifecycle = decision.kind().category() == DecisionCategory::Lifecycle;
    match before {
        None => {
            matches!(
                decision.kind(),
                DecisionKind::Lifecycle(Lifecycle::Submitted { .. })
            ) && decision.status() == Status::Created
        }
        Some(before) if lifecycle => Step::ALL
            .into_iter()
            .any(|step| before.after(step) == Some(decision.status())),
        Some(before) => before == decision.status(),
    }
}
