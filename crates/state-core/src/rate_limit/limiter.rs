//! The front.

use std::sync::Arc;

use crate::{
    answering::Answering,
    clock::{Clock, MonotonicClock, Timestamp},
    error::{BackendError, Classified as _},
    observe::{Capability, NoObserver, Observation, Observer},
    rate_limit::{
        Charge, Count, Decision, LimiterOptions, OnError, Outcome, RateLimitError, RateLimitStore,
        Rule, Source, Verdict,
        deny::{Denials, Held},
        local::LocalShare,
    },
};

/// Rate limits on a backend. A clone is a handle to the same.
#[derive(Debug, Clone)]
pub struct RateLimiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn RateLimitStore>,
    options: LimiterOptions,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    denials: Denials,
    share: LocalShare,
}

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
        Self::observed(store, options, clock, Arc::new(NoObserver))
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
        options.validate()?;
        Ok(Self(Arc::new(Inner {
            store,
            options,
            clock,
            observer,
            denials: Denials::new(options.deny_cache),
            share: LocalShare::default(),
        })))
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
    pub async fn check(
        &self,
        rule: &Rule,
        subject: &str,
        cost: u64,
    ) -> Result<Decision, RateLimitError> {
        self.check_all(subject, &[(rule, subject)], cost).await
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
        let charge = Charge { scope, rules, cost };
        self.0.valid("check", &charge)?;
        let inner = &*self.0;
        // Most calls are allowed at once by a store in this process, and need no time of day.
        let needs_time = inner.denials.any() || inner.observer.listens();
        let mut asked = needs_time.then(|| inner.clock.now());
        if let Some(decision) = asked.and_then(|now| inner.remembered(&charge, now)) {
            inner.tell("check", "deny_cache", asked);
            return Ok(decision);
        }
        let answer = loop {
            let answer = match inner.store.charge(&charge) {
                Answering::Now(answer) => answer.into_inner(),
                Answering::Later(answer) => {
                    let asked = *asked.get_or_insert_with(|| inner.clock.now());
                    inner.in_time(answer, asked).await
                }
            };
            if asked.is_some() || !answer.as_ref().is_ok_and(|answer| inner.remembers(answer)) {
                break answer;
            }
            // A denial is remembered by a time from before it, so it is had once more. It takes
            // nothing: asking twice is asking once.
            asked = Some(inner.clock.now());
        };
        let decision = match answer {
            Ok(answer) => inner
                .decided(&charge, &answer, asked)
                .inspect_err(|error| inner.tell("check", error.code(), asked))?,
            Err(error) => {
                // What the policy says is told below; that it had to speak, here.
                inner.tell("backend", error.code(), asked);
                inner.fallback(&charge)
            }
        };
        let outcome = match (decision.source, decision.outcome) {
            (Source::Fallback(policy), _) => policy.as_str(),
            (_, Outcome::Allowed) => "allowed",
            (_, Outcome::Denied) => "denied",
            (_, Outcome::Never) => "never",
        };
        inner.tell("check", outcome, asked);
        Ok(decision)
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
        let asked = self.0.clock.now();
        let refunded = self.0.store.refund(&charge).await;
        let outcome = refunded
            .as_ref()
            .map_or_else(|error| error.code(), |()| "refunded");
        self.0.tell("refund", outcome, Some(asked));
        self.0.denials.forget(&charge);
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
        let asked = self.0.clock.now();
        let reset = self.0.store.reset(&charge).await;
        let outcome = reset
            .as_ref()
            .map_or_else(|error| error.code(), |()| "reset");
        self.0.tell("reset", outcome, Some(asked));
        self.0.denials.forget(&charge);
        Ok(reset?)
    }
}

impl Inner {
    fn remembered(&self, charge: &Charge<'_>, now: Timestamp) -> Option<Decision> {
        if charge.cost == 0 || !self.denials.any() {
            return None;
        }
        let (rule, held) = self.denials.longest(charge, now)?;
        Some(Decision {
            outcome: Outcome::Denied,
            limit: charge.rules[rule].0.most(),
            remaining: held.remaining,
            retry_after: held.retry_after,
            reset_after: held.reset_after,
            source: Source::DenyCache,
            rule,
        })
    }

