//! Listings and counts.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use governance_core::{
    ApprovalQuery, BlastRadius, BlastScope, Condition, Count, Cursor, DecisionCategory,
    DecisionQuery, Digest, Filter, FilterError, Intent, Membership, MutationRequest, Order,
    PageError, PageRequest, PendingReason, Provider, RequestId, RequestQuery, Risk, Severity,
    StateVersion, Status, StoreError, StoreErrorKind, TenantId, TimeRange, matches,
    query::SideEffectFilter,
};

use crate::{
    Trial, check,
    fixtures::{
        self, actor, approve, cancel, complete, deny, effect, expire, fail, label, quorum,
        supersede,
    },
};

fn everything() -> RequestQuery {
    RequestQuery::in_tenant(TenantId::default())
}

/// Requests in every status a stored request can have, in the order of submission: pending,
/// approved, failed, executed, rejected, canceled, expired, superseded, and the one that took
/// that one's place.
async fn one_of_each(trial: &Trial) -> Vec<Arc<MutationRequest>> {
    let none = Membership::default;
    let mut all = vec![
        trial.create(&trial.request().asks(["bob", "carol"])).await,
        trial.create(&trial.request()).await,
    ];
    let bob = approve(&all[1], trial.act("bob"), none());
    all[1] = trial.update(&all[1], bob).await;

    let request = trial.create(&trial.request().allowed()).await;
    all.push(
        trial
            .update(&request, fail(&request, trial.act("deployer")))
            .await,
    );

    let request = trial.create(&trial.request().allowed()).await;
    let effects = vec![
        effect("mail").severity(Severity::Critical),
        effect("ticket").requiring_action(),
    ];
    let done = complete(
        &request,
        trial.act("deployer"),
        StateVersion::new(4),
        effects,
    );
    all.push(trial.update(&request, done).await);

    let request = trial.create(&trial.request()).await;
    all.push(
        trial
            .update(&request, deny(&request, trial.act("bob"), none()))
            .await,
    );

    let request = trial.create(&trial.request()).await;
    all.push(
        trial
            .update(&request, cancel(&request, trial.act("alice")))
            .await,
    );

    let request = trial.create(&trial.request().overdue()).await;
    all.push(
        trial
            .update(&request, expire(&request, trial.act("governor")))
            .await,
    );

    let (old, new) = (
        trial.create(&trial.request()).await,
        trial.create(&trial.request()).await,
    );
    let (closed, taken) = supersede(&old, &new, &trial.act("alice"));
    all.push(trial.update(&old, closed).await);
    all.push(trial.update(&new, taken).await);
    all
}

/// A few requests that differ in everything a condition can ask for.
async fn varied(trial: &Trial) -> Vec<Arc<MutationRequest>> {
    let mut all = one_of_each(trial).await;
    let risky = Intent::new("role.grant", "iam")
        .expect("labels")
        .risk(Risk::High)
        .tag("urgent")
        .and_then(|intent| intent.tag("prod"))
        .expect("labels")
        .blast_radius(BlastRadius::new(BlastScope::ALL[2]))
        .described("Grants the Ärger role")
        .with_metadata("ticket", 7);
    let later = trial.start().saturating_add(Duration::from_secs(3_600));
    let builders = [
        trial
            .request()
            .intent(risky)
            .actor(&actor("dora").named("Dora Example"))
            .state("Billing/EU")
            .reason("because of ticket 12")
            .metadata("team", "eu"),
        trial
            .request()
            .state_type("test.other")
            .mutation("test.other_change")
            .correlation("work-1")
            .deadline(later)
            .allowed(),
        trial.request().rules(quorum(2, "lead")).deadline(later),
        trial.request().tenant("acme").correlation("work-1"),
    ];
    for builder in &builders {
        all.push(trial.create(builder).await);
    }
    all
}

