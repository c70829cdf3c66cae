//! A server that becomes a replica while a store is in use, and a primary again.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use governance_core::{
    GovernedCommit as _, PageRequest, RequestQueries as _, RequestQuery, RequestStore as _, Retry,
    StateStore as _, StoreError, StoreErrorKind, WriteCertainty,
};
use governance_testkit::fixtures::SeededIds;
use redis_client::redis;
use redis_harness::{Persistence, Server, poll_until};

use crate::support::{
    load::{Life, check, lives, read},
    open, options, server,
};

/// Waits until a server says all of this about its replication.
async fn replication(server: &Server, says: &[&str]) {
    let connection = server.connection().await;
    poll_until("the roles to change", async || {
        let mut ask = redis::cmd("INFO");
        ask.arg("replication");
        let info: String = ask.query_async(&mut connection.clone()).await.ok()?;
        says.iter().all(|says| info.contains(says)).then_some(())
    })
    .await;
}

async fn follow(replica: &Server, primary: &Server) {
    let mut follow = redis::cmd("REPLICAOF");
    follow.arg("127.0.0.1").arg(primary.port());
    let mut admin = replica.connection().await;
    follow.exec_async(&mut admin).await.expect("a replica");
    replication(primary, &["role:master", "state=online"]).await;
}

/// Changes the roles as an operator does who wants to lose nothing.
async fn hand_over(from: &Server, to: &Server) {
    let mut hand_over = redis::cmd("FAILOVER");
    hand_over.arg("TO").arg("127.0.0.1").arg(to.port());
    let mut admin = from.connection().await;
    hand_over.exec_async(&mut admin).await.expect("a hand-over");
    replication(from, &["role:slave", "master_link_status:up"]).await;
    replication(to, &["role:master", "state=online"]).await;
}

/// Nothing was done, it may be repeated, and the text says what to do.
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    let error = answer.expect_err("a replica takes no writes");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    assert_eq!(
        (error.retry(), error.outcome()),
        (Retry::Safe, WriteCertainty::NotApplied),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.contains("read-only replica"), "{text}");
    assert!(text.contains("connect to its master"), "{text}");
}

#[tokio::test]
async fn writes_to_a_server_that_became_a_replica_are_refused_whole_and_reads_go_on() {
    let (ours, other) = (
        server(Persistence::None).await,
        server(Persistence::None).await,
    );
    let options = options();
    let store = open(ours.url(), &options).await;
    let ids = SeededIds::new(1);
    let lived = Life::new(&ids, "lived");
    lived.live(&store).await;
    // One request for every step that is going to be refused.
    let (fresh, voted, stored) = (
        Life::new(&ids, "fresh"),
        Life::new(&ids, "voted"),
        Life::new(&ids, "stored"),
    );
    store.create(Arc::clone(&voted.created)).await.unwrap();
    store.save(&stored.state).await.unwrap();
    store.create(Arc::clone(&stored.created)).await.unwrap();
    let first = stored.created.revision();
    store
        .try_store(Arc::clone(&stored.approved), first)
        .await
        .unwrap();
    follow(&other, &ours).await;
    hand_over(&ours, &other).await;

    assert_refused(store.create(Arc::clone(&fresh.created)).await);
    assert_refused(store.try_store(Arc::clone(&voted.approved), first).await);
    assert_refused(store.commit(&stored.commit).await);
    assert_refused(store.save(&fresh.state).await);
    let done = lived.done();
    assert_refused(store.purge(done.id(), done.revision()).await);

    // What the new primary takes is seen through the replica.
    let there = open(other.url(), &options).await;
    let elsewhere = Life::new(&ids, "elsewhere");
    there.create(Arc::clone(&elsewhere.created)).await.unwrap();
    let mut expected = vec![
        Arc::clone(done),
        Arc::clone(&voted.created),
        Arc::clone(&stored.approved),
        Arc::clone(&elsewhere.created),
    ];
    let page = PageRequest::first(10).unwrap();
    let query = RequestQuery::all_tenants();
    poll_until("the replica to catch up", async || {
        let found = store.requests(&query, &page).await.expect("a page");
        assert!(found.undecodable.is_empty(), "{found:?}");
        assert_eq!(found.items[..3], expected[..3]);
        (found.items == expected).then_some(())
    })
    .await;
    assert_eq!(store.get(fresh.id()).await.unwrap(), None);

    hand_over(&other, &ours).await;
    store.create(Arc::clone(&fresh.created)).await.unwrap();
    store.commit(&stored.commit).await.unwrap();
    expected[2] = Arc::clone(stored.done());
    expected.push(Arc::clone(&fresh.created));
    let found = store.requests(&query, &page).await.unwrap();
    assert_eq!(found.items, expected);
    let report = store.verify().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_change_under_traffic_tear_nothing_and_lose_nothing() {
    let (ours, other) = (
        server(Persistence::None).await,
        server(Persistence::None).await,
    );
    let options = options();
    let store = open(ours.url(), &options).await;
    follow(&other, &ours).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for seed in 1..=4 {
        let writer = open(ours.url(), &options).await;
        writers.push(tokio::spawn(lives(
            writer,
            seed,
            usize::MAX,
            Arc::clone(&stop),
        )));
    }
    let reader = tokio::spawn(read(store.clone(), Arc::clone(&stop)));
    let written = async |more: usize| {
        let page = PageRequest::first(1_000).expect("a page");
        let done = RequestQuery::all_tenants().recent_outcomes();
        poll_until("traffic", async || {
            let found = store.requests(&done, &page).await.ok()?;
            (found.items.len() >= more).then_some(found.items.len())
        })
        .await
    };
    let mut before = written(20).await;
    for _ in 0..2 {
        hand_over(&ours, &other).await;
        hand_over(&other, &ours).await;
        before = written(before + 20).await;
    }
    stop.store(true, Ordering::Release);
    let mut lived = Vec::new();
    for writer in writers {
        lived.extend(writer.await.expect("every life was acknowledged"));
    }
    assert!(reader.await.expect("a reader") > 0);
    check(&store, &lived).await;
}
