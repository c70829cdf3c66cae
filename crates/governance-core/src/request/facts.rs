//! Whether what a request says beside its history is what the history says.

use super::{Failure, HistoryProblem, MutationRequest};
use crate::{
    approval::{StageOpening, Verdict},
    decision::{AmendmentEvent, ApprovalEvent, Decision, DecisionKind, Lifecycle, LinkEvent},
    ids::{RequestId, Revision, StateVersion, Timestamp},
    status::Status,
};

impl MutationRequest {
    /// Everything beside the history, held against it.
    pub(super) fn verify_facts(&self) -> Result<(), HistoryProblem> {
        let holds = |fact: bool, problem| if fact { Ok(()) } else { Err(problem) };
        holds(self.proposal_is_recorded(), HistoryProblem::Proposal)?;
        holds(self.round_is_recorded(), HistoryProblem::Subject)?;
        holds(self.votes_are_recorded(), HistoryProblem::Votes)?;
        holds(self.execution_is_recorded(), HistoryProblem::Execution)?;
        holds(
            self.lifecycle_is_recorded() && self.links_are_recorded(),
            HistoryProblem::Facts,
        )
    }

    fn kinds(&self) -> impl DoubleEndedIterator<Item = (&Decision, &DecisionKind)> {
        self.decisions.iter().map(|d| (&**d, d.kind()))
    }

    fn approval_events(&self) -> impl DoubleEndedIterator<Item = (&Decision, &ApprovalEvent)> {
        self.kinds().filter_map(|(decision, kind)| match kind {
            DecisionKind::Approval(event) => Some((decision, event)),
            _ => None,
        })
    }

    fn proposal_is_recorded(&self) -> bool {
        let submitted = self.decisions.first().map(|decision| decision.kind());
        matches!(
            submitted,
            Some(DecisionKind::Lifecycle(Lifecycle::Submitted { proposal, .. }))
                if *proposal == self.proposal.digest()
        ) && self.proposal.payload().verify().is_ok()
            && self.id().slot() == self.proposal.scope().slot()
    }

    /// The round is the last one that was opened, about what was asked for, with the stages that
    /// were opened.
    fn round_is_recorded(&self) -> bool {
        let round = &*self.round;
        let begun = if round.number == 1 {
            self.kinds().next().and_then(|(first, kind)| match kind {
                DecisionKind::Lifecycle(Lifecycle::Submitted { subject, .. }) => {
                    Some((first.at(), self.proposal.submitted_version(), *subject))
                }
                _ => None,
            })
        } else {
            let renewed = self
                .approval_events()
                .rev()
                .find_map(|(decision, event)| match event {
                    ApprovalEvent::Renewed {
                        round,
                        version,
                        subject,
                        ..
                    } => Some((*round, (decision.at(), *version, *subject))),
                    _ => None,
                });
            renewed
                .filter(|(number, _)| *number == round.number)
                .map(|(_, begun)| begun)
        };
        let asked = self.requested_rounds().last();
        let asked = asked.and_then(|event| match event {
            ApprovalEvent::Requested {
                round: number,
                version,
                subject,
                ..
            } => Some((*number, *version, *subject)),
            _ => None,
        });
        let asked_for_this = asked == Some((round.number, round.version, round.subject));
        let asked_for_nothing = asked.is_none_or(|(number, ..)| number < round.number);
        let mut stages: Vec<StageOpening> = Vec::new();
        for (decision, event) in self.approval_events() {
            if let ApprovalEvent::StageOpened { round: n, stage } = event
                && *n == round.number
            {
                // A stage that opens again closes those behind it.
                stages.retain(|opening| opening.stage < *stage);
                stages.push(StageOpening {
                    stage: *stage,
                    at: decision.at(),
                });
            }
        }
        begun == Some((round.opened_at, round.version, round.subject))
            && round.subject
                == self
                    .proposal
                    .subject(round.number, round.version, &round.rules)
            && if round.rules.is_empty() {
                asked_for_nothing
            } else {
                asked_for_this
            }
            && stages == round.stages
    }

