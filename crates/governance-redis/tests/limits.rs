//! Documents are bounded, and only what ends a request without executing it is let through.

mod support;

use std::sync::Arc;

use governance_core::{
    Act, ApprovalRules, Commit, Creation, GovernedCommit, Membership, RequestStore, Requirement,
    Selector, StateStore, StateVersion, StateWrite, Status, StoreErrorKind, Written,
};
use governance_redis::RedisStore;
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, VirtualClock, actor, actor_id, approve, cancel, complete, group,
    operation, scope,
};
use redis_client::redis;
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

/// Every voter is something more to find a request by, one with each vote.
#[tokio::test]
async fn a_request_many_people_voted_on_is_purged_and_rebuilt() {
    const VOTERS: usize = 150;
    let names: Vec<String> = (0..VOTERS).map(|i| format!("voter-{i}")).collect();
    let seats = |id: &str| {
        let voters = Selector::group(group("voters"));
        Requirement::seats(id, 80, voters).expect("an id")
    };
    let rules = ApprovalRules::new([seats("one"), seats("two")]).expect("rules");
    let mut request = builder().rules(rules).build();
    let (_server, store) = store(4 << 20).await;
    store.create(Arc::clone(&request)).await.unwrap();
    for (n, name) in (2..).zip(&names) {
        let evidence = Membership::default().group(group("voters"));
        let voted = approve(&request, act(name, n), evidence);
        let stored = store
            .try_store(Arc::clone(&voted), request.revision())
            .await;
        assert!(matches!(stored, Ok(Written::Applied)), "{name}: {stored:?}");
        request = voted;
    }
    let report = store.rebuild().await.unwrap();
    assert_eq!(report.requests(), 1);
    assert!(store.verify().await.unwrap().is_clean());
    let canceled = cancel(&request, act("alice", 1_000));
    let stored = store.try_store(Arc::clone(&canceled), request.revision());
    stored.await.unwrap();
    store
        .purge(canceled.id(), canceled.revision())
        .await
        .unwrap();
    assert_eq!(store.get(canceled.id()).await.unwrap(), None);
    assert!(store.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn whatever_is_stored_can_be_rebuilt_and_removed_and_the_rest_is_refused() {
    let asks = |requirements: usize| {
        let requirement = |r: usize| {
            let people = (0..250).map(|i| Selector::actor(actor_id(format!("p-{r}-{i}"))));
            let anybody = Selector::AnyOf(people.collect());
            Requirement::seats(format!("r-{r}"), 1, anybody).expect("an id")
        };
        ApprovalRules::new((0..requirements).map(requirement)).expect("rules")
    };
    let (_server, store) = store(4 << 20).await;
    let request = builder().rules(asks(3)).build();
    store.create(Arc::clone(&request)).await.unwrap();
    assert_eq!(store.rebuild().await.unwrap().requests(), 1);
    assert!(store.verify().await.unwrap().is_clean());
    let canceled = cancel(&request, act("alice", 2));
    let stored = store.try_store(Arc::clone(&canceled), request.revision());
    stored.await.unwrap();
    store
        .purge(canceled.id(), canceled.revision())
        .await
        .unwrap();
    assert!(store.verify().await.unwrap().is_clean());

    let large = builder().rules(asks(5)).build();
    let error = store.create(Arc::clone(&large)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert_eq!(store.get(large.id()).await.unwrap(), None);
}

/// Lua has no numbers but doubles: from here on two of them look alike.
const BEYOND: u64 = (1 << 53) + 1;

#[tokio::test]
async fn versions_beyond_what_a_double_holds_are_told_apart() {
    let (server, store) = store(1 << 16).await;
    let write = |expected, n| StateWrite {
        scope: scope("a"),
        expected: StateVersion::new(expected),
        body: Some("value".into()),
        operation: operation(n),
    };
    store.save(&write(0, 1)).await.unwrap();
    let mut admin = server.connection().await;
    let mut keys = redis::cmd("KEYS");
    let keys: Vec<String> = keys.arg("*}:s:*").query_async(&mut admin).await.unwrap();
    let mut set = redis::cmd("SETRANGE");
    set.arg(&keys[0]).arg(8).arg(&BEYOND.to_be_bytes()[..]);
    set.exec_async(&mut admin).await.unwrap();

    let loaded = store.load(&scope("a")).await.unwrap();
    assert_eq!(loaded.version.get(), BEYOND);
    // As a double, this one would be the same.
    let error = store.save(&write(BEYOND - 1, 2)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}");
    let saved = store.save(&write(BEYOND, 3)).await.unwrap();
    assert_eq!(saved.get(), BEYOND + 1);
    let loaded = store.load(&scope("a")).await.unwrap();
    assert_eq!(loaded.version.get(), BEYOND + 1);
    let error = store.save(&write(BEYOND, 4)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}");
}
