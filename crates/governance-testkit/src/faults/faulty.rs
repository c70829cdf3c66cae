//! A provider with something between it and its callers.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use governance_core::{
    ApprovalQuery, ApprovalView, ChangeFeed, Clock, Commit, Count, Creation, DecisionQuery,
    DecisionView, FeedBatch, FeedToken, GovernedCommit, IdempotencyKey, MutationRequest, Page,
    PageRequest, Provider, RequestId, RequestQueries, RequestQuery, RequestStore, Revision, Scope,
    StateSnapshot, StateStore, StateVersion, StateWrite, StoreError, Timestamp, Written,
};

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// A method of a port.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Call {
            $($(#[$doc])* $name),+
        }

        impl Call {
            /// Every method.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }
        }
    };
}

calls! {
    /// `RequestStore::create`
    Create = "create",
    /// `RequestStore::try_store`
    TryStore = "try_store",
    /// `RequestStore::get`
    Get = "get",
    /// `RequestStore::get_many`
    GetMany = "get_many",
    /// `RequestStore::find_by_key`
    FindByKey = "find_by_key",
    /// `RequestStore::purge`
    Purge = "purge",
    /// `StateStore::load`
    Load = "load",
    /// `StateStore::save`
    Save = "save",
    /// `GovernedCommit::commit`
    Commit = "commit",
    /// `RequestQueries::requests`
    Requests = "requests",
    /// `RequestQueries::approvals`
    Approvals = "approvals",
    /// `RequestQueries::decisions`
    Decisions = "decisions",
    /// `RequestQueries::count`
    Count = "count",
    /// `ChangeFeed::read`
    Read = "read",
    /// `ChangeFeed::head`
    Head = "head",
    /// `ChangeFeed::wait`
    Wait = "wait",
    /// `Clock::now`
    Now = "now",
}

impl Call {
    /// Whether it writes.
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(
            self,
            Self::Create | Self::TryStore | Self::Purge | Self::Save | Self::Commit
        )
    }
}

/// What happens between a provider and its callers. Every method does nothing unless written.
#[async_trait]
pub trait Fault: fmt::Debug + Send + Sync + 'static {
    /// Before the provider is asked.
    ///
    /// # Errors
    ///
    /// Any: the provider is not asked then.
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        let _ = call;
        Ok(())
    }

    /// After the provider has answered.
    ///
    /// # Errors
    ///
    /// Any: the caller gets it instead of the answer.
    async fn after(&self, call: Call) -> Result<(), StoreError> {
        let _ = call;
        Ok(())
    }

    /// What a caller is told who reads a request.
    fn request(
        &self,
        id: &RequestId,
        found: Option<Arc<MutationRequest>>,
    ) -> Option<Arc<MutationRequest>> {
        let _ = id;
        found
    }

    /// What a caller is told who reads a state.
    fn state(&self, scope: &Scope, found: StateSnapshot) -> StateSnapshot {
        let _ = scope;
        found
    }
}

/// A provider with a fault between it and its callers.
pub struct Faulty<F> {
    store: Arc<dyn Provider>,
    fault: F,
    counts: [AtomicU32; Call::ALL.len()],
}

impl<F: Fault> Faulty<F> {
    /// The provider with this fault.
    #[must_use]
    pub fn with(store: impl Provider, fault: F) -> Self {
        Self {
            store: Arc::new(store),
            fault,
            counts: Default::default(),
        }
    }

    /// The fault.
    #[must_use]
    pub const fn fault(&self) -> &F {
        &self.fault
    }

    /// The provider, past the fault.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Provider> {
        &self.store
    }

    /// How often a method was called, whatever came of it.
    #[must_use]
    pub fn calls(&self, call: Call) -> u32 {
        self.counts[call as usize].load(Ordering::SeqCst)
    }

    async fn before(&self, call: Call) -> Result<(), StoreError> {
        self.counts[call as usize].fetch_add(1, Ordering::SeqCst);
        self.fault.before(call).await
    }

    async fn after<T: Send>(
        &self,
        call: Call,
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.fault.after(call).await?;
        answer
    }
}

impl<F: Fault> fmt::Debug for Faulty<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("fault", &self.fault)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<F: Fault> RequestStore for Faulty<F> {
    async fn create(&self, request: Arc<MutationRequest>) -> Result<Creation, StoreError> {
        self.before(Call::Create).await?;
        let answer = self.store.create(request).await;
        self.after(Call::Create, answer).await
    }

