//! Whole lives of requests, through a governor on the provider.

use std::{sync::Arc, time::Duration};

use governance_core::{
    Actor, Context, ExecutionOutcome, Governor, GovernorError, IdSource as _, MutationRequest,
    NextState, OnStale, Order, PageRequest, Policy, RequestId, StateVersion, Status,
    SubmissionOutcome, SubmitOptions, TickOutcome, policy_fn,
};

use crate::{
    Trial, check,
    fixtures::{
        Add, AllowAll, Asks, Clear, Counter, DenyAll, QuorumOfRole, SetLock, StaticDirectory,
        actor, add, everyone, key, state_id, tenant,
    },
};

fn governor(trial: &Trial, policy: impl Policy) -> Governor {
    governor_with(trial, StaticDirectory::new(), policy)
}

fn governor_with(trial: &Trial, directory: StaticDirectory, policy: impl Policy) -> Governor {
    Governor::builder(Arc::clone(trial.store()))
        .directory(directory)
        .ids(trial.ids().clone())
        .register::<Add>()
        .register::<SetLock>()
        .register::<Clear>()
        .policy(policy)
        .build()
        .expect("a governor")
}

async fn submit(governor: &Governor, by: i64) -> RequestId {
    let (alice, hits) = (actor("alice"), state_id("hits"));
    let submitted = governor.submit(&alice, &hits, add(by)).await;
    submitted.expect("a submission").id()
}

/// Changes the counter past the request at hand.
async fn move_state(trial: &Trial, by: i64) {
    let other = governor(trial, AllowAll);
    let id = submit(&other, by).await;
    executed(&other, &id, OnStale::Reject).await;
}

async fn executed(governor: &Governor, id: &RequestId, on_stale: OnStale) -> Arc<MutationRequest> {
    let report = governor.execute(id, &actor("deployer"), on_stale).await;
    let report = report.expect("an execution");
    assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    assert!(!report.is_replayed());
    Arc::clone(report.request())
}

async fn value(governor: &Governor) -> (i64, u64) {
    let state = governor.state::<Counter>(&state_id("hits")).await;
    let (counter, version) = state.expect("a state");
    (counter.unwrap_or_default().value, version.get())
}

fn codes(request: &MutationRequest) -> Vec<String> {
    let decisions = request.decisions().iter();
    decisions
        .map(|decision| decision.kind().to_string())
        .collect()
}

fn code<T: std::fmt::Debug>(result: Result<T, GovernorError>) -> &'static str {
    match result {
        Ok(done) => panic!("expected a refusal, but it was done: {done:?}"),
        Err(error) => error.code(),
    }
}

/// What the store has is what the governor returned, and its history is whole.
async fn settled(trial: &Trial, request: &MutationRequest) {
    check::stored(&**trial.store(), request).await;
    request.verify_history().expect("a whole history");
}

/// Submit, approve, execute: the main job, and everything that is remembered of it.
pub async fn submit_approve_execute(trial: &Trial) {
    let governor = governor(trial, Asks::everyone(["bob"]));
    let id = submit(&governor, 5).await;
    let early = governor
        .execute(&id, &actor("deployer"), OnStale::Reject)
        .await;
    assert_eq!(code(early), "request.not_allowed");
    let own = governor.approve(&id, &actor("alice"), "fine by me").await;
    assert_eq!(code(own), "vote.self_approval");
    let approved = governor.approve(&id, &actor("bob"), "looked at it").await;
    assert_eq!(approved.expect("an approval").status(), Status::Approved);
    let request = executed(&governor, &id, OnStale::Reject).await;
    settled(trial, &request).await;
    assert_eq!(value(&governor).await, (5, 1));
    assert_eq!(
        request.execution().version_before().map(|v| v.get()),
        Some(0)
    );
    assert_eq!(
        request.execution().version_after().map(|v| v.get()),
        Some(1)
    );
    assert_eq!(
        codes(&request),
        [
            "lifecycle.submitted",
            "policy.evaluated",
            "lifecycle.pending",
            "approval.requested",
            "approval.stage_opened",
            "approval.granted",
            "approval.satisfied",
            "lifecycle.approved",
            "lifecycle.executed",
        ]
    );
    let again = governor
        .execute(&id, &actor("deployer"), OnStale::AnyVersion)
        .await;
    let again = again.expect("what was done");
    assert!(again.is_replayed());
    assert_eq!(value(&governor).await, (5, 1));
}

