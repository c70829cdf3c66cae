//! Counting on the store itself.

use std::{sync::Arc, time::Duration};

use state_core::rate_limit::{Charge, Limit, Rule, Verdict};

use super::trial::{ALGORITHMS, RateLimitTrial, rule};

const HOUR: u64 = 3_600;

/// Whatever is counted by, and what is left counts down.
pub async fn as_many_as_the_burst_and_no_more(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let rule = rule("r", 5, HOUR).algorithm(algorithm);
        for remaining in (0..5).rev() {
            let count = trial.take(&rule, "a", 1).await;
            assert_eq!(
                (count.verdict, count.remaining),
                (Verdict::Allowed, remaining)
            );
            assert!(count.retry_after.is_zero() && !count.reset_after.is_zero());
        }
        let denied = trial.take(&rule, "a", 1).await;
        assert_eq!((denied.verdict, denied.remaining), (Verdict::Denied, 0));
        assert!(!denied.retry_after.is_zero() && denied.retry_after <= denied.reset_after);
    }
}

/// After the time that was told, and not before anybody else came.
pub async fn denied_calls_can_be_repeated_in_time(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let limit = Limit::new(2, Duration::from_millis(400)).expect("a limit");
        let rule = Rule::new("r", limit).expect("a name").algorithm(algorithm);
        let mut denied = trial.take(&rule, "a", 2).await;
        // A window may end between two calls; then there is nothing to wait for yet.
        while denied.verdict == Verdict::Allowed {
            denied = trial.take(&rule, "a", 2).await;
        }
        trial.pass(denied.retry_after).await;
        assert_eq!(
            trial.verdict(&rule, "a", 2).await,
            Verdict::Allowed,
            "{algorithm:?}"
        );
    }
}

/// However often it is repeated.
pub async fn n_rl_5_denied_calls_cost_nothing(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let rule = rule("r", 10, HOUR).algorithm(algorithm);
        trial.take(&rule, "a", 7).await;
        for _ in 0..20 {
            let denied = trial.take(&rule, "a", 4).await;
            assert_eq!((denied.verdict, denied.remaining), (Verdict::Denied, 3));
        }
        let rest = trial.take(&rule, "a", 3).await;
        assert_eq!((rest.verdict, rest.remaining), (Verdict::Allowed, 0));
    }
}

/// A cost has no sign. One that would be negative elsewhere takes nothing, and gives nothing back
/// beyond what was taken.
pub async fn n_rl_3_no_cost_is_negative(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let rule = rule("r", 10, HOUR).algorithm(algorithm);
        trial.take(&rule, "a", 4).await;
        for cost in [u64::MAX, u64::MAX - 3, 1 << 63, 1 << 53] {
            let never = trial.take(&rule, "a", cost).await;
            assert_eq!((never.verdict, never.remaining), (Verdict::Never, 6));
            assert_eq!(trial.take(&rule, "a", 0).await.remaining, 6);
        }
        for cost in [u64::MAX, 1 << 63] {
            let charge = Charge {
                scope: "a",
                rules: &[(&rule, "a")],
                cost,
            };
            trial.parts.store.refund(&charge).await.expect("an answer");
            assert_eq!(trial.take(&rule, "a", 0).await.remaining, 10);
            assert_eq!(trial.verdict(&rule, "a", 11).await, Verdict::Never);
        }
        assert_eq!(trial.verdict(&rule, "a", 10).await, Verdict::Allowed);
        assert_eq!(trial.verdict(&rule, "a", 1).await, Verdict::Denied);
    }
}

/// There is no time to wait for.
pub async fn more_than_the_most_is_never_allowed(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let rule = rule("r", 10, HOUR).algorithm(algorithm);
        for cost in [11, u64::from(u32::MAX)] {
            let never = trial.take(&rule, "a", cost).await;
            assert_eq!((never.verdict, never.remaining), (Verdict::Never, 10));
            assert!(never.retry_after.is_zero());
        }
        assert_eq!(trial.verdict(&rule, "a", 10).await, Verdict::Allowed);
    }
}

