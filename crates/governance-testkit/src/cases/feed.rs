//! The change feed: ordered, gap-free, resumable.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use governance_core::{
    Commit, FeedEvent, FeedSubject, FeedToken, IdSource as _, Membership, MutationRequest,
    Provider, Revision, Scope, StateVersion, StateWrite, Status, StoreErrorKind,
};

use crate::{
    Trial, check,
    fixtures::{approve, cancel, complete, scope},
};

fn event(request: &MutationRequest, before: Option<Status>) -> FeedSubject {
    FeedSubject::Request {
        id: *request.id(),
        revision: request.revision(),
        before,
        after: request.status(),
        operation: request.last_operation().expect("a history"),
    }
}

fn write(trial: &Trial, scope: &Scope, expected: u64) -> StateWrite {
    StateWrite {
        scope: scope.clone(),
        expected: StateVersion::new(expected),
        body: Some(Bytes::from_static(b"x")),
        operation: trial.ids().operation_id(),
    }
}

/// Every event behind a token, read in batches.
async fn read_all(store: &dyn Provider, from: Option<&FeedToken>, limit: u16) -> Vec<FeedEvent> {
    let mut events = Vec::new();
    let mut from = from.cloned();
    loop {
        let batch = store.read(from.as_ref(), limit).await.expect("a batch");
        assert!(
            batch.events.len() <= usize::from(limit),
            "more than asked for"
        );
        if let Some(last) = batch.events.last() {
            assert_eq!(batch.next, last.token, "a batch ends behind its last event");
        } else {
            return events;
        }
        events.extend(batch.events);
        from = Some(batch.next);
    }
}

fn subjects(events: &[FeedEvent]) -> Vec<FeedSubject> {
    events.iter().map(|event| event.subject.clone()).collect()
}

/// Creates, changes, commits, saves and purges of one state are told in order, with the statuses
/// before and after.
pub async fn events_of_one_state_are_in_order(trial: &Trial) {
    let store = &**trial.store();
    let created = trial.create(&trial.request()).await;
    let approved = approve(&created, trial.act("bob"), Membership::default());
    let approved = trial.update(&created, approved).await;
    store
        .save(&write(trial, &scope("a"), 0))
        .await
        .expect("a save");
    let executed = complete(
        &approved,
        trial.act("deployer"),
        StateVersion::new(1),
        Vec::new(),
    );
    let commit = Commit::of(Arc::clone(&executed), approved.revision()).with_state(write(
        trial,
        &scope("a"),
        1,
    ));
    check::applied(store.commit(&commit).await);
    store
        .purge(executed.id(), executed.revision())
        .await
        .expect("a purge");

    let events = read_all(store, None, 100).await;
    let wanted = [
        event(&created, None),
        event(&approved, Some(Status::Pending)),
        FeedSubject::State {
            version: StateVersion::new(1),
        },
        event(&executed, Some(Status::Approved)),
        FeedSubject::State {
            version: StateVersion::new(2),
        },
        FeedSubject::Purged { id: *executed.id() },
    ];
    assert_eq!(subjects(&events), wanted);
    assert!(events.iter().all(|event| event.scope == scope("a")));
    assert!(
        events.is_sorted_by_key(|event| event.at),
        "times do not run back"
    );
}

/// What was refused, or was done before, is not told.
pub async fn refused_and_repeated_writes_are_not_told(trial: &Trial) {
    let store = &**trial.store();
    let request = trial.create(&trial.request().key("k")).await;
    let canceled = cancel(&request, trial.act("alice"));
    let canceled = trial.update(&request, canceled).await;
    let save = write(trial, &scope("a"), 0);
    store.save(&save).await.expect("a save");
    let head = store.head().await.expect("a token");

    store.create(Arc::clone(&request)).await.expect("the first");
    let same_key = trial.request().key("k").build();
    store.create(same_key).await.expect("the first");
    let again = store
        .try_store(Arc::clone(&canceled), request.revision())
        .await;
    check::replayed(again, &canceled);
    let late = cancel(&request, trial.act("alice"));
    let late = store.try_store(late, request.revision()).await;
    check::refused(late, StoreErrorKind::Conflict);
    store.save(&save).await.expect("the first");
    let late = store.save(&write(trial, &scope("a"), 0)).await;
    check::refused(late, StoreErrorKind::Conflict);
    let purge = store.purge(canceled.id(), Revision::FIRST).await;
    check::refused(purge, StoreErrorKind::Conflict);

    assert_eq!(subjects(&read_all(store, Some(&head), 100).await), []);
    assert_eq!(read_all(store, None, 100).await.len(), 3);
}

