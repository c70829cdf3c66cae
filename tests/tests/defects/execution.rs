//! D1-D14.

use std::{collections::BTreeSet, pin::pin, sync::Arc, task::Poll, time::Duration};

use governance_core::{
    Applied, Conflict, Context, ExecutionOutcome, Governor, GovernorError, Intent, InvalidName,
    Mutation, MutationError, MutationRequest, OnStale, OperationId, PolicyDecision, Provider,
    Resolution, Risk, StateVersion, StateWrite, Status, StoreError, StoreErrorKind,
    SubmissionOutcome, SubmitOptions, ValidationErrors, VoteRefused, WriteCertainty, policy_fn,
};
use serde::{Deserialize, Serialize};
use tests::fixtures::{
    Fault, FaultyStore, Lower, Quota, Raise, SequentialIds, World, assert_same, assert_whole,
    by_risk, codes, named, rules, state, user,
};

fn world() -> World {
    World::new(by_risk(rules([named("owner", 1, &["bob", "carol"])])))
}

async fn approved(world: &World) -> governance_core::RequestId {
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.expect("an approval");
    id
}

#[tokio::test]
async fn d1_only_approved_requests_are_executed() {
    let world = world();
    let pending = world.raise(500).await;
    let rejected = world.raise(501).await;
    world.deny(&rejected, "bob").await.unwrap();
    let canceled = world.raise(502).await;
    world.cancel(&canceled).await.unwrap();
    let soon = SubmitOptions::new().expires_in(Duration::from_secs(1));
    let expired = world.raise_with(503, soon).await;
    world.clock.advance(Duration::from_secs(2));
    world.tick().await;
    for id in [pending, rejected, canceled, expired] {
        let before = world.get(&id).await;
        let error = world.execute(&id, OnStale::AnyVersion).await.unwrap_err();
        assert_eq!(error.code(), "request.not_allowed", "{}", before.status());
        let after = world.get(&id).await;
        assert_same(&before, &after, "an execution that was refused");
    }
    assert_eq!(world.quota().await.1, StateVersion::ABSENT);
}

#[tokio::test]
async fn d2_executed_is_final_and_a_repeated_call_runs_nothing() {
    let world = world();
    let id = approved(&world).await;
    let first = world.execute(&id, OnStale::Reject).await.unwrap();
    for on_stale in OnStale::ALL {
        let again = world.execute(&id, on_stale).await.unwrap();
        assert!(again.is_replayed());
        assert_eq!(again.outcome(), ExecutionOutcome::Executed);
        assert_same(first.request(), again.request(), "a repeated execution");
    }
    assert_eq!(world.quota().await, (Quota::of(500), StateVersion::new(1)));
}

#[tokio::test]
async fn d3_what_runs_is_the_stored_payload_and_approvals_are_for_its_digest() {
    let world = world();
    let (mine, other) = (world.raise(500).await, world.raise(9_999).await);
    let payload = world.get(&mine).await.proposal().payload().clone();
    assert_eq!(payload.decode::<Raise>().unwrap(), Raise { by: 500 });
    let seen = *world.get(&other).await.round().subject();
    let vote = Context::of(&user("bob")).expecting(seen);
    let error = world.governor.approve(&mine, vote, "looks right").await;
    assert!(matches!(
        error.unwrap_err(),
        GovernorError::Request(governance_core::RequestError::Vote(
            VoteRefused::SubjectChanged { .. }
        ))
    ));
    world.approve(&mine, "bob").await.unwrap();
    world.execute(&mine, OnStale::Reject).await.unwrap();
    assert_eq!(world.quota().await.0.limit, 500);
}

