//! What somebody does who wants it to break: settings at their edges, starts that fail half-way,
//! ends that hang or panic.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use redis_client::InstanceName;
use state_core::{
    Namespace,
    cache::{CacheOptions, LoadOptions, SetOptions, Tags},
    event::EventOptions,
    lock::LockOptions,
    rate_limit::{Limit, LimiterOptions, OnError, Rule},
};
use state_modules::{
    Backend, BoxError, Module, NamedTokens, Provided, Root, Scope, Settings, Token, modules,
};
use tokio::sync::Semaphore;

const SOON: Duration = Duration::from_secs(5);

type Ended = Arc<Mutex<Vec<&'static str>>>;

/// A module of something that ends by so many steps, and then by this.
fn ending<F>(ended: &Ended, name: &'static str, yields: usize, last: F) -> (Module, Token<u32>)
where
    F: Fn() -> Result<(), BoxError> + Clone + Send + Sync + 'static,
{
    let token = Token::new(name);
    let ended = Arc::clone(ended);
    let module = Module::new(name)
        .exports(&token)
        .provides(&token, move |_| {
            let (ended, last) = (Arc::clone(&ended), last.clone());
            async move {
                Ok(Provided::closed_by(1, move || async move {
                    for _ in 0..yields {
                        tokio::task::yield_now().await;
                    }
                    ended.lock().push(name);
                    last()
                }))
            }
        });
    (module, token)
}

fn hanging() -> (Module, Token<u32>) {
    let token = Token::new("hanging");
    let module = Module::new("hanging")
        .exports(&token)
        .provides(&token, |_| async {
            let never = std::future::pending::<Result<(), BoxError>>;
            Ok(Provided::closed_by(2, never))
        });
    (module, token)
}

#[tokio::test]
async fn an_end_may_take_for_ever() {
    let ended = Ended::default();
    let (module, token) = ending(&ended, "one", 3, || Ok(()));
    let root = Root::builder().module(module).build().unwrap();
    root.get(&token).await.unwrap();
    root.close(Duration::MAX).await.unwrap();
    assert_eq!(*ended.lock(), ["one"]);
}

/// What was built first ends last, and has to have time to end.
#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_leaves_time_for_the_others() {
    let ended = Ended::default();
    let (first, one) = ending(&ended, "one", 9, || Ok(()));
    let (last, two) = hanging();
    let root = Root::builder().module(first).module(last).build().unwrap();
    root.get(&one).await.unwrap();
    root.get(&two).await.unwrap();
    let errors = root.close(SOON).await.unwrap_err();
    assert_eq!(errors.errors().len(), 1, "{errors}");
    assert_eq!(errors.errors()[0].token(), "hanging");
    assert_eq!(*ended.lock(), ["one"]);
}

#[tokio::test]
async fn a_step_that_panics_does_not_stop_the_others() {
    let ended = Ended::default();
    let (first, one) = ending(&ended, "one", 1, || Ok(()));
    let (last, two) = ending(&ended, "two", 1, || panic!("hunter2"));
    let root = Root::builder().module(first).module(last).build().unwrap();
    root.get(&one).await.unwrap();
    root.get(&two).await.unwrap();
    let errors = root.close(SOON).await.unwrap_err();
    assert_eq!(errors.errors()[0].token(), "two");
    assert!(!format!("{errors} {errors:?}").contains("hunter2"));
    assert_eq!(*ended.lock(), ["two", "one"]);
    root.close(SOON).await.unwrap();
}

/// Somebody is still building when the end comes: it is not waited for beyond the time there is,
/// and what it makes in the end is closed nevertheless.
#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_does_not_hold_up_the_end() {
    let ended = Ended::default();
    let (first, one) = ending(&ended, "one", 1, || Ok(()));
    let (late, gate) = (Token::<u32>::new("late"), Arc::new(Semaphore::new(0)));
    let (opened, told) = (Arc::clone(&gate), Arc::clone(&ended));
    let slow = Module::new("slow")
        .exports(&late)
        .provides(&late, move |_| {
            let (opened, told) = (Arc::clone(&opened), Arc::clone(&told));
            async move {
                opened.acquire().await?.forget();
                Ok(Provided::closed_by(1, move || async move {
                    told.lock().push("late");
                    Ok(())
                }))
            }
        });
    let root = Root::builder().module(first).module(slow).build().unwrap();
    root.get(&one).await.unwrap();
    let building = {
        let (root, late) = (root.clone(), late.clone());
        tokio::spawn(async move { root.get(&late).await.map(drop) })
    };
    tokio::task::yield_now().await;
    let errors = tokio::time::timeout(SOON * 2, root.close(SOON)).await;
    let errors = errors.expect("the end in time").unwrap_err();
    assert_eq!(errors.code(), "close.failed");
    assert_eq!(*ended.lock(), ["one"]);
    gate.add_permits(1);
    let error = building.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "resolve.closed");
    assert_eq!(*ended.lock(), ["one", "late"]);
}

