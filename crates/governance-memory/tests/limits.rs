//! Documents of any size are bounded, and what ends a request is let through.

use std::sync::Arc;

use bytes::Bytes;
use governance_core::{
    Act, Creation, GovernedCommit, RequestStore, StateSnapshot, StateStore, StateVersion,
    StateWrite, Status, StoreErrorKind, Written,
};
use governance_memory::MemoryStore;
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, VirtualClock, actor, approve, cancel, operation, scope,
};

fn store(limit: usize) -> MemoryStore {
    MemoryStore::builder()
        .clock(VirtualClock::new())
        .document_limit(limit)
        .build()
}

fn builder() -> RequestBuilder {
    RequestBuilder::new(&SeededIds::new(1), VirtualClock::START)
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_created() {
    let request = builder().build();
    let exact = request.footprint();
    let error = store(exact - 1)
        .create(Arc::clone(&request))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    let created = store(exact).create(request).await.unwrap();
    assert!(matches!(created, Creation::Created));
}

#[tokio::test]
async fn a_request_that_has_no_room_left_can_still_be_ended() {
    let request = builder().asks(["bob", "carol"]).build();
    let store = store(request.footprint());
    store.create(Arc::clone(&request)).await.unwrap();
    let act = |who: &str, n| Act::new(&actor(who), VirtualClock::START, operation(n));
    let voted = approve(&request, act("bob", 1), Default::default());
    let error = store
        .try_store(voted, request.revision())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert_eq!(
        store.get(request.id()).await.unwrap().as_deref(),
        Some(&*request)
    );
    let canceled = cancel(&request, act("alice", 2));
    let written = store.try_store(canceled, request.revision()).await.unwrap();
    assert!(matches!(written, Written::Applied));
    let found = store.get(request.id()).await.unwrap().unwrap();
    assert_eq!(found.status(), Status::Canceled);
}

#[tokio::test]
async fn a_state_that_is_too_large_is_not_written_alone_or_in_a_commit() {
    let request = builder().allowed().build();
    let limit = 100_000;
    let store = store(limit);
    store.create(Arc::clone(&request)).await.unwrap();
    let write = |bytes| StateWrite {
        scope: scope("a"),
        expected: StateVersion::ABSENT,
        body: Some(Bytes::from(vec![0; bytes])),
        operation: operation(1),
    };
    let error = store.save(&write(limit + 1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    let act = Act::new(&actor("deployer"), VirtualClock::START, operation(2));
    let done =
        governance_testkit::fixtures::complete(&request, act, StateVersion::ABSENT, Vec::new());
    let commit = governance_core::Commit::of(done, request.revision());
    let error = store
        .commit(&commit.with_state(write(limit + 1)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    let found = store.get(request.id()).await.unwrap();
    assert_eq!(found.as_deref(), Some(&*request));
    assert_eq!(
        store.load(&scope("a")).await.unwrap(),
        StateSnapshot::ABSENT
    );
    assert_eq!(store.save(&write(limit)).await.unwrap().get(), 1);
}
