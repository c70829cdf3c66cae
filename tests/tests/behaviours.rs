//! What systems of this kind are known to do, in terms of this model: mapping of requirements,
//! quorums and steps, rejection and expiry, concurrency, resolution, execution, queries.

use std::time::Duration;

use governance_core::{
    ApprovalEvent, ApprovalQuery, BlastScope, Conflict, Context, DecisionCategory, DecisionKind,
    DecisionQuery, Denial, ExecutionOutcome, GovernorError, Lifecycle, OnStale, Order, PageRequest,
    RequestError, RequestId, RequirementStatus, Resolution, Revision, Risk, Severity, StateVersion,
    Status, SubmitOptions, Timestamp, VoteRefused, query::SideEffectFilter,
};
use tests::fixtures::{
    Quota, Raise, World, actor, assert_same, assert_whole, by_risk, codes, everyone, group, label,
    named, of_group, of_role, requirement_id, requiring, role, rules, state, user,
};

const MINUTE: Duration = Duration::from_secs(60);

/// One of two people first, then two of three, then somebody by role.
fn three_steps() -> World {
    World::new(by_risk(rules([
        named("first", 1, &["bob", "carol"]),
        of_group("quorum", 2, "security").in_stage(2),
        of_role("owner", 1, "owner").in_stage(3),
    ])))
}

fn page() -> PageRequest {
    PageRequest::first(100).expect("a page")
}

// ---- mapping ----

#[tokio::test]
async fn requirements_keep_what_policies_said_in_order_of_stage_and_id() {
    let world = World::new(requiring(rules([
        of_role("z-role", 1, "owner"),
        of_group("group", 2, "security").in_stage(2),
        everyone("listed", &["bob", "carol"]),
        named("late", 1, &["grace"]).in_stage(2).expires_in(MINUTE),
    ])));
    let request = world.get(&world.raise(1).await).await;
    let asked = request.round().rules().requirements();
    let told: Vec<_> = asked
        .iter()
        .map(|r| (r.id().as_str(), r.stage(), r.seat_count(), r.lifetime()))
        .collect();
    assert_eq!(
        told,
        [
            ("listed", 1, 2, None),
            ("z-role", 1, 1, None),
            ("group", 2, 2, None),
            ("late", 2, 1, Some(MINUTE)),
        ]
    );
}

// ---- quorums, targets, steps ----

#[tokio::test]
async fn steps_quorum_and_role_lead_to_approval_one_after_the_other() {
    let world = three_steps();
    let id = world.raise(500).await;
    let request = world.approve(&id, "bob").await.unwrap();
    assert_eq!(request.open_stage(), Some(2));
    let request = world.approve(&id, "dave").await.unwrap();
    assert_eq!(request.open_stage(), Some(2));
    let request = world.approve(&id, "erin").await.unwrap();
    assert_eq!(request.open_stage(), Some(3));
    assert_eq!(request.status(), Status::Pending);
    let request = world.approve(&id, "frank").await.unwrap();
    assert_eq!(request.status(), Status::Approved);
    assert!(request.pending_reasons().is_empty());
    let opened = codes(&request)
        .iter()
        .filter(|c| *c == "approval.stage_opened")
        .count();
    let met = codes(&request)
        .iter()
        .filter(|c| *c == "approval.satisfied")
        .count();
    assert_eq!((opened, met), (3, 3));
    assert_eq!(codes(&request).last().unwrap(), "lifecycle.approved");
}

#[tokio::test]
async fn a_later_step_before_an_earlier_one_is_refused_with_both() {
    let world = three_steps();
    let id = world.raise(500).await;
    let error = world.approve(&id, "frank").await.unwrap_err();
    let refused = VoteRefused::StageNotOpen {
        stage: 3,
        current: 1,
    };
    assert!(matches!(
        error,
        GovernorError::Request(RequestError::Vote(told)) if told == refused
    ));
}

