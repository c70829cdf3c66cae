//! Damage to the index is found and repaired while the store is in use.

mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use governance_core::{
    Count, IdSource as _, MutationRequest, PageRequest, RequestQueries, RequestQuery, RequestStore,
    Status, Timestamp,
};
use governance_redis::{FindingKind, RedisStore};
use governance_testkit::fixtures::{RequestBuilder, SeededIds, actor, amend_deadline, cancel};
use redis_client::redis;
use redis_harness::{Persistence, Server};

use crate::support::{open, options, polls::polls, server};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

fn act(ids: &SeededIds) -> governance_core::Act {
    governance_core::Act::new(&actor("alice"), NOW, ids.operation_id())
}

async fn fill(store: &RedisStore, ids: &SeededIds, count: usize) -> Vec<Arc<MutationRequest>> {
    let mut requests = Vec::new();
    for i in 0..count {
        let request = RequestBuilder::new(ids, NOW)
            .state(&format!("state-{}", i % 7))
            .key(&format!("{:?}-{i}", ids.operation_id()))
            .expires_in(Duration::from_secs(600))
            .asks(["bob", "carol"])
            .build();
        store.create(Arc::clone(&request)).await.expect("an answer");
        if i % 3 == 0 {
            let canceled = cancel(&request, act(ids));
            store
                .try_store(Arc::clone(&canceled), request.revision())
                .await
                .expect("an answer");
            requests.push(canceled);
        } else {
            requests.push(request);
        }
    }
    requests
}

async fn keys(server: &Server, pattern: &str) -> Vec<String> {
    let mut admin = server.connection().await;
    redis::cmd("KEYS")
        .arg(pattern)
        .query_async(&mut admin)
        .await
        .expect("an answer")
}

#[tokio::test]
async fn a_store_that_was_only_written_to_is_clean() {
    let server = server(Persistence::None).await;
    for partitions in [1, 4] {
        let store = open(server.url(), &options().partitions(partitions)).await;
        let ids = SeededIds::new(u64::from(partitions));
        let requests = fill(&store, &ids, 40).await;
        store
            .purge(requests[0].id(), requests[0].revision())
            .await
            .unwrap();
        let report = store.verify().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.requests(), 39);
        let stats = store.stats().await.unwrap();
        assert_eq!(stats.requests(), 39);
    }
}

#[tokio::test]
async fn keys_of_strangers_are_listed_and_stop_nothing() {
    let server = server(Persistence::None).await;
    for partitions in [1, 4] {
        let store = open(server.url(), &options().partitions(partitions)).await;
        let ids = SeededIds::new(u64::from(partitions) + 10);
        let requests = fill(&store, &ids, 20).await;
        let stats = store.stats().await.unwrap();
        assert_eq!(stats.requests(), 20);
        let mut admin = server.connection().await;
        // Beside a key of the store's, so all are in one partition of this store.
        let record = keys(&server, "*:r:*").await;
        let (partition, _) = record[0].rsplit_once("r:").unwrap();
        let strangers = [
            (format!("{partition}r:foreign"), "string"),
            (format!("{partition}settings"), "string"),
            // As the store spells them, but of another type.
            (format!("{partition}z1:tag:mine"), "string"),
            (format!("{partition}q1:u:nobody"), "string"),
            (format!("{partition}b1:status:failed:0"), "list"),
            (format!("{partition}s:t:k:mine"), "list"),
        ];
        for (key, kind) in &strangers {
            let mut write = redis::cmd(if *kind == "list" { "RPUSH" } else { "SET" });
            write
                .arg(key)
                .arg("x")
                .exec_async(&mut admin)
                .await
                .unwrap();
        }
        let report = store.verify().await.unwrap();
        assert_eq!(report.requests(), 20);
        let mut found: Vec<String> = report
            .findings()
            .iter()
            .inspect(|finding| assert_eq!(finding.kind(), FindingKind::Foreign, "{finding}"))
            .map(|finding| finding.subject().to_owned())
            .collect();
        found.sort();
        let mut wanted: Vec<String> = strangers
            .iter()
            .map(|(key, kind)| format!("{key} ({kind})"))
            .collect();
        wanted.sort();
        assert_eq!(found, wanted);
        // They are in nobody's way, and stay where they are.
        store.rebuild().await.unwrap();
        let stored = store.get(requests[1].id()).await.unwrap();
        assert_eq!(stored.as_deref(), Some(&*requests[1]));
        for (key, _) in &strangers {
            let mut gone = redis::cmd("DEL");
            let gone: bool = gone.arg(key).query_async(&mut admin).await.unwrap();
            assert!(gone, "{key}");
        }
        assert!(store.verify().await.unwrap().is_clean());
        redis::cmd("FLUSHALL").exec_async(&mut admin).await.unwrap();
    }
}

