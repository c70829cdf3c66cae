//! What came of a call.

use std::time::Duration;

use crate::rate_limit::{Charge, Count, OnError, Verdict};

/// Whether a call may go on.
//
// As wide as its place in a decision: a byte and seven unused ones are copied in parts that were
// not written as such, and a processor waits for that.
#[repr(u64)]
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

    /// What comes of the counts of a charge.
    #[inline]
    pub(super) fn of(charge: &Charge<'_>, counts: &[Count], source: Source) -> Self {
        let rule = if counts.len() > 1 { first(counts) } else { 0 };
        let count = &counts[rule];
        Self {
            outcome: match count.verdict {
                Verdict::Allowed => Outcome::Allowed,
                Verdict::Denied => Outcome::Denied,
                Verdict::Never => Outcome::Never,
            },
            limit: charge.rules[rule].0.most(),
            remaining: count.remaining,
            retry_after: count.retry_after,
            reset_after: count.reset_after,
            source,
            rule,
        }
    }
}

/// Which rule decides: one that never allows it, the longest wait, or the least that is left.
fn first(counts: &[Count]) -> usize {
    let weight = |count: &Count| match count.verdict {
        Verdict::Never => (2, count.retry_after, u64::MAX),
        Verdict::Denied => (1, count.retry_after, u64::MAX),
        Verdict::Allowed => (0, count.retry_after, u64::MAX - count.remaining),
    };
    let mut rule = 0;
    for (index, count) in counts.iter().enumerate().skip(1) {
        if weight(count) > weight(&counts[rule]) {
            rule = index;
        }
    }
    rule
}
