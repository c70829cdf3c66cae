//! The front.

use std::sync::Arc;

use crate::{
    clock::{Clock, MonotonicClock},
    error::Classified as _,
    observe::Observer,
    rate_limit::{
        Answer, Charge, Count, Decision, LimiterOptions, RateLimitError, RateLimitStore, Rule,
        Source,
        asking::{Asked, Inner},
    },
};

/// Rate limits on a backend. A clone is a handle to the same.
#[derive(Debug, Clone)]
pub struct RateLimiter(Arc<Inner>);

impl RateLimiter {
    /// Limits on a backend, with the local clock.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::Option`] when a setting cannot work.
    pub fn new(
        store: Arc<dyn RateLimitStore>,
        options: LimiterOptions,
    ) -> Result<Self, RateLimitError> {
        let clock = Arc::new(MonotonicClock::new());
        Self::build(store, options, clock, None)
    }

    /// The same with everything passed in. The clock is for the timeout, remembered denials and the
    /// local share.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::Option`] when a setting cannot work.
    pub fn observed(
        store: Arc<dyn RateLimitStore>,
        options: LimiterOptions,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, RateLimitError> {
        Self::build(store, options, clock, Some(observer))
    }

    fn build(
        store: Arc<dyn RateLimitStore>,
        options: LimiterOptions,
        clock: Arc<dyn Clock>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Self, RateLimitError> {
        options.validate()?;
        let inner = Inner::new(store, options, clock, observer);
        Ok(Self(Arc::new(inner)))
    }

    /// Takes a cost under one rule. The subject is the scope, too.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::Invalid`] for a subject that cannot be counted. A backend that does not
    /// answer is answered for by the policy, with [`Source::Fallback`].
    ///
    /// # Cancel safety
    ///
    /// The cost may have been taken when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One; none for a denial that is repeated.
    #[inline]
    pub async fn check(
        &self,
        rule: &Rule,
        subject: &str,
        cost: u64,
    ) -> Result<Decision, RateLimitError> {
        let asked = {
            let rules = &[(rule, subject)];
            let charge = &Charge {
                scope: subject,
                rules,
                cost,
            };
            let mut count = [Count::NOTHING];
            match self.0.ask(charge, &mut count) {
                Asked::Counted => return Ok(Decision::of(charge, &count, Source::Backend)),
                Asked::Decided(decided) => return decided,
                Asked::Waits(asked) => asked,
            }
        };
        let later = self.0.later(rule, subject, cost, asked);
        later.await
    }

    /// Takes a cost under several rules, or under none of them. What has the same scope is stored
    /// together: a tenant, say.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    ///
    /// # Cancel safety
    ///
    /// The cost may have been taken when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One; none for a denial that is repeated.
    pub async fn check_all(
        &self,
        scope: &str,
        rules: &[(&Rule, &str)],
        cost: u64,
    ) -> Result<Decision, RateLimitError> {
        let asked = {
            let charge = &Charge { scope, rules, cost };
            let mut counts = Answer::from_elem(Count::NOTHING, rules.len());
            match self.0.ask(charge, &mut counts) {
                Asked::Counted => return Ok(Decision::of(charge, &counts, Source::Backend)),
                Asked::Decided(decided) => return decided,
                Asked::Waits(asked) => asked,
            }
        };
        let later = self.0.all_later(scope, rules, cost, asked);
        later.await
    }

    /// How a rule stands, without taking anything.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn peek(&self, rule: &Rule, subject: &str) -> Result<Decision, RateLimitError> {
        self.check(rule, subject, 0).await
    }

    /// Gives a cost back, when what it was taken for did not happen.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::Backend`]; with an unknown outcome it may have been given back, and giving
    /// it back twice would be too much.
    ///
    /// # Cancel safety
    ///
    /// It may have been given back when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn refund(
        &self,
        rule: &Rule,
        subject: &str,
        cost: u64,
    ) -> Result<(), RateLimitError> {
        let rules = [(rule, subject)];
        let charge = Charge {
            scope: subject,
            rules: &rules,
            cost,
        };
        self.0.valid("refund", &charge)?;
        let asked = self.0.clock().now();
        let refunded = self.0.store().refund(&charge).await;
        let outcome = refunded
            .as_ref()
            .map_or_else(|error| error.code(), |()| "refunded");
        self.0.tell("refund", outcome, Some(asked));
        self.0.forget(&charge);
        Ok(refunded?)
    }

    /// Forgets what was counted of a subject under a rule. Other processes may go on denying it
    /// until the denials they remember are over.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::Backend`]; repeating it is safe.
    ///
    /// # Cancel safety
    ///
    /// It may have been forgotten when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn reset(&self, rule: &Rule, subject: &str) -> Result<(), RateLimitError> {
        let rules = [(rule, subject)];
        let charge = Charge {
            scope: subject,
            rules: &rules,
            cost: 0,
        };
        self.0.valid("reset", &charge)?;
        let asked = self.0.clock().now();
        let reset = self.0.store().reset(&charge).await;
        let outcome = reset
            .as_ref()
            .map_or_else(|error| error.code(), |()| "reset");
        self.0.tell("reset", outcome, Some(asked));
        self.0.forget(&charge);
        Ok(reset?)
    }
}