/// A cost of nothing tells how it stands.
pub async fn looking_costs_nothing(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let rule = rule("r", 10, HOUR).algorithm(algorithm);
        for _ in 0..3 {
            let count = trial.take(&rule, "a", 0).await;
            assert_eq!((count.verdict, count.remaining), (Verdict::Allowed, 10));
            assert!(count.reset_after.is_zero());
        }
        trial.take(&rule, "a", 10).await;
        let count = trial.take(&rule, "a", 0).await;
        assert_eq!((count.verdict, count.remaining), (Verdict::Allowed, 0));
    }
}

/// Names may be anything.
pub async fn subjects_rules_and_scopes_are_apart(trial: &RateLimitTrial) {
    let (one, other) = (rule("one", 1, HOUR), rule("other", 1, HOUR));
    let charges = [
        ("s", &one, "a"),
        ("s", &other, "a"),
        ("s", &one, "a:b"),
        ("s:one", &one, "a"),
        ("{s}", &one, "a"),
        ("s", &one, "{a} \n%"),
    ];
    for (scope, rule, subject) in charges {
        let count = trial.charge(scope, &[(rule, subject)], 1).await;
        assert_eq!(count[0].verdict, Verdict::Allowed, "{subject}");
    }
    for (scope, rule, subject) in charges {
        let count = trial.charge(scope, &[(rule, subject)], 1).await;
        assert_eq!(count[0].verdict, Verdict::Denied, "{subject}");
    }
}

/// One exhausted rule leaves the others untouched.
pub async fn several_rules_take_place_together_or_not_at_all(trial: &RateLimitTrial) {
    let (small, large) = (rule("small", 2, HOUR), rule("large", 10, HOUR));
    let rules = [(&large, "tenant"), (&small, "user")];
    for _ in 0..2 {
        let counts = trial.charge("tenant", &rules, 1).await;
        assert!(counts.iter().all(|count| count.verdict == Verdict::Allowed));
    }
    for _ in 0..5 {
        let counts = trial.charge("tenant", &rules, 1).await;
        let verdicts = [counts[0].verdict, counts[1].verdict];
        assert_eq!(verdicts, [Verdict::Allowed, Verdict::Denied]);
        assert_eq!(counts[0].remaining, 8);
    }
    let never = trial.charge("tenant", &rules, 3).await;
    assert_eq!(never[1].verdict, Verdict::Never);
    assert_eq!(
        trial.charge("tenant", &rules[..1], 8).await[0].verdict,
        Verdict::Allowed
    );
}

/// In one step, too.
pub async fn rules_of_several_kinds_count_together(trial: &RateLimitTrial) {
    let rules: Vec<_> = ALGORITHMS
        .iter()
        .map(|algorithm| rule(algorithm.as_str(), 4, HOUR).algorithm(*algorithm))
        .collect();
    let charge: Vec<_> = rules.iter().map(|rule| (rule, "a")).collect();
    for remaining in (0..4).rev() {
        let counts = trial.charge("s", &charge, 1).await;
        assert!(
            counts.iter().all(|count| count.remaining == remaining),
            "{counts:?}"
        );
    }
    let counts = trial.charge("s", &charge, 1).await;
    assert!(counts.iter().all(|count| count.verdict == Verdict::Denied));
}

/// They are two ways to one count. A store that has to be waited for does nothing before.
pub async fn answers_at_once_and_later_count_together(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let first = rule("first", 6, HOUR).algorithm(algorithm);
        let second = rule("second", 6, HOUR).algorithm(algorithm);
        for rules in [&[(&first, "a")][..], &[(&first, "b"), (&second, "b")]] {
            let charge = Charge {
                scope: rules[0].1,
                rules,
                cost: 1,
            };
            for turn in 0..8 {
                let at_once = (turn % 2 == 0).then(|| trial.charge_now(&charge));
                let answer = match at_once.flatten() {
                    Some(answer) => answer,
                    None => trial.charge_later(&charge).await,
                };
                assert_eq!(answer.len(), rules.len());
                for count in answer {
                    let expected = match turn {
                        0..6 => (Verdict::Allowed, 5 - turn),
                        _ => (Verdict::Denied, 0),
                    };
                    assert_eq!((count.verdict, count.remaining), expected, "{algorithm:?}");
                }
            }
        }
    }
}