#[tokio::test]
async fn who_is_not_needed_any_more_is_told_so() {
    let world = World::new(by_risk(rules([
        named("one", 1, &["bob", "carol"]),
        of_role("owner", 1, "owner"),
    ])));
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let error = world.approve(&id, "carol").await.unwrap_err();
    assert_eq!(error.code(), "vote.seats_filled");
    // Filled seats do not silence anybody: a denial still counts.
    let rejected = world.deny(&id, "carol").await.unwrap();
    assert_eq!(rejected.status(), Status::Rejected);
}

#[tokio::test]
async fn who_could_sit_in_two_places_moves_over_when_needed() {
    let world = World::new(by_risk(rules([
        of_role("lead", 1, "lead"),
        of_group("security", 1, "security"),
    ])));
    world.directory.grant("grace", "lead");
    let id = world.raise(500).await;
    // Dave could sit in either. Whoever comes next finds a seat.
    world.approve(&id, "dave").await.unwrap();
    let done = world.approve(&id, "grace").await.unwrap();
    assert_eq!(done.status(), Status::Approved);
    let id = world.raise(500).await;
    world.approve(&id, "dave").await.unwrap();
    let done = world.approve(&id, "bob").await.unwrap();
    assert_eq!(done.status(), Status::Approved);
}

#[tokio::test]
async fn a_withdrawn_vote_gives_its_seat_back() {
    let world = World::new(by_risk(rules([of_group("security", 2, "security")])));
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let withdrawn = world.withdraw(&id, "bob").await.unwrap();
    assert!(withdrawn.round().votes().is_empty());
    world.approve(&id, "carol").await.unwrap();
    assert_eq!(world.get(&id).await.status(), Status::Pending);
    let done = world.approve(&id, "bob").await.unwrap();
    assert_eq!(done.status(), Status::Approved);
    assert_whole(&done);
}

// ---- rejection and expiry ----

#[tokio::test]
async fn a_rejection_keeps_code_category_reason_and_who() {
    let world = World::new(by_risk(rules([of_group("security", 2, "security")])));
    let id = world.raise(500).await;
    let denial = Denial::because("grants more than the ticket asks")
        .code("scope.too_wide")
        .and_then(|d| d.category("scope"))
        .unwrap();
    let rejected = world
        .governor
        .reject(&id, &user("bob"), denial)
        .await
        .unwrap();
    assert_eq!(rejected.status(), Status::Rejected);
    let evaluation = rejected.evaluate(rejected.updated_at());
    let requirement = evaluation.requirements().next().unwrap();
    assert_eq!(requirement.status, RequirementStatus::Denied);
    assert_eq!(requirement.denied_by, [actor("bob")]);
    let denied = rejected
        .decisions()
        .iter()
        .find(|d| d.kind().code() == "denied")
        .unwrap();
    assert_eq!(
        denied.reason().unwrap().as_str(),
        "grants more than the ticket asks"
    );
    let DecisionKind::Approval(ApprovalEvent::Denied { code, category, .. }) = denied.kind() else {
        panic!("{}", denied.kind());
    };
    assert_eq!(
        (code, category),
        (&Some(label("scope.too_wide")), &Some(label("scope")))
    );
    assert_eq!(codes(&rejected).last().unwrap(), "lifecycle.rejected");
}

#[tokio::test]
async fn a_sweep_gives_one_result_and_the_late_voter_an_error_with_the_deadline() {
    let asked = of_group("security", 1, "security").expires_in(MINUTE);
    let world = World::new(by_risk(rules([asked])));
    let id = world.raise(500).await;
    let deadline = world.clock.read().saturating_add(MINUTE);
    world.clock.advance(MINUTE);
    let late = world
        .governor
        .dry_run(&id, &user("bob"), OnStale::Reject)
        .await;
    assert_eq!(late.unwrap_err().code(), "request.not_allowed");
    let report = world.tick().await;
    assert_eq!((report.items.len(), report.expired()), (1, 1));
    let request = world.get(&id).await;
    let recorded = codes(&request);
    assert!(recorded.ends_with(&["approval.expired".into(), "lifecycle.expired".into()]));
    let other = world.raise(500).await;
    world.clock.advance(MINUTE);
    let error = world.approve(&other, "bob").await.unwrap_err();
    let told = RequestError::Overdue {
        deadline: deadline.saturating_add(MINUTE),
    };
    assert!(matches!(error, GovernorError::Request(error) if error == told));
}

