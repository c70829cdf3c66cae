//! What a cache does when its store fails, and what it does by chance.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use state_core::{
    Capability, Classified as _, ErrorKind, Namespace,
    cache::{
        Cache, CacheError, CacheOptions, Consistency, Deleted, Invalidated, LoadOptions, Lookup,
        OnError, SetOptions, Source, Tags,
    },
    event::{Event, EventOptions, Events},
};
use state_memory::{Fault, cache::MemoryCacheStore, event::MemoryEventStore};
use state_testkit::{
    RecordingObserver, SeededEntropy, VirtualClock,
    cache::{Bench, Gate, text},
};

struct World {
    clock: VirtualClock,
    store: MemoryCacheStore,
    told: RecordingObserver,
}

impl World {
    fn new() -> Self {
        let clock = VirtualClock::new();
        let store = MemoryCacheStore::new(Arc::new(clock.clone()), 100_000);
        let told = RecordingObserver::new();
        Self { clock, store, told }
    }

    fn cache(&self, options: CacheOptions, bus: Option<Events>) -> Cache {
        let namespace = || Namespace::new("things").unwrap();
        let mut builder = Cache::builder(Arc::new(self.store.clone()), namespace())
            .options(options)
            .clock(Arc::new(self.clock.clone()))
            .entropy(Arc::new(SeededEntropy::new(7)))
            .observer(Arc::new(self.told.clone()));
        if let Some(events) = bus {
            builder = builder.bus(events, namespace());
        }
        builder.build().unwrap()
    }

    /// Runs something that waits, and lets the time pass that it waits for.
    async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            let tick = async {
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                self.clock.advance(Duration::from_millis(50));
            };
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tick => {}
            }
        }
    }

    fn count(&self, operation: &str, outcome: &str) -> usize {
        let told = self.told.take();
        let is_it = |told: &&(Capability, &str, &str)| (told.1, told.2) == (operation, outcome);
        told.iter().filter(is_it).count()
    }
}

fn loader(
    value: &'static str,
) -> impl FnOnce() -> std::future::Ready<Result<Option<Bytes>, String>> {
    move || std::future::ready(Ok(Some(text(value))))
}

#[tokio::test]
async fn n_ca_8_failures_of_the_store_are_seen() {
    let world = World::new();
    let cache = world.cache(Bench::options(), None);
    let store = world.store.faults();
    store.fail_next("cache.read", Fault::Before);
    let error = cache.get("k", Tags::NONE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable() && !error.outcome_unknown());
    assert_eq!(world.count("get", "backend.unavailable"), 1);
    store.fail_next("cache.set", Fault::After);
    let error = cache
        .set("k", text("v"), &SetOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.outcome_unknown());
    assert_eq!(world.count("set", "backend.timeout"), 1);
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_hit());
}

#[tokio::test]
async fn reads_that_fail_do_as_the_policy_says() {
    for (policy, expected) in [
        (OnError::Load, Some(Source::Uncached)),
        (OnError::Stale, Some(Source::Uncached)),
        (OnError::Error, None),
    ] {
        let world = World::new();
        let cache = world.cache(Bench::options().on_error(policy), None);
        for operation in ["cache.read", "cache.begin"] {
            world.store.faults().fail_next(operation, Fault::Before);
            let loaded = cache
                .get_or_load("k", &LoadOptions::default(), loader("v"))
                .await;
            match expected {
                Some(source) => assert_eq!(loaded.unwrap().source(), source),
                None => assert_eq!(loaded.unwrap_err().kind(), ErrorKind::Unavailable),
            }
            assert!(world.store.faults().are_used_up());
        }
        assert_eq!(cache.get("k", Tags::NONE).await.unwrap(), Lookup::Miss);
    }
}