    async fn try_store(
        &self,
        request: Arc<MutationRequest>,
        expected: Revision,
    ) -> Result<Written, StoreError> {
        self.before(Call::TryStore).await?;
        let answer = self.store.try_store(request, expected).await;
        self.after(Call::TryStore, answer).await
    }

    async fn get(&self, id: &RequestId) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        self.before(Call::Get).await?;
        let answer = self.store.get(id).await;
        let answer = answer.map(|found| self.fault.request(id, found));
        self.after(Call::Get, answer).await
    }

    async fn get_many(
        &self,
        ids: &[RequestId],
    ) -> Result<Vec<Option<Arc<MutationRequest>>>, StoreError> {
        self.before(Call::GetMany).await?;
        let answer = self.store.get_many(ids).await.map(|found| {
            let told = ids.iter().zip(found);
            told.map(|(id, found)| self.fault.request(id, found))
                .collect()
        });
        self.after(Call::GetMany, answer).await
    }

    async fn find_by_key(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        self.before(Call::FindByKey).await?;
        let answer = self.store.find_by_key(scope, key).await;
        self.after(Call::FindByKey, answer).await
    }

    async fn purge(&self, id: &RequestId, expected: Revision) -> Result<(), StoreError> {
        self.before(Call::Purge).await?;
        let answer = self.store.purge(id, expected).await;
        self.after(Call::Purge, answer).await
    }
}

#[async_trait]
impl<F: Fault> StateStore for Faulty<F> {
    async fn load(&self, scope: &Scope) -> Result<StateSnapshot, StoreError> {
        self.before(Call::Load).await?;
        let answer = self.store.load(scope).await;
        let answer = answer.map(|found| self.fault.state(scope, found));
        self.after(Call::Load, answer).await
    }

    async fn save(&self, write: &StateWrite) -> Result<StateVersion, StoreError> {
        self.before(Call::Save).await?;
        let answer = self.store.save(write).await;
        self.after(Call::Save, answer).await
    }
}

#[async_trait]
impl<F: Fault> GovernedCommit for Faulty<F> {
    async fn commit(&self, commit: &Commit) -> Result<Written, StoreError> {
        self.before(Call::Commit).await?;
        let answer = self.store.commit(commit).await;
        self.after(Call::Commit, answer).await
    }
}

#[async_trait]
impl<F: Fault> RequestQueries for Faulty<F> {
    async fn requests(
        &self,
        query: &RequestQuery,
        page: &PageRequest,
    ) -> Result<Page<Arc<MutationRequest>>, StoreError> {
        self.before(Call::Requests).await?;
        let answer = self.store.requests(query, page).await;
        self.after(Call::Requests, answer).await
    }

    async fn approvals(
        &self,
        query: &ApprovalQuery,
        page: &PageRequest,
    ) -> Result<Page<ApprovalView>, StoreError> {
        self.before(Call::Approvals).await?;
        let answer = self.store.approvals(query, page).await;
        self.after(Call::Approvals, answer).await
    }

    async fn decisions(
        &self,
        query: &DecisionQuery,
        page: &PageRequest,
    ) -> Result<Page<DecisionView>, StoreError> {
        self.before(Call::Decisions).await?;
        let answer = self.store.decisions(query, page).await;
        self.after(Call::Decisions, answer).await
    }

    async fn count(&self, query: &RequestQuery) -> Result<Count, StoreError> {
        self.before(Call::Count).await?;
        let answer = self.store.count(query).await;
        self.after(Call::Count, answer).await
    }
}

#[async_trait]
impl<F: Fault> ChangeFeed for Faulty<F> {
    async fn read(&self, after: Option<&FeedToken>, limit: u16) -> Result<FeedBatch, StoreError> {
        self.before(Call::Read).await?;
        let answer = self.store.read(after, limit).await;
        self.after(Call::Read, answer).await
    }

    async fn head(&self) -> Result<FeedToken, StoreError> {
        self.before(Call::Head).await?;
        let answer = self.store.head().await;
        self.after(Call::Head, answer).await
    }

    async fn wait(&self, after: &FeedToken) -> Result<(), StoreError> {
        self.before(Call::Wait).await?;
        let answer = self.store.wait(after).await;
        self.after(Call::Wait, answer).await
    }
}

#[async_trait]
impl<F: Fault> Clock for Faulty<F> {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.before(Call::Now).await?;
        let answer = self.store.now().await;
        self.after(Call::Now, answer).await
    }
}
