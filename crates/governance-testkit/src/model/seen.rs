//! What a store answered, in a form that can be compared.

use std::sync::Arc;

use governance_core::{
    ApprovalQuery, ApprovalView, Commit, Conflict, Count, Creation, DecisionQuery, DecisionView,
    MutationRequest, Order, Page, PageRequest, Provider, RequestQuery, Revision, StateVersion,
    StateWrite, StoreError, StoreErrorKind, WriteCertainty, Written,
};

/// What a store answered. Errors count by kind, certainty and conflict, not by their texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen {
    /// It was done.
    Done,
    /// It was done before: this is what is stored.
    Before(Arc<MutationRequest>),
    Version(StateVersion),
    Request(Option<Arc<MutationRequest>>),
    Requests(Vec<Arc<MutationRequest>>),
    Approvals(Vec<ApprovalView>),
    Decisions(Vec<DecisionView>),
    /// A page had more items than it was asked for.
    TooMany(usize),
    /// A walk that does not end.
    Endless,
    Refused(StoreErrorKind, WriteCertainty, Option<Conflict>),
}

impl From<StoreError> for Seen {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.kind(), error.outcome(), error.conflict_data())
    }
}

impl Seen {
    fn of<T>(result: Result<T, StoreError>, turn: impl FnOnce(T) -> Self) -> Self {
        result.map_or_else(Self::from, turn)
    }

    fn written(result: Result<Written, StoreError>) -> Self {
        Self::of(result, |written| match written {
            Written::Applied => Self::Done,
            Written::AlreadyApplied(request) => Self::Before(request),
        })
    }
}

/// One call, made the same way to any store.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Create(Arc<MutationRequest>),
    TryStore(Arc<MutationRequest>, Revision),
    Purge(Arc<MutationRequest>, Revision),
    Save(StateWrite),
    Commit(Commit),
    Get(Arc<MutationRequest>),
    FindByKey(Arc<MutationRequest>),
    List(RequestQuery, Order, u16),
    Approvals(ApprovalQuery, Order, u16),
    Decisions(DecisionQuery, Order, u16),
}

impl Ask {
    pub(super) async fn of(&self, store: &dyn Provider) -> Seen {
        match self {
            Self::Create(request) => {
                Seen::of(store.create(Arc::clone(request)).await, |done| match done {
                    Creation::Created => Seen::Done,
                    Creation::Existing(request) => Seen::Before(request),
                })
            }
            Self::TryStore(request, expected) => {
                Seen::written(store.try_store(Arc::clone(request), *expected).await)
            }
            Self::Purge(request, expected) => {
                Seen::of(store.purge(request.id(), *expected).await, |()| Seen::Done)
            }
            Self::Save(write) => Seen::of(store.save(write).await, Seen::Version),
            Self::Commit(commit) => Seen::written(store.commit(commit).await),
            Self::Get(request) => Seen::of(store.get(request.id()).await, Seen::Request),
            Self::FindByKey(request) => {
                let proposal = request.proposal();
                match proposal.idempotency_key() {
                    None => Seen::Request(None),
                    Some(key) => {
                        let found = store.find_by_key(proposal.scope(), key).await;
                        Seen::of(found, Seen::Request)
                    }
                }
            }
            Self::List(query, order, limit) => {
                let mut walk = Walk::new(*order, *limit);
                loop {
                    let next = store.requests(query, &walk.page).await;
                    if let Some(ended) = walk.take(next, true) {
                        return ended.map_or_else(|seen| seen, Seen::Requests);
                    }
                }
            }
            Self::Approvals(query, order, limit) => {
                let mut walk = Walk::new(*order, *limit);
                loop {
                    let next = store.approvals(query, &walk.page).await;
                    // A page ends with the last requirement of a request, beyond its limit.
                    if let Some(ended) = walk.take(next, false) {
                        return ended.map_or_else(|seen| seen, Seen::Approvals);
                    }
                }
            }
            Self::Decisions(query, order, limit) => {
                let mut walk = Walk::new(*order, *limit);
                loop {
                    let next = store.decisions(query, &walk.page).await;
                    if let Some(ended) = walk.take(next, true) {
                        return ended.map_or_else(|seen| seen, Seen::Decisions);
                    }
                }
            }
        }
    }
}

/// A walk over the pages of a listing.
struct Walk<T> {
    page: PageRequest,
    pages: usize,
    found: Vec<T>,
}

impl<T> Walk<T> {
    /// More pages than any run can fill: such a walk turns in a circle.
    const MOST_PAGES: usize = 20_000;

    fn new(order: Order, limit: u16) -> Self {
        let page = PageRequest::first(limit).expect("a limit from 1 to 1000");
        Self {
            page: page.order(order),
            pages: 0,
            found: Vec::new(),
        }
    }

    /// Takes a page; at the end of the walk gives what was found, or why it ended.
    fn take(
        &mut self,
        next: Result<Page<T>, StoreError>,
        limited: bool,
    ) -> Option<Result<Vec<T>, Seen>> {
        let next = match next {
            Ok(next) => next,
            Err(error) => return Some(Err(error.into())),
        };
        if limited && next.items.len() > usize::from(self.page.limit()) {
            return Some(Err(Seen::TooMany(next.items.len())));
        }
        self.found.extend(next.items);
        self.pages += 1;
        if self.pages > Self::MOST_PAGES {
            return Some(Err(Seen::Endless));
        }
        match next.next {
            Some(cursor) => {
                self.page = self.page.clone().after(cursor);
                None
            }
            None => Some(Ok(std::mem::take(&mut self.found))),
        }
    }
}

/// Whether a count is right for so many: exact, or a bound below.
pub(super) fn counts(count: Count, number: usize) -> bool {
    let number = number as u64;
    count.lower_bound() <= number && count.exact().is_none_or(|exact| exact == number)
}
