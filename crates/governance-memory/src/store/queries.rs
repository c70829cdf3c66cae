use std::{ops::ControlFlow, sync::Arc};

use async_trait::async_trait;
use governance_core::{
    ApprovalQuery, ApprovalView, Count, Cursor, DecisionQuery, DecisionView, Digest,
    MutationRequest, Order, Page, PageError, PageRequest, Plan, RequestQueries, RequestQuery,
    StoreError, StoreErrorKind, approval_views, matches, matches_decision, plan,
};

use crate::{
    MemoryStore,
    engine::Search,
    inner::Inner,
    journal::Found,
    postings::{Posting, split},
    walk::{Place, Walk, ordinals},
};

/// Places outside a search cost much less to pass than documents to look at.
const PASSES_PER_LOOK: usize = 64;

/// Fills a page: stops at the first hit that does not fit, or when enough was looked at.
struct Collector<T> {
    items: Vec<T>,
    limit: usize,
    looks: usize,
    passes: usize,
    last: Option<Vec<u8>>,
    stopped: bool,
}

impl<T> Collector<T> {
    fn new(limit: u16, looks: usize) -> Self {
        let limit = usize::from(limit);
        Self {
            items: Vec::with_capacity(limit.min(64)),
            limit,
            looks,
            passes: looks.saturating_mul(PASSES_PER_LOOK),
            last: None,
            stopped: false,
        }
    }

