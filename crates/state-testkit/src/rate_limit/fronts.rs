//! What the front adds: remembered denials and policies.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use state_core::{
    BackendError, Capability, Clock, Timestamp,
    rate_limit::{
        Answer, Charge, LimiterOptions, OnError, Outcome, RateLimitError, RateLimitStore,
        RateLimiter, Source,
    },
};

use super::trial::{ALGORITHMS, RateLimitTrial, rule};

const HOUR: u64 = 3_600;

/// A store that never answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl RateLimitStore for Silent {
    async fn charge(&self, _: &Charge<'_>) -> Result<Answer, BackendError> {
        std::future::pending().await
    }

    async fn refund(&self, _: &Charge<'_>) -> Result<(), BackendError> {
        std::future::pending().await
    }

    async fn reset(&self, _: &Charge<'_>) -> Result<(), BackendError> {
        std::future::pending().await
    }
}

fn silent(trial: &RateLimitTrial, policy: OnError) -> RateLimiter {
    let options = LimiterOptions::default().on_error(policy);
    let made = RateLimiter::observed(
        Arc::new(Silent),
        options.timeout(Duration::from_millis(10)),
        Arc::clone(&trial.parts.clock),
        Arc::new(trial.observer.clone()),
    );
    made.expect("valid options")
}

/// The second denial is told by the process itself, until the first one is over.
pub async fn remembered_denials_ask_nobody(trial: &RateLimitTrial) {
    let limiter = trial.limiter(LimiterOptions::default());
    let rule = rule("r", 1, HOUR);
    let check = || limiter.check(&rule, "a", 1);
    assert!(check().await.expect("a decision").is_allowed());
    let first = check().await.expect("a decision");
    assert_eq!(
        (first.outcome, first.source),
        (Outcome::Denied, Source::Backend)
    );
    let second = check().await.expect("a decision");
    assert_eq!(
        (second.outcome, second.source),
        (Outcome::Denied, Source::DenyCache)
    );
    assert!(second.retry_after <= first.retry_after);
    let other = limiter.check(&rule, "b", 1).await.expect("a decision");
    assert!(other.is_allowed());
    limiter.reset(&rule, "a").await.expect("an answer");
    assert!(check().await.expect("a decision").is_allowed());
}

/// A denial is repeated for the same cost or more only.
pub async fn smaller_costs_ask_again(trial: &RateLimitTrial) {
    let limiter = trial.limiter(LimiterOptions::default());
    let rule = rule("r", 10, HOUR);
    let check = |cost| limiter.check(&rule, "a", cost);
    assert!(check(6).await.expect("a decision").is_allowed());
    assert_eq!(check(5).await.expect("a decision").outcome, Outcome::Denied);
    let more = check(6).await.expect("a decision");
    assert_eq!(more.source, Source::DenyCache);
    let less = check(4).await.expect("a decision");
    assert_eq!(
        (less.outcome, less.source),
        (Outcome::Allowed, Source::Backend)
    );
    let look = limiter.peek(&rule, "a").await.expect("a decision");
    assert_eq!((look.source, look.remaining), (Source::Backend, 0));
}

/// Everything is asked then.
pub async fn deny_cache_can_be_off(trial: &RateLimitTrial) {
    let limiter = trial.limiter(LimiterOptions::default().deny_cache(0));
    let rule = rule("r", 1, HOUR);
    for outcome in [Outcome::Allowed, Outcome::Denied, Outcome::Denied] {
        let decision = limiter.check(&rule, "a", 1).await.expect("a decision");
        assert_eq!(
            (decision.outcome, decision.source),
            (outcome, Source::Backend)
        );
    }
}

/// By default nobody is kept out by a limiter that is away.
pub async fn silent_backend_is_answered_for_openly(trial: &RateLimitTrial) {
    let limiter = silent(trial, OnError::Open);
    let rule = rule("r", 1, HOUR);
    for _ in 0..3 {
        let decision = trial.until(limiter.check(&rule, "a", 1)).await;
        let decision = decision.expect("a decision");
        assert!(decision.is_allowed());
        assert_eq!(decision.source, Source::Fallback(OnError::Open));
    }
}

/// Or everybody is.
pub async fn silent_backend_is_answered_for_with_a_denial(trial: &RateLimitTrial) {
    let retry_after = Duration::from_secs(7);
    let limiter = silent(trial, OnError::Closed { retry_after });
    let rule = rule("r", 1, HOUR);
    let decision = trial.until(limiter.check(&rule, "a", 1)).await;
    let decision = decision.expect("a decision");
    assert_eq!(
        (decision.outcome, decision.retry_after),
        (Outcome::Denied, retry_after)
    );
    assert!(matches!(
        decision.source,
        Source::Fallback(OnError::Closed { .. })
    ));
}