/// A mutation that ends its state deletes it in the step that says so in the history. What was
/// approved for the state that ended is stale, and the state that begins again goes on counting
/// versions.
pub async fn mutation_ends_the_state(trial: &Trial) {
    let governor = governor(trial, AllowAll);
    let first = submit(&governor, 5).await;
    executed(&governor, &first, OnStale::Reject).await;
    let late = submit(&governor, 7).await;
    let after = submit(&governor, 2).await;
    let cleared = governor
        .submit(&actor("alice"), &state_id("hits"), Clear {})
        .await;
    let id = cleared.expect("a submission").id();
    let run = governor
        .dry_run(&id, &actor("deployer"), OnStale::Reject)
        .await;
    let run = run.expect("a dry run");
    assert_eq!(run.next_state(), Some(&NextState::Deleted));
    assert_eq!(run.state(), None);
    assert_eq!(value(&governor).await, (5, 1));

    let request = executed(&governor, &id, OnStale::Reject).await;
    settled(trial, &request).await;
    assert!(request.execution().deleted_state());
    let found = governor.state::<Counter>(&state_id("hits")).await;
    assert_eq!(found.expect("an answer"), (None, StateVersion::new(2)));
    let again = governor
        .execute(&id, &actor("deployer"), OnStale::AnyVersion)
        .await;
    assert!(again.expect("what was done").is_replayed());

    let stale = governor
        .execute(&late, &actor("deployer"), OnStale::Reject)
        .await;
    let stale = stale.expect("an outcome");
    assert_eq!(stale.outcome(), ExecutionOutcome::Rejected);
    let anew = executed(&governor, &after, OnStale::AnyVersion).await;
    settled(trial, &anew).await;
    assert!(!anew.execution().deleted_state());
    assert_eq!(value(&governor).await, (2, 3));
}

/// What policies deny is stored as rejected, with their reasons.
pub async fn denied_submission_is_remembered(trial: &Trial) {
    let governor = governor(trial, DenyAll);
    let submitted = governor
        .submit(&actor("alice"), &state_id("hits"), add(5))
        .await;
    let submission = submitted.expect("a submission");
    let SubmissionOutcome::Denied { reasons } = submission.outcome() else {
        panic!("{:?}", submission.outcome());
    };
    assert_eq!(reasons[0].code.as_str(), "test.denied");
    let stored = governor.get(&submission.id()).await.expect("it is there");
    assert_eq!(stored.status(), Status::Rejected);
    settled(trial, &stored).await;
    let run = governor
        .execute(&submission.id(), &actor("deployer"), OnStale::Reject)
        .await;
    assert_eq!(code(run), "request.not_allowed");
}

/// A denial ends a request for good.
pub async fn rejected_request_stays_rejected(trial: &Trial) {
    let governor = governor(trial, Asks::everyone(["bob", "carol"]));
    let id = submit(&governor, 5).await;
    let rejected = governor
        .reject(&id, &actor("bob"), "too much at once")
        .await;
    let rejected = rejected.expect("a denial");
    assert_eq!(rejected.status(), Status::Rejected);
    settled(trial, &rejected).await;
    let late = governor.approve(&id, &actor("carol"), "fine by me").await;
    assert_eq!(code(late), "request.takes_no_votes");
    let late = governor.cancel(&id, &actor("alice"), "never mind").await;
    assert_eq!(code(late), "request.not_allowed");
    check::stored(&**trial.store(), &rejected).await;
}

/// A vote can be taken back and given again.
pub async fn withdrawn_vote_can_be_given_again(trial: &Trial) {
    let governor = governor(trial, Asks::everyone(["bob", "carol"]));
    let id = submit(&governor, 5).await;
    let bob = actor("bob");
    governor
        .approve(&id, &bob, "looked at it")
        .await
        .expect("a vote");
    let twice = governor.approve(&id, &bob, "looked again").await;
    assert_eq!(code(twice), "vote.already_voted");
    let withdrawn = governor.withdraw(&id, &bob, "on second thought").await;
    assert_eq!(withdrawn.expect("no vote").round().votes(), []);
    governor
        .approve(&id, &bob, "third thought")
        .await
        .expect("a vote");
    let approved = governor.approve(&id, &actor("carol"), "fine by me").await;
    let approved = approved.expect("a vote");
    assert_eq!(approved.status(), Status::Approved);
    settled(trial, &approved).await;
}

