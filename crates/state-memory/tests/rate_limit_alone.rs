//! Rate limits of one process with nobody who observes them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proptest::{collection::vec, prelude::ProptestConfig, prop_assert, prop_assert_eq, proptest};
use state_core::{
    Capability, Classified as _, ErrorKind, NoObserver, Observation, Observer,
    rate_limit::{
        Algorithm, Charge, Count, Limit, LimiterOptions, OnError, Outcome, RateLimitStore as _,
        RateLimiter, Rule, Source, Verdict,
    },
};
use state_memory::{Fault, Faults, rate_limit::MemoryRateLimits};
use state_testkit::{RecordingObserver, VirtualClock};
use tokio::runtime::Builder;

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

/// Asked for once, and answered for by the policy; what was lost is the reply.
#[tokio::test]
async fn a_failure_nobody_observed_is_no_second_charge() {
    let faults = Faults::new();
    let store = MemoryRateLimits::with(Arc::new(VirtualClock::new()), faults.clone());
    let limiter = RateLimiter::new(Arc::new(store), LimiterOptions::default()).unwrap();
    let rule = Rule::new("r", Limit::new(10, HOUR).expect("a limit")).expect("a name");
    for (fault, remaining) in [(Fault::Before, 9), (Fault::After, 7)] {
        faults.fail_next("rate_limit.charge", fault);
        let decision = limiter.check(&rule, "a", 1).await.unwrap();
        assert_eq!(decision.source, Source::Fallback(OnError::Open));
        assert!(faults.are_used_up());
        let decision = limiter.check(&rule, "a", 1).await.unwrap();
        let told = (decision.source, decision.remaining);
        assert_eq!(told, (Source::Backend, remaining));
    }
}

/// Listens when it is told to.
#[derive(Debug, Clone, Default)]
struct Sometimes {
    listens: Arc<AtomicBool>,
    heard: RecordingObserver,
}

impl Observer for Sometimes {
    fn operation(&self, told: &Observation<'_>) {
        self.heard.operation(told);
    }

    fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }
}

/// Each outcome once, from the next call on.
#[tokio::test]
async fn whoever_begins_to_listen_is_told() {
    let clock = VirtualClock::new();
    let store = MemoryRateLimits::with(Arc::new(clock.clone()), Faults::new());
    let observer = Sometimes::default();
    let limiter = RateLimiter::observed(
        Arc::new(store),
        LimiterOptions::default(),
        Arc::new(clock),
        Arc::new(observer.clone()),
    );
    let (limiter, rule) = (limiter.unwrap(), rule());
    for listens in [false, true, false, true] {
        observer.listens.store(listens, Ordering::Relaxed);
        let subject = format!("{listens}");
        limiter.reset(&rule, &subject).await.unwrap();
        for _ in 0..3 {
            limiter.check(&rule, &subject, 1).await.unwrap();
        }
        let told = |outcome| (Capability::RateLimit, "check", outcome);
        let heard = if listens {
            let reset = (Capability::RateLimit, "reset", "reset");
            vec![reset, told("allowed"), told("denied"), told("deny_cache")]
        } else {
            Vec::new()
        };
        assert_eq!(observer.heard.take(), heard);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// On two stores that are asked the same, one at once and one with a future.
    #[test]
    fn answers_at_once_are_those_that_are_waited_for(
        calls in vec((0_u64..700_000, 0_u8..6, 0_u8..3, 0_u64..5), 1..60),
    ) {
        let limit = Limit::new(4, Duration::from_secs(1)).expect("a limit");
        let rules = [Algorithm::Gcra, Algorithm::SlidingWindow, Algorithm::FixedWindow]
            .map(|algorithm| Rule::new(algorithm.as_str(), limit).expect("a name").algorithm(algorithm));
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let clock = VirtualClock::new();
        let stores = [(); 2].map(|()| MemoryRateLimits::with(Arc::new(clock.clone()), Faults::new()));
        for (time, which, subject, cost) in calls {
            clock.advance(Duration::from_micros(time));
            let subject = ["a", "b", "c"][usize::from(subject)];
            let all = [0, 1, 2].map(|index| (&rules[index], subject));
            let some = match which {
                0..3 => &all[usize::from(which)..=usize::from(which)],
                3 => &all[..2],
                4 => &all[1..],
                _ => &all[..],
            };
            let charge = Charge { scope: subject, rules: some, cost };
            let mut counts = vec![Count::NOTHING; some.len()];
            let at_once = stores[0].charge_now(&charge, &mut counts);
            prop_assert!(matches!(at_once, Some(Ok(()))));
            let waited = runtime.block_on(stores[1].charge(&charge));
            prop_assert_eq!(&counts[..], &waited.expect("an answer")[..]);
        }
    }
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
    let look = Charge {
        scope: "s",
        rules: &[(&rule, "somebody else")],
        cost: 0,
    };
    assert_eq!(store.charge(&look).await.unwrap()[0].remaining, 1);
    assert_eq!(store.len(), MemoryRateLimits::CAPACITY);
    clock.advance(HOUR);
    assert_eq!(charge("7").await.unwrap(), Verdict::Allowed);
    assert_eq!(charge("somebody else").await.unwrap(), Verdict::Allowed);
    assert_eq!(store.len(), 2);
}
