//! How large the facts of a decision are in a stored document.

use super::{
    AmendmentEvent, ApprovalEvent, DecisionKind, DenialReason, ExpiryCause, Lifecycle, PolicyEvent,
    PolicyRecord, RejectionCause,
};
use crate::{
    context::{Reason, metadata_footprint},
    ids::Label,
};

/// Names of the fields and facts of fixed size, for the larger kinds.
const FIXED: usize = 120;

impl DecisionKind {
    /// Approximate bytes in a stored document. Everything of variable size is counted: callers
    /// and policies choose these sizes, and a limit has to see them.
    pub(super) fn footprint(&self) -> usize {
        FIXED
            + match self {
                Self::Lifecycle(event) => lifecycle(event),
                Self::Policy(PolicyEvent::Evaluated {
                    phase: _,
                    answer: _,
                    policies,
                }) => policies.iter().map(policy).sum(),
                Self::Approval(event) => approval(event),
                Self::Amendment(event) => amendment(event),
                // Versions and ids, all of fixed size.
                Self::Version(_) | Self::Link(_) => 0,
            }
    }
}

fn text(text: &str) -> usize {
    5 + text.len()
}

fn lifecycle(event: &Lifecycle) -> usize {
    match event {
        Lifecycle::Pending { reasons } => 32 * reasons.len(),
        Lifecycle::Failed { code, message, .. } => text(code.as_str()) + text(message),
        Lifecycle::Rejected { cause } => rejection(cause),
        Lifecycle::Expired { cause } => match cause {
            ExpiryCause::RequestDeadline { .. } => 0,
            ExpiryCause::RequirementDeadline { requirement, .. } => text(requirement.as_str()),
        },
        Lifecycle::Executed { .. } => 60,
        Lifecycle::Submitted { .. }
        | Lifecycle::Approved
        | Lifecycle::Retried
        | Lifecycle::Canceled
        | Lifecycle::Superseded { .. } => 0,
    }
}

fn rejection(cause: &RejectionCause) -> usize {
    match cause {
        RejectionCause::ApprovalDenied { requirement } => text(requirement.as_str()),
        RejectionCause::QuorumUnreachable { requirements } => {
            requirements.iter().map(|id| text(id.as_str())).sum()
        }
        RejectionCause::Invalid { violations } => violations.iter().map(|v| text(v)).sum(),
        RejectionCause::PolicyDenied | RejectionCause::Stale { .. } => 0,
    }
}

fn policy(record: &PolicyRecord) -> usize {
    let reason = |r: &DenialReason| 20 + text(r.code.as_str()) + text(&r.message);
    70 + text(&record.policy)
        + record.reasons.iter().map(reason).sum::<usize>()
        + metadata_footprint(&record.metadata)
}

fn approval(event: &ApprovalEvent) -> usize {
    let label = |label: &Option<Label>| label.as_ref().map_or(0, |l| 10 + text(l.as_str()));
    match event {
        ApprovalEvent::Requested { requirements, .. } => {
            requirements.iter().map(|id| text(id.as_str())).sum()
        }
        ApprovalEvent::Denied { code, category, .. } => label(code) + label(category),
        ApprovalEvent::Satisfied { requirement, by } => {
            text(requirement.as_str()) + by.iter().map(|id| text(id.as_str())).sum::<usize>()
        }
        ApprovalEvent::Expired { requirement, .. } => text(requirement.as_str()),
        ApprovalEvent::Granted { .. }
        | ApprovalEvent::Withdrawn { .. }
        | ApprovalEvent::StageOpened { .. }
        | ApprovalEvent::Renewed { .. } => 0,
    }
}

fn amendment(event: &AmendmentEvent) -> usize {
    let reason = |reason: &Reason| text(reason.as_str());
    match event {
        AmendmentEvent::Deadline { .. } => 0,
        AmendmentEvent::Reason { from, to } => from.as_ref().map_or(0, reason) + reason(to),
        AmendmentEvent::Risk { policy, .. } => text(policy),
        AmendmentEvent::Tag { tag, policy } => text(tag.as_str()) + text(policy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, PolicyAnswer, PolicyPhase, RequirementId, Severity, ids::ActorId};

    /// Every kind that can be made large by somebody's choice is as large as it is stored.
    #[test]
    fn what_can_be_large_is_counted() {
        let words = || "w".repeat(4_000);
        let reason = || Reason::new(words()).unwrap();
        let policy = PolicyRecord {
            policy: "p".to_owned(),
            answer: PolicyAnswer::Denied,
            severity: Severity::Error,
            reasons: vec![DenialReason {
                code: Label::literal("c"),
                message: words(),
            }],
            decisive: true,
            metadata: Metadata::from([("key".to_owned(), vec![words(); 9].into())]),
        };
        let kinds = [
            DecisionKind::Amendment(AmendmentEvent::Reason {
                from: Some(reason()),
                to: reason(),
            }),
            DecisionKind::Approval(ApprovalEvent::Satisfied {
                requirement: RequirementId::new("r").unwrap(),
                by: vec![ActorId::new("a".repeat(60)).unwrap(); 128],
            }),
            DecisionKind::Lifecycle(Lifecycle::Rejected {
                cause: RejectionCause::Invalid {
                    violations: vec![words(); 50],
                },
            }),
            DecisionKind::Lifecycle(Lifecycle::Failed {
                attempt: 1,
                code: Label::literal("c"),
                message: words(),
                retryable: false,
            }),
            DecisionKind::Policy(PolicyEvent::Evaluated {
                phase: PolicyPhase::Submission,
                answer: PolicyAnswer::Denied,
                policies: vec![policy; 20],
            }),
        ];
        for kind in kinds {
            let stored = rmp_serde::to_vec_named(&kind).unwrap().len();
            let counted = kind.footprint();
            assert!(counted >= stored, "{kind}: {counted} of {stored}");
        }
    }
}
