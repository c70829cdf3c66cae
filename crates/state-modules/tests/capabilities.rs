//! Capabilities on memory and on real servers, by name and by environment.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis_client::{Config, InstanceName, Status, redis};
use redis_harness::{Options, Persistence, Server, unique_prefix};
use state_core::{
    Capability, Namespace,
    cache::{CacheOptions, LoadOptions, Lookup, OnError as CacheOnError, SetOptions, Tags},
    lock::LockOptions,
    process::{NewProcess, ProcessOptions},
    rate_limit::{Limit, LimiterOptions, OnError, Rule, Source},
    session::{
        Created, Found, NewSession, OnError as SessionOnError, Reason, SessionKeys, SessionOptions,
        Sessions,
    },
};
use state_memory::session::MemorySessions;
use state_modules::{Backend, InUse, NamedTokens, Root, Settings, modules};

const SOON: Duration = Duration::from_secs(5);

async fn server() -> Server {
    Server::start_with(Options::default().persistence(Persistence::None)).await
}

fn redis_backend(url: &str) -> Backend {
    let config = Config::builder()
        .address(url)
        .read_timeout(Duration::from_secs(10))
        .write_timeout(Duration::from_secs(10))
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

/// What goes on without Redis by its own options, or does not.
struct Policies {
    cache: CacheOptions,
    limiter: LimiterOptions,
    session: SessionOptions,
}

fn with_policies(tokens: &NamedTokens, backend: Backend, policies: &Policies) -> Root {
    let namespace = || Namespace::new("app").unwrap();
    let keys = SessionKeys::new(b"32 bytes or more, from a secret store").unwrap();
    Root::builder()
        .module(modules::instance(tokens, backend))
        .module(modules::cache(tokens, namespace(), policies.cache))
        .module(modules::rate_limit(tokens, policies.limiter))
        .module(modules::session(
            tokens,
            namespace(),
            keys,
            policies.session,
        ))
        .module(modules::locks(tokens, LockOptions::default()))
        .module(modules::health(
            tokens,
            [
                InUse::from(&policies.cache),
                InUse::from(&policies.limiter),
                InUse::from(&policies.session),
                Capability::Lock.into(),
            ],
        ))
        .build()
        .unwrap()
}

/// Whether the cache, the limiter, sessions and locks go on.
async fn go_on(root: &Root, tokens: &NamedTokens) -> [bool; 4] {
    let cache = root.get(&tokens.cache).await.unwrap();
    let load = || async { Ok::<_, std::convert::Infallible>(Some("value".into())) };
    let loaded = cache.get_or_load("k", &LoadOptions::default(), load).await;
    let limiter = root.get(&tokens.rate_limit).await.unwrap();
    let rule = Rule::new("r", Limit::new(5, SOON).unwrap()).unwrap();
    let decision = limiter.check(&rule, "a", 1).await.unwrap();
    assert!(matches!(decision.source, Source::Fallback(_)));
    let sessions = root.get(&tokens.session).await.unwrap();
    let keys = SessionKeys::new(b"32 bytes or more, from a secret store").unwrap();
    let twin = Sessions::new(
        Arc::new(MemorySessions::new(SessionOptions::default()).unwrap()),
        keys,
    );
    let Created::Created { id, .. } = twin.create(NewSession::new("data")).await.unwrap() else {
        unreachable!("a fresh store has room");
    };
    let found = sessions.load(&id.expose()).await;
    let locks = root.get(&tokens.locks).await.unwrap();
    [
        loaded.is_ok(),
        decision.is_allowed(),
        found.is_ok(),
        locks.lock("l").unwrap().try_acquire().await.is_ok(),
    ]
}

#[tokio::test]
async fn n_he_1_n_cl_11_health_says_what_the_stores_do_without_redis() {
    let mut server = server().await;
    server.kill();
    let retry_after = Duration::from_secs(1);
    for goes_on in [true, false] {
        let mut policies = Policies {
            cache: CacheOptions::default(),
            limiter: LimiterOptions::default(),
            session: SessionOptions::default(),
        };
        if goes_on {
            policies.session.on_error = SessionOnError::OpenAnonymous;
        } else {
            policies.cache.on_error = CacheOnError::Error;
            policies.limiter.on_error = OnError::Closed { retry_after };
        }
        let tokens = NamedTokens::default();
        let config = Config::builder()
            .address(server.url())
            .retry_timeout(Duration::ZERO);
        let backend = Backend::redis(config.build().unwrap());
        let root = with_policies(&tokens, backend, &policies);
        let expected = [goes_on, goes_on, goes_on, false];
        assert_eq!(go_on(&root, &tokens).await, expected);
        let health = root.get(&tokens.health).await.unwrap();
        let readiness = health.readiness().await;
        let told = readiness.capabilities.iter().map(|health| health.status);
        let told: Vec<_> = told.map(|status| status != Status::Down).collect();
        assert_eq!(told, expected, "{readiness:?}");
        assert_eq!((readiness.status, readiness.latency), (Status::Down, None));
        let _ = root.close(SOON).await;
    }
}

#[tokio::test]
async fn n_he_5_only_readiness_goes_by_redis() {
    let mut server = server().await;
    let tokens = NamedTokens::default();
    let root = all(&tokens, redis_backend(server.url()));
    let health = root.get(&tokens.health).await.unwrap();
    let stats = async || -> String {
        let mut info = redis::cmd("INFO");
        info.arg("stats");
        let stats: String = info
            .query_async(&mut server.connection().await)
            .await
            .unwrap();
        let start = "total_connections_received:";
        stats
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap()
            .to_owned()
    };
    let (before, alive, after) = (stats().await, health.liveness(), stats().await);
    let number = |line: &str| -> u64 { line.rsplit(':').next().unwrap().trim().parse().unwrap() };
    assert_eq!(alive, Status::Up);
    assert_eq!(
        number(&after),
        number(&before) + 1,
        "only the question itself"
    );
    let ready = health.readiness().await;
    assert_ne!(ready.status, Status::Down, "{ready:?}");
    assert!(ready.latency.is_some());
    server.kill();
    redis_harness::poll_until("readiness to notice", || async {
        (health.readiness().await.status == Status::Down).then_some(())
    })
    .await;
    assert_eq!(health.liveness(), Status::Up);
    let _ = root.close(SOON).await;
}

#[tokio::test]
async fn n_he_4_readiness_shows_no_secret_and_no_text_of_the_server() {
    let server = Server::start_with(Options::default().password("correct-horse")).await;
    let address = format!("127.0.0.1:{}", server.port());
    let config = Config::builder().address(&address).password("hunter2");
    let tokens = NamedTokens::default();
    let root = all(&tokens, Backend::redis(config.build().unwrap()));
    let health = root.get(&tokens.health).await.unwrap();
    let readiness = health.readiness().await;
    assert_eq!(readiness.warnings, ["health.unreachable"]);
    let shown = format!("{readiness:?} {health:?} {root:?}");
    for text in ["hunter2", "correct-horse", "WRONGPASS", "invalid username"] {
        assert!(!shown.contains(text), "{shown}");
    }
}

#[tokio::test]
async fn n_cl_10_a_client_is_there_or_an_error_says_why_not() {
    let mut server = server().await;
    server.kill();
    let tokens = NamedTokens::default();
    let config = || {
        Config::builder()
            .address(server.url())
            .retry_timeout(Duration::ZERO)
    };
    // Nothing is asked of the server: what is handed out is a client, whose calls fail as such.
    let root = all(&tokens, Backend::redis(config().build().unwrap()));
    let client = root.get(&tokens.client).await.unwrap();
    let error = client.ping(SOON).await.unwrap_err();
    assert_eq!(error.code(), "redis.connect_failed");
    // Asked for a ping there is no client, and no capability either.
    let pinged = config().ping_on_build(true).build().unwrap();
    let root = all(&tokens, Backend::redis(pinged));
    assert_eq!(
        root.get(&tokens.client).await.unwrap_err().code(),
        "resolve.build"
    );
    assert_eq!(
        root.get(&tokens.locks).await.unwrap_err().code(),
        "resolve.build"
    );
}

#[tokio::test]
async fn n_cl_9_all_capabilities_of_an_instance_use_one_client() {
    let server = server().await;
    let name = unique_prefix("one").replace(':', "-");
    let config = Config::builder()
        .address(server.url())
        .read_timeout(Duration::from_secs(10))
        .write_timeout(Duration::from_secs(10))
        .client_name(&name)
        .shared_connections(1)
        .pool_size(2);
    let tokens = NamedTokens::default();
    let root = all(&tokens, Backend::redis(config.build().unwrap()));
    use_everything(&root, &tokens).await;
    let client = root.get(&tokens.client).await.unwrap();
    assert!(Arc::ptr_eq(
        &client,
        &root.get(&tokens.client).await.unwrap()
    ));
    let list = redis::cmd("CLIENT").arg("LIST").to_owned();
    let list: String = list
        .query_async(&mut server.connection().await)
        .await
        .unwrap();
    let own = list.matches(&format!("name={name}")).count();
    assert!((1..=2).contains(&own), "one pool has no more: {list}");
    root.close(SOON).await.unwrap();
}

#[tokio::test]
async fn n_cl_1_closed_by_two_is_closed_once_and_no_error() {
    let server = server().await;
    let tokens = NamedTokens::default();
    let root = all(&tokens, redis_backend(server.url()));
    use_everything(&root, &tokens).await;
    let client = root.get(&tokens.client).await.unwrap();
    let steps = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let step = Arc::clone(&steps);
    client
        .on_close("counted", move || async move {
            step.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
    // The application closes what it got, and then everything; both at once, too.
    let (first, second) = tokio::join!(client.close(), root.close(SOON));
    first.unwrap();
    second.unwrap();
    client.close().await.unwrap();
    root.close(SOON).await.unwrap();
    assert_eq!(steps.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert_eq!(client.state(), redis_client::State::Closed);
}

#[test]
fn n_cl_6_a_name_is_refused_where_it_is_given() {
    for (name, code) in [
        (" ", "instance.blank"),
        ("\t", "instance.blank"),
        ("two words", "instance.character"),
        ("9", "instance.character"),
        ("cache", "instance.reserved"),
        ("leader", "instance.reserved"),
        ("ping-pong", "instance.reserved"),
    ] {
        assert_eq!(NamedTokens::new(name).unwrap_err().code(), code, "{name:?}");
    }
    assert_eq!(
        NamedTokens::new("").unwrap().client.name(),
        NamedTokens::default().client.name()
    );
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
fn t_cl_2_tokens_of_two_names_never_meet() {
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
