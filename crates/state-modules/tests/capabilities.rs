//! Capabilities on memory and on real servers, by name and by environment.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::HashMap, time::Duration};

use redis_client::{Config, InstanceName, redis};
use redis_harness::{Options, Persistence, Server, unique_prefix};
use state_core::{
    Capability, Namespace,
    cache::{CacheOptions, Lookup, SetOptions, Tags},
    lock::LockOptions,
    process::{NewProcess, ProcessOptions},
    rate_limit::{Limit, LimiterOptions, OnError, Rule},
    session::{Created, Found, NewSession, Reason, SessionKeys, SessionOptions, Sessions},
};
use state_modules::{Backend, NamedTokens, Root, Settings, modules};

const SOON: Duration = Duration::from_secs(5);

async fn server() -> Server {
    Server::start_with(Options::default().persistence(Persistence::None)).await
}

fn redis_backend(url: &str) -> Backend {
    let config = Config::builder()
        .address(url)
        .key_prefix(unique_prefix("modules"));
    Backend::redis(config.build().unwrap())
}

fn all(tokens: &NamedTokens, backend: Backend) -> Root {
    let namespace = || Namespace::new("app").unwrap();
    Root::builder()
        .module(modules::instance(tokens, backend))
        .module(modules::events(tokens, Default::default()))
        .module(modules::cache(
            tokens,
            namespace(),
            CacheOptions::default().l1_capacity(10),
        ))
        .module(modules::rate_limit(tokens, LimiterOptions::default()))
        .module(modules::session(
            tokens,
            namespace(),
            SessionKeys::new(b"32 bytes or more, from a secret store").unwrap(),
            SessionOptions::default(),
        ))
        .module(modules::process(
            tokens,
            namespace(),
            2,
            ProcessOptions::default(),
        ))
        .module(modules::locks(tokens, LockOptions::default()))
        .module(modules::health(
            tokens,
            vec![Capability::Cache, Capability::Lock],
        ))
        .build()
        .unwrap()
}

async fn use_everything(root: &Root, tokens: &NamedTokens) {
    let cache = root.get(&tokens.cache).await.unwrap();
    cache
        .set("k", "value".into(), &SetOptions::default())
        .await
        .unwrap();
    let found = cache.get("k", &Tags::default()).await.unwrap();
    assert!(matches!(found, Lookup::Hit { .. }), "{found:?}");
    let limiter = root.get(&tokens.rate_limit).await.unwrap();
    let rule = Rule::new("r", Limit::new(5, SOON).unwrap()).unwrap();
    assert_eq!(limiter.check(&rule, "a", 1).await.unwrap().remaining, 4);
    let sessions = root.get(&tokens.session).await.unwrap();
    let created = sessions.create(NewSession::new("data")).await.unwrap();
    assert!(matches!(created, Created::Created { .. }));
    let processes = root.get(&tokens.process).await.unwrap();
    processes.create(NewProcess::new("p", "k")).await.unwrap();
    assert!(processes.get("p").await.unwrap().is_some());
    let locks = root.get(&tokens.locks).await.unwrap();
    let guard = locks.lock("l").unwrap().acquire(SOON).await.unwrap();
    guard.release().await.unwrap();
    let health = root.get(&tokens.health).await.unwrap();
    assert_eq!(health.readiness().await.capabilities.len(), 2);
}

#[tokio::test]
async fn everything_works_on_memory() {
    let tokens = NamedTokens::default();
    let root = all(&tokens, Backend::Memory);
    use_everything(&root, &tokens).await;
    let error = root.get(&tokens.client).await.unwrap_err();
    assert_eq!(error.code(), "resolve.build");
    root.close(SOON).await.unwrap();
}

#[tokio::test]
async fn t_cl_3_everything_works_on_redis_and_nothing_stays_open() {
    let server = server().await;
    let tokens = NamedTokens::default();
    let root = all(&tokens, redis_backend(server.url()));
    use_everything(&root, &tokens).await;
    root.close(SOON).await.unwrap();
    let mut connection = server.connection().await;
    let own: Vec<String> = clients(&mut connection).await;
    // Ours is the one that asks.
    assert_eq!(own.len(), 1, "{own:?}");
}