/// What the evaluator says a query finds, in the order of submission.
fn expected(trial: &Trial, query: &RequestQuery, all: &[Arc<MutationRequest>]) -> Vec<RequestId> {
    let of_query = |request: &&Arc<MutationRequest>| matches(query, request, trial.start());
    check::ids(all.iter().filter(of_query))
}

async fn finds(trial: &Trial, query: &RequestQuery, all: &[Arc<MutationRequest>]) {
    let wanted = expected(trial, query, all);
    let found = check::found(&**trial.store(), query).await;
    assert_eq!(found, wanted, "{query:?}");
    let count = trial.store().count(query).await.expect("a count");
    let most = wanted.len() as u64;
    assert!(
        count.lower_bound() <= most && count.exact().is_none_or(|count| count == most),
        "{count:?} of {most}: {query:?}"
    );
}

/// Every preset finds the requests its name says.
pub async fn presets_find_what_they_say(trial: &Trial) {
    let all = one_of_each(trial).await;
    let id = |i: usize| *all[i].id();
    let store = &**trial.store();
    assert_eq!(check::found(store, &everything()).await, check::ids(&all));
    for (query, wanted) in [
        (everything().pending(), vec![id(0), id(8)]),
        (everything().approval_queue(), vec![id(0), id(8)]),
        // Approved by policies alone is not approved by people.
        (everything().recently_approved(), vec![id(1)]),
        (
            everything().recent_outcomes(),
            vec![id(2), id(3), id(4), id(5), id(6), id(7)],
        ),
    ] {
        assert_eq!(check::found(store, &query).await, wanted, "{query:?}");
        finds(trial, &query, &all).await;
    }
}

/// Every status is found, and no other with it.
pub async fn every_status_is_found(trial: &Trial) {
    let all = one_of_each(trial).await;
    for status in Status::ALL {
        finds(trial, &everything().statuses([status]), &all).await;
    }
    let statuses: BTreeSet<_> = all.iter().map(|request| request.status()).collect();
    assert_eq!(statuses.len(), 8, "all statuses that are stored");
}

/// Every kind of condition finds what the evaluator says, also when it is negated.
pub async fn every_condition_and_its_negation(trial: &Trial) {
    let all = varied(trial).await;
    let start = trial.start();
    let conditions = vec![
        Condition::RequestIds([*all[0].id(), *all[4].id()].into()),
        Condition::StateIds([fixtures::state_id("Billing/EU")].into()),
        Condition::StateTypes([fixtures::state_type("test.other")].into()),
        Condition::MutationTypes(
            [governance_core::MutationType::new("test.other_change").expect("a name")].into(),
        ),
        Condition::Requesters([fixtures::actor_id("dora")].into()),
        Condition::RequesterNames(["Dora Example".to_owned()].into()),
        Condition::Categories([label("iam")].into()),
        Condition::Operations([label("role.grant"), label("nothing")].into()),
        Condition::Risks([Risk::High, Risk::Critical].into()),
        Condition::Tags([label("urgent")].into()),
        Condition::BlastScope {
            min: Some(BlastScope::ALL[1]),
            max: None,
        },
        Condition::IntentMetadata {
            key: "ticket".to_owned(),
            value: 7.into(),
        },
        Condition::RequestMetadata {
            key: "team".to_owned(),
            value: "eu".into(),
        },
        Condition::Statuses([Status::Pending, Status::Executed].into()),
        Condition::PendingReasons([PendingReason::Approval].into()),
        Condition::DecidedBy([fixtures::actor_id("bob")].into()),
        Condition::DecisionCategories([DecisionCategory::Link].into()),
        Condition::DecisionCodes(["approval.denied".to_owned()].into()),
        Condition::Created(TimeRange::until(start)),
        Condition::Created(TimeRange::since(start)),
        Condition::Updated(TimeRange::between(start, start)),
        Condition::Due(TimeRange::since(start)),
        Condition::Correlations([fixtures::correlation("work-1")].into()),
        Condition::LinkedTo([*all[7].id(), *all[8].id()].into()),
        Condition::ResultingVersions([StateVersion::new(5)].into()),
        Condition::SideEffect(SideEffectFilter::any().kinds([label("ticket")])),
        Condition::SideEffect(
            SideEffectFilter::any()
                .kinds([label("ticket")])
                .severities([Severity::Critical]),
        ),
        Condition::Text("TICKET".to_owned()),
        Condition::Text("ärger".to_owned()),
        Condition::Text("billing".to_owned()),
        Condition::DecidableBy(Arc::new(governance_core::query::Person {
            actor: fixtures::actor_id("bob"),
            membership: Membership::default(),
        })),
    ];
    let mut some = 0;
    for condition in conditions {
        let filter = Filter::from(condition);
        let query = everything().and(filter.clone());
        some += usize::from(!expected(trial, &query, &all).is_empty());
        finds(trial, &query, &all).await;
        finds(trial, &everything().and(!filter), &all).await;
    }
    assert!(some >= 29, "a condition that finds nothing proves nothing");
}

