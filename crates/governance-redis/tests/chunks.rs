//! Over the edges of chunks: of ordinals, at 65 536, and of the journal, at 16 384.

mod support;

use std::{sync::Arc, time::Duration};

use governance_core::{
    Act, Count, DecisionQuery, IdSource as _, Intent, Label, MutationRequest, Order, PageRequest,
    Provider, RequestQuery, RequestStore, TenantId, Timestamp,
};
use governance_memory::MemoryStore;
use governance_redis::RedisStore;
use governance_testkit::fixtures::{RequestBuilder, SeededIds, actor, cancel};
use redis_client::redis;
use redis_harness::{Persistence, Server};

use crate::support::{open, options, server};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);
const ORDINALS: u64 = 65_536 - 7;
const ENTRIES: u64 = 16_384 - 11;

/// Makes an empty store look as if so many requests and decisions had come and gone.
async fn age(server: &Server, ordinals: u64) {
    let mut admin = server.connection().await;
    let fence: Vec<String> = redis::cmd("KEYS")
        .arg("*:v")
        .query_async(&mut admin)
        .await
        .expect("an answer");
    let base = fence[0].strip_suffix('v').expect("an answer");
    let counters: Vec<u8> = [ordinals, 0, ENTRIES]
        .iter()
        .flat_map(|n| n.to_be_bytes())
        .collect();
    let mut set = redis::cmd("SET");
    set.arg(format!("{base}n"))
        .arg(counters)
        .exec_async(&mut admin)
        .await
        .expect("an answer");
    let mut journal = redis::cmd("SETRANGE");
    journal
        .arg(format!("{base}y:0"))
        .arg(ENTRIES * 16 - 1)
        .arg(&[0_u8][..]);
    journal.exec_async(&mut admin).await.expect("an answer");
}

async fn pages(store: &dyn Provider, order: Order, limit: u16) -> Vec<Vec<Arc<MutationRequest>>> {
    let query =
        RequestQuery::in_tenant(TenantId::default()).excluding(governance_core::Filter::Is(
            governance_core::Condition::Statuses([governance_core::Status::Executed].into()),
        ));
    let mut page = PageRequest::first(limit).expect("an answer").order(order);
    let mut pages = Vec::new();
    loop {
        let found = store.requests(&query, &page).await.expect("an answer");
        pages.push(found.items);
        match found.next {
            Some(next) => page = page.after(next),
            None => return pages,
        }
    }
}

async fn decisions(
    store: &dyn Provider,
    order: Order,
    limit: u16,
) -> Vec<(governance_core::RequestId, u32)> {
    let query = DecisionQuery::of(RequestQuery::in_tenant(TenantId::default()));
    let mut page = PageRequest::first(limit).expect("an answer").order(order);
    let mut all = Vec::new();
    loop {
        let found = store.decisions(&query, &page).await.expect("an answer");
        all.extend(
            found
                .items
                .iter()
                .map(|view| (view.request, view.decision.seq())),
        );
        match found.next {
            Some(next) => page = page.after(next),
            None => return all,
        }
    }
}

async fn compare(memory: &MemoryStore, stores: [&RedisStore; 3]) {
    for store in stores {
        for order in Order::ALL {
            for limit in [3, 100] {
                assert_eq!(
                    pages(store, order, limit).await,
                    pages(memory, order, limit).await
                );
            }
        }
        for order in [Order::Submission, Order::NewestFirst] {
            for limit in [4, 1_000] {
                let found = decisions(store, order, limit).await;
                assert_eq!(found, decisions(memory, order, limit).await, "{order:?}");
            }
        }
        let query = RequestQuery::all_tenants().pending();
        let count = governance_core::RequestQueries::count(store, &query)
            .await
            .expect("an answer");
        assert_eq!(
            count,
            governance_core::RequestQueries::count(memory, &query)
                .await
                .expect("an answer")
        );
        assert!(matches!(count, Count::Exact(_)));
    }
}