/// Roles count as the directory tells them at the moment of the vote.
pub async fn roles_come_from_the_directory(trial: &Trial) {
    let directory = StaticDirectory::new()
        .role("bob", "lead")
        .role("carol", "lead");
    let governor = governor_with(trial, directory.clone(), QuorumOfRole::new(2, "lead"));
    let id = submit(&governor, 5).await;
    governor
        .approve(&id, &actor("bob"), "looked at it")
        .await
        .expect("a vote");
    directory.revoke_role("carol", "lead");
    let late = governor.approve(&id, &actor("carol"), "fine by me").await;
    assert_eq!(code(late), "vote.not_eligible");
    directory.grant_role("dora", "lead");
    let approved = governor.approve(&id, &actor("dora"), "fine by me").await;
    assert_eq!(approved.expect("a vote").status(), Status::Approved);
    directory.revoke_role("bob", "lead");
    // What was granted stays granted.
    executed(&governor, &id, OnStale::Reject).await;
}

/// What too few people could approve is refused at submission, where the directory lists people.
pub async fn unsatisfiable_request_is_refused(trial: &Trial) {
    let directory = StaticDirectory::new()
        .role("bob", "lead")
        .role("alice", "lead");
    let listed = governor_with(trial, directory, QuorumOfRole::new(2, "lead"));
    let refused = listed
        .submit(&actor("alice"), &state_id("hits"), add(5))
        .await;
    assert_eq!(code(refused), "governor.unsatisfiable");
    assert_eq!(check::found(&**trial.store(), &listed.query()).await, []);
    let unlisted = StaticDirectory::new().unlisted();
    let unlisted = governor_with(trial, unlisted, QuorumOfRole::new(2, "lead"));
    submit(&unlisted, 5).await;
    assert_eq!(
        check::found(&**trial.store(), &unlisted.query())
            .await
            .len(),
        1
    );
}

async fn approved(trial: &Trial) -> (Governor, RequestId) {
    let governor = governor(trial, Asks::everyone(["bob"]));
    let id = submit(&governor, 5).await;
    let approved = governor.approve(&id, &actor("bob"), "looked at it").await;
    assert_eq!(approved.expect("a vote").status(), Status::Approved);
    (governor, id)
}

/// Stale, reject: the request ends and the state stays.
pub async fn stale_request_is_rejected(trial: &Trial) {
    let (governor, id) = approved(trial).await;
    move_state(trial, 1).await;
    let report = governor
        .execute(&id, &actor("deployer"), OnStale::Reject)
        .await;
    let report = report.expect("a decision");
    assert_eq!(report.outcome(), ExecutionOutcome::Rejected);
    settled(trial, report.request()).await;
    assert_eq!(value(&governor).await, (1, 1));
}

/// Stale, renew: old votes do not count, new ones do, and then it runs.
pub async fn stale_request_is_approved_again(trial: &Trial) {
    let (governor, id) = approved(trial).await;
    move_state(trial, 1).await;
    let report = governor
        .execute(&id, &actor("deployer"), OnStale::RenewApproval)
        .await;
    let report = report.expect("a decision");
    assert_eq!(report.outcome(), ExecutionOutcome::AwaitingApproval);
    let renewed = report.request();
    assert_eq!(renewed.status(), Status::Pending);
    assert_eq!(renewed.round().number(), 2);
    assert_eq!(renewed.round().votes(), []);
    assert_eq!(renewed.approved_version().get(), 1);
    let early = governor
        .execute(&id, &actor("deployer"), OnStale::AnyVersion)
        .await;
    assert_eq!(code(early), "request.not_allowed");
    governor
        .approve(&id, &actor("bob"), "still fine")
        .await
        .expect("a vote");
    let request = executed(&governor, &id, OnStale::Reject).await;
    settled(trial, &request).await;
    assert_eq!(value(&governor).await, (6, 2));
}

