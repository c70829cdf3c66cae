//! How a limiter asks its store, and what comes of the answer.

use std::{pin::Pin, sync::Arc};

use crate::{
    clock::{Clock, Timestamp},
    error::{BackendError, Classified as _},
    observe::{Capability, Observation, Observer},
    rate_limit::{
        Charge, Count, Decision, LimiterOptions, OnError, Outcome, RateLimitError, RateLimitStore,
        Rule, Source, Verdict,
        deny::{Denials, Held},
        local::LocalShare,
    },
};

/// What all handles of a limiter share.
#[derive(Debug)]
pub(super) struct Inner {
    store: Arc<dyn RateLimitStore>,
    options: LimiterOptions,
    clock: Arc<dyn Clock>,
    /// `None` where nobody was ever to be told anything.
    observer: Option<Arc<dyn Observer>>,
    denials: Denials,
    share: LocalShare,
}

/// A decision that has to be waited for. On the heap, so that the future of a check stays small
/// where there is nothing to wait for.
type Later<'a> = Pin<Box<dyn Future<Output = Result<Decision, RateLimitError>> + Send + 'a>>;

/// How far a check comes without waiting.
pub(super) enum Asked {
    /// To the counts, which are those of the store and need nothing but to be read.
    Counted,
    /// To the end.
    Decided(Result<Decision, RateLimitError>),
    /// To a store that has to be waited for; with when it began, where that was asked for.
    Waits(Option<Timestamp>),
}

impl Inner {
    pub(super) fn new(
        store: Arc<dyn RateLimitStore>,
        options: LimiterOptions,
        clock: Arc<dyn Clock>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        Self {
            store,
            options,
            clock,
            observer,
            denials: Denials::new(options.deny_cache),
            share: LocalShare::default(),
        }
    }

    pub(super) fn store(&self) -> &dyn RateLimitStore {
        &*self.store
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Forgets what is remembered of the first rule of a charge.
    pub(super) fn forget(&self, charge: &Charge<'_>) {
        self.denials.forget(charge);
    }

    /// Asks the store as far as it goes without waiting: one in this process decides.
    ///
    /// What most calls do is all here, so that the decision is made where it is wanted: nobody
    /// observes, nothing was denied before, and one rule allows it at once, which needs no time of
    /// day.
    #[inline(always)]
    pub(super) fn ask(&self, charge: &Charge<'_>, counts: &mut [Count]) -> Asked {
        if let Err(error) = self.valid("check", charge) {
            return Asked::Decided(Err(error));
        }
        if self.denials.any() || self.listener().is_some() {
            return self.ask_at(charge, counts, self.clock.now());
        }
        match self.store.charge_now(charge, counts) {
            None => Asked::Waits(None),
            Some(Ok(())) if !self.remembers(counts) => Asked::Counted,
            // A denial is remembered by a time from before it, so it is had once more. It takes
            // nothing: asking twice is asking once.
            Some(Ok(())) => self.ask_at(charge, counts, self.clock.now()),
            Some(Err(error)) => Asked::Decided(Ok(self.failed(charge, &error, None))),
        }
    }

    /// The same with the time it began at, for those who observe and for denials.
    fn ask_at(&self, charge: &Charge<'_>, counts: &mut [Count], asked: Timestamp) -> Asked {
        if let Some(decision) = self.remembered(charge, asked) {
            self.tell("check", "deny_cache", Some(asked));
            return Asked::Decided(Ok(decision));
        }
        match self.store.charge_now(charge, counts) {
            None => Asked::Waits(Some(asked)),
            Some(Ok(())) => Asked::Decided(Ok(self.decided_at(charge, counts, asked))),
            Some(Err(error)) => Asked::Decided(Ok(self.failed(charge, &error, Some(asked)))),
        }
    }

    /// Goes on with a check that has to wait.
    pub(super) fn later<'a>(
        &'a self,
        rule: &'a Rule,
        subject: &'a str,
        cost: u64,
        asked: Option<Timestamp>,
    ) -> Later<'a> {
        Box::pin(async move {
            let rules = &[(rule, subject)];
            self.wait(
                &Charge {
                    scope: subject,
                    rules,
                    cost,
                },
                asked,
            )
            .await
        })
    }

    /// The same under several rules.
    pub(super) fn all_later<'a>(
        &'a self,
        scope: &'a str,
        rules: &'a [(&'a Rule, &'a str)],
        cost: u64,
        asked: Option<Timestamp>,
    ) -> Later<'a> {
        Box::pin(async move { self.wait(&Charge { scope, rules, cost }, asked).await })
    }

    async fn wait(
        &self,
        charge: &Charge<'_>,
        asked: Option<Timestamp>,
    ) -> Result<Decision, RateLimitError> {
        let asked = asked.unwrap_or_else(|| self.clock.now());
        match self.in_time(self.store.charge(charge), asked).await {
            Ok(answer) if answer.len() != charge.rules.len() => {
                let message = "the backend answered for other rules";
                let error = BackendError::unexpected("rate_limit.charge", message);
                self.tell("check", error.code(), Some(asked));
                Err(error.into())
            }
            Ok(answer) => Ok(self.decided_at(charge, &answer, asked)),
            Err(error) => Ok(self.failed(charge, &error, Some(asked))),
        }
    }

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
    #[inline]
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

    /// Remembers a denial and tells what was decided.
    fn decided_at(&self, charge: &Charge<'_>, answer: &[Count], asked: Timestamp) -> Decision {
        let decision = Decision::of(charge, answer, Source::Backend);
        if decision.outcome == Outcome::Denied {
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
        let outcome = match decision.outcome {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            Outcome::Never => "never",
        };
        self.tell("check", outcome, Some(asked));
        decision
    }

    /// What the policy says.
    #[cold]
    fn failed(
        &self,
        charge: &Charge<'_>,
        error: &BackendError,
        asked: Option<Timestamp>,
    ) -> Decision {
        // What it says is told below; that it had to speak, here.
        self.tell("backend", error.code(), asked);
        self.tell("check", self.options.on_error.as_str(), asked);
        self.fallback(charge)
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
                Decision::of(charge, &counts, source)
            }
        }
    }

    /// What is refused before anything is asked is an outcome, too.
    #[inline]
    pub(super) fn valid(
        &self,
        operation: &'static str,
        charge: &Charge<'_>,
    ) -> Result<(), RateLimitError> {
        charge
            .validate()
            .inspect_err(|error| self.tell(operation, error.code(), None))
    }

    #[inline]
    fn listener(&self) -> Option<&dyn Observer> {
        let observer = self.observer.as_deref();
        observer.filter(|observer| observer.listens())
    }

    pub(super) fn tell(
        &self,
        operation: &'static str,
        outcome: &'static str,
        since: Option<Timestamp>,
    ) {
        let Some(observer) = self.listener() else {
            return;
        };
        observer.operation(&Observation {
            capability: Capability::RateLimit,
            operation,
            outcome,
            namespace: "",
            duration: since.map(|since| self.clock.now().saturating_since(since)),
        });
    }
}
