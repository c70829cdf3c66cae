//! A store that went backwards is told, refuses writes, and goes on once that is accepted.

use std::sync::Arc;

use governance_core::{
    ChangeFeed as _, MutationRequest, PageRequest, RequestQueries as _, RequestQuery,
    RequestStore as _, Retry, StateStore as _, StoreError, StoreErrorKind, WriteCertainty,
};
use governance_redis::{RedisStore, RedisStoreOptions, StoreRegressed};
use governance_testkit::fixtures::SeededIds;
use redis_client::redis;
use redis_harness::{Persistence, Server};

use crate::support::{
    load::{Life, check},
    open, options, server,
};

/// Takes a snapshot and keeps a copy of it.
async fn back_up(server: &Server) {
    let mut connection = server.connection().await;
    redis::cmd("SAVE")
        .exec_async(&mut connection)
        .await
        .unwrap();
    let dir = directory(server).await;
    std::fs::copy(dir.join("dump.rdb"), dir.join("backup.rdb")).unwrap();
}

async fn directory(server: &Server) -> std::path::PathBuf {
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg("dir");
    let told: Vec<String> = get
        .query_async(&mut server.connection().await)
        .await
        .unwrap();
    told[1].clone().into()
}

/// Starts the server again with the copy instead of what it had.
async fn restore(server: &mut Server) {
    let dir = directory(server).await;
    server.kill();
    std::fs::copy(dir.join("backup.rdb"), dir.join("dump.rdb")).unwrap();
    server.restart().await;
}

/// The error of a call, after those that only say that the connection is gone.
async fn refusal<T: std::fmt::Debug>(call: impl AsyncFn() -> Result<T, StoreError>) -> StoreError {
    loop {
        match call().await {
            Ok(done) => panic!("expected an error, but it was done: {done:?}"),
            Err(error) if error.retry() == Retry::Never => return error,
            Err(_) => {}
        }
    }
}

fn is_regressed(error: &StoreError, what: StoreRegressed) {
    assert_eq!(StoreRegressed::of(error), Some(what), "{error:?}");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(
        (error.outcome(), error.retry()),
        (WriteCertainty::NotApplied, Retry::Never)
    );
}

async fn listed(store: &RedisStore) -> Vec<Arc<MutationRequest>> {
    let page = PageRequest::first(100).unwrap();
    loop {
        match store.requests(&RequestQuery::all_tenants(), &page).await {
            Ok(found) => return found.items,
            Err(error) => assert_ne!(error.retry(), Retry::Never, "{error:?}"),
        }
    }
}

async fn two_stores(server: &Server, options: &RedisStoreOptions) -> [RedisStore; 2] {
    [
        open(server.url(), options).await,
        open(server.url(), options).await,
    ]
}

#[tokio::test]
async fn an_older_dump_is_noticed_by_the_next_write_which_changes_nothing() {
    let mut server = server(Persistence::Snapshots).await;
    let options = options();
    let [store, other] = two_stores(&server, &options).await;
    let ids = SeededIds::new(1);
    let [kept, lost, more] = ["kept", "lost", "more"].map(|name| Life::new(&ids, name));
    kept.live(&store).await;
    back_up(&server).await;
    lost.live(&store).await;
    let head = store.head().await.unwrap();
    restore(&mut server).await;

    let error = refusal(async || store.create(Arc::clone(&more.created)).await).await;
    is_regressed(&error, StoreRegressed::Writes);
    assert!(error.to_string().contains("accept"), "{error}");
    assert_eq!(store.regression(), Some(StoreRegressed::Writes));
    // Every other write is refused as well; reads tell what is there.
    let error = store.save(&more.state).await.unwrap_err();
    is_regressed(&error, StoreRegressed::Writes);
    assert_eq!(store.get(lost.id()).await.unwrap(), None);
    assert_eq!(listed(&store).await, [Arc::clone(kept.done())]);
    let error = store.read(Some(&head), 10).await.unwrap_err();
    is_regressed(&error, StoreRegressed::Feed);
    check(&store, std::slice::from_ref(&kept)).await;

    // Who saw nothing of what was lost has nothing to accept.
    more.live(&other).await;
    store.accept_regression().await.unwrap();
    assert_eq!(store.regression(), None);
    lost.live(&store).await;
    check(&store, &[kept, lost, more]).await;
    let head = store.head().await.unwrap();
    assert!(store.read(Some(&head), 10).await.unwrap().events.is_empty());
}

