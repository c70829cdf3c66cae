//! Lists of approval requirements and of decisions.

use std::{sync::Arc, time::Duration};

use governance_core::{
    ApprovalQuery, ApprovalRules, Cursor, DecisionCategory, DecisionQuery, DecisionView, Digest,
    Membership, MutationRequest, Order, Page, PageError, PageRequest, RequestQuery, Requirement,
    RequirementStatus, Selector, Status, StoreError, StoreErrorKind, TenantId, TimeRange,
    approval_views,
};

use crate::{
    Trial, check,
    fixtures::{self, approve, cancel, deny, role},
};

fn everything() -> RequestQuery {
    RequestQuery::in_tenant(TenantId::default())
}

fn page(limit: u16, order: Order) -> PageRequest {
    PageRequest::first(limit).expect("a limit").order(order)
}

/// Two stages: two leads, then bob.
fn staged() -> ApprovalRules {
    let leads = Requirement::seats("leads", 2, Selector::role(role("lead")));
    let bob = Requirement::everyone("bob", [fixtures::actor_id("bob")]);
    ApprovalRules::new([leads.expect("an id"), bob.expect("an id").in_stage(2)]).expect("rules")
}

fn lead() -> Membership {
    Membership::default().role(role("lead"))
}

/// Requests with requirements in every state: partly filled, satisfied, denied, over.
async fn requests(trial: &Trial) -> Vec<Arc<MutationRequest>> {
    let mut all = Vec::new();
    for votes in 0..3 {
        let mut request = trial.create(&trial.request().rules(staged())).await;
        for who in ["carol", "dora"].into_iter().take(votes) {
            let voted = approve(&request, trial.act(who), lead());
            request = trial.update(&request, voted).await;
        }
        all.push(request);
    }
    let request = trial.create(&trial.request().rules(staged())).await;
    all.push(
        trial
            .update(&request, deny(&request, trial.act("carol"), lead()))
            .await,
    );
    let request = trial.create(&trial.request().rules(staged())).await;
    all.push(
        trial
            .update(&request, cancel(&request, trial.act("alice")))
            .await,
    );
    all.push(trial.create(&trial.request().allowed()).await);
    all
}

/// Every requirement is listed as the evaluator says it stands, in the order of the requests and
/// by stage.
pub async fn approvals_stand_as_they_stand(trial: &Trial) {
    let all = requests(trial).await;
    let store = &**trial.store();
    let of_all = ApprovalQuery::of(everything());
    for query in [
        of_all.clone(),
        of_all.clone().open(),
        of_all.clone().statuses([RequirementStatus::Satisfied]),
        of_all.clone().actors([fixtures::actor_id("bob")]),
        of_all.clone().roles([role("lead")]).stages([1]),
        of_all.clone().stages([2]),
        of_all.clone().groups([fixtures::group("nobody")]),
        ApprovalQuery::of(everything().statuses([Status::Rejected])),
    ] {
        let wanted: Vec<_> = all
            .iter()
            .flat_map(|request| approval_views(&query, request, trial.start()))
            .collect();
        for limit in [1, 2, 1_000] {
            let found = check::approvals(store, &query, limit, Order::Submission).await;
            assert_eq!(found, wanted, "{query:?} by {limit}");
        }
    }
    let open = check::approvals(store, &of_all.clone().open(), 10, Order::Submission).await;
    let open: Vec<_> = open.iter().map(|view| (view.request, view.stage)).collect();
    let id = |i: usize| *all[i].id();
    assert_eq!(open, [(id(0), 1), (id(1), 1), (id(2), 2)]);
}

/// The newest request's requirements come first when asked for.
pub async fn approvals_newest_first(trial: &Trial) {
    let all = requests(trial).await;
    let query = ApprovalQuery::of(everything());
    let wanted: Vec<_> = all
        .iter()
        .rev()
        .flat_map(|request| approval_views(&query, request, trial.start()))
        .collect();
    for limit in [1, 3, 1_000] {
        let found = check::approvals(&**trial.store(), &query, limit, Order::NewestFirst).await;
        assert_eq!(found, wanted);
    }
}