/// Conditions combine: all, any, none, nested, empty.
pub async fn conditions_combine(trial: &Trial) {
    let all = varied(trial).await;
    let pending = || Filter::from(Condition::Statuses([Status::Pending].into()));
    let risky = || Filter::from(Condition::Risks([Risk::High].into()));
    let late = || Filter::from(Condition::Due(TimeRange::default()));
    for filter in [
        Filter::everything(),
        Filter::nothing(),
        !Filter::everything(),
        pending().and(risky()),
        pending().and(!risky()),
        risky().or(late()),
        !risky().or(late()),
        pending().and(!(risky().or(late()))),
        Filter::Any(vec![Filter::nothing(), pending().and(late())]),
        Filter::from(Condition::Statuses(BTreeSet::new())),
        !Filter::from(Condition::Statuses(BTreeSet::new())),
    ] {
        finds(trial, &everything().and(filter), &all).await;
    }
}

/// A query of a tenant finds nothing of another.
pub async fn tenants_are_apart(trial: &Trial) {
    let ours = trial.create(&trial.request()).await;
    let theirs = trial.create(&trial.request().tenant("acme")).await;
    let store = &**trial.store();
    let acme = RequestQuery::in_tenant(fixtures::tenant("acme"));
    let nobody = RequestQuery::in_tenant(fixtures::tenant("nobody"));
    for (query, wanted) in [
        (everything(), vec![*ours.id()]),
        (acme.clone(), vec![*theirs.id()]),
        (
            acme.clone().ids([*ours.id(), *theirs.id()]),
            vec![*theirs.id()],
        ),
        (
            acme.clone().excluding(Filter::nothing()),
            vec![*theirs.id()],
        ),
        (nobody, vec![]),
        (RequestQuery::all_tenants(), vec![*ours.id(), *theirs.id()]),
    ] {
        assert_eq!(check::found(store, &query).await, wanted, "{query:?}");
    }
    let approvals = ApprovalQuery::of(acme.clone());
    let views = check::approvals(store, &approvals, 10, Order::Submission).await;
    assert!(views.iter().all(|view| view.request == *theirs.id()));
    assert_eq!(views.len(), 1);
    let decisions = DecisionQuery::of(acme);
    let views = check::decisions(store, &decisions, 10, Order::Submission).await;
    assert!(views.iter().all(|view| view.request == *theirs.id()));
    assert_eq!(views.len(), theirs.decisions().len());
}

/// What a query found before a change it does not find after it, and the other way round.
pub async fn a_change_is_visible_at_once(trial: &Trial) {
    let store = &**trial.store();
    let pending = trial.create(&trial.request()).await;
    assert_eq!(
        check::found(store, &everything().pending()).await,
        [*pending.id()]
    );
    let approved = approve(&pending, trial.act("bob"), Membership::default());
    let approved = trial.update(&pending, approved).await;
    assert_eq!(check::found(store, &everything().pending()).await, []);
    let query = everything().statuses([Status::Approved]);
    assert_eq!(check::found(store, &query).await, [*approved.id()]);
    let canceled = trial
        .update(&approved, cancel(&approved, trial.act("alice")))
        .await;
    assert_eq!(check::found(store, &query).await, []);
    let query = everything().recent_outcomes();
    assert_eq!(check::found(store, &query).await, [*canceled.id()]);
}