#[tokio::test]
async fn d3_another_payload_in_the_record_is_refused() {
    let world = world();
    let id = world.raise(5).await;
    let mut forged = serde_json::to_value(&*world.get(&id).await).unwrap();
    let other = world.get(&world.raise(500).await).await;
    let body = serde_json::to_value(other.proposal().payload()).unwrap();
    forged["proposal"]["payload"] = body;
    let elsewhere = World::with(|b| {
        let policy = by_risk(rules([named("owner", 1, &["bob"])]));
        b.policy(policy).ids(SequentialIds::starting_at(1_000))
    });
    let forged: MutationRequest = serde_json::from_value(forged).unwrap();
    let stored = elsewhere.governor.store().create(Arc::new(forged)).await;
    stored.unwrap();
    let error = elsewhere.execute(&id, OnStale::Reject).await.unwrap_err();
    assert_eq!(error.code(), "history.proposal");
    assert_eq!(elsewhere.quota().await.1, StateVersion::ABSENT);
}

/// Says of itself what `R` and `O` say, and is stored under the name of [`Raise`].
#[derive(Debug, Serialize, Deserialize)]
struct Disguised<const CRITICAL: bool> {
    by: u64,
}

impl<const CRITICAL: bool> Mutation for Disguised<CRITICAL> {
    type State = Quota;
    const TYPE: &'static str = Raise::TYPE;

    fn intent(&self) -> Result<Intent, InvalidName> {
        Ok(if CRITICAL {
            Intent::new("quota.raise", "billing")?.risk(Risk::Critical)
        } else {
            Intent::new("quota.wipe", "billing")?
        })
    }

    fn validate(&self, _: &Quota) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, _: Quota) -> Result<Applied<Quota>, MutationError> {
        Ok(Applied::new(Quota::of(self.by)))
    }
}

async fn execute_as<M: Mutation>(world: &World, id: &governance_core::RequestId) -> GovernorError {
    let store: Arc<dyn Provider> = Arc::clone(world.governor.store());
    let other = Governor::builder(store)
        .register::<M>()
        .policy(policy_fn("yes", |_| Ok(PolicyDecision::allow())))
        .build()
        .expect("a governor");
    let operator = user("operator");
    let done = other.execute(id, &operator, OnStale::Reject).await;
    done.expect_err("a refusal")
}

#[tokio::test]
async fn d4_type_operation_and_risk_have_to_be_those_of_the_request() {
    let world = world();
    let id = approved(&world).await;
    let before = world.get(&id).await;
    let riskier = execute_as::<Disguised<true>>(&world, &id).await;
    assert_eq!(riskier.code(), "governor.intent_changed");
    let renamed = execute_as::<Disguised<false>>(&world, &id).await;
    assert_eq!(renamed.code(), "governor.intent_changed");
    let unknown = execute_as::<Lower>(&world, &id).await;
    assert_eq!(unknown.code(), "governor.unknown_mutation");
    let after = world.get(&id).await;
    assert_same(&before, &after, "an execution that was refused");
}

#[tokio::test]
async fn d5_state_and_version_come_from_the_store_and_are_written_under_a_check() {
    let world = world();
    world.put(&Quota::of(3)).await;
    let id = approved(&world).await;
    let report = world.execute(&id, OnStale::Reject).await.unwrap();
    let execution = report.request().execution();
    assert_eq!(execution.version_before(), Some(StateVersion::new(1)));
    assert_eq!(execution.version_after(), Some(StateVersion::new(2)));
    assert_eq!(world.quota().await, (Quota::of(503), StateVersion::new(2)));
    let late = StateWrite {
        scope: world.governor.scope::<Quota>(&state("team")).unwrap(),
        expected: StateVersion::new(1),
        body: None,
        operation: OperationId::from_bytes([1; 16]),
    };
    let error = world.governor.store().save(&late).await.unwrap_err();
    let (expected, actual) = (StateVersion::new(1), StateVersion::new(2));
    assert_eq!(
        error.conflict_data(),
        Some(Conflict::State { expected, actual })
    );
}

#[tokio::test]
async fn d6_any_version_is_a_choice_that_is_recorded() {
    let world = world();
    let (a, b) = (approved(&world).await, approved(&world).await);
    world.put(&Quota::of(3)).await;
    let rejected = world.execute(&a, OnStale::Reject).await.unwrap();
    assert_eq!(rejected.outcome(), ExecutionOutcome::Rejected);
    let executed = world.execute(&b, OnStale::AnyVersion).await.unwrap();
    assert_eq!(executed.outcome(), ExecutionOutcome::Executed);
    let recorded = codes(executed.request());
    assert!(recorded.contains(&"version.any_version_accepted".to_owned()));
}

