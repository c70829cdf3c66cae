//! Races, on many threads and over many seeds: nothing is lost, nothing happens twice, and what
//! came too late is told so.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use async_trait::async_trait;
use governance_core::{
    Context, ExecutionOutcome, GovernorError, IdempotencyKey, OnStale, OperationId, Policy,
    PolicyDecision, PolicyFault, PolicySubject, RequestId, StateVersion, Status, SubmitOptions,
};
use tests::fixtures::{
    Quota, Raise, Shuffle, World, assert_same, assert_whole, everyone, requiring, rules, seeds,
    state, user,
};

/// Runs all of them at the same time, each after a few yields of its own, in an order of the
/// seed's. What they return comes in their own order.
async fn race<T: Send + 'static>(
    seed: u64,
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut shuffle = Shuffle::seeded(seed);
    let mut tasks: Vec<_> = tasks.into_iter().enumerate().collect();
    shuffle.shuffle(&mut tasks);
    let mut running = Vec::new();
    for (i, task) in tasks {
        let yields = shuffle.below(4);
        let task = async move {
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
            task.await
        };
        running.push((i, tokio::spawn(task)));
    }
    let mut done = BTreeMap::new();
    for (i, task) in running {
        done.insert(i, task.await.expect("a task"));
    }
    done.into_values().collect()
}

fn voters(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("voter-{i}")).collect()
}

fn all_have_to_approve(n: usize) -> World {
    let names = voters(n);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    World::new(requiring(rules([everyone("all", &names)])))
}

