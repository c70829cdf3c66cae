//! Whole lives of requests, written under whatever trouble there is, and what has to be true then.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use governance_core::{
    Act, Commit, DecisionQuery, GovernedCommit, IdSource as _, Membership, MutationRequest,
    PageRequest, RequestId, RequestQueries, RequestQuery, RequestStore, Retry, StateStore,
    StateVersion, StateWrite, Timestamp,
};
use governance_redis::RedisStore;
use governance_testkit::fixtures::{RequestBuilder, SeededIds, actor, approve, complete};

pub const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

/// Asks again until there is an answer. Trouble may make it fail, but never for good.
///
/// A macro, so that futures of it can be sent to other threads.
macro_rules! settle {
    ($ask:expr) => {
        loop {
            match $ask.await {
                Ok(done) => break done,
                Err(error) => assert_ne!(error.retry(), Retry::Never, "{error:?}"),
            }
            tokio::task::yield_now().await;
        }
    };
}

/// One life: a state, a request about it, a vote, and the execution that changes both.
pub struct Life {
    pub created: Arc<MutationRequest>,
    pub approved: Arc<MutationRequest>,
    pub commit: Commit,
    pub state: StateWrite,
}

impl Life {
    pub fn new(ids: &SeededIds, name: &str) -> Self {
        let act = |who| Act::new(&actor(who), NOW, ids.operation_id());
        let created = RequestBuilder::new(ids, NOW).state(name).key(name).build();
        let approved = approve(&created, act("bob"), Membership::default());
        let before = StateVersion::new(1);
        let done = complete(&approved, act("deployer"), before, Vec::new());
        let write = |expected: u64| StateWrite {
            scope: created.proposal().scope().clone(),
            expected: StateVersion::new(expected),
            body: Some(Bytes::from_static(b"value")),
            operation: ids.operation_id(),
        };
        Self {
            commit: Commit::of(done, approved.revision()).with_state(write(1)),
            state: write(0),
            created,
            approved,
        }
    }

    pub fn id(&self) -> &RequestId {
        self.created.id()
    }

    /// The request as it ends.
    pub fn done(&self) -> &Arc<MutationRequest> {
        &self.commit.requests()[0].request
    }

    /// Writes all of it, every step until it is answered.
    pub async fn live(&self, store: &RedisStore) {
        settle!(store.save(&self.state));
        settle!(store.create(Arc::clone(&self.created)));
        let first = self.created.revision();
        settle!(store.try_store(Arc::clone(&self.approved), first));
        settle!(store.commit(&self.commit));
    }
}

/// Lives one after the other, until told to stop or there are so many; all of them were acknowledged.
pub async fn lives(store: RedisStore, seed: u64, most: usize, stop: Arc<AtomicBool>) -> Vec<Life> {
    let ids = SeededIds::new(seed);
    let mut lived = Vec::new();
    while !stop.load(Ordering::Acquire) && lived.len() < most {
        let life = Life::new(&ids, &format!("state-{seed}-{}", lived.len()));
        life.live(&store).await;
        lived.push(life);
    }
    lived
}

/// Pages through everything until told to stop. How many pages it read.
pub async fn read(store: RedisStore, stop: Arc<AtomicBool>) -> u64 {
    let mut pages = 0;
    while !stop.load(Ordering::Acquire) {
        let mut page = PageRequest::first(20).expect("a page");
        loop {
            let query = RequestQuery::all_tenants();
            let found = settle!(store.requests(&query, &page));
            assert!(found.undecodable.is_empty(), "{:?}", found.undecodable);
            pages += 1;
            match found.next {
                Some(next) if !stop.load(Ordering::Acquire) => page = page.after(next),
                _ => break,
            }
        }
    }
    pages
}

/// Every decision there is, once each.
pub async fn decisions(store: &RedisStore) -> BTreeSet<(RequestId, u32)> {
    let query = DecisionQuery::of(RequestQuery::all_tenants());
    let mut page = PageRequest::first(500).expect("a page");
    let mut all = BTreeSet::new();
    loop {
        let found = store.decisions(&query, &page).await.expect("a page");
        for view in found.items {
            let new = all.insert((view.request, view.decision.seq()));
            assert!(new, "decision {} is there twice", view.decision.seq());
        }
        match found.next {
            Some(next) => page = page.after(next),
            None => return all,
        }
    }
}

/// Nothing of these lives is lost, doubled or torn, and there is nothing else.
pub async fn check(store: &RedisStore, lives: &[Life]) {
    let mut expected = BTreeSet::new();
    for life in lives {
        let stored = store.get(life.id()).await.expect("an answer");
        assert_eq!(stored.as_ref(), Some(life.done()));
        let state = store.load(&life.state.scope).await.expect("a state");
        assert_eq!(state.version, StateVersion::new(2));
        let history = life.done().decisions().iter();
        expected.extend(history.map(|decision| (*life.id(), decision.seq())));
    }
    assert_eq!(decisions(store).await, expected);
    let report = store.verify().await.expect("a report");
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.requests(), lives.len() as u64);
}