/// Submission order is the order of the creates, whatever the ids, times and states; newest first
/// is its reverse.
pub async fn orders_of_submission(trial: &Trial) {
    let mut made = Vec::new();
    for i in 0..25_u64 {
        // Times run backwards, ids are spread over states and time.
        let ago = Duration::from_secs(i * 60);
        let at = trial.start().as_micros() - i64::try_from(ago.as_micros()).expect("small");
        let builder = trial
            .request()
            .at(governance_core::Timestamp::from_micros(at))
            .state(&format!("state-{}", i % 7));
        made.push(*trial.create(&builder).await.id());
    }
    let store = &**trial.store();
    for limit in [1, 7, 1_000] {
        let oldest = check::walk(store, &everything(), Order::Submission, limit).await;
        assert_eq!(check::ids(&oldest), made);
        let newest = check::walk(store, &everything(), Order::NewestFirst, limit).await;
        let reversed: Vec<_> = made.iter().rev().copied().collect();
        assert_eq!(check::ids(&newest), reversed);
    }
}

/// By deadline: the earliest first, those without one left out, an amended one where it belongs
/// now.
pub async fn order_of_deadlines(trial: &Trial) {
    let store = &**trial.store();
    let hour = |n: u64| trial.start().saturating_add(Duration::from_secs(n * 3_600));
    let mut by_hour = Vec::new();
    for n in [5, 3, 9, 1, 7] {
        by_hour.push(trial.create(&trial.request().deadline(hour(n))).await);
    }
    trial.create(&trial.request()).await;
    // What has ended is not due any more.
    let ended = trial.create(&trial.request().deadline(hour(2))).await;
    trial
        .update(&ended, cancel(&ended, trial.act("alice")))
        .await;
    let moved = &by_hour[2];
    let amended = fixtures::amend_deadline(moved, trial.act("alice"), Some(hour(4)));
    by_hour[2] = trial.update(moved, amended).await;
    let dropped = &by_hour[4];
    let amended = fixtures::amend_deadline(dropped, trial.act("alice"), None);
    trial.update(dropped, amended).await;

    let wanted = [3, 1, 2, 0].map(|i: usize| *by_hour[i].id());
    for limit in [1, 3, 1_000] {
        let found = check::walk(store, &everything(), Order::Deadline, limit).await;
        assert_eq!(check::ids(&found), wanted, "limit {limit}");
    }
    let due = everything().due_by(hour(4));
    let found = check::walk(store, &due, Order::Deadline, 2).await;
    assert_eq!(check::ids(&found), wanted[..3]);
}

/// Requests with one and the same deadline are all listed, once, in a stable order.
pub async fn equal_deadlines_are_all_listed(trial: &Trial) {
    let deadline = trial.start().saturating_add(Duration::from_secs(60));
    let mut made = BTreeSet::new();
    for i in 0..20 {
        let builder = trial.request().state(&format!("s-{i}")).deadline(deadline);
        made.insert(*trial.create(&builder).await.id());
    }
    let store = &**trial.store();
    let whole = check::ids(&check::walk(store, &everything(), Order::Deadline, 1_000).await);
    assert_eq!(check::distinct(&whole), made);
    for limit in [1, 3] {
        let found = check::walk(store, &everything(), Order::Deadline, limit).await;
        assert_eq!(check::ids(&found), whole);
    }
}

