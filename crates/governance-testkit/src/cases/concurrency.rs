//! Races: who wins, who is told that somebody else did, and that nothing is lost.

use std::{collections::BTreeSet, future::Future, sync::Arc};

use bytes::Bytes;
use governance_core::{
    Act, Commit, Context, Creation, Governor, GovernorError, IdSource as _, Membership,
    MutationRequest, OnStale, OperationId, Provider, RequestQuery, StateVersion, StateWrite,
    Status, StoreErrorKind, TenantId, Written,
};

use crate::{
    Trial, check,
    fixtures::{
        self, AllowAll, Asks, Counter, SeededIds, StaticDirectory, actor, add, amend_deadline,
        approve, cancel, complete, scope, state_id,
    },
};

/// Runs all of them at once, each as a task of its own, and waits for their results.
async fn together<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<F> = tasks.into_iter().collect();
    let start = Arc::new(tokio::sync::Barrier::new(tasks.len()));
    let handles: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                start.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(handles.len());
    for handle in handles {
        results.push(handle.await.expect("no task panics"));
    }
    results
}

/// Workers that read, add one and save lose no addition.
pub async fn read_modify_write_of_a_state_loses_nothing(trial: &Trial) {
    const WORKERS: u64 = 8;
    const LOOPS: u64 = 25;
    let work = |store: Arc<dyn Provider>, ids: SeededIds| async move {
        let mut done = 0;
        while done < LOOPS {
            let found = store.load(&scope("a")).await.expect("a read");
            let count = found.body.map_or(0, |body| {
                u64::from_be_bytes(body[..].try_into().expect("eight bytes"))
            });
            let write = StateWrite {
                scope: scope("a"),
                expected: found.version,
                body: Some(Bytes::copy_from_slice(&(count + 1).to_be_bytes())),
                operation: ids.operation_id(),
            };
            match store.save(&write).await {
                Ok(version) => {
                    assert_eq!(version, found.version.next());
                    done += 1;
                }
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}"),
            }
        }
    };
    let tasks = (0..WORKERS).map(|_| work(Arc::clone(trial.store()), trial.ids().clone()));
    together(tasks).await;
    let found = trial.store().load(&scope("a")).await.expect("a read");
    assert_eq!(found.version, StateVersion::new(WORKERS * LOOPS));
    let count = found.body.expect("a count");
    assert_eq!(count[..], (WORKERS * LOOPS).to_be_bytes());
}

/// Workers that read, change and store one request lose no change.
pub async fn read_modify_write_of_a_request_loses_nothing(trial: &Trial) {
    const WORKERS: u64 = 6;
    const LOOPS: u64 = 15;
    let request = trial.create(&trial.request()).await;
    let before = request.decisions().len();
    let id = *request.id();
    let start = trial.start();
    let work = |store: Arc<dyn Provider>, ids: SeededIds, worker: u64| async move {
        let who = actor(format!("worker-{worker}"));
        for turn in 0..LOOPS {
            loop {
                let found = store.get(&id).await.expect("a read").expect("it is there");
                let act = Act::new(&who, start, ids.operation_id());
                let seconds = 1 + worker * LOOPS + turn;
                let to = start.saturating_add(std::time::Duration::from_secs(seconds));
                let after = amend_deadline(&found, act, Some(to));
                match store.try_store(after, found.revision()).await {
                    Ok(Written::Applied) => break,
                    Ok(Written::AlreadyApplied(_)) => panic!("every operation is new"),
                    Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}"),
                }
            }
        }
    };
    let tasks = (0..WORKERS).map(|i| work(Arc::clone(trial.store()), trial.ids().clone(), i));
    together(tasks).await;
    let found = trial
        .store()
        .get(&id)
        .await
        .expect("a read")
        .expect("it is there");
    let writes = WORKERS * LOOPS;
    assert_eq!(found.revision().get(), 1 + writes);
    assert_eq!(found.decisions().len() as u64, before as u64 + writes);
    found.verify_history().expect("a whole history");
}

