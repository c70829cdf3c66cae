//! What became of a request's execution.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    effects::{Change, SideEffect},
    ids::{Digest, Label, StateVersion, Timestamp},
};

/// An execution that ended in an error of the mutation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code of the error.
    pub code: Label,
    /// Words for people.
    pub message: String,
    /// Whether trying again may help.
    pub retryable: bool,
}

/// What became of a request's execution. The version that was approved is not here: it belongs to
/// the round and is never overwritten.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<StateVersion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<StateVersion>,
    // Left out unless it is so: documents of before there was this have the same form and digest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) executed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) changes: Arc<[Change]>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub(crate) side_effects: Arc<[SideEffect]>,
}

impl Execution {
    /// How often it was tried.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Version of the state it was executed against, once it was.
    #[must_use]
    pub const fn version_before(&self) -> Option<StateVersion> {
        self.before
    }

    /// Version of the state it made, once it was executed.
    #[must_use]
    pub const fn version_after(&self) -> Option<StateVersion> {
        self.after
    }

    /// Whether it ended its state: there was none afterwards.
    #[must_use]
    pub const fn deleted_state(&self) -> bool {
        self.deleted
    }

    /// When it was executed.
    #[must_use]
    pub const fn executed_at(&self) -> Option<Timestamp> {
        self.executed_at
    }

    /// How the last attempt failed, if it did.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// What changed.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What has to happen elsewhere.
    #[must_use]
    pub fn side_effects(&self) -> &[SideEffect] {
        &self.side_effects
    }

    /// Digest of changes and side effects.
    pub(super) fn effects_digest(&self) -> Digest {
        Digest::of_value(&(&*self.changes, &*self.side_effects)).unwrap_or(Digest::ZERO)
    }

    pub(crate) fn footprint(&self) -> usize {
        use crate::context::value_footprint as value;
        let changes = self.changes.iter().map(|c| {
            40 + c.path().len() + c.before().map_or(0, value) + c.after().map_or(0, value)
        });
        let effects = self.side_effects.iter().map(|e| {
            90 + e.kind().as_str().len() + e.description().len() + e.data().map_or(0, value)
        });
        60 + self
            .failure
            .as_ref()
            .map_or(0, |f| 40 + f.code.as_str().len() + f.message.len())
            + changes.sum::<usize>()
            + effects.sum::<usize>()
    }
}
