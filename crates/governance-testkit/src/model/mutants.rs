//! Stores with one thing wrong, to see that the suite notices.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use governance_core::{
    ApprovalQuery, ApprovalView, ChangeFeed, Clock, Commit, Conflict, Count, Creation,
    DecisionQuery, DecisionView, Digest, FeedBatch, FeedSubject, FeedToken, GovernedCommit,
    IdempotencyKey, MutationRequest, Page, PageRequest, Provider, RequestId, RequestQueries,
    RequestQuery, RequestStore, RequestWrite, Revision, Scope, StateSnapshot, StateStore,
    StateVersion, StateWrite, StoreError, StoreErrorKind, Timestamp, Written,
};

use tokio::sync::Barrier;

use super::{ModelStore, data::missing};
use crate::{ProviderHarness, Trial, cases, fixtures::VirtualClock, suite};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// Changes are stored whatever the revision.
    NoRevisionCheck,
    /// Histories may be rewritten.
    NoHistoryCheck,
    /// The revision is checked, and time passes before the change is stored.
    CheckThenAct,
    /// Two creates of one id both store when they come at the same time.
    RacyCreate,
    /// Repeating a change is a conflict.
    NoReplay,
    /// A missing request is a conflict.
    MissingIsConflict,
    /// Idempotency keys are not looked up on create.
    KeyNotUnique,
    /// Idempotency keys cannot be found.
    KeyLost,
    /// Ids need not route to their state.
    NoRouting,
    /// Listings find requests by what they were when they were created.
    IndexNotUpdated,
    /// Listings still have what was purged.
    PurgeLeavesIndex,
    /// What is open can be purged.
    PurgeTakesAll,
    /// Listings do not ask for the tenant.
    TenantIgnored,
    /// The second page begins where the first ended, and not behind it.
    PageRepeats,
    /// Every page after the first skips one.
    PageSkips,
    /// A cursor of another query is taken.
    CursorNotChecked,
    /// Order by deadline is order of submission.
    NoDeadlineOrder,
    /// Counts count all tenants.
    CountTooHigh,
    /// A deleted state begins again.
    DeleteForgetsVersion,
    /// States of different kinds are one.
    StateTypeIgnored,
    /// Requests are stored although the state conflicts.
    TornCommit,
    /// Only the first request of a commit is checked.
    SecondNotChecked,
    /// A commit may span slots.
    SlotsNotChecked,
    /// Saves are not told.
    FeedWithoutStates,
    /// Events do not tell the status before.
    FeedWithoutBefore,
    /// Events behind a token that are gone are left out in silence.
    FeedGap,
    /// Waiting takes any token.
    WaitTakesAnything,
    /// The clock stands at 1970.
    NoClock,
}

#[derive(Debug, Clone)]
struct Flawed {
    model: ModelStore,
    /// Every request as it was created.
    first: ModelStore,
    meeting: Arc<Barrier>,
    flaw: Flaw,
}

impl Flawed {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn force(&self, request: &Arc<MutationRequest>) -> Result<Written, StoreError> {
        self.model.write(|data| {
            let found = data.find(request.id());
            let (place, before) = found
                .map(|(place, before)| (place, Arc::clone(before)))
                .ok_or_else(|| missing("try_store", request.id()))?;
            data.put(place, Some(&before), Arc::clone(request));
            Ok(Written::Applied)
        })
    }

    /// Waits for somebody else who is at the same place; whoever is left over goes on alone.
    async fn meet(&self) {
        let most = std::time::Duration::from_millis(200);
        let _ = tokio::time::timeout(most, self.meeting.wait()).await;
    }

    fn scope(&self, scope: &Scope) -> Scope {
        let mut scope = scope.clone();
        if self.has(Flaw::StateTypeIgnored) {
            scope.state_type = crate::fixtures::state_type("any");
        }
        scope
    }

    fn query(&self, query: &RequestQuery) -> RequestQuery {
        if self.has(Flaw::TenantIgnored) {
            RequestQuery::all_tenants().and(query.filter().clone())
        } else {
            query.clone()
        }
    }

    fn page(&self, digest: Digest, asked: Digest, page: &PageRequest) -> PageRequest {
        let Some(cursor) = page.cursor() else {
            return page.clone();
        };
        let mut position = match cursor.position(page.ordering(), asked) {
            Ok(position) => position.to_vec(),
            // Behind its head, whatever the head says.
            Err(_) if self.has(Flaw::CursorNotChecked) => vec![0; 16],
            Err(_) => return page.clone(),
        };
        if let Some(last) = position.last_mut() {
            match self.flaw {
                Flaw::PageRepeats => *last = last.wrapping_sub(1),
                Flaw::PageSkips => *last = last.wrapping_add(1),
                _ => {}
            }
        }
        if position.len() == 16 && matches!(self.flaw, Flaw::PageRepeats | Flaw::PageSkips) {
            // The model's cursors have the rank first; in submission order it is the place.
            position[7] = position[15];
        }
        let cursor = governance_core::Cursor::new(page.ordering(), digest, &position);
        page.clone().after(cursor)
    }
}

