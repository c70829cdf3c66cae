//! A store with something of everything in it, and a picture of what it holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use governance_core::{
    Act, ChangeFeed as _, Commit, DecisionQuery, GovernedCommit as _, IdSource as _,
    IdempotencyKey, Membership, MutationRequest, Order, PageRequest, RequestQueries as _,
    RequestQuery, RequestStore as _, Scope, StateStore as _, StateVersion, StateWrite, Timestamp,
};
use governance_redis::RedisStore;
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, actor, actor_id, approve, cancel, complete, deny, scope,
};

pub const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

pub fn act(ids: &SeededIds, who: &str) -> Act {
    Act::new(&actor(who), NOW, ids.operation_id())
}

/// The names of the states; one of them is too long for a key.
pub fn states() -> Vec<String> {
    (0..12)
        .map(|i| format!("state/{i}"))
        .chain(["ü".repeat(200), "gone".to_owned()])
        .collect()
}

/// Fills a store with so many requests in every status there is, and states; purges a few.
pub async fn populate(store: &RedisStore, seed: u64, count: usize) -> Vec<Arc<MutationRequest>> {
    let ids = SeededIds::new(seed);
    let states = states();
    let mut versions: BTreeMap<String, u64> = BTreeMap::new();
    for state in &states {
        let found = store.load(&scope(state)).await.expect("a state");
        versions.insert(state.clone(), found.version.get());
    }
    let mut kept = Vec::new();
    for i in 0..count {
        let state = &states[i % (states.len() - 1)];
        let request = RequestBuilder::new(&ids, NOW)
            .state(state)
            .key(&format!("key-{seed}-{i}"))
            .correlation(&format!("work-{}", i % 3))
            .metadata("size", "x".repeat(i * 37 % 900))
            .expires_in(Duration::from_secs(600 + i as u64))
            .asks(["bob", "carol"])
            .build();
        store.create(Arc::clone(&request)).await.expect("created");
        let next = match i % 5 {
            0 => cancel(&request, act(&ids, "alice")),
            1 => deny(&request, act(&ids, "bob"), Membership::default()),
            2 | 3 => approve(&request, act(&ids, "bob"), Membership::default()),
            _ => {
                kept.push(request);
                continue;
            }
        };
        store
            .try_store(Arc::clone(&next), request.revision())
            .await
            .expect("stored");
        if i % 5 != 3 {
            kept.push(next);
            continue;
        }
        let approved = approve(&next, act(&ids, "carol"), Membership::default());
        store
            .try_store(Arc::clone(&approved), next.revision())
            .await
            .expect("approved");
        let version = versions.entry(state.clone()).or_default();
        let executed = complete(
            &approved,
            act(&ids, "deployer"),
            StateVersion::new(*version),
            Vec::new(),
        );
        let write = StateWrite {
            scope: scope(state),
            expected: StateVersion::new(*version),
            body: Some(format!("value {i}").into()),
            operation: ids.operation_id(),
        };
        let commit = Commit::of(Arc::clone(&executed), approved.revision()).with_state(write);
        store.commit(&commit).await.expect("committed");
        *version += 1;
        kept.push(executed);
    }
    let gone = scope("gone");
    let expected = store.load(&gone).await.expect("a state").version;
    for (expected, body) in [(expected, Some("a".into())), (expected.next(), None)] {
        let write = StateWrite {
            scope: gone.clone(),
            expected,
            body,
            operation: ids.operation_id(),
        };
        store.save(&write).await.expect("saved");
    }
    for request in kept.extract_if(.., |request| {
        request.status().is_terminal() && request.id().as_bytes()[15].is_multiple_of(7)
    }) {
        store
            .purge(request.id(), request.revision())
            .await
            .expect("purged");
    }
    kept
}

