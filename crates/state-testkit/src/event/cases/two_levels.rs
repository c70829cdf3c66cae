//! Caches that keep values in their process.

use std::{sync::Arc, time::Duration};

use state_core::{
    Classified as _, Namespace,
    cache::{Cache, CacheOptions, LoadOptions, SetOptions, Space, Tags},
};

use crate::{
    cache::{Bench as Caches, Gate, text},
    event::Bench,
};

const LONG: Duration = Duration::from_secs(600);

fn keeping() -> CacheOptions {
    Caches::options()
        .l1_capacity(100)
        .l1_ttl(LONG)
        .default_ttl(LONG)
}

/// Removes a value behind everybody's back: who still has it did not ask.
async fn vanish(bench: &Bench, key: &str) {
    let space = Space::new(Namespace::new("things").unwrap(), 1);
    bench.values().delete(&space, &[key]).await.unwrap();
}

/// Puts a value into the cache and into what it keeps here.
async fn keep(cache: &Cache, key: &str, options: &SetOptions) {
    cache.set(key, text("v"), options).await.unwrap();
    assert!(cache.get(key, Tags::NONE).await.unwrap().is_hit());
}

/// A value that was read is there without being read again.
pub async fn what_is_kept_here_costs_no_read(bench: &Bench) {
    let cache = bench.cache(keeping(), bench.near(Bench::options()).0).await;
    let options = SetOptions::default()
        .tags(Tags::new(["t"]).unwrap())
        .codec(5);
    keep(&cache, "k", &options).await;
    assert_eq!(cache.kept_here(), 1);
    vanish(bench, "k").await;
    let found = cache.get("k", Tags::NONE).await.unwrap();
    assert_eq!(found.into_value(), Some(text("v")));
    let loaded = cache
        .get_or_load("k", &options, Gate::open().loader("w"))
        .await
        .unwrap();
    assert_eq!((loaded.codec(), loaded.into_value()), (5, Some(text("v"))));
    // One's own changes count at once.
    cache.set("k", text("w"), &options).await.unwrap();
    assert_eq!(
        cache.get("k", Tags::NONE).await.unwrap().into_value(),
        Some(text("w"))
    );
    cache
        .invalidate_tags(&Tags::new(["t"]).unwrap())
        .await
        .unwrap();
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_miss());
    keep(&cache, "k", &options).await;
    cache.delete("k").await.unwrap();
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_miss());
    keep(&cache, "k", &options).await;
    cache.invalidate_namespace().await.unwrap();
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_miss());
}

/// What is kept here ends with the value and with its own time, whichever comes first.
pub async fn n_ca_1_nothing_is_kept_longer_than_it_has_left(bench: &Bench) {
    let short = Duration::from_millis(300);
    let options = keeping().stale_window(Duration::ZERO);
    let cache = bench.cache(options, bench.near(Bench::options()).0).await;
    keep(&cache, "k", &SetOptions::default().ttl(short)).await;
    bench.pass(2 * short).await;
    vanish(bench, "k").await;
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_miss());
    let cache = bench
        .cache(keeping().l1_ttl(short), bench.near(Bench::options()).0)
        .await;
    keep(&cache, "l", &SetOptions::default()).await;
    vanish(bench, "l").await;
    bench.pass(2 * short).await;
    assert!(cache.get("l", Tags::NONE).await.unwrap().is_miss());
}

