//! The port of a backend.

use std::{fmt, ptr};

use async_trait::async_trait;
use smallvec::SmallVec;

use crate::{
    error::BackendError,
    rate_limit::{Count, RateLimitError, Rule},
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

    /// Whether it can be counted. Under one rule, with the subject for a scope, there is little
    /// that can be wrong.
    #[inline]
    pub(super) fn validate(&self) -> Result<(), RateLimitError> {
        if let [(_, subject)] = self.rules
            && ptr::eq(self.scope, *subject)
            && fits(subject)
        {
            return Ok(());
        }
        self.validate_all()
    }

    fn validate_all(&self) -> Result<(), RateLimitError> {
        let invalid = |argument, rule| Err(RateLimitError::Invalid { argument, rule });
        if !fits(self.scope) {
            return invalid("scope", "1 to 512 bytes");
        }
        if !(1..=Self::MAX_RULES).contains(&self.rules.len()) {
            return invalid("rules", "1 to 16 of them");
        }
        if !self.rules.iter().all(|(_, subject)| fits(subject)) {
            return invalid("subject", "1 to 512 bytes");
        }
        let names = |index: usize| {
            let (rule, subject) = self.rules[index];
            (rule.name(), rule.counted_by(), subject)
        };
        let count = self.rules.len();
        if (0..count).any(|a| (a + 1..count).any(|b| names(a) == names(b))) {
            return invalid("rules", "each rule once for a subject");
        }
        Ok(())
    }
}

#[inline]
fn fits(name: &str) -> bool {
    (1..=Charge::MAX_NAME_BYTES).contains(&name.len())
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
    async fn charge(&self, charge: &Charge<'_>) -> Result<Answer, BackendError>;

    /// The same for a backend that has nothing to wait for, such as one in this process: it does
    /// what [`charge`](Self::charge) does before it returns and puts the count of every rule into
    /// `counts`, which is as long as the rules are many. A check then needs no future on the heap
    /// and no deadline.
    ///
    /// `None`, which is what it says unless written otherwise, means that it has to be waited for:
    /// nothing was done, and `charge` is to be called.
    fn charge_now(
        &self,
        charge: &Charge<'_>,
        counts: &mut [Count],
    ) -> Option<Result<(), BackendError>> {
        let _ = (charge, counts);
        None
    }

    /// Gives a cost back under all rules.
    async fn refund(&self, charge: &Charge<'_>) -> Result<(), BackendError>;

    /// Forgets what was counted under all rules.
    async fn reset(&self, charge: &Charge<'_>) -> Result<(), BackendError>;
}
