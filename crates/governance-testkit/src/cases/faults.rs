//! Lost answers, failing calls and stale reads between a governor and the provider: what was done
//! is done once, and what is not known is said to be unknown.

use std::sync::Arc;

use governance_core::{
    Context, Governor, GovernorError, IdSource as _, MutationRequest, OnStale, OperationId, Policy,
    Provider, RequestId, RequestStore as _, Status, StoreError, StoreErrorKind, TickOutcome,
    WriteCertainty,
};

use crate::{
    Trial, check,
    faults::{Call, FailingStore, LostReplyStore, StaleReadStore, unavailable, unknown},
    fixtures::{
        Add, AllowAll, Asks, Counter, StaticDirectory, actor, add, approve, cancel, state_id,
    },
};

fn governor(trial: &Trial, store: Arc<impl Provider>, policy: impl Policy) -> Governor {
    Governor::builder(store)
        .directory(StaticDirectory::new())
        .ids(trial.ids().clone())
        .register::<Add>()
        .policy(policy)
        .build()
        .expect("a governor")
}

fn two() -> Asks {
    Asks::everyone(["bob", "carol"])
}

async fn submit(governor: &Governor) -> RequestId {
    let (alice, hits) = (actor("alice"), state_id("hits"));
    let submitted = governor.submit(&alice, &hits, add(5)).await;
    submitted.expect("a submission").id()
}

fn bob(operation: OperationId) -> Context {
    Context::of(&actor("bob")).operation(operation)
}

async fn current(trial: &Trial, id: &RequestId) -> Arc<MutationRequest> {
    let found = trial.store().get(id).await.expect("a read");
    found.expect("it is there")
}

async fn value(trial: &Trial) -> (i64, u64) {
    let direct = governor(trial, Arc::new(Arc::clone(trial.store())), AllowAll);
    let state = direct.state::<Counter>(&state_id("hits")).await;
    let (counter, version) = state.expect("a state");
    (counter.unwrap_or_default().value, version.get())
}

fn votes(request: &MutationRequest) -> usize {
    let granted = request.decisions().iter();
    granted
        .filter(|d| d.kind().to_string() == "approval.granted")
        .count()
}

fn unknown_of<T: std::fmt::Debug>(result: Result<T, GovernorError>, wanted: OperationId) {
    match result {
        Err(GovernorError::Unknown { operation, .. }) => assert_eq!(operation, wanted),
        other => panic!("expected an unknown outcome, met {other:?}"),
    }
}

fn store_error<T: std::fmt::Debug>(result: Result<T, GovernorError>) -> StoreError {
    match result {
        Err(GovernorError::Store(error)) => error,
        other => panic!("expected an error of the store, met {other:?}"),
    }
}

/// A vote whose answer is lost is found by its operation id: it is there once, and the caller is
/// told that it is.
pub async fn lost_reply_of_a_vote_is_settled(trial: &Trial) {
    let store = Arc::new(LostReplyStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), two());
    let id = submit(&governor).await;
    store.lose_next(Call::TryStore, 1);
    let voted = governor.approve(&id, &actor("bob"), "looked at it").await;
    let voted = voted.expect("the vote was found");
    assert_eq!(store.calls(Call::TryStore), 1);
    assert_eq!(votes(&voted), 1);
    check::stored(&**trial.store(), &voted).await;
}

/// The store itself settles a lost answer: the same change again finds its first outcome.
pub async fn lost_reply_of_a_change_is_settled_by_the_store(trial: &Trial) {
    let store = LostReplyStore::new(Arc::clone(trial.store()));
    let request = trial.create(&trial.request()).await;
    let canceled = cancel(&request, trial.act("alice"));
    store.lose_next(Call::TryStore, 1);
    let lost = store
        .try_store(Arc::clone(&canceled), request.revision())
        .await;
    let error = lost.expect_err("the answer is lost");
    assert_eq!(error.outcome(), WriteCertainty::Unknown);
    let again = store
        .try_store(Arc::clone(&canceled), request.revision())
        .await;
    check::replayed(again, &canceled);
}