    fn take(
        &mut self,
        place: impl FnOnce() -> Vec<u8>,
        hits: impl Iterator<Item = T>,
    ) -> ControlFlow<()> {
        let mut hits = hits.peekable();
        if hits.peek().is_some() && self.items.len() >= self.limit {
            self.stopped = true;
            return ControlFlow::Break(());
        }
        self.items.extend(hits);
        self.looks -= 1;
        if self.looks == 0 {
            self.stopped = true;
        }
        if self.stopped || self.items.len() >= self.limit {
            self.last = Some(place());
        }
        if self.stopped {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Goes by a place without looking at what is there.
    fn pass(&mut self, place: impl FnOnce() -> Vec<u8>) -> ControlFlow<()> {
        self.passes -= 1;
        if self.passes > 0 {
            return ControlFlow::Continue(());
        }
        self.stopped = true;
        self.last = Some(place());
        ControlFlow::Break(())
    }

    fn page(self, order: Order, digest: Digest) -> Page<T> {
        let next = self
            .last
            .filter(|_| self.stopped)
            .map(|place| Cursor::new(order, digest, &place));
        Page::new(self.items, next)
    }
}

impl MemoryStore {
    /// Walks over the requests a plan finds, in the order of the page.
    fn walk<T, I: Iterator<Item = T>>(
        &self,
        inner: &Inner,
        plan: &Plan,
        page: &PageRequest,
        digest: Digest,
        mut hits: impl FnMut(&Arc<MutationRequest>) -> I,
    ) -> Result<Page<T>, StoreError> {
        let order = page.ordering();
        let after = position(page, digest)?
            .map(|bytes| Place::decode(order, bytes))
            .transpose()
            .map_err(|error| StoreError::page("requests", error))?;
        let named = plan.ids().map(|ids| ordinals(inner, ids));
        let search = search(inner, plan, named.as_ref());
        let due_until = plan.due_until();
        let walk = Walk {
            inner,
            search: &search,
            order,
            after,
            due_until,
        };
        let mut collector = Collector::new(page.limit(), self.shared.scan_limit);
        walk.run(|place, request| {
            let hits = request.map(&mut hits).into_iter().flatten();
            collector.take(|| place.encode(), hits)
        });
        Ok(collector.page(order, digest))
    }
}

/// What a plan finds, of the requests that were named if any were.
fn search<'a>(inner: &'a Inner, plan: &Plan, named: Option<&'a Posting>) -> Search<'a> {
    let found = Search::new(plan.expr(), &inner.postings, &inner.live);
    match named {
        Some(named) => Search::And(vec![Search::Posting(named), found]),
        None => found,
    }
}

fn position(page: &PageRequest, digest: Digest) -> Result<Option<&[u8]>, StoreError> {
    page.position(digest)
        .map_err(|error| StoreError::page("requests", error))
}

fn check(query: &RequestQuery) -> Result<(), StoreError> {
    query
        .check()
        .map_err(|error| StoreError::filter("requests", error))
}

#[async_trait]
impl RequestQueries for MemoryStore {
    async fn requests(
        &self,
        query: &RequestQuery,
        page: &PageRequest,
    ) -> Result<Page<Arc<MutationRequest>>, StoreError> {
        check(query)?;
        let digest = query.digest();
        let now = self.shared.clock.now().await?;
        let inner = self.shared.inner.read();
        let plan = plan(query);
        // Terms change with their documents, under one lock, so what an exact plan finds needs no
        // second look. Most of a page's time would go into fetching documents for it.
        let exact = plan.is_exact();
        self.walk(&inner, &plan, page, digest, |request| {
            (exact || matches(query, request, now))
                .then(|| Arc::clone(request))
                .into_iter()
        })
    }

    async fn approvals(
        &self,
        query: &ApprovalQuery,
        page: &PageRequest,
    ) -> Result<Page<ApprovalView>, StoreError> {
        query
            .check()
            .map_err(|error| StoreError::filter("approvals", error))?;
        let digest = query.digest();
        let now = self.shared.clock.now().await?;
        let inner = self.shared.inner.read();
        let plan = plan(query.requests());
        self.walk(&inner, &plan, page, digest, |request| {
            approval_views(query, request, now).into_iter()
        })
    }

    async fn decisions(
        &self,
        query: &DecisionQuery,
        page: &PageRequest,
    ) -> Result<Page<DecisionView>, StoreError> {
        query
            .check()
            .map_err(|error| StoreError::filter("decisions", error))?;
        let digest = query.digest();
        let order = page.ordering();
        let malformed = || StoreError::page("decisions", PageError::CursorMalformed);
        let place = match position(page, digest)? {
            Some(bytes) => Some(u64::from_be_bytes(
                bytes.try_into().map_err(|_| malformed())?,
            )),
            None => None,
        };
        let now = self.shared.clock.now().await?;
        let inner = self.shared.inner.read();
        let mut collector = Collector::new(page.limit(), self.shared.scan_limit);
        let plan = plan(query.requests());
        let named = plan.ids().map(|ids| ordinals(&inner, ids));
        let search = search(&inner, &plan, named.as_ref());
        let mut visit = |found: Found<'_>| {
            let place = || found.seq.to_be_bytes().to_vec();
            let Some((request, decision)) =
                found.decision.filter(|_| search.contains(found.ordinal))
            else {
                return collector.pass(place);
            };
            let hit = matches_decision(query, decision) && matches(query.requests(), request, now);
            let view = hit.then(|| DecisionView::new(request, Arc::clone(decision)));
            collector.take(place, view.into_iter())
        };
        let requests = &inner.by_ordinal;
        let _ = match order {
            Order::Submission => inner
                .journal
                .after(place, requests)
                .try_for_each(&mut visit),
            Order::NewestFirst => inner
                .journal
                .before(place, requests)
                .try_for_each(&mut visit),
            Order::Deadline => {
                let detail = "decisions have no order by deadline";
                return Err(StoreError::new(
                    StoreErrorKind::InvalidInput,
                    "decisions",
                    detail,
                ));
            }
        };
        Ok(collector.page(order, digest))
    }

    async fn count(&self, query: &RequestQuery) -> Result<Count, StoreError> {
        check(query)?;
        let now = self.shared.clock.now().await?;
        let inner = self.shared.inner.read();
        let plan = plan(query);
        if plan.is_exact() {
            let search = Search::new(plan.expr(), &inner.postings, &inner.live);
            let Some(newest) = inner.by_ordinal.len().checked_sub(1) else {
                return Ok(Count::Exact(0));
            };
            let last = split(u32::try_from(newest).unwrap_or(u32::MAX)).0;
            let parts = (0..=last).filter_map(|chunk| search.part(chunk, &inner.live));
            return Ok(Count::Exact(parts.map(|part| part.count()).sum()));
        }
        let page = PageRequest::first(1_000).map_err(|e| StoreError::page("count", e))?;
        let mut counted = 0_u64;
        let found = self.walk(&inner, &plan, &page, query.digest(), |request| {
            counted += u64::from(matches(query, request, now));
            std::iter::empty::<()>()
        })?;
        Ok(if found.next.is_some() {
            Count::AtLeast(counted)
        } else {
            Count::Exact(counted)
        })
    }
}
