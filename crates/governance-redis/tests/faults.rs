//! Lost answers, lost scripts, lost connections, damaged records, crashes.

mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use governance_core::{
    Act, Commit, Creation, GovernedCommit, IdSource as _, MutationRequest, OperationId, Order,
    PageRequest, RequestQueries, RequestQuery, RequestStore, Retry, Revision, StateStore,
    StateVersion, StateWrite, StoreError, StoreErrorKind, Timestamp, WriteCertainty, Written,
};
use governance_redis::{Durability, RedisStore, Strictness};
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, actor, amend_deadline, approve, cancel, complete, scope,
};
use redis_client::{Client, Config};
use redis_harness::{Fault, FaultProxy, Persistence, Server, Side};

use crate::support::{open, options, patient, server};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

fn request(ids: &SeededIds) -> Arc<MutationRequest> {
    RequestBuilder::new(ids, NOW).asks(["bob"]).build()
}

fn act(ids: &SeededIds, who: &str) -> Act {
    Act::new(&actor(who), NOW, ids.operation_id())
}

fn state(expected: u64, operation: OperationId) -> StateWrite {
    StateWrite {
        scope: scope("a"),
        expected: StateVersion::new(expected),
        body: Some(Bytes::from_static(b"value")),
        operation,
    }
}

fn is_unknown(error: &StoreError) -> bool {
    (error.outcome(), error.retry()) == (WriteCertainty::Unknown, Retry::SameOperation)
}

/// A store behind a proxy, with one connection, so that a cut hits what is under way.
async fn behind_proxy(server: &Server) -> (RedisStore, FaultProxy) {
    let proxy = FaultProxy::start(server.port()).await;
    let config = patient(Config::builder().address(proxy.url())).shared_connections(1);
    let client = Client::connect(config.build().expect("a configuration"))
        .await
        .expect("a client");
    (
        RedisStore::connect(client, options())
            .await
            .expect("a store"),
        proxy,
    )
}