/// An execution whose answer is lost is found, and its change was made once.
pub async fn lost_reply_of_an_execution_is_settled(trial: &Trial) {
    let store = Arc::new(LostReplyStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), AllowAll);
    let id = submit(&governor).await;
    store.lose_next(Call::Commit, 1);
    let report = governor
        .execute(&id, &actor("deployer"), OnStale::AnyVersion)
        .await;
    let report = report.expect("the execution was found");
    assert_eq!(report.request().status(), Status::Executed);
    assert_eq!(store.calls(Call::Commit), 1);
    assert_eq!(value(trial).await, (5, 1));
    check::stored(&**trial.store(), report.request()).await;
}

/// A superseding whose answer is lost is found, both sides of it once.
pub async fn lost_reply_of_a_superseding_is_settled(trial: &Trial) {
    let store = Arc::new(LostReplyStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), two());
    let (old, new) = (submit(&governor).await, submit(&governor).await);
    store.lose_next(Call::Commit, 1);
    let closed = governor
        .supersede(&old, &new, &actor("alice"), "a better one")
        .await;
    assert_eq!(closed.expect("it was found").status(), Status::Superseded);
    let taken = current(trial, &new).await;
    assert_eq!(taken.links().supersedes(), [old]);
}

/// A submission whose answer is lost makes one request.
pub async fn lost_reply_of_a_submission_is_settled(trial: &Trial) {
    let store = Arc::new(LostReplyStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), two());
    store.lose_next(Call::Create, 1);
    let id = submit(&governor).await;
    let found = check::found(&**trial.store(), &governor.query()).await;
    assert_eq!(found, [id]);
}

/// A submission whose answers keep being lost is unknown; repeated under its operation id it is
/// the request that was made.
pub async fn submission_that_stays_unknown_is_settled_later(trial: &Trial) {
    let store = Arc::new(LostReplyStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), two());
    let operation = trial.ids().operation_id();
    let alice = Context::of(&actor("alice")).operation(operation);
    store.lose_next(Call::Create, u32::MAX);
    let lost = governor.submit(&alice, &state_id("hits"), add(5)).await;
    unknown_of(lost, operation);
    store.lose_next(Call::Create, 0);
    let again = governor.submit(&alice, &state_id("hits"), add(5)).await;
    let again = again.expect("the first submission");
    assert!(again.is_replayed());
    let found = check::found(&**trial.store(), &governor.query()).await;
    assert_eq!(found, [again.id()]);
}

/// A write nobody answers is unknown, never a conflict; repeated under its operation id it is
/// done once.
pub async fn write_that_stays_unanswered_is_unknown(trial: &Trial) {
    let store = Arc::new(FailingStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), two());
    let id = submit(&governor).await;
    let operation = trial.ids().operation_id();
    store.fail_always(Call::TryStore, unknown);
    let lost = governor.approve(&id, bob(operation), "looked at it").await;
    unknown_of(lost, operation);
    assert!(store.calls(Call::TryStore) > 1, "it was tried again");
    assert_eq!(votes(&*current(trial, &id).await), 0);
    store.heal();
    for _ in 0..2 {
        let voted = governor.approve(&id, bob(operation), "looked at it").await;
        assert_eq!(votes(&voted.expect("a vote")), 1);
    }
}

/// A write that was done, and a store that cannot be read afterwards: the outcome is unknown, not
/// a plain error that says nothing was done.
pub async fn lost_reply_and_no_reads_is_unknown(trial: &Trial) {
    let losing = Arc::new(LostReplyStore::new(Arc::clone(trial.store())));
    let store = Arc::new(FailingStore::new(Arc::clone(&losing)));
    let governor = governor(trial, Arc::clone(&store), two());
    let id = submit(&governor).await;
    let operation = trial.ids().operation_id();
    losing.lose_next(Call::TryStore, 1);
    // The read before the write passes, those after it fail.
    store.pass_then_fail(Call::Get, 1, unavailable);
    let lost = governor.approve(&id, bob(operation), "looked at it").await;
    unknown_of(lost, operation);
    assert_eq!(votes(&*current(trial, &id).await), 1, "it was done");
}

/// The same for an execution: its change was made, and the caller is not told otherwise.
pub async fn lost_execution_and_no_reads_is_unknown(trial: &Trial) {
    let losing = Arc::new(LostReplyStore::new(Arc::clone(trial.store())));
    let store = Arc::new(FailingStore::new(Arc::clone(&losing)));
    let governor = governor(trial, Arc::clone(&store), AllowAll);
    let id = submit(&governor).await;
    let operation = trial.ids().operation_id();
    losing.lose_next(Call::Commit, 1);
    store.pass_then_fail(Call::Get, 1, unavailable);
    let lost = governor.execute(&id, bob(operation), OnStale::Reject).await;
    unknown_of(lost, operation);
    assert_eq!(value(trial).await, (5, 1), "it was done");
    store.heal();
    let again = governor.execute(&id, bob(operation), OnStale::Reject).await;
    assert!(again.expect("what was done").is_replayed());
    assert_eq!(value(trial).await, (5, 1));
}

