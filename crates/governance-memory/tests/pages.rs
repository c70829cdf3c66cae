//! What a page may cost, and writes that were done before.

use std::sync::Arc;

use governance_core::{
    Act, ApprovalQuery, DecisionQuery, MutationRequest, Order, PageRequest, RequestQueries,
    RequestQuery, RequestStore, StoreErrorKind, Written,
};
use governance_memory::MemoryStore;
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, VirtualClock, actor, approve, cancel, operation,
};

async fn filled(scan_limit: usize, requests: usize) -> (MemoryStore, Vec<Arc<MutationRequest>>) {
    let store = MemoryStore::builder()
        .clock(VirtualClock::new())
        .scan_limit(scan_limit)
        .build();
    let ids = SeededIds::new(1);
    let mut stored = Vec::new();
    for i in 0..requests {
        let request = RequestBuilder::new(&ids, VirtualClock::START)
            .asks(["bob"])
            .state(&format!("s{i}"))
            .expires_in(std::time::Duration::from_secs(60 + i as u64))
            .build();
        store.create(Arc::clone(&request)).await.expect("a create");
        stored.push(request);
    }
    (store, stored)
}

#[tokio::test]
async fn decisions_of_one_request_among_thousands_are_on_the_first_page() {
    let (store, stored) = filled(100, 2_000).await;
    let wanted = &stored[1_000];
    for order in [Order::Submission, Order::NewestFirst] {
        let page = PageRequest::first(50).unwrap().order(order);
        let by_id = RequestQuery::all_tenants().ids([*wanted.id()]);
        let by_state =
            RequestQuery::all_tenants().states([wanted.proposal().scope().state_id.clone()]);
        for requests in [by_id, by_state] {
            let query = DecisionQuery::of(requests);
            let found = store.decisions(&query, &page).await.unwrap();
            assert_eq!(found.items.len(), wanted.decisions().len());
            assert!(found.items.iter().all(|view| view.request == *wanted.id()));
        }
    }
}

#[tokio::test]
async fn a_page_of_decisions_passes_a_bounded_number_of_lines() {
    let (store, stored) = filled(2, 200).await;
    let lines: usize = stored.iter().map(|r| r.decisions().len()).sum();
    assert!(lines > 2 * 64);
    let wanted = stored.last().unwrap();
    let query = DecisionQuery::of(RequestQuery::all_tenants().ids([*wanted.id()]));
    let mut page = PageRequest::first(50).unwrap();
    let first = store.decisions(&query, &page).await.unwrap();
    assert!(first.items.is_empty());
    let (mut pages, mut found, mut next) = (1, Vec::new(), first.next);
    while let Some(cursor) = next {
        page = page.after(cursor);
        let more = store.decisions(&query, &page).await.unwrap();
        found.extend(more.items);
        next = more.next;
        pages += 1;
        assert!(pages <= lines);
    }
    let decisions: Vec<_> = found.into_iter().map(|view| view.decision).collect();
    assert_eq!(decisions, wanted.decisions());
}

#[tokio::test]
async fn what_is_outside_a_search_counts_by_deadline_too() {
    let (store, stored) = filled(10, 35).await;
    let wanted = stored.last().unwrap();
    let query = RequestQuery::all_tenants().states([wanted.proposal().scope().state_id.clone()]);
    let mut page = PageRequest::first(50).unwrap().order(Order::Deadline);
    for _ in 0..3 {
        let found = store.requests(&query, &page).await.unwrap();
        assert!(found.items.is_empty());
        page = page.after(found.next.expect("ten of 35 deadlines were looked at"));
    }
    let found = store.requests(&query, &page).await.unwrap();
    assert_eq!(found.items, [Arc::clone(wanted)]);
    assert!(found.next.is_none());
}

#[tokio::test]
async fn an_operation_that_was_stored_is_not_stored_again_at_the_fresh_revision() {
    let store = MemoryStore::builder().clock(VirtualClock::new()).build();
    let ids = SeededIds::new(1);
    let request = RequestBuilder::new(&ids, VirtualClock::START)
        .asks(["bob", "carol"])
        .build();
    store.create(Arc::clone(&request)).await.unwrap();
    let act = |who: &str, n| Act::new(&actor(who), VirtualClock::START, operation(n));
    let voted = approve(&request, act("bob", 1), Default::default());
    store
        .try_store(Arc::clone(&voted), request.revision())
        .await
        .unwrap();
    let again = cancel(&voted, act("alice", 1));
    let written = store.try_store(again, voted.revision()).await.unwrap();
    let Written::AlreadyApplied(known) = written else {
        panic!("stored twice under one operation: {written:?}");
    };
    assert_eq!(known, voted);
    let found = store.get(request.id()).await.unwrap();
    assert_eq!(found, Some(voted));
}

#[tokio::test]
async fn lists_out_of_bounds_are_refused() {
    let (store, _) = filled(10, 1).await;
    let page = PageRequest::first(50).unwrap();
    let stages = (0..=10_000).collect::<Vec<u16>>();
    let approvals = ApprovalQuery::of(RequestQuery::all_tenants()).stages(stages);
    let error = store.approvals(&approvals, &page).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::InvalidInput);
    let names = (0..=10_000).map(|i: u32| i.to_string());
    let decisions = DecisionQuery::of(RequestQuery::all_tenants()).names(names);
    let error = store.decisions(&decisions, &page).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::InvalidInput);
}