/// Stale, revalidate: what policies require now was granted, so it runs on the new version.
pub async fn stale_request_is_revalidated(trial: &Trial) {
    let (governor, id) = approved(trial).await;
    move_state(trial, 1).await;
    let request = executed(&governor, &id, OnStale::Revalidate).await;
    settled(trial, &request).await;
    assert!(codes(&request).contains(&"version.revalidated".to_owned()));
    assert_eq!(value(&governor).await, (6, 2));
}

/// Stale, revalidate: when policies require more by now, it waits for approvals again.
pub async fn stale_request_waits_when_policies_require_more(trial: &Trial) {
    let stricter = policy_fn("stricter-when-used", |subject| {
        let used = subject.state::<Counter>().is_some_and(|c| c.value > 0);
        let people: &[&str] = if used { &["bob", "carol"] } else { &["bob"] };
        let rules = everyone(people.iter().copied());
        Ok(governance_core::PolicyDecision::require(rules))
    });
    let governor = governor(trial, stricter);
    let id = submit(&governor, 5).await;
    governor
        .approve(&id, &actor("bob"), "looked at it")
        .await
        .expect("a vote");
    move_state(trial, 1).await;
    let report = governor
        .execute(&id, &actor("deployer"), OnStale::Revalidate)
        .await;
    let report = report.expect("a decision");
    assert_eq!(report.outcome(), ExecutionOutcome::AwaitingApproval);
    for who in ["bob", "carol"] {
        governor
            .approve(&id, &actor(who), "still fine")
            .await
            .expect("a vote");
    }
    executed(&governor, &id, OnStale::Reject).await;
    assert_eq!(value(&governor).await, (6, 2));
}

/// Stale, any version: it runs, and the history says so.
pub async fn stale_request_runs_on_any_version(trial: &Trial) {
    let (governor, id) = approved(trial).await;
    move_state(trial, 1).await;
    let request = executed(&governor, &id, OnStale::AnyVersion).await;
    settled(trial, &request).await;
    assert!(codes(&request).contains(&"version.any_version_accepted".to_owned()));
    assert_eq!(request.approved_version().get(), 0);
    assert_eq!(
        request.execution().version_before().map(|v| v.get()),
        Some(1)
    );
    assert_eq!(value(&governor).await, (6, 2));
}

/// A failed execution changes nothing and can be tried again once its cause is gone.
pub async fn failed_execution_is_retried(trial: &Trial) {
    let governor = governor(trial, AllowAll);
    let (alice, hits) = (actor("alice"), state_id("hits"));
    let lock = |locked| governor.submit(&alice, &hits, SetLock { locked });
    let locked = lock(true).await.expect("a submission").id();
    executed(&governor, &locked, OnStale::Reject).await;
    let id = submit(&governor, 5).await;
    let report = governor
        .execute(&id, &actor("deployer"), OnStale::Reject)
        .await;
    let report = report.expect("an attempt");
    assert_eq!(report.outcome(), ExecutionOutcome::Failed);
    assert_eq!(value(&governor).await, (0, 1));
    let run = governor
        .execute(&id, &actor("deployer"), OnStale::AnyVersion)
        .await;
    assert_eq!(code(run), "request.not_allowed");
    let unlocked = lock(false).await.expect("a submission").id();
    executed(&governor, &unlocked, OnStale::Reject).await;
    let retried = governor
        .retry(&id, &actor("alice"), "it is unlocked now")
        .await;
    assert_eq!(retried.expect("a retry").status(), Status::Approved);
    let request = executed(&governor, &id, OnStale::AnyVersion).await;
    assert_eq!(request.execution().attempts(), 2);
    settled(trial, &request).await;
    assert_eq!(value(&governor).await, (5, 3));
}

