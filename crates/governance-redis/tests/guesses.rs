//! What a store remembers of pages decides how it asks, never what is on a page.

mod support;

use std::{sync::Arc, time::Duration};

use governance_core::{
    Act, Cursor, IdSource as _, Membership, MutationRequest, Order, Page, PageRequest, Provider,
    RequestQuery, RequestStore, TenantId, Timestamp,
};
use governance_memory::MemoryStore;
use governance_redis::RedisStore;
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, actor, actor_id, approve, cancel, quorum, role,
};
use redis_harness::Persistence;

use crate::support::{open, options, server};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);
/// Short pages, and pages that take more of an inbox than is judged without asking bitmaps.
const LIMITS: [u16; 2] = [7, 70];
const ORDERS: [Order; 2] = [Order::Submission, Order::NewestFirst];

/// The same requests in memory and in Redis.
struct Stores {
    memory: MemoryStore,
    redis: RedisStore,
    /// The same in another process.
    other: RedisStore,
    ids: SeededIds,
    open: Vec<Arc<MutationRequest>>,
}

impl Stores {
    fn act(&self, who: &str) -> Act {
        Act::new(&actor(who), NOW, self.ids.operation_id())
    }

    const fn writer(&self, number: usize) -> &RedisStore {
        if number.is_multiple_of(3) {
            &self.redis
        } else {
            &self.other
        }
    }

    async fn create(&mut self, number: usize) {
        let request = RequestBuilder::new(&self.ids, NOW).expires_in(Duration::from_secs(60));
        // Of three inboxes, and of one that mixes tenants.
        let request = match number % 4 {
            0 => request.asks(["bob"]),
            1 => request.rules(quorum(1, "reviewer")),
            2 => request.rules(quorum(1, "auditor")),
            _ => request.tenant("other").asks(["bob"]),
        };
        let request = request.build();
        self.memory
            .create(Arc::clone(&request))
            .await
            .expect("an answer");
        let created = self.writer(number).create(Arc::clone(&request)).await;
        created.expect("an answer");
        self.open.push(request);
    }

    async fn take_away(&mut self, number: usize) {
        let before = self.open.swap_remove(number % self.open.len());
        let after = if number.is_multiple_of(2) {
            cancel(&before, self.act("requester"))
        } else {
            approve(&before, self.act("bob"), membership())
        };
        for store in [&self.memory as &dyn Provider, self.writer(number)] {
            let after = Arc::clone(&after);
            store
                .try_store(after, before.revision())
                .await
                .expect("an answer");
        }
    }
}

fn membership() -> Membership {
    Membership::default()
        .role(role("reviewer"))
        .role(role("auditor"))
}

fn inbox() -> RequestQuery {
    RequestQuery::in_tenant(TenantId::default())
        .pending()
        .decidable_by(actor_id("bob"), membership())
}

async fn page(
    store: &dyn Provider,
    order: Order,
    limit: u16,
    after: Option<Cursor>,
) -> Page<Arc<MutationRequest>> {
    let page = PageRequest::first(limit).expect("a limit").order(order);
    let page = match after {
        Some(cursor) => page.after(cursor),
        None => page,
    };
    let found = store.requests(&inbox(), &page).await.expect("an answer");
    assert!(found.undecodable.is_empty());
    found
}

async fn pages(store: &dyn Provider, order: Order, limit: u16) -> Vec<Vec<Arc<MutationRequest>>> {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let found = page(store, order, limit, after).await;
        pages.push(found.items);
        after = found.next;
        if after.is_none() {
            return pages;
        }
    }
}

async fn stay_right_while_inboxes_change(partitions: u16) {
    let server = server(Persistence::None).await;
    let options = options().partitions(partitions);
    let mut stores = Stores {
        memory: MemoryStore::new(),
        redis: open(server.url(), &options).await,
        other: open(server.url(), &options).await,
        ids: SeededIds::new(u64::from(partitions)),
        open: Vec::new(),
    };
    for number in 0..400 {
        stores.create(number).await;
    }
    // The ends of first pages as they were once: what follows them changes, too.
    let mut ends = Vec::new();
    for limit in LIMITS {
        for order in ORDERS {
            let of_memory = page(&stores.memory, order, limit, None).await.next;
            let of_redis = page(&stores.redis, order, limit, None).await.next;
            ends.push((limit, order, of_memory, of_redis));
        }
    }
    for round in 0..8_usize {
        for (limit, order, of_memory, of_redis) in &ends {
            // The second time is asked as the first one told; if nothing was written meanwhile, the
            // third is taken from memory.
            for again in 0..3 {
                let at = format!("{limit} {order:?}, round {round}, time {again}");
                let expected = pages(&stores.memory, *order, *limit).await;
                let found = pages(&stores.redis, *order, *limit).await;
                assert_eq!(found, expected, "{at}");
                let expected = page(&stores.memory, *order, *limit, of_memory.clone()).await;
                let found = page(&stores.redis, *order, *limit, of_redis.clone()).await;
                assert_eq!(found.items, expected.items, "behind an old page, {at}");
            }
        }
        // A few, then more than half of a page.
        for number in 0..4 + round * 12 {
            stores.take_away(number * 31 + round).await;
        }
        for number in 0..round * 9 {
            stores.create(number + round).await;
        }
    }
}

#[tokio::test]
async fn pages_stay_right_while_inboxes_change() {
    stay_right_while_inboxes_change(1).await;
}

#[tokio::test]
async fn pages_of_many_partitions_stay_right_while_inboxes_change() {
    stay_right_while_inboxes_change(64).await;
}

#[tokio::test]
async fn what_stays_is_on_one_page_while_others_come_and_go() {
    let server = server(Persistence::None).await;
    let options = options().partitions(4);
    let store = open(server.url(), &options).await;
    let other = open(server.url(), &options).await;
    let ids = SeededIds::new(3);
    let request = || {
        let request = RequestBuilder::new(&ids, NOW).asks(["bob"]);
        request.expires_in(Duration::from_secs(60)).build()
    };
    let act = || Act::new(&actor("requester"), NOW, ids.operation_id());
    let (mut stay, mut go) = (Vec::new(), Vec::new());
    for number in 0..120 {
        let request = request();
        store.create(Arc::clone(&request)).await.expect("an answer");
        if number % 3 == 0 {
            go.push(request);
        } else {
            stay.push(*request.id());
        }
    }
    let writes = async {
        for before in go {
            let after = cancel(&before, act());
            let written = other.try_store(after, before.revision()).await;
            written.expect("an answer");
            other.create(request()).await.expect("an answer");
        }
    };
    let reads = async {
        for round in 0..24 {
            let order = ORDERS[round % 2];
            let pages = pages(&store, order, 7).await;
            let mut found: Vec<_> = pages.iter().flatten().map(|found| *found.id()).collect();
            let all = found.len();
            found.retain(|id| stay.contains(id));
            if order == Order::NewestFirst {
                found.reverse();
            }
            assert_eq!(found, stay, "round {round} of {all}");
        }
    };
    tokio::join!(writes, reads);
}