/// A provider that keeps its scope builds things whenever it likes, also while the end goes on.
#[tokio::test]
async fn what_a_kept_scope_builds_during_the_end_is_closed() {
    let ended = Ended::default();
    let gate = Arc::new(Semaphore::new(0));
    let (keeper, late) = (Token::<Scope>::new("keeper"), Token::<u32>::new("late"));
    let (opened, told, built) = (
        Arc::clone(&gate),
        Arc::clone(&ended),
        Arc::new(AtomicU32::new(0)),
    );
    let count = Arc::clone(&built);
    let module = Module::new("m")
        .exports(&keeper)
        .provides(&keeper, |scope: Scope| async { Ok(Provided::new(scope)) })
        .provides(&late, move |_| {
            let (opened, told) = (Arc::clone(&opened), Arc::clone(&told));
            let count = Arc::clone(&count);
            async move {
                count.fetch_add(1, Ordering::SeqCst);
                opened.acquire().await?.forget();
                Ok(Provided::closed_by(1, move || async move {
                    told.lock().push("late");
                    Ok(())
                }))
            }
        });
    let root = Root::builder().module(module).build().unwrap();
    let scope = root.get(&keeper).await.unwrap();
    let building = {
        let late = late.clone();
        tokio::spawn(async move { scope.get(&late).await.map(drop) })
    };
    while built.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    root.close(SOON).await.unwrap();
    gate.add_permits(1);
    let error = building.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "resolve.closed");
    assert_eq!(*ended.lock(), ["late"]);
}

/// As large as numbers get: refused, or good for nothing but harmless.
#[tokio::test]
async fn options_at_their_edges_do_no_harm() {
    let (tokens, app) = (NamedTokens::default(), || Namespace::new("app").unwrap());
    let local = OnError::Local { nodes: u32::MAX };
    let limiter = LimiterOptions::default()
        .deny_cache(usize::MAX)
        .timeout(Duration::MAX)
        .on_error(local);
    let cache = CacheOptions::default().l1_capacity(usize::MAX);
    let events = EventOptions::default();
    let mut locks = LockOptions::default();
    locks.wait = Duration::MAX;
    let root = Root::builder()
        .module(modules::instance(&tokens, Backend::Memory))
        .module(modules::events(&tokens, events))
        .module(modules::cache(&tokens, app(), cache))
        .module(modules::rate_limit(&tokens, limiter))
        .module(modules::locks(&tokens, locks))
        .build()
        .unwrap();
    if let Ok(limiter) = root.get(&tokens.rate_limit).await {
        for limit in [
            Limit::new(u64::MAX, Duration::MAX),
            Limit::new(1, Duration::MAX),
            Limit::new(u64::MAX, Duration::from_secs(1)),
            Limit::new(1_000_000, Duration::from_secs(1)),
        ] {
            let Ok(limit) = limit else { continue };
            let rule = Rule::new("r", limit).unwrap();
            for cost in [0, 1, u64::MAX] {
                limiter.check(&rule, "a", cost).await.unwrap();
                limiter.refund(&rule, "a", cost).await.unwrap();
            }
        }
    }
    if let Ok(cache) = root.get(&tokens.cache).await {
        let forever = SetOptions::default().ttl(Duration::MAX);
        assert!(cache.set("k", "v".into(), &forever).await.is_err());
        let forever = LoadOptions::default().ttl(Duration::MAX);
        let loader = || async { Ok::<_, std::io::Error>(Some("v".into())) };
        assert!(cache.get_or_load("k", &forever, loader).await.is_err());
        cache
            .set("k", "v".into(), &SetOptions::default())
            .await
            .unwrap();
        assert!(cache.get("k", &Tags::default()).await.unwrap().is_hit());
    }
    if let Ok(locks) = root.get(&tokens.locks).await {
        let lock = locks.lock("l").unwrap();
        assert!(lock.clone().ttl(Duration::MAX).is_err());
        let guard = lock.acquire_by_default().await.unwrap();
        assert!(guard.extend(Duration::MAX).await.is_err());
        guard.release().await.unwrap();
    }
    root.close(SOON).await.unwrap();
}

