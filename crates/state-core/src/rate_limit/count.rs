//! Counting, as a function of time and of what is stored. The backends do what this says.

use std::time::Duration;

use crate::rate_limit::{Algorithm, Rule, gcra, window};

/// What is stored for one subject of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// [`Algorithm::Gcra`]: when the next call would be due if all came evenly, in microseconds.
    Gcra {
        /// The theoretical arrival time.
        due: u64,
    },
    /// The windows.
    Window {
        /// The number of the window, counted from the epoch.
        index: u64,
        /// How much was had in it.
        count: u64,
        /// How much was had in the one before.
        before: u64,
    },
}

/// Whether a cost can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Now.
    Allowed,
    /// Later.
    Denied,
    /// Not even when nobody else asks: it is more than can be had at once.
    Never,
}

/// How one rule stands after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Whether this rule let the call pass.
    pub verdict: Verdict,
    /// How much can be had now.
    pub remaining: u64,
    /// When the cost can be had; zero when it was.
    pub retry_after: Duration,
    /// When everything can be had again.
    pub reset_after: Duration,
}

impl Count {
    /// Nothing can be had, ever: the place of a count that is not there yet.
    pub const NOTHING: Self = Self {
        verdict: Verdict::Never,
        remaining: 0,
        retry_after: Duration::ZERO,
        reset_after: Duration::ZERO,
    };
}

/// What a call comes to under one rule: how the rule stands if it `takes` place, and what is stored
/// then. Nothing is stored for a call that does not.
///
/// Ask with `takes` false first; when every rule of a call allows it, ask again with true.
// In place of a call, always: its result is two structures, and moving them costs as much as counting.
#[inline(always)]
#[must_use]
pub fn count(
    rule: &Rule,
    stored: Option<Counter>,
    now: u64,
    cost: u64,
    takes: bool,
) -> (Count, Option<Counter>) {
    match rule.counted_by() {
        Algorithm::Gcra => gcra::count(rule.limit(), stored, now, cost, takes),
        Algorithm::SlidingWindow => window::count(rule.limit(), stored, now, cost, takes, true),
        Algorithm::FixedWindow => window::count(rule.limit(), stored, now, cost, takes, false),
    }
}

/// What is stored after a cost was given back; `None` when nothing is left to remember.
#[must_use]
pub fn refund(rule: &Rule, stored: Counter, now: u64, cost: u64) -> Option<Counter> {
    match rule.counted_by() {
        Algorithm::Gcra => gcra::refund(rule.limit(), stored, now, cost),
        Algorithm::SlidingWindow | Algorithm::FixedWindow => {
            window::refund(rule.limit(), stored, now, cost)
        }
    }
}