#[tokio::test]
async fn damage_is_found_and_a_rebuild_repairs_it() {
    let server = server(Persistence::None).await;
    let options = options();
    let store = open(server.url(), &options).await;
    let ids = SeededIds::new(1);
    let requests = fill(&store, &ids, 30).await;

    let mut admin = server.connection().await;
    let pending = keys(&server, "*:b1:status:pending:0").await;
    redis::cmd("SETBIT")
        .arg(&pending[0])
        .arg(1)
        .arg(0)
        .exec_async(&mut admin)
        .await
        .unwrap();
    redis::cmd("SETBIT")
        .arg(&pending[0])
        .arg(0)
        .arg(1)
        .exec_async(&mut admin)
        .await
        .unwrap();
    let inbox = keys(&server, "*:q1:u:bob").await;
    redis::cmd("ZPOPMIN")
        .arg(&inbox[0])
        .exec_async(&mut admin)
        .await
        .unwrap();
    let state = keys(&server, "*:z1:state_id:state-1").await;
    redis::cmd("ZADD")
        .arg(&state[0])
        .arg(2)
        .arg(2)
        .exec_async(&mut admin)
        .await
        .unwrap();
    let due = keys(&server, "*:x1:due").await;
    redis::cmd("ZPOPMIN")
        .arg(&due[0])
        .exec_async(&mut admin)
        .await
        .unwrap();

    let report = store.verify().await.unwrap();
    let kinds: Vec<FindingKind> = report.findings().iter().map(|f| f.kind()).collect();
    assert_eq!(report.count(), 5, "{report:?}");
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == FindingKind::Missing)
            .count(),
        3
    );
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == FindingKind::Stray)
            .count(),
        2
    );

    // Another process that knows nothing of it goes on writing.
    let other = open(server.url(), &options).await;
    let writer = async {
        let ids = SeededIds::new(2);
        let mut written = fill(&other, &ids, 60).await;
        for request in written
            .iter_mut()
            .filter(|request| request.status() == Status::Pending)
        {
            let to = NOW.saturating_add(Duration::from_secs(700));
            let next = amend_deadline(request, act(&ids), Some(to));
            other
                .try_store(Arc::clone(&next), request.revision())
                .await
                .unwrap();
            *request = next;
        }
        written
    };
    let (report, written) = tokio::join!(store.rebuild(), writer);
    assert!(report.unwrap().requests() >= 30);
    let report = store.verify().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert!(
        keys(&server, "*:b1:*").await.is_empty(),
        "the old generation is gone"
    );
    assert!(keys(&server, "*:z1:*").await.is_empty());

    for store in [&store, &other] {
        let query = RequestQuery::all_tenants().pending();
        let expected: BTreeSet<_> = requests
            .iter()
            .chain(&written)
            .filter(|request| request.status() == Status::Pending)
            .map(|request| *request.id())
            .collect();
        assert_eq!(
            store.count(&query).await.unwrap(),
            Count::Exact(expected.len() as u64)
        );
        let page = PageRequest::first(1_000).unwrap();
        let found = store.requests(&query, &page).await.unwrap();
        let found: BTreeSet<_> = found.items.iter().map(|request| *request.id()).collect();
        assert_eq!(found, expected);
    }
}

/// The generations there are keys of.
async fn generations(server: &Server) -> BTreeSet<String> {
    let keys = keys(server, "*}:*").await;
    let kinds = keys.iter().filter_map(|key| key.split_once("}:"));
    kinds
        .filter_map(|(_, rest)| {
            let kind = rest
                .split(':')
                .next()?
                .strip_prefix(['b', 'z', 'q', 'x', 'd'])?;
            Some(kind.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn a_rebuild_that_is_broken_off_anywhere_does_no_harm_and_leaves_nothing() {
    let server = server(Persistence::None).await;
    let options = options();
    let store = open(server.url(), &options).await;
    let ids = SeededIds::new(1);
    fill(&store, &ids, 20).await;
    let generation = async || {
        let stats = store.stats().await.expect("an answer");
        stats.partitions()[0].generation
    };
    let (mut most, mut breaks) = (1, 0);
    while generation().await == 1 {
        assert!(polls(store.rebuild(), most).await.is_none());
        breaks += 1;
        // The window in which both are there is short: no step may reach over it.
        most += (1 + most / 8).min(3);
        // Whoever writes keeps what is used right, and what was begun.
        fill(&store, &ids, 1).await;
        let report = store.verify().await.unwrap();
        assert!(report.is_clean(), "{most}: {report:?}");
    }
    assert!(breaks > 10, "{breaks}");
    // The last was broken off when the new index was in use, and the old one was still there.
    let now = generation().await.to_string();
    let left = generations(&server).await;
    assert!(left.contains("1") && left.contains(&now), "{left:?}");
    store.rebuild().await.unwrap();
    let now = generation().await.to_string();
    assert_eq!(generations(&server).await, BTreeSet::from([now]));
    let report = store.verify().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
}