#[tokio::test]
async fn n_ca_8_a_value_that_could_not_be_stored_is_given_and_counted() {
    let world = World::new();
    let cache = world.cache(Bench::options().on_error(OnError::Error), None);
    for fault in [Fault::Before, Fault::After] {
        world.store.faults().fail_next("cache.fill", fault);
        let key = format!("{fault:?}");
        let loaded = cache
            .get_or_load(&key, &LoadOptions::default(), loader("v"))
            .await
            .unwrap();
        assert_eq!(
            (loaded.source(), loaded.into_value()),
            (Source::Uncached, Some(text("v")))
        );
    }
    assert_eq!(world.count("fill", "backend.unavailable"), 1);
}

#[tokio::test]
async fn a_lost_answer_to_begin_is_asked_for_again() {
    let world = World::new();
    let cache = world.cache(Bench::options(), None);
    world.store.faults().fail_next("cache.begin", Fault::After);
    let loaded = cache
        .get_or_load("k", &LoadOptions::default(), loader("v"))
        .await
        .unwrap();
    assert_eq!(loaded.source(), Source::Loaded);
}

#[tokio::test]
async fn misses_are_one_load_even_without_a_store() {
    let world = World::new();
    let cache = world.cache(Bench::options(), None);
    for _ in 0..50 {
        world.store.faults().fail_next("cache.read", Fault::Before);
    }
    let gate = Gate::closed();
    let calls = (0..50).map(|_| {
        let (cache, loader) = (cache.clone(), gate.loader("v"));
        tokio::spawn(async move {
            cache
                .get_or_load("k", &LoadOptions::default(), loader)
                .await
                .unwrap()
                .source()
        })
    });
    let calls: Vec<_> = calls.collect();
    gate.came(1).await;
    // All of them wait by now: this runtime has one thread.
    gate.let_in();
    for call in calls {
        call.await.unwrap();
    }
    // Those who came before the load began are served by it; the others by one more.
    assert!(gate.count() <= 2, "{} loads", gate.count());
}

#[tokio::test]
async fn strict_invalidations_fail_after_four_attempts() {
    let world = World::new();
    let cache = world.cache(Bench::options(), None);
    cache
        .set("secret-key", text("v"), &SetOptions::default())
        .await
        .unwrap();
    for _ in 0..4 {
        world
            .store
            .faults()
            .fail_next("cache.delete", Fault::Before);
    }
    let error = world.drive(cache.delete("secret-key")).await.unwrap_err();
    let CacheError::Invalidation {
        cache: name,
        attempts,
        ..
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!((name.as_str(), *attempts), ("things", 4));
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Unavailable, "cache.invalidation")
    );
    assert!(!format!("{error} {error:?}").contains("secret"));
    assert_eq!(world.count("invalidate", "backend.unavailable"), 4);
    // One that helps in time is no error; whether there was something is not known after a lost
    // answer.
    world.store.faults().fail_next("cache.delete", Fault::After);
    assert_eq!(
        world.drive(cache.delete("secret-key")).await.unwrap(),
        Deleted::Gone
    );
    world
        .store
        .faults()
        .fail_next("cache.delete", Fault::Before);
    assert_eq!(
        world.drive(cache.delete("secret-key")).await.unwrap(),
        Deleted::Absent
    );
}

#[tokio::test]
async fn eventual_invalidations_are_made_again_until_they_succeed() {
    let world = World::new();
    let options = Bench::options()
        .consistency(Consistency::Eventual)
        .retry_queue(2);
    let cache = world.cache(options, None);
    let tags = Tags::new(["t"]).unwrap();
    cache
        .set("k", text("v"), &SetOptions::default().tags(tags.clone()))
        .await
        .unwrap();
    for _ in 0..7 {
        world
            .store
            .faults()
            .fail_next("cache.invalidate", Fault::Before);
    }
    assert_eq!(
        cache.invalidate_tags(&tags).await.unwrap(),
        Invalidated::Queued
    );
    assert_eq!(
        cache.invalidate_tags(&tags).await.unwrap(),
        Invalidated::Queued
    );
    assert_eq!(cache.queued_invalidations(), 1, "the same waits once");
    assert_eq!(
        cache.invalidate_namespace().await.unwrap(),
        Invalidated::Queued
    );
    let other = Tags::new(["u"]).unwrap();
    let error = cache.invalidate_tags(&other).await.unwrap_err();
    assert_eq!(error.code(), "cache.queue_full");
    let done = async {
        while cache.queued_invalidations() > 0 {
            tokio::task::yield_now().await;
        }
    };
    world.drive(done).await;
    assert!(world.store.faults().are_used_up());
    assert!(cache.get("k", &tags).await.unwrap().is_miss());
}

