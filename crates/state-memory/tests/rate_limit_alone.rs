//! Rate limits of one process with nobody who observes them.

use std::{sync::Arc, time::Duration};

use state_core::{
    Classified as _, ErrorKind, NoObserver,
    rate_limit::{
        Charge, Limit, LimiterOptions, Outcome, RateLimitStore as _, RateLimiter, Rule, Source,
        Verdict,
    },
};
use state_memory::{Faults, rate_limit::MemoryRateLimits};
use state_testkit::VirtualClock;

const HOUR: Duration = Duration::from_secs(3_600);

fn rule() -> Rule {
    let limit = Limit::new(1, HOUR).expect("a limit");
    Rule::new("r", limit).expect("a name")
}

/// The front takes no time before a call that nobody observes; what it remembers is as exact.
#[tokio::test]
async fn a_denial_nobody_observed_is_remembered_to_the_microsecond() {
    let clock = VirtualClock::new();
    let store = MemoryRateLimits::with(Arc::new(clock.clone()), Faults::new());
    let options = LimiterOptions::default();
    let clocks = Arc::new(clock.clone());
    let limiter =
        RateLimiter::observed(Arc::new(store), options, clocks, Arc::new(NoObserver)).unwrap();
    let rule = rule();
    let check = async || {
        let decision = limiter.check(&rule, "a", 1).await.unwrap();
        (decision.outcome, decision.source, decision.retry_after)
    };
    let (allowed, ..) = check().await;
    assert_eq!(allowed, Outcome::Allowed);
    assert_eq!(check().await, (Outcome::Denied, Source::Backend, HOUR));
    let last = HOUR - Duration::from_micros(1);
    clock.advance(last);
    let left = Duration::from_micros(1);
    assert_eq!(check().await, (Outcome::Denied, Source::DenyCache, left));
    clock.advance(left);
    let (again, source, _) = check().await;
    assert_eq!((again, source), (Outcome::Allowed, Source::Backend));
}

/// A new subject has no room; those that are counted go on, and what is over makes room.
#[tokio::test]
async fn a_full_table_counts_whom_it_knows() {
    let clock = VirtualClock::new();
    let store = MemoryRateLimits::with(Arc::new(clock.clone()), Faults::new());
    let rule = rule();
    let charge = async |subject: &str| {
        let rules = [(&rule, subject)];
        let charge = Charge {
            scope: "s",
            rules: &rules,
            cost: 1,
        };
        let answer = store.charge(&charge).await;
        answer.map(|answer| answer[0].verdict)
    };
    for number in 0..MemoryRateLimits::CAPACITY {
        let verdict = charge(&number.to_string()).await.unwrap();
        assert_eq!(verdict, Verdict::Allowed);
    }
    assert_eq!(charge("7").await.unwrap(), Verdict::Denied);
    let refused = charge("somebody else").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    clock.advance(HOUR);
    assert_eq!(charge("7").await.unwrap(), Verdict::Allowed);
    assert_eq!(charge("somebody else").await.unwrap(), Verdict::Allowed);
    assert_eq!(store.len(), 2);
}