#[tokio::test]
async fn at_the_deadline_it_is_too_late_and_a_moment_before_it_is_not() {
    for (before, in_time) in [(Duration::from_micros(1), true), (Duration::ZERO, false)] {
        let asked = of_group("security", 1, "security").expires_in(MINUTE);
        let world = World::new(by_risk(rules([asked])));
        let id = world.raise(500).await;
        world.clock.advance(MINUTE - before);
        assert_eq!(world.approve(&id, "bob").await.is_ok(), in_time);
    }
}

// ---- concurrency of writers ----

#[tokio::test]
async fn a_stale_readers_write_is_a_conflict_and_changes_nothing() {
    let world = World::new(by_risk(rules([of_group("security", 1, "security")])));
    let id = world.raise(500).await;
    let seen = world.get(&id).await;
    world.approve(&id, "bob").await.unwrap();
    let operation = governance_core::OperationId::from_bytes([1; 16]);
    let act = governance_core::Act::new(&user("alice"), world.clock.read(), operation);
    let mut draft = seen.draft(act);
    draft
        .cancel(governance_core::Reason::new("not needed").unwrap())
        .unwrap();
    let store = world.governor.store();
    let error = store
        .try_store(draft.finish().into(), seen.revision())
        .await
        .unwrap_err();
    let (expected, actual) = (Revision::new(1), Revision::new(2));
    assert_eq!(
        error.conflict_data(),
        Some(Conflict::Request { expected, actual })
    );
    assert_eq!(world.get(&id).await.status(), Status::Approved);
}

#[tokio::test]
async fn a_second_request_of_one_id_is_refused() {
    let world = World::new(by_risk(rules([])));
    let first = world.get(&world.raise(1).await).await;
    let mut other = serde_json::to_value(&*first).unwrap();
    for decision in other["decisions"].as_array_mut().unwrap() {
        decision["operation"] = "00000000-0000-0000-0000-00000000ffff".into();
    }
    let other: governance_core::MutationRequest = serde_json::from_value(other).unwrap();
    let error = world
        .governor
        .store()
        .create(other.into())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "store.already_exists");
    let after = world.get(first.id()).await;
    assert_same(&first, &after, "a duplicate");
}

// ---- resolution ----

#[tokio::test]
async fn resolving_alone_stores_nothing() {
    let world = World::new(by_risk(rules([named("owner", 1, &["bob"])])));
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let before = world.get(&id).await;
    let current = world.put(&Quota::of(1)).await;
    for (on_stale, outcome) in [
        (OnStale::Reject, ExecutionOutcome::Rejected),
        (OnStale::RenewApproval, ExecutionOutcome::AwaitingApproval),
        (OnStale::Revalidate, ExecutionOutcome::Executed),
        (OnStale::AnyVersion, ExecutionOutcome::Executed),
    ] {
        let run = world.dry_run(&id, on_stale).await.unwrap();
        assert_eq!(run.outcome(), outcome);
        let approved_for = StateVersion::ABSENT;
        assert_eq!(
            run.resolution(),
            Resolution::Stale {
                approved_for,
                current
            }
        );
        assert!(!run.decisions().is_empty());
    }
    let after = world.get(&id).await;
    assert_same(&before, &after, "resolving");
}

#[tokio::test]
async fn executing_stores_what_resolving_said() {
    for on_stale in OnStale::ALL {
        let world = World::new(by_risk(rules([named("owner", 1, &["bob"])])));
        let id = world.raise(500).await;
        world.approve(&id, "bob").await.unwrap();
        world.put(&Quota::of(1)).await;
        let run = world.dry_run(&id, on_stale).await.unwrap();
        let report = world.execute(&id, on_stale).await.unwrap();
        assert_eq!(report.outcome(), run.outcome());
        assert_eq!(report.request().status(), run.request().status());
        let kinds = |r: &governance_core::MutationRequest| codes(r);
        assert_eq!(kinds(report.request()), kinds(run.request()));
        let stored = world.get(&id).await;
        assert_same(report.request(), &stored, "reading");
    }
}

