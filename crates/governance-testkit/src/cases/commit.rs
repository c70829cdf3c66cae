//! Requests and a state in one atomic step.

use std::sync::Arc;

use bytes::Bytes;
use governance_core::{
    Commit, Conflict, IdSource as _, MutationRequest, RequestQuery, Scope, StateSnapshot,
    StateVersion, StateWrite, Status, StoreErrorKind, TenantId,
};

use crate::{
    Trial, check,
    fixtures::{approve, cancel, complete, complete_deleting, scope, supersede},
};

fn state_write(trial: &Trial, scope: &Scope, expected: u64, body: &'static str) -> StateWrite {
    StateWrite {
        scope: scope.clone(),
        expected: StateVersion::new(expected),
        body: Some(Bytes::from_static(body.as_bytes())),
        operation: trial.ids().operation_id(),
    }
}

async fn state_is(trial: &Trial, scope: &Scope, version: u64, body: Option<&'static str>) {
    let found = trial.store().load(scope).await.expect("a read");
    let expected = StateSnapshot {
        version: StateVersion::new(version),
        body: body.map(|text| Bytes::from_static(text.as_bytes())),
    };
    assert_eq!(found, expected, "the state");
}

async fn save(trial: &Trial, scope: &Scope, expected: u64) {
    let write = state_write(trial, scope, expected, "somebody else's");
    trial.store().save(&write).await.expect("a save");
}

/// An approved request and the commit that executes it on version 0.
async fn execution(trial: &Trial) -> (Arc<MutationRequest>, Arc<MutationRequest>, Commit) {
    let request = trial.create(&trial.request().allowed()).await;
    let act = trial.act("deployer");
    let operation = act.operation;
    let done = complete(&request, act, StateVersion::ABSENT, Vec::new());
    let commit = Commit::of(Arc::clone(&done), request.revision()).with_state(StateWrite {
        operation,
        ..state_write(trial, &scope("a"), 0, "new")
    });
    (request, done, commit)
}

/// A request and its state change together.
pub async fn request_and_state_change_together(trial: &Trial) {
    let (_, done, commit) = execution(trial).await;
    check::applied(trial.store().commit(&commit).await);
    check::stored(&**trial.store(), &done).await;
    state_is(trial, &scope("a"), 1, Some("new")).await;
    let executed = RequestQuery::in_tenant(TenantId::default()).statuses([Status::Executed]);
    assert_eq!(
        check::found(&**trial.store(), &executed).await,
        [*done.id()]
    );
}

/// A commit of a request alone is a change of that request.
pub async fn commit_without_a_state(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    let after = cancel(&request, trial.act("alice"));
    let commit = Commit::of(Arc::clone(&after), request.revision());
    check::applied(trial.store().commit(&commit).await);
    check::stored(&**trial.store(), &after).await;
    state_is(trial, &scope("a"), 0, None).await;
}

/// A commit can delete the state.
pub async fn commit_can_delete_the_state(trial: &Trial) {
    save(trial, &scope("a"), 0).await;
    let request = trial.create(&trial.request().allowed()).await;
    let act = trial.act("deployer");
    let done = complete_deleting(&request, act, StateVersion::new(1));
    let commit = Commit::of(Arc::clone(&done), request.revision()).with_state(StateWrite {
        body: None,
        ..state_write(trial, &scope("a"), 1, "")
    });
    check::applied(trial.store().commit(&commit).await);
    state_is(trial, &scope("a"), 2, None).await;
    check::stored(&**trial.store(), &done).await;
    check::replayed(trial.store().commit(&commit).await, &done);
}

/// A commit deletes the state if and only if the request says that its execution ended it.
pub async fn commit_does_to_the_state_what_its_request_says(trial: &Trial) {
    save(trial, &scope("a"), 0).await;
    let request = trial.create(&trial.request().allowed()).await;
    let version = StateVersion::new(1);
    let kept = complete(&request, trial.act("deployer"), version, Vec::new());
    let ended = complete_deleting(&request, trial.act("deployer"), version);
    let value = state_write(trial, &scope("a"), 1, "new");
    let deletion = StateWrite {
        body: None,
        ..value.clone()
    };
    for (done, write) in [(kept, deletion), (ended, value)] {
        let commit = Commit::of(done, request.revision()).with_state(write);
        let result = trial.store().commit(&commit).await;
        check::refused(result, StoreErrorKind::InvalidInput);
    }
    check::stored(&**trial.store(), &request).await;
    state_is(trial, &scope("a"), 1, Some("somebody else's")).await;
}

/// Nothing is stored when the state has another version.
pub async fn nothing_is_stored_when_the_state_conflicts(trial: &Trial) {
    let (request, _, commit) = execution(trial).await;
    save(trial, &scope("a"), 0).await;
    let result = trial.store().commit(&commit).await;
    let error = check::refused(result, StoreErrorKind::Conflict);
    let conflict = Conflict::State {
        expected: StateVersion::ABSENT,
        actual: StateVersion::new(1),
    };
    assert_eq!(error.conflict_data(), Some(conflict));
    check::stored(&**trial.store(), &request).await;
    state_is(trial, &scope("a"), 1, Some("somebody else's")).await;
    let executed = RequestQuery::in_tenant(TenantId::default()).statuses([Status::Executed]);
    assert_eq!(check::found(&**trial.store(), &executed).await, []);
}

/// Nothing is stored when the request has another revision.
pub async fn nothing_is_stored_when_the_request_conflicts(trial: &Trial) {
    let (request, _, commit) = execution(trial).await;
    let canceled = cancel(&request, trial.act("alice"));
    let canceled = trial.update(&request, canceled).await;
    let result = trial.store().commit(&commit).await;
    check::request_conflict(result, &request, &canceled);
    check::stored(&**trial.store(), &canceled).await;
    state_is(trial, &scope("a"), 0, None).await;
}