/// Every variable, with everything that is at the edge of something.
#[test]
fn settings_at_their_edges_are_read_or_refused() {
    const VARIABLES: &[&str] = &[
        "CACHE_L1_CAPACITY",
        "CACHE_BETA",
        "LOCK_FENCE_TTL",
        "LOCK_WAIT",
        "LOCK_REPLICAS",
        "LEADER_TTL",
        "LEADER_RENEW",
        "PROCESS_LEASE_TTL",
        "RATELIMIT_LIMIT",
        "RATELIMIT_WINDOW",
        "RATELIMIT_BURST",
        "RATELIMIT_EXPECTED_NODES",
        "RATELIMIT_TIMEOUT",
        "SESSION_HASH_KEY",
        "BUS_QUEUE",
    ];
    const EDGES: &[&str] = &[
        "18446744073709551615",
        "18446744073709551615d",
        "18446744073709551615ms",
        "18446744073709551s",
        "213503982334d",
        "-0",
        "-0.0",
        "1e308",
        "0x10",
        "٣",
        "\u{0}",
        "1\u{a0}s",
        "hunter2 \r\nX: 1",
    ];
    for variable in VARIABLES {
        for edge in EDGES {
            for limit in ["1", "18446744073709551615"] {
                let set = InstanceName::default().variable(variable);
                let lookup = |asked: &str| match asked {
                    _ if asked == set => Some((*edge).to_owned()),
                    "REDIS_BACKEND" => Some("memory".to_owned()),
                    "REDIS_RATELIMIT_LIMIT" => Some(limit.to_owned()),
                    _ => None,
                };
                let shown = match Settings::read(InstanceName::default(), &lookup) {
                    Ok(settings) => format!("{settings:?}"),
                    Err(errors) => format!("{errors} {errors:?}"),
                };
                assert!(!shown.contains("hunter2"), "{variable}: {shown}");
                assert!(!shown.contains('\r'), "{variable}: {shown}");
            }
        }
    }
}

/// Nothing that is put together, refused or closed shows what is secret in it.
#[tokio::test]
async fn no_secret_is_shown_anywhere() {
    const SECRETS: [&str; 3] = [
        "hunter2-hunter2-hunter2-hunter2-0",
        "hunter3-hunter3-hunter3-hunter3-0",
        "hunter4",
    ];
    let lookup = |asked: &str| {
        let value = match asked {
            "REDIS_ADDR" => "redis://127.0.0.1:1",
            "REDIS_SESSION_HASH_KEY" => SECRETS[0],
            "REDIS_SESSION_HASH_KEY_PREVIOUS" => SECRETS[1],
            "REDIS_PASSWORD" => SECRETS[2],
            "REDIS_PING_ON_BUILD" => "true",
            "REDIS_RETRY_TIMEOUT" => "0ms",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let settings = Settings::read(InstanceName::default(), &lookup).unwrap();
    let mut shown = format!("{settings:?}");
    let tokens = NamedTokens::default();
    let keys = settings.session_keys.clone().unwrap();
    let instance = modules::instance(&tokens, settings.backend);
    let people = Namespace::new("people").unwrap();
    let session = modules::session(&tokens, people, keys, settings.session);
    shown += &format!("{instance:?} {session:?}");
    let root = Root::builder().module(instance).module(session);
    shown += &format!("{root:?}");
    let root = root.build().unwrap();
    let error = root.get(&tokens.session).await.unwrap_err();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        shown += &format!("{error} {error:?}");
        cause = error.source();
    }
    shown += &format!("{root:?} {:?}", root.close(SOON).await);
    for secret in SECRETS {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// Whoever stops waiting for the end loses nothing of it: not what went wrong, and not the rest.
#[tokio::test(start_paused = true)]
async fn an_end_that_is_broken_off_again_and_again_tells_everything_in_the_end() {
    let ended = Ended::default();
    let (first, one) = ending(&ended, "one", 50, || Err("it failed".into()));
    let (second, two) = ending(&ended, "two", 50, || Err("it failed".into()));
    let (last, three) = hanging();
    let root = Root::builder().module(first).module(second).module(last);
    let root = root.build().unwrap();
    for token in [one, two, three] {
        root.get(&token).await.unwrap();
    }
    for some in [0, 1, 3, 3].map(Duration::from_secs) {
        let close = tokio::time::timeout(some, root.close(SOON)).await;
        assert!(close.is_err(), "it hangs");
    }
    let errors = root.close(SOON).await.unwrap_err();
    let mut failed: Vec<_> = errors.errors().iter().map(|error| error.token()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["hanging", "one", "two"]);
    assert_eq!(*ended.lock(), ["two", "one"]);
    root.close(SOON).await.unwrap();
}