/// Of many creates under one id exactly one stores, and the others are told.
pub async fn creates_of_one_id_have_one_winner(trial: &Trial) {
    let first = trial.request().build();
    let others = (1..16).map(|i| trial.request().id(*first.id()).value(i).build());
    let requests: Vec<_> = [Arc::clone(&first)].into_iter().chain(others).collect();
    let results = together(requests.iter().cloned().map(|request| {
        let store = Arc::clone(trial.store());
        async move { store.create(request).await }
    }))
    .await;
    let mut winners = Vec::new();
    for (request, result) in requests.iter().zip(results) {
        match result {
            Ok(Creation::Created) => winners.push(request),
            other => {
                check::refused(other, StoreErrorKind::AlreadyExists);
            }
        }
    }
    let [winner] = winners[..] else {
        panic!("{} creates stored", winners.len());
    };
    check::stored(&**trial.store(), winner).await;
    let all = RequestQuery::in_tenant(TenantId::default());
    assert_eq!(check::found(&**trial.store(), &all).await, [*winner.id()]);
}

/// Of many creates under one key exactly one stores, and the others find it.
pub async fn creates_of_one_key_have_one_winner(trial: &Trial) {
    let builder = trial.request().key("deploy-1");
    let results = together((0..16).map(|i| {
        let (store, request) = (Arc::clone(trial.store()), builder.clone().value(i).build());
        async move {
            let id = *request.id();
            match store.create(request).await.expect("a create") {
                Creation::Created => (true, id),
                Creation::Existing(found) => (false, *found.id()),
            }
        }
    }))
    .await;
    assert_eq!(results.iter().filter(|(created, _)| *created).count(), 1);
    let ids: BTreeSet<_> = results.iter().map(|(_, id)| *id).collect();
    assert_eq!(ids.len(), 1, "all are told the same request");
    let all = RequestQuery::in_tenant(TenantId::default());
    assert_eq!(check::found(&**trial.store(), &all).await.len(), 1);
}

/// Of many changes from one revision exactly one stores.
pub async fn changes_from_one_revision_have_one_winner(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    let changes: Vec<_> = (0..16)
        .map(|i| cancel(&request, trial.act(&format!("canceler-{i}"))))
        .collect();
    let revision = request.revision();
    let results = together(changes.iter().cloned().map(|change| {
        let store = Arc::clone(trial.store());
        async move { store.try_store(change, revision).await }
    }))
    .await;
    let mut winners = Vec::new();
    for (change, result) in changes.iter().zip(results) {
        match result {
            Ok(Written::Applied) => winners.push(change),
            other => {
                check::refused(other, StoreErrorKind::Conflict);
            }
        }
    }
    let [winner] = winners[..] else {
        panic!("{} changes stored", winners.len());
    };
    check::stored(&**trial.store(), winner).await;
}

/// Of many commits of one request exactly one changes the state.
pub async fn commits_of_one_request_have_one_winner(trial: &Trial) {
    let request = trial.create(&trial.request().allowed()).await;
    let results = together((0..32).map(|i| {
        let store = Arc::clone(trial.store());
        let act = trial.act(&format!("deployer-{i}"));
        let state = StateWrite {
            scope: scope("a"),
            expected: StateVersion::ABSENT,
            body: Some(Bytes::from(format!("by {i}"))),
            operation: act.operation,
        };
        let done = complete(&request, act, StateVersion::ABSENT, Vec::new());
        let commit = Commit::of(done, request.revision()).with_state(state);
        async move { store.commit(&commit).await }
    }))
    .await;
    let mut winners = Vec::new();
    for (i, result) in results.into_iter().enumerate() {
        match result {
            Ok(Written::Applied) => winners.push(i),
            other => {
                check::refused(other, StoreErrorKind::Conflict);
            }
        }
    }
    let [winner] = winners[..] else {
        panic!("{} commits stored", winners.len());
    };
    let state = trial.store().load(&scope("a")).await.expect("a read");
    assert_eq!(state.version, StateVersion::new(1));
    assert_eq!(state.body, Some(Bytes::from(format!("by {winner}"))));
    let found = trial.store().get(request.id()).await.expect("a read");
    let executor = format!("deployer-{winner}");
    let last = found.expect("it is there").decisions().last().cloned();
    assert_eq!(last.expect("a history").actor().id().as_str(), executor);
}

fn governor(trial: &Trial, policy: impl governance_core::Policy) -> Governor {
    Governor::builder(Arc::clone(trial.store()))
        .directory(StaticDirectory::new())
        .ids(trial.ids().clone())
        .register::<fixtures::Add>()
        .policy(policy)
        .attempts(1_000)
        .build()
        .expect("a governor")
}