/// Does a write whose answer is lost, then repeats it.
async fn lose_and_repeat<T: std::fmt::Debug>(
    proxy: &FaultProxy,
    fault: Fault,
    mut write: impl AsyncFnMut() -> Result<T, StoreError>,
) -> T {
    proxy.once(fault);
    let error = write().await.expect_err("the answer is lost");
    assert!(is_unknown(&error), "{fault:?}: {error:?}");
    // The first try may only find that the connection is gone.
    write().await.expect("the repeat")
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_repeat_gives_the_first_outcome() {
    let server = server(Persistence::None).await;
    for (seed, fault) in [(1, Fault::CutBeforeReply), (2, Fault::CutBeforeForward)] {
        let (store, proxy) = behind_proxy(&server).await;
        let ids = SeededIds::new(seed);
        let applied = fault == Fault::CutBeforeReply;
        // So that the server has the script: else the answer that is lost says that it has not.
        let warm = StateWrite {
            scope: scope("warm"),
            ..state(0, ids.operation_id())
        };
        store.save(&warm).await.unwrap();

        let created = request(&ids);
        let result = lose_and_repeat(&proxy, fault, async || {
            store.create(Arc::clone(&created)).await
        });
        let existed = matches!(result.await, Creation::Existing(first) if first == created);
        assert_eq!(existed, applied);

        let approved = approve(
            &created,
            act(&ids, "bob"),
            governance_core::Membership::default(),
        );
        let write = async || {
            store
                .try_store(Arc::clone(&approved), Revision::FIRST)
                .await
        };
        let result = lose_and_repeat(&proxy, fault, write).await;
        assert_eq!(matches!(result, Written::AlreadyApplied(_)), applied);

        let operation = ids.operation_id();
        let saved = lose_and_repeat(&proxy, fault, async || {
            store.save(&state(0, operation)).await
        });
        assert_eq!(saved.await, StateVersion::new(1));

        let done = complete(
            &approved,
            act(&ids, "deployer"),
            StateVersion::new(1),
            Vec::new(),
        );
        let commit = Commit::of(Arc::clone(&done), approved.revision())
            .with_state(state(1, ids.operation_id()));
        let result = lose_and_repeat(&proxy, fault, async || store.commit(&commit).await).await;
        assert_eq!(matches!(result, Written::AlreadyApplied(_)), applied);
        assert_eq!(
            store.load(&scope("a")).await.unwrap().version,
            StateVersion::new(2)
        );
        assert_eq!(store.get(done.id()).await.unwrap(), Some(Arc::clone(&done)));

        // A purge reads, then writes: the write is the second step.
        let side = if applied {
            Side::BeforeReply
        } else {
            Side::BeforeForward
        };
        proxy.hold_at(2, side);
        let cut = async {
            proxy.until_held().await;
            proxy.let_go();
        };
        let (purged, ()) = tokio::join!(store.purge(done.id(), done.revision()), cut);
        let error = purged.unwrap_err();
        assert!(is_unknown(&error), "{error:?}");
        let again = store.purge(done.id(), done.revision()).await;
        match again {
            Ok(()) => assert!(!applied),
            Err(error) => assert_eq!((applied, error.kind()), (true, StoreErrorKind::NotFound)),
        }
        assert_eq!(store.get(done.id()).await.unwrap(), None);
        let page = PageRequest::first(10).unwrap();
        let left = store
            .requests(&RequestQuery::all_tenants(), &page)
            .await
            .unwrap();
        assert!(left.items.is_empty() && left.undecodable.is_empty());
    }
}

#[tokio::test]
async fn a_call_or_an_answer_that_is_cut_at_any_byte_is_never_a_conflict() {
    let server = server(Persistence::None).await;
    let (store, proxy) = behind_proxy(&server).await;
    let ids = SeededIds::new(20);
    store.create(request(&ids)).await.unwrap();
    // An answer is short; a call is some kilobytes.
    let answers = (0..).map(Fault::CutInReply);
    let calls = (0..).step_by(61).map(Fault::CutInRequest);
    let mut unknown = 0;
    for faults in [
        Box::new(answers) as Box<dyn Iterator<Item = Fault>>,
        Box::new(calls),
    ] {
        let mut whole = 0;
        for fault in faults {
            let created = request(&ids);
            let before = proxy.cuts();
            proxy.once(fault);
            let first = store.create(Arc::clone(&created)).await;
            assert_eq!(proxy.cuts(), before + 1, "{fault:?}");
            let is_told = match first {
                Ok(Creation::Created) => true,
                Ok(other) => panic!("{fault:?}: {other:?}"),
                Err(error) => {
                    assert!(is_unknown(&error), "{fault:?}: {error:?}");
                    unknown += 1;
                    false
                }
            };
            let again = settled(&store, &created).await;
            let was_there = matches!(again, Creation::Existing(_));
            assert!(was_there || !is_told, "{fault:?}");
            let stored = store.get(created.id()).await.unwrap();
            assert_eq!(stored, Some(created), "{fault:?}");
            // All of the call, or of the answer, went through before the connection ended.
            let is_whole = match fault {
                Fault::CutInRequest(_) => was_there,
                _ => is_told,
            };
            whole += usize::from(is_whole);
            if whole > 1 {
                break;
            }
        }
    }
    assert!(unknown > 60, "{unknown}");
    let report = store.verify().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// Creates until there is an answer.
async fn settled(store: &RedisStore, request: &Arc<MutationRequest>) -> Creation {
    loop {
        match store.create(Arc::clone(request)).await {
            Ok(creation) => break creation,
            Err(error) => assert_ne!(error.retry(), Retry::Never, "{error:?}"),
        }
    }
}

#[tokio::test]
async fn flushed_scripts_and_killed_clients_are_no_trouble_that_stays() {
    let server = server(Persistence::None).await;
    let store = open(server.url(), &options()).await;
    let mut admin = server.connection().await;
    let ids = SeededIds::new(3);
    let mut last = request(&ids);
    store.create(Arc::clone(&last)).await.unwrap();
    for turn in 0..10_u64 {
        if turn % 2 == 0 {
            redis_client::redis::cmd("SCRIPT")
                .arg("FLUSH")
                .exec_async(&mut admin)
                .await
                .unwrap();
        } else {
            let mut kill = redis_client::redis::cmd("CLIENT");
            kill.arg("KILL")
                .arg("TYPE")
                .arg("normal")
                .arg("SKIPME")
                .arg("yes");
            kill.exec_async(&mut admin).await.unwrap();
        }
        let to = NOW.saturating_add(Duration::from_secs(60 + turn));
        let next = amend_deadline(&last, act(&ids, "alice"), Some(to));
        loop {
            match store.try_store(Arc::clone(&next), last.revision()).await {
                Ok(_) => break,
                Err(error) => assert_ne!(error.retry(), Retry::Never, "{error:?}"),
            }
        }
        last = next;
        let page = PageRequest::first(10).unwrap().order(Order::Deadline);
        let found = store
            .requests(&RequestQuery::all_tenants(), &page)
            .await
            .unwrap();
        assert_eq!(found.items, [Arc::clone(&last)]);
    }
}

#[tokio::test]
async fn a_poison_document_is_listed_beside_the_page() {
    let server = server(Persistence::None).await;
    let options = options();
    let store = open(server.url(), &options).await;
    let ids = SeededIds::new(4);
    let good = request(&ids);
    let bad = request(&ids);
    for request in [&good, &bad] {
        store.create(Arc::clone(request)).await.unwrap();
    }
    let mut admin = server.connection().await;
    let keys: Vec<Vec<u8>> = redis_client::redis::cmd("KEYS")
        .arg("*:r:*")
        .query_async(&mut admin)
        .await
        .unwrap();
    let text = {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(bad.id().as_bytes())
    };
    let key = keys
        .iter()
        .find(|key| key.ends_with(text.as_bytes()))
        .unwrap();
    let mut damage = redis_client::redis::cmd("SETRANGE");
    damage
        .arg(key)
        .arg(400)
        .arg("damage")
        .exec_async(&mut admin)
        .await
        .unwrap();

    let fresh = open(server.url(), &options).await;
    for store in [&store, &fresh] {
        let page = PageRequest::first(10).unwrap();
        let found = store
            .requests(&RequestQuery::all_tenants(), &page)
            .await
            .unwrap();
        assert_eq!(found.items, [Arc::clone(&good)]);
        assert_eq!(found.undecodable.len(), 1);
        assert_eq!(found.undecodable[0].id, bad.id().to_string());
        assert!(
            found.undecodable[0].problem.contains("checksum"),
            "{found:?}"
        );
        assert!(found.next.is_none());
        let error = store.get(bad.id()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash() {
    let mut server = server(Persistence::AppendAlways).await;
    let options = options().durability(Durability::FsyncAlways, Strictness::Refuse);
    let store = open(server.url(), &options).await;
    let ids = SeededIds::new(5);
    let (sender, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let writer = tokio::spawn(async move {
        loop {
            let request = request(&ids);
            if store.create(Arc::clone(&request)).await.is_err() {
                return;
            }
            let canceled = cancel(&request, act(&ids, "alice"));
            let done = store
                .try_store(Arc::clone(&canceled), request.revision())
                .await
                .is_ok();
            let _ = sender.send((request, done.then_some(canceled)));
            if !done {
                return;
            }
        }
    });
    let mut kept = Vec::new();
    while kept.len() < 50 {
        kept.push(acknowledged.recv().await.expect("the writer writes"));
    }
    server.kill();
    writer.await.unwrap();
    while let Ok(more) = acknowledged.try_recv() {
        kept.push(more);
    }
    server.restart().await;

    let store = open(server.url(), &options).await;
    let mut listed = BTreeSet::new();
    let mut page = PageRequest::first(100).unwrap();
    loop {
        let found = store
            .requests(&RequestQuery::all_tenants(), &page)
            .await
            .unwrap();
        assert!(found.undecodable.is_empty());
        listed.extend(found.items.iter().map(|request| *request.id()));
        match found.next {
            Some(next) => page = page.after(next),
            None => break,
        }
    }
    let report = store.verify().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    for (request, canceled) in kept {
        let stored = store
            .get(request.id())
            .await
            .unwrap()
            .expect("an acknowledged create");
        assert!(listed.contains(request.id()));
        if let Some(canceled) = canceled {
            assert_eq!(stored, canceled);
        }
    }
}

#[tokio::test]
async fn a_paused_server_leaves_writes_unknown_until_it_goes_on() {
    let mut server = server(Persistence::None).await;
    let impatient = Config::builder().address(server.url()).build().unwrap();
    let client = Client::connect(impatient).await.unwrap();
    let store = RedisStore::connect(client, options()).await.unwrap();
    let ids = SeededIds::new(7);
    let warm = request(&ids);
    store.create(Arc::clone(&warm)).await.unwrap();
    let created = request(&ids);
    server.pause();
    let error = store.create(Arc::clone(&created)).await.unwrap_err();
    assert!(is_unknown(&error), "{error:?}");
    assert_eq!(error.kind(), StoreErrorKind::Timeout);
    server.resume();
    // Whether the server took up the first try when it went on or not, the repeat tells.
    loop {
        match store.create(Arc::clone(&created)).await {
            Ok(Creation::Created) => break,
            Ok(Creation::Existing(first)) => {
                assert_eq!(first, created);
                break;
            }
            Err(error) => assert_ne!(error.retry(), Retry::Never, "{error:?}"),
        }
    }
    let mut admin = server.connection().await;
    let mut pause = redis_client::redis::cmd("CLIENT");
    pause.arg("PAUSE").arg(60_000).arg("WRITE");
    pause.exec_async(&mut admin).await.unwrap();
    let canceled = cancel(&created, act(&ids, "alice"));
    let first = created.revision();
    let error = store.try_store(Arc::clone(&canceled), first).await;
    assert!(is_unknown(&error.unwrap_err()));
    let stored = store.get(created.id()).await.unwrap();
    assert_eq!(stored, Some(created), "reads go on");
    let mut go_on = redis_client::redis::cmd("CLIENT");
    go_on.arg("UNPAUSE").exec_async(&mut admin).await.unwrap();
    loop {
        match store.try_store(Arc::clone(&canceled), first).await {
            Ok(_) => break,
            Err(error) => assert_ne!(error.retry(), Retry::Never, "{error:?}"),
        }
    }
    assert_eq!(store.get(canceled.id()).await.unwrap(), Some(canceled));
    assert!(store.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_full_server_takes_nothing_and_loses_nothing() {
    let server = server(Persistence::None).await;
    let store = open(server.url(), &options()).await;
    let ids = SeededIds::new(8);
    let first = request(&ids);
    store.create(Arc::clone(&first)).await.unwrap();
    let mut admin = server.connection().await;
    let mut limit = redis_client::redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg("1mb");
    limit.exec_async(&mut admin).await.unwrap();
    let canceled = cancel(&first, act(&ids, "alice"));
    let error = store.try_store(Arc::clone(&canceled), first.revision());
    let error = error.await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome(), error.retry()),
        (
            StoreErrorKind::Unavailable,
            WriteCertainty::NotApplied,
            Retry::Safe
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("memory"), "{error}");
    let page = PageRequest::first(10).unwrap();
    let query = RequestQuery::all_tenants();
    let found = store.requests(&query, &page);
    assert_eq!(found.await.unwrap().items, [Arc::clone(&first)]);
    assert!(store.verify().await.unwrap().is_clean());
    let mut limit = redis_client::redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg("0");
    limit.exec_async(&mut admin).await.unwrap();
    let written = store.try_store(canceled, first.revision()).await.unwrap();
    assert!(matches!(written, Written::Applied));
}

#[tokio::test]
async fn a_busy_server_is_waited_for() {
    let server =
        Server::start_with(redis_harness::Options::default().setting("busy-reply-threshold", "50"))
            .await;
    let store = open(server.url(), &options()).await;
    let ids = SeededIds::new(9);
    store.create(request(&ids)).await.unwrap();
    let mut busy = server.connection().await;
    let stuck = tokio::spawn(async move {
        let mut script = redis_client::redis::cmd("EVAL");
        script.arg("while true do end").arg(0);
        script.exec_async(&mut busy).await
    });
    let mut admin = server.connection().await;
    redis_harness::poll_until("the server to be busy", async || {
        let mut admin = admin.clone();
        let answer = redis_client::redis::cmd("PING")
            .exec_async(&mut admin)
            .await;
        answer
            .err()
            .filter(|error| error.to_string().contains("BUSY"))
    })
    .await;
    let next = request(&ids);
    let error = store.create(Arc::clone(&next)).await.unwrap_err();
    assert_eq!(
        (error.outcome(), error.retry()),
        (WriteCertainty::NotApplied, Retry::Safe),
        "{error:?}"
    );
    let mut kill = redis_client::redis::cmd("SCRIPT");
    kill.arg("KILL").exec_async(&mut admin).await.unwrap();
    assert!(stuck.await.unwrap().is_err());
    loop {
        match store.create(Arc::clone(&next)).await {
            Ok(_) => break,
            Err(error) => assert_eq!(error.retry(), Retry::Safe, "{error:?}"),
        }
    }
    assert!(store.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_store_that_lost_its_data_says_so() {
    let server = server(Persistence::None).await;
    let store = open(server.url(), &options()).await;
    let ids = SeededIds::new(6);
    store.create(request(&ids)).await.unwrap();
    let mut admin = server.connection().await;
    redis_client::redis::cmd("FLUSHALL")
        .exec_async(&mut admin)
        .await
        .unwrap();
    let error = store.create(request(&ids)).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (StoreErrorKind::Unavailable, Retry::Never)
    );
    let page = PageRequest::first(10).unwrap();
    assert!(
        store
            .requests(&RequestQuery::all_tenants(), &page)
            .await
            .is_err()
    );
}
