//! What cases check again and again.

use std::{collections::BTreeSet, fmt, sync::Arc};

use governance_core::{
    ApprovalQuery, ApprovalView, Conflict, Creation, DecisionQuery, DecisionView, MutationRequest,
    Order, PageRequest, Provider, RequestId, RequestQuery, Scope, StoreError, StoreErrorKind,
    WriteCertainty, Written,
};

/// The error, which has to be of this kind and must not leave the outcome open.
pub(crate) fn refused<T: fmt::Debug>(
    result: Result<T, StoreError>,
    kind: StoreErrorKind,
) -> StoreError {
    let error = match result {
        Ok(done) => panic!("expected {kind:?}, but it was done: {done:?}"),
        Err(error) => error,
    };
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(
        error.outcome(),
        WriteCertainty::NotApplied,
        "a refusal is not an unknown outcome: {error}"
    );
    error
}

/// The result has to be a conflict of a request, with both revisions.
pub(crate) fn request_conflict<T: fmt::Debug>(
    result: Result<T, StoreError>,
    expected: &MutationRequest,
    actual: &MutationRequest,
) {
    let error = refused(result, StoreErrorKind::Conflict);
    let conflict = Conflict::Request {
        expected: expected.revision(),
        actual: actual.revision(),
    };
    assert_eq!(error.conflict_data(), Some(conflict), "{error}");
}

/// The create has to have found this request.
pub(crate) fn existing(result: Result<Creation, StoreError>, request: &MutationRequest) {
    match result {
        Ok(Creation::Existing(found)) => assert_eq!(*found, *request),
        other => panic!("expected the stored request, met {other:?}"),
    }
}

/// The write has to have stored.
pub(crate) fn applied(result: Result<Written, StoreError>) {
    match result {
        Ok(Written::Applied) => {}
        other => panic!("expected it to be stored, met {other:?}"),
    }
}

/// The write has to have found this request, to which it was applied before.
pub(crate) fn replayed(result: Result<Written, StoreError>, request: &MutationRequest) {
    match result {
        Ok(Written::AlreadyApplied(found)) => assert_eq!(*found, *request),
        other => panic!("expected the first outcome, met {other:?}"),
    }
}

/// The stored request has to be this one.
pub(crate) async fn stored(store: &dyn Provider, request: &MutationRequest) {
    let found = store.get(request.id()).await.expect("a read");
    assert_eq!(found.as_deref(), Some(request), "what is stored");
}

/// The request a key belongs to.
pub(crate) async fn by_key(
    store: &dyn Provider,
    scope: &Scope,
    text: &str,
) -> Option<Arc<MutationRequest>> {
    let key = crate::fixtures::key(text);
    store.find_by_key(scope, &key).await.expect("a read")
}

/// All pages of a query, joined. Every page has to keep its limit, and the walk has to end.
pub(crate) async fn walk(
    store: &dyn Provider,
    query: &RequestQuery,
    order: Order,
    limit: u16,
) -> Vec<Arc<MutationRequest>> {
    let mut page = PageRequest::first(limit).expect("a limit").order(order);
    let mut found = Vec::new();
    for _ in 0..100_000 {
        let next = store.requests(query, &page).await.expect("a page");
        assert!(
            next.items.len() <= usize::from(limit),
            "more than was asked for"
        );
        assert_eq!(next.undecodable, [], "everything can be read");
        found.extend(next.items);
        match next.next {
            Some(cursor) => page = page.after(cursor),
            None => return found,
        }
    }
    panic!("the walk does not end");
}

/// The ids a query finds, in the order of submission.
pub(crate) async fn found(store: &dyn Provider, query: &RequestQuery) -> Vec<RequestId> {
    ids(&walk(store, query, Order::Submission, 100).await)
}

/// The ids of requests.
pub(crate) fn ids<'a>(
    requests: impl IntoIterator<Item = &'a Arc<MutationRequest>>,
) -> Vec<RequestId> {
    requests.into_iter().map(|request| *request.id()).collect()
}

/// The ids, each of which has to be there only once.
pub(crate) fn distinct(ids: &[RequestId]) -> BTreeSet<RequestId> {
    let set: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(set.len(), ids.len(), "something is listed twice");
    set
}

/// All pages of requirements, joined.
pub(crate) async fn approvals(
    store: &dyn Provider,
    query: &ApprovalQuery,
    limit: u16,
    order: Order,
) -> Vec<ApprovalView> {
    let mut page = PageRequest::first(limit).expect("a limit").order(order);
    let mut views = Vec::new();
    for _ in 0..100_000 {
        let next = store.approvals(query, &page).await.expect("a page");
        views.extend(next.items);
        match next.next {
            Some(cursor) => page = page.after(cursor),
            None => return views,
        }
    }
    panic!("the walk does not end");
}

/// All pages of decisions, joined.
pub(crate) async fn decisions(
    store: &dyn Provider,
    query: &DecisionQuery,
    limit: u16,
    order: Order,
) -> Vec<DecisionView> {
    let page = PageRequest::first(limit).expect("a limit").order(order);
    decisions_from(store, query, page).await
}

/// This page of decisions and all that follow it, joined.
pub(crate) async fn decisions_from(
    store: &dyn Provider,
    query: &DecisionQuery,
    mut page: PageRequest,
) -> Vec<DecisionView> {
    let mut views = Vec::new();
    for _ in 0..100_000 {
        let next = store.decisions(query, &page).await.expect("a page");
        assert!(
            next.items.len() <= usize::from(page.limit()),
            "more than was asked for"
        );
        views.extend(next.items);
        match next.next {
            Some(cursor) => page = page.after(cursor),
            None => return views,
        }
    }
    panic!("the walk does not end");
}
