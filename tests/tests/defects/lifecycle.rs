//! D15-D27.

use std::{sync::Arc, time::Duration};

use governance_core::{
    Act, Actor, AmendmentEvent, DecisionKind, DecisionQuery, ExpiryCause, GovernorError,
    IdempotencyKey, Judgement, Lifecycle, MutationRequest, OnStale, OperationId, PageRequest,
    PendingReason, PolicyAnswer, PolicyDecision, RequestError, RequestId, StateId, Status,
    StoreErrorKind, SubmitOptions, Timestamp, policy_fn,
};
use tests::fixtures::{
    Quota, Raise, VirtualClock, World, assert_same, assert_whole, by_risk, codes, of_group, rules,
    state, user,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn world() -> World {
    World::new(by_risk(rules([of_group("security", 2, "security")])))
}

fn act(world: &World, by: &str) -> Act {
    let operation = OperationId::from_bytes([7; 16]);
    Act::new(&user(by), world.clock.read(), operation)
}

fn expiring(after: Duration) -> SubmitOptions {
    SubmitOptions::new().expires_in(after)
}

/// The request as JSON says, after somebody edited it.
fn edited(request: &MutationRequest, edit: impl FnOnce(&mut serde_json::Value)) -> MutationRequest {
    let mut json = serde_json::to_value(request).expect("a request as JSON");
    edit(&mut json);
    serde_json::from_value(json).expect("a request from JSON")
}

#[tokio::test]
async fn d15_nothing_is_executed_while_approvals_are_missing() {
    let world = world();
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let half = world.execute(&id, OnStale::AnyVersion).await.unwrap_err();
    assert_eq!(half.code(), "request.not_allowed");
    world.approve(&id, "carol").await.unwrap();
    let approved = world.get(&id).await;
    approved
        .draft(act(&world, "eve"))
        .check_executable()
        .unwrap();
    let unvoted = edited(&approved, |json| json["round"]["votes"] = [0; 0].into());
    let refused = unvoted.draft(act(&world, "eve")).check_executable();
    assert_eq!(refused, Err(RequestError::ApprovalsMissing));
}

#[tokio::test]
async fn d16_every_writer_asks_the_one_table() {
    let world = world();
    let id = world.raise_with(500, expiring(HOUR)).await;
    world.cancel(&id).await.unwrap();
    let before = world.get(&id).await;
    let other = world.raise(501).await;
    world.clock.advance(HOUR * 2);
    let refusals = [
        world.approve(&id, "bob").await.map(drop),
        world.deny(&id, "bob").await.map(drop),
        world.withdraw(&id, "bob").await.map(drop),
        world.cancel(&id).await.map(drop),
        world.supersede(&id, &other).await.map(drop),
        world.amend_reason(&id, "another one").await.map(drop),
        world.amend_deadline(&id, None).await.map(drop),
        world.retry(&id).await.map(drop),
        world.execute(&id, OnStale::RenewApproval).await.map(drop),
    ];
    for refusal in refusals {
        assert!(matches!(refusal.unwrap_err(), GovernorError::Request(_)));
    }
    world.tick().await;
    let after = world.get(&id).await;
    assert_same(&before, &after, "something");
}

#[tokio::test]
async fn d17_every_action_checks_the_deadline_and_approved_requests_expire_too() {
    let world = world();
    let pending = world.raise_with(500, expiring(HOUR)).await;
    let approved = world.raise_with(1, expiring(HOUR)).await;
    world.clock.advance(HOUR);
    let vote = world.approve(&pending, "bob").await.unwrap_err();
    assert_eq!(vote.code(), "request.overdue");
    let execution = world.execute(&approved, OnStale::Reject).await.unwrap_err();
    assert_eq!(execution.code(), "request.overdue");
    for id in [pending, approved] {
        assert_eq!(world.get(&id).await.status(), Status::Expired);
    }
}

#[tokio::test]
async fn d18_expires_only_when_due() {
    let world = world();
    let id = world.raise_with(500, expiring(HOUR)).await;
    world.clock.advance(HOUR - Duration::from_micros(1));
    let mut draft = world.get(&id).await.draft(act(&world, "eve"));
    assert_eq!(draft.expire(), Err(RequestError::NotDue));
    assert!(!draft.is_changed());
    assert!(world.tick().await.items.is_empty());
    world.clock.advance(Duration::from_micros(1));
    assert_eq!(world.tick().await.expired(), 1);
}

#[tokio::test]
async fn d18_every_deadline_ends_in_expired_and_says_which_it_was() {
    let minute = Duration::from_secs(60);
    let rules = rules([of_group("security", 2, "security").expires_in(minute)]);
    let world = World::new(by_risk(rules));
    let slot = world.raise_with(500, expiring(HOUR)).await;
    let whole = world.raise_with(1, expiring(HOUR)).await;
    world.clock.advance(HOUR);
    assert_eq!(world.tick().await.expired(), 2);
    let cause = |request: &MutationRequest| match request.decisions().last().unwrap().kind() {
        DecisionKind::Lifecycle(Lifecycle::Expired { cause }) => cause.clone(),
        other => panic!("{other}"),
    };
    let (slot, whole) = (world.get(&slot).await, world.get(&whole).await);
    assert!(matches!(cause(&whole), ExpiryCause::RequestDeadline { .. }));
    // Both deadlines of the other had passed by then; the request's own is named.
    assert!(matches!(cause(&slot), ExpiryCause::RequestDeadline { .. }));
    let slot = world.raise_with(500, expiring(HOUR)).await;
    world.clock.advance(minute);
    world.tick().await;
    let slot = world.get(&slot).await;
    assert_eq!(slot.status(), Status::Expired);
    assert!(matches!(
        cause(&slot),
        ExpiryCause::RequirementDeadline { .. }
    ));
}

#[tokio::test]
async fn d19_deadline_and_reason_change_by_a_recorded_act() {
    let world = world();
    let id = world.raise_with(500, expiring(HOUR)).await;
    let from = world.get(&id).await.expires_at();
    let to = Some(world.clock.read().saturating_add(HOUR * 5));
    let amended = world.amend_deadline(&id, to).await.unwrap();
    assert_eq!(amended.expires_at(), to);
    let last = amended.decisions().last().unwrap();
    let event = AmendmentEvent::Deadline {
        policy: None,
        from,
        to,
    };
    assert_eq!(*last.kind(), DecisionKind::Amendment(event));
    assert_eq!(last.actor().id().as_str(), "alice");
    let amended = world.amend_reason(&id, "for the relaunch").await.unwrap();
    assert_eq!(amended.reason().unwrap().as_str(), "for the relaunch");
    assert_eq!(amended.status(), Status::Pending);
    assert_whole(&amended);
}

#[tokio::test]
async fn d20_a_submission_is_checked_and_its_status_computed() {
    let world = world();
    let (alice, team) = (user("alice"), state("team"));
    let past = SubmitOptions::new().expires_at(VirtualClock::START);
    let submitted = world
        .governor
        .submit_with(&alice, &team, Raise { by: 1 }, past);
    assert_eq!(submitted.await.unwrap_err().code(), "request.overdue");
    let silent = SubmitOptions::new().reason(" . ");
    let submitted = world
        .governor
        .submit_with(&alice, &team, Raise { by: 1 }, silent);
    assert_eq!(submitted.await.unwrap_err().code(), "reason.trivial");
    for blank in ["", " ", "\u{200b}"] {
        assert!(StateId::new(blank).is_err());
        assert!(Actor::user(blank).is_err());
        assert!(IdempotencyKey::new(blank).is_err());
    }
    let request = world.get(&world.raise(1).await).await;
    assert_eq!(request.status(), Status::Approved);
    let first = &request.decisions()[0];
    assert_eq!(first.kind().to_string(), "lifecycle.submitted");
    assert_eq!((first.seq(), first.status()), (1, Status::Created));
}

#[tokio::test]
async fn d21_waiting_for_approval_always_has_something_to_approve() {
    let world = World::new(policy_fn("asks-nobody", |_| {
        Ok(PolicyDecision::require(rules([])))
    }));
    let request = world.get(&world.raise(500).await).await;
    assert_eq!(request.status(), Status::Approved);
    let empty = Judgement::required(rules([]), vec![]);
    assert_eq!(empty.answer(), PolicyAnswer::Allowed);
    let waiting = self::world();
    let request = waiting.get(&waiting.raise(500).await).await;
    assert!(request.awaits_approval() && !request.round().rules().is_empty());
}

#[tokio::test]
async fn d22_only_reasons_that_can_be_released_are_offered() {
    let world = world();
    let id = world.raise(500).await;
    let offered = PendingReason::ALL;
    let waits_for = world.get(&id).await.pending_reasons();
    assert!(waits_for.iter().eq(offered));
    world.approve(&id, "bob").await.unwrap();
    let released = world.approve(&id, "carol").await.unwrap();
    assert!(released.pending_reasons().is_empty());
}

#[tokio::test]
async fn d23_the_one_that_supersedes_is_checked_and_both_know_it() {
    let world = world();
    let (old, new) = (world.raise(500).await, world.raise(501).await);
    let code = async |id: &RequestId, with: &RequestId| {
        let done = world.supersede(id, with).await;
        done.expect_err("a refusal").code()
    };
    assert_eq!(code(&old, &old).await, "request.supersedes_itself");
    let alice = user("alice");
    let other = state("other");
    let elsewhere = world.governor.submit(&alice, &other, Raise { by: 500 });
    let elsewhere = elsewhere.await.unwrap().id();
    assert_eq!(code(&old, &elsewhere).await, "request.other_state");
    let nowhere = World::new(by_risk(rules([]))).raise(1).await;
    let unknown = RequestId::new(Timestamp::EPOCH, nowhere.slot(), [9; 10]);
    assert_eq!(code(&old, &unknown).await, "governor.not_found");
    world.supersede(&old, &new).await.unwrap();
    let (gone, came) = (world.get(&old).await, world.get(&new).await);
    assert_eq!(gone.links().superseded_by(), Some(&new));
    assert_eq!(came.links().supersedes(), [old]);
    assert_eq!(
        came.decisions().last().unwrap().kind().to_string(),
        "link.supersedes"
    );
    // Back again would be a circle.
    assert_eq!(code(&new, &old).await, "request.other_is_final");
}

#[tokio::test]
async fn d24_outcome_queries_are_complete() {
    let world = world();
    let canceled = world.raise(500).await;
    world.cancel(&canceled).await.unwrap();
    let executed = world.raise(1).await;
    world.execute(&executed, OnStale::Reject).await.unwrap();
    let stale = world.raise(2).await;
    world.put(&Quota::of(9)).await;
    world.execute(&stale, OnStale::Reject).await.unwrap();
    let failed = world.raise(3).await;
    world.put(&Quota::of(9).sealed()).await;
    world.execute(&failed, OnStale::AnyVersion).await.unwrap();
    let expired = world.raise_with(500, expiring(HOUR)).await;
    world.clock.advance(HOUR);
    world.tick().await;
    let superseded = world.raise(502).await;
    let open = world.raise(501).await;
    world.supersede(&superseded, &open).await.unwrap();
    let all = [canceled, executed, stale, failed, expired, superseded];
    let page = PageRequest::first(100).unwrap();
    let query = world.governor.query().recent_outcomes();
    let found = world.governor.requests(&query, &page).await.unwrap();
    let found: Vec<_> = found.items.iter().map(|r| *r.id()).collect();
    assert_eq!(found, all);
    let outcomes = DecisionQuery::of(world.governor.query()).recent_outcomes();
    let decisions = world.governor.decisions(&outcomes, &page).await.unwrap();
    assert_eq!(decisions.items.len(), all.len());
    for id in all.into_iter().chain([open]) {
        assert_whole(&*world.get(&id).await);
    }
}

#[tokio::test]
async fn d25_decisions_have_order_status_and_revision_and_a_text_that_tells_families_apart() {
    let world = world();
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    world.approve(&id, "carol").await.unwrap();
    let request = world.execute(&id, OnStale::Reject).await.unwrap();
    let request = request.request();
    assert_eq!(
        codes(request),
        [
            "lifecycle.submitted",
            "policy.evaluated",
            "lifecycle.pending",
            "approval.requested",
            "approval.stage_opened",
            "approval.granted",
            "approval.granted",
            "approval.satisfied",
            "lifecycle.approved",
            "lifecycle.executed",
        ]
    );
    let seqs: Vec<u32> = request.decisions().iter().map(|d| d.seq()).collect();
    assert_eq!(seqs, (1..=10).collect::<Vec<_>>());
    let revisions: Vec<u64> = request
        .decisions()
        .iter()
        .map(|d| d.revision().get())
        .collect();
    assert_eq!(revisions, [1, 1, 1, 1, 1, 2, 3, 3, 3, 4]);
    let statuses: Vec<Status> = request.decisions().iter().map(|d| d.status()).collect();
    let (before, after) = statuses.split_at(2);
    assert_eq!(before, [Status::Created; 2]);
    let (waiting, after) = after.split_at(6);
    assert_eq!(waiting, [Status::Pending; 6]);
    assert_eq!(after, [Status::Approved, Status::Executed]);
}

/// Somebody rewrites what is stored and adds a decision that would be fine by itself.
async fn rewrite(edit: impl FnOnce(&mut serde_json::Value)) -> StoreErrorKind {
    let world = world();
    let id = world
        .raise_with(500, SubmitOptions::new().reason("for the launch"))
        .await;
    world.approve(&id, "bob").await.expect("an approval");
    let stored = world.get(&id).await;
    let mut draft = edited(&stored, edit).draft(act(&world, "alice"));
    let reason = governance_core::Reason::new("another one").expect("a reason");
    draft.amend_reason(reason).expect("an amendment");
    let store = world.governor.store();
    let write = store.try_store(Arc::new(draft.finish()), stored.revision());
    let error = write.await.expect_err("a refusal");
    let after = world.get(&id).await;
    assert_same(&stored, &after, "a rewritten history");
    error.kind()
}

#[tokio::test]
async fn d26_the_store_refuses_a_recorded_decision_that_was_changed() {
    for seq in [0, 2, 5] {
        let kind = rewrite(|json| json["decisions"][seq]["actor"]["id"] = "mallory".into()).await;
        assert_eq!(kind, StoreErrorKind::InvalidInput, "decision {seq}");
    }
}

#[tokio::test]
async fn d26_the_store_refuses_another_scope_requester_or_creation_time() {
    let edits: [fn(&mut serde_json::Value); 4] = [
        |json| json["proposal"]["scope"]["state_type"] = "tests.other".into(),
        |json| json["proposal"]["requester"]["id"] = "mallory".into(),
        |json| json["proposal"]["created_at"] = 1.into(),
        |json| json["proposal"]["intent"]["risk"] = "low".into(),
    ];
    for edit in edits {
        assert_eq!(rewrite(edit).await, StoreErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn d27_a_check_that_changes_nothing_writes_nothing() {
    let world = world();
    let id = world
        .raise_with(500, SubmitOptions::new().reason("for the launch"))
        .await;
    let before = world.get(&id).await;
    world.tick_over();
    world.amend_reason(&id, "for the launch").await.unwrap();
    world.amend_deadline(&id, None).await.unwrap();
    world.governor.explain(&id).await.unwrap();
    let after = world.get(&id).await;
    assert_same(&before, &after, "an amendment to the same");
    world.approve(&id, "bob").await.unwrap();
    world.approve(&id, "carol").await.unwrap();
    world.tick_over();
    let report = world.execute(&id, OnStale::Reject).await.unwrap();
    // On the approved version there is nothing to say about versions.
    assert!(
        !codes(report.request())
            .iter()
            .any(|c| c.starts_with("version."))
    );
    assert_eq!(report.request().updated_at(), world.clock.read());
}