    /// The live votes are exactly those granted, denied and not withdrawn in this round.
    fn votes_are_recorded(&self) -> bool {
        let number = self.round.number;
        let mut live = Vec::new();
        for (decision, event) in self.approval_events() {
            match event {
                ApprovalEvent::Granted {
                    round,
                    stage,
                    subject,
                    evidence,
                } if *round == number => {
                    live.push((decision, *stage, *subject, *evidence, Verdict::Approve));
                }
                ApprovalEvent::Denied {
                    round,
                    stage,
                    subject,
                    evidence,
                    ..
                } if *round == number => {
                    live.push((decision, *stage, *subject, *evidence, Verdict::Deny));
                }
                ApprovalEvent::Withdrawn { round, stage } if *round == number => {
                    live.retain(|(vote, at, ..)| {
                        vote.actor().id() != decision.actor().id() || at != stage
                    });
                }
                _ => {}
            }
        }
        live.len() == self.round.votes.len()
            && live.iter().zip(&self.round.votes).all(
                |((decision, stage, subject, evidence, verdict), v)| {
                    v.actor == *decision.actor().id()
                        && v.operation == decision.operation()
                        && v.at == decision.at()
                        && Some(&v.reason) == decision.reason()
                        && (v.stage, v.subject, v.verdict) == (*stage, *subject, *verdict)
                        && v.evidence.digest() == *evidence
                },
            )
    }

    fn execution_is_recorded(&self) -> bool {
        let execution = &self.execution;
        let last = self.kinds().rev().find_map(|(decision, kind)| match kind {
            DecisionKind::Lifecycle(
                event @ (Lifecycle::Executed { .. } | Lifecycle::Failed { .. }),
            ) => Some((decision, event)),
            _ => None,
        });
        let made: (
            u32,
            Option<StateVersion>,
            Option<StateVersion>,
            Option<Timestamp>,
        ) = (
            execution.attempts,
            execution.before,
            execution.after,
            execution.executed_at,
        );
        match last {
            Some((
                decision,
                Lifecycle::Executed {
                    attempt,
                    before,
                    after,
                    deleted,
                    effects,
                    ..
                },
            )) => {
                made == (*attempt, Some(*before), Some(*after), Some(decision.at()))
                    && execution.deleted == *deleted
                    && execution.failure.is_none()
                    && execution.effects_digest() == *effects
            }
            Some((
                _,
                Lifecycle::Failed {
                    attempt,
                    code,
                    message,
                    retryable,
                },
            )) => {
                let failure = Failure {
                    code: code.clone(),
                    message: message.clone(),
                    retryable: *retryable,
                };
                made == (*attempt, None, None, None)
                    && execution.failure.as_ref() == Some(&failure)
                    && execution.changes.is_empty()
                    && execution.side_effects.is_empty()
            }
            _ => *execution == super::Execution::default(),
        }
    }

    /// Reason, deadline, and what it waits for.
    fn lifecycle_is_recorded(&self) -> bool {
        let mut reason = self.decisions.first().and_then(|first| first.reason());
        let mut deadline = None;
        let mut waits_for: &[_] = &[];
        for (decision, kind) in self.kinds() {
            match kind {
                DecisionKind::Lifecycle(Lifecycle::Submitted { deadline: at, .. }) => {
                    deadline = *at;
                }
                DecisionKind::Lifecycle(Lifecycle::Pending { reasons }) => waits_for = reasons,
                DecisionKind::Amendment(AmendmentEvent::Reason { to, .. }) => reason = Some(to),
                // What policies amend at submission is in the deadline it begins with.
                DecisionKind::Amendment(AmendmentEvent::Deadline { to, .. })
                    if decision.revision() > Revision::FIRST =>
                {
                    deadline = *to;
                }
                _ => {}
            }
        }
        if self.status != Status::Pending {
            waits_for = &[];
        }
        self.reason.as_ref() == reason
            && self.expires_at == deadline
            && self.pending.iter().eq(waits_for.iter().copied())
    }

    fn links_are_recorded(&self) -> bool {
        let superseded_by = self.kinds().find_map(|(_, kind)| match kind {
            DecisionKind::Lifecycle(Lifecycle::Superseded { by }) => Some(by),
            _ => None,
        });
        let supersedes = self.kinds().filter_map(|(_, kind)| -> Option<&RequestId> {
            match kind {
                DecisionKind::Link(LinkEvent::Supersedes { request }) => Some(request),
                _ => None,
            }
        });
        self.links.superseded_by.as_ref() == superseded_by && supersedes.eq(&self.links.supersedes)
    }
}
