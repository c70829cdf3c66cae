//! Requests by id: create, change, read, remove.

use std::sync::Arc;

use governance_core::{
    Act, ApprovalQuery, Conflict, Count, Creation, DecisionQuery, Filter, IdSource as _, Order,
    RequestQuery, Revision, Status, StoreErrorKind, TenantId,
};

use crate::{
    Trial, check,
    fixtures::{actor, approve, cancel, key, scope},
};

/// A request is read as it was created.
pub async fn create_then_get(trial: &Trial) {
    let request = trial
        .create(
            &trial
                .request()
                .metadata("nested", serde_json::json!({"a": [1, 1.0, null]})),
        )
        .await;
    check::stored(&**trial.store(), &request).await;
    assert_eq!(request.revision(), Revision::FIRST);
}

/// Nothing is found under an id or key nobody has.
pub async fn absent_is_none(trial: &Trial) {
    let (store, request) = (trial.store(), trial.request().build());
    assert_eq!(store.get(request.id()).await.expect("a read"), None);
    let found = store.find_by_key(&scope("a"), &key("nobody-has-it")).await;
    assert_eq!(found.expect("a read"), None);
}

/// Two requests cannot have one id.
pub async fn duplicate_id_is_refused(trial: &Trial) {
    let first = trial.create(&trial.request()).await;
    let other = trial.request().id(*first.id()).value(2).build();
    check::refused(
        trial.store().create(other).await,
        StoreErrorKind::AlreadyExists,
    );
    check::stored(&**trial.store(), &first).await;
}

/// A create that is repeated, word for word, finds what it made.
pub async fn repeated_create_finds_the_first(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    check::existing(trial.store().create(Arc::clone(&request)).await, &request);
}

/// A create that is repeated after the request has moved on finds it as it is now.
pub async fn repeated_create_finds_the_request_as_it_is_now(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    let after = cancel(&request, trial.act("alice"));
    let after = trial.update(&request, after).await;
    check::existing(trial.store().create(request).await, &after);
    check::stored(&**trial.store(), &after).await;
}

/// One key of one state belongs to one request.
pub async fn duplicate_key_finds_the_first(trial: &Trial) {
    let builder = trial.request().key("deploy-1");
    let first = trial.create(&builder).await;
    let second = builder.value(2).build();
    let result = trial.store().create(Arc::clone(&second)).await;
    check::existing(result, &first);
    assert_eq!(trial.store().get(second.id()).await.expect("a read"), None);
    let found = check::by_key(&**trial.store(), &scope("a"), "deploy-1").await;
    assert_eq!(found.as_deref(), Some(&*first));
}

/// Keys are told apart by tenant, kind of state and state.
pub async fn keys_of_other_states_are_apart(trial: &Trial) {
    let builder = trial.request().key("deploy-1");
    let others = [
        builder.clone(),
        builder.clone().state("b"),
        builder.clone().state_type("test.other"),
        builder.tenant("acme"),
    ];
    for builder in &others {
        let request = trial.create(builder).await;
        let found = check::by_key(&**trial.store(), builder.scope(), "deploy-1").await;
        assert_eq!(found.as_deref(), Some(&*request));
    }
    let all = RequestQuery::all_tenants();
    assert_eq!(check::found(&**trial.store(), &all).await.len(), 4);
}

/// Only new requests can be created.
pub async fn create_of_a_request_that_is_not_new_is_refused(trial: &Trial) {
    let request = trial.request().build();
    let later = cancel(&request, trial.act("alice"));
    let result = trial.store().create(later).await;
    check::refused(result, StoreErrorKind::InvalidInput);
    assert_eq!(trial.store().get(request.id()).await.expect("a read"), None);
}

/// An id tells where its state lives; one that tells otherwise is refused.
pub async fn id_that_does_not_route_to_its_state_is_refused(trial: &Trial) {
    let elsewhere = trial.ids().request_id(trial.start(), scope("b").slot());
    let request = trial.request().state("a").id(elsewhere).build();
    let result = trial.store().create(request).await;
    check::refused(result, StoreErrorKind::InvalidInput);
    assert_eq!(trial.store().get(&elsewhere).await.expect("a read"), None);
}