/// Superseding ends one request and links both.
pub async fn superseded_request_is_linked_both_ways(trial: &Trial) {
    let governor = governor(trial, Asks::everyone(["bob"]));
    let (old, new) = (submit(&governor, 5).await, submit(&governor, 6).await);
    let alice = actor("alice");
    let closed = governor.supersede(&old, &new, &alice, "a better one").await;
    let closed = closed.expect("a superseding");
    assert_eq!(closed.status(), Status::Superseded);
    assert_eq!(closed.links().superseded_by(), Some(&new));
    settled(trial, &closed).await;
    let taken = governor.get(&new).await.expect("it is there");
    assert_eq!(taken.links().supersedes(), [old]);
    settled(trial, &taken).await;
    let late = governor.approve(&old, &actor("bob"), "fine by me").await;
    assert_eq!(code(late), "request.takes_no_votes");
    let circle = governor.supersede(&new, &old, &alice, "and back").await;
    assert_eq!(code(circle), "request.other_is_final");
    governor
        .approve(&new, &actor("bob"), "fine by me")
        .await
        .expect("a vote");
    executed(&governor, &new, OnStale::Reject).await;
}

/// Deadline and reason of a pending request can be changed, by its owner.
pub async fn amendments_are_recorded(trial: &Trial) {
    let governor = governor(trial, Asks::everyone(["bob"]));
    let id = submit(&governor, 5).await;
    let alice = actor("alice");
    let deadline = trial.start().saturating_add(Duration::from_secs(86_400));
    let stranger = governor
        .amend_reason(&id, &actor("mallory"), "mine now")
        .await;
    assert_eq!(code(stranger), "governor.unauthorized");
    let amended = governor
        .amend_deadline(&id, &alice, Some(deadline), "by tomorrow")
        .await;
    assert_eq!(amended.expect("an amendment").expires_at(), Some(deadline));
    let amended = governor.amend_reason(&id, &alice, "ticket 12").await;
    let amended = amended.expect("an amendment");
    assert_eq!(amended.reason().map(|r| r.as_str()), Some("ticket 12"));
    settled(trial, &amended).await;
    let due = governor.query().due_by(deadline);
    let found = check::walk(&**trial.store(), &due, Order::Deadline, 10).await;
    assert_eq!(check::ids(&found), [id]);
    let past = trial.start();
    let refused = governor
        .amend_deadline(&id, &alice, Some(past), "back then")
        .await;
    assert_eq!(code(refused), "request.overdue");
    governor
        .approve(&id, &actor("bob"), "fine by me")
        .await
        .expect("a vote");
    let late = governor.amend_reason(&id, &alice, "too late").await;
    assert_eq!(code(late), "request.not_amendable");
}

/// A tick expires what is due, page after page, and nothing else.
pub async fn tick_expires_what_is_due(trial: &Trial) {
    let governor = governor(trial, AllowAll);
    let later = trial.start().saturating_add(Duration::from_secs(86_400));
    let kept = [
        trial.create(&trial.request()).await,
        trial.create(&trial.request().deadline(later)).await,
        trial
            .create(&trial.request().overdue().tenant("acme"))
            .await,
        trial.create(&trial.request().overdue().denied()).await,
    ];
    let mut due = Vec::new();
    for i in 0..130 {
        let builder = trial.request().overdue().state(&format!("s-{i}"));
        let builder = if i % 2 == 0 {
            builder
        } else {
            builder.allowed()
        };
        due.push(*trial.create(&builder).await.id());
    }
    // `now` can only hold back.
    let long_ago = governance_core::Timestamp::EPOCH;
    let held = governor.tick(long_ago).await.expect("a tick");
    assert!(held.items.is_empty());
    let report = governor
        .tick(governance_core::Timestamp::MAX)
        .await
        .expect("a tick");
    assert!(!report.more);
    assert_eq!(report.expired(), due.len());
    for item in &report.items {
        assert!(matches!(item.outcome, TickOutcome::Expired), "{item:?}");
    }
    let mut expired: Vec<_> = report.items.iter().map(|item| item.id).collect();
    expired.sort_unstable();
    due.sort_unstable();
    assert_eq!(expired, due);
    for request in &kept {
        check::stored(&**trial.store(), request).await;
    }
    let found = check::found(
        &**trial.store(),
        &governor.query().statuses([Status::Expired]),
    )
    .await;
    assert_eq!(found.len(), due.len());
    let again = governor.tick(trial.start()).await.expect("a tick");
    assert!(again.items.is_empty());
}

