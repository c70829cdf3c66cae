//! The same calls have the same answers in memory and on a server.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

mod support;

use std::{sync::Arc, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use state_core::{
    Namespace,
    cache::{Cache, CacheStore, LoadOptions, SetOptions, Tags},
};
use state_memory::cache::MemoryCacheStore;
use state_redis::cache::RedisCacheStore;
use state_testkit::cache::{Bench, Gate, text};

use crate::support::{client, server};

#[derive(Debug, Clone)]
enum Step {
    Set(u8, u8),
    SetNegative(u8, u8),
    SetMany(u8, u8),
    Get(u8, u8),
    GetMany(u8),
    Load(u8, u8),
    LoadNothing(u8),
    Delete(u8),
    DeleteMany(u8),
    InvalidateTags(u8),
    InvalidateNamespace,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, tags) = (|| 0_u8..4, || 0_u8..8);
    prop_oneof![
        3 => (key(), tags()).prop_map(|(key, tags)| Step::Set(key, tags)),
        1 => (key(), tags()).prop_map(|(key, tags)| Step::SetNegative(key, tags)),
        1 => (key(), tags()).prop_map(|(key, tags)| Step::SetMany(key, tags)),
        4 => (key(), tags()).prop_map(|(key, tags)| Step::Get(key, tags)),
        1 => tags().prop_map(Step::GetMany),
        3 => (key(), tags()).prop_map(|(key, tags)| Step::Load(key, tags)),
        1 => key().prop_map(Step::LoadNothing),
        2 => key().prop_map(Step::Delete),
        1 => key().prop_map(Step::DeleteMany),
        2 => tags().prop_map(Step::InvalidateTags),
        1 => Just(Step::InvalidateNamespace),
    ]
}

fn tags(bits: u8) -> Tags {
    Tags::new(
        (0..3)
            .filter(|bit| bits >> bit & 1 == 1)
            .map(|bit| format!("t{bit}")),
    )
    .unwrap()
}

async fn answer(cache: &Cache, number: usize, step: &Step) -> String {
    let key = |key: u8| format!("k/{key}");
    let value = || text(&number.to_string());
    // How old a value is has no part in it.
    let show = |found: &state_core::cache::Lookup| match found {
        state_core::cache::Lookup::Hit(hit) => format!("{:?}", hit.value()),
        other => format!("{other:?}"),
    };
    match *step {
        Step::Set(at, bits) => {
            let options = SetOptions::default().tags(tags(bits));
            format!(
                "{:?}",
                cache.set(&key(at), value(), &options).await.unwrap()
            )
        }
        Step::SetNegative(at, bits) => {
            let options = SetOptions::default().tags(tags(bits));
            format!(
                "{:?}",
                cache.set_negative(&key(at), &options).await.unwrap()
            )
        }
        Step::SetMany(at, bits) => {
            let options = SetOptions::default().tags(tags(bits));
            let (one, two) = (key(at), key(at + 1));
            let items = [(one.as_str(), value()), (two.as_str(), value())];
            format!("{:?}", cache.set_many(&items, &options).await.unwrap())
        }
        Step::Get(at, bits) => show(&cache.get(&key(at), &tags(bits)).await.unwrap()),
        Step::GetMany(bits) => {
            let found = cache
                .get_many(&["k/0", "k/1", "k/2", "k/9"], &tags(bits))
                .await
                .unwrap();
            found.iter().map(show).collect::<Vec<_>>().join(" ")
        }
        Step::Load(at, bits) => {
            let options = LoadOptions::default().tags(tags(bits));
            let loader = Gate::open().loader(&number.to_string());
            let loaded = cache.get_or_load(&key(at), &options, loader).await.unwrap();
            format!("{:?} {:?}", loaded.source(), loaded.value())
        }
        Step::LoadNothing(at) => {
            let nothing = || async { Ok::<_, String>(None) };
            let options = LoadOptions::default();
            let loaded = cache
                .get_or_load(&key(at), &options, nothing)
                .await
                .unwrap();
            format!("{:?} {:?}", loaded.source(), loaded.value())
        }
        Step::Delete(at) => format!("{:?}", cache.delete(&key(at)).await.unwrap()),
        Step::DeleteMany(at) => {
            let (one, two) = (key(at), key(at + 1));
            format!("{:?}", cache.delete_many(&[&one, &two]).await.unwrap())
        }
        Step::InvalidateTags(bits) => {
            format!("{:?}", cache.invalidate_tags(&tags(bits)).await.unwrap())
        }
        Step::InvalidateNamespace => format!("{:?}", cache.invalidate_namespace().await.unwrap()),
    }
}

fn cache(store: Arc<dyn CacheStore>) -> Cache {
    let options = Bench::options().default_ttl(Duration::from_secs(600));
    let builder = Cache::builder(store, Namespace::new("things").unwrap()).options(options);
    builder.build().unwrap()
}

#[test]
fn memory_and_redis_give_the_same_answers() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(server());
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let steps = prop::collection::vec(step(), 1..60);
    let result = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let redis = cache(Arc::new(RedisCacheStore::new(client(server.url()).await)));
            let memory = cache(Arc::new(MemoryCacheStore::default()));
            for (number, step) in steps.iter().enumerate() {
                let expected = answer(&memory, number, step).await;
                let found = answer(&redis, number, step).await;
                prop_assert_eq!(found, expected, "{} {:?}", number, step);
            }
            Ok(())
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