/// What a store holds, as its ports tell it.
#[derive(Debug, PartialEq)]
pub struct Picture {
    /// In the order of submission.
    requests: Vec<Arc<MutationRequest>>,
    /// In the order of deadlines.
    due: BTreeSet<String>,
    /// Digests of all decisions, in the order they were stored.
    pub decisions: Vec<String>,
    inbox: Vec<String>,
    counts: BTreeMap<&'static str, String>,
    states: BTreeMap<String, (u64, Option<Vec<u8>>)>,
    keys: BTreeMap<String, Option<String>>,
    /// Events of every state, in order.
    events: BTreeMap<Scope, Vec<String>>,
}

impl Picture {
    pub async fn of(store: &RedisStore, keys: &[String]) -> Self {
        let everything = RequestQuery::all_tenants();
        let inbox = everything
            .clone()
            .decidable_by(actor_id("bob"), Membership::default());
        let requests = requests(store, &everything, Order::Submission).await;
        for request in &requests {
            assert_eq!(request.verify_history(), Ok(()));
            let got = store.get(request.id()).await.expect("an answer");
            assert_eq!(got.as_ref(), Some(request));
        }
        let ids = |requests: Vec<Arc<MutationRequest>>| {
            requests
                .into_iter()
                .map(|request| request.id().to_string())
                .collect::<Vec<_>>()
        };
        let due = ids(self::requests(store, &everything, Order::Deadline).await);
        let mut states = BTreeMap::new();
        for state in self::states() {
            let found = store.load(&scope(&state)).await.expect("a state");
            let body = found.body.map(|body| body.to_vec());
            states.insert(state, (found.version.get(), body));
        }
        let mut found = BTreeMap::new();
        for key in keys {
            let mut holder = None;
            for state in self::states() {
                let idempotency = IdempotencyKey::new(key).expect("a key");
                let request = store.find_by_key(&scope(&state), &idempotency).await;
                holder = holder.or(request
                    .expect("an answer")
                    .map(|request| request.id().to_string()));
            }
            found.insert(key.clone(), holder);
        }
        let mut counts = BTreeMap::new();
        for status in governance_core::Status::ALL {
            let query = everything.clone().statuses([status]);
            let count = store.count(&query).await.expect("a count");
            counts.insert(status.as_str(), format!("{count:?}"));
        }
        Self {
            due: due.into_iter().collect(),
            decisions: decisions(store).await,
            inbox: ids(self::requests(store, &inbox, Order::Submission).await),
            counts,
            states,
            keys: found,
            events: events(store).await,
            requests,
        }
    }

    /// Without the change feed, which is kept for a while only.
    pub fn without_events(mut self) -> Self {
        self.events.clear();
        self
    }
}

async fn requests(
    store: &RedisStore,
    query: &RequestQuery,
    order: Order,
) -> Vec<Arc<MutationRequest>> {
    let first = PageRequest::first(50).expect("a page").order(order);
    let (mut found, mut page) = (Vec::new(), first.clone());
    loop {
        let read = store.requests(query, &page).await.expect("a page");
        assert!(read.undecodable.is_empty());
        found.extend(read.items);
        let Some(next) = read.next else { return found };
        page = first.clone().after(next);
    }
}

async fn decisions(store: &RedisStore) -> Vec<String> {
    let query = DecisionQuery::of(RequestQuery::all_tenants());
    let first = PageRequest::first(100).expect("a page");
    let (mut found, mut page) = (Vec::new(), first.clone());
    loop {
        let read = store.decisions(&query, &page).await.expect("a page");
        let digests = read
            .items
            .iter()
            .map(|view| view.decision.digest().to_string());
        found.extend(digests);
        let Some(next) = read.next else { return found };
        page = first.clone().after(next);
    }
}

async fn events(store: &RedisStore) -> BTreeMap<Scope, Vec<String>> {
    let mut found: BTreeMap<Scope, Vec<String>> = BTreeMap::new();
    let mut after = None;
    loop {
        let batch = store.read(after.as_ref(), 100).await.expect("events");
        if batch.events.is_empty() {
            return found;
        }
        for event in batch.events {
            let events = found.entry(event.scope).or_default();
            events.push(format!("{:?}", event.subject));
        }
        after = Some(batch.next);
    }
}
