//! What came of a call.

use std::time::Duration;

use crate::rate_limit::OnError;

/// Whether a call may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It may.
    Allowed,
    /// Not now.
    Denied,
    /// Not ever: it asks for more than can be had at once.
    Never,
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The backend.
    Backend,
    /// This process, which remembers that the backend denied the same for longer than until now.
    DenyCache,
    /// The policy for when the backend does not answer.
    Fallback(OnError),
}

/// What came of a call.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may go on.
    pub outcome: Outcome,
    /// The most that can be had at once under the rule that decided.
    pub limit: u64,
    /// How much can be had now.
    pub remaining: u64,
    /// When the call can be repeated; zero unless it was denied.
    pub retry_after: Duration,
    /// When everything can be had again.
    pub reset_after: Duration,
    /// Who decided.
    pub source: Source,
    /// Which of the rules decided: the one to wait for longest, or with the least left.
    pub rule: usize,
}

impl Decision {
    /// Whether the call may go on.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        matches!(self.outcome, Outcome::Allowed)
    }
}
