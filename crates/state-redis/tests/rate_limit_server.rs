//! Rate limits on a server: what scripts touch and leave, exactness, faults, secrets.

mod support;

use std::{sync::Arc, time::Duration};

use proptest::{prelude::*, test_runner::TestRunner};
use redis_client::redis;
use redis_harness::{Fault, FaultProxy, Monitor, Server};
use state_core::{
    Classified as _,
    rate_limit::{
        Algorithm, Charge, Counter, Limit, LimiterOptions, OnError, RateLimitStore as _,
        RateLimiter, Rule, Source, Verdict, count,
    },
};
use state_redis::rate_limit::RedisRateLimits;

use crate::support::{ServerTime, check_keys, client, client_with_prefix, server};

const ALGORITHMS: [Algorithm; 3] = [
    Algorithm::Gcra,
    Algorithm::SlidingWindow,
    Algorithm::FixedWindow,
];

fn rules(quantity: u64, period: Duration) -> Vec<Rule> {
    let limit = Limit::new(quantity, period).expect("a limit");
    let rule = |algorithm| {
        Rule::new("rule", limit)
            .expect("a name")
            .algorithm(algorithm)
    };
    ALGORITHMS.map(rule).into()
}

async fn exercise(store: &RedisRateLimits, forget: Option<&Server>) {
    let rules = rules(5, Duration::from_secs(60));
    let all: Vec<_> = rules.iter().map(|rule| (rule, "a b:{c}")).collect();
    for cost in [0, 3, 3, 9] {
        let charge = Charge {
            scope: "x y:{z}",
            rules: &all,
            cost,
        };
        for step in 0..2 {
            if let Some(server) = forget {
                let mut connection = server.connection().await;
                let flush = redis::cmd("SCRIPT").arg("FLUSH").to_owned();
                flush.exec_async(&mut connection).await.expect("flushed");
            }
            if step == 0 {
                store.charge(&charge).await.expect("an answer");
            } else {
                store
                    .refund(&Charge { cost: 1, ..charge })
                    .await
                    .expect("an answer");
            }
        }
    }
    let charge = Charge {
        scope: "gone",
        rules: &all,
        cost: 1,
    };
    store.charge(&charge).await.expect("an answer");
    store.reset(&charge).await.expect("an answer");
}

#[tokio::test]
async fn scripts_touch_what_they_declare_and_t_rl_4_every_key_ends() {
    let server = server().await;
    let client = client(server.url()).await;
    let store = RedisRateLimits::new(client.clone());
    let monitor = Monitor::start(&server).await;
    exercise(&store, None).await;
    let recording = monitor.finish(&server).await;
    let seen = recording.check_scripts(|key| redis_client::slot(key));
    assert!(seen.calls >= 8, "{} calls", seen.calls);
    let patterns = check_keys(&server, client.key_prefix().as_str()).await;
    assert_eq!(patterns.len(), 3, "{patterns:?}");
    exercise(&store, Some(&server)).await;
}