async fn clients(connection: &mut redis::aio::MultiplexedConnection) -> Vec<String> {
    // A server notices the end of a connection a moment later.
    redis_harness::poll_until("connections end", || {
        let mut connection = connection.clone();
        async move {
            let list = redis::cmd("CLIENT").arg("LIST").to_owned();
            let list: String = list.query_async(&mut connection).await.unwrap();
            let lines: Vec<_> = list.lines().map(str::to_owned).collect();
            (lines.len() == 1).then_some(lines)
        }
    })
    .await
}

#[tokio::test]
async fn t_cl_2_two_instances_are_apart() {
    let (first, second) = (server().await, server().await);
    let (one, other) = (NamedTokens::default(), NamedTokens::new("jobs").unwrap());
    let root = Root::builder()
        .module(modules::instance(&one, redis_backend(first.url())))
        .module(modules::instance(&other, redis_backend(second.url())))
        .module(modules::locks(&one, LockOptions::default()))
        .module(modules::locks(&other, LockOptions::default()))
        .build()
        .unwrap();
    let (a, b) = (
        root.get(&one.locks).await.unwrap(),
        root.get(&other.locks).await.unwrap(),
    );
    let held = a.lock("l").unwrap().acquire(SOON).await.unwrap();
    let also = b.lock("l").unwrap().acquire(SOON).await.unwrap();
    assert!(held.is_valid() && also.is_valid());
    drop((held, also));
    root.close(SOON).await.unwrap();
}

#[tokio::test]
async fn redis_that_is_away_is_not_replaced() {
    let mut server = server().await;
    let tokens = NamedTokens::default();
    let root = all(&tokens, redis_backend(server.url()));
    server.kill();
    let locks = root.get(&tokens.locks).await.unwrap();
    assert!(locks.lock("l").unwrap().try_acquire().await.is_err());
    let health = root.get(&tokens.health).await.unwrap();
    let readiness = health.readiness().await;
    assert_eq!(readiness.status, redis_client::Status::Down);
    assert_eq!(health.liveness(), redis_client::Status::Up);
    let _ = root.close(SOON).await;
}

fn read(values: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let values: HashMap<String, String> = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let lookup = move |variable: &str| values.get(variable).cloned();
    Settings::read(InstanceName::default(), &lookup).map_err(|errors| {
        let variables = errors.settings().iter();
        variables.map(|setting| setting.variable.clone()).collect()
    })
}

