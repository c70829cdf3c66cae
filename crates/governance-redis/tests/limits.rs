//! Documents are bounded, and only what ends a request without executing it is let through.

mod support;

use std::sync::Arc;

use governance_core::{
    Act, Commit, Creation, GovernedCommit, RequestStore, StateStore, StateVersion, StateWrite,
    Status, StoreErrorKind, Written,
};
use governance_redis::RedisStore;
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, VirtualClock, actor, approve, cancel, complete, operation, scope,
};
use redis_harness::{Persistence, Server};

use crate::support::{open, options, server};

fn builder() -> RequestBuilder {
    RequestBuilder::new(&SeededIds::new(1), VirtualClock::START)
}

fn act(who: &str, n: u64) -> Act {
    Act::new(&actor(who), VirtualClock::START, operation(n))
}

/// A server, and a store on it that takes documents of so many bytes.
async fn store(limit: usize) -> (Server, RedisStore) {
    let server = server(Persistence::None).await;
    let store = open(server.url(), &options().document_limit(limit)).await;
    (server, store)
}

#[tokio::test]
async fn a_request_has_to_fit() {
    let request = builder().build();
    let (_server, small) = store(request.footprint() - 1).await;
    let error = small.create(Arc::clone(&request)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    let (_server, exact) = store(request.footprint()).await;
    let created = exact.create(request).await.unwrap();
    assert!(matches!(created, Creation::Created));
}

#[tokio::test]
async fn a_request_that_has_no_room_left_can_still_be_ended() {
    let request = builder().asks(["bob", "carol"]).build();
    let (_server, store) = store(request.footprint()).await;
    store.create(Arc::clone(&request)).await.unwrap();
    let voted = approve(&request, act("bob", 1), Default::default());
    let error = store
        .try_store(voted, request.revision())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    let found = store.get(request.id()).await.unwrap();
    assert_eq!(found.as_deref(), Some(&*request));
    let canceled = cancel(&request, act("alice", 2));
    let written = store.try_store(canceled, request.revision()).await.unwrap();
    assert!(matches!(written, Written::Applied));
    let found = store.get(request.id()).await.unwrap().unwrap();
    assert_eq!(found.status(), Status::Canceled);
}

#[tokio::test]
async fn an_execution_has_to_fit_and_leaves_the_state_alone_if_it_does_not() {
    let request = builder().allowed().build();
    let (_server, store) = store(request.footprint()).await;
    store.create(Arc::clone(&request)).await.unwrap();
    let done = complete(
        &request,
        act("deployer", 2),
        StateVersion::ABSENT,
        Vec::new(),
    );
    let alone = store.try_store(Arc::clone(&done), request.revision()).await;
    assert_eq!(alone.unwrap_err().kind(), StoreErrorKind::TooLarge);
    let commit = Commit::of(done, request.revision()).with_state(StateWrite {
        scope: scope("a"),
        expected: StateVersion::ABSENT,
        body: Some("1".into()),
        operation: operation(2),
    });
    let error = store.commit(&commit).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    let found = store.get(request.id()).await.unwrap();
    assert_eq!(found.as_deref(), Some(&*request));
    let state = store.load(&scope("a")).await.unwrap();
    assert_eq!(state.version, StateVersion::ABSENT);
}