/// Walking page by page finds everything exactly once, whatever the limit and the order.
pub async fn paging_finds_everything_once(trial: &Trial) {
    let mut wanted = BTreeSet::new();
    for i in 0..40_u64 {
        let builder = trial.request().state(&format!("s-{}", i % 9)).deadline(
            trial
                .start()
                .saturating_add(Duration::from_secs(60 + i % 5)),
        );
        let builder = if i % 3 == 0 {
            builder.allowed()
        } else {
            builder
        };
        let request = trial.create(&builder).await;
        if request.status() == Status::Pending {
            wanted.insert(*request.id());
        }
    }
    let query = everything().pending();
    for order in Order::ALL {
        let whole = check::walk(&**trial.store(), &query, order, 1_000).await;
        for limit in [1, 7, 26, 27, 28, 1_000] {
            let found = check::walk(&**trial.store(), &query, order, limit).await;
            assert_eq!(check::distinct(&check::ids(&found)), wanted);
            assert_eq!(found, whole, "{order:?} by {limit}");
        }
    }
}

/// A cursor survives being written down.
pub async fn cursor_survives_its_text(trial: &Trial) {
    let made = [
        trial.create(&trial.request().state("a")).await,
        trial.create(&trial.request().state("b")).await,
        trial.create(&trial.request().state("c")).await,
    ];
    for order in [Order::Submission, Order::NewestFirst] {
        let mut page = PageRequest::first(1).expect("a limit").order(order);
        let mut found = Vec::new();
        for _ in 0..10 {
            let next = trial.store().requests(&everything(), &page).await;
            let next = next.expect("a page");
            found.extend(check::ids(&next.items));
            let Some(cursor) = next.next else { break };
            let text = cursor.to_string();
            page = page.after(text.parse().expect("its own text"));
        }
        assert_eq!(
            check::distinct(&found),
            check::ids(&made).into_iter().collect()
        );
    }
}

/// Between any two pages requests are created, ended and removed, also the one the cursor stands
/// behind: the walk goes on, repeats nothing, and loses nothing that was there throughout.
pub async fn paging_with_writes_between_pages(trial: &Trial) {
    for order in Order::ALL {
        let store = &**trial.store();
        let tenant = format!("tenant-{order:?}");
        let builder = trial
            .request()
            .tenant(&tenant)
            .expires_in(Duration::from_secs(600));
        let query = RequestQuery::in_tenant(fixtures::tenant(&tenant)).pending();
        let mut stays = BTreeSet::new();
        for i in 0..30 {
            let builder = builder.clone().state(&format!("s-{}", i % 8));
            stays.insert(*trial.create(&builder).await.id());
        }
        let mut page = PageRequest::first(3).expect("a limit").order(order);
        let mut seen = Vec::new();
        for turn in 0..200 {
            assert!(turn < 199, "the walk does not end");
            let next = store.requests(&query, &page).await.expect("a page");
            seen.extend(check::ids(&next.items));
            let Some(cursor) = next.next else { break };
            page = page.after(cursor);
            // What was listed last goes away; something new comes, for a while.
            if let Some(last) = next.items.last() {
                let ended = trial.update(last, cancel(last, trial.act("alice"))).await;
                stays.remove(last.id());
                if turn % 2 == 0 {
                    let purged = store.purge(ended.id(), ended.revision()).await;
                    purged.expect("a final request can be removed");
                }
            }
            if turn < 5 {
                trial.create(&builder.clone().state("s-new")).await;
            }
        }
        let seen = check::distinct(&seen);
        let lost: Vec<_> = stays.difference(&seen).collect();
        assert!(lost.is_empty(), "{order:?} lost {lost:?}");
    }
}