#[tokio::test]
async fn short_lives_take_the_place_of_invalidations_that_fail() {
    let world = World::new();
    let short = Duration::from_secs(3);
    let options = Bench::options()
        .consistency(Consistency::ShortTtl)
        .short_ttl(short);
    let cache = world.cache(options, None);
    let tags = Tags::new(["t"]).unwrap();
    for key in ["k", "l"] {
        cache
            .set(key, text("v"), &SetOptions::default().tags(tags.clone()))
            .await
            .unwrap();
    }
    for operation in ["cache.delete", "cache.invalidate"] {
        for _ in 0..4 {
            world.store.faults().fail_next(operation, Fault::Before);
        }
    }
    assert_eq!(
        world.drive(cache.delete("k")).await.unwrap(),
        Deleted::Shortened
    );
    assert_eq!(
        world.drive(cache.invalidate_tags(&tags)).await.unwrap(),
        Invalidated::Shortened
    );
    world.clock.advance(short);
    for key in ["k", "l"] {
        assert!(cache.get(key, &tags).await.unwrap().is_miss());
    }
    for _ in 0..4 {
        world
            .store
            .faults()
            .fail_next("cache.delete", Fault::Before);
    }
    world
        .store
        .faults()
        .fail_next("cache.shorten", Fault::Before);
    assert!(world.drive(cache.delete("k")).await.is_err());
}