#[tokio::test]
async fn d7_a_dry_run_is_an_operation_of_its_own_and_changes_no_status() {
    let world = world();
    let id = approved(&world).await;
    let before = world.get(&id).await;
    let run = world.dry_run(&id, OnStale::Reject).await.unwrap();
    assert_eq!(run.outcome(), ExecutionOutcome::Executed);
    assert!(run.state().is_some());
    assert_eq!(run.request().status(), Status::Executed);
    let version = StateVersion::ABSENT;
    assert_eq!(run.resolution(), Resolution::Current { version });
    let after = world.get(&id).await;
    assert_same(&before, &after, "a dry run");
    assert_eq!(world.quota().await.1, StateVersion::ABSENT);
}

#[tokio::test]
async fn d9_state_and_record_change_together_or_not_at_all() {
    let refused = std::sync::atomic::AtomicBool::new(false);
    let plan = move |request: &MutationRequest| {
        let first = request.status() == Status::Executed
            && !refused.swap(true, std::sync::atomic::Ordering::SeqCst);
        let error = StoreError::new(StoreErrorKind::Unexpected, "commit", "not today");
        first.then_some(Fault::Refuse(error))
    };
    let policy = by_risk(rules([]));
    let world = World::on(|s| FaultyStore::new(s, plan), |b| b.policy(policy));
    let id = world.raise(5).await;
    let before = world.get(&id).await;
    let error = world.execute(&id, OnStale::Reject).await.unwrap_err();
    assert_eq!(error.code(), "store.unexpected");
    let after = world.get(&id).await;
    assert_same(&before, &after, "a commit that failed");
    assert_eq!(world.quota().await.1, StateVersion::ABSENT);
    let report = world.execute(&id, OnStale::Reject).await.unwrap();
    assert!(!report.is_replayed());
    assert_eq!(world.quota().await, (Quota::of(5), StateVersion::new(1)));
}

/// A policy that looks at the state as it is: fine below 10, to be approved below 100, else no.
fn by_limit() -> impl governance_core::Policy {
    policy_fn("by-limit", |subject| {
        Ok(match subject.state::<Quota>().map_or(0, |q| q.limit) {
            0..10 => PolicyDecision::allow(),
            10..100 => PolicyDecision::require(rules([named("owner", 1, &["bob"])])),
            _ => PolicyDecision::deny("limit.reached", "high enough")?,
        })
    })
}

#[tokio::test]
async fn d10_revalidation_asks_policies_about_the_latest_state_and_has_three_ways_out() {
    for (limit, outcome, status) in [
        (5, ExecutionOutcome::Executed, Status::Executed),
        (50, ExecutionOutcome::AwaitingApproval, Status::Pending),
        (500, ExecutionOutcome::Rejected, Status::Rejected),
    ] {
        let world = World::new(by_limit());
        let id = world.raise(1).await;
        assert_eq!(world.get(&id).await.status(), Status::Approved);
        world.put(&Quota::of(limit)).await;
        let report = world.execute(&id, OnStale::Revalidate).await.unwrap();
        assert_eq!(report.outcome(), outcome, "{limit}");
        assert_eq!(report.request().status(), status, "{limit}");
        let recorded = codes(report.request());
        assert!(recorded.contains(&"version.revalidated".to_owned()));
        assert_whole(report.request());
    }
}

#[tokio::test]
async fn d10_a_mutation_that_makes_no_sense_any_more_is_rejected_with_its_violations() {
    let world = World::new(by_limit());
    world.put(&Quota::of(5)).await;
    let (alice, team) = (user("alice"), state("team"));
    let submitted = world.governor.submit(&alice, &team, Lower { by: 4 }).await;
    let id = submitted.unwrap().id();
    world.put(&Quota::of(3)).await;
    let report = world.execute(&id, OnStale::Revalidate).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::Rejected);
    assert_eq!(report.request().rejection().unwrap().code(), "invalid");
}