/// A clock that is wrong.
#[derive(Debug)]
struct Skewed {
    clock: Arc<dyn Clock>,
    by: Duration,
    ahead: bool,
}

#[async_trait]
impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        if self.ahead {
            now.saturating_add(self.by)
        } else {
            now.saturating_sub(self.by)
        }
    }

    async fn sleep_until(&self, time: Timestamp) {
        let time = if self.ahead {
            time.saturating_sub(self.by)
        } else {
            time.saturating_add(self.by)
        };
        self.clock.sleep_until(time).await;
    }
}

/// Callers whose clocks are an hour apart share one limit and are told the same.
pub async fn n_rl_6_the_callers_clock_has_no_part(trial: &RateLimitTrial) {
    let hour = Duration::from_secs(HOUR);
    let limiters = [(hour, true), (Duration::ZERO, true), (hour, false)].map(|(by, ahead)| {
        let clock = Skewed {
            clock: Arc::clone(&trial.parts.clock),
            by,
            ahead,
        };
        let made = RateLimiter::observed(
            Arc::clone(&trial.parts.store),
            LimiterOptions::default()
                .timeout(Duration::from_secs(30))
                .deny_cache(0),
            Arc::new(clock),
            Arc::new(trial.observer.clone()),
        );
        made.expect("valid options")
    });
    for algorithm in ALGORITHMS {
        // A window does not end within the case.
        let rule = rule("r", 3, 24 * 365 * HOUR).algorithm(algorithm);
        for (limiter, remaining) in limiters.iter().zip([2, 1, 0]) {
            let decision = limiter.check(&rule, "a", 1).await.expect("a decision");
            assert!(decision.is_allowed(), "{algorithm:?} {decision:?}");
            assert_eq!(decision.remaining, remaining);
        }
        let mut waits = Vec::new();
        for limiter in &limiters {
            let denied = limiter.check(&rule, "a", 1).await.expect("a decision");
            assert_eq!(
                (denied.outcome, denied.source),
                (Outcome::Denied, Source::Backend)
            );
            waits.push(denied.retry_after);
        }
        // By the backend's clock only the time of the calls lies between them, not hours.
        assert!(waits.is_sorted_by(|one, next| one >= next), "{waits:?}");
        assert!(waits[0] - waits[2] < hour / 2, "{waits:?}");
    }
}

/// All processes together let no more through than the limit.
pub async fn n_rl_11_local_share_is_a_share(trial: &RateLimitTrial) {
    let nodes = 4;
    let rule = rule("r", 20, HOUR);
    let mut allowed = 0;
    for _ in 0..nodes {
        let limiter = silent(trial, OnError::Local { nodes });
        for _ in 0..10 {
            let decision = trial.until(limiter.check(&rule, "a", 1)).await;
            allowed += u32::from(decision.expect("a decision").is_allowed());
        }
    }
    assert_eq!(allowed, 20);
}

/// Before anything is sent.
pub async fn bad_arguments_are_refused(trial: &RateLimitTrial) {
    let limiter = trial.limiter(LimiterOptions::default());
    let rule = rule("r", 1, HOUR);
    let long = "x".repeat(513);
    let argument = |result| match result {
        Err(RateLimitError::Invalid { argument, .. }) => argument,
        other => panic!("{other:?}"),
    };
    assert_eq!(argument(limiter.check(&rule, "", 1).await), "scope");
    assert_eq!(
        argument(limiter.check_all(&long, &[(&rule, "a")], 1).await),
        "scope"
    );
    assert_eq!(
        argument(limiter.check_all("s", &[(&rule, &long)], 1).await),
        "subject"
    );
    assert_eq!(argument(limiter.check_all("s", &[], 1).await), "rules");
    let twice = [(&rule, "a"), (&rule, "a")];
    assert_eq!(argument(limiter.check_all("s", &twice, 1).await), "rules");
    let many = vec![(&rule, "a"); 17];
    assert_eq!(argument(limiter.check_all("s", &many, 1).await), "rules");
}

/// One call, one count.
pub async fn each_outcome_is_observed_once(trial: &RateLimitTrial) {
    let limiter = trial.limiter(LimiterOptions::default());
    let rule = rule("r", 2, HOUR);
    let told = |operation, outcome| {
        let told = (Capability::RateLimit, operation, outcome);
        assert_eq!(trial.observer.take(), [told]);
    };
    for (cost, outcome) in [
        (2, "allowed"),
        (1, "denied"),
        (1, "deny_cache"),
        (3, "deny_cache"),
    ] {
        limiter.check(&rule, "a", cost).await.expect("a decision");
        told("check", outcome);
    }
    limiter.check(&rule, "b", 3).await.expect("a decision");
    told("check", "never");
    limiter.refund(&rule, "a", 1).await.expect("an answer");
    told("refund", "refunded");
    limiter.reset(&rule, "a").await.expect("an answer");
    told("reset", "reset");
}
