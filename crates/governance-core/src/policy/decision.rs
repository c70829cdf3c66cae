//! What a policy says.

use std::time::Duration;

use crate::{
    approval::{ApprovalRules, ExecutorRule},
    context::Metadata,
    decision::DenialReason,
    effects::Severity,
    ids::{InvalidName, Label},
    intent::Risk,
};

/// A change a policy makes to a request at submission. It is recorded in the history.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amendment {
    /// The risk is at least this.
    RaiseRisk(Risk),
    /// Add a tag.
    AddTag(Label),
    /// The request has to be final within this time.
    ExpireWithin(Duration),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Abstain,
    Allow,
    Deny(Vec<DenialReason>),
    Require(ApprovalRules),
}

/// What a policy says about one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDecision {
    pub(super) answer: Answer,
    pub(super) severity: Severity,
    pub(super) amendments: Vec<Amendment>,
    pub(super) metadata: Metadata,
}

impl PolicyDecision {
    const fn new(answer: Answer, severity: Severity) -> Self {
        Self {
            answer,
            severity,
            amendments: Vec::new(),
            metadata: Metadata::new(),
        }
    }

    /// No opinion: the change is none of this policy's business.
    #[must_use]
    pub const fn abstain() -> Self {
        Self::new(Answer::Abstain, Severity::Info)
    }

    /// The change is fine.
    #[must_use]
    pub const fn allow() -> Self {
        Self::new(Answer::Allow, Severity::Info)
    }

    /// The change must not happen.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the code is not a valid label.
    pub fn deny(code: impl AsRef<str>, message: impl Into<String>) -> Result<Self, InvalidName> {
        let reason = DenialReason {
            code: Label::new(code)?,
            message: message.into(),
        };
        Ok(Self::new(Answer::Deny(vec![reason]), Severity::Error))
    }

    /// The change may happen once these approvals are there. Rules without requirements allow it,
    /// to be executed by whom they say.
    #[must_use]
    pub fn require(rules: ApprovalRules) -> Self {
        if rules.is_empty() && rules.executor_rule() == ExecutorRule::Anyone {
            return Self::allow();
        }
        Self::new(Answer::Require(rules), Severity::Info)
    }

    /// Adds another reason to a denial.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the code is not a valid label.
    pub fn because(
        mut self,
        code: impl AsRef<str>,
        message: impl Into<String>,
    ) -> Result<Self, InvalidName> {
        let reason = DenialReason {
            code: Label::new(code)?,
            message: message.into(),
        };
        if let Answer::Deny(reasons) = &mut self.answer {
            reasons.push(reason);
        }
        Ok(self)
    }

    /// Sets how serious it is.
    #[must_use]
    pub const fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Adds a change of the request.
    #[must_use]
    pub fn amend(mut self, amendment: Amendment) -> Self {
        self.amendments.push(amendment);
        self
    }

    /// Adds an entry to the policy's own data in the history.
    #[must_use]
    pub fn with_metadata(
        mut self,
        key: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}