/// A change from the stored revision is stored.
pub async fn change_from_the_stored_revision_is_stored(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    let after = approve(&request, trial.act("bob"), Default::default());
    let after = trial.update(&request, after).await;
    assert_eq!(after.revision(), Revision::new(2));
    assert_eq!(after.status(), Status::Approved);
    check::stored(&**trial.store(), &after).await;
}

/// A change from an older revision is a conflict that tells both revisions, and changes nothing.
pub async fn change_from_an_older_revision_conflicts(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    let after = trial
        .update(
            &request,
            approve(&request, trial.act("bob"), Default::default()),
        )
        .await;
    let late = cancel(&request, trial.act("alice"));
    let result = trial.store().try_store(late, request.revision()).await;
    check::request_conflict(result, &request, &after);
    check::stored(&**trial.store(), &after).await;
}

/// A change from a revision that is not there yet is a conflict too.
pub async fn change_from_a_later_revision_conflicts(trial: &Trial) {
    let request = trial.create(&trial.request()).await;
    let skipped = approve(&request, trial.act("bob"), Default::default());
    let early = cancel(&skipped, trial.act("alice"));
    let result = trial.store().try_store(early, skipped.revision()).await;
    check::request_conflict(result, &skipped, &request);
    check::stored(&**trial.store(), &request).await;
}

/// A missing request is not found; that is not a conflict.
pub async fn change_of_a_missing_request_is_not_found(trial: &Trial) {
    let request = trial.request().build();
    let after = cancel(&request, trial.act("alice"));
    let result = trial.store().try_store(after, request.revision()).await;
    let error = check::refused(result, StoreErrorKind::NotFound);
    assert_eq!(error.conflict_data(), None);
}

/// A history in which a stored decision was replaced is refused.
pub async fn rewritten_history_is_refused(trial: &Trial) {
    let builder = trial.request();
    let request = trial.create(&builder).await;
    // The same request as if somebody else had asked for it, with a change of its own.
    let forged = builder
        .clone()
        .requester("mallory")
        .id(*request.id())
        .build();
    let forged = cancel(&forged, trial.act("mallory"));
    let result = trial.store().try_store(forged, request.revision()).await;
    check::refused(result, StoreErrorKind::InvalidInput);
    check::stored(&**trial.store(), &request).await;
}

/// A history in which only the decisions differ, not the proposal, is refused.
pub async fn replaced_decision_is_refused(trial: &Trial) {
    let request = trial.create(&trial.request().asks(["bob", "carol"])).await;
    let bob = approve(&request, trial.act("bob"), Default::default());
    let bob = trial.update(&request, bob).await;
    let carol = approve(&request, trial.act("carol"), Default::default());
    let forged = cancel(&carol, trial.act("alice"));
    let result = trial.store().try_store(forged, bob.revision()).await;
    check::refused(result, StoreErrorKind::InvalidInput);
    check::stored(&**trial.store(), &bob).await;
}

/// A history that stops before the stored one does is refused.
pub async fn dropped_decision_is_refused(trial: &Trial) {
    let request = trial.create(&trial.request().asks(["bob", "carol"])).await;
    let bob = approve(&request, trial.act("bob"), Default::default());
    let bob = trial.update(&request, bob).await;
    let result = trial
        .store()
        .try_store(Arc::clone(&request), bob.revision())
        .await;
    check::refused(result, StoreErrorKind::InvalidInput);
    check::stored(&**trial.store(), &bob).await;
}

/// A change that is repeated right away finds what it did.
pub async fn repeated_change_finds_the_first_outcome(trial: &Trial) {
    let request = trial.create(&trial.request().asks(["bob", "carol"])).await;
    let bob = approve(&request, trial.act("bob"), Default::default());
    let bob = trial.update(&request, bob).await;
    let again = trial
        .store()
        .try_store(Arc::clone(&bob), request.revision())
        .await;
    check::replayed(again, &bob);
}

/// A change that is repeated after others is still known by its operation.
pub async fn repeated_change_is_known_after_others(trial: &Trial) {
    let request = trial.create(&trial.request().asks(["bob", "carol"])).await;
    let bob = approve(&request, trial.act("bob"), Default::default());
    let bob = trial.update(&request, bob).await;
    let carol = approve(&bob, trial.act("carol"), Default::default());
    let carol = trial.update(&bob, carol).await;
    let again = trial.store().try_store(bob, request.revision()).await;
    check::replayed(again, &carol);
    check::stored(&**trial.store(), &carol).await;
}