#[async_trait]
impl RequestStore for Flawed {
    async fn create(&self, request: Arc<MutationRequest>) -> Result<Creation, StoreError> {
        if self.has(Flaw::IndexNotUpdated) || self.has(Flaw::PurgeLeavesIndex) {
            self.first.create(Arc::clone(&request)).await?;
        }
        let key = request.proposal().idempotency_key().is_some();
        let routes = request.id().slot() == request.proposal().scope().slot();
        let store_anyway = match self.flaw {
            Flaw::KeyNotUnique => key,
            Flaw::NoRouting => !routes,
            Flaw::RacyCreate => {
                let free = self.model.get(request.id()).await?.is_none();
                self.meet().await;
                free
            }
            _ => false,
        };
        if store_anyway {
            self.model.write(|data| {
                let place = data.created;
                data.created += 1;
                data.put(place, None, request);
            });
            return Ok(Creation::Created);
        }
        self.model.create(request).await
    }

    async fn try_store(
        &self,
        request: Arc<MutationRequest>,
        expected: Revision,
    ) -> Result<Written, StoreError> {
        match self.flaw {
            Flaw::NoRevisionCheck => self.force(&request),
            Flaw::NoHistoryCheck | Flaw::CheckThenAct => {
                let stored = self.model.get(request.id()).await?;
                let right = stored.is_some_and(|stored| stored.revision() == expected);
                if self.has(Flaw::CheckThenAct) {
                    self.meet().await;
                }
                if right {
                    self.force(&request)
                } else {
                    self.model.try_store(request, expected).await
                }
            }
            _ => match self.model.try_store(request, expected).await {
                Ok(Written::AlreadyApplied(stored)) if self.has(Flaw::NoReplay) => {
                    let actual = stored.revision();
                    let conflict = Conflict::Request { expected, actual };
                    Err(StoreError::conflict("try_store", conflict))
                }
                Err(error)
                    if error.kind() == StoreErrorKind::NotFound
                        && self.has(Flaw::MissingIsConflict) =>
                {
                    let actual = Revision::new(0);
                    let conflict = Conflict::Request { expected, actual };
                    Err(StoreError::conflict("try_store", conflict))
                }
                other => other,
            },
        }
    }

    async fn get(&self, id: &RequestId) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        self.model.get(id).await
    }

    async fn get_many(
        &self,
        ids: &[RequestId],
    ) -> Result<Vec<Option<Arc<MutationRequest>>>, StoreError> {
        self.model.get_many(ids).await
    }

    async fn find_by_key(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        if self.has(Flaw::KeyLost) {
            return Ok(None);
        }
        self.model.find_by_key(scope, key).await
    }

    async fn purge(&self, id: &RequestId, expected: Revision) -> Result<(), StoreError> {
        if self.has(Flaw::PurgeTakesAll) {
            self.model.write(|data| {
                let place = data.find(id).map(|(place, _)| place);
                place.and_then(|place| data.requests.remove(&place))
            });
            return Ok(());
        }
        self.model.purge(id, expected).await
    }
}

#[async_trait]
impl StateStore for Flawed {
    async fn load(&self, scope: &Scope) -> Result<StateSnapshot, StoreError> {
        self.model.load(&self.scope(scope)).await
    }

    async fn save(&self, write: &StateWrite) -> Result<StateVersion, StoreError> {
        let mut write = write.clone();
        write.scope = self.scope(&write.scope);
        let saved = self.model.save(&write).await?;
        self.model.write(|data| match self.flaw {
            Flaw::DeleteForgetsVersion if write.body.is_none() => {
                data.states.remove(&write.scope);
            }
            Flaw::FeedWithoutStates => {
                data.events.pop();
            }
            _ => {}
        });
        Ok(saved)
    }
}