/// While others write, a walk repeats nothing and loses nothing that was there throughout.
pub async fn paging_under_writes(trial: &Trial) {
    let mut stays = BTreeSet::new();
    let mut leaves = Vec::new();
    for i in 0..60 {
        let builder = trial.request().state(&format!("s-{}", i % 8));
        let request = trial.create(&builder).await;
        if i % 4 == 0 {
            leaves.push(request);
        } else {
            stays.insert(*request.id());
        }
    }
    for order in [Order::Submission, Order::NewestFirst] {
        let store = Arc::clone(trial.store());
        let builder = trial.request();
        let acts: Vec<_> = leaves.iter().map(|_| trial.act("alice")).collect();
        let going = std::mem::take(&mut leaves);
        let writer = tokio::spawn(async move {
            for i in 0..60 {
                let new = builder.clone().state(&format!("s-{}", i % 8)).build();
                store.create(new).await.expect("a create");
                if let (Some(request), Some(act)) = (going.get(i), acts.get(i)) {
                    let after = cancel(request, act.clone());
                    let stored = store.try_store(after, request.revision()).await;
                    stored.expect("nobody else writes it");
                }
                tokio::task::yield_now().await;
            }
        });
        while !writer.is_finished() {
            let found = check::walk(&**trial.store(), &everything().pending(), order, 5).await;
            let found = check::distinct(&check::ids(&found));
            let lost: Vec<_> = stays.difference(&found).collect();
            assert!(lost.is_empty(), "lost {lost:?}");
        }
        writer.await.expect("the writer finished");
        let found = check::walk(&**trial.store(), &everything().pending(), order, 5).await;
        let found = check::distinct(&check::ids(&found));
        assert!(stays.is_subset(&found));
    }
}

/// The page has to be refused for this: the kind alone does not tell a caller what to mend.
fn refused_page<T: fmt::Debug>(result: Result<T, StoreError>, problem: PageError) {
    let error = check::refused(result, StoreErrorKind::InvalidInput);
    assert_eq!(error.cause(), Some(&problem), "{error}");
}

async fn refuses(
    store: &dyn Provider,
    query: &RequestQuery,
    page: &PageRequest,
    problem: PageError,
) {
    refused_page(store.requests(query, page).await, problem);
}

/// A cursor is of use only with the query and the order it came from.
pub async fn foreign_cursor_is_refused(trial: &Trial) {
    for state in ["a", "b", "c"] {
        let later = trial.start().saturating_add(Duration::from_secs(60));
        trial
            .create(&trial.request().state(state).deadline(later))
            .await;
    }
    let store = &**trial.store();
    let first = PageRequest::first(1).expect("a limit");
    let page = store.requests(&everything(), &first).await.expect("a page");
    let cursor = page.next.expect("more pages");
    let next = first.after(cursor);
    store
        .requests(&everything(), &next)
        .await
        .expect("its own query");
    for query in [
        everything().pending(),
        RequestQuery::all_tenants(),
        RequestQuery::in_tenant(fixtures::tenant("acme")),
    ] {
        refuses(store, &query, &next, PageError::CursorForeign).await;
    }
    for order in [Order::NewestFirst, Order::Deadline] {
        let next = next.clone().order(order);
        refuses(store, &everything(), &next, PageError::CursorForeign).await;
    }
    let approvals = ApprovalQuery::of(everything());
    let result = store.approvals(&approvals, &next).await;
    refused_page(result, PageError::CursorForeign);
    let decisions = DecisionQuery::of(everything());
    let result = store.decisions(&decisions, &next).await;
    refused_page(result, PageError::CursorForeign);
}

/// A cursor of the right query with a position no store wrote is refused.
pub async fn malformed_cursor_is_refused(trial: &Trial) {
    trial.create(&trial.request()).await;
    let store = &**trial.store();
    let query = everything();
    for order in Order::ALL {
        for position in [&b""[..], b"x", b"not a position of any store, and long"] {
            let cursor = Cursor::new(order, query.digest(), position);
            let page = PageRequest::first(10).expect("a limit").order(order);
            let page = page.after(cursor);
            refuses(store, &query, &page, PageError::CursorMalformed).await;
        }
    }
    let approvals = ApprovalQuery::of(query.clone());
    let cursor = Cursor::new(Order::Submission, approvals.digest(), b"x");
    let page = PageRequest::first(10).expect("a limit").after(cursor);
    let result = store.approvals(&approvals, &page).await;
    refused_page(result, PageError::CursorMalformed);
    let decisions = DecisionQuery::of(query.clone());
    let cursor = Cursor::new(Order::Submission, decisions.digest(), b"x");
    let page = PageRequest::first(10).expect("a limit").after(cursor);
    let result = store.decisions(&decisions, &page).await;
    refused_page(result, PageError::CursorMalformed);
    let cursor = Cursor::new(Order::Submission, Digest::of("another"), b"");
    let page = PageRequest::first(10).expect("a limit").after(cursor);
    refuses(store, &query, &page, PageError::CursorForeign).await;
}