#[tokio::test]
async fn t_rl_3_n_rl_7_a_check_is_one_trip_and_a_denial_writes_nothing() {
    let server = server().await;
    let store = RedisRateLimits::new(client(server.url()).await);
    let rules = rules(5, Duration::from_secs(3_600));
    let all: Vec<_> = rules.iter().map(|rule| (rule, "a")).collect();
    let charge = |cost| Charge {
        scope: "a",
        rules: &all,
        cost,
    };
    store.charge(&charge(4)).await.expect("an answer");
    let monitor = Monitor::start(&server).await;
    store.charge(&charge(2)).await.expect("an answer");
    let recording = monitor.finish(&server).await;
    let sent = |by_script| {
        let commands = recording.commands().iter();
        let commands = commands.filter(move |command| command.by_script == by_script);
        commands
            .map(|command| command.words[0].as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(sent(false), ["EVALSHA"]);
    assert_eq!(sent(true), ["TIME", "GET", "HMGET", "HMGET"]);
}

/// Whatever is done to a counter, it keeps its end.
#[tokio::test]
async fn n_rl_4_counters_never_lose_their_end() {
    let server = server().await;
    let client = client(server.url()).await;
    let store = RedisRateLimits::new(client.clone());
    // Windows end while this runs, and begin again.
    for (quantity, period) in [
        (5, Duration::from_secs(3_600)),
        (50, Duration::from_millis(20)),
    ] {
        let rules = rules(quantity, period);
        let subject = quantity.to_string();
        let all: Vec<_> = rules.iter().map(|rule| (rule, subject.as_str())).collect();
        for step in 0..60_u64 {
            let charge = Charge {
                scope: "a",
                rules: &all,
                cost: step % 4,
            };
            if step % 5 == 4 {
                let refund = Charge { cost: 1, ..charge };
                store.refund(&refund).await.expect("an answer");
            } else {
                store.charge(&charge).await.expect("an answer");
            }
            // Each has a lifetime, or it fails.
            check_keys(&server, client.key_prefix().as_str()).await;
        }
    }
}

/// Two applications on one server, with the same rules and subjects, do not meet.
#[tokio::test]
async fn n_rl_13_the_prefix_is_the_clients() {
    let server = server().await;
    let rules = rules(1, Duration::from_secs(3_600));
    let all: Vec<_> = rules.iter().map(|rule| (rule, "a")).collect();
    let charge = Charge {
        scope: "a",
        rules: &all,
        cost: 1,
    };
    for prefix in ["one", "two"] {
        let store = RedisRateLimits::new(client_with_prefix(server.url(), prefix).await);
        let counts = store.charge(&charge).await.expect("an answer");
        assert!(counts.iter().all(|count| count.verdict == Verdict::Allowed));
        let counts = store.charge(&charge).await.expect("an answer");
        assert!(counts.iter().all(|count| count.verdict == Verdict::Denied));
        assert_eq!(check_keys(&server, prefix).await.len(), 3);
    }
    let mut connection = server.connection().await;
    let size: u64 = redis::cmd("DBSIZE")
        .query_async(&mut connection)
        .await
        .expect("a number");
    assert_eq!(size, 6, "something is under neither prefix");
}

/// One long trace on the server and in arithmetic, with the server's own time: T-RL-1.
#[test]
fn t_rl_1_the_server_counts_as_the_function_does() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (server, client) = runtime.block_on(async {
        let server = server().await;
        let client = client(server.url()).await;
        (server, client)
    });
    let store = RedisRateLimits::new(client.clone());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
    let subject = std::sync::atomic::AtomicU32::new(0);
    let traces = (
        1..20_u64,
        prop::sample::select(vec![20_u64, 150, 1_000, 60_000]),
        1..30_u64,
        prop::collection::vec(0..8_u64, 1..25),
        prop::sample::select(ALGORITHMS.to_vec()),
    );
    let result = runner.run(&traces, |(quantity, millis, burst, costs, algorithm)| {
        let limit =
            Limit::new(quantity, Duration::from_millis(millis)).and_then(|l| l.burst(burst));
        let Ok(limit) = limit else {
            return Ok(());
        };
        let rule = Rule::new("r", limit).expect("a name").algorithm(algorithm);
        let number = subject.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let subject = number.to_string();
        runtime.block_on(async {
            let time = ServerTime(client.clone());
            let mut stored: Option<Counter> = None;
            for cost in costs {
                let charge = Charge {
                    scope: &subject,
                    rules: &[(&rule, &subject)],
                    cost,
                };
                // The script's time lies between these two; the function agrees for one of them.
                let earliest = time.micros().await;
                let told = store.charge(&charge).await.expect("an answer")[0];
                let latest = time.micros().await;
                // What was told says when it was: the time is found by that.
                let fits = |now: u64| count(&rule, stored, now, cost, true).0 == told;
                let now = (earliest..=latest).find(|now| fits(*now));
                prop_assert!(now.is_some(), "{told:?} between {earliest} and {latest}");
                let next = count(&rule, stored, now.unwrap_or(latest), cost, true).1;
                stored = next.or(stored);
                if let (Some(Counter::Gcra { .. }), Some(now)) = (stored, now) {
                    // Several times may fit; the server's own number settles which it was.
                    let key = client.key_prefix().key().part("rl").tag(&subject);
                    let key = key
                        .part("g")
                        .part("r")
                        .part(&subject)
                        .finish()
                        .expect("a key");
                    let mut get = redis::cmd("GET");
                    get.arg(&key);
                    let operation = redis_client::Operation::read("due");
                    let due: Option<u64> = client
                        .query(operation, &key, &get)
                        .await
                        .expect("an answer");
                    if let Some(due) = due {
                        prop_assert!(due > now || told.verdict != Verdict::Allowed);
                        stored = Some(Counter::Gcra { due });
                    }
                }
            }
            Ok(())
        })
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    drop(server);
}

#[tokio::test]
async fn lost_replies_and_a_dead_server_are_answered_for() {
    let mut server = server().await;
    let proxy = FaultProxy::start(server.port()).await;
    let store = RedisRateLimits::new(client(&proxy.url()).await);
    let rule = &rules(5, Duration::from_secs(3_600))[0];
    let charge = Charge {
        scope: "a",
        rules: &[(rule, "a")],
        cost: 1,
    };
    for _ in 0..8 {
        let look = Charge { cost: 0, ..charge };
        store.charge(&look).await.expect("an answer");
    }
    // A late charge is accepted as lost: it is never made again by itself.
    proxy.once(Fault::CutBeforeReply);
    let error = store.charge(&charge).await.expect_err("the reply was lost");
    assert!(error.outcome_unknown());
    let look = store
        .charge(&Charge { cost: 0, ..charge })
        .await
        .expect("an answer");
    assert_eq!(look[0].remaining, 4);

    let retry_after = Duration::from_secs(3);
    for policy in [
        OnError::Open,
        OnError::Closed { retry_after },
        OnError::Local { nodes: 2 },
    ] {
        let options = LimiterOptions::default().on_error(policy);
        let limiter = RateLimiter::new(Arc::new(store.clone()), options).expect("options");
        server.kill();
        let decision = limiter.check(rule, "a", 1).await.expect("a decision");
        assert_eq!(decision.source, Source::Fallback(policy));
        server.restart().await;
    }
}

#[tokio::test]
async fn nothing_that_is_printed_names_a_subject() {
    let mut server = server().await;
    let store = RedisRateLimits::new(client(server.url()).await);
    let secret = "hunter2-hunter2";
    let limiter = RateLimiter::new(Arc::new(store.clone()), LimiterOptions::default());
    let limiter = limiter.expect("options");
    let rule = &rules(1, Duration::from_secs(3_600))[0];
    let mut printed = String::new();
    for _ in 0..3 {
        let decision = limiter.check(rule, secret, 1).await.expect("a decision");
        printed += &format!("{decision:?} {limiter:?}");
    }
    server.kill();
    let charge = Charge {
        scope: secret,
        rules: &[(rule, secret)],
        cost: 1,
    };
    let error = store.charge(&charge).await.expect_err("no server");
    let refund = limiter
        .refund(rule, secret, 1)
        .await
        .expect_err("no server");
    printed += &format!("{charge:?} {store:?} {error} {error:?} {refund} {refund:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
}