#[tokio::test]
async fn the_others_are_part_of_an_invalidation() {
    let world = World::new();
    let log = MemoryEventStore::new(Arc::new(world.clock.clone()));
    let events = || {
        let options = EventOptions::default().poll_interval(Duration::from_secs(600));
        let builder = Events::builder(Arc::new(log.clone())).options(options);
        builder
            .clock(Arc::new(world.clock.clone()))
            .build()
            .unwrap()
    };
    let strict = world.cache(Bench::options(), Some(events()));
    for _ in 0..4 {
        log.faults().fail_next("event.append", Fault::Before);
    }
    let error = world.drive(strict.delete("k")).await.unwrap_err();
    assert_eq!(error.code(), "cache.invalidation");
    let options = Bench::options().consistency(Consistency::Eventual);
    let eventual = world.cache(options, Some(events()));
    log.faults().fail_next("event.append", Fault::Before);
    eventual
        .set("k", text("v"), &SetOptions::default())
        .await
        .unwrap();
    let options = Bench::options().l1_capacity(9);
    let listening = world.cache(options, Some(events()));
    world
        .drive(async {
            while eventual.queued_invalidations() > 0 || !listening.uses_local() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    assert!(log.faults().are_used_up());
    assert!(
        listening.get("k", Tags::NONE).await.unwrap().is_hit(),
        "what was told is not undone"
    );
}

#[tokio::test]
async fn what_is_kept_here_is_the_last_resort_if_wanted() {
    let world = World::new();
    let log = MemoryEventStore::new(Arc::new(world.clock.clone()));
    let events = Events::builder(Arc::new(log.clone())).clock(Arc::new(world.clock.clone()));
    let minute = Duration::from_secs(60);
    let options = Bench::options()
        .l1_capacity(9)
        .l1_ttl(minute)
        .on_error(OnError::Stale);
    let cache = world.cache(options, Some(events.build().unwrap()));
    let live = async {
        while !cache.uses_local() {
            tokio::task::yield_now().await;
        }
    };
    world.drive(live).await;
    cache
        .set("k", text("v"), &SetOptions::default().ttl(minute))
        .await
        .unwrap();
    cache.get("k", Tags::NONE).await.unwrap();
    log.disconnect();
    world.clock.advance(2 * minute);
    for _ in 0..2 {
        world.store.faults().fail_next("cache.read", Fault::Before);
    }
    let Lookup::Hit(hit) = cache.get("k", Tags::NONE).await.unwrap() else {
        panic!("it is kept here");
    };
    assert!(hit.is_stale() && hit.age() >= 2 * minute);
    let loaded = cache
        .get_or_load("k", &LoadOptions::default(), loader("w"))
        .await
        .unwrap();
    assert_eq!(
        (loaded.source(), loaded.into_value()),
        (Source::Stale, Some(text("v")))
    );
}

#[tokio::test]
async fn t_ca_2_a_hot_key_is_never_missed_at_its_end() {
    let world = World::new();
    let (ttl, cost) = (Duration::from_secs(10), Duration::from_millis(200));
    let options = Bench::options()
        .beta(1.0)
        .stale_window(Duration::ZERO)
        .default_ttl(ttl);
    let cache = world.cache(options, None);
    let loads = Gate::open();
    let ask = async |cache: &Cache| {
        let (clock, loads) = (world.clock.clone(), loads.clone());
        let slow = move || async move {
            loads.pass().await;
            clock.advance(cost);
            Ok::<_, String>(Some(text("v")))
        };
        cache
            .get_or_load("k", &LoadOptions::default(), slow)
            .await
            .unwrap()
            .source()
    };
    assert_eq!(ask(&cache).await, Source::Loaded);
    // A hundred times to live, asked every 10 ms.
    for _ in 0..100_000 {
        world.clock.advance(Duration::from_millis(10));
        assert_eq!(ask(&cache).await, Source::Hit);
        while cache.loads() > 0 {
            tokio::task::yield_now().await;
        }
    }
    let loads = loads.count();
    assert!((100..250).contains(&loads), "{loads} loads");
}

#[tokio::test]
async fn early_refreshes_are_one_at_a_time_and_pause_after_a_failure() {
    let world = World::new();
    let cache = world.cache(Bench::options().beta(100.0), None);
    let (clock, hour) = (world.clock.clone(), Duration::from_secs(3_600));
    let slow = move || async move {
        clock.advance(hour / 2);
        Ok::<_, String>(Some(text("v")))
    };
    let options = LoadOptions::default().ttl(hour);
    cache.get_or_load("k", &options, slow).await.unwrap();
    let (gate, tries) = (Gate::closed(), Gate::open());
    for _ in 0..200 {
        let loaded = cache
            .get_or_load("k", &options, gate.loader("w"))
            .await
            .unwrap();
        assert_eq!(loaded.source(), Source::Hit);
    }
    gate.came(1).await;
    assert_eq!((cache.loads(), gate.count()), (1, 1));
    gate.let_in();
    while cache.loads() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        cache.get("k", Tags::NONE).await.unwrap().into_value(),
        Some(text("w"))
    );
    // The new value took no time to load, so make one that did.
    let clock = world.clock.clone();
    let slow = move || async move {
        clock.advance(hour / 2);
        Ok::<_, String>(Some(text("v")))
    };
    cache.get_or_load("l", &options, slow).await.unwrap();
    for _ in 0..200 {
        let tries = tries.clone();
        let fails = move || async move {
            tries.pass().await;
            Err::<Option<Bytes>, _>("no")
        };
        cache.get_or_load("l", &options, fails).await.unwrap();
        while cache.loads() > 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(tries.count(), 1, "it is left alone for a while");
}

#[tokio::test]
async fn t_ca_6_what_is_not_used_goes() {
    let world = World::new();
    let cache = world.cache(Bench::options(), None);
    let second = Duration::from_secs(1);
    for number in 0..50_000 {
        let tags = Tags::new([format!("t{number}")]).unwrap();
        let options = SetOptions::default().ttl(second).tags(tags);
        cache
            .set(&format!("k{number}"), text("v"), &options)
            .await
            .unwrap();
    }
    assert_eq!(world.store.count(), 100_001);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.store.count(), 0);
}

#[tokio::test]
async fn the_store_is_bounded() {
    let clock = VirtualClock::new();
    let store = MemoryCacheStore::new(Arc::new(clock), 10);
    let cache = Cache::builder(Arc::new(store.clone()), Namespace::new("things").unwrap());
    let cache = cache.build().unwrap();
    for number in 0..100 {
        cache
            .set(&number.to_string(), text("v"), &SetOptions::default())
            .await
            .unwrap();
        cache.get("0", Tags::NONE).await.unwrap();
    }
    assert_eq!(store.count(), 11, "ten values and an epoch");
    assert!(
        cache.get("0", Tags::NONE).await.unwrap().is_hit(),
        "it is used all the time"
    );
    assert!(cache.get("50", Tags::NONE).await.unwrap().is_miss());
}

#[tokio::test]
async fn n_ca_11_two_levels_count_once() {
    let world = World::new();
    let log = Arc::new(MemoryEventStore::new(Arc::new(world.clock.clone())));
    let events = Events::builder(log)
        .clock(Arc::new(world.clock.clone()))
        .build()
        .unwrap();
    let cache = world.cache(Bench::options().l1_capacity(9), Some(events));
    while !cache.uses_local() {
        tokio::task::yield_now().await;
    }
    cache
        .set("k", text("v"), &SetOptions::default())
        .await
        .unwrap();
    for _ in 0..3 {
        cache.get("k", Tags::NONE).await.unwrap();
    }
    cache
        .get_or_load("k", &LoadOptions::default(), loader("w"))
        .await
        .unwrap();
    assert_eq!(cache.kept_here(), 1);
    let told: Vec<_> = world
        .told
        .take()
        .into_iter()
        .map(|(_, what, how)| (what, how))
        .collect();
    let gets = [("get", "hit"); 3];
    let expected = [&[("set", "stored")][..], &gets, &[("get_or_load", "hit")]].concat();
    assert_eq!(told, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_secret_is_shown(secret in "[a-z]{12,40}", failing in 0_u8..8) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let shown = runtime.block_on(async {
            let world = World::new();
            let options = Bench::options().max_value_bytes(20).consistency(Consistency::Eventual);
            let cache = world.cache(options, None);
            for (bit, operation) in ["cache.read", "cache.set", "cache.delete"].iter().enumerate() {
                if failing >> bit & 1 == 1 {
                    world.store.faults().fail_next(operation, Fault::After);
                }
            }
            let tags = Tags::new([&secret]).unwrap();
            let with = SetOptions::default().tags(tags.clone());
            let (its, value) = (secret.clone(), text(&secret));
            let fails = || async move { Err::<Option<Bytes>, _>(its) };
            let mut shown = vec![
                format!("{:?}", cache.set(&secret, value.clone(), &with).await),
                format!("{:?}", cache.get(&secret, &tags).await),
                format!("{:?}", cache.get_or_load(&secret, &with, fails).await),
                format!("{:?}", cache.delete(&secret).await),
                format!("{:?}", cache.invalidate_tags(&tags).await),
                format!("{cache:?} {with:?} {:?}", world.store),
            ];
            let event = Event::new("kind", value).unwrap();
            shown.push(format!("{event:?}"));
            for (_, what, how) in world.told.take() {
                shown.push(format!("{what} {how}"));
            }
            shown
        });
        for text in shown {
            prop_assert!(!text.contains(&secret), "{text}");
        }
    }
}
