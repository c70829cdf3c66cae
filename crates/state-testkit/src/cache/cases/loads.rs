//! Loading values.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use state_core::{
    Classified as _,
    cache::{CacheError, LoadOptions, Lookup, SetOptions, Source, Tags},
};

use crate::cache::{Bench, Gate, text};

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(600);

/// Loaded once, then a hit.
pub async fn a_miss_is_loaded_once_and_then_a_hit(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let (gate, options) = (Gate::open(), LoadOptions::default().codec(3));
    for source in [Source::Loaded, Source::Hit, Source::Hit] {
        let loaded = cache
            .get_or_load("k", &options, gate.loader("v"))
            .await
            .unwrap();
        assert_eq!((loaded.source(), loaded.codec()), (source, 3));
        assert_eq!(loaded.into_value(), Some(text("v")));
    }
    assert_eq!(gate.count(), 1);
    // A value whose time is over and of which nothing is left is loaded again.
    let (cache, _) = bench.cache(Bench::options().stale_window(Duration::ZERO));
    let short = LoadOptions::default().ttl(SHORT);
    cache
        .get_or_load("l", &short, gate.loader("v"))
        .await
        .unwrap();
    bench.pass(2 * SHORT).await;
    let loaded = cache
        .get_or_load("l", &short, gate.loader("w"))
        .await
        .unwrap();
    assert_eq!(loaded.into_value(), Some(text("w")));
}

/// No value is an answer, kept if the options say so.
pub async fn that_there_is_nothing_to_load_is_remembered_if_wanted(bench: &Bench) {
    let none = || async { Ok::<_, std::io::Error>(None) };
    let options = LoadOptions::default();
    for (ttl, source, lookup) in [
        (LONG, Source::Loaded, Lookup::Negative),
        (Duration::ZERO, Source::Uncached, Lookup::Miss),
    ] {
        let (cache, _) = bench.cache(Bench::options().negative_ttl(ttl));
        let key = format!("{ttl:?}");
        let loaded = cache.get_or_load(&key, &options, none).await.unwrap();
        assert_eq!((loaded.value(), loaded.source()), (None, source));
        assert_eq!(cache.get(&key, Tags::NONE).await.unwrap(), lookup);
        // The lease is not left behind.
        let again = cache
            .get_or_load(&key, &options, Gate::open().loader("v"))
            .await
            .unwrap();
        assert_eq!(again.value().is_none(), !ttl.is_zero());
    }
}

/// The loader's error is given back as it is, and the next call loads again.
pub async fn an_error_of_the_loader_passes_through_and_is_not_kept(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let options = LoadOptions::default();
    let fails = || async {
        let error = std::io::Error::new(std::io::ErrorKind::AddrInUse, "hunter2");
        Err::<Option<Bytes>, _>(error)
    };
    let error = cache.get_or_load("k", &options, fails).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let CacheError::Loader(error) = error else {
        panic!("it was the loader");
    };
    let error = error
        .downcast_ref::<std::io::Error>()
        .expect("its own type");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_miss());
    let loaded = cache
        .get_or_load("k", &options, Gate::open().loader("v"))
        .await
        .unwrap();
    assert_eq!(loaded.source(), Source::Loaded);
}

/// However many ask, in however many processes, one loads.
pub async fn t_ca_1_many_misses_in_many_processes_are_one_load(bench: &Bench) {
    let caches: Vec<_> = (0..4).map(|_| bench.cache(Bench::options()).0).collect();
    let gate = Gate::closed();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        let (cache, loader) = (caches[number % 4].clone(), gate.loader("v"));
        calls.spawn(async move {
            let options = LoadOptions::default();
            cache.get_or_load("k", &options, loader).await.unwrap()
        });
    }
    let all = async {
        gate.came(1).await;
        gate.let_in();
        calls.join_all().await
    };
    let loaded = bench.drive(all).await;
    assert_eq!(gate.count(), 1);
    assert!(
        loaded
            .iter()
            .all(|loaded| loaded.value() == Some(&text("v")))
    );
    let count = |source| {
        loaded
            .iter()
            .filter(|loaded| loaded.source() == source)
            .count()
    };
    assert_eq!(count(Source::Loaded), 1);
    assert_eq!(count(Source::Uncached), 0);
}

/// A slow load holds nobody up who wants another key.
pub async fn n_ca_13_loads_of_other_keys_do_not_wait(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let (slow, options) = (Gate::closed(), LoadOptions::default());
    let first = cache.get_or_load("slow", &options, slow.loader("v"));
    let second = async {
        slow.came(1).await;
        let loaded = cache
            .get_or_load("quick", &options, Gate::open().loader("w"))
            .await;
        slow.let_in();
        loaded.unwrap()
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap().source(), Source::Loaded);
    assert_eq!(second.source(), Source::Loaded);
}

/// Nobody waits for ever for another process.
pub async fn who_waited_long_enough_loads_without_storing(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let (other, _) = bench.cache(Bench::options().lease_wait(Duration::from_millis(30)));
    let (slow, options) = (Gate::closed(), LoadOptions::default());
    let first = cache.get_or_load("k", &options, slow.loader("v"));
    let second = async {
        slow.came(1).await;
        let loader = Gate::open().loader("w");
        let loaded = bench.drive(other.get_or_load("k", &options, loader)).await;
        slow.let_in();
        loaded.unwrap()
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap().source(), Source::Loaded);
    assert_eq!(second.source(), Source::Uncached);
    assert_eq!(second.into_value(), Some(text("w")));
    let found = other.get("k", Tags::NONE).await.unwrap();
    assert_eq!(found.into_value(), Some(text("v")));
}