#[tokio::test]
async fn d11_a_failed_execution_is_not_a_rejection() {
    for (quota, code, retryable) in [
        (Quota::of(1).frozen(), "quota.frozen", true),
        (Quota::of(1).sealed(), "quota.sealed", false),
    ] {
        let world = world();
        world.put(&quota).await;
        let id = approved(&world).await;
        let report = world.execute(&id, OnStale::Reject).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Failed);
        assert_eq!(report.request().status(), Status::Failed);
        let execution = report.request().execution();
        let failure = execution.failure().unwrap();
        assert_eq!(
            (failure.code.as_str(), failure.retryable),
            (code, retryable)
        );
        assert_eq!(execution.attempts(), 1);
        assert_eq!(world.quota().await, (quota, StateVersion::new(1)));
        let retried = world.retry(&id).await;
        if retryable {
            assert_eq!(retried.unwrap().status(), Status::Approved);
            let again = world.execute(&id, OnStale::Reject).await.unwrap();
            assert_eq!(again.request().execution().attempts(), 2);
        } else {
            assert_eq!(retried.unwrap_err().code(), "request.not_retryable");
        }
    }
}

#[tokio::test]
async fn d11_a_policy_that_cannot_tell_puts_an_execution_off() {
    use async_trait::async_trait;
    use governance_core::{Policy, PolicyFault, PolicyPhase, PolicySubject};

    #[derive(Debug)]
    struct SlowLater;

    #[async_trait]
    impl Policy for SlowLater {
        fn name(&self) -> &str {
            "slow-later"
        }

        async fn evaluate(
            &self,
            subject: &PolicySubject<'_>,
        ) -> Result<PolicyDecision, PolicyFault> {
            if subject.phase() == PolicyPhase::Execution {
                std::future::pending::<()>().await;
            }
            Ok(PolicyDecision::allow())
        }
    }

    let soon = Duration::from_millis(1);
    let world = World::with(|b| b.policy(SlowLater).policy_deadline(soon));
    let id = world.raise(1).await;
    let before = world.get(&id).await;
    let error = world.execute(&id, OnStale::Reject).await.unwrap_err();
    assert_eq!(error.code(), "governor.policy_unavailable");
    let after = world.get(&id).await;
    assert_same(&before, &after, "a policy that could not tell");
}

fn losing_replies(
    of: Status,
    times: u32,
) -> impl FnOnce(governance_memory::MemoryStore) -> FaultyStore {
    move |inner| {
        let left = std::sync::atomic::AtomicU32::new(times);
        FaultyStore::new(inner, move |request| {
            use std::sync::atomic::Ordering::SeqCst;
            let lose = request.status() == of
                && left
                    .fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
                    .is_ok();
            let error = StoreError::new(StoreErrorKind::Timeout, "commit", "no reply")
                .with_outcome(WriteCertainty::Unknown);
            lose.then_some(Fault::LoseReply(error))
        })
    }
}

#[tokio::test]
async fn d12_a_lost_reply_is_settled_by_reading_again() {
    let policy = by_risk(rules([]));
    let world = World::on(losing_replies(Status::Executed, 1), |b| b.policy(policy));
    let id = world.raise(5).await;
    let report = world.execute(&id, OnStale::Reject).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    assert_eq!(world.quota().await, (Quota::of(5), StateVersion::new(1)));
    assert_eq!(report.request().execution().side_effects().len(), 1);
}

#[tokio::test]
async fn d12_what_stays_unknown_is_told_with_its_operation_and_settled_by_repeating() {
    let policy = by_risk(rules([]));
    let world = World::on(losing_replies(Status::Executed, 1), |b| {
        b.policy(policy).attempts(1)
    });
    let id = world.raise(5).await;
    let error = world.execute(&id, OnStale::Reject).await.unwrap_err();
    let GovernorError::Unknown { operation, .. } = error else {
        panic!("{error}");
    };
    let again = Context::of(&user("operator")).operation(operation);
    let report = world.governor.execute(&id, again, OnStale::Reject).await;
    let report = report.unwrap();
    assert!(report.is_replayed());
    assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    assert_eq!(world.quota().await, (Quota::of(5), StateVersion::new(1)));
}

