//! What policies said, as it is kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{context::Metadata, effects::Severity, ids::Label};

/// When policies were asked.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyPhase {
    /// At submission.
    Submission,
    /// At execution.
    Execution,
}

/// The answer of a policy, without its data.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyAnswer {
    /// It has no opinion.
    Abstained,
    /// It allows the change.
    Allowed,
    /// It requires approvals.
    Required,
    /// It denies the change.
    Denied,
}

impl PolicyAnswer {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abstained => "abstained",
            Self::Allowed => "allowed",
            Self::Required => "required",
            Self::Denied => "denied",
        }
    }
}

impl fmt::Display for PolicyAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one policy said, as it is kept in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Names from the outermost composition to the policy, joined by `/`.
    pub policy: String,
    /// What it said.
    pub answer: PolicyAnswer,
    /// How serious it is.
    pub severity: Severity,
    /// Its reasons: code and words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<DenialReason>,
    /// Whether its answer decided the outcome.
    pub decisive: bool,
    /// Its own data.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// One reason of a denial.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DenialReason {
    /// Stable code, for programs.
    pub code: Label,
    /// Words, for people.
    pub message: String,
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// What policies said.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyEvent {
    /// They were asked.
    Evaluated {
        /// When.
        phase: PolicyPhase,
        /// Their common answer.
        answer: PolicyAnswer,
        /// What each of them said.
        policies: Vec<PolicyRecord>,
    },
}

#[cfg(test)]
mod tests {
    use super::PolicyAnswer;
    use crate::{ChangeKind, RequirementStatus, Severity, Verdict};

    /// The names programs see are those records are stored with.
    #[test]
    fn names_are_those_of_the_stored_form() {
        macro_rules! check {
            ($($value:expr),* $(,)?) => {$(
                assert_eq!(serde_json::to_value($value).unwrap(), $value.as_str());
                assert_eq!($value.to_string(), $value.as_str());
            )*};
        }
        check!(
            PolicyAnswer::Abstained,
            PolicyAnswer::Allowed,
            PolicyAnswer::Required,
            PolicyAnswer::Denied,
            RequirementStatus::Waiting,
            RequirementStatus::Open,
            RequirementStatus::Satisfied,
            RequirementStatus::Denied,
            RequirementStatus::Expired,
            RequirementStatus::Closed,
            Severity::Info,
            Severity::Warning,
            Severity::Error,
            Severity::Critical,
            ChangeKind::Added,
            ChangeKind::Modified,
            ChangeKind::Removed,
            Verdict::Approve,
            Verdict::Deny,
        );
    }
}
