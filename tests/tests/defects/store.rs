//! D49-D62.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use governance_core::{
    Act, ApprovalQuery, Commit, Condition, Conflict, Context, CorrelationId, Count, Filter,
    FilterError, GovernorError, IdempotencyKey, MutationRequest, OnStale, OperationId, Order,
    PageRequest, Reason, RequestId, RequestQuery, Revision, Risk, StateVersion, Status, StoreError,
    StoreErrorKind, SubmitOptions, TenantId, TickOutcome, Timestamp, WriteCertainty, Written,
};
use tests::fixtures::{
    Fault, FaultyStore, Quota, Raise, SequentialIds, World, actor, assert_same, by_risk, label,
    of_group, of_role, rules, state, user,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn world() -> World {
    World::new(by_risk(rules([of_group("security", 2, "security")])))
}

fn page(limit: u16) -> PageRequest {
    PageRequest::first(limit).expect("a page")
}

/// The request with a decision more, not stored yet.
fn amended(world: &World, request: &MutationRequest, operation: u8) -> Arc<MutationRequest> {
    let operation = OperationId::from_bytes([operation; 16]);
    let mut draft = request.draft(Act::new(&user("alice"), world.clock.read(), operation));
    let reason = Reason::new(format!("reason {operation}")).expect("a reason");
    draft.amend_reason(reason).expect("an amendment");
    Arc::new(draft.finish())
}

async fn found(world: &World, query: RequestQuery) -> Vec<RequestId> {
    let listed = world.governor.requests(&query, &page(100)).await;
    let listed = listed.expect("a page").items;
    listed.iter().map(|r| *r.id()).collect()
}

// ---- conflicts ----

#[tokio::test]
async fn d49_conflict_and_not_found_are_told_apart_with_both_revisions() {
    let world = world();
    let request = world.get(&world.raise(500).await).await;
    world.amend_reason(request.id(), "first").await.unwrap();
    let store = world.governor.store();
    let late = amended(&world, &request, 1);
    let error = store.try_store(late, request.revision()).await.unwrap_err();
    assert_eq!(error.code(), "store.conflict");
    let (expected, actual) = (Revision::new(1), Revision::new(2));
    assert_eq!(
        error.conflict_data(),
        Some(Conflict::Request { expected, actual })
    );
    let elsewhere = self::world();
    let nowhere = elsewhere.governor.store();
    let missing = nowhere
        .try_store(amended(&world, &request, 2), expected)
        .await;
    assert_eq!(missing.unwrap_err().code(), "store.not_found");
    let unknown = RequestId::new(Timestamp::EPOCH, request.id().slot(), [9; 10]);
    let error = world.approve(&unknown, "bob").await.unwrap_err();
    assert!(matches!(error, GovernorError::NotFound { id } if id == unknown));
}

/// A store on which somebody else is faster, so many times in a row.
fn contended(times: u32, attempts: u32) -> World {
    let left = std::sync::atomic::AtomicU32::new(times);
    let plan = move |request: &MutationRequest| {
        use std::sync::atomic::Ordering::SeqCst;
        let voting = request.revision() > Revision::FIRST;
        let conflicts = voting
            && left
                .fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
                .is_ok();
        let (expected, actual) = (Revision::FIRST, Revision::new(2));
        let conflict = Conflict::Request { expected, actual };
        conflicts.then(|| Fault::Refuse(StoreError::conflict("try_store", conflict)))
    };
    let policy = by_risk(rules([of_group("security", 1, "security")]));
    World::on(
        |store| FaultyStore::new(store, plan),
        |b| b.policy(policy).attempts(attempts),
    )
}

#[tokio::test]
async fn d49_a_lost_race_is_tried_again_a_bounded_number_of_times() {
    let world = contended(3, 4);
    let id = world.raise(500).await;
    assert_eq!(
        world.approve(&id, "bob").await.unwrap().status(),
        Status::Approved
    );
    let world = contended(4, 4);
    let id = world.raise(500).await;
    let error = world.approve(&id, "bob").await.unwrap_err();
    assert!(matches!(
        error,
        GovernorError::Contended { attempts: 4, .. }
    ));
    assert_eq!(world.get(&id).await.revision(), Revision::FIRST);
}

#[tokio::test]
async fn d50_a_sweep_goes_on_and_reports_each_item() {
    let broken = |request: &MutationRequest| {
        let by = request.proposal().intent().metadata().get("by").cloned();
        if request.status() != Status::Expired || by != Some(103.into()) {
            return None;
        }
        let error = StoreError::new(StoreErrorKind::Unavailable, "try_store", "away");
        Some(Fault::Refuse(
            error.with_outcome(WriteCertainty::NotApplied),
        ))
    };
    let policy = by_risk(rules([of_group("security", 2, "security")]));
    let world = World::on(|s| FaultyStore::new(s, broken), |b| b.policy(policy));
    let mut ids = Vec::new();
    for by in 101..106 {
        let options = SubmitOptions::new().expires_in(HOUR - Duration::from_secs(by));
        ids.push(world.raise_with(by, options).await);
    }
    world.clock.advance(HOUR);
    let report = world.tick().await;
    assert_eq!(report.expired(), 4);
    assert!(!report.more);
    // Earliest deadline first.
    ids.reverse();
    assert_eq!(report.items.iter().map(|i| i.id).collect::<Vec<_>>(), ids);
    let failed = report
        .items
        .iter()
        .filter(|i| matches!(i.outcome, TickOutcome::Failed(_)));
    assert_eq!(failed.count(), 1);
}

// ---- listings ----

#[test]
fn d51_a_page_has_a_limit_from_1_to_1000() {
    for limit in [0, 1_001, u16::MAX] {
        let error = PageRequest::first(limit).unwrap_err();
        assert_eq!(error.code(), "page.limit_out_of_range");
    }
    assert!(PageRequest::first(1_000).is_ok());
}

#[tokio::test]
async fn d51_every_listing_is_paged_by_a_stable_cursor() {
    let world = world();
    let mut all = Vec::new();
    for by in 0..7 {
        all.push(world.raise(500 + by).await);
    }
    for order in [Order::Submission, Order::NewestFirst] {
        let mut walked = Vec::new();
        let mut next = page(3).order(order);
        loop {
            let query = world.governor.query();
            let got = world.governor.requests(&query, &next).await.unwrap();
            assert!(got.items.len() <= 3);
            walked.extend(got.items.iter().map(|r| *r.id()));
            let Some(cursor) = got.next else { break };
            next = next.after(cursor);
        }
        if order == Order::NewestFirst {
            walked.reverse();
        }
        assert_eq!(walked, all, "{order:?}");
    }
}

#[tokio::test]
async fn d51_cursors_of_other_queries_are_errors() {
    let world = world();
    for by in 0..3 {
        world.raise(500 + by).await;
    }
    let query = world.governor.query();
    let first = world.governor.requests(&query, &page(1)).await.unwrap();
    let cursor = first.next.unwrap();
    let narrower = world.governor.query().pending();
    let turned = page(1).order(Order::NewestFirst).after(cursor.clone());
    let approvals = ApprovalQuery::of(query.clone());
    let decisions = governance_core::DecisionQuery::of(query.clone());
    let foreign = page(1).after(cursor);
    for done in [
        world.governor.requests(&narrower, &foreign).await.map(drop),
        world.governor.requests(&query, &turned).await.map(drop),
        world
            .governor
            .approvals(&approvals, &foreign)
            .await
            .map(drop),
        world
            .governor
            .decisions(&decisions, &foreign)
            .await
            .map(drop),
    ] {
        let error = done.unwrap_err();
        assert_eq!(error.code(), "page.cursor_foreign");
        let foreign = governance_core::PageError::CursorForeign;
        assert!(matches!(error, GovernorError::Page(problem) if problem == foreign));
    }
}

#[tokio::test]
async fn d52_a_page_looks_at_a_bounded_number_of_records() {
    let clock = tests::fixtures::VirtualClock::default();
    let store = governance_memory::MemoryStore::builder()
        .clock(clock)
        .scan_limit(4)
        .build();
    let policy = by_risk(rules([of_group("security", 2, "security")]));
    let world = World::on(|_| store, |b| b.policy(policy));
    for by in 0..10 {
        world.raise(500 + by).await;
    }
    let query = world.governor.query().text("nobody wrote this");
    let mut next = page(10);
    let mut pages = 0;
    loop {
        let got = world.governor.requests(&query, &next).await.unwrap();
        assert!(got.items.is_empty());
        pages += 1;
        let Some(cursor) = got.next else { break };
        next = next.after(cursor);
    }
    assert!(pages >= 3, "{pages}");
}

#[tokio::test]
async fn d53_queries_ask_for_risk_codes_deadlines_work_versions_text_and_the_opposite() {
    let world = world();
    let low = world
        .raise_with(1, SubmitOptions::new().reason("for the launch"))
        .await;
    world.execute(&low, OnStale::Reject).await.unwrap();
    let high = world
        .raise_with(500, SubmitOptions::new().expires_in(HOUR))
        .await;
    let work = CorrelationId::new("launch-7").unwrap();
    let context = Context::of(&user("alice")).correlation(work.clone());
    let tied = world
        .governor
        .submit(context, &state("team"), Raise { by: 2 })
        .await;
    let tied = tied.unwrap().id();
    let query = || world.governor.query();
    let soon = world.clock.read().saturating_add(HOUR);
    let executed = Filter::from(Condition::Statuses([Status::Executed].into()));
    for (query, expected) in [
        (query().risks([Risk::High]), vec![high]),
        (query().decision_codes(["lifecycle.executed"]), vec![low]),
        (query().due_by(soon), vec![high]),
        (query().correlations([work]), vec![tied]),
        (
            query().resulting_versions([StateVersion::new(1)]),
            vec![low],
        ),
        (query().text("LAUNCH"), vec![low]),
        (query().excluding(executed), vec![high, tied]),
        (query().tags_all([label("quota")]), vec![low, high, tied]),
    ] {
        let counted = world.governor.count(&query).await.unwrap();
        assert_eq!(counted, Count::Exact(expected.len() as u64));
        assert_eq!(found(&world, query).await, expected);
    }
}

#[tokio::test]
async fn d54_the_queue_of_a_person_is_what_they_can_decide_now() {
    let world = World::new(by_risk(rules([
        of_group("security", 1, "security"),
        of_role("owner", 1, "owner").in_stage(2),
    ])));
    let id = world
        .raise_with(500, SubmitOptions::new().expires_in(HOUR))
        .await;
    let queue = async |who: &str| {
        let query = world.governor.decidable_by(&actor(who)).await;
        found(&world, query.expect("a query")).await
    };
    assert_eq!(queue("bob").await, [id]);
    assert!(queue("alice").await.is_empty(), "her own request");
    assert!(queue("frank").await.is_empty(), "a later stage");
    assert!(queue("mallory").await.is_empty(), "nobody asks for her");
    world.approve(&id, "bob").await.unwrap();
    assert_eq!(queue("frank").await, [id]);
    assert!(queue("bob").await.is_empty(), "he has voted");
    world.clock.advance(HOUR);
    assert!(queue("frank").await.is_empty(), "it is overdue");
}

#[tokio::test]
async fn d55_presets_narrow_and_never_widen() {
    let world = world();
    let pending = world.raise(500).await;
    let done = world.raise(1).await;
    world.execute(&done, OnStale::Reject).await.unwrap();
    let query = || world.governor.query();
    assert_eq!(found(&world, query().approval_queue()).await, [pending]);
    assert_eq!(found(&world, query().recent_outcomes()).await, [done]);
    let both = query().statuses([Status::Executed]).approval_queue();
    assert!(found(&world, both).await.is_empty());
    let both = query().approval_queue().ids([done]);
    assert!(found(&world, both).await.is_empty());
}

#[tokio::test]
async fn d56_empty_is_not_absent_and_texts_are_compared_byte_for_byte() {
    let world = world();
    let id = world.raise(500).await;
    let query = || world.governor.query();
    assert!(found(&world, query().statuses([])).await.is_empty());
    assert!(found(&world, query().requesters([])).await.is_empty());
    assert_eq!(found(&world, query()).await, [id]);
    assert!(
        found(&world, query().requesters([actor("Alice")]))
            .await
            .is_empty()
    );
    assert_eq!(
        found(&world, query().requesters([actor("alice")])).await,
        [id]
    );
}

#[tokio::test]
async fn d57_metadata_compares_by_structure_and_numbers_by_kind() {
    let world = world();
    let nested = serde_json::json!({"b": [1, {"c": null}], "a": 1.5});
    let context = Context::of(&user("alice"))
        .metadata("ticket", 7)
        .metadata("plan", nested.clone());
    let submitted = world
        .governor
        .submit(context, &state("team"), Raise { by: 500 })
        .await;
    let id = submitted.unwrap().id();
    let stored = world.get(&id).await;
    let text = serde_json::to_string(&*stored).unwrap();
    let read: MutationRequest = serde_json::from_str(&text).unwrap();
    assert_eq!(read, *stored);
    let query = || world.governor.query();
    assert_eq!(
        found(&world, query().request_metadata("plan", nested)).await,
        [id]
    );
    assert_eq!(
        found(&world, query().request_metadata("ticket", 7)).await,
        [id]
    );
    assert!(
        found(&world, query().request_metadata("ticket", 7.0))
            .await
            .is_empty()
    );
    assert!(
        found(&world, query().request_metadata("ticket", "7"))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn d58_the_tenant_is_part_of_every_key_query_and_check() {
    let world = world();
    let id = world.raise(500).await;
    let acme = world.governor.for_tenant(TenantId::new("acme").unwrap());
    let bob = user("bob");
    let not_found = |error: GovernorError| assert_eq!(error.code(), "governor.not_found");
    not_found(acme.get(&id).await.unwrap_err());
    not_found(acme.approve(&id, &bob, "looks right").await.unwrap_err());
    not_found(
        acme.cancel(&id, &user("alice"), "not mine")
            .await
            .unwrap_err(),
    );
    not_found(acme.execute(&id, &bob, OnStale::Reject).await.unwrap_err());
    not_found(acme.explain(&id).await.unwrap_err());
    let theirs = world.governor.query();
    let error = acme.requests(&theirs, &page(1)).await.unwrap_err();
    assert_eq!(error.code(), "governor.other_tenant");
    let every = RequestQuery::all_tenants();
    let error = acme.requests(&every, &page(1)).await.unwrap_err();
    assert_eq!(error.code(), "governor.all_tenants");
    assert_eq!(acme.count(&acme.query()).await.unwrap(), Count::Exact(0));
    // The same key and state of another tenant are another key and state.
    let key = || SubmitOptions::new().idempotency_key(IdempotencyKey::new("k").unwrap());
    let mine = world.raise_with(1, key()).await;
    let (alice, team) = (user("alice"), state("team"));
    let theirs = acme
        .submit_with(&alice, &team, Raise { by: 1 }, key())
        .await;
    let theirs = theirs.unwrap().id();
    assert_ne!(mine, theirs);
    acme.execute(&theirs, &bob, OnStale::Reject).await.unwrap();
    assert_eq!(
        world.quota().await,
        (Quota::default(), StateVersion::ABSENT)
    );
    let sneaky = acme.supersede(&theirs, &id, &alice, "better").await;
    not_found(sneaky.unwrap_err());
}

// ---- writes ----

#[tokio::test]
async fn d59_two_requests_are_written_in_one_step_or_neither() {
    let world = world();
    let (a, b) = (world.raise(500).await, world.raise(501).await);
    let (a, b) = (world.get(&a).await, world.get(&b).await);
    world
        .amend_reason(b.id(), "somebody was faster")
        .await
        .unwrap();
    let b_now = world.get(b.id()).await;
    let commit =
        Commit::of(amended(&world, &a, 1), a.revision()).and(amended(&world, &b, 1), b.revision());
    let error = world.governor.store().commit(&commit).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    let after = world.get(a.id()).await;
    assert_same(&a, &after, "half a commit");
    let commit = Commit::of(amended(&world, &a, 1), a.revision())
        .and(amended(&world, &b_now, 1), b_now.revision());
    let written = world.governor.store().commit(&commit).await.unwrap();
    assert!(matches!(written, Written::Applied));
    assert_eq!(world.get(b.id()).await.revision(), b_now.revision().next());
}

#[tokio::test]
async fn d60_only_what_is_final_can_be_removed_and_its_key_is_free_again() {
    let world = world();
    let key = || SubmitOptions::new().idempotency_key(IdempotencyKey::new("k").unwrap());
    let id = world.raise_with(500, key()).await;
    let store = world.governor.store();
    let open = store.purge(&id, Revision::FIRST).await.unwrap_err();
    assert_eq!(open.kind(), StoreErrorKind::InvalidInput);
    let canceled = world.cancel(&id).await.unwrap();
    let stale = store.purge(&id, Revision::FIRST).await.unwrap_err();
    assert_eq!(stale.kind(), StoreErrorKind::Conflict);
    store.purge(&id, canceled.revision()).await.unwrap();
    let gone = world.governor.get(&id).await.unwrap_err();
    assert_eq!(gone.code(), "governor.not_found");
    assert_ne!(world.raise_with(500, key()).await, id);
}

// ---- platform ----

async fn a_story() -> MutationRequest {
    let policy = by_risk(rules([of_group("security", 2, "security")]));
    let world = World::with(|b| b.policy(policy).ids(SequentialIds::starting_at(40)));
    let id = world
        .raise_with(500, SubmitOptions::new().expires_in(HOUR))
        .await;
    for voter in ["bob", "carol"] {
        world.tick_over();
        world.approve(&id, voter).await.expect("an approval");
    }
    let report = world.execute(&id, OnStale::Reject).await;
    MutationRequest::clone(report.expect("an execution").request())
}

#[tokio::test]
async fn d61_with_clock_and_ids_of_their_own_two_runs_are_the_same() {
    let (one, two) = (a_story().await, a_story().await);
    assert_eq!(one, two);
    let head = |r: &MutationRequest| r.decisions().last().map(|d| *d.digest());
    assert_eq!(head(&one), head(&two));
}

#[test]
fn d61_ids_are_ordered_by_time_and_unique() {
    use governance_core::{IdSource as _, RandomIds, Slot};
    let slot = Slot::of(&TenantId::default(), &state("team"));
    let ids: Vec<_> = (0..1_000)
        .map(|ms| RandomIds.request_id(Timestamp::from_micros(ms * 1_000), slot))
        .collect();
    assert!(ids.is_sorted());
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert!(ids.iter().all(|id| id.slot() == slot));
    let operations: BTreeSet<_> = (0..1_000).map(|_| RandomIds.operation_id()).collect();
    assert_eq!(operations.len(), 1_000);
}

#[tokio::test]
async fn d62_one_error_enum_with_stable_codes_and_data() {
    let world = world();
    let id = world.raise(500).await;
    let governor = &world.governor;
    let alice = user("alice");
    let deep = (0..20).fold(Filter::everything(), |f, _| Filter::All(vec![f]));
    let query = governor.query().and(deep);
    assert_eq!(query.check(), Err(FilterError::TooDeep));
    let errors = [
        (
            governor.requests(&query, &page(1)).await.map(drop),
            "filter.too_deep",
        ),
        (
            world.execute(&id, OnStale::Reject).await.map(drop),
            "request.not_allowed",
        ),
        (
            world.approve(&id, "alice").await.map(drop),
            "vote.self_approval",
        ),
        (
            world.approve(&id, "frank").await.map(drop),
            "vote.not_eligible",
        ),
        (
            governor.approve(&id, &user("bob"), ".").await.map(drop),
            "reason.trivial",
        ),
        (
            governor
                .cancel(&id, &user("eve"), "why not")
                .await
                .map(drop),
            "governor.unauthorized",
        ),
        (
            governor
                .submit(&alice, &state("team"), Raise { by: 0 })
                .await
                .map(drop),
            "governor.invalid",
        ),
    ];
    for (error, code) in errors {
        let error = error.unwrap_err();
        assert_eq!(error.code(), code);
        assert!(!error.to_string().is_empty());
    }
}
