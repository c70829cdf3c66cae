//! What a mutation did: changes of the state and side effects to be carried out elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Label;

/// How a part of the state changed.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It has another value now.
    Modified,
    /// It is gone.
    Removed,
}

impl ChangeKind {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Modified => "modified",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One change of one part of the state, as the mutation declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    path: String,
    kind: ChangeKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

impl Change {
    /// A part that was not there before.
    #[must_use]
    pub fn added(path: impl Into<String>, after: impl Into<Value>) -> Self {
        Self {
            path: path.into(),
            kind: ChangeKind::Added,
            before: None,
            after: Some(after.into()),
        }
    }

    /// A part with another value than before.
    #[must_use]
    pub fn modified(
        path: impl Into<String>,
        before: impl Into<Value>,
        after: impl Into<Value>,
    ) -> Self {
        Self {
            path: path.into(),
            kind: ChangeKind::Modified,
            before: Some(before.into()),
            after: Some(after.into()),
        }
    }

    /// A part that is gone.
    #[must_use]
    pub fn removed(path: impl Into<String>, before: impl Into<Value>) -> Self {
        Self {
            path: path.into(),
            kind: ChangeKind::Removed,
            before: Some(before.into()),
            after: None,
        }
    }

    /// Where in the state.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How it changed.
    #[must_use]
    pub const fn kind(&self) -> ChangeKind {
        self.kind
    }

    /// The value before, if there was one.
    #[must_use]
    pub const fn before(&self) -> Option<&Value> {
        self.before.as_ref()
    }

    /// The value after, if there is one.
    #[must_use]
    pub const fn after(&self) -> Option<&Value> {
        self.after.as_ref()
    }
}

/// How serious something is.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For information.
    #[default]
    Info,
    /// Should be looked at.
    Warning,
    /// Is wrong.
    Error,
    /// Must be acted on.
    Critical,
}

impl Severity {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that has to happen elsewhere because of a change: a mail, a cache to drop, a ticket.
/// It is data on the request; delivering it is somebody else's work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SideEffect {
    kind: Label,
    description: String,
    severity: Severity,
    requires_action: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contract: Option<DataContract>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
}

/// Name and version of the form of a side effect's data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DataContract {
    /// Stable name.
    pub name: Label,
    /// Version, from 1.
    pub version: u32,
}

impl SideEffect {
    /// A side effect for information.
    #[must_use]
    pub fn new(kind: Label, description: impl Into<String>) -> Self {
        Self {
            kind,
            description: description.into(),
            severity: Severity::Info,
            requires_action: false,
            contract: None,
            data: None,
        }
    }

    /// Sets the severity. A critical side effect always requires action.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self.requires_action |= severity == Severity::Critical;
        self
    }

    /// Says that somebody has to act.
    #[must_use]
    pub const fn requiring_action(mut self) -> Self {
        self.requires_action = true;
        self
    }

    /// Adds data of a named form.
    #[must_use]
    pub fn with_data(mut self, contract: DataContract, data: impl Into<Value>) -> Self {
        self.contract = Some(contract);
        self.data = Some(data.into());
        self
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> &Label {
        &self.kind
    }

    /// Words for people.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// How serious it is.
    #[must_use]
    pub const fn severity_level(&self) -> Severity {
        self.severity
    }

    /// Whether somebody has to act.
    #[must_use]
    pub const fn requires_action(&self) -> bool {
        self.requires_action
    }

    /// Form of the data.
    #[must_use]
    pub const fn contract(&self) -> Option<&DataContract> {
        self.contract.as_ref()
    }

    /// The data.
    #[must_use]
    pub const fn data(&self) -> Option<&Value> {
        self.data.as_ref()
    }
}