#[test]
fn n_cl_8_every_variable_has_an_effect() {
    let defaults = format!("{:?}", read(&[("REDIS_BACKEND", "memory")]).unwrap());
    for (variable, value) in [
        ("REDIS_CACHE_DEFAULT_TTL", "1m"),
        ("REDIS_CACHE_STALE_WINDOW", "1s"),
        ("REDIS_CACHE_NEGATIVE_TTL", "1s"),
        ("REDIS_CACHE_JITTER_PERCENT", "3"),
        ("REDIS_CACHE_BETA", "0.5"),
        ("REDIS_CACHE_LEASE_TTL", "20s"),
        ("REDIS_CACHE_LEASE_WAIT", "1s"),
        ("REDIS_CACHE_MAX_VALUE_BYTES", "10"),
        ("REDIS_CACHE_L1_CAPACITY", "10"),
        ("REDIS_CACHE_L1_TTL", "1s"),
        ("REDIS_CACHE_SHORT_TTL", "1s"),
        ("REDIS_CACHE_INVALIDATION", "eventual"),
        ("REDIS_CACHE_ON_ERROR", "stale"),
        ("REDIS_SESSION_IDLE_TTL", "1m"),
        ("REDIS_SESSION_MAX_AGE", "1h"),
        ("REDIS_SESSION_TOUCH_PERCENT", "7"),
        ("REDIS_SESSION_MAX_BYTES", "7"),
        ("REDIS_SESSION_MAX_PER_USER", "7"),
        ("REDIS_SESSION_REGENERATE_GRACE", "7s"),
        ("REDIS_SESSION_ON_ERROR", "open_anonymous"),
        ("REDIS_BUS_MAXLEN", "7"),
        ("REDIS_BUS_RETENTION", "1h"),
        ("REDIS_BUS_POLL_INTERVAL", "1s"),
        ("REDIS_BUS_QUEUE", "7"),
        ("REDIS_BUS_MAX_MESSAGE_BYTES", "1000"),
        ("REDIS_RATELIMIT_TIMEOUT", "1s"),
        ("REDIS_RATELIMIT_DENY_CACHE_SIZE", "7"),
        ("REDIS_RATELIMIT_ON_ERROR", "closed"),
        ("REDIS_RATELIMIT_LIMIT", "7"),
        ("REDIS_PROCESS_RETENTION", "1h"),
        ("REDIS_PROCESS_LEASE_TTL", "1m"),
        ("REDIS_PROCESS_HEARTBEAT", "1s"),
        ("REDIS_PROCESS_MAX_PAYLOAD_BYTES", "7"),
        ("REDIS_PROCESS_PAGE_SIZE", "7"),
        ("REDIS_PROCESS_SHARDS", "7"),
        ("REDIS_PROCESS_EVENTS_MAXLEN", "7"),
        ("REDIS_PROCESS_EVENTS_RETENTION", "1h"),
        ("REDIS_LOCK_TTL", "1s"),
        ("REDIS_LOCK_WAIT", "1s"),
        ("REDIS_LOCK_RETRY_MIN", "1ms"),
        ("REDIS_LOCK_RETRY_MAX", "2s"),
        ("REDIS_LOCK_DRIFT_PERCENT", "7"),
        ("REDIS_LOCK_FENCE_TTL", "1h"),
        ("REDIS_LOCK_REPLICAS", "1"),
        ("REDIS_LEADER_TTL", "1m"),
        ("REDIS_LEADER_RENEW", "1s"),
    ] {
        let set = read(&[("REDIS_BACKEND", "memory"), (variable, value)]);
        let set = format!(
            "{:?}",
            set.unwrap_or_else(|error| panic!("{variable}: {error:?}"))
        );
        assert_ne!(set, defaults, "{variable} has no effect");
        let bad = read(&[("REDIS_BACKEND", "memory"), (variable, "-1x")]).unwrap_err();
        assert_eq!(bad, [variable]);
    }
    let rule = |more: (&str, &str)| {
        let settings = [
            ("REDIS_BACKEND", "memory"),
            ("REDIS_RATELIMIT_LIMIT", "7"),
            more,
        ];
        read(&settings).unwrap().rule
    };
    let plain = rule(("x", "y"));
    for more in [
        ("REDIS_RATELIMIT_WINDOW", "1m"),
        ("REDIS_RATELIMIT_BURST", "3"),
        ("REDIS_RATELIMIT_ALGORITHM", "sliding"),
    ] {
        assert_ne!(rule(more), plain, "{more:?}");
    }
    let local = read(&[
        ("REDIS_BACKEND", "memory"),
        ("REDIS_RATELIMIT_ON_ERROR", "local"),
        ("REDIS_RATELIMIT_EXPECTED_NODES", "3"),
    ]);
    assert_eq!(local.unwrap().limiter.on_error, OnError::Local { nodes: 3 });
}

#[test]
fn n_cl_7_all_problems_are_told_at_once_and_no_value() {
    let lookup = |variable: &str| match variable {
        "REDIS_PASSWORD" => Some("hunter2".to_owned()),
        "REDIS_DB" | "REDIS_LOCK_TTL" | "REDIS_CACHE_BETA" => Some("hunter2".to_owned()),
        _ => None,
    };
    let errors = Settings::read(InstanceName::default(), &lookup).unwrap_err();
    let shown = format!("{errors} {errors:?}");
    for variable in [
        "REDIS_ADDR",
        "REDIS_DB",
        "REDIS_LOCK_TTL",
        "REDIS_CACHE_BETA",
    ] {
        assert!(shown.contains(variable), "{shown}");
    }
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(
        read(&[("REDIS_BACKEND", "fallback")]).unwrap_err()[0],
        "REDIS_BACKEND"
    );
    let local = [
        ("REDIS_BACKEND", "memory"),
        ("REDIS_RATELIMIT_ON_ERROR", "local"),
    ];
    assert_eq!(
        read(&local).unwrap_err(),
        ["REDIS_RATELIMIT_EXPECTED_NODES"]
    );
}