/// Nothing is stored when the second request has another revision.
pub async fn nothing_is_stored_when_the_second_request_conflicts(trial: &Trial) {
    let old = trial.create(&trial.request()).await;
    let new = trial.create(&trial.request()).await;
    let (closed, taken) = supersede(&old, &new, &trial.act("alice"));
    let approved = approve(&new, trial.act("bob"), Default::default());
    let approved = trial.update(&new, approved).await;
    let commit = Commit::of(closed, old.revision()).and(taken, new.revision());
    let result = trial.store().commit(&commit).await;
    check::request_conflict(result, &new, &approved);
    check::stored(&**trial.store(), &old).await;
    check::stored(&**trial.store(), &approved).await;
}

/// Nothing is stored when one of the requests is not there.
pub async fn nothing_is_stored_when_a_request_is_missing(trial: &Trial) {
    let old = trial.create(&trial.request()).await;
    let missing = trial.request().build();
    let (closed, taken) = supersede(&old, &missing, &trial.act("alice"));
    let commit = Commit::of(closed, old.revision()).and(taken, missing.revision());
    let result = trial.store().commit(&commit).await;
    check::refused(result, StoreErrorKind::NotFound);
    check::stored(&**trial.store(), &old).await;
}

/// Nothing is stored when a history was rewritten, the state's version being right.
pub async fn nothing_is_stored_when_a_history_is_rewritten(trial: &Trial) {
    let (request, ..) = execution(trial).await;
    let forged = trial
        .request()
        .allowed()
        .requester("mallory")
        .id(*request.id());
    let forged = complete(
        &forged.build(),
        trial.act("mallory"),
        StateVersion::ABSENT,
        Vec::new(),
    );
    let commit = Commit::of(forged, request.revision()).with_state(state_write(
        trial,
        &scope("a"),
        0,
        "forged",
    ));
    let result = trial.store().commit(&commit).await;
    check::refused(result, StoreErrorKind::InvalidInput);
    check::stored(&**trial.store(), &request).await;
    state_is(trial, &scope("a"), 0, None).await;
}

/// A commit that is repeated finds its first outcome and does nothing again.
pub async fn repeated_commit_finds_the_first_outcome(trial: &Trial) {
    let (_, done, commit) = execution(trial).await;
    check::applied(trial.store().commit(&commit).await);
    for _ in 0..2 {
        check::replayed(trial.store().commit(&commit).await, &done);
    }
    state_is(trial, &scope("a"), 1, Some("new")).await;
}

/// A commit that is repeated after the state has moved on finds its first outcome.
pub async fn repeated_commit_is_known_after_others(trial: &Trial) {
    let (_, done, commit) = execution(trial).await;
    check::applied(trial.store().commit(&commit).await);
    save(trial, &scope("a"), 1).await;
    check::replayed(trial.store().commit(&commit).await, &done);
    state_is(trial, &scope("a"), 2, Some("somebody else's")).await;
}

/// Both sides of a superseding are stored in one step, and each finds the other.
pub async fn superseding_stores_both_sides(trial: &Trial) {
    let store = &**trial.store();
    let old = trial.create(&trial.request()).await;
    let new = trial.create(&trial.request()).await;
    let (closed, taken) = supersede(&old, &new, &trial.act("alice"));
    let commit =
        Commit::of(Arc::clone(&closed), old.revision()).and(Arc::clone(&taken), new.revision());
    check::applied(store.commit(&commit).await);
    check::stored(store, &closed).await;
    check::stored(store, &taken).await;
    let all = RequestQuery::in_tenant(TenantId::default());
    let linked = |to: &MutationRequest| all.clone().linked_to([*to.id()]);
    assert_eq!(check::found(store, &linked(&new)).await, [*old.id()]);
    assert_eq!(check::found(store, &linked(&old)).await, [*new.id()]);
    check::replayed(store.commit(&commit).await, &closed);
    check::stored(store, &taken).await;
}

/// A commit cannot span slots, whether the other slot is that of a request or of the state.
pub async fn commit_across_slots_is_refused(trial: &Trial) {
    let one = trial.create(&trial.request().state("a")).await;
    let other = trial.create(&trial.request().state("b")).await;
    assert_ne!(one.id().slot(), other.id().slot(), "chosen to differ");
    let canceled = |request: &MutationRequest| cancel(request, trial.act("alice"));
    let requests =
        Commit::of(canceled(&one), one.revision()).and(canceled(&other), other.revision());
    let state = Commit::of(canceled(&one), one.revision()).with_state(state_write(
        trial,
        &scope("b"),
        0,
        "x",
    ));
    for commit in [requests, state] {
        let result = trial.store().commit(&commit).await;
        check::refused(result, StoreErrorKind::InvalidInput);
    }
    check::stored(&**trial.store(), &one).await;
    check::stored(&**trial.store(), &other).await;
    state_is(trial, &scope("b"), 0, None).await;
}

/// A commit of nothing, of too much, or that names a request twice, is refused.
pub async fn malformed_commit_is_refused(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    let canceled = || cancel(&request, trial.act("alice"));
    let twice = Commit::of(canceled(), request.revision()).and(canceled(), request.revision());
    let mut large = Commit::of(canceled(), request.revision());
    for _ in 0..Commit::MAX_REQUESTS {
        let other = trial.create(&trial.request()).await;
        large = large.and(cancel(&other, trial.act("alice")), other.revision());
    }
    for commit in [Commit::default(), twice, large] {
        let result = trial.store().commit(&commit).await;
        check::refused(result, StoreErrorKind::InvalidInput);
    }
    check::stored(&**trial.store(), &request).await;
}