/// What could not be reached is tried again; what cannot be helped is told at once, as itself.
pub async fn failures_are_told_apart(trial: &Trial) {
    let store = Arc::new(FailingStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), two());
    let id = submit(&governor).await;
    store.fail_next(Call::TryStore, 2, unavailable);
    let voted = governor.approve(&id, &actor("bob"), "looked at it").await;
    assert_eq!(votes(&voted.expect("the third attempt")), 1);
    let before = store.calls(Call::TryStore);
    store.fail_next(Call::TryStore, 1, |call| {
        StoreError::new(StoreErrorKind::Denied, call.as_str(), "no")
    });
    let refused = governor.approve(&id, &actor("carol"), "fine by me").await;
    assert_eq!(store_error(refused).kind(), StoreErrorKind::Denied);
    assert_eq!(store.calls(Call::TryStore), before + 1, "not tried again");
    store.fail_next(Call::Get, 1, unavailable);
    let unread = governor.approve(&id, &actor("carol"), "fine by me").await;
    assert_eq!(store_error(unread).kind(), StoreErrorKind::Unavailable);
    let request = current(trial, &id).await;
    assert_eq!((votes(&request), request.status()), (1, Status::Pending));
}

/// A sweep that fails for one request does the others, and the next sweep does that one.
pub async fn sweep_goes_on_past_a_failure(trial: &Trial) {
    let store = Arc::new(FailingStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), AllowAll);
    for i in 0..5 {
        let builder = trial.request().overdue().state(&format!("s-{i}"));
        trial.create(&builder).await;
    }
    store.fail_next(Call::TryStore, 1, unavailable);
    let report = governor.tick(trial.start()).await.expect("a tick");
    assert_eq!(report.items.len(), 5);
    assert_eq!(report.expired(), 4);
    assert!(matches!(report.items[0].outcome, TickOutcome::Failed(_)));
    let report = governor.tick(trial.start()).await.expect("a tick");
    assert_eq!((report.items.len(), report.expired()), (1, 1));
}

/// A vote made from a stale read loses its race, is made again from what is there, and nothing of
/// the other's is lost.
pub async fn stale_read_of_a_request_loses_no_vote(trial: &Trial) {
    let store = Arc::new(StaleReadStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), two());
    let id = submit(&governor).await;
    let seen = governor.get(&id).await.expect("it is there");
    let other = approve(&seen, trial.act("carol"), Default::default());
    trial.update(&seen, other).await;
    store.lag(1);
    let voted = governor.approve(&id, &actor("bob"), "looked at it").await;
    let voted = voted.expect("a vote");
    assert_eq!(store.lagging(), 0);
    assert_eq!(votes(&voted), 2);
    assert_eq!(voted.status(), Status::Approved);
    check::stored(&**trial.store(), &voted).await;
}

/// An execution on a stale read of the state changes nothing by it: the commit decides, and the
/// staleness rule is followed on what is there.
pub async fn stale_read_of_a_state_is_caught_by_the_commit(trial: &Trial) {
    let store = Arc::new(StaleReadStore::new(Arc::clone(trial.store())));
    let governor = governor(trial, Arc::clone(&store), AllowAll);
    let (first, second) = (submit(&governor).await, submit(&governor).await);
    let direct = self::governor(trial, Arc::new(Arc::clone(trial.store())), AllowAll);
    let (deployer, reject) = (actor("deployer"), OnStale::Reject);
    let done = direct.execute(&first, &deployer, reject).await;
    assert_eq!(
        done.expect("an execution").request().status(),
        Status::Executed
    );
    store.lag(1);
    let report = governor.execute(&second, &deployer, reject).await;
    let report = report.expect("a decision");
    assert_eq!(store.lagging(), 0, "the state was read late");
    assert_eq!(report.request().status(), Status::Rejected);
    assert_eq!(value(trial).await, (5, 1));
}