#[test]
fn secrets_of_sessions_are_long_enough() {
    let read = |key: &str, previous: &str| {
        read(&[
            ("REDIS_BACKEND", "memory"),
            ("REDIS_SESSION_HASH_KEY", key),
            ("REDIS_SESSION_HASH_KEY_PREVIOUS", previous),
        ])
        .map(|settings| settings.session_keys.is_some())
    };
    let long = "0123456789 0123456789 0123456789 0123456789";
    assert_eq!(read("", ""), Ok(false));
    assert_eq!(read(long, long), Ok(true));
    let variable = |name: &str| Err(vec![name.to_owned()]);
    assert_eq!(read("short", ""), variable("REDIS_SESSION_HASH_KEY"));
    assert_eq!(read("", long), variable("REDIS_SESSION_HASH_KEY"));
    assert_eq!(
        read(long, "short"),
        variable("REDIS_SESSION_HASH_KEY_PREVIOUS")
    );
}

/// Whether an id opens anything right after it was replaced by rotation.
async fn works_after_rotation(sessions: &Sessions) -> bool {
    let created = sessions.create(NewSession::new("data")).await.unwrap();
    let Created::Created { id, session } = created else {
        panic!("{created:?}");
    };
    let made = sessions.regenerate(&session, Reason::Rotation, None).await;
    made.unwrap();
    let found = sessions.load(&id.expose()).await.unwrap();
    matches!(found, Found::Live(session) if session.by_old_id)
}

#[tokio::test]
async fn replaced_ids_of_sessions_work_as_long_as_is_set() {
    let server = server().await;
    for (grace, works) in [("", false), ("0s", false), ("20s", true)] {
        for backend in [Backend::Memory, redis_backend(server.url())] {
            let settings = read(&[
                ("REDIS_BACKEND", "memory"),
                (
                    "REDIS_SESSION_HASH_KEY",
                    "32 bytes or more, from a secret store",
                ),
                ("REDIS_SESSION_REGENERATE_GRACE", grace),
            ])
            .unwrap();
            let tokens = NamedTokens::default();
            let namespace = Namespace::new("app").unwrap();
            let keys = settings.session_keys.unwrap();
            let root = Root::builder()
                .module(modules::instance(&tokens, backend))
                .module(modules::session(&tokens, namespace, keys, settings.session))
                .build()
                .unwrap();
            let sessions = root.get(&tokens.session).await.unwrap();
            assert_eq!(works_after_rotation(&sessions).await, works, "{grace}");
            root.close(SOON).await.unwrap();
        }
    }
    let longer = read(&[
        ("REDIS_BACKEND", "memory"),
        ("REDIS_SESSION_REGENERATE_GRACE", "61s"),
    ]);
    assert_eq!(longer.unwrap_err(), ["REDIS_SESSION_REGENERATE_GRACE"]);
}

#[test]
fn named_instances_have_variables_of_their_own() {
    let lookup = |variable: &str| match variable {
        "REDIS_JOBS_BACKEND" => Some("memory".to_owned()),
        "REDIS_JOBS_LOCK_TTL" => Some("7s".to_owned()),
        "REDIS_LOCK_TTL" => Some("9s".to_owned()),
        _ => None,
    };
    let settings = Settings::read(InstanceName::new("jobs").unwrap(), &lookup).unwrap();
    assert_eq!(settings.locks.ttl, Duration::from_secs(7));
}

#[test]
fn tokens_of_two_names_never_meet() {
    let runner = &mut proptest::test_runner::TestRunner::default();
    let names = proptest::string::string_regex("[a-z][a-z0-9_-]{0,8}").unwrap();
    let pairs = (&names, &names);
    runner
        .run(&pairs, |(a, b)| {
            let (Ok(a), Ok(b)) = (NamedTokens::new(&a), NamedTokens::new(&b)) else {
                return Ok(());
            };
            let all = |tokens: &NamedTokens| {
                [
                    tokens.client.name().to_owned(),
                    tokens.key_prefix.name().to_owned(),
                    tokens.cache.name().to_owned(),
                    tokens.session.name().to_owned(),
                    tokens.rate_limit.name().to_owned(),
                    tokens.process.name().to_owned(),
                    tokens.locks.name().to_owned(),
                    tokens.events.name().to_owned(),
                    tokens.health.name().to_owned(),
                ]
            };
            if a.instance == b.instance {
                assert_eq!(all(&a), all(&b));
            } else {
                assert!(all(&a).iter().all(|token| !all(&b).contains(token)));
            }
            Ok(())
        })
        .unwrap();
}