#[tokio::test]
async fn renewed_approval_waits_for_the_version_that_was_found() {
    let world = World::new(by_risk(rules([named("owner", 1, &["bob"])])));
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let current = world.put(&Quota::of(1)).await;
    let report = world.execute(&id, OnStale::RenewApproval).await.unwrap();
    let request = report.request();
    assert_eq!(request.approved_version(), current);
    assert_eq!(request.proposal().submitted_version(), StateVersion::ABSENT);
    assert!(request.awaits_approval());
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::new(by_risk(rules([])));
    let slot = world.raise(1).await.slot();
    let nothing = RequestId::new(Timestamp::EPOCH, slot, [7; 10]);
    let errors = [
        world.execute(&nothing, OnStale::Reject).await.map(drop),
        world.dry_run(&nothing, OnStale::Reject).await.map(drop),
        world.approve(&nothing, "bob").await.map(drop),
        world.deny(&nothing, "bob").await.map(drop),
        world.withdraw(&nothing, "bob").await.map(drop),
        world.cancel(&nothing).await.map(drop),
        world.retry(&nothing).await.map(drop),
        world.amend_reason(&nothing, "another").await.map(drop),
        world.governor.explain(&nothing).await.map(drop),
        world.governor.get(&nothing).await.map(drop),
    ];
    for error in errors {
        assert_eq!(error.unwrap_err().code(), "governor.not_found");
    }
}

// ---- execution ----

#[tokio::test]
async fn an_execution_records_versions_time_changes_side_effects_and_attempt() {
    let world = World::new(by_risk(rules([])));
    let before = world.put(&Quota::of(7)).await;
    let id = world.raise(5).await;
    world.tick_over();
    let report = world.execute(&id, OnStale::Reject).await.unwrap();
    let execution = report.request().execution();
    assert_eq!(execution.version_before(), Some(before));
    assert_eq!(execution.version_after(), Some(before.next()));
    assert_eq!(execution.executed_at(), Some(world.clock.read()));
    assert_eq!(execution.attempts(), 1);
    assert_eq!(execution.changes()[0].path(), "limit");
    assert_eq!(
        execution.side_effects()[0].severity_level(),
        Severity::Warning
    );
    let last = report.request().decisions().last().unwrap();
    assert!(matches!(
        last.kind(),
        DecisionKind::Lifecycle(Lifecycle::Executed {
            attempt: 1,
            changes: 1,
            side_effects: 1,
            ..
        })
    ));
    assert_eq!(last.actor().id(), &actor("operator"));
}

#[tokio::test]
async fn a_chain_of_requests_executes_each_against_the_version_the_one_before_made() {
    let world = World::new(by_risk(rules([])));
    for n in 1..=5_u64 {
        let id = world.raise(1).await;
        let report = world.execute(&id, OnStale::Reject).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Executed);
        assert_eq!(world.quota().await, (Quota::of(n), StateVersion::new(n)));
    }
}