/// A change made afresh under an operation that was applied before finds the first outcome: this
/// is how a lost answer is settled.
pub async fn same_operation_on_an_old_form_finds_the_first_outcome(trial: &Trial) {
    let request = trial.create(&trial.request().asks(["bob", "carol"])).await;
    let act = trial.act("bob");
    let bob = approve(&request, act.clone(), Default::default());
    let bob = trial.update(&request, bob).await;
    let other = Act::new(&actor("bob"), act.at, act.operation);
    let anew = cancel(&request, other);
    let result = trial.store().try_store(anew, request.revision()).await;
    check::replayed(result, &bob);
    check::stored(&**trial.store(), &bob).await;
}

/// An operation that is in the stored history is answered from there even when the expected
/// revision is the stored one and the history extends it: nothing is done twice under one
/// operation, and no second act hides behind it.
pub async fn same_operation_on_the_stored_form_finds_the_first_outcome(trial: &Trial) {
    let request = trial.create(&trial.request().asks(["bob", "carol"])).await;
    let first = trial.act("bob");
    let bob = approve(&request, first.clone(), Default::default());
    let bob = trial.update(&request, bob).await;
    let other = Act::new(&actor("carol"), first.at, first.operation);
    for again in [
        approve(&bob, other.clone(), Default::default()),
        cancel(&bob, other.clone()),
    ] {
        again
            .check_extends(&bob)
            .expect("it extends what is stored");
        let result = trial.store().try_store(again, bob.revision()).await;
        check::replayed(result, &bob);
        check::stored(&**trial.store(), &bob).await;
    }
    let carol = approve(&bob, trial.act("carol"), Default::default());
    let carol = trial.update(&bob, carol).await;
    let late = cancel(&carol, other);
    let result = trial.store().try_store(late, carol.revision()).await;
    check::replayed(result, &carol);
    check::stored(&**trial.store(), &carol).await;
}

/// `get_many` keeps the order, repeats what is asked for twice, and leaves a gap for what is
/// missing.
pub async fn get_many_keeps_order_and_gaps(trial: &Trial) {
    let one = trial.create(&trial.request().state("a")).await;
    let two = trial.create(&trial.request().state("b")).await;
    let missing = *trial.request().build().id();
    let asked = [*two.id(), missing, *one.id(), *two.id()];
    let found = trial.store().get_many(&asked).await.expect("a read");
    let expected = [Some(Arc::clone(&two)), None, Some(one), Some(two)];
    assert_eq!(found, expected);
    assert_eq!(trial.store().get_many(&[]).await.expect("a read"), []);
}

/// Only requests in a final status can be removed.
pub async fn purge_of_an_open_request_is_refused(trial: &Trial) {
    for builder in [trial.request(), trial.request().allowed()] {
        let request = trial.create(&builder).await;
        let result = trial.store().purge(request.id(), request.revision()).await;
        check::refused(result, StoreErrorKind::InvalidInput);
        check::stored(&**trial.store(), &request).await;
    }
}

/// Removing from another revision is a conflict; removing what is not there is not found.
pub async fn purge_checks_the_revision(trial: &Trial) {
    let request = trial.create(&trial.request().denied()).await;
    let result = trial.store().purge(request.id(), Revision::new(2)).await;
    let error = check::refused(result, StoreErrorKind::Conflict);
    let conflict = Conflict::Request {
        expected: Revision::new(2),
        actual: Revision::FIRST,
    };
    assert_eq!(error.conflict_data(), Some(conflict));
    check::stored(&**trial.store(), &request).await;
    let missing = *trial.request().build().id();
    let result = trial.store().purge(&missing, Revision::FIRST).await;
    check::refused(result, StoreErrorKind::NotFound);
}

/// Removing frees the idempotency key.
pub async fn purge_frees_the_key(trial: &Trial) {
    let builder = trial.request().key("deploy-1").denied();
    let first = trial.create(&builder).await;
    let purged = trial.store().purge(first.id(), first.revision()).await;
    purged.expect("a final request can be removed");
    let found = check::by_key(&**trial.store(), &scope("a"), "deploy-1").await;
    assert_eq!(found, None);
    let second = trial.create(&builder).await;
    assert_ne!(first.id(), second.id());
}

