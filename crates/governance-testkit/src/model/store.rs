//! The model as a provider.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use governance_core::{
    ApprovalQuery, ApprovalView, ChangeFeed, Clock, Commit, Count, Creation, Cursor, DecisionQuery,
    DecisionView, Digest, FeedBatch, FeedEvent, FeedToken, FilterError, GovernedCommit,
    IdempotencyKey, MutationRequest, Order, Page, PageError, PageRequest, RequestId,
    RequestQueries, RequestQuery, RequestStore, Revision, Scope, StateSnapshot, StateStore,
    StateVersion, StateWrite, StoreError, StoreErrorKind, Timestamp, Written, approval_views,
    matches, matches_decision,
};
use tokio::sync::watch;

use super::data::Data;

/// A provider that looks at everything every time. A clone is a handle to the same store.
///
/// It is meant to be compared with, and to try out policies and mutations on. It forgets nothing
/// and takes time in proportion to what it holds.
///
/// ```
/// use governance_core::{RequestQueries, RequestQuery, RequestStore};
/// use governance_testkit::{
///     fixtures::{RequestBuilder, SeededIds, VirtualClock},
///     model::ModelStore,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), governance_core::StoreError> {
/// let store = ModelStore::new(VirtualClock::new());
/// let request = RequestBuilder::new(&SeededIds::new(1), VirtualClock::START).build();
/// store.create(request).await?;
/// assert_eq!(store.count(&RequestQuery::all_tenants().pending()).await?.exact(), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ModelStore {
    data: Arc<RwLock<Data>>,
    clock: Arc<dyn Clock>,
    told: watch::Sender<usize>,
}

impl ModelStore {
    /// An empty store on a clock.
    #[must_use]
    pub fn new(clock: impl Clock + 'static) -> Self {
        Self {
            data: Arc::default(),
            clock: Arc::new(clock),
            told: watch::Sender::new(0),
        }
    }

    /// The store with a change feed that keeps at most so many events.
    #[must_use]
    pub fn keeping_events(self, events: usize) -> Self {
        self.write(|data| data.kept_events = Some(events));
        self
    }

    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Data) -> T) -> T {
        let mut data = self.data.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut data);
        self.told.send_replace(data.events.len());
        result
    }

    pub(crate) fn read_data<T>(&self, look: impl FnOnce(&Data) -> T) -> T {
        look(&self.data.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for ModelStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelStore")
            .field("requests", &self.read_data(|data| data.requests.len()))
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl RequestStore for ModelStore {
    async fn create(&self, request: Arc<MutationRequest>) -> Result<Creation, StoreError> {
        self.write(|data| data.create(request))
    }

    async fn try_store(
        &self,
        request: Arc<MutationRequest>,
        expected: Revision,
    ) -> Result<Written, StoreError> {
        self.write(|data| data.commit("try_store", &Commit::of(request, expected)))
    }

    async fn get(&self, id: &RequestId) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        Ok(self.read_data(|data| data.find(id).map(|(_, request)| Arc::clone(request))))
    }

    async fn get_many(
        &self,
        ids: &[RequestId],
    ) -> Result<Vec<Option<Arc<MutationRequest>>>, StoreError> {
        let mut found = Vec::new();
        for id in ids {
            found.push(self.get(id).await?);
        }
        Ok(found)
    }

    async fn find_by_key(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        Ok(self.read_data(|data| data.by_key(scope, key).cloned()))
    }

    async fn purge(&self, id: &RequestId, expected: Revision) -> Result<(), StoreError> {
        let now = self.now().await?;
        self.write(|data| data.purge(id, expected, now))
    }
}

#[async_trait]
impl StateStore for ModelStore {
    async fn load(&self, scope: &Scope) -> Result<StateSnapshot, StoreError> {
        Ok(self.read_data(|data| data.load(scope)))
    }

    async fn save(&self, write: &StateWrite) -> Result<StateVersion, StoreError> {
        let now = self.now().await?;
        self.write(|data| data.save(write, now))
    }
}

#[async_trait]
impl GovernedCommit for ModelStore {
    async fn commit(&self, commit: &Commit) -> Result<Written, StoreError> {
        commit.check()?;
        self.write(|data| data.commit("commit", commit))
    }
}

#[async_trait]
impl Clock for ModelStore {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.clock.now().await
    }
}

/// Where an item stands in an order: its rank, and its place in the order of submission.
type Rank = (i64, u64);

/// A page of ranked items: those behind the cursor, as many as fit.
fn page<T>(
    mut items: Vec<(Rank, Vec<T>)>,
    request: &PageRequest,
    digest: Digest,
) -> Result<Page<T>, StoreError> {
    let position = request
        .position(digest)
        .map_err(|problem| StoreError::page("requests", problem))?;
    let after = position.map(decode).transpose()?;
    items.sort_by_key(|(rank, _)| *rank);
    items.retain(|(rank, found)| !found.is_empty() && after.is_none_or(|after| *rank > after));
    let (mut taken, mut last, mut next) = (Vec::new(), None, None);
    for (rank, found) in items {
        if taken.len() >= usize::from(request.limit()) {
            next = last.map(|last| Cursor::new(request.ordering(), digest, &encode(last)));
            break;
        }
        taken.extend(found);
        last = Some(rank);
    }
    Ok(Page::new(taken, next))
}