/// Many executions of one request make its change once; all are told that it was made.
pub async fn executions_of_one_request_change_the_state_once(trial: &Trial) {
    let governor = governor(trial, AllowAll);
    let counter = state_id("hits");
    let submission = governor.submit(&actor("alice"), &counter, add(1)).await;
    let id = submission.expect("a submission").id();
    let results = together((0..64).map(|i| {
        let governor = governor.clone();
        let deployer = actor(format!("deployer-{i}"));
        async move { governor.execute(&id, &deployer, OnStale::Reject).await }
    }))
    .await;
    let mut ran = 0;
    for report in results {
        let report = report.expect("an execution or its repetition");
        assert_eq!(report.request().status(), Status::Executed);
        ran += usize::from(!report.is_replayed());
    }
    assert_eq!(ran, 1);
    let (state, version) = governor.state::<Counter>(&counter).await.expect("a state");
    assert_eq!(state.expect("it was made").value, 1);
    assert_eq!(version, StateVersion::new(1));
    let request = governor.get(&id).await.expect("it is there");
    request.verify_history().expect("a whole history");
}

/// Executions of different requests about one state are each made exactly once.
pub async fn executions_about_one_state_add_up(trial: &Trial) {
    let governor = governor(trial, AllowAll);
    let counter = state_id("hits");
    let mut ids = Vec::new();
    for by in 1..=12 {
        let submission = governor.submit(&actor("alice"), &counter, add(by)).await;
        ids.push(submission.expect("a submission").id());
    }
    together(ids.into_iter().map(|id| {
        let governor = governor.clone();
        async move {
            let report = governor
                .execute(&id, &actor("deployer"), OnStale::AnyVersion)
                .await;
            assert_eq!(
                report.expect("an execution").request().status(),
                Status::Executed
            );
        }
    }))
    .await;
    let (state, version) = governor.state::<Counter>(&counter).await.expect("a state");
    assert_eq!(state.expect("it was made").value, (1..=12).sum::<i64>());
    assert_eq!(version, StateVersion::new(12));
}

/// Approvers that vote at the same time lose no vote: with a quorum of all of them the request is
/// approved.
pub async fn votes_at_the_same_time_are_all_kept(trial: &Trial) {
    const VOTERS: usize = 8;
    for turn in 0..5 {
        let people: Vec<String> = (0..VOTERS).map(|i| format!("voter-{i}")).collect();
        let governor = governor(trial, Asks::everyone(people.iter().map(String::as_str)));
        let state = state_id(format!("s-{turn}"));
        let submission = governor.submit(&actor("alice"), &state, add(1)).await;
        let id = submission.expect("a submission").id();
        let results = together(people.iter().map(|voter| {
            let (governor, voter) = (governor.clone(), actor(voter));
            async move { governor.approve(&id, &voter, "looked at it").await }
        }))
        .await;
        for result in results {
            result.expect("every vote counts");
        }
        let request = governor.get(&id).await.expect("it is there");
        assert_eq!(request.status(), Status::Approved);
        let voters: BTreeSet<_> = request.round().votes().iter().map(|v| v.actor()).collect();
        assert_eq!(voters.len(), VOTERS);
        assert_eq!(request.round().votes().len(), VOTERS);
        request.verify_history().expect("a whole history");
    }
}

/// One actor voting many times at once has one vote.
pub async fn one_voter_at_the_same_time_has_one_vote(trial: &Trial) {
    let governor = governor(trial, Asks::everyone(["bob", "carol"]));
    let submission = governor
        .submit(&actor("alice"), &state_id("a"), add(1))
        .await;
    let id = submission.expect("a submission").id();
    let results = together((0..8).map(|_| {
        let governor = governor.clone();
        async move { governor.approve(&id, &actor("bob"), "looked at it").await }
    }))
    .await;
    let mut counted = 0;
    for result in results {
        match result {
            Ok(_) => counted += 1,
            Err(error) => assert_eq!(error.code(), "vote.already_voted", "{error}"),
        }
    }
    assert_eq!(counted, 1);
    let request = governor.get(&id).await.expect("it is there");
    assert_eq!(request.round().votes().len(), 1);
    assert_eq!(request.status(), Status::Pending);
}

