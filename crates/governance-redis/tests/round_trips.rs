//! How often an operation goes to the server.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governance_core::{
    Act, Commit, Cursor, GovernedCommit, IdSource as _, Membership, Order, PageRequest,
    RequestQueries, RequestQuery, RequestStore, StateStore, StateVersion, StateWrite, TenantId,
    Timestamp,
};
use governance_redis::RedisStore;
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, actor, actor_id, approve, complete, quorum, role, scope,
};
use redis_client::{Client, CommandEvent, Config, Observer};
use redis_harness::{Persistence, Server};

use crate::support::{options, patient, server};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

/// Counts commands by what they are for.
#[derive(Debug, Default)]
struct Commands {
    all: AtomicU32,
    documents: AtomicU32,
}

impl Observer for Commands {
    fn command(&self, event: &CommandEvent<'_>) {
        self.all.fetch_add(1, Ordering::Relaxed);
        if event.operation() == "query_documents" {
            self.documents.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Commands {
    fn take(&self) -> (u32, u32) {
        let take = |counter: &AtomicU32| counter.swap(0, Ordering::Relaxed);
        (take(&self.all), take(&self.documents))
    }
}

/// A client whose commands are counted.
async fn counted(server: &Server) -> (Arc<Commands>, Client) {
    let commands = Arc::new(Commands::default());
    let config = patient(Config::builder().address(server.url()))
        .build()
        .expect("a configuration");
    let observer: Arc<dyn Observer> = Arc::<Commands>::clone(&commands);
    let client = Client::connect_observed(config, observer).await;
    let client = client.expect("a client");
    (commands, client)
}

#[tokio::test]
async fn one_write_is_one_command() {
    let server = server(Persistence::None).await;
    let (commands, client) = counted(&server).await;
    let options = options();
    let store = RedisStore::connect(client.clone(), options.clone())
        .await
        .unwrap();
    let ids = SeededIds::new(1);
    let act = |who: &str| Act::new(&actor(who), NOW, ids.operation_id());
    let request = || {
        let request = RequestBuilder::new(&ids, NOW).asks(["bob"]);
        request.expires_in(Duration::from_secs(60)).build()
    };
    // So that the server has the script.
    store.create(request()).await.unwrap();

    let first = request();
    commands.take();
    store.create(Arc::clone(&first)).await.unwrap();
    assert_eq!(commands.take(), (1, 0), "create");
    store.get(first.id()).await.unwrap();
    assert_eq!(commands.take(), (1, 0), "get");
    let approved = approve(&first, act("bob"), Membership::default());
    store
        .try_store(Arc::clone(&approved), first.revision())
        .await
        .unwrap();
    assert_eq!(commands.take(), (1, 0), "a change of what was read");
    let write = |expected| StateWrite {
        scope: scope("a"),
        expected: StateVersion::new(expected),
        body: Some("value".into()),
        operation: ids.operation_id(),
    };
    store.save(&write(0)).await.unwrap();
    assert_eq!(commands.take(), (1, 0), "save");
    let done = complete(&approved, act("deployer"), StateVersion::new(1), Vec::new());
    let commit = Commit::of(Arc::clone(&done), approved.revision()).with_state(write(1));
    store.commit(&commit).await.unwrap();
    assert_eq!(commands.take(), (1, 0), "commit");

    let second = request();
    store.create(Arc::clone(&second)).await.unwrap();
    let other = RedisStore::connect(client, options).await.unwrap();
    commands.take();
    let approved = approve(&second, act("bob"), Membership::default());
    other.try_store(approved, second.revision()).await.unwrap();
    assert_eq!(commands.take(), (2, 0), "a change of what was not read");
}

#[tokio::test]
async fn a_page_reads_what_it_returns() {
    let server = server(Persistence::None).await;
    let (commands, client) = counted(&server).await;
    let store = RedisStore::connect(client, options()).await.unwrap();
    let ids = SeededIds::new(1);
    for i in 0..300 {
        let who = if i % 30 == 0 { "bob" } else { "carol" };
        let request = RequestBuilder::new(&ids, NOW).asks([who]);
        store
            .create(request.expires_in(Duration::from_secs(60)).build())
            .await
            .unwrap();
    }
    let tenant = || RequestQuery::in_tenant(TenantId::default());
    let inbox = tenant().decidable_by(actor_id("bob"), Membership::default());
    for (query, order) in [
        (inbox.clone(), Order::Submission),
        (inbox, Order::NewestFirst),
        (tenant().pending(), Order::NewestFirst),
        (tenant(), Order::Deadline),
    ] {
        let page = PageRequest::first(5).unwrap().order(order);
        commands.take();
        let found = store.requests(&query, &page).await.unwrap();
        assert_eq!(found.items.len(), 5);
        let (all, documents) = commands.take();
        assert_eq!(
            documents, 1,
            "{query:?}: the documents of the page and no others"
        );
        assert!(all <= 12, "{query:?}: {all} commands");
    }
}

#[tokio::test]
async fn a_page_that_was_read_before_is_one_round_trip() {
    let server = server(Persistence::None).await;
    let (commands, client) = counted(&server).await;
    let options = options();
    let store = RedisStore::connect(client, options.clone()).await.unwrap();
    let ids = SeededIds::new(1);
    let mut requests = Vec::new();
    for i in 0..40 {
        let request = RequestBuilder::new(&ids, NOW);
        let request = if i % 2 == 0 {
            request.asks(["bob"])
        } else {
            request.rules(quorum(1, "reviewer"))
        };
        let request = request.expires_in(Duration::from_secs(60)).build();
        store.create(Arc::clone(&request)).await.unwrap();
        requests.push(request);
    }
    let membership = || Membership::default().role(role("reviewer"));
    let inbox = RequestQuery::in_tenant(TenantId::default())
        .pending()
        .decidable_by(actor_id("bob"), membership());
    let first = PageRequest::first(5).unwrap();
    let read = async |page: &PageRequest| {
        let found = store.requests(&inbox, page).await.unwrap();
        let ids: Vec<_> = found.items.iter().map(|item| *item.id()).collect();
        let (all, _) = commands.take();
        (ids, all, found.next)
    };
    let of = |range: std::ops::Range<usize>| -> Vec<_> {
        requests[range]
            .iter()
            .map(|request| *request.id())
            .collect()
    };

    commands.take();
    let (found, trips, next) = read(&first).await;
    assert_eq!((found, trips), (of(0..5), 2), "listing, then documents");
    let (found, trips, _) = read(&first).await;
    assert_eq!((found, trips), (of(0..5), 1), "both together");
    let second = first.clone().after(next.unwrap());
    let (found, trips, _) = read(&second).await;
    assert_eq!((found, trips), (of(5..10), 1), "what was seen behind it");

    let act = Act::new(&actor("bob"), NOW, ids.operation_id());
    let approved = approve(&requests[2], act, membership());
    let revision = requests[2].revision();
    store.try_store(approved, revision).await.unwrap();
    let changed = [of(0..2), of(3..6)].concat();
    commands.take();
    let (found, trips, _) = read(&first).await;
    assert_eq!(found, changed);
    assert!(trips <= 2, "{trips}: a document more, at most");
    for _ in 0..3 {
        let (found, trips, _) = read(&first).await;
        assert_eq!((found, trips), (changed.clone(), 1));
    }
    // What another process writes is not known here, and noticed.
    let other = support::open(server.url(), &options).await;
    let act = Act::new(&actor("bob"), NOW, ids.operation_id());
    let approved = approve(&requests[0], act, membership());
    let revision = requests[0].revision();
    other.try_store(approved, revision).await.unwrap();
    let changed = [of(1..2), of(3..7)].concat();
    let (found, trips, _) = read(&first).await;
    assert_eq!(found, changed);
    assert!(
        trips <= 3,
        "{trips}: the listing as a whole, and a document more"
    );
}

#[tokio::test]
async fn a_cursor_that_was_made_up_does_not_make_the_store_search_where_nothing_is() {
    let server = server(Persistence::None).await;
    let (commands, client) = counted(&server).await;
    let store = RedisStore::connect(client, options()).await.unwrap();
    let ids = SeededIds::new(1);
    let request = RequestBuilder::new(&ids, NOW).asks(["bob"]);
    let request = request.expires_in(Duration::from_secs(60)).build();
    store.create(Arc::clone(&request)).await.unwrap();
    let query = RequestQuery::in_tenant(TenantId::default()).pending();
    // Of one partition: the ordinal 2^56, seven bits a byte.
    let place = [&[1, 0, 1, 0][..], &[0x80; 8], &[1]].concat();
    let cursor = Cursor::new(Order::NewestFirst, query.digest(), &place);
    let page = PageRequest::first(5).unwrap().order(Order::NewestFirst);
    commands.take();
    let found = store.requests(&query, &page.after(cursor)).await.unwrap();
    let (all, _) = commands.take();
    assert!(all <= 5, "{all} commands");
    assert_eq!((found.items, found.next), (vec![request], None));
}
