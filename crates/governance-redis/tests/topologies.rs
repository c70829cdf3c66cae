//! What only a cluster or Sentinel can do: slots that move, masters that are deposed.

mod support;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use governance_core::{Clock as _, RequestStore as _};
use governance_redis::RedisStore;
use governance_testkit::fixtures::{RequestBuilder, SeededIds};
use redis_client::redis;
use redis_harness::{Cluster, Sentinel, Server};
use tokio::task::JoinHandle;

use crate::support::{
    load::{Life, check, lives, read},
    options,
    topology::{On, at_cluster, at_sentinel, store_at},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_a_cluster_is_checked_and_built_anew() {
    let store = store_at(On::Cluster(16).config().await, &options().partitions(16)).await;
    let ids = SeededIds::new(1);
    let begin = store.now().await.unwrap();
    for i in 0..40 {
        let request = RequestBuilder::new(&ids, begin).state(&format!("state-{i}"));
        store.create(request.build()).await.unwrap();
    }
    assert!(store.verify().await.unwrap().is_clean());
    assert_eq!(store.rebuild().await.unwrap().requests(), 40);
    assert!(store.verify().await.unwrap().is_clean());
    assert_eq!(store.stats().await.unwrap().requests(), 40);
}

/// Keys of a slot that a node has.
async fn keys_in(node: &Server, slot: u16) -> Vec<String> {
    let mut keys = redis::cmd("CLUSTER");
    keys.arg("GETKEYSINSLOT").arg(slot).arg(1_000);
    keys.query_async(&mut node.connection().await)
        .await
        .expect("the keys of a slot")
}

/// The slots of the store's partitions.
async fn slots(cluster: &Cluster, prefix: &str) -> BTreeSet<u16> {
    let mut slots = BTreeSet::new();
    for node in &cluster.nodes()[..cluster.primary_count()] {
        let mut keys = redis::cmd("KEYS");
        keys.arg(format!("{prefix}:{{*"));
        let keys: Vec<String> = keys
            .query_async(&mut node.connection().await)
            .await
            .expect("the keys of a node");
        slots.extend(keys.iter().map(redis_client::slot));
    }
    slots
}

struct Traffic {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Vec<Life>>>,
    readers: Vec<JoinHandle<u64>>,
}

impl Traffic {
    fn begin(stores: &[RedisStore]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seeds = stores.iter().zip(1..);
        let writers = seeds.map(|(store, seed)| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(lives(store, seed, usize::MAX, stop))
        });
        let readers = stores.iter().map(|store| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(read(store, stop))
        });
        Self {
            writers: writers.collect(),
            readers: readers.collect(),
            stop,
        }
    }

    async fn end(self) -> Vec<Life> {
        self.stop.store(true, Ordering::Release);
        let mut all = Vec::new();
        for writer in self.writers {
            let lived = writer.await.expect("a writer");
            assert!(!lived.is_empty());
            all.extend(lived);
        }
        for reader in self.readers {
            assert!(reader.await.expect("a reader") > 0);
        }
        all
    }
}

/// Moves a slot key by key, while others write into it.
async fn move_under_load(cluster: &Cluster, slot: u16) {
    let from = cluster.owner(slot).await;
    let to = (from + 1) % cluster.primary_count();
    cluster.begin_move(slot, to).await;
    // What is written meanwhile may make new keys: until none is left.
    loop {
        let keys = keys_in(&cluster.nodes()[from], slot).await;
        if keys.is_empty() {
            break;
        }
        for key in keys {
            cluster.move_key(&key, from, to).await;
        }
    }
    cluster.end_move(slot, from, to).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_under_load_tear_and_lose_nothing() {
    let cluster = Cluster::start(3, 0).await;
    let options = options().key_prefix("moving").partitions(4);
    let stores = [
        store_at(at_cluster(&cluster), &options).await,
        store_at(at_cluster(&cluster), &options).await,
    ];
    let slots = slots(&cluster, "moving").await;
    assert_eq!(slots.len(), 4);
    let traffic = Traffic::begin(&stores);
    // Every partition moves, and moves on.
    for _ in 0..2 {
        for slot in &slots {
            move_under_load(&cluster, *slot).await;
        }
    }
    let lived = traffic.end().await;
    for store in &stores {
        check(store, &lived).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_stays_half_moved_is_read_whole_and_written_when_it_is_through() {
    let cluster = Cluster::start(2, 0).await;
    let options = options().key_prefix("half");
    let store = store_at(at_cluster(&cluster), &options).await;
    let ids = SeededIds::new(7);
    let (first, second) = (Life::new(&ids, "first"), Life::new(&ids, "second"));
    first.live(&store).await;
    let slot = *slots(&cluster, "half").await.first().expect("a slot");
    let from = cluster.owner(slot).await;
    let to = 1 - from;
    cluster.begin_move(slot, to).await;
    let keys = keys_in(&cluster.nodes()[from], slot).await;
    let (moved, left) = keys.split_at(keys.len() / 2);
    for key in moved {
        cluster.move_key(key, from, to).await;
    }
    // One key is found on either side; a write needs keys of both, and changes nothing.
    assert_eq!(
        store.get(first.id()).await.unwrap().as_ref(),
        Some(first.done())
    );
    let error = store.create(Arc::clone(&second.created)).await.unwrap_err();
    assert_eq!(
        (error.outcome(), error.retry()),
        (
            governance_core::WriteCertainty::NotApplied,
            governance_core::Retry::Safe
        ),
        "{error:?}"
    );
    for key in left {
        cluster.move_key(key, from, to).await;
    }
    cluster.end_move(slot, from, to).await;
    assert_eq!(store.get(second.id()).await.unwrap(), None);
    second.live(&store).await;
    check(&store, &[first, second]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_handle_goes_on_behind_sentinel_after_a_failover() {
    let sentinel = Sentinel::start().await;
    let store = store_at(at_sentinel(&sentinel), &options()).await;
    let ids = SeededIds::new(1);
    let (first, second) = (Life::new(&ids, "first"), Life::new(&ids, "second"));
    first.live(&store).await;
    sentinel.until_replicated().await;
    sentinel.fail_over().await;
    second.live(&store).await;
    check(&store, &[first, second]).await;
}
