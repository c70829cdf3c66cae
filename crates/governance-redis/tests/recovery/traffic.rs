//! Damage that comes while the store is in use, and is found and repaired while it goes on.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use governance_core::{
    PageRequest, RequestQueries as _, RequestQuery, RequestStore as _, StoreErrorKind,
};
use governance_redis::{FindingKind, RedisStore};
use governance_testkit::fixtures::SeededIds;
use redis_client::redis;
use redis_harness::{Persistence, Server};

use crate::support::{
    load::{Life, lives},
    open, options, server,
};

async fn keys(server: &Server, pattern: &str) -> Vec<Vec<u8>> {
    let mut keys = redis::cmd("KEYS");
    keys.arg(pattern);
    keys.query_async(&mut server.connection().await)
        .await
        .unwrap()
}

async fn run(server: &Server, words: &[&[u8]]) {
    let text = std::str::from_utf8(words[0]).unwrap();
    let mut command = redis::cmd(text);
    command.arg(&words[1..]);
    command
        .exec_async(&mut server.connection().await)
        .await
        .unwrap();
}

/// Everything that is listed, and what could not be read.
async fn listed(store: &RedisStore) -> (usize, Vec<String>) {
    let (mut items, mut bad) = (0, Vec::new());
    let mut page = PageRequest::first(50).unwrap();
    loop {
        let query = RequestQuery::all_tenants();
        let found = store.requests(&query, &page).await.unwrap();
        items += found.items.len();
        bad.extend(found.undecodable.into_iter().map(|bad| bad.id));
        match found.next {
            Some(next) => page = page.after(next),
            None => return (items, bad),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_under_traffic_is_found_told_and_repaired() {
    let server = server(Persistence::None).await;
    let options = options();
    let store = open(server.url(), &options).await;
    let ids = SeededIds::new(1);
    let bad = Life::new(&ids, "bad");
    store.create(Arc::clone(&bad.created)).await.unwrap();
    let record = keys(&server, "*:r:*").await.remove(0);
    let waiting = Life::new(&ids, "waiting");
    store.create(Arc::clone(&waiting.created)).await.unwrap();
    let inbox = keys(&server, "*:q1:u:bob").await.remove(0);

    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for seed in [11, 12] {
        let store = open(server.url(), &options).await;
        writers.push(tokio::spawn(lives(store, seed, 150, Arc::clone(&stop))));
    }
    // A document is damaged, an index entry is gone, one leads to nobody, and a key is a stranger's.
    run(&server, &[b"SETRANGE", &record, b"400", b"damage"]).await;
    run(&server, &[b"ZPOPMIN", &inbox, b"2"]).await;
    let executed = keys(&server, "*:b1:status:pending:0").await.remove(0);
    run(&server, &[b"SETBIT", &executed, b"60000", b"1"]).await;
    let foreign = [&record[..record.len() - 3], b"foreign"].concat();
    run(&server, &[b"SET", &foreign, b"something else"]).await;

    let fresh = open(server.url(), &options).await;
    let report = fresh.verify().await.unwrap();
    let kinds: BTreeSet<FindingKind> = report.findings().iter().map(|found| found.kind()).collect();
    for kind in [
        FindingKind::Unreadable,
        FindingKind::Missing,
        FindingKind::Stray,
        FindingKind::Foreign,
    ] {
        assert!(kinds.contains(&kind), "{kind:?}: {report:?}");
    }
    let (items, unread) = listed(&fresh).await;
    assert!(items > 0);
    assert_eq!(unread, [bad.id().to_string()]);
    let error = fresh.get(bad.id()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.to_string().contains(&bad.id().to_string()), "{error}");

    fresh.rebuild().await.unwrap();
    stop.store(true, Ordering::Release);
    let mut lived = Vec::new();
    for writer in writers {
        lived.extend(writer.await.unwrap());
    }
    // What cannot be read cannot be indexed, and a stranger's key is left to the stranger;
    // everything else is right again.
    let report = fresh.verify().await.unwrap();
    for finding in report.findings() {
        let left = [FindingKind::Unreadable, FindingKind::Foreign];
        assert!(left.contains(&finding.kind()), "{finding}");
    }
    let (items, _) = listed(&fresh).await;
    assert_eq!(items, lived.len() + 1);
    for life in &lived {
        let stored = fresh.get(life.id()).await.unwrap();
        assert_eq!(stored.as_ref(), Some(life.done()));
    }
    let queue = RequestQuery::all_tenants().pending();
    let page = PageRequest::first(10).unwrap();
    let found = fresh.requests(&queue, &page).await.unwrap();
    assert_eq!(found.items, [Arc::clone(&waiting.created)]);
}
