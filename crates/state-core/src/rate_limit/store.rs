//! The port of a backend.

use std::fmt;

use async_trait::async_trait;
use smallvec::SmallVec;

use crate::{
    answering::Answering,
    error::BackendError,
    rate_limit::{Count, Rule},
};

/// A cost, and everything it is counted under. `Debug` shows no subject.
#[derive(Clone, Copy)]
pub struct Charge<'a> {
    /// What the counters of the charge have in common; they are stored together.
    pub scope: &'a str,
    /// The rules, each with its subject.
    pub rules: &'a [(&'a Rule, &'a str)],
    /// How much.
    pub cost: u64,
}

impl Charge<'_> {
    /// Most rules of one charge.
    pub const MAX_RULES: usize = 16;
    /// Longest scope or subject in bytes.
    pub const MAX_NAME_BYTES: usize = 512;
}

impl fmt::Debug for Charge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge")
            .field("rules", &self.rules.len())
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

/// How every rule of a charge stands after it, in the order of the charge. The charge took place if
/// all of them allowed it and it cost anything.
///
/// Nearly every charge is made under one rule, whose count needs no memory of its own.
pub type Answer = SmallVec<[Count; 1]>;

/// What a backend of [`RateLimiter`](crate::rate_limit::RateLimiter) can do, each in one atomic step
/// that goes by the backend's time and does what [`count`](crate::rate_limit::count) says.
#[async_trait]
pub trait RateLimitStore: fmt::Debug + Send + Sync + 'static {
    /// Takes a cost under all rules or none. What is denied is not stored.
    fn charge<'a>(&'a self, charge: &'a Charge<'_>) -> Answering<'a, Answer>;

    /// Gives a cost back under all rules.
    async fn refund(&self, charge: &Charge<'_>) -> Result<(), BackendError>;

    /// Forgets what was counted under all rules.
    async fn reset(&self, charge: &Charge<'_>) -> Result<(), BackendError>;
}