/// What is removed is in no listing and no count.
pub async fn purge_removes_from_every_listing(trial: &Trial) {
    let store = &**trial.store();
    let kept = trial.create(&trial.request().denied()).await;
    let open = trial
        .create(
            &trial
                .request()
                .asks(["bob", "carol"])
                .key("k")
                .reason("needle"),
        )
        .await;
    let bob = approve(&open, trial.act("bob"), Default::default());
    let bob = trial.update(&open, bob).await;
    let gone = trial.update(&bob, cancel(&bob, trial.act("alice"))).await;
    let tenant = TenantId::default();
    let purged = store.purge(gone.id(), gone.revision()).await;
    purged.expect("a final request can be removed");

    assert_eq!(store.get(gone.id()).await.expect("a read"), None);
    let many = store.get_many(&[*gone.id(), *kept.id()]).await;
    assert_eq!(many.expect("a read"), [None, Some(Arc::clone(&kept))]);
    let everything = RequestQuery::in_tenant(tenant);
    for query in [
        everything.clone(),
        everything.clone().ids([*gone.id(), *kept.id()]),
        everything.clone().statuses(Status::ALL),
        everything.clone().states([scope("a").state_id]),
        everything.clone().recent_outcomes(),
        everything.clone().excluding(Filter::nothing()),
        RequestQuery::all_tenants(),
    ] {
        assert_eq!(check::found(store, &query).await, [*kept.id()], "{query:?}");
        let count = store.count(&query).await.expect("a count");
        assert!(count.lower_bound() <= 1, "{count:?} of {query:?}");
        assert!(
            count.exact().is_none_or(|n| n == 1),
            "{count:?} of {query:?}"
        );
    }
    let voted = everything
        .clone()
        .decided_by([crate::fixtures::actor_id("bob")]);
    assert_eq!(check::found(store, &voted).await, []);
    let approvals = ApprovalQuery::of(everything.clone());
    let approvals = check::approvals(store, &approvals, 100, Order::Submission).await;
    assert!(approvals.iter().all(|view| view.request != *gone.id()));
    let decisions = DecisionQuery::of(everything.clone());
    let decisions = check::decisions(store, &decisions, 100, Order::Submission).await;
    assert!(decisions.iter().all(|view| view.request == *kept.id()));
    assert_eq!(decisions.len(), kept.decisions().len());
    let count = store.count(&everything.statuses([Status::Canceled])).await;
    assert!(matches!(
        count,
        Ok(Count::Exact(0) | Count::AtLeast(0) | Count::Unknown)
    ));
}

/// A request that was removed can be made again, under its old id.
pub async fn purged_id_can_be_created_again(trial: &Trial) {
    let request = trial.create(&trial.request().denied()).await;
    let purged = trial.store().purge(request.id(), request.revision()).await;
    purged.expect("a final request can be removed");
    let result = trial.store().create(Arc::clone(&request)).await;
    assert!(matches!(result, Ok(Creation::Created)), "{result:?}");
    let all = RequestQuery::in_tenant(TenantId::default());
    assert_eq!(check::found(&**trial.store(), &all).await, [*request.id()]);
}

/// What was stored is there after a restart, where the store keeps it.
pub async fn reopened_store_has_everything(trial: &Trial) {
    let request = trial.create(&trial.request().key("k")).await;
    let bob = approve(&request, trial.act("bob"), Default::default());
    let bob = trial.update(&request, bob).await;
    let Some(store) = trial.reopen().await else {
        return trial.lacks("reopening");
    };
    check::stored(&*store, &bob).await;
    let found = store.find_by_key(&scope("a"), &key("k")).await;
    assert_eq!(found.expect("a read").as_deref(), Some(&*bob));
    let approved = RequestQuery::in_tenant(TenantId::default()).statuses([Status::Approved]);
    assert_eq!(check::found(&*store, &approved).await, [*bob.id()]);
    let again = store.try_store(Arc::clone(&bob), request.revision()).await;
    check::replayed(again, &bob);
}