/// An act on what is overdue is refused, and expires it on the way out.
pub async fn overdue_request_takes_no_votes(trial: &Trial) {
    let governor = governor(trial, AllowAll);
    let request = trial.create(&trial.request().overdue()).await;
    let late = governor
        .approve(request.id(), &actor("bob"), "fine by me")
        .await;
    assert_eq!(code(late), "request.overdue");
    let found = governor.get(request.id()).await.expect("it is there");
    assert_eq!(found.status(), Status::Expired);
    settled(trial, &found).await;
}

/// The same idempotency key twice is the same request; another change under it is refused.
pub async fn submission_is_repeated_by_its_key(trial: &Trial) {
    let governor = governor(trial, Asks::everyone(["bob"]));
    let options = || SubmitOptions::new().idempotency_key(key("deploy-1"));
    let hits = state_id("hits");
    let alice = actor("alice");
    let first = governor.submit_with(&alice, &hits, add(5), options()).await;
    let first = first.expect("a submission");
    assert!(!first.is_replayed());
    governor
        .approve(&first.id(), &actor("bob"), "fine by me")
        .await
        .expect("a vote");
    let second = governor.submit_with(&alice, &hits, add(5), options()).await;
    let second = second.expect("the first submission");
    assert!(second.is_replayed());
    assert_eq!(second.id(), first.id());
    assert_eq!(second.request().status(), Status::Approved);
    for (who, by) in [("alice", 6), ("mallory", 5)] {
        let other = governor
            .submit_with(&actor(who), &hits, add(by), options())
            .await;
        assert_eq!(code(other), "governor.key_reused");
    }
    assert_eq!(
        check::found(&**trial.store(), &governor.query())
            .await
            .len(),
        1
    );
}

/// An operation repeated under its id does nothing again, and is its actor's alone.
pub async fn operation_is_repeated_by_its_id(trial: &Trial) {
    let governor = governor(trial, Asks::everyone(["bob", "carol"]));
    let id = submit(&governor, 5).await;
    let operation = trial.ids().operation_id();
    let by = |who: &Actor| Context::of(who).operation(operation);
    let first = governor
        .approve(&id, by(&actor("bob")), "looked at it")
        .await;
    let first = first.expect("a vote");
    let again = governor
        .approve(&id, by(&actor("bob")), "looked at it")
        .await;
    assert_eq!(again.expect("the first vote"), first);
    let stolen = governor
        .approve(&id, by(&actor("carol")), "looked at it")
        .await;
    assert_eq!(code(stolen), "governor.operation_reused");
    check::stored(&**trial.store(), &first).await;
}

/// A dry run tells what would happen and stores nothing.
pub async fn dry_run_stores_nothing(trial: &Trial) {
    let (governor, id) = approved(trial).await;
    let before = governor.get(&id).await.expect("it is there");
    let head = trial.store().head().await.expect("a token");
    let run = governor
        .dry_run(&id, &actor("deployer"), OnStale::Reject)
        .await;
    assert_eq!(
        run.expect("a dry run").outcome(),
        ExecutionOutcome::Executed
    );
    check::stored(&**trial.store(), &before).await;
    assert_eq!(value(&governor).await, (0, 0));
    let told = trial.store().read(Some(&head), 10).await.expect("a batch");
    assert_eq!(told.events, []);
}

/// A governor of another tenant finds nothing, whatever it asks.
pub async fn other_tenants_do_not_exist(trial: &Trial) {
    let (governor, id) = approved(trial).await;
    let before = governor.get(&id).await.expect("it is there");
    let theirs = governor.for_tenant(tenant("acme"));
    let (bob, reject) = (actor("bob"), OnStale::Reject);
    assert_eq!(code(theirs.get(&id).await), "governor.not_found");
    assert_eq!(
        code(theirs.approve(&id, &bob, "fine by me").await),
        "governor.not_found"
    );
    assert_eq!(
        code(theirs.cancel(&id, &bob, "never mind").await),
        "governor.not_found"
    );
    assert_eq!(
        code(theirs.execute(&id, &bob, reject).await),
        "governor.not_found"
    );
    let page = PageRequest::first(10).expect("a limit");
    let listed = theirs
        .requests(&theirs.query(), &page)
        .await
        .expect("a page");
    assert_eq!(listed.items, []);
    let foreign = theirs.requests(&governor.query(), &page).await;
    assert_eq!(code(foreign), "governor.other_tenant");
    check::stored(&**trial.store(), &before).await;
}