#[tokio::test]
async fn the_same_operation_id_gives_the_first_outcome_again() {
    let world = World::new(by_risk(rules([of_group("security", 2, "security")])));
    let id = world.raise(500).await;
    let operation = governance_core::OperationId::from_bytes([4; 16]);
    let vote = Context::of(&user("bob")).operation(operation);
    let first = world
        .governor
        .approve(&id, &vote, "looks right")
        .await
        .unwrap();
    world.approve(&id, "carol").await.unwrap();
    let again = world
        .governor
        .approve(&id, &vote, "looks right")
        .await
        .unwrap();
    assert_eq!(first.outcome_of(operation), again.outcome_of(operation));
    let after = world.get(&id).await;
    assert_eq!(after.round().votes().len(), 2);
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_one_change_of_one_requester() {
    let world = World::new(by_risk(rules([])));
    let options = || {
        let key = governance_core::IdempotencyKey::new("deploy-1").expect("a key");
        SubmitOptions::new().idempotency_key(key)
    };
    let id = world.raise_with(1, options()).await;
    assert_eq!(world.raise_with(1, options()).await, id);
    let team = state("team");
    for (who, by) in [("alice", 2), ("bob", 1)] {
        let who = user(who);
        let done = world
            .governor
            .submit_with(&who, &team, Raise { by }, options())
            .await;
        let error = done.unwrap_err();
        assert!(matches!(error, GovernorError::KeyReused { existing } if existing == id));
    }
    let elsewhere = state("another-team");
    let alice = user("alice");
    let done = world
        .governor
        .submit_with(&alice, &elsewhere, Raise { by: 2 }, options());
    assert_ne!(done.await.unwrap().id(), id);
}

// ---- explain ----

#[tokio::test]
async fn an_explanation_names_who_can_and_who_cannot_and_why() {
    let world = World::new(by_risk(rules([of_group("security", 2, "security")])));
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let told = world.governor.explain(&id).await.unwrap();
    let requirement = &told.requirements[0];
    assert_eq!(
        (requirement.seats, &*requirement.filled),
        (2, &[actor("bob")][..])
    );
    let can: Vec<_> = told.can_decide().into_iter().cloned().collect();
    assert_eq!(can, [actor("carol"), actor("dave"), actor("erin")]);
    let cannot = requirement.cannot_decide.as_ref().unwrap();
    let cannot: Vec<_> = cannot
        .iter()
        .map(|c| (c.actor.as_str(), c.why.code()))
        .collect();
    assert_eq!(
        cannot,
        [
            ("alice", "vote.self_approval"),
            ("bob", "vote.already_voted")
        ]
    );
}

// ---- queries ----

#[tokio::test]
async fn conditions_of_all_groups_are_anded() {
    let world = World::new(by_risk(rules([of_group("security", 2, "security")])));
    let id = world
        .raise_with(500, SubmitOptions::new().reason("for the launch"))
        .await;
    world.raise(501).await;
    let all = || {
        world
            .governor
            .query()
            .pending()
            .states([state("team")])
            .requesters([actor("alice")])
            .risks([Risk::High])
            .categories([label("billing")])
            .tags_all([label("quota")])
            .intent_metadata("by", 500)
    };
    let found = world.governor.requests(&all(), &page()).await.unwrap();
    assert_eq!(
        found.items.iter().map(|r| *r.id()).collect::<Vec<_>>(),
        [id]
    );
    for narrowed in [
        all().states([state("other")]),
        all().intent_metadata("by", 501),
        // What the intent says is not what the caller says.
        all().request_metadata("by", 500),
        all().blast_scope(Some(BlastScope::Single), None),
    ] {
        let found = world.governor.requests(&narrowed, &page()).await.unwrap();
        assert!(found.items.is_empty());
    }
}

#[tokio::test]
async fn side_effects_are_found_by_what_one_of_them_is() {
    let world = World::new(by_risk(rules([])));
    let id = world.raise(1).await;
    world.execute(&id, OnStale::Reject).await.unwrap();
    let with = |effect| world.governor.query().side_effect(effect);
    let mail = || SideEffectFilter::any().kinds([label("mail")]);
    for (query, expected) in [
        (with(mail()), 1),
        (with(mail().severities([Severity::Warning])), 1),
        (with(mail().severities([Severity::Critical])), 0),
        (with(mail().requires_action(true)), 0),
    ] {
        let found = world.governor.requests(&query, &page()).await.unwrap();
        assert_eq!(found.items.len(), expected);
    }
}

#[tokio::test]
async fn approvals_are_listed_by_whom_they_ask() {
    let world = three_steps();
    world.raise(500).await;
    let of = || ApprovalQuery::of(world.governor.query());
    for (query, expected) in [
        (of(), vec!["first", "quorum", "owner"]),
        (of().open(), vec!["first"]),
        (of().actors([actor("bob")]), vec!["first"]),
        (of().groups([group("security")]), vec!["quorum"]),
        (of().roles([role("owner")]), vec!["owner"]),
        (
            of().statuses([RequirementStatus::Waiting]),
            vec!["quorum", "owner"],
        ),
    ] {
        let found = world.governor.approvals(&query, &page()).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(requirement_id).collect();
        let found: Vec<_> = found.items.into_iter().map(|v| v.requirement).collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn the_newest_approval_comes_first_and_a_page_of_one_is_the_newest() {
    let world = World::new(by_risk(rules([named("owner", 1, &["bob"])])));
    for by in [500, 501] {
        world.tick_over();
        let id = world.raise(by).await;
        world.approve(&id, "bob").await.unwrap();
    }
    let granted = DecisionQuery::of(world.governor.query()).codes(["approval.granted"]);
    let newest = PageRequest::first(1).unwrap().order(Order::NewestFirst);
    let found = world.governor.decisions(&granted, &newest).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].decision.at(), world.clock.read());
    let approved = world.governor.query().recently_approved();
    let found = world.governor.requests(&approved, &page()).await.unwrap();
    assert_eq!(found.items.len(), 2);
}

#[tokio::test]
async fn decisions_are_listed_by_family_code_person_and_time() {
    let world = World::new(by_risk(rules([named("owner", 1, &["bob"])])));
    let id = world.raise(500).await;
    world.tick_over();
    let voted_at = world.clock.read();
    world.approve(&id, "bob").await.unwrap();
    world.tick_over();
    world.put(&Quota::of(1)).await;
    world.execute(&id, OnStale::Reject).await.unwrap();
    let of = || DecisionQuery::of(world.governor.query());
    let at = governance_core::TimeRange::between(voted_at, voted_at);
    for (query, expected) in [
        (of().categories([DecisionCategory::Version]), 1),
        (of().codes(["lifecycle.rejected"]), 1),
        (of().recent_outcomes(), 1),
        (of().actors([actor("bob")]), 3),
        (of().at(at), 3),
        (of().actors([actor("nobody")]), 0),
    ] {
        let found = world.governor.decisions(&query, &page()).await.unwrap();
        assert_eq!(found.items.len(), expected);
        assert!(found.items.iter().all(|view| view.request == id));
    }
}

#[tokio::test]
async fn due_work_comes_earliest_deadline_first() {
    let world = World::new(by_risk(rules([of_group("security", 2, "security")])));
    let mut ids = Vec::new();
    for minutes in [30, 10, 20] {
        let options = SubmitOptions::new().expires_in(MINUTE * minutes);
        ids.push(world.raise_with(500, options).await);
    }
    world.raise(500).await;
    let by_deadline = page().order(Order::Deadline);
    let query = world.governor.query();
    let found = world.governor.requests(&query, &by_deadline).await.unwrap();
    let found: Vec<_> = found.items.iter().map(|r| *r.id()).collect();
    assert_eq!(found, [ids[1], ids[2], ids[0]]);
}

#[tokio::test]
async fn pages_under_concurrent_writes_repeat_and_lose_nothing_that_stayed() {
    let world = World::new(by_risk(rules([of_group("security", 2, "security")])));
    let mut stay = Vec::new();
    let mut leave = Vec::new();
    for by in 0..40 {
        let id = world.raise(500 + by).await;
        if by % 3 == 0 { &mut leave } else { &mut stay }.push(id);
    }
    let query = world.governor.query().pending();
    let mut next = PageRequest::first(5).unwrap();
    let mut walked = Vec::new();
    loop {
        let got = world.governor.requests(&query, &next).await.unwrap();
        walked.extend(got.items.iter().map(|r| *r.id()));
        if let Some(id) = leave.pop() {
            world.cancel(&id).await.unwrap();
        }
        world.raise(900).await;
        let Some(cursor) = got.next else { break };
        next = next.after(cursor);
        if walked.len() > 200 {
            break;
        }
    }
    let mut once = walked.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), walked.len(), "something was repeated");
    assert!(
        stay.iter().all(|id| walked.contains(id)),
        "something was lost"
    );
}
