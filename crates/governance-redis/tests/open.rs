//! Opening a store: what is agreed on, what is refused, and what is warned of.

mod support;

use governance_core::Clock as _;
use governance_redis::{Durability, OpenError, RedisStore, RedisStoreOptions, Strictness};
use governance_testkit::fixtures::VirtualClock;
use redis_client::redis;
use redis_harness::{Options, Persistence, Server};

use crate::support::{client, open, options, server};

async fn refused(server: &Server, options: RedisStoreOptions) -> OpenError {
    let client = client(server.url()).await;
    RedisStore::connect(client, options)
        .await
        .expect_err("a store that is refused")
}

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let server = server(Persistence::None).await;
    let options = options();
    open(server.url(), &options.clone().partitions(4)).await;
    open(server.url(), &options.clone().partitions(4)).await;
    let error = refused(&server, options.clone().partitions(8)).await;
    assert!(
        matches!(
            error,
            OpenError::OtherPartitions {
                stored: 4,
                wanted: 8
            }
        ),
        "{error:?}"
    );
    assert_eq!(error.code(), "open.other_partitions");
    for partitions in [0, 3, 512] {
        let error = refused(&server, options.clone().partitions(partitions)).await;
        assert_eq!(error.code(), "open.invalid_partitions");
    }
}

#[tokio::test]
async fn another_layout_and_foreign_keys_are_refused() {
    let server = server(Persistence::None).await;
    let mut admin = server.connection().await;
    for (text, code) in [
        (r#"{"layout":9}"#, "open.other_layout"),
        ("hello", "open.no_layout"),
    ] {
        let options = RedisStoreOptions::default().key_prefix(code.replace('.', "-"));
        let key = format!("{}:layout", code.replace('.', "-"));
        redis::cmd("SET")
            .arg(&key)
            .arg(text)
            .exec_async(&mut admin)
            .await
            .unwrap();
        assert_eq!(refused(&server, options).await.code(), code);
        let kept: String = redis::cmd("GET")
            .arg(&key)
            .query_async(&mut admin)
            .await
            .unwrap();
        assert_eq!(kept, text);
    }
    let error = refused(&server, RedisStoreOptions::default().key_prefix("a{b}")).await;
    assert_eq!(error.code(), "open.invalid_prefix");
    let text = error.to_string();
    assert!(text.starts_with("the key prefix has a character"), "{text}");
}

#[tokio::test]
async fn what_the_server_cannot_keep_is_told() {
    let evicting = Options::default().setting("maxmemory-policy", "allkeys-lru");
    let evicting = Server::start_with(evicting).await;
    let warned = options().durability(Durability::Memory, Strictness::Warn);
    let store = open(evicting.url(), &warned).await;
    let codes: Vec<_> = store
        .warnings()
        .iter()
        .map(|warning| warning.code())
        .collect();
    assert_eq!(codes, ["durability.eviction"]);
    assert_eq!(
        refused(&evicting, options()).await.code(),
        "open.not_durable"
    );

    let every_second = server(Persistence::AppendEverySecond).await;
    let strict = |tier| options().durability(tier, Strictness::Refuse);
    open(every_second.url(), &strict(Durability::Fsync1s)).await;
    let error = refused(&every_second, strict(Durability::FsyncAlways)).await;
    assert!(error.to_string().contains("appendfsync"), "{error}");
    let nothing = server(Persistence::None).await;
    let error = refused(&nothing, strict(Durability::Fsync1s)).await;
    assert!(error.to_string().contains("appendonly"), "{error}");
    let replicated = Durability::Replicated {
        replicas: 1,
        wait: std::time::Duration::from_millis(100),
    };
    let error = refused(&nothing, strict(replicated)).await;
    assert!(error.to_string().contains("replicas"), "{error}");
}

#[tokio::test]
async fn a_read_only_replica_is_refused() {
    let primary = server(Persistence::None).await;
    let replica = server(Persistence::None).await;
    let mut admin = replica.connection().await;
    let mut follow = redis::cmd("REPLICAOF");
    follow
        .arg("127.0.0.1")
        .arg(primary.port())
        .exec_async(&mut admin)
        .await
        .unwrap();
    let error = refused(&replica, options()).await;
    assert!(matches!(error, OpenError::ReadOnlyReplica), "{error:?}");
}

#[tokio::test]
async fn one_address_is_enough() {
    let server = server(Persistence::None).await;
    let store = RedisStore::at(server.url()).await.unwrap();
    assert_eq!(store.stats().await.unwrap().requests(), 0);
    let error = RedisStore::at("not an address").await.unwrap_err();
    assert_eq!(error.code(), "open.config");
}

#[tokio::test]
async fn time_is_that_of_the_server_or_of_the_clock_it_was_given() {
    let server = server(Persistence::None).await;
    let options = options();
    let clock = VirtualClock::default();
    let told = open(server.url(), &options.clone().clock(clock.clone())).await;
    let stood = clock.now().await.unwrap();
    assert_eq!(told.now().await.unwrap(), stood);
    clock.advance(std::time::Duration::from_secs(60));
    let moved = clock.now().await.unwrap();
    assert_eq!(told.now().await.unwrap(), moved);
    let mut admin = server.connection().await;
    let mut time =
        async || -> (i64, i64) { redis::cmd("TIME").query_async(&mut admin).await.unwrap() };
    let store = open(server.url(), &options).await;
    let before = time().await;
    let asked = store.now().await.unwrap().as_micros();
    let after = time().await;
    let micros = |(seconds, micros): (i64, i64)| seconds * 1_000_000 + micros;
    assert!((micros(before)..=micros(after)).contains(&asked));
}

#[tokio::test]
async fn who_may_not_is_told_so() {
    let locked = Server::start_with(Options::default().password("right")).await;
    let wrong = format!("redis://:wrong@127.0.0.1:{}", locked.port());
    let config = redis_client::Config::builder().address(wrong);
    let built = redis_client::Client::connect(config.build().unwrap()).await;
    let error = match built {
        Err(error) => error.to_string(),
        Ok(client) => RedisStore::connect(client, options())
            .await
            .expect_err("a store that is refused")
            .to_string(),
    };
    assert!(!error.contains("wrong"), "{error}");

    // A user that may connect and read, but not write.
    let mut admin = locked.connection().await;
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("reader").arg("on").arg(">secret");
    user.arg("~*").arg("&*").arg("+@read").arg("+@connection");
    user.exec_async(&mut admin).await.unwrap();
    let url = format!("redis://reader:secret@127.0.0.1:{}", locked.port());
    let error = RedisStore::connect(client(&url).await, options())
        .await
        .expect_err("a store that is refused");
    assert_eq!(error.code(), "open.client", "{error:?}");
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut admin)
        .await
        .unwrap();
    assert!(keys.is_empty(), "nothing is half set up: {keys:?}");
}