/// Repeating one operation many times at once does it once.
pub async fn one_operation_at_the_same_time_is_done_once(trial: &Trial) {
    let governor = governor(trial, Asks::everyone(["bob", "carol"]));
    let submission = governor
        .submit(&actor("alice"), &state_id("a"), add(1))
        .await;
    let id = submission.expect("a submission").id();
    let before = governor
        .get(&id)
        .await
        .expect("it is there")
        .decisions()
        .len();
    let operation: OperationId = trial.ids().operation_id();
    let results = together((0..8).map(|_| {
        let governor = governor.clone();
        let context = Context::of(&actor("bob")).operation(operation);
        async move { governor.approve(&id, context, "looked at it").await }
    }))
    .await;
    for result in results {
        result.expect("the vote, or its repetition");
    }
    let request = governor.get(&id).await.expect("it is there");
    assert_eq!(request.decisions().len(), before + 1);
    assert_eq!(request.round().votes().len(), 1);
}

/// Approve, reject, cancel and expire at the same time: one outcome, the losers are told, and the
/// history is whole.
pub async fn opposite_acts_end_in_one_outcome(trial: &Trial) {
    for turn in 0..10 {
        let governor = governor(trial, Asks::everyone(["bob", "carol"]));
        let state = state_id(format!("s-{turn}"));
        let submission = governor.submit(&actor("alice"), &state, add(1)).await;
        let id = submission.expect("a submission").id();
        let acts = (0..3).map(|act| {
            let governor = governor.clone();
            async move {
                match act {
                    0 => governor.approve(&id, &actor("bob"), "fine by me").await,
                    1 => governor.reject(&id, &actor("carol"), "not by me").await,
                    _ => governor.cancel(&id, &actor("alice"), "never mind").await,
                }
            }
        });
        let results = together(acts).await;
        let request = governor.get(&id).await.expect("it is there");
        let ended = [&results[1], &results[2]];
        assert_eq!(ended.iter().filter(|result| result.is_ok()).count(), 1);
        let status = if results[1].is_ok() {
            Status::Rejected
        } else {
            Status::Canceled
        };
        assert_eq!(request.status(), status);
        for result in results {
            if let Err(error) = result {
                typed_late(&error);
            }
        }
        one_ending(&request);
    }
}

/// Expiring against approving and canceling what is overdue: it expires, once.
pub async fn overdue_request_expires_once(trial: &Trial) {
    let governor = governor(trial, AllowAll);
    for turn in 0..10 {
        let builder = trial.request().state(&format!("s-{turn}")).overdue();
        let request = trial.create(&builder).await;
        let id = *request.id();
        let now = trial.start();
        let acts = (0..4).map(|act| {
            let governor = governor.clone();
            async move {
                match act {
                    0 => governor
                        .approve(&id, &actor("bob"), "too late")
                        .await
                        .map(drop),
                    1 => governor
                        .cancel(&id, &actor("alice"), "too late")
                        .await
                        .map(drop),
                    _ => governor.tick(now).await.map(drop),
                }
            }
        });
        for (act, result) in together(acts).await.into_iter().enumerate() {
            match result {
                Err(error) if act < 2 => typed_late(&error),
                Ok(()) if act >= 2 => {}
                other => panic!("act {act}: {other:?}"),
            }
        }
        let found = governor.get(&id).await.expect("it is there");
        assert_eq!(found.status(), Status::Expired);
        one_ending(&found);
    }
}

fn typed_late(error: &GovernorError) {
    let late = [
        "request.not_allowed",
        "request.takes_no_votes",
        "request.overdue",
    ];
    assert!(late.contains(&error.code()), "{}: {error}", error.code());
}

fn one_ending(request: &MutationRequest) {
    request.verify_history().expect("a whole history");
    let endings = request
        .decisions()
        .iter()
        .filter(|decision| decision.status().is_terminal())
        .count();
    assert_eq!(endings, 1, "one decision ends a request");
}

/// A vote against a cancel past the governor: whoever is second is told, and made from the fresh
/// record the second act is judged anew.
pub async fn stale_reader_does_not_overwrite(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    let approved = approve(&request, trial.act("bob"), Membership::default());
    let canceled = cancel(&request, trial.act("alice"));
    let revision = request.revision();
    let results = together([approved, canceled].map(|change| {
        let store = Arc::clone(trial.store());
        async move {
            let stored = store.try_store(Arc::clone(&change), revision).await;
            (change, stored)
        }
    }))
    .await;
    let winners: Vec<_> = results.iter().filter(|(_, r)| r.is_ok()).collect();
    assert_eq!(winners.len(), 1);
    check::stored(&**trial.store(), &winners[0].0).await;
}