/// Not more than was taken.
pub async fn refunds_give_back(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let rule = rule("r", 10, HOUR).algorithm(algorithm);
        let refund = async |cost| {
            let charge = Charge {
                scope: "a",
                rules: &[(&rule, "a")],
                cost,
            };
            trial.parts.store.refund(&charge).await.expect("an answer");
        };
        refund(5).await;
        assert_eq!(trial.take(&rule, "a", 8).await.remaining, 2);
        refund(3).await;
        assert_eq!(trial.take(&rule, "a", 0).await.remaining, 5);
        refund(100).await;
        assert_eq!(trial.take(&rule, "a", 0).await.remaining, 10);
        assert_eq!(trial.verdict(&rule, "a", 10).await, Verdict::Allowed);
        assert_eq!(trial.verdict(&rule, "a", 1).await, Verdict::Denied);
    }
}

/// As if nothing had been taken.
pub async fn resets_forget(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let rule = rule("r", 3, HOUR).algorithm(algorithm);
        trial.take(&rule, "a", 3).await;
        let charge = Charge {
            scope: "a",
            rules: &[(&rule, "a")],
            cost: 0,
        };
        trial.parts.store.reset(&charge).await.expect("an answer");
        trial.parts.store.reset(&charge).await.expect("an answer");
        assert_eq!(trial.take(&rule, "a", 3).await.remaining, 0);
    }
}

/// What was taken under a larger limit still counts, and nothing gets negative.
pub async fn smaller_limit_is_not_overdrawn(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let large = rule("r", 100, HOUR).algorithm(algorithm);
        trial.take(&large, "a", 100).await;
        let small = rule("r", 10, HOUR).algorithm(algorithm);
        let denied = trial.take(&small, "a", 1).await;
        assert_eq!((denied.verdict, denied.remaining), (Verdict::Denied, 0));
    }
}

/// Nothing is remembered for longer than it matters.
pub async fn counters_end_by_themselves(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let limit = Limit::new(3, Duration::from_millis(30)).expect("a limit");
        let rule = Rule::new("r", limit).expect("a name").algorithm(algorithm);
        let count = trial.take(&rule, "a", 3).await;
        trial.pass(count.reset_after).await;
        let stand = trial.take(&rule, "a", 0).await;
        assert_eq!((stand.remaining, stand.reset_after), (3, Duration::ZERO));
    }
}

/// At the same time, from everywhere.
pub async fn t_rl_2_n_rl_7_many_callers_get_exactly_the_burst(trial: &RateLimitTrial) {
    for algorithm in ALGORITHMS {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let store = Arc::clone(&trial.parts.store);
                tokio::spawn(async move {
                    let rule = rule("r", 50, HOUR).algorithm(algorithm);
                    let charge = Charge {
                        scope: "a",
                        rules: &[(&rule, "a")],
                        cost: 1,
                    };
                    let mut allowed = 0;
                    for _ in 0..25 {
                        let counts = store.charge(&charge).await.expect("an answer");
                        allowed += u32::from(counts[0].verdict == Verdict::Allowed);
                    }
                    allowed
                })
            })
            .collect();
        let mut allowed = 0;
        for caller in callers {
            allowed += caller.await.expect("no panic");
        }
        assert_eq!(allowed, 50, "{algorithm:?}");
    }
}

/// Time is counted in microseconds, not in seconds.
pub async fn n_rl_12_limits_are_kept_within_milliseconds(trial: &RateLimitTrial) {
    let limit = Limit::new(1, Duration::from_millis(40)).expect("a limit");
    let rule = Rule::new("r", limit).expect("a name");
    trial.take(&rule, "a", 1).await;
    let denied = trial.take(&rule, "a", 1).await;
    // On a machine that slept for so long in between there is nothing to see.
    if denied.verdict == Verdict::Denied {
        assert!(denied.retry_after <= Duration::from_millis(40));
        trial.pass(denied.retry_after).await;
        assert_eq!(trial.verdict(&rule, "a", 1).await, Verdict::Allowed);
    }
}