#[async_trait]
impl GovernedCommit for Flawed {
    async fn commit(&self, commit: &Commit) -> Result<Written, StoreError> {
        if self.has(Flaw::SlotsNotChecked) {
            let known = commit.requests().len() <= Commit::MAX_REQUESTS;
            if known && !commit.requests().is_empty() {
                return self.model.write(|data| data.commit("commit", commit));
            }
        }
        commit.check()?;
        let requests = |from: usize, to: usize| {
            let mut part = Commit::default();
            for RequestWrite { request, expected } in &commit.requests()[from..to] {
                part = part.and(Arc::clone(request), *expected);
            }
            part
        };
        let all = commit.requests().len();
        match self.flaw {
            Flaw::TornCommit => {
                let written = self.model.commit(&requests(0, all)).await?;
                if let (Written::Applied, Some(state)) = (&written, commit.state()) {
                    self.model.save(state).await?;
                }
                Ok(written)
            }
            Flaw::SecondNotChecked if all > 1 => {
                let written = self.model.commit(&requests(0, 1)).await?;
                self.model.commit(&requests(1, all)).await?;
                Ok(written)
            }
            _ => self.model.commit(commit).await,
        }
    }
}

#[async_trait]
impl RequestQueries for Flawed {
    async fn requests(
        &self,
        query: &RequestQuery,
        page: &PageRequest,
    ) -> Result<Page<Arc<MutationRequest>>, StoreError> {
        let asked = self.query(query);
        let page = self.page(asked.digest(), query.digest(), page);
        match self.flaw {
            Flaw::IndexNotUpdated => {
                let mut found = self.first.requests(&asked, &page).await?;
                for item in &mut found.items {
                    if let Some(now) = self.model.get(item.id()).await? {
                        *item = now;
                    }
                }
                Ok(found)
            }
            Flaw::PurgeLeavesIndex => self.first.requests(&asked, &page).await,
            Flaw::NoDeadlineOrder if page.cursor().is_none() => {
                let all = PageRequest::first(1_000).expect("a limit");
                let mut found = self.model.requests(&asked, &all).await?;
                if page.ordering() == governance_core::Order::NewestFirst {
                    found.items.reverse();
                }
                Ok(Page::new(found.items, None))
            }
            _ => {
                let found = self.model.requests(&asked, &page).await?;
                let next = found.next.clone().map(|cursor| {
                    let position = cursor.position(page.ordering(), asked.digest());
                    let position = position.expect("its own cursor");
                    governance_core::Cursor::new(page.ordering(), query.digest(), position)
                });
                Ok(Page::new(found.items, next))
            }
        }
    }

    async fn approvals(
        &self,
        query: &ApprovalQuery,
        page: &PageRequest,
    ) -> Result<Page<ApprovalView>, StoreError> {
        self.model.approvals(query, page).await
    }

    async fn decisions(
        &self,
        query: &DecisionQuery,
        page: &PageRequest,
    ) -> Result<Page<DecisionView>, StoreError> {
        self.model.decisions(query, page).await
    }

    async fn count(&self, query: &RequestQuery) -> Result<Count, StoreError> {
        let counted = self.model.count(query).await?;
        Ok(match counted {
            Count::Exact(count) if self.has(Flaw::CountTooHigh) => Count::Exact(count + 1),
            other => other,
        })
    }
}

#[async_trait]
impl ChangeFeed for Flawed {
    async fn read(&self, after: Option<&FeedToken>, limit: u16) -> Result<FeedBatch, StoreError> {
        let mut batch = match self.model.read(after, limit).await {
            Err(error) if error.kind() == StoreErrorKind::Expired && self.has(Flaw::FeedGap) => {
                self.model.read(None, limit).await?
            }
            other => other?,
        };
        if self.has(Flaw::FeedWithoutBefore) {
            for event in &mut batch.events {
                if let FeedSubject::Request { before, .. } = &mut event.subject {
                    *before = None;
                }
            }
        }
        Ok(batch)
    }

    async fn head(&self) -> Result<FeedToken, StoreError> {
        self.model.head().await
    }

    async fn wait(&self, after: &FeedToken) -> Result<(), StoreError> {
        if self.has(Flaw::WaitTakesAnything) {
            return Ok(());
        }
        self.model.wait(after).await
    }
}

#[async_trait]
impl Clock for Flawed {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        if self.has(Flaw::NoClock) {
            return Ok(Timestamp::EPOCH);
        }
        self.model.now().await
    }
}

struct Harness(Flaw);

#[async_trait]
impl ProviderHarness for Harness {
    type Guard = ();

    async fn fresh(&self) -> (Arc<dyn Provider>, ()) {
        let clock = VirtualClock::new();
        let store = Flawed {
            model: ModelStore::new(clock.clone()),
            first: ModelStore::new(clock),
            meeting: Arc::new(Barrier::new(2)),
            flaw: self.0,
        };
        (Arc::new(store), ())
    }

    async fn fresh_with_feed(&self, events: usize) -> Option<(Arc<dyn Provider>, ())> {
        let clock = VirtualClock::new();
        let store = Flawed {
            model: ModelStore::new(clock.clone()).keeping_events(events),
            first: ModelStore::new(clock),
            meeting: Arc::new(Barrier::new(2)),
            flaw: self.0,
        };
        Some((Arc::new(store), ()))
    }
}

