//! The suites of caches and events on a cluster, one for the whole run.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

mod support;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis_client::{Client, Config};
use redis_harness::{Cluster, unique_prefix};
use state_core::{
    MonotonicClock, Namespace,
    cache::{Cache, Deleted, Lookup, SetOptions, Tags},
    event::{Event, Events, SubscribeOptions},
};
use state_redis::{cache::RedisCacheStore, event::RedisEventStore};
use state_testkit::{cache::Bench, event::Recorder};

use crate::support::{Logs, ServerTime, Severable};

async fn client(cluster: &Cluster) -> Client {
    let mut config = Config::builder()
        .cluster()
        .key_prefix(unique_prefix("state"));
    for url in cluster.urls() {
        config = config.address(url);
    }
    // No case waits for one of these on purpose, and machines can be busy.
    let long = Duration::from_secs(10);
    let config = config.read_timeout(long).write_timeout(long);
    Client::connect(config.build().expect("a configuration"))
        .await
        .expect("a client")
}

#[test]
fn every_case_of_caches_on_a_cluster() {
    state_testkit::suite::run(async {
        let cluster = Cluster::start(3, 0).await;
        let fresh = || async {
            let client = client(&cluster).await;
            let store = RedisCacheStore::new(client.clone());
            let (time, clock) = (ServerTime(client), MonotonicClock::new());
            Bench::new(Arc::new(store), Arc::new(time), Arc::new(clock), ()).rounds(20)
        };
        let failed = state_testkit::cache::run_all(fresh).await;
        assert!(failed.is_empty(), "{failed:?}");
    });
}

#[test]
fn every_case_of_events_on_a_cluster() {
    state_testkit::suite::run(async {
        let cluster = Cluster::start(3, 0).await;
        let fresh = || async {
            let client = client(&cluster).await;
            let far = RedisEventStore::new(client.clone());
            let near = Severable::new(far.clone());
            state_testkit::event::Bench::new(
                (Arc::new(near.clone()), Arc::new(far)),
                Arc::new(RedisCacheStore::new(client.clone())),
                Arc::new(Logs::new(near, client.clone())),
                Arc::new(ServerTime(client)),
                Arc::new(MonotonicClock::new()),
                (),
            )
        };
        let failed = state_testkit::event::run_all(fresh).await;
        assert!(failed.is_empty(), "{failed:?}");
    });
}

#[test]
fn topics_are_on_any_node_of_a_cluster() {
    state_testkit::suite::run(async {
        let cluster = Cluster::start(3, 0).await;
        let client = client(&cluster).await;
        let events = || {
            let store = Arc::new(RedisEventStore::new(client.clone()));
            Events::builder(store).build().unwrap()
        };
        let (here, there) = (events(), events());
        for number in 0..6 {
            let topic = Namespace::new(&format!("news{number}")).unwrap();
            let recorder = Recorder::default();
            let handler = Arc::new(recorder.clone());
            let subscription = there.subscribe(&topic, SubscribeOptions::default(), handler);
            recorder.until_resumed(1).await;
            for kind in ["a", "b"] {
                here.publish(&topic, &Event::new(kind, Bytes::new()).unwrap())
                    .await
                    .unwrap();
            }
            recorder.until_event("b").await;
            assert_eq!(recorder.words(), ["resumed", "a", "b"]);
            subscription.close().await;
        }
    });
}

#[test]
fn n_ca_5_an_invalidation_reaches_every_value_and_counts_are_exact() {
    state_testkit::suite::run(async {
        let cluster = Cluster::start(3, 0).await;
        let client = client(&cluster).await;
        let tags = Tags::new(["t"]).unwrap();
        let options = SetOptions::default().tags(tags.clone());
        for number in 0..6 {
            let store = Arc::new(RedisCacheStore::new(client.clone()));
            let namespace = Namespace::new(&format!("things{number}")).unwrap();
            let cache = Cache::builder(store, namespace).build().unwrap();
            let keys: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
            let items: Vec<_> = keys
                .iter()
                .map(|key| (key.as_str(), Bytes::new()))
                .collect();
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            cache.set_many(&items, &options).await.unwrap();
            cache.invalidate_tags(&tags).await.unwrap();
            let found = cache.get_many(&keys, &tags).await.unwrap();
            assert!(found.iter().all(Lookup::is_miss));
            let deleted = cache.delete_many(&keys).await.unwrap();
            assert_eq!(deleted, vec![Deleted::Removed; 100]);
            let deleted = cache.delete_many(&keys).await.unwrap();
            assert_eq!(deleted, vec![Deleted::Absent; 100]);
        }
    });
}