/// The query has to be refused for this.
fn refused_filter<T: fmt::Debug>(result: Result<T, StoreError>, problem: FilterError) {
    let error = check::refused(result, StoreErrorKind::InvalidInput);
    assert_eq!(error.cause(), Some(&problem), "{error}");
}

/// A filter larger than filters may be is refused by every listing.
pub async fn oversized_filter_is_refused(trial: &Trial) {
    trial.create(&trial.request()).await;
    let store = &**trial.store();
    let large = Filter::Any(vec![Filter::everything(); Filter::MAX_PARTS]);
    let query = everything().and(large);
    let too_many = FilterError::TooManyParts;
    let page = PageRequest::first(10).expect("a limit");
    refused_filter(store.requests(&query, &page).await, too_many);
    refused_filter(store.count(&query).await, too_many);
    let approvals = ApprovalQuery::of(query.clone());
    let result = store.approvals(&approvals, &page).await;
    refused_filter(result, too_many);
    let decisions = DecisionQuery::of(query);
    let result = store.decisions(&decisions, &page).await;
    refused_filter(result, too_many);
    // What is asked of approvals and decisions has the same bounds as what is asked of requests.
    let stages = 0..=u16::try_from(Filter::MAX_VALUES).expect("a stage");
    let approvals = ApprovalQuery::of(everything()).stages(stages);
    let result = store.approvals(&approvals, &page).await;
    refused_filter(result, FilterError::TooManyValues);
    let decisions = DecisionQuery::of(everything());
    let decisions = (0..=Filter::MAX_PARTS).fold(decisions, |query, _| query.statuses(Status::ALL));
    let result = store.decisions(&decisions, &page).await;
    refused_filter(result, too_many);
}

/// Texts of a query are bounded in bytes, its own as those of its requests, and every listing
/// refuses what is larger.
pub async fn oversized_texts_are_refused(trial: &Trial) {
    trial.create(&trial.request()).await;
    let store = &**trial.store();
    let page = PageRequest::first(10).expect("a limit");
    let actual = Filter::MAX_BYTES + 1;
    let too_large = FilterError::TooLarge { actual };
    let long = || "x".repeat(actual);
    let query = everything().decision_codes([long()]);
    refused_filter(store.requests(&query, &page).await, too_large);
    refused_filter(store.count(&query).await, too_large);
    let approvals = ApprovalQuery::of(query.clone());
    refused_filter(store.approvals(&approvals, &page).await, too_large);
    for decisions in [
        DecisionQuery::of(query),
        DecisionQuery::of(everything()).codes([long()]),
        DecisionQuery::of(everything()).names([long()]),
    ] {
        refused_filter(store.decisions(&decisions, &page).await, too_large);
    }
    let roles = (0..Filter::MAX_BYTES / 128).chain([usize::MAX]);
    let roles = roles.map(|i| fixtures::role(format!("{i:0>128}")));
    let approvals = ApprovalQuery::of(everything()).roles(roles);
    let actual = Filter::MAX_BYTES + 128;
    let result = store.approvals(&approvals, &page).await;
    refused_filter(result, FilterError::TooLarge { actual });
}

