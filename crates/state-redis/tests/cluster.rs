//! What caches and events do with the nodes of a cluster.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use redis_harness::Cluster;
use state_core::{
    Namespace,
    cache::{Cache, Deleted, Lookup, SetOptions, Tags},
    event::{Event, Events, SubscribeOptions},
};
use state_redis::{cache::RedisCacheStore, event::RedisEventStore};
use state_testkit::event::Recorder;

use crate::support::client_of;

#[test]
fn topics_are_on_any_node_of_a_cluster() {
    state_testkit::suite::run(async {
        let cluster = Cluster::start(3, 0).await;
        let client = client_of(&cluster).await;
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
        let client = client_of(&cluster).await;
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
