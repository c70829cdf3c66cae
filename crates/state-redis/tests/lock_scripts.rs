//! What the scripts of locks touch, and what they leave.

mod support;

use std::time::Duration;

use bytes::Bytes;
use redis_harness::{Monitor, Server};
use state_core::lock::{Fence, Hold, LockStore as _, Mode, Realm, Target, Token};
use state_redis::lock::{RedisLockOptions, RedisLocks};

use crate::support::{check_keys, client, server};

const TTL: Duration = Duration::from_secs(60);

fn targets() -> Vec<Target> {
    let one = |realm, mode| Target::one(realm, mode, "a:b {c}").expect("a name");
    vec![
        one(Realm::Lock, Mode::Exclusive),
        one(Realm::Leader, Mode::Exclusive),
        one(Realm::Lock, Mode::Write),
        one(Realm::Lock, Mode::Read),
        one(Realm::Lock, Mode::Permit { of: 1 }),
        Target::many("a scope", ["x", "y", "z:{}"]).expect("names"),
    ]
}

/// Every script in every of its outcomes, with something left behind. Before each call the server
/// forgets its scripts if asked to.
async fn exercise(store: &RedisLocks, forget: Option<&Server>) {
    let between = async || {
        if let Some(server) = forget {
            let mut connection = server.connection().await;
            let flush = redis_client::redis::cmd("SCRIPT").arg("FLUSH").to_owned();
            flush.exec_async(&mut connection).await.expect("flushed");
        }
    };
    for target in targets() {
        let [first, second] = [1, 2].map(|holder| Hold {
            target: target.clone(),
            token: Token::from_bytes([holder; 16]),
            ttl: TTL,
        });
        for (hold, waits) in [(&first, false), (&second, true), (&first, true)] {
            between().await;
            store.acquire(hold, waits).await.expect("an answer");
        }
        for hold in [&first, &second] {
            between().await;
            store.extend(hold).await.expect("an answer");
        }
        for hold in [&second, &first, &first] {
            between().await;
            store.release(hold).await.expect("an answer");
        }
        between().await;
        store.acquire(&second, false).await.expect("an answer");
        // Leaders guard values under names of locks.
        let target = if target.realm() == Realm::Leader {
            Target::one(Realm::Lock, Mode::Exclusive, target.scope()).expect("a name")
        } else {
            target
        };
        for fence in [2, 1] {
            between().await;
            let value = Bytes::from_static(b"value");
            let set = store.guarded_set(&target, Fence::new(fence), value, TTL);
            set.await.expect("an answer");
        }
        store.guarded_get(&target).await.expect("an answer");
    }
}

#[tokio::test]
async fn scripts_touch_what_they_declare() {
    let server = server().await;
    let client = client(server.url()).await;
    let store = RedisLocks::new(client, RedisLockOptions::default()).expect("options");
    let monitor = Monitor::start(&server).await;
    exercise(&store, None).await;
    let recording = monitor.finish(&server).await;
    let seen = recording.check_scripts(|key| redis_client::slot(key));
    assert!(seen.calls >= 60, "{} calls", seen.calls);
    for command in [
        "SET", "DEL", "PEXPIRE", "ZADD", "ZREM", "HSET", "HDEL", "LPUSH", "LTRIM",
    ] {
        assert!(seen.commands.contains(command), "{command} was never sent");
    }
}

#[tokio::test]
async fn every_key_is_in_the_table_and_ends() {
    let server = server().await;
    let client = client(server.url()).await;
    let store = RedisLocks::new(client.clone(), RedisLockOptions::default()).expect("options");
    exercise(&store, None).await;
    let waiting = |mode, holder| Hold {
        target: Target::one(Realm::Lock, mode, "claimed").expect("a name"),
        token: Token::from_bytes([holder; 16]),
        ttl: TTL,
    };
    store
        .acquire(&waiting(Mode::Read, 1), false)
        .await
        .expect("an answer");
    store
        .acquire(&waiting(Mode::Write, 2), true)
        .await
        .expect("an answer");
    let seen = check_keys(&server, client.key_prefix().as_str()).await;
    let missing: Vec<_> = state_redis::KEYS
        .iter()
        .flat_map(|rows| rows.iter())
        .filter(|row| row.owner == "lock" && !seen.contains(row.pattern))
        .collect();
    assert!(missing.is_empty(), "never written: {missing:?}");
}

#[tokio::test]
async fn forgotten_scripts_change_nothing() {
    let server = server().await;
    let client = client(server.url()).await;
    let store = RedisLocks::new(client, RedisLockOptions::default()).expect("options");
    exercise(&store, Some(&server)).await;
}
