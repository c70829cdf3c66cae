use std::sync::Arc;

use async_trait::async_trait;
use governance_core::{
    ApprovalQuery, ApprovalView, Count, DecisionQuery, DecisionView, FilterError, MutationRequest,
    Page, PageRequest, RequestQueries, RequestQuery, StoreError, approval_views, matches,
    matches_decision,
};

use crate::{
    RedisStore,
    query::{Listing, count, refuse_deadline, walk},
};

fn checked(port: &'static str, check: Result<(), FilterError>) -> Result<(), StoreError> {
    check.map_err(|error| StoreError::filter(port, error))
}

#[async_trait]
impl RequestQueries for RedisStore {
    async fn requests(
        &self,
        query: &RequestQuery,
        page: &PageRequest,
    ) -> Result<Page<Arc<MutationRequest>>, StoreError> {
        checked("requests", query.check())?;
        let listing = Listing {
            port: "requests",
            requests: query,
            digest: query.digest(),
            over_decisions: false,
        };
        walk(&self.shared, &listing, page, |request, _, now, hits| {
            if matches(query, request, now) {
                hits.push(Arc::clone(request));
            }
        })
        .await
    }

    async fn approvals(
        &self,
        query: &ApprovalQuery,
        page: &PageRequest,
    ) -> Result<Page<ApprovalView>, StoreError> {
        checked("approvals", query.check())?;
        let listing = Listing {
            port: "approvals",
            requests: query.requests(),
            digest: query.digest(),
            over_decisions: false,
        };
        walk(&self.shared, &listing, page, |request, _, now, hits| {
            hits.extend(approval_views(query, request, now));
        })
        .await
    }

    async fn decisions(
        &self,
        query: &DecisionQuery,
        page: &PageRequest,
    ) -> Result<Page<DecisionView>, StoreError> {
        checked("decisions", query.check())?;
        refuse_deadline("decisions", page.ordering())?;
        let listing = Listing {
            port: "decisions",
            requests: query.requests(),
            digest: query.digest(),
            over_decisions: true,
        };
        walk(
            &self.shared,
            &listing,
            page,
            |request, candidate, now, hits| {
                let decision = request.decisions().get(candidate.decision);
                let hit = decision
                    .filter(|decision| matches_decision(query, decision))
                    .filter(|_| matches(query.requests(), request, now))
                    .map(|decision| DecisionView::new(request, Arc::clone(decision)));
                hits.extend(hit);
            },
        )
        .await
    }

    async fn count(&self, query: &RequestQuery) -> Result<Count, StoreError> {
        checked("count", query.check())?;
        let exact = count(&self.shared, query)
            .await
            .map_err(|error| error.at("count"))?;
        if let Some(count) = exact {
            return Ok(count);
        }
        let page = PageRequest::first(PageRequest::MAX_LIMIT);
        let page = page.map_err(|error| StoreError::page("count", error))?;
        let listing = Listing {
            port: "count",
            requests: query,
            digest: query.digest(),
            over_decisions: false,
        };
        let mut counted = 0_u64;
        let found = walk::<()>(&self.shared, &listing, &page, |request, _, now, _| {
            counted += u64::from(matches(query, request, now));
        })
        .await?;
        Ok(if found.next.is_some() {
            Count::AtLeast(counted)
        } else {
            Count::Exact(counted)
        })
    }
}