fn encode((rank, place): Rank) -> Vec<u8> {
    let mut bytes = rank.to_be_bytes().to_vec();
    bytes.extend(place.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Result<Rank, StoreError> {
    let halves = bytes.split_first_chunk::<8>();
    let place = halves.and_then(|(rank, rest)| {
        let place = rest.try_into().ok()?;
        Some((i64::from_be_bytes(*rank), u64::from_be_bytes(place)))
    });
    place.ok_or_else(|| StoreError::page("requests", PageError::CursorMalformed))
}

/// The rank of a request in an order, if it is listed in it.
fn rank(order: Order, place: u64, request: &MutationRequest) -> Option<Rank> {
    let submitted = i64::try_from(place).unwrap_or(i64::MAX);
    match order {
        Order::Submission => Some((submitted, place)),
        Order::NewestFirst => Some((-submitted, place)),
        Order::Deadline => Some((request.due_at()?.as_micros(), place)),
    }
}

impl ModelStore {
    async fn list<T>(
        &self,
        request: &PageRequest,
        digest: Digest,
        items: impl Fn(&Arc<MutationRequest>, Timestamp) -> Vec<T> + Send,
    ) -> Result<Page<T>, StoreError> {
        let now = self.now().await?;
        let ranked = self.read_data(|data| {
            let ranked = data.requests.iter().filter_map(|(place, found)| {
                Some((rank(request.ordering(), *place, found)?, items(found, now)))
            });
            ranked.collect()
        });
        page(ranked, request, digest)
    }
}

fn checked(port: &'static str, check: Result<(), FilterError>) -> Result<(), StoreError> {
    check.map_err(|problem| StoreError::filter(port, problem))
}

#[async_trait]
impl RequestQueries for ModelStore {
    async fn requests(
        &self,
        query: &RequestQuery,
        page: &PageRequest,
    ) -> Result<Page<Arc<MutationRequest>>, StoreError> {
        checked("requests", query.check())?;
        self.list(page, query.digest(), |request, now| {
            let hit = matches(query, request, now);
            hit.then(|| Arc::clone(request)).into_iter().collect()
        })
        .await
    }

    async fn approvals(
        &self,
        query: &ApprovalQuery,
        page: &PageRequest,
    ) -> Result<Page<ApprovalView>, StoreError> {
        checked("approvals", query.check())?;
        self.list(page, query.digest(), |request, now| {
            approval_views(query, request, now)
        })
        .await
    }

    async fn decisions(
        &self,
        query: &DecisionQuery,
        page: &PageRequest,
    ) -> Result<Page<DecisionView>, StoreError> {
        checked("decisions", query.check())?;
        let now = self.now().await?;
        let turn = match page.ordering() {
            Order::Submission => 1,
            Order::NewestFirst => -1,
            Order::Deadline => {
                let detail = "decisions have no order by deadline";
                let kind = StoreErrorKind::InvalidInput;
                return Err(StoreError::new(kind, "decisions", detail));
            }
        };
        let ranked = self.read_data(|data| {
            let views = (0_i64..)
                .zip(&data.journal)
                .filter_map(|(line, (place, index))| {
                    let request = data.requests.get(place)?;
                    let decision = request.decisions().get(*index)?;
                    let hit = matches_decision(query, decision)
                        && matches(query.requests(), request, now);
                    let view = hit.then(|| DecisionView::new(request, Arc::clone(decision)))?;
                    Some(((turn * line, *place), vec![view]))
                });
            views.collect()
        });
        self::page(ranked, page, query.digest())
    }

    async fn count(&self, query: &RequestQuery) -> Result<Count, StoreError> {
        checked("count", query.check())?;
        let now = self.now().await?;
        let hit = |request: &&Arc<MutationRequest>| matches(query, request, now);
        let count = self.read_data(|data| data.requests.values().filter(hit).count());
        Ok(Count::Exact(count as u64))
    }
}

fn token(place: usize) -> FeedToken {
    FeedToken::new(format!("model-{place}"))
}

#[async_trait]
impl ChangeFeed for ModelStore {
    async fn read(&self, after: Option<&FeedToken>, limit: u16) -> Result<FeedBatch, StoreError> {
        let refuse = |detail: &str| StoreError::new(StoreErrorKind::InvalidInput, "read", detail);
        if !(1..=1_000).contains(&limit) {
            return Err(refuse("a limit is from 1 to 1000"));
        }
        self.read_data(|data| {
            let from = match after {
                None => data.trimmed,
                Some(token) => token
                    .as_str()
                    .strip_prefix("model-")
                    .and_then(|place| place.parse().ok())
                    .filter(|place| *place <= data.events.len())
                    .ok_or_else(|| refuse("not a token of this feed"))?,
            };
            if from < data.trimmed {
                let detail = "events behind this token are not kept any more";
                return Err(StoreError::new(StoreErrorKind::Expired, "read", detail));
            }
            let events: Vec<_> = (from + 1..)
                .zip(&data.events[from..])
                .take(usize::from(limit))
                .map(|(place, event)| FeedEvent {
                    token: token(place),
                    at: event.at,
                    scope: event.scope.clone(),
                    subject: event.subject.clone(),
                })
                .collect();
            let next = token(from + events.len());
            Ok(FeedBatch { events, next })
        })
    }

    async fn head(&self) -> Result<FeedToken, StoreError> {
        Ok(self.read_data(|data| token(data.events.len())))
    }

    async fn wait(&self, after: &FeedToken) -> Result<(), StoreError> {
        let mut told = self.told.subscribe();
        loop {
            told.mark_unchanged();
            if !self.read(Some(after), 1).await?.events.is_empty() {
                return Ok(());
            }
            // The sender lives as long as this borrow of the store.
            let _ = told.changed().await;
        }
    }
}