    /// Whether something of an answer is to be remembered.
    fn remembers(&self, answer: &[Count]) -> bool {
        let denied = |count: &Count| count.verdict == Verdict::Denied;
        self.denials.are_kept() && answer.iter().any(denied)
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, BackendError>>,
        asked: Timestamp,
    ) -> Result<T, BackendError> {
        let until = asked.saturating_add(self.options.timeout);
        tokio::select! {
            biased;
            answer = call => answer,
            () = self.clock.sleep_until(until) => {
                Err(BackendError::timeout("rate_limit.charge").outcome_is_unknown())
            }
        }
    }

    fn decided(
        &self,
        charge: &Charge<'_>,
        answer: &[Count],
        asked: Option<Timestamp>,
    ) -> Result<Decision, RateLimitError> {
        if answer.len() != charge.rules.len() {
            let message = "the backend answered for other rules";
            return Err(BackendError::unexpected("rate_limit.charge", message).into());
        }
        let decision = decide(charge, answer, Source::Backend);
        if let Some(asked) = asked
            && decision.outcome == Outcome::Denied
        {
            for (index, count) in answer.iter().enumerate() {
                if count.verdict == Verdict::Denied {
                    let held = Held {
                        retry_after: count.retry_after,
                        reset_after: count.reset_after,
                        remaining: count.remaining,
                    };
                    self.denials.remember(charge, index, held, asked);
                }
            }
        }
        Ok(decision)
    }

    fn fallback(&self, charge: &Charge<'_>) -> Decision {
        let policy = self.options.on_error;
        let source = Source::Fallback(policy);
        let open = Decision {
            outcome: Outcome::Allowed,
            limit: charge.rules[0].0.most(),
            remaining: charge.rules[0].0.most(),
            retry_after: std::time::Duration::ZERO,
            reset_after: std::time::Duration::ZERO,
            source,
            rule: 0,
        };
        match policy {
            OnError::Open => open,
            OnError::Closed { retry_after } => Decision {
                outcome: Outcome::Denied,
                remaining: 0,
                retry_after,
                reset_after: retry_after,
                ..open
            },
            OnError::Local { nodes } => {
                let counts = self.share.charge(charge, nodes, self.clock.now());
                decide(charge, &counts, source)
            }
        }
    }

    /// What is refused before anything is asked is an outcome, too.
    fn valid(&self, operation: &'static str, charge: &Charge<'_>) -> Result<(), RateLimitError> {
        validate(charge).inspect_err(|error| self.tell(operation, error.code(), None))
    }

    fn tell(&self, operation: &'static str, outcome: &'static str, since: Option<Timestamp>) {
        if !self.observer.listens() {
            return;
        }
        self.observer.operation(&Observation {
            capability: Capability::RateLimit,
            operation,
            outcome,
            namespace: "",
            duration: since.map(|since| self.clock.now().saturating_since(since)),
        });
    }
}

/// Which rule decides: one that never allows it, the longest wait, or the least that is left.
fn decide(charge: &Charge<'_>, counts: &[Count], source: Source) -> Decision {
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
    let count = &counts[rule];
    Decision {
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

fn validate(charge: &Charge<'_>) -> Result<(), RateLimitError> {
    let invalid = |argument, rule| Err(RateLimitError::Invalid { argument, rule });
    let fits = |name: &str| (1..=Charge::MAX_NAME_BYTES).contains(&name.len());
    if !fits(charge.scope) {
        return invalid("scope", "1 to 512 bytes");
    }
    if !(1..=Charge::MAX_RULES).contains(&charge.rules.len()) {
        return invalid("rules", "1 to 16 of them");
    }
    if !charge.rules.iter().all(|(_, subject)| fits(subject)) {
        return invalid("subject", "1 to 512 bytes");
    }
    let names = |index: usize| {
        let (rule, subject) = charge.rules[index];
        (rule.name(), rule.counted_by(), subject)
    };
    let count = charge.rules.len();
    if (0..count).any(|a| (a + 1..count).any(|b| names(a) == names(b))) {
        return invalid("rules", "each rule once for a subject");
    }
    Ok(())
}