/// Every decision is listed once, in the order it was stored, or the other way round.
pub async fn decisions_in_the_order_they_were_stored(trial: &Trial) {
    let store = &**trial.store();
    let one = trial.create(&trial.request().asks(["bob", "carol"])).await;
    let two = trial.create(&trial.request().state("b")).await;
    let one_b = trial
        .update(&one, approve(&one, trial.act("bob"), Membership::default()))
        .await;
    let two_b = trial.update(&two, cancel(&two, trial.act("alice"))).await;
    let one_c = trial
        .update(
            &one_b,
            approve(&one_b, trial.act("carol"), Membership::default()),
        )
        .await;
    let mut wanted = Vec::new();
    for (request, from) in [
        (&one, 0),
        (&two, 0),
        (&one_b, one.decisions().len()),
        (&two_b, two.decisions().len()),
        (&one_c, one_b.decisions().len()),
    ] {
        let new = request.decisions()[from..].iter();
        wanted.extend(new.map(|decision| (*request.id(), decision.seq())));
    }
    let query = DecisionQuery::of(everything());
    let places = |views: &[DecisionView]| -> Vec<_> {
        let place = |view: &DecisionView| (view.request, view.decision.seq());
        views.iter().map(place).collect()
    };
    for limit in [1, 3, 1_000] {
        let found = check::decisions(store, &query, limit, Order::Submission).await;
        assert_eq!(places(&found), wanted, "by {limit}");
        let mut found = places(&check::decisions(store, &query, limit, Order::NewestFirst).await);
        found.reverse();
        assert_eq!(found, wanted, "newest first by {limit}");
    }
}

/// Conditions on decisions hold for the decision, those on requests for its request.
pub async fn decisions_are_filtered(trial: &Trial) {
    let all = requests(trial).await;
    let store = &**trial.store();
    let of_all = DecisionQuery::of(everything());
    for query in [
        of_all.clone().categories([DecisionCategory::Approval]),
        of_all
            .clone()
            .codes(["approval.granted", "lifecycle.canceled"]),
        of_all.clone().actors([fixtures::actor_id("carol")]),
        of_all.clone().names(["Nobody"]),
        of_all.clone().at(TimeRange::until(trial.start())),
        of_all.clone().statuses([Status::Rejected]),
        of_all.clone().recent_outcomes(),
        of_all.clone().recent_version_resolutions(),
        DecisionQuery::of(everything().pending()).codes(["approval.granted"]),
    ] {
        let mut wanted: Vec<_> = all
            .iter()
            .flat_map(|request| {
                governance_core::query::decision_views(&query, request, trial.start())
            })
            .map(|view| (view.request, view.decision.seq()))
            .collect();
        wanted.sort_unstable();
        let found = check::decisions(store, &query, 2, Order::Submission).await;
        let mut found: Vec<_> = found
            .iter()
            .map(|view| (view.request, view.decision.seq()))
            .collect();
        found.sort_unstable();
        assert_eq!(found, wanted, "{query:?}");
    }
    let granted = of_all.codes(["approval.granted"]);
    let granted = check::decisions(store, &granted, 10, Order::Submission).await;
    assert_eq!(granted.len(), 3, "one vote, then two");
}

/// Decisions have no order by deadline.
pub async fn decisions_by_deadline_are_refused(trial: &Trial) {
    let query = DecisionQuery::of(everything());
    let result = trial
        .store()
        .decisions(&query, &page(10, Order::Deadline))
        .await;
    check::refused(result, StoreErrorKind::InvalidInput);
}