/// While another process makes the new value, the old one is good enough.
pub async fn somebody_elses_load_leaves_the_stale_value(bench: &Bench) {
    let options = Bench::options().stale_window(LONG);
    let (cache, _) = bench.cache(options);
    let (other, _) = bench.cache(options);
    cache
        .set("k", text("old"), &SetOptions::default().ttl(SHORT))
        .await
        .unwrap();
    bench.pass(2 * SHORT).await;
    let (slow, options) = (Gate::closed(), LoadOptions::default());
    let first = cache.get_or_load("k", &options, slow.loader("new"));
    let second = async {
        slow.came(1).await;
        let loaded = other
            .get_or_load("k", &options, Gate::open().loader("no"))
            .await;
        slow.let_in();
        loaded.unwrap()
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.unwrap().source(), Source::Loaded);
    assert_eq!(second.source(), Source::Stale);
    assert_eq!(second.into_value(), Some(text("old")));
}

/// A slow load is not waited for when there is something to show, and ends by itself.
pub async fn soft_timeout_gives_the_stale_value_and_loads_on(bench: &Bench) {
    let soft = Some(Duration::from_millis(20));
    let (cache, _) = bench.cache(Bench::options().stale_window(LONG).soft_timeout(soft));
    cache
        .set("k", text("old"), &SetOptions::default().ttl(SHORT))
        .await
        .unwrap();
    bench.pass(2 * SHORT).await;
    let (slow, options) = (Gate::closed(), LoadOptions::default());
    let loaded = bench
        .drive(cache.get_or_load("k", &options, slow.loader("new")))
        .await
        .unwrap();
    assert_eq!(
        (loaded.source(), loaded.into_value()),
        (Source::Stale, Some(text("old")))
    );
    slow.let_in();
    let settled = async {
        while cache.loads() > 0 {
            tokio::task::yield_now().await;
        }
    };
    settled.await;
    let found = cache.get("k", Tags::NONE).await.unwrap();
    assert_eq!(found.into_value(), Some(text("new")));
}

/// A load that does not end is ended.
pub async fn hard_timeout_ends_a_load(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options().hard_timeout(Duration::from_millis(20)));
    let (never, options) = (Gate::closed(), LoadOptions::default());
    let error = bench
        .drive(cache.get_or_load("k", &options, never.loader("v")))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "cache.load_timeout");
    // The lease was given back.
    let loaded = cache
        .get_or_load("k", &options, Gate::open().loader("v"))
        .await
        .unwrap();
    assert_eq!(loaded.source(), Source::Loaded);
}

/// When a load fails, the old value goes on for a while without another try.
pub async fn a_failed_load_leaves_the_stale_value_and_a_pause(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options().stale_window(LONG));
    cache
        .set("k", text("old"), &SetOptions::default().ttl(SHORT))
        .await
        .unwrap();
    bench.pass(2 * SHORT).await;
    let tries = Gate::open();
    for _ in 0..3 {
        let tries = tries.clone();
        let fails = move || async move {
            tries.pass().await;
            Err::<Option<Bytes>, _>("no")
        };
        let loaded = cache
            .get_or_load("k", &LoadOptions::default(), fails)
            .await
            .unwrap();
        assert_eq!(
            (loaded.source(), loaded.into_value()),
            (Source::Stale, Some(text("old")))
        );
    }
    assert_eq!(tries.count(), 1);
    bench.pass(Duration::from_secs(2)).await;
    let options = LoadOptions::default();
    let loaded = cache
        .get_or_load("k", &options, Gate::open().loader("new"))
        .await
        .unwrap();
    assert_eq!(loaded.source(), Source::Loaded);
}

/// A loader that panics fails its call and leaves nothing locked.
pub async fn a_panic_of_the_loader_is_an_error_and_frees_the_key(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let options = LoadOptions::default();
    let panics = || async {
        if true {
            std::panic::resume_unwind(Box::new("as intended"));
        }
        Ok::<_, std::io::Error>(None)
    };
    let error = cache.get_or_load("k", &options, panics).await.unwrap_err();
    assert_eq!(error.code(), "cache.loader_panicked");
    let loaded = cache
        .get_or_load("k", &options, Gate::open().loader("v"))
        .await
        .unwrap();
    assert_eq!(loaded.source(), Source::Loaded);
}

/// Who does not wait any more does not stop the load that others wait for.
pub async fn a_caller_that_left_leaves_its_load(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let (gate, options) = (Gate::closed(), Arc::new(LoadOptions::default()));
    let (first, loader, its) = (cache.clone(), gate.loader("v"), Arc::clone(&options));
    let leaving = tokio::spawn(async move { first.get_or_load("k", &its, loader).await });
    gate.came(1).await;
    let other = Gate::open();
    let waiting = cache.get_or_load("k", &options, other.loader("w"));
    let leave = async {
        leaving.abort();
        assert!(leaving.await.unwrap_err().is_cancelled());
        gate.let_in();
    };
    let (waited, ()) = bench.drive(async { tokio::join!(waiting, leave) }).await;
    assert_eq!(waited.unwrap().into_value(), Some(text("v")));
    assert_eq!(other.count(), 0);
}