/// Lets every call of the store wait once before it is made and once after.
#[derive(Debug)]
struct Waiting;

#[governance_testkit::async_trait]
impl governance_testkit::faults::Fault for Waiting {
    async fn before(&self, _: governance_testkit::faults::Call) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn after(&self, _: governance_testkit::faults::Call) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// Whether it was done when it had been polled so often. If not, nobody waits for it any more.
async fn done_in(polls: usize, work: impl Future) -> bool {
    let mut work = pin!(work);
    for _ in 0..polls {
        if std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx)))
            .await
            .is_ready()
        {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn d12_who_gives_up_waiting_leaves_all_or_nothing_and_can_repeat() {
    let mut seen = BTreeSet::new();
    for polls in 0..1_000 {
        let policy = by_risk(rules([]));
        let wrap = |s| governance_testkit::faults::Faulty::with(s, Waiting);
        let world = World::on(wrap, |b| b.policy(policy));
        let id = world.raise(5).await;
        let operator = user("operator");
        let operation = OperationId::from_bytes([7; 16]);
        let context = || Context::of(&operator).operation(operation);
        let execution = world.governor.execute(&id, context(), OnStale::Reject);
        let waited = done_in(polls, execution).await;
        let request = world.get(&id).await;
        let executed = request.status() == Status::Executed;
        if !executed {
            assert_eq!(request.status(), Status::Approved, "after {polls} polls");
        }
        let version = world.quota().await.1;
        assert_eq!(version, StateVersion::new(u64::from(executed)));
        let effects = request.execution().side_effects().len();
        assert_eq!(effects, usize::from(executed));
        let again = world.governor.execute(&id, context(), OnStale::Reject);
        let again = again.await.unwrap();
        assert_eq!(again.outcome(), ExecutionOutcome::Executed);
        assert_eq!(again.is_replayed(), executed);
        assert_whole(again.request());
        assert_eq!(world.quota().await, (Quota::of(5), StateVersion::new(1)));
        seen.insert((executed, waited));
        if waited {
            break;
        }
    }
    // Given up before the write, given up while the answer was on its way, and not given up.
    let all = [(false, false), (true, false), (true, true)];
    assert_eq!(seen, BTreeSet::from(all));
}

#[tokio::test]
async fn d13_a_denial_names_the_policy_that_denies_and_its_reasons() {
    let world = World::with(|b| {
        b.policy(policy_fn("first", |_| Ok(PolicyDecision::allow())))
            .policy(policy_fn("second", |_| {
                Ok(PolicyDecision::deny("freeze", "not before the launch")?)
            }))
    });
    let (alice, team) = (user("alice"), state("team"));
    let submitted = world.governor.submit(&alice, &team, Raise { by: 1 }).await;
    let submission = submitted.unwrap();
    let SubmissionOutcome::Denied { reasons } = submission.outcome() else {
        panic!("not denied");
    };
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].to_string(), "freeze: not before the launch");
    let text = serde_json::to_string(submission.request().decisions()).unwrap();
    assert!(text.contains("policies/second"));
    assert_eq!(
        submission.request().rejection().unwrap().code(),
        "policy_denied"
    );
}

#[tokio::test]
async fn d13_what_is_invalid_is_told_apart_from_what_is_denied() {
    let world = World::new(by_risk(rules([])));
    let (alice, team) = (user("alice"), state("team"));
    let error = world.governor.submit(&alice, &team, Raise { by: 0 }).await;
    assert_eq!(error.unwrap_err().code(), "governor.invalid");
}

#[tokio::test]
async fn d14_the_approved_version_is_never_overwritten() {
    let world = world();
    let id = approved(&world).await;
    world.put(&Quota::of(3)).await;
    let report = world.execute(&id, OnStale::AnyVersion).await.unwrap();
    let request = report.request();
    assert_eq!(request.proposal().submitted_version(), StateVersion::ABSENT);
    assert_eq!(request.approved_version(), StateVersion::ABSENT);
    assert_eq!(
        request.execution().version_before(),
        Some(StateVersion::new(1))
    );
}