#[tokio::test]
async fn nothing_is_lost_at_the_edge_of_a_chunk() {
    let server = server(Persistence::None).await;
    let options = options();
    // Opened before: its hints are of the first chunk.
    let early = open(server.url(), &options).await;
    age(&server, ORDINALS).await;
    let late = open(server.url(), &options).await;
    let memory = MemoryStore::new();
    let ids = SeededIds::new(1);
    let mut requests = Vec::new();
    for i in 0..20 {
        let request = RequestBuilder::new(&ids, NOW)
            .state(&format!("state-{}", i % 3))
            .expires_in(Duration::from_secs(600 + i % 4))
            .asks(["bob"])
            .build();
        memory
            .create(Arc::clone(&request))
            .await
            .expect("an answer");
        let store = if i % 2 == 0 { &early } else { &late };
        store.create(Arc::clone(&request)).await.expect("an answer");
        requests.push(request);
    }
    let fresh = open(server.url(), &options).await;
    compare(&memory, [&early, &late, &fresh]).await;

    // Requests of the chunk that is full end, all of them.
    for request in requests.iter().take(9) {
        let canceled = cancel(request, Act::new(&actor("alice"), NOW, ids.operation_id()));
        memory
            .try_store(Arc::clone(&canceled), request.revision())
            .await
            .expect("an answer");
        late.try_store(canceled, request.revision())
            .await
            .expect("an answer");
    }
    compare(&memory, [&early, &late, &fresh]).await;
    let mut admin = server.connection().await;
    let empty: Vec<String> = redis::cmd("KEYS")
        .arg("*:status:pending:0")
        .query_async(&mut admin)
        .await
        .expect("an answer");
    assert!(
        empty.is_empty(),
        "a bitmap of a full chunk goes when it is empty"
    );
    let report = fresh.verify().await.expect("an answer");
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.requests(), 20);
    fresh.rebuild().await.expect("an answer");
    compare(&memory, [&early, &late, &fresh]).await;
    assert!(early.verify().await.expect("an answer").is_clean());
}

/// Pages of what has all these tags and waits.
async fn tagged(store: &dyn Provider, tags: &[&str], order: Order) -> Vec<Arc<MutationRequest>> {
    let query = RequestQuery::in_tenant(TenantId::default()).pending();
    let query = tags.iter().fold(query, |query, tag| {
        query.tags_all([Label::new(*tag).expect("a name")])
    });
    let mut page = PageRequest::first(40).expect("an answer").order(order);
    let mut all = Vec::new();
    loop {
        let found = store.requests(&query, &page).await.expect("an answer");
        all.extend(found.items);
        match found.next {
            Some(next) => page = page.after(next),
            None => return all,
        }
    }
}

#[tokio::test]
async fn common_tags_are_found_on_both_sides_of_an_edge() {
    let server = server(Persistence::None).await;
    let options = options();
    let store = open(server.url(), &options).await;
    age(&server, 65_536 - 330).await;
    let memory = MemoryStore::new();
    let ids = SeededIds::new(1);
    for i in 0..660_u32 {
        // Each comes often enough in a chunk to be kept as bitmaps, except the last.
        let tags = [("second", 2), ("other", 2), ("third", 3), ("fiftieth", 50)];
        let has = |(tag, each): &(&str, u32)| i % each == u32::from(*tag == "other");
        let intent = tags.iter().filter(|tag| has(tag));
        let intent = intent.fold(
            Intent::new("test", "test").expect("names"),
            |intent, (tag, _)| intent.tag(*tag).expect("a name"),
        );
        let request = RequestBuilder::new(&ids, NOW).intent(intent).asks(["bob"]);
        let request = request.build();
        let canceled = cancel(&request, Act::new(&actor("alice"), NOW, ids.operation_id()));
        for provider in [&store as &dyn Provider, &memory] {
            let created = provider.create(Arc::clone(&request)).await;
            created.expect("an answer");
            if i % 7 == 0 {
                let revision = request.revision();
                let stored = provider.try_store(Arc::clone(&canceled), revision).await;
                stored.expect("an answer");
            }
        }
    }
    let fresh = open(server.url(), &options).await;
    for tags in [
        &["second", "other"][..],
        &["second", "third"],
        &["other", "third"],
        &["second", "third", "fiftieth"],
        &["second", "nobody"],
        &["nobody", "fiftieth"],
    ] {
        for order in [Order::Submission, Order::NewestFirst] {
            let wanted = tagged(&memory, tags, order).await;
            for store in [&store, &fresh] {
                assert_eq!(
                    tagged(store, tags, order).await,
                    wanted,
                    "{tags:?} {order:?}"
                );
            }
        }
    }
}
