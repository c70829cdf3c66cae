//! Servers that end without a word: what they acknowledged is there when they come back.

mod support;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use governance_core::{GovernedCommit as _, RequestStore as _, StateStore as _, StateVersion};
use governance_redis::{Durability, RedisStore, RedisStoreOptions, Strictness};
use governance_testkit::fixtures::SeededIds;
use redis_client::redis;
use redis_harness::{Persistence, Server, poll_until};

use crate::support::{
    load::{Life, check, lives},
    open, options, server,
};

fn durable() -> RedisStoreOptions {
    options().durability(Durability::FsyncAlways, Strictness::Refuse)
}

/// How many writes the server has taken.
async fn writes(store: &RedisStore) -> Option<u64> {
    let stats = store.stats().await.ok()?;
    Some(stats.partitions().iter().map(|p| p.writes).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_again_and_again_under_load_loses_nothing() {
    const WRITERS: u64 = 4;
    const WRITES: u64 = 40;
    let mut server = server(Persistence::AppendAlways).await;
    let options = durable().partitions(2);
    let store = open(server.url(), &options).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for seed in 1..=WRITERS {
        let store = open(server.url(), &options).await;
        writers.push(tokio::spawn(lives(
            store,
            seed,
            usize::MAX,
            Arc::clone(&stop),
        )));
    }
    for _ in 0..5 {
        let before = writes(&store).await.expect("a server");
        poll_until("writes", async || {
            (writes(&store).await? >= before + WRITES).then_some(())
        })
        .await;
        server.kill();
        server.restart().await;
    }
    stop.store(true, Ordering::Release);
    let mut lived = Vec::new();
    for writer in writers {
        lived.extend(writer.await.expect("a writer"));
    }
    // Three writes of the journal make a life.
    assert!(lived.len() as u64 > 5 * WRITES / 4, "{}", lived.len());
    for store in [&store, &open(server.url(), &options).await] {
        check(store, &lived).await;
    }
}

/// The log of a server, the part that is written to.
async fn log(server: &Server) -> PathBuf {
    let mut dir = redis::cmd("CONFIG");
    dir.arg("GET").arg("dir");
    let dir: Vec<String> = dir
        .query_async(&mut server.connection().await)
        .await
        .expect("a directory");
    let folder = PathBuf::from(&dir[1]).join("appendonlydir");
    let mut files = fs::read_dir(folder).expect("the log");
    files
        .find_map(|file| {
            let path = file.expect("a file").path();
            path.to_string_lossy()
                .ends_with(".incr.aof")
                .then_some(path)
        })
        .expect("a log that is written to")
}

#[tokio::test]
async fn a_log_that_ends_anywhere_in_the_last_write_has_all_of_it_or_nothing() {
    let mut server = server(Persistence::AppendAlways).await;
    let options = durable();
    let store = open(server.url(), &options).await;
    let ids = SeededIds::new(1);
    let (first, life) = (Life::new(&ids, "first"), Life::new(&ids, "second"));
    first.live(&store).await;
    store.save(&life.state).await.unwrap();
    store.create(Arc::clone(&life.created)).await.unwrap();
    let vote = Arc::clone(&life.approved);
    store
        .try_store(vote, life.created.revision())
        .await
        .unwrap();
    let log = log(&server).await;
    let before = fs::metadata(&log).unwrap().len();
    store.commit(&life.commit).await.unwrap();
    drop(store);
    server.kill();
    let whole = fs::read(&log).unwrap();
    let after = whole.len() as u64;
    assert!(after > before + 1_000, "{before} to {after}");
    // A prime, so that cuts fall anywhere in commands and what they say; and both ends.
    let inner = (before..after).step_by(127);
    let ends = [before + 1, before + 2, after - 2, after - 1, after];
    for length in inner.chain(ends) {
        server.kill();
        fs::write(&log, &whole[..usize::try_from(length).unwrap()]).unwrap();
        server.restart().await;
        let store = open(server.url(), &options).await;
        let report = store.verify().await.unwrap();
        assert!(report.is_clean(), "{length} of {after}: {report:?}");
        let is_done = length == after;
        let stored = store.get(life.id()).await.unwrap();
        let expected = if is_done { life.done() } else { &life.approved };
        assert_eq!(stored.as_ref(), Some(expected), "{length} of {after}");
        let state = store.load(&life.state.scope).await.unwrap();
        let version = StateVersion::new(1 + u64::from(is_done));
        assert_eq!(state.version, version, "{length} of {after}");
        // And it goes on from there.
        store.commit(&life.commit).await.unwrap();
        let lived = [&first, &life].map(|life| Arc::clone(life.done()));
        for done in lived {
            assert_eq!(store.get(done.id()).await.unwrap(), Some(done));
        }
        assert!(store.verify().await.unwrap().is_clean());
    }
}
