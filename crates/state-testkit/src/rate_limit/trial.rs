//! What a case works with.

use std::{any::Any, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use state_core::{
    Clock,
    rate_limit::{
        Algorithm, Answer, Charge, Count, Limit, LimiterOptions, RateLimitStore, RateLimiter, Rule,
        Verdict,
    },
};

use crate::{Passage, RecordingObserver};

/// A backend under test.
#[async_trait]
pub trait RateLimitHarness: Send + Sync {
    /// A store in which nothing is counted.
    async fn fresh(&self) -> RateLimitParts;
}

/// A store and what belongs to it.
#[expect(
    missing_debug_implementations,
    reason = "what a harness keeps alive need not have one"
)]
pub struct RateLimitParts {
    /// The store.
    pub store: Arc<dyn RateLimitStore>,
    /// The local clock of fronts. A virtual one is the store's too.
    pub clock: Arc<dyn Clock>,
    /// How time passes.
    pub passage: Arc<dyn Passage>,
    /// What must live as long as the store: a server.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// One case with a store of its own.
#[expect(missing_debug_implementations, reason = "as its parts")]
pub struct RateLimitTrial {
    /// The store and what belongs to it.
    pub parts: RateLimitParts,
    /// What the fronts of the trial told.
    pub observer: RecordingObserver,
}

/// How calls are counted, all kinds of it.
pub(super) const ALGORITHMS: [Algorithm; 3] = [
    Algorithm::Gcra,
    Algorithm::SlidingWindow,
    Algorithm::FixedWindow,
];

/// So many per so many seconds.
pub(super) fn rule(name: &str, quantity: u64, seconds: u64) -> Rule {
    let limit = Limit::new(quantity, Duration::from_secs(seconds)).expect("a limit");
    Rule::new(name, limit).expect("a name")
}

impl RateLimitTrial {
    /// A trial on a fresh store.
    pub async fn begin(harness: &dyn RateLimitHarness) -> Self {
        Self {
            parts: harness.fresh().await,
            observer: RecordingObserver::new(),
        }
    }

    pub(super) async fn pass(&self, time: Duration) {
        self.parts.passage.pass(time).await;
    }

    pub(super) async fn until<T>(&self, ready: impl Future<Output = T>) -> T {
        crate::passage::until(&*self.parts.passage, ready).await
    }

    /// A front. Its timeout is one that a slow machine does not reach.
    pub(super) fn limiter(&self, options: LimiterOptions) -> RateLimiter {
        let made = RateLimiter::observed(
            Arc::clone(&self.parts.store),
            options.timeout(Duration::from_secs(30)),
            Arc::clone(&self.parts.clock),
            Arc::new(self.observer.clone()),
        );
        made.expect("valid options")
    }

    /// Asks as the front does: at once where that is possible.
    pub(super) async fn charge(&self, scope: &str, rules: &[(&Rule, &str)], cost: u64) -> Answer {
        let charge = Charge { scope, rules, cost };
        match self.charge_now(&charge) {
            Some(answer) => answer,
            None => self.charge_later(&charge).await,
        }
    }

    pub(super) fn charge_now(&self, charge: &Charge<'_>) -> Option<Answer> {
        let mut counts = Answer::from_elem(Count::NOTHING, charge.rules.len());
        let answered = self.parts.store.charge_now(charge, &mut counts)?;
        answered.expect("an answer");
        Some(counts)
    }

    pub(super) async fn charge_later(&self, charge: &Charge<'_>) -> Answer {
        self.parts.store.charge(charge).await.expect("an answer")
    }

    /// Takes a cost under one rule.
    pub(super) async fn take(&self, rule: &Rule, subject: &str, cost: u64) -> Count {
        self.charge(subject, &[(rule, subject)], cost).await[0]
    }

    pub(super) async fn verdict(&self, rule: &Rule, subject: &str, cost: u64) -> Verdict {
        self.take(rule, subject, cost).await.verdict
    }
}