#[tokio::test]
async fn a_lost_change_is_noticed_though_others_have_written_since() {
    let mut server = server(Persistence::Snapshots).await;
    let options = options();
    let [store, other] = two_stores(&server, &options).await;
    let ids = SeededIds::new(2);
    let life = Life::new(&ids, "voted");
    store.create(Arc::clone(&life.created)).await.unwrap();
    back_up(&server).await;
    let first = life.created.revision();
    store
        .try_store(Arc::clone(&life.approved), first)
        .await
        .unwrap();
    let head = store.head().await.unwrap();
    restore(&mut server).await;
    // The counters are beyond what they were when the vote was lost.
    let others: Vec<Life> = (0..3)
        .map(|i| Life::new(&ids, &format!("other-{i}")))
        .collect();
    for life in &others {
        life.live(&other).await;
    }

    let error = refusal(async || store.get(life.id()).await).await;
    is_regressed(&error, StoreRegressed::Request);
    let found = store.get(life.id()).await.unwrap();
    assert_eq!(found.as_ref(), Some(&life.created), "what is there is read");
    let error = store.commit_vote(&life).await.unwrap_err();
    is_regressed(&error, StoreRegressed::Request);
    let error = store.read(Some(&head), 10).await.unwrap_err();
    is_regressed(&error, StoreRegressed::Feed);
    store.accept_regression().await.unwrap();
    store.commit_vote(&life).await.unwrap();
    assert!(store.verify().await.unwrap().is_clean());
}

/// Votes on what is stored in its first revision.
trait Vote {
    async fn commit_vote(&self, life: &Life) -> Result<(), StoreError>;
}

impl Vote for RedisStore {
    async fn commit_vote(&self, life: &Life) -> Result<(), StoreError> {
        let first = life.created.revision();
        self.try_store(Arc::clone(&life.approved), first)
            .await
            .map(drop)
    }
}

#[tokio::test]
async fn an_emptied_server_is_told_and_begins_anew_when_accepted() {
    for partitions in [1, 4] {
        let server = server(Persistence::None).await;
        let options = options().partitions(partitions);
        let [store, other] = two_stores(&server, &options).await;
        let ids = SeededIds::new(3);
        let life = Life::new(&ids, "gone");
        life.live(&store).await;
        let head = store.head().await.unwrap();
        redis::cmd("FLUSHALL")
            .exec_async(&mut server.connection().await)
            .await
            .unwrap();
        let error = store.create(Arc::clone(&life.created)).await.unwrap_err();
        is_regressed(&error, StoreRegressed::LayoutGone);
        // A handle that knows of no write notices that its layout is gone.
        let page = PageRequest::first(10).unwrap();
        let listing = other.requests(&RequestQuery::all_tenants(), &page).await;
        is_regressed(&listing.unwrap_err(), StoreRegressed::LayoutGone);
        let error = store.read(Some(&head), 10).await.unwrap_err();
        is_regressed(&error, StoreRegressed::LayoutGone);
        let error = store.get(life.id()).await.unwrap_err();
        is_regressed(&error, StoreRegressed::LayoutGone);

        // The first one sets the store up again, others find it.
        for store in [&store, &other] {
            store.accept_regression().await.unwrap();
        }
        life.live(&other).await;
        check(&store, &[life]).await;
    }
}

#[tokio::test]
async fn a_store_that_was_emptied_and_set_up_by_others_is_noticed() {
    let server = server(Persistence::None).await;
    let options = options();
    let store = open(server.url(), &options).await;
    let ids = SeededIds::new(4);
    let [gone, next] = ["gone", "next"].map(|name| Life::new(&ids, name));
    gone.live(&store).await;
    redis::cmd("FLUSHALL")
        .exec_async(&mut server.connection().await)
        .await
        .unwrap();
    // The layout and its fence are there again, just as they were.
    let other = open(server.url(), &options).await;
    let error = store.create(Arc::clone(&next.created)).await.unwrap_err();
    is_regressed(&error, StoreRegressed::Writes);
    assert_eq!(other.get(next.id()).await.unwrap(), None);
    assert!(other.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_failover_that_lost_writes_is_noticed() {
    let mut primary = server(Persistence::None).await;
    let replica = server(Persistence::None).await;
    let mut admin = replica.connection().await;
    let port = primary.port().to_string();
    redis::cmd("REPLICAOF")
        .arg("127.0.0.1")
        .arg(&port)
        .exec_async(&mut admin)
        .await
        .unwrap();
    let options = options();
    let proxy = redis_harness::FaultProxy::start(primary.port()).await;
    let store = open(&proxy.url(), &options).await;
    let ids = SeededIds::new(5);
    let [kept, lost, next] = ["kept", "lost", "next"].map(|name| Life::new(&ids, name));
    kept.live(&store).await;
    redis_harness::poll_until("the replica to have it", async || {
        let mut wait = redis::cmd("WAIT");
        let mut connection = primary.connection().await;
        redis::cmd("PUBLISH")
            .arg("x")
            .arg("")
            .exec_async(&mut connection)
            .await
            .ok()?;
        let replicas: u32 = wait
            .arg(1)
            .arg(1_000)
            .query_async(&mut connection)
            .await
            .ok()?;
        (replicas == 1).then_some(())
    })
    .await;
    // Promoted while it is cut off: what comes now is on the old primary only.
    redis::cmd("REPLICAOF")
        .arg("NO")
        .arg("ONE")
        .exec_async(&mut admin)
        .await
        .unwrap();
    lost.live(&store).await;
    primary.kill();
    proxy.redirect(replica.port());
    let error = refusal(async || store.create(Arc::clone(&next.created)).await).await;
    is_regressed(&error, StoreRegressed::Writes);
    store.accept_regression().await.unwrap();
    next.live(&store).await;
    check(&store, &[kept, next]).await;
}
