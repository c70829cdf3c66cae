//! Random lives, queries and pages on memory and on Redis, side by side.

mod support;

use std::{collections::HashMap, sync::Arc};

use governance_core::{
    ApprovalQuery, Creation, DecisionQuery, MutationRequest, Order, Page, PageRequest, Provider,
    RequestQueries, RequestQuery, RequestStore, StoreErrorKind, Timestamp, Written,
};
use governance_memory::MemoryStore;
use governance_redis::RedisStore;
use governance_testkit::generate::{
    Life, approval_queries, decision_queries, lives, orders, queries,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use redis_harness::{Persistence, Server};

use crate::support::{open, options, server};

/// What is done to both stores, one after the other.
#[derive(Debug, Clone)]
struct Plan {
    lives: Vec<Life>,
    /// Of which life the next form is stored.
    turns: Vec<usize>,
    requests: Vec<(RequestQuery, Order, u16)>,
    approvals: Vec<(ApprovalQuery, Order, u16)>,
    decisions: Vec<(DecisionQuery, bool, u16)>,
    /// Every how manieth life is purged in the end.
    purge: usize,
}

/// Later than both clocks, so that no deadline passes while the test runs.
fn begin() -> Timestamp {
    "2100-01-01T00:00:00Z".parse().expect("a time")
}

fn plans() -> impl Strategy<Value = Plan> {
    prop::collection::vec(lives(begin()), 1..14).prop_flat_map(|lives| {
        let ids: Vec<_> = lives.iter().map(|life| *life.forms[0].id()).collect();
        let turns = prop::collection::vec(0..lives.len(), 0..60);
        let limit = || prop_oneof![1_u16..4, Just(50)];
        let requests = (queries(begin(), ids.clone()), orders(), limit());
        let approvals = (approval_queries(begin(), ids.clone()), orders(), limit());
        let decisions = (decision_queries(begin(), ids), any::<bool>(), limit());
        (
            Just(lives),
            turns,
            prop::collection::vec(requests, 1..10),
            prop::collection::vec(approvals, 1..4),
            prop::collection::vec(decisions, 1..4),
            2_usize..5,
        )
            .prop_map(
                |(lives, turns, requests, approvals, decisions, purge)| Plan {
                    lives,
                    turns,
                    requests,
                    approvals,
                    decisions,
                    purge,
                },
            )
    })
}

/// The outcome of a write, without what only one provider can know.
fn outcome(result: Result<Written, governance_core::StoreError>) -> String {
    match result {
        Ok(Written::Applied) => "applied".to_owned(),
        Ok(Written::AlreadyApplied(request)) => format!("already {}", request.revision()),
        Err(error) => format!("{:?} {:?}", error.kind(), error.conflict_data()),
    }
}

fn creation(result: Result<Creation, governance_core::StoreError>) -> String {
    match result {
        Ok(Creation::Created) => "created".to_owned(),
        Ok(Creation::Existing(request)) => format!("existing {}", request.id()),
        Err(error) => format!("{:?}", error.kind()),
    }
}

/// All pages of a listing.
async fn all<T>(
    limit: u16,
    order: Order,
    mut next: impl AsyncFnMut(PageRequest) -> Page<T>,
) -> Vec<Vec<T>> {
    let mut pages = Vec::new();
    let mut request = PageRequest::first(limit).expect("a limit").order(order);
    loop {
        let page = next(request.clone()).await;
        assert!(page.undecodable.is_empty());
        pages.push(page.items);
        match page.next {
            Some(cursor) => request = request.after(cursor),
            None => return pages,
        }
        assert!(pages.len() < 1_000, "the listing does not end");
    }
}

async fn requests_of(
    store: &dyn Provider,
    query: &RequestQuery,
    order: Order,
    limit: u16,
) -> Vec<Vec<Arc<MutationRequest>>> {
    all(limit, order, async |page| {
        store.requests(query, &page).await.expect("a page")
    })
    .await
}

async fn create_both(plan: &Plan, memory: &MemoryStore, redis: &RedisStore) {
    for life in &plan.lives {
        let first = &life.forms[0];
        let expected = creation(memory.create(Arc::clone(first)).await);
        assert_eq!(creation(redis.create(Arc::clone(first)).await), expected);
    }
}

async fn write_both(plan: &Plan, memory: &MemoryStore, redis: &RedisStore) {
    let mut at: HashMap<usize, usize> = HashMap::new();
    for (turn, i) in plan.turns.iter().enumerate() {
        let forms = &plan.lives[*i].forms;
        let next = at.entry(*i).or_insert(1);
        let Some(form) = forms.get(*next) else {
            continue;
        };
        // Now and then a write is repeated, or comes too early.
        let before = forms[*next - 1].revision();
        let expected = outcome(memory.try_store(Arc::clone(form), before).await);
        assert_eq!(
            outcome(redis.try_store(Arc::clone(form), before).await),
            expected
        );
        if turn % 5 != 0 {
            *next += 1;
        }
    }
}

async fn compare(plan: &Plan, memory: &MemoryStore, redis: &RedisStore, exact: bool) {
    for (query, order, limit) in &plan.requests {
        let mut expected = requests_of(memory, query, *order, *limit).await;
        let mut found = requests_of(redis, query, *order, *limit).await;
        if !exact && *order == Order::Deadline {
            // Who of those with the same deadline comes first depends on the partition.
            for pages in [&mut expected, &mut found] {
                let mut items: Vec<_> = pages.drain(..).flatten().collect();
                items.sort_by_key(|request| *request.id());
                pages.push(items);
            }
        }
        assert_eq!(found, expected, "{query:?} {order:?}");
        let count = memory.count(query).await.expect("a count");
        assert_eq!(
            redis.count(query).await.expect("a count"),
            count,
            "{query:?}"
        );
    }
    for (query, order, limit) in &plan.approvals {
        if !exact && *order == Order::Deadline {
            continue;
        }
        let expected = all(*limit, *order, async |page| {
            memory.approvals(query, &page).await.expect("a page")
        });
        let found = all(*limit, *order, async |page| {
            redis.approvals(query, &page).await.expect("a page")
        });
        assert_eq!(found.await, expected.await, "{query:?}");
    }
    for (query, newest_first, limit) in &plan.decisions {
        let order = if *newest_first {
            Order::NewestFirst
        } else {
            Order::Submission
        };
        let expected = all(*limit, order, async |page| {
            memory.decisions(query, &page).await.expect("a page")
        });
        let found = all(*limit, order, async |page| {
            redis.decisions(query, &page).await.expect("a page")
        });
        assert_eq!(found.await, expected.await, "{query:?}");
    }
    for life in &plan.lives {
        let id = life.forms[0].id();
        let expected = memory.get(id).await.expect("a get");
        assert_eq!(redis.get(id).await.expect("a get"), expected);
    }
}

async fn purge_some(plan: &Plan, memory: &MemoryStore, redis: &RedisStore) {
    for life in plan.lives.iter().step_by(plan.purge) {
        let id = life.forms[0].id();
        for form in &life.forms {
            let kind =
                |result: Result<(), governance_core::StoreError>| result.map_err(|e| e.kind());
            let expected: Result<(), StoreErrorKind> =
                kind(memory.purge(id, form.revision()).await);
            assert_eq!(kind(redis.purge(id, form.revision()).await), expected);
        }
    }
}

fn side_by_side(partitions: u16) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server: Server = runtime.block_on(server(Persistence::None));
    let config = Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&plans(), |plan| {
        runtime.block_on(async {
            let memory = MemoryStore::new();
            let options = options().partitions(partitions);
            let redis = open(server.url(), &options).await;
            create_both(&plan, &memory, &redis).await;
            // What is remembered of these pages is old when they are read again.
            compare(&plan, &memory, &redis, partitions == 1).await;
            write_both(&plan, &memory, &redis).await;
            compare(&plan, &memory, &redis, partitions == 1).await;
            purge_some(&plan, &memory, &redis).await;
            compare(&plan, &memory, &redis, partitions == 1).await;
            // What another process reads, without anything remembered.
            let other = RedisStore::connect(redis.client().clone(), options).await;
            compare(&plan, &memory, &other.expect("a store"), partitions == 1).await;
        });
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn one_partition_is_like_memory() {
    side_by_side(1);
}

#[test]
fn four_partitions_are_like_memory() {
    side_by_side(4);
}