/// Batches of any size give the same events, and going on from any token gives the rest.
pub async fn reading_goes_on_from_any_token(trial: &Trial) {
    let store = &**trial.store();
    for i in 0..20 {
        trial
            .create(&trial.request().state(&format!("s-{i}")))
            .await;
    }
    let whole = read_all(store, None, 1_000).await;
    assert_eq!(whole.len(), 20);
    for limit in [1, 7] {
        assert_eq!(read_all(store, None, limit).await, whole);
    }
    for (i, event) in whole.iter().enumerate() {
        let text = event.token.as_str().to_owned();
        let rest = read_all(store, Some(&FeedToken::new(text)), 3).await;
        assert_eq!(rest, whole[i + 1..]);
    }
}

/// Events of one state keep their order however many states there are.
pub async fn each_state_keeps_its_order(trial: &Trial) {
    let store = &**trial.store();
    let scopes: Vec<_> = (0..5).map(|i| scope(format!("s-{i}"))).collect();
    for version in 0..6 {
        for scope in &scopes {
            store
                .save(&write(trial, scope, version))
                .await
                .expect("a save");
        }
    }
    let events = read_all(store, None, 4).await;
    assert_eq!(events.len(), 30);
    for scope in &scopes {
        let versions: Vec<_> = events
            .iter()
            .filter(|event| event.scope == *scope)
            .map(|event| match event.subject {
                FeedSubject::State { version } => version.get(),
                ref other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    }
}

/// The head is behind everything that was acknowledged and before everything that follows.
pub async fn head_is_behind_the_last_event(trial: &Trial) {
    let store = &**trial.store();
    let empty = store.head().await.expect("a token");
    let first = trial.create(&trial.request()).await;
    let head = store.head().await.expect("a token");
    let second = trial.create(&trial.request().state("b")).await;
    let events = read_all(store, Some(&empty), 10).await;
    assert_eq!(
        subjects(&events),
        [event(&first, None), event(&second, None)]
    );
    let events = read_all(store, Some(&head), 10).await;
    assert_eq!(subjects(&events), [event(&second, None)]);
}

/// Waiting ends when something is written, and at once when something is there already.
pub async fn waiting_ends_with_a_write(trial: &Trial) {
    let store = Arc::clone(trial.store());
    let head = store.head().await.expect("a token");
    let (waiting, token) = (Arc::clone(&store), head.clone());
    let waiter = tokio::spawn(async move { waiting.wait(&token).await });
    tokio::task::yield_now().await;
    assert!(!waiter.is_finished(), "nothing was written yet");
    let request = trial.create(&trial.request()).await;
    let most = Duration::from_secs(30);
    let woken = tokio::time::timeout(most, waiter).await;
    woken
        .expect("the waiter wakes up")
        .expect("no panic")
        .expect("a wait");
    let events = read_all(&*store, Some(&head), 10).await;
    assert_eq!(subjects(&events), [event(&request, None)]);
    let again = tokio::time::timeout(most, store.wait(&head)).await;
    again.expect("it is there already").expect("a wait");
}

/// A token that is not of this feed is refused.
pub async fn foreign_token_is_refused(trial: &Trial) {
    let store = &**trial.store();
    trial.create(&trial.request()).await;
    for text in ["", "not a token", "\u{1f512}", "9999999999999999999999999"] {
        let token = FeedToken::new(text);
        check::refused(
            store.read(Some(&token), 10).await,
            StoreErrorKind::InvalidInput,
        );
        check::refused(store.wait(&token).await, StoreErrorKind::InvalidInput);
    }
}

/// A token is not signed: whoever has one can make others. They are answered or refused, and the
/// store goes on.
pub async fn made_up_tokens_are_answered_or_refused(trial: &Trial) {
    let store = &**trial.store();
    trial.create(&trial.request()).await;
    let seen = store.head().await.expect("a token").as_str().to_owned();
    for at in 0..seen.len() {
        for with in ["", "0", "9", "A", "_", "-", "99999999999999999999", "_____"] {
            for rest in ["", &seen[at + 1..]] {
                let token = FeedToken::new([&seen[..at], with, rest].concat());
                let Err(error) = store.read(Some(&token), 10).await else {
                    continue;
                };
                let kind = error.kind();
                let refused = matches!(
                    kind,
                    StoreErrorKind::InvalidInput
                        | StoreErrorKind::Expired
                        | StoreErrorKind::Unavailable
                );
                assert!(refused, "{token}: {error:?}");
            }
        }
    }
    trial.create(&trial.request().state("after")).await;
}

/// A batch has from 1 to 1000 events.
pub async fn limits_are_checked(trial: &Trial) {
    let store = &**trial.store();
    for limit in [0, 1_001, u16::MAX] {
        check::refused(store.read(None, limit).await, StoreErrorKind::InvalidInput);
    }
    for limit in [1, 1_000] {
        store.read(None, limit).await.expect("a batch");
    }
}

/// Going on from a token whose events are not kept any more is an error, never a gap.
pub async fn trimmed_feed_tells_that_a_token_expired(trial: &Trial) {
    let Some((store, _guard)) = trial.with_feed(4).await else {
        return trial.lacks("a feed that keeps few events");
    };
    let start = store.head().await.expect("a token");
    let scope = scope("a");
    let mut version = 0;
    // Stores may trim late, so write until it shows.
    let expired = loop {
        store
            .save(&write(trial, &scope, version))
            .await
            .expect("a save");
        version += 1;
        match store.read(Some(&start), 1_000).await {
            Ok(batch) => {
                assert_eq!(batch.events.len() as u64, version, "a gap");
                assert!(version < 100_000, "nothing is ever trimmed");
            }
            Err(error) => break error,
        }
    };
    check::refused::<()>(Err(expired), StoreErrorKind::Expired);
    check::refused(store.wait(&start).await, StoreErrorKind::Expired);
    // What is kept is without gaps, from the oldest on.
    let kept = read_all(&*store, None, 1_000).await;
    assert!(!kept.is_empty());
    let versions: Vec<_> = kept
        .iter()
        .map(|event| match event.subject {
            FeedSubject::State { version } => version.get(),
            ref other => panic!("{other:?}"),
        })
        .collect();
    let oldest = version - kept.len() as u64;
    assert_eq!(versions, (oldest + 1..=version).collect::<Vec<_>>());
    for (i, event) in kept.iter().enumerate() {
        let rest = read_all(&*store, Some(&event.token), 1_000).await;
        assert_eq!(rest, kept[i + 1..]);
    }
}

/// Tokens are of use after a restart.
pub async fn reopened_feed_goes_on_from_a_token(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    let head = trial.store().head().await.expect("a token");
    let canceled = cancel(&request, trial.act("alice"));
    let canceled = trial.update(&request, canceled).await;
    let Some(store) = trial.reopen().await else {
        return trial.lacks("reopening");
    };
    let events = read_all(&*store, Some(&head), 10).await;
    assert_eq!(subjects(&events), [event(&canceled, Some(Status::Pending))]);
}

/// Under concurrent writers the feed has every write once, those of one state in order.
pub async fn concurrent_writes_are_all_told(trial: &Trial) {
    let head = trial.store().head().await.expect("a token");
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (store, ids) = (Arc::clone(trial.store()), trial.ids().clone());
            tokio::spawn(async move {
                let scope = scope(format!("s-{worker}"));
                for version in 0..50 {
                    let write = StateWrite {
                        scope: scope.clone(),
                        expected: StateVersion::new(version),
                        body: None,
                        operation: ids.operation_id(),
                    };
                    store.save(&write).await.expect("nobody else writes it");
                    if version % 8 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("the worker finished");
    }
    let events = read_all(&**trial.store(), Some(&head), 7).await;
    assert_eq!(events.len(), 200);
    for worker in 0..4 {
        let scope = scope(format!("s-{worker}"));
        let of_worker: Vec<_> = events
            .iter()
            .filter(|event| event.scope == scope)
            .map(|event| event.subject.clone())
            .collect();
        let wanted: Vec<_> = (1..=50)
            .map(|version| FeedSubject::State {
                version: StateVersion::new(version),
            })
            .collect();
        assert_eq!(of_worker, wanted);
    }
}
