//! What caches do on a server in particular.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use redis_client::{Client, CommandEvent, Config, Observer, redis};
use redis_harness::{Monitor, Server};
use state_core::{
    Namespace,
    cache::{
        Cache, CacheOptions, Deleted, Draft, Envelope, Epochs, Invalidated, LoadOptions, Lookup,
        SetOptions, Source, Tags,
    },
};
use state_redis::{KEYS, cache::RedisCacheStore};
use state_testkit::{
    Passage as _, RecordingObserver,
    cache::{Bench, Gate, text},
};

use crate::support::{ServerTime, client, client_with_prefix, server};

fn cache_with(client: &Client, options: CacheOptions) -> (Cache, RecordingObserver) {
    let told = RecordingObserver::new();
    let store = Arc::new(RedisCacheStore::new(client.clone()));
    let cache = Cache::builder(store, Namespace::new("things").unwrap())
        .options(options)
        .observer(Arc::new(told.clone()))
        .build();
    (cache.unwrap(), told)
}

fn cache(client: &Client) -> Cache {
    cache_with(client, Bench::options()).0
}

fn tags(names: &[&str]) -> Tags {
    Tags::new(names).unwrap()
}

#[derive(Debug, Default)]
struct Commands(AtomicU32);

impl Observer for Commands {
    fn command(&self, _: &CommandEvent<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn t_ca_5_a_hit_is_one_trip() {
    let server = server().await;
    let config = support::patient(Config::builder().address(server.url()));
    let config = config.build().unwrap();
    let commands = Arc::new(Commands::default());
    let observer: Arc<dyn Observer> = Arc::<Commands>::clone(&commands);
    let client = Client::connect_observed(config, observer).await.unwrap();
    let cache = cache(&client);
    let options = SetOptions::default().tags(tags(&["a", "b"]));
    let load = async |key: &str| {
        let loaded = cache
            .get_or_load(key, &options, Gate::open().loader("v"))
            .await
            .unwrap();
        loaded.source()
    };
    // So that the server has the scripts and its time is known.
    load("x").await;
    cache.set("x", text("v"), &options).await.unwrap();
    cache.delete("x").await.unwrap();
    cache.invalidate_tags(&tags(&["c"])).await.unwrap();
    let trips = || commands.0.swap(0, Ordering::Relaxed);
    trips();

    cache.get("k", Tags::NONE).await.unwrap();
    assert_eq!(trips(), 1, "a miss");
    assert_eq!(load("k").await, Source::Loaded);
    assert_eq!(trips(), 3, "read, begin, fill");
    assert_eq!(load("k").await, Source::Hit);
    assert_eq!(trips(), 1, "a hit");
    cache.get("k", &options.tags).await.unwrap();
    assert_eq!(trips(), 1, "a hit with its tags named");
    cache.get("k", Tags::NONE).await.unwrap();
    assert_eq!(trips(), 2, "a hit with tags that were not named");
    cache.set("k", text("v"), &options).await.unwrap();
    assert_eq!(trips(), 1, "set");
    let keys: Vec<String> = (0..48).map(|number| number.to_string()).collect();
    let items: Vec<_> = keys.iter().map(|key| (key.as_str(), text("v"))).collect();
    cache.set_many(&items, &options).await.unwrap();
    assert_eq!(trips(), 1, "set_many of a batch");
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    cache.get_many(&keys, &options.tags).await.unwrap();
    assert_eq!(trips(), 1, "get_many of a batch");
    cache.delete_many(&keys).await.unwrap();
    assert_eq!(trips(), 1, "delete_many of a batch");
    cache.delete("k").await.unwrap();
    assert_eq!(trips(), 1, "delete");
    cache.invalidate_tags(&options.tags).await.unwrap();
    assert_eq!(trips(), 1, "invalidate_tags");
    cache.invalidate_namespace().await.unwrap();
    assert_eq!(trips(), 1, "invalidate_namespace");
}

async fn keys(server: &Server) -> Vec<String> {
    let mut connection = server.connection().await;
    redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_stored_is_the_envelope() {
    let server = server().await;
    let client = client_with_prefix(server.url(), "app").await;
    let cache = cache(&client);
    let payload: Bytes = (0..=u8::MAX).collect();
    let with = SetOptions::default().tags(tags(&["b", "a b"])).codec(3);
    cache.set("7/8", payload.clone(), &with).await.unwrap();
    let mut found = keys(&server).await;
    found.sort();
    let expected = [
        "app:cache:{things}:e",
        "app:cache:{things}:t:a%20b",
        "app:cache:{things}:t:b",
        "app:cache:{things}:v:1:7%2F8",
    ];
    assert_eq!(found, expected);
    let mut connection = server.connection().await;
    let mut get = async |key: &str| -> Vec<u8> {
        redis::cmd("GET")
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap()
    };
    let raw: Bytes = get(expected[3]).await.into();
    let envelope = Envelope::open(raw.clone()).unwrap();
    // The script puts it together as this program does.
    let epochs = Epochs {
        namespace: envelope.namespace(),
        tags: envelope.tags().iter().map(|(_, epoch)| *epoch).collect(),
    };
    let draft = Draft::new(Some(&payload), with.tags.as_slice(), 3, Duration::ZERO);
    assert_eq!(draft.seal(envelope.times(), &epochs), raw);
    assert_eq!(raw.len(), 32 + 2 * 8 + 4 + 2 + payload.len());
    assert_eq!(
        get(expected[0]).await,
        envelope.namespace().get().to_string().as_bytes()
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_a_miss_that_is_told() {
    let server = server().await;
    let client = client_with_prefix(server.url(), "app").await;
    let (cache, told) = cache_with(&client, Bench::options());
    let mut connection = server.connection().await;
    for garbage in [
        &b""[..],
        b"x",
        b"\x02 a later version, long enough to have a mark",
        &[1; 31],
    ] {
        let mut set = redis::cmd("SET");
        set.arg("app:cache:{things}:v:1:k")
            .arg(garbage)
            .arg("PX")
            .arg(600_000);
        set.exec_async(&mut connection).await.unwrap();
        let _ = told.take();
        assert_eq!(cache.get("k", Tags::NONE).await.unwrap(), Lookup::Miss);
        let outcomes: Vec<_> = told
            .take()
            .into_iter()
            .map(|(_, what, how)| (what, how))
            .collect();
        assert_eq!(outcomes, [("decode", "undecodable"), ("get", "miss")]);
        let options = LoadOptions::default();
        let loaded = cache
            .get_or_load("k", &options, Gate::open().loader("v"))
            .await
            .unwrap();
        assert_eq!(loaded.source(), Source::Loaded, "it is replaced");
    }
    // An epoch that is not a number is no epoch.
    let mut set = redis::cmd("SET");
    set.arg("app:cache:{things}:e")
        .arg("x")
        .arg("PX")
        .arg(600_000);
    set.exec_async(&mut connection).await.unwrap();
    assert_eq!(cache.get("k", Tags::NONE).await.unwrap(), Lookup::Miss);
}

/// Does everything a cache can do.
async fn everything(cache: &Cache, between: impl AsyncFn()) {
    let options = SetOptions::default().tags(tags(&["a", "b"]));
    cache.set("k", text("v"), &options).await.unwrap();
    between().await;
    cache
        .set_negative("n", &SetOptions::default())
        .await
        .unwrap();
    between().await;
    assert!(cache.get("k", &options.tags).await.unwrap().is_hit());
    between().await;
    let loaded = cache
        .get_or_load("l", &options, Gate::open().loader("v"))
        .await
        .unwrap();
    assert_eq!(loaded.source(), Source::Loaded);
    between().await;
    let fails = || async { Err::<Option<Bytes>, _>("no") };
    cache.get_or_load("f", &options, fails).await.unwrap_err();
    between().await;
    cache
        .set_many(&[("x", text("v")), ("y", text("v"))], &options)
        .await
        .unwrap();
    between().await;
    assert_eq!(cache.delete_many(&["x"]).await.unwrap(), [Deleted::Removed]);
    between().await;
    assert_eq!(
        cache.invalidate_tags(&tags(&["a"])).await.unwrap(),
        Invalidated::Done
    );
    between().await;
    assert!(cache.get("k", &options.tags).await.unwrap().is_miss());
    assert_eq!(
        cache.invalidate_namespace().await.unwrap(),
        Invalidated::Done
    );
    let store = cache
        .get_or_load("z", &options, Gate::open().loader("v"))
        .await
        .unwrap();
    assert_eq!(store.source(), Source::Loaded);
}

#[tokio::test]
async fn scripts_touch_what_they_declare_and_every_key_ends() {
    let server = server().await;
    let client = client_with_prefix(server.url(), "app").await;
    let monitor = Monitor::start(&server).await;
    let cache = cache(&client);
    everything(&cache, async || {}).await;
    let store = RedisCacheStore::new(client.clone());
    let space = Bench::space();
    let minute = Duration::from_secs(60);
    for target in [
        state_core::cache::Target::Namespace,
        state_core::cache::Target::Keys(&["k"]),
        state_core::cache::Target::Tags(tags(&["a"]).as_slice()),
    ] {
        state_core::cache::CacheStore::shorten(&store, &space, target, minute)
            .await
            .unwrap();
    }
    let recording = monitor.finish(&server).await;
    let seen = recording.check_scripts(|key| redis_client::slot(key));
    assert!(seen.calls >= 15, "{} calls", seen.calls);
    for command in [
        "MGET", "GETRANGE", "SET", "PEXPIRE", "UNLINK", "DEL", "TIME",
    ] {
        assert!(seen.commands.contains(command), "{command} was never sent");
    }

    let mut connection = server.connection().await;
    let found = keys(&server).await;
    assert!(found.len() > 6, "{found:?}");
    for key in found {
        let mut pttl = redis::cmd("PTTL");
        let left: i64 = pttl.arg(&key).query_async(&mut connection).await.unwrap();
        assert!(left > 0, "{key} stays for ever");
        let known = KEYS.iter().flat_map(|keys| keys.iter()).any(|row| {
            let start = row.pattern.replace("<namespace>", "things");
            key.starts_with(&format!("app:{}", start.split('<').next().unwrap()))
        });
        assert!(known, "{key} is not in the table of keys");
    }
}

#[tokio::test]
async fn scripts_are_sent_again_after_a_flush() {
    let server = server().await;
    let client = client(server.url()).await;
    let flush = async || {
        let mut connection = server.connection().await;
        let mut command = redis::cmd("SCRIPT");
        command
            .arg("FLUSH")
            .exec_async(&mut connection)
            .await
            .unwrap();
    };
    everything(&cache(&client), flush).await;
}

#[tokio::test]
async fn n_ca_7_foreign_keys_are_left_alone() {
    let server = server().await;
    let mut connection = server.connection().await;
    let foreign = [
        "cache",
        "cache:{things}",
        "app2:cache:{things}:v:1:k",
        "app:cache:{thing}:e",
    ];
    for key in foreign {
        redis::cmd("SET")
            .arg(key)
            .arg("foreign")
            .exec_async(&mut connection)
            .await
            .unwrap();
    }
    let client = client_with_prefix(server.url(), "app").await;
    everything(&cache(&client), async || {}).await;
    for key in foreign {
        let there: String = redis::cmd("GET")
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(there, "foreign", "{key}");
    }
}

#[tokio::test]
async fn t_ca_6_t_x_2_random_tags_leave_nothing() {
    let server = server().await;
    let client = client(server.url()).await;
    let options = Bench::options().stale_window(Duration::ZERO);
    let cache = cache_with(&client, options).0;
    let ttl = Duration::from_millis(20);
    for number in 0..2_000 {
        let tags = tags(&[&format!("t{number}"), &format!("u{number}")]);
        let options = SetOptions::default().ttl(ttl).tags(tags);
        cache
            .set(&format!("k{number}"), text("v"), &options)
            .await
            .unwrap();
    }
    // Epochs live for a second more than the values.
    ServerTime(client).pass(Duration::from_millis(1_100)).await;
    assert_eq!(keys(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn t_ca_4_lost_epochs_revive_nothing() {
    let server = server().await;
    let client = client_with_prefix(server.url(), "app").await;
    let cache = cache(&client);
    let with = SetOptions::default().tags(tags(&["t"]));
    let mut connection = server.connection().await;
    for lost in [
        &["app:cache:{things}:e"][..],
        &["app:cache:{things}:t:t"],
        &["app:cache:{things}:e", "app:cache:{things}:t:t"],
    ] {
        cache.set("k", text("old"), &with).await.unwrap();
        cache.invalidate_tags(&with.tags).await.unwrap();
        redis::cmd("DEL")
            .arg(lost)
            .exec_async(&mut connection)
            .await
            .unwrap();
        assert!(cache.get("k", &with.tags).await.unwrap().is_miss());
        cache.set("other", text("v"), &with).await.unwrap();
        assert!(cache.get("k", &with.tags).await.unwrap().is_miss());
        // A load that began before does not store what it has.
        let gate = Gate::closed();
        let load = cache.get_or_load("l", &with, gate.loader("old"));
        let lose = async {
            gate.came(1).await;
            redis::cmd("DEL")
                .arg(lost)
                .exec_async(&mut connection)
                .await
                .unwrap();
            gate.let_in();
        };
        let (loaded, ()) = tokio::join!(load, lose);
        assert_eq!(loaded.unwrap().source(), Source::Uncached);
        assert!(cache.get("l", &with.tags).await.unwrap().is_miss());
    }
}