/// Exactly what a person can decide now: not their own, not what they voted on, not a later
/// stage, not for another role, not what is overdue or over.
pub async fn decidable_by_is_exact(trial: &Trial) {
    use governance_core::{ApprovalRules, Requirement, Selector};
    let lead = || Membership::default().role(fixtures::role("lead"));
    let requirement = |id: &str, selector, stage| {
        Requirement::seats(id, 1, selector)
            .expect("an id")
            .in_stage(stage)
    };
    let by_role = |name: &str| Selector::role(fixtures::role(name));
    let bob = || Selector::actor(fixtures::actor_id("bob"));
    let staged = ApprovalRules::new([
        requirement("first", Selector::actor(fixtures::actor_id("carol")), 1),
        requirement("second", bob(), 2),
    ])
    .expect("rules");
    let both = ApprovalRules::new([requirement("lead", by_role("lead").and(bob()), 1)]);
    let builder = || trial.request();

    let named = trial.create(&builder().asks(["bob"])).await;
    let role = trial.create(&builder().rules(quorum(1, "lead"))).await;
    let group = builder().rules(
        ApprovalRules::new([requirement(
            "group",
            Selector::group(fixtures::group("security")),
            1,
        )])
        .expect("rules"),
    );
    trial.create(&group).await;
    trial.create(&builder().rules(quorum(1, "auditor"))).await;
    trial
        .create(&builder().asks(["bob"]).requester("bob"))
        .await;
    trial
        .create(&builder().asks(["bob"]).on_behalf_of("bob"))
        .await;
    trial.create(&builder().asks(["bob"]).party("bob")).await;
    trial.create(&builder().asks(["bob"]).overdue()).await;
    trial.create(&builder().allowed()).await;
    let later_stage = trial.create(&builder().rules(staged)).await;
    let and = trial.create(&builder().rules(both.expect("rules"))).await;
    let voted = trial.create(&builder().asks(["bob", "carol"])).await;
    let voted_now = approve(&voted, trial.act("bob"), Membership::default());
    trial.update(&voted, voted_now).await;
    let ended = trial.create(&builder().asks(["bob"])).await;
    trial
        .update(&ended, cancel(&ended, trial.act("alice")))
        .await;

    let store = &**trial.store();
    let inbox =
        |who: &str, membership| everything().decidable_by(fixtures::actor_id(who), membership);
    let ids = [*named.id(), *role.id(), *and.id()];
    assert_eq!(check::found(store, &inbox("bob", lead())).await, ids);
    let plain = inbox("bob", Membership::default());
    assert_eq!(check::found(store, &plain).await, [*named.id()]);
    let acting = lead().acting_for(fixtures::actor_id("alice"));
    assert_eq!(check::found(store, &inbox("bob", acting)).await, []);
    assert_eq!(check::found(store, &inbox("alice", lead())).await, []);
    // Once the first stage is through, the second is open to bob.
    let carol = approve(&later_stage, trial.act("carol"), Membership::default());
    trial.update(&later_stage, carol).await;
    let ids = [*named.id(), *later_stage.id()];
    assert_eq!(check::found(store, &plain).await, ids);
}

/// Counts are exact where an index can tell, and never more than there is.
pub async fn counts_are_never_too_high(trial: &Trial) {
    for i in 0..30 {
        let builder = trial
            .request()
            .state(&format!("s-{i}"))
            .reason("needle in here");
        let builder = if i % 3 == 0 {
            builder.allowed()
        } else {
            builder
        };
        trial.create(&builder).await;
    }
    let store = &**trial.store();
    let exact = |count: Result<Count, _>| count.expect("a count").exact();
    assert_eq!(exact(store.count(&everything()).await), Some(30));
    assert_eq!(exact(store.count(&everything().pending()).await), Some(20));
    let nothing = everything().statuses([Status::Expired]);
    assert_eq!(exact(store.count(&nothing).await), Some(0));
    let text = store.count(&everything().pending().text("NEEDLE")).await;
    let text = text.expect("a count");
    assert!(text.lower_bound() <= 20 && text.exact().is_none_or(|n| n == 20));
}
