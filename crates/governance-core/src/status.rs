//! The state machine of a request: one table.
//!
//! [`Status::after`] is the only place that says which step leads where. Everything that changes
//! a status asks it, the diagram in the guide is generated from it, and the exhaustive test of
//! every step against every status is checked against it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a request stands.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Handed in, not judged yet. Never stored: submission ends in one of the next three.
    Created,
    /// Waits for something, see [`PendingReason`](crate::PendingReason).
    Pending,
    /// May be executed against the version it was approved for.
    Approved,
    /// Its execution ended in an error of the mutation. Nobody refused it; it can be retried.
    Failed,
    /// Its change was made. Final.
    Executed,
    /// It was refused by policies, approvers or the staleness rule. Final.
    Rejected,
    /// It was taken back. Final.
    Canceled,
    /// A deadline passed. Final.
    Expired,
    /// Another request took its place. Final.
    Superseded,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Pending,
        Self::Approved,
        Self::Failed,
        Self::Executed,
        Self::Rejected,
        Self::Canceled,
        Self::Expired,
        Self::Superseded,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Failed => "failed",
            Self::Executed => "executed",
            Self::Rejected => "rejected",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }

    /// Whether nothing can change this status any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Created | Self::Pending | Self::Approved | Self::Failed => false,
            Self::Executed | Self::Rejected | Self::Canceled | Self::Expired | Self::Superseded => {
                true
            }
        }
    }

    /// The transition table: the status after a step from this one, or `None` where the step is
    /// not allowed.
    #[must_use]
    pub const fn after(self, step: Step) -> Option<Self> {
        use Status::{
            Approved, Canceled, Created, Executed, Expired, Failed, Pending, Rejected, Superseded,
        };
        Some(match (step, self) {
            (Step::Hold, Created | Approved) => Pending,
            (Step::Approve, Created | Pending) | (Step::Retry, Failed) => Approved,
            (Step::Reject, Created | Pending | Approved) => Rejected,
            (Step::Complete, Approved) => Executed,
            (Step::Fail, Approved) => Failed,
            (Step::Cancel, Pending | Approved | Failed) => Canceled,
            (Step::Expire, Pending | Approved | Failed) => Expired,
            (Step::Supersede, Pending | Approved | Failed) => Superseded,
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

crate::ids::parse_by_name!(Status, "a status");

/// A step of the state machine.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Wait for something: at submission, or again when approval has to be renewed.
    Hold,
    /// All that was waited for is there.
    Approve,
    /// Refuse.
    Reject,
    /// Record an execution that made its change.
    Complete,
    /// Record an execution that ended in an error.
    Fail,
    /// Let a failed request be executed again.
    Retry,
    /// Take back.
    Cancel,
    /// Record a deadline that passed.
    Expire,
    /// Let another request take its place.
    Supersede,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 9] = [
        Self::Hold,
        Self::Approve,
        Self::Reject,
        Self::Complete,
        Self::Fail,
        Self::Retry,
        Self::Cancel,
        Self::Expire,
        Self::Supersede,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Complete => "complete",
            Self::Fail => "fail",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
            Self::Supersede => "supersede",
        }
    }
}

impl Step {
    /// What a request is once the step was taken, for messages.
    #[must_use]
    pub const fn done(self) -> &'static str {
        match self {
            Self::Hold => "held",
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::Complete => "executed",
            Self::Fail => "failed",
            Self::Retry => "retried",
            Self::Cancel => "canceled",
            Self::Expire => "expired",
            Self::Supersede => "superseded",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The state machine as a Mermaid diagram, generated from [`Status::after`].
#[must_use]
pub fn state_diagram() -> String {
    let mut diagram = String::from("stateDiagram-v2\n    [*] --> created\n");
    for from in Status::ALL {
        for step in Step::ALL {
            if let Some(to) = from.after(step) {
                diagram.push_str(&format!("    {from} --> {to}: {step}\n"));
            }
        }
    }
    for status in Status::ALL
        .into_iter()
        .filter(|status| status.is_terminal())
    {
        diagram.push_str(&format!("    {status} --> [*]\n"));
    }
    diagram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_statuses_absorb_every_step() {
        for status in Status::ALL {
            let leaves = Step::ALL
                .into_iter()
                .any(|step| status.after(step).is_some());
            assert_eq!(status.is_terminal(), !leaves, "{status}");
        }
    }

    #[test]
    fn no_step_stays_where_it_is_and_every_status_is_reached() {
        for from in Status::ALL {
            for step in Step::ALL {
                assert_ne!(from.after(step), Some(from), "{from} {step}");
            }
        }
        for status in Status::ALL.into_iter().filter(|s| *s != Status::Created) {
            let reached = Status::ALL.into_iter().any(|from| {
                Step::ALL
                    .into_iter()
                    .any(|step| from.after(step) == Some(status))
            });
            assert!(reached, "{status}");
        }
    }

    #[test]
    fn names_are_those_of_the_stored_form() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