/// The decisions of a removed request are gone, the others stay where they were.
pub async fn decisions_after_a_purge(trial: &Trial) {
    let store = &**trial.store();
    let one = trial.create(&trial.request().denied()).await;
    let two = trial.create(&trial.request().denied().state("b")).await;
    let three = trial.create(&trial.request().denied().state("c")).await;
    let query = DecisionQuery::of(everything());
    let first = store.decisions(&query, &page(1, Order::Submission)).await;
    let cursor = first.expect("a page").next.expect("more pages");
    store
        .purge(two.id(), two.revision())
        .await
        .expect("a purge");
    let rest = page(1_000, Order::Submission).after(cursor);
    let rest = check::decisions_from(store, &query, rest).await;
    let rest: Vec<_> = rest
        .iter()
        .map(|view| (view.request, view.decision.seq()))
        .collect();
    let of = |request: &MutationRequest| -> Vec<_> {
        let seqs = request.decisions().iter().map(|decision| decision.seq());
        seqs.map(|seq| (*request.id(), seq)).collect()
    };
    let wanted: Vec<_> = of(&one).into_iter().skip(1).chain(of(&three)).collect();
    assert_eq!(rest, wanted);
}

/// Positions somebody might make up who has seen one: others of the same beginning, with numbers
/// at the ends of what there is.
fn made_up(seen: &[u8]) -> Vec<Vec<u8>> {
    const TAILS: [&[u8]; 9] = [
        &[],
        &[0],
        &[0xff; 4],
        &[0xff; 8],
        &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x80, 0, 0, 0, 0, 0, 0, 0],
        // As numbers of variable length: the largest, the one before, and 2^63.
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
    ];
    let mut all = Vec::new();
    for begin in 0..=seen.len() {
        for tail in TAILS {
            all.push([&seen[..begin], tail].concat());
        }
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = seen.to_vec();
            if let Some(at) = changed.get_mut(begin) {
                *at = byte;
                all.push(changed);
            }
        }
    }
    all
}

/// Walks from a position that was made up. It may be refused, and may lead anywhere, however long
/// the way is from there.
async fn walk_from<T>(
    first: PageRequest,
    order: Order,
    digest: Digest,
    mut list: impl AsyncFnMut(&PageRequest) -> Result<Page<T>, StoreError>,
) {
    const MOST_PAGES: usize = 5;
    let genuine = list(&first).await.expect("a page").next;
    let genuine = genuine.expect("more pages");
    let seen = genuine.position(order, digest).expect("its own");
    for position in made_up(seen) {
        let mut page = first.clone().after(Cursor::new(order, digest, &position));
        for pages in 0..MOST_PAGES {
            match list(&page).await {
                Ok(found) => match found.next {
                    Some(next) => page = page.after(next),
                    None => break,
                },
                Err(error) => {
                    let told = error.cause::<PageError>();
                    assert!(told.is_some() && pages == 0, "{position:x?}: {error:?}");
                    break;
                }
            }
        }
    }
}

/// A cursor is not signed: whoever has one can make others. None of them does any harm.
pub async fn made_up_positions_are_answered_or_refused(trial: &Trial) {
    let store = &**trial.store();
    for i in 0..4 {
        let later = trial.start().saturating_add(Duration::from_secs(60 + i));
        let state = format!("s{i}");
        trial
            .create(
                &trial
                    .request()
                    .state(&state)
                    .deadline(later)
                    .rules(staged()),
            )
            .await;
    }
    let query = everything();
    for order in Order::ALL {
        let first = page(2, order);
        let list = async |page: &PageRequest| store.requests(&query, page).await;
        walk_from(first, order, query.digest(), list).await;
    }
    let approvals = ApprovalQuery::of(everything());
    for order in Order::ALL {
        let first = page(2, order);
        let list = async |page: &PageRequest| store.approvals(&approvals, page).await;
        walk_from(first, order, approvals.digest(), list).await;
    }
    let decisions = DecisionQuery::of(everything());
    for order in [Order::Submission, Order::NewestFirst] {
        let first = page(4, order);
        let list = async |page: &PageRequest| store.decisions(&decisions, page).await;
        walk_from(first, order, decisions.digest(), list).await;
    }
    // A narrow query may be answered in another way.
    let one = everything().states([fixtures::state_id("s1"), fixtures::state_id("s2")]);
    for order in Order::ALL {
        let first = page(1, order);
        let list = async |page: &PageRequest| store.requests(&one, page).await;
        walk_from(first, order, one.digest(), list).await;
    }
    trial.create(&trial.request().state("after")).await;
}