async fn no_vote_is_lost(seed: u64, n: usize) {
    let world = Arc::new(all_have_to_approve(n));
    let id = world.raise(500).await;
    let votes = voters(n).into_iter().map(|voter| {
        let world = Arc::clone(&world);
        async move { world.approve(&id, &voter).await }
    });
    for vote in race(seed, votes).await {
        vote.expect("a vote that counts");
    }
    let request = world.get(&id).await;
    assert_eq!(request.status(), Status::Approved, "seed {seed}");
    assert_eq!(request.round().votes().len(), n, "seed {seed}");
    assert_eq!(request.revision().get(), n as u64 + 1);
    assert_whole(&request);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_approvers_and_a_quorum_of_eight_never_lose_a_vote() {
    for seed in seeds(200) {
        no_vote_is_lost(seed, 8).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_approvers_and_a_quorum_of_sixty_four_never_lose_a_vote() {
    for seed in 0..3 {
        no_vote_is_lost(seed, 64).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_person_voting_eight_times_at_once_has_one_vote() {
    for seed in 0..50 {
        let world = Arc::new(all_have_to_approve(2));
        let id = world.raise(500).await;
        let votes = (0..8).map(|_| {
            let world = Arc::clone(&world);
            async move { world.approve(&id, "voter-0").await.map(drop) }
        });
        let done = race(seed, votes).await;
        assert_eq!(done.iter().filter(|d| d.is_ok()).count(), 1, "seed {seed}");
        for error in done.into_iter().filter_map(Result::err) {
            assert_eq!(error.code(), "vote.already_voted");
        }
        assert_eq!(world.get(&id).await.round().votes().len(), 1);
    }
}

/// What the acts of a race for the end of a request came to.
fn ended_once(status: Status, done: &[(&str, Result<(), GovernorError>)]) {
    for (act, result) in done {
        let Err(error) = result else { continue };
        let expected = [
            "request.takes_no_votes",
            "request.not_allowed",
            "request.overdue",
        ];
        assert!(expected.contains(&error.code()), "{act}: {error}");
    }
    let succeeded: Vec<_> = done
        .iter()
        .filter(|(act, result)| result.is_ok() && *act != "tick")
        .map(|(act, _)| *act)
        .collect();
    // A request can be approved and canceled or expire after that; nothing follows an end.
    match status {
        Status::Approved => assert_eq!(succeeded, ["approve"]),
        Status::Rejected => assert_eq!(succeeded, ["reject"]),
        Status::Canceled => assert!(matches!(*succeeded, ["cancel"] | ["approve", "cancel"])),
        Status::Expired => assert!(matches!(*succeeded, [] | ["approve"])),
        other => panic!("{other}"),
    }
}

async fn race_for_the_end(seed: u64, late: bool) -> Status {
    let world = Arc::new(World::new(requiring(rules([everyone("owner", &["bob"])]))));
    let hour = std::time::Duration::from_secs(3_600);
    let options = SubmitOptions::new().expires_in(hour);
    let id = world.raise_with(500, options).await;
    let acts = ["approve", "reject", "cancel", "tick"].map(|act| {
        let world = Arc::clone(&world);
        async move {
            let done = match act {
                "approve" => world.approve(&id, "bob").await.map(drop),
                "reject" => world.deny(&id, "bob").await.map(drop),
                "cancel" => world.cancel(&id).await.map(drop),
                _ => {
                    if late {
                        world.clock.advance(hour);
                    }
                    world.tick().await;
                    Ok(())
                }
            };
            (act, done)
        }
    });
    let done = race(seed, acts).await;
    let request = world.get(&id).await;
    assert_whole(&request);
    ended_once(request.status(), &done);
    let ends = request
        .decisions()
        .iter()
        .filter(|d| d.status().is_terminal() && d.kind().to_string().starts_with("lifecycle."));
    assert_eq!(ends.count(), usize::from(request.status().is_terminal()));
    request.status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn approve_reject_cancel_and_expire_come_to_one_end() {
    let mut seen = BTreeMap::new();
    for seed in 0..300 {
        let status = race_for_the_end(seed, seed % 2 == 0).await;
        *seen.entry(status).or_insert(0) += 1;
    }
    // A race that always ends the same way would prove nothing.
    assert!(seen.len() >= 3, "{seen:?}");
}

/// Lets other tasks run between loading and storing.
#[derive(Debug)]
struct Dithers;

#[async_trait]
impl Policy for Dithers {
    fn name(&self) -> &str {
        "dithers"
    }

    async fn evaluate(&self, subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
        for _ in 0..subject.version().get() % 3 + 1 {
            tokio::task::yield_now().await;
        }
        Ok(PolicyDecision::allow())
    }
}

fn execute(
    world: &Arc<World>,
    id: RequestId,
    on_stale: OnStale,
) -> impl Future<Output = Result<(ExecutionOutcome, bool), GovernorError>> + Send + use<> {
    let world = Arc::clone(world);
    async move {
        let report = world.execute(&id, on_stale).await?;
        Ok((report.outcome(), report.is_replayed()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_tasks_executing_one_request_commit_its_state_once() {
    for seed in 0..10 {
        let world = Arc::new(World::new(Dithers));
        let id = world.raise(5).await;
        let tasks = (0..64).map(|_| execute(&world, id, OnStale::Reject));
        let done = race(seed, tasks).await;
        let mut ran = 0;
        for outcome in done {
            let (outcome, replayed) = outcome.expect("an outcome");
            assert_eq!(outcome, ExecutionOutcome::Executed);
            ran += u32::from(!replayed);
        }
        assert_eq!(ran, 1, "seed {seed}");
        assert_eq!(world.quota().await, (Quota::of(5), StateVersion::new(1)));
        let request = world.get(&id).await;
        assert_eq!(request.execution().attempts(), 1);
        assert_whole(&request);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_requests_for_one_version_one_is_executed_and_the_rest_are_stale() {
    let world = Arc::new(World::new(Dithers));
    for version in 1..=3_u64 {
        let mut ids = Vec::new();
        for _ in 0..64 {
            ids.push(world.raise(1).await);
        }
        let tasks = ids.iter().map(|id| execute(&world, *id, OnStale::Reject));
        let done = race(version, tasks.collect::<Vec<_>>()).await;
        let mut executed = 0;
        for outcome in done {
            match outcome.expect("an outcome").0 {
                ExecutionOutcome::Executed => executed += 1,
                ExecutionOutcome::Rejected => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(executed, 1);
        assert_eq!(
            world.quota().await,
            (Quota::of(version), StateVersion::new(version))
        );
        for id in ids {
            let request = world.get(&id).await;
            assert_whole(&request);
            if let Some(cause) = request.rejection() {
                assert_eq!(cause.code(), "stale");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_version_is_accepted_every_request_is_executed_and_no_update_is_lost() {
    for on_stale in [
        OnStale::AnyVersion,
        OnStale::Revalidate,
        OnStale::RenewApproval,
    ] {
        let world = Arc::new(World::new(Dithers));
        let mut ids = Vec::new();
        for _ in 0..24 {
            ids.push(world.raise(1).await);
        }
        let tasks = ids.iter().map(|id| execute(&world, *id, on_stale));
        for outcome in race(7, tasks.collect::<Vec<_>>()).await {
            assert_eq!(outcome.expect("an outcome").0, ExecutionOutcome::Executed);
        }
        assert_eq!(world.quota().await, (Quota::of(24), StateVersion::new(24)));
        let mut versions: Vec<u64> = Vec::new();
        for id in ids {
            let request = world.get(&id).await;
            assert_whole(&request);
            versions.extend(request.execution().version_after().map(StateVersion::get));
        }
        versions.sort_unstable();
        assert_eq!(versions, (1..=24).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_execution_and_a_cancellation_do_not_both_happen() {
    for seed in 0..100 {
        let world = Arc::new(World::new(Dithers));
        let id = world.raise(5).await;
        let acts = [true, false].map(|executes| {
            let world = Arc::clone(&world);
            async move {
                if executes {
                    world.execute(&id, OnStale::Reject).await.map(drop)
                } else {
                    world.cancel(&id).await.map(drop)
                }
            }
        });
        let done = race(seed, acts).await;
        assert_eq!(done.iter().filter(|d| d.is_ok()).count(), 1, "seed {seed}");
        let request = world.get(&id).await;
        let executed = request.status() == Status::Executed;
        assert_eq!(done[0].is_ok(), executed);
        assert_eq!(world.quota().await.1.get(), u64::from(executed));
        assert_whole(&request);
    }
}

// ---- repeated operations ----

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_vote_sent_sixteen_times_under_one_operation_id_is_one_vote() {
    for seed in 0..50 {
        let world = Arc::new(all_have_to_approve(2));
        let id = world.raise(500).await;
        let operation = OperationId::from_bytes([3; 16]);
        let votes = (0..16).map(|_| {
            let world = Arc::clone(&world);
            let vote = Context::of(&user("voter-0")).operation(operation);
            async move { world.governor.approve(&id, vote, "looks right").await }
        });
        let first = world.get(&id).await;
        for done in race(seed, votes).await {
            let seen = done.expect("the first outcome");
            assert!(seen.outcome_of(operation).is_some());
        }
        let after = world.get(&id).await;
        assert_eq!(after.revision(), first.revision().next());
        assert_eq!(after.round().votes().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_execution_sent_sixteen_times_under_one_operation_id_runs_once() {
    for seed in 0..20 {
        let world = Arc::new(World::new(Dithers));
        world.put(&Quota::of(1).frozen()).await;
        let id = world.raise(5).await;
        let operation = OperationId::from_bytes([3; 16]);
        let tasks = (0..16).map(|_| {
            let world = Arc::clone(&world);
            let call = Context::of(&user("operator")).operation(operation);
            async move { world.governor.execute(&id, call, OnStale::Reject).await }
        });
        // It fails, which is not final: only the operation id keeps it from running again.
        for done in race(seed, tasks).await {
            assert_eq!(
                done.expect("the first outcome").outcome(),
                ExecutionOutcome::Failed
            );
        }
        assert_eq!(world.get(&id).await.execution().attempts(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_submission_sent_sixteen_times_under_one_key_is_one_request() {
    for seed in 0..50 {
        let world = Arc::new(World::new(Dithers));
        let tasks = (0..16).map(|_| {
            let world = Arc::clone(&world);
            async move {
                let key = IdempotencyKey::new("once").expect("a key");
                let options = SubmitOptions::new().idempotency_key(key);
                let (alice, team) = (user("alice"), state("team"));
                let submitted = world
                    .governor
                    .submit_with(&alice, &team, Raise { by: 5 }, options);
                let submission = submitted.await.expect("a submission");
                (submission.id(), submission.is_replayed())
            }
        });
        let done = race(seed, tasks).await;
        assert!(done.iter().all(|(id, _)| *id == done[0].0), "seed {seed}");
        assert_eq!(done.iter().filter(|(_, replayed)| !replayed).count(), 1);
    }
}

#[tokio::test]
async fn an_operation_of_somebody_else_is_not_repeated_in_their_name() {
    let world = all_have_to_approve(2);
    let id = world.raise(500).await;
    let operation = OperationId::from_bytes([3; 16]);
    let vote = |who: &str| Context::of(&user(who)).operation(operation);
    let first = world.governor.approve(&id, vote("voter-0"), "looks right");
    first.await.unwrap();
    let before = world.get(&id).await;
    let other = world.governor.approve(&id, vote("voter-1"), "looks right");
    assert_eq!(other.await.unwrap_err().code(), "governor.operation_reused");
    let after = world.get(&id).await;
    assert_same(&before, &after, "an operation of somebody else");
}