/// Whether the case fails on a store with the flaw.
macro_rules! caught {
    ($($flaw:ident by $group:ident::$case:ident),+ $(,)?) => {
        const FLAWS: &[Flaw] = &[$(Flaw::$flaw),+];
        $(
            #[allow(non_snake_case, reason = "named after the flaw")]
            mod $flaw {
                use super::*;

                #[test]
                fn $case() {
                    let failed = Arc::new(AtomicBool::new(false));
                    let told = Arc::clone(&failed);
                    suite::run(async move {
                        let case = tokio::spawn(async {
                            let trial = Trial::begin(Harness(Flaw::$flaw)).await;
                            cases::$group::$case(&trial).await;
                        });
                        let ended = case.await;
                        told.store(ended.is_err_and(|e| e.is_panic()), Ordering::SeqCst);
                    });
                    assert!(failed.load(Ordering::SeqCst), "the case did not notice");
                }
            }
        )+
    };
}

caught! {
    NoRevisionCheck by requests::change_from_an_older_revision_conflicts,
    NoHistoryCheck by requests::rewritten_history_is_refused,
    CheckThenAct by concurrency::changes_from_one_revision_have_one_winner,
    RacyCreate by concurrency::creates_of_one_id_have_one_winner,
    NoReplay by requests::repeated_change_finds_the_first_outcome,
    MissingIsConflict by requests::change_of_a_missing_request_is_not_found,
    KeyNotUnique by requests::duplicate_key_finds_the_first,
    KeyLost by requests::duplicate_key_finds_the_first,
    NoRouting by requests::id_that_does_not_route_to_its_state_is_refused,
    IndexNotUpdated by queries::a_change_is_visible_at_once,
    PurgeLeavesIndex by requests::purge_removes_from_every_listing,
    PurgeTakesAll by requests::purge_of_an_open_request_is_refused,
    TenantIgnored by queries::tenants_are_apart,
    PageRepeats by queries::orders_of_submission,
    PageSkips by queries::orders_of_submission,
    CursorNotChecked by queries::foreign_cursor_is_refused,
    NoDeadlineOrder by queries::order_of_deadlines,
    CountTooHigh by queries::counts_are_never_too_high,
    DeleteForgetsVersion by states::deleted_state_keeps_counting,
    StateTypeIgnored by states::states_are_apart,
    TornCommit by commit::nothing_is_stored_when_the_state_conflicts,
    SecondNotChecked by commit::nothing_is_stored_when_the_second_request_conflicts,
    SlotsNotChecked by commit::commit_across_slots_is_refused,
    FeedWithoutStates by feed::events_of_one_state_are_in_order,
    FeedWithoutBefore by feed::events_of_one_state_are_in_order,
    FeedGap by feed::trimmed_feed_tells_that_a_token_expired,
    WaitTakesAnything by feed::foreign_token_is_refused,
    NoClock by clock::tells_a_plausible_time,
}

#[test]
fn every_flaw_is_tried() {
    assert_eq!(FLAWS.len(), Flaw::NoClock as usize + 1);
}

/// Flaws that a random run shows too. The others need a race, a restart, or a call no run makes.
const SHOWN_BY_A_RUN: &[Flaw] = &[
    Flaw::NoRevisionCheck,
    Flaw::NoHistoryCheck,
    Flaw::NoReplay,
    Flaw::MissingIsConflict,
    Flaw::KeyNotUnique,
    Flaw::KeyLost,
    Flaw::IndexNotUpdated,
    Flaw::PurgeLeavesIndex,
    Flaw::PurgeTakesAll,
    Flaw::TenantIgnored,
    Flaw::PageRepeats,
    Flaw::PageSkips,
    Flaw::NoDeadlineOrder,
    Flaw::CountTooHigh,
    Flaw::DeleteForgetsVersion,
    Flaw::TornCommit,
    Flaw::SecondNotChecked,
    Flaw::FeedWithoutStates,
    Flaw::FeedWithoutBefore,
];

#[test]
fn a_random_run_shows_most_flaws() {
    use proptest::{
        strategy::{Strategy as _, ValueTree as _},
        test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for flaw in SHOWN_BY_A_RUN {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let ops = super::ops(VirtualClock::START, 100);
        let shown = (0..200).any(|_| {
            let ops = ops.new_tree(&mut runner).unwrap().current();
            runtime.block_on(async {
                let (store, ()) = Harness(*flaw).fresh().await;
                super::run(&store, None, &ops).await.is_err()
            })
        });
        assert!(shown, "no run showed {flaw:?}");
    }
}
