//! Values that many requests share, kept as bitmaps beside the sorted sets of the others.

mod support;

use std::sync::Arc;

use governance_core::{
    Act, Count, IdSource as _, Intent, Label, MutationRequest, Order, PageRequest, Provider,
    RequestQueries, RequestQuery, Risk, TenantId, Timestamp,
};
use governance_memory::MemoryStore;
use governance_redis::RedisStore;
use governance_testkit::fixtures::{RequestBuilder, SeededIds, actor, cancel};
use redis_client::redis;
use redis_harness::{Persistence, Server};

use crate::support::{client, open, options, server};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);
const REQUESTS: u32 = 600;

fn request(ids: &SeededIds, number: u32) -> Arc<MutationRequest> {
    let intent = Intent::new("policy.put", "iam").expect("a name");
    let tags = [
        (number.is_multiple_of(2), "even"),
        (!number.is_multiple_of(2), "odd"),
        (number.is_multiple_of(3), "third"),
        (number.is_multiple_of(40), "rare"),
        (number.is_multiple_of(50), "rarer"),
    ];
    let intent = tags
        .into_iter()
        .filter_map(|(has, tag)| has.then_some(tag))
        .fold(intent.risk(Risk::Low), |intent, tag| {
            intent.tag(tag).expect("a name")
        });
    RequestBuilder::new(ids, NOW)
        .state(&format!("state-{number}"))
        .intent(intent)
        .asks(["bob"])
        .build()
}

async fn keys(server: &Server, pattern: &str) -> Vec<String> {
    let mut admin = server.connection().await;
    let mut keys: Vec<String> = redis::cmd("KEYS")
        .arg(pattern)
        .query_async(&mut admin)
        .await
        .expect("an answer");
    keys.sort_unstable();
    keys
}

async fn pages(
    store: &dyn Provider,
    query: &RequestQuery,
    order: Order,
) -> Vec<Vec<Arc<MutationRequest>>> {
    let mut page = PageRequest::first(7).expect("a limit").order(order);
    let mut pages = Vec::new();
    loop {
        let found = store.requests(query, &page).await.expect("an answer");
        pages.push(found.items);
        match found.next {
            Some(next) => page = page.after(next),
            None => return pages,
        }
    }
}

async fn compare(memory: &MemoryStore, store: &RedisStore) {
    let any = || RequestQuery::in_tenant(TenantId::default());
    let tags = |tags: &[&str]| {
        let labels = tags.iter().map(|tag| Label::new(*tag).expect("a name"));
        any().tags_all(labels.collect::<Vec<_>>())
    };
    for query in [
        tags(&["even"]),
        tags(&["even", "third"]),
        tags(&["even", "odd"]),
        tags(&["rare", "even"]),
        tags(&["third", "rare"]).pending(),
        tags(&["rare", "rarer"]),
        any().tags_any(["odd", "rarer"].map(|tag| Label::new(tag).expect("a name"))),
    ] {
        for order in [Order::Submission, Order::NewestFirst] {
            let items = |pages: Vec<Vec<Arc<MutationRequest>>>| pages.concat();
            let found = items(pages(store, &query, order).await);
            let expected = items(pages(memory, &query, order).await);
            assert_eq!(found, expected, "{query:?} {order:?}");
        }
        let count = RequestQueries::count(store, &query).await.expect("a count");
        let expected = RequestQueries::count(memory, &query).await;
        assert_eq!(count, expected.expect("a count"), "{query:?}");
        assert!(matches!(count, Count::Exact(_)), "{query:?}");
    }
}

#[tokio::test]
async fn a_value_is_found_wherever_it_is_kept() {
    for partitions in [1, 2] {
        let server = server(Persistence::None).await;
        let options = options().partitions(partitions);
        let store = open(server.url(), &options).await;
        let memory = MemoryStore::new();
        let ids = SeededIds::new(1);
        let mut requests = Vec::new();
        for number in 0..REQUESTS {
            let request = request(&ids, number);
            for store in [&store as &dyn Provider, &memory] {
                let created = store.create(Arc::clone(&request)).await;
                created.expect("an answer");
            }
            requests.push(request);
        }
        let dense = keys(&server, "*:b1:tag:*").await;
        assert!(dense.iter().any(|key| key.contains(":even:")), "{dense:?}");
        assert!(!dense.iter().any(|key| key.contains(":rare:")), "{dense:?}");
        let sparse = keys(&server, "*:z1:tag:even").await;
        assert_eq!(sparse.len(), usize::from(partitions), "the first of them");

        // A process that has created nothing finds out.
        let other = open(server.url(), &options).await;
        compare(&memory, &store).await;
        compare(&memory, &other).await;

        // What changes stays where it is, what is purged leaves both.
        for request in requests.iter().step_by(5) {
            let act = Act::new(&actor("alice"), NOW, ids.operation_id());
            let canceled = cancel(request, act);
            for store in [&other as &dyn Provider, &memory] {
                let stored = store
                    .try_store(Arc::clone(&canceled), request.revision())
                    .await;
                stored.expect("an answer");
                if request.id().as_bytes()[15].is_multiple_of(2) {
                    let purged = store.purge(request.id(), canceled.revision()).await;
                    purged.expect("an answer");
                }
            }
        }
        compare(&memory, &store).await;
        let report = other.verify().await.expect("an answer");
        assert!(report.is_clean(), "{report:?}");
        other.rebuild().await.expect("an answer");
        compare(&memory, &store).await;
        assert!(store.verify().await.expect("an answer").is_clean());
    }
}

#[tokio::test]
async fn bitmaps_of_common_values_move_with_the_partitions() {
    let server = server(Persistence::None).await;
    let options = options().key_prefix(redis_harness::unique_prefix("dense"));
    let client = client(server.url()).await;
    let memory = MemoryStore::new();
    let mut store = open(server.url(), &options).await;
    let ids = SeededIds::new(2);
    for number in 0..REQUESTS {
        let request = request(&ids, number);
        for store in [&store as &dyn Provider, &memory] {
            let created = store.create(Arc::clone(&request)).await;
            created.expect("an answer");
        }
    }
    for (from, to) in [(1, 4), (4, 16), (16, 1)] {
        let before = options.clone().partitions(from);
        RedisStore::migrate_partitions(client.clone(), before, to, |_| {})
            .await
            .expect("it moves");
        store = open(server.url(), &options.clone().partitions(to)).await;
        let report = store.verify().await.expect("an answer");
        assert!(report.is_clean(), "{to} partitions: {report:?}");
        assert_eq!(report.requests(), u64::from(REQUESTS));
        compare(&memory, &store).await;
        // In 16 partitions a half of 600 requests is too few for bitmaps, in one it is not.
        if to == 1 {
            let dense = keys(&server, "*:b1:tag:*").await;
            assert!(dense.iter().any(|key| key.contains(":even:")), "{dense:?}");
        }
        // What comes after goes where it belongs, too.
        let request = request(&ids, REQUESTS + u32::from(to));
        for store in [&store as &dyn Provider, &memory] {
            let created = store.create(Arc::clone(&request)).await;
            created.expect("an answer");
        }
        compare(&memory, &store).await;
        let gone = Act::new(&actor("alice"), NOW, ids.operation_id());
        let canceled = cancel(&request, gone);
        for store in [&store as &dyn Provider, &memory] {
            let stored = store.try_store(Arc::clone(&canceled), request.revision());
            stored.await.expect("an answer");
            let purged = store.purge(request.id(), canceled.revision()).await;
            purged.expect("an answer");
        }
    }
    assert!(store.verify().await.expect("an answer").is_clean());
}