/// The others are told: of keys, of tags, of everything.
pub async fn what_others_invalidate_is_not_kept(bench: &Bench) {
    let cache = bench.cache(keeping(), bench.near(Bench::options()).0).await;
    // One that tells and keeps nothing itself.
    let other = bench.cache_of("things", Caches::options(), bench.far());
    let tags = Tags::new(["t"]).unwrap();
    let options = SetOptions::default().tags(tags.clone());
    for round in 0..4 {
        for key in ["k", "l"] {
            keep(&cache, key, &options).await;
        }
        match round {
            0 => drop(other.delete_many(&["k", "l"]).await.unwrap()),
            1 => drop(other.invalidate_tags(&tags).await.unwrap()),
            2 => drop(other.invalidate_namespace().await.unwrap()),
            _ => {
                let items = [("k", text("w")), ("l", text("w"))];
                other.set_many(&items, &options).await.unwrap();
            }
        }
        bench.until(|| cache.kept_here() == 0 || round == 1).await;
        let expected = (round == 3).then(|| text("w"));
        for key in ["k", "l"] {
            // Tags end what is kept only when it is looked for.
            while cache.get(key, Tags::NONE).await.unwrap().into_value() != expected {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// While the line is cut nothing kept here is used, and afterwards nothing that was ended.
pub async fn t_eb_1_nothing_is_stale_after_the_line_was_cut(bench: &Bench) {
    let cache = bench.cache(keeping(), bench.near(Bench::options()).0).await;
    let other = bench.cache_of("things", Caches::options(), bench.far());
    for round in 0..5 {
        let keys: Vec<String> = (0..10).map(|number| format!("{round}.{number}")).collect();
        for key in &keys {
            keep(&cache, key, &SetOptions::default()).await;
        }
        bench.line.cut().await;
        bench.until(|| !cache.uses_local()).await;
        for key in &keys[..5] {
            other.delete(key).await.unwrap();
            assert!(
                cache.get(key, Tags::NONE).await.unwrap().is_miss(),
                "it was kept: {key}"
            );
        }
        bench.line.mend().await;
        bench.until(|| cache.uses_local()).await;
        for key in &keys[..5] {
            assert!(
                cache.get(key, Tags::NONE).await.unwrap().is_miss(),
                "it is stale: {key}"
            );
        }
        // What nobody ended is still kept: there was no gap.
        for key in &keys[5..] {
            vanish(bench, key).await;
            assert!(cache.get(key, Tags::NONE).await.unwrap().is_hit(), "{key}");
        }
    }
}

/// When something may have been missed, nothing is kept.
pub async fn n_ca_10_n_eb_6_a_gap_ends_what_is_kept(bench: &Bench) {
    for lose in [false, true] {
        let cache = bench.cache(keeping(), bench.near(Bench::options()).0).await;
        let other = bench.cache_of("things", Caches::options(), bench.far());
        let key = format!("lose {lose}");
        keep(&cache, &key, &SetOptions::default()).await;
        other
            .set("other", text("v"), &SetOptions::default())
            .await
            .unwrap();
        bench.line.cut().await;
        bench.until(|| !cache.uses_local()).await;
        other.delete(&key).await.unwrap();
        other.delete("other").await.unwrap();
        if lose {
            bench.line.lose(&Bench::topic()).await;
        } else {
            bench.line.trim(&Bench::topic(), 1).await;
        }
        bench.line.mend().await;
        bench.until(|| cache.uses_local()).await;
        assert_eq!(cache.kept_here(), 0);
        assert!(cache.get(&key, Tags::NONE).await.unwrap().is_miss());
    }
}

/// One topic serves several caches.
pub async fn namespaces_share_a_topic(bench: &Bench) {
    let events = bench.near(Bench::options()).0;
    let cache = bench.cache(keeping(), events.clone()).await;
    let neighbour = bench.cache_of("neighbours", keeping(), events);
    bench.until(|| neighbour.uses_local()).await;
    for cache in [&cache, &neighbour] {
        keep(cache, "k", &SetOptions::default()).await;
    }
    let other = bench.cache_of("things", Caches::options(), bench.far());
    other.invalidate_namespace().await.unwrap();
    bench.until(|| cache.kept_here() == 0).await;
    assert_eq!(neighbour.kept_here(), 1);
}

/// A cache that does not listen any more goes to the backend.
pub async fn a_closed_cache_keeps_nothing(bench: &Bench) {
    let cache = bench.cache(keeping(), bench.near(Bench::options()).0).await;
    keep(&cache, "k", &SetOptions::default()).await;
    cache.close().await;
    assert!(!cache.uses_local());
    vanish(bench, "k").await;
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_miss());
    let options = LoadOptions::default();
    cache
        .get_or_load("k", &options, Gate::open().loader("v"))
        .await
        .unwrap();
    vanish(bench, "k").await;
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_miss());
}

/// Nobody keeps values without being told of invalidations.
pub async fn keeping_values_needs_a_bus(bench: &Bench) {
    let values = Arc::clone(bench.values());
    let cache = Cache::builder(values, Namespace::new("things").unwrap()).options(keeping());
    let error = cache.build().unwrap_err();
    assert_eq!(error.code(), "cache.invalid_option");
    assert_eq!(error.to_string(), "l1_capacity: needs a bus");
}
