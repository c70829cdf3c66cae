//! Programs of two versions on one store: what the older wrote is read and kept whole by the newer,
//! what the newer wrote is never harmed by the older.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use governance_core::{
    Act, IdSource as _, Membership, MutationRequest, PageRequest, RequestQueries as _,
    RequestQuery, RequestStore as _, Status, StoreErrorKind, Timestamp,
};
use governance_testkit::fixtures::{RequestBuilder, SeededIds, actor, approve, cancel};
use redis_client::{Client, Config, redis};
use redis_harness::{Persistence, Server, unique_prefix};
use tokio::sync::mpsc;

use crate::{
    Compression, FindingKind, NewerVersion, RedisStore, RedisStoreOptions,
    codec::{Frame, Schemas, Upcaster, encode_frame, golden, unpack},
    index::IndexRecord,
    query::JournalEntry,
};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

static UPCAST: AtomicUsize = AtomicUsize::new(0);

/// What a field is called in documents of today, and what it was called in very old ones.
const TODAY: &[u8] = b"\xa8revision";
const OLD: &[u8] = b"\xa7revised";

/// The upcaster of a version 2 that comes after many a document of version 1.
const UPCASTERS: [Upcaster; 1] = [|bytes| {
    UPCAST.fetch_add(1, Ordering::Relaxed);
    Ok(renamed(&bytes, OLD, TODAY))
}];

const NEXT: Schemas = Schemas {
    newest: 2,
    upcasters: &UPCASTERS,
};

/// Renames a field in an encoded map.
fn renamed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some((first, more)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(from) {
            out.extend(to);
            rest = behind;
        } else {
            out.push(*first);
            rest = more;
        }
    }
    out
}

fn act(ids: &SeededIds, who: &str) -> Act {
    Act::new(&actor(who), NOW, ids.operation_id())
}

struct Both {
    server: Server,
    client: Client,
    options: RedisStoreOptions,
    /// This version of the library.
    older: RedisStore,
    /// The next one.
    newer: RedisStore,
}

impl Both {
    async fn open() -> Self {
        let server = Server::start(Persistence::None).await;
        let config = Config::builder().address(server.url()).build();
        let client = Client::connect(config.expect("a configuration")).await;
        let client = client.expect("a client");
        let options = RedisStoreOptions::default()
            .key_prefix(unique_prefix("versions"))
            .compression(Compression::Off);
        let open = |schemas| {
            let mut options = options.clone();
            options.schemas = schemas;
            RedisStore::connect(client.clone(), options)
        };
        Self {
            older: open(Schemas::PRESENT).await.expect("a store"),
            newer: open(NEXT).await.expect("a store"),
            server,
            client,
            options,
        }
    }

    async fn bytes(&self, request: &MutationRequest) -> Bytes {
        let frame = self.older.shared.frame(request.id()).await;
        frame.expect("an answer").expect("a record")
    }

    async fn schema(&self, request: &MutationRequest) -> [u8; 2] {
        let frame = Frame::decode(&self.bytes(request).await).expect("a frame");
        *frame.document.first_chunk().expect("a version")
    }

    async fn set(&self, key: &redis_client::Key, bytes: &[u8]) {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(bytes);
        let mut admin = self.server.connection().await;
        set.exec_async(&mut admin).await.expect("set");
    }

    /// Writes the record of a request as the first programs of version 1 did.
    async fn age(&self, request: &MutationRequest) {
        let frame = Frame::decode(&self.bytes(request).await).expect("a frame");
        let plain = unpack(&frame.document[2..]).expect("a document");
        let map = renamed(&plain, TODAY, OLD);
        let mut document = vec![0, 1, 0];
        document.extend(u32::try_from(map.len()).expect("a length").to_be_bytes());
        document.extend(map);
        let bytes = encode_frame(&frame.head, &frame.index, &document);
        let partition = self.older.shared.partition(request.id().slot());
        self.set(&partition.keys.request(request.id()), &bytes)
            .await;
    }
}

fn request(ids: &SeededIds) -> Arc<MutationRequest> {
    RequestBuilder::new(ids, NOW)
        .key(&format!("{:?}", ids.operation_id()))
        .correlation("work")
        .metadata("nested", serde_json::json!({"a": [1, null, 2.5]}))
        .reason("größe")
        .expires_in(std::time::Duration::from_secs(60))
        .asks(["bob", "carol"])
        .build()
}

async fn all(store: &RedisStore) -> (Vec<Arc<MutationRequest>>, Vec<(String, String)>) {
    let page = PageRequest::first(100).expect("a page");
    let query = RequestQuery::all_tenants().pending();
    let page = store.requests(&query, &page).await.expect("a page");
    let skipped = page.undecodable.into_iter();
    (
        page.items,
        skipped.map(|record| (record.id, record.problem)).collect(),
    )
}

#[tokio::test]
async fn what_the_older_wrote_is_read_and_kept_whole_by_the_newer() {
    let both = Both::open().await;
    let ids = SeededIds::new(1);
    let mut requests = Vec::new();
    for i in 0..6 {
        let request = request(&ids);
        both.older.create(Arc::clone(&request)).await.unwrap();
        if i % 2 == 0 {
            both.age(&request).await;
        }
        requests.push(request);
    }
    let before = UPCAST.load(Ordering::Relaxed);
    assert_eq!(all(&both.newer).await, (requests.clone(), Vec::new()));
    assert!(UPCAST.load(Ordering::Relaxed) >= before + 6);
    let report = both.newer.verify().await.unwrap();
    assert!(report.is_clean(), "{report:?}");

    for request in &requests {
        assert_eq!(both.schema(request).await, [0, 1]);
        let found = both.newer.get(request.id()).await.unwrap();
        assert_eq!(found.as_ref(), Some(request));
        let approved = approve(request, act(&ids, "bob"), Membership::default());
        let stored = both
            .newer
            .try_store(Arc::clone(&approved), request.revision());
        stored.await.unwrap();
        assert_eq!(both.schema(request).await, [0, 2]);
        let found = both.newer.get(request.id()).await.unwrap();
        assert_eq!(found, Some(Arc::clone(&approved)));
        assert_eq!(approved.verify_history(), Ok(()));
        assert_eq!(approved.proposal(), request.proposal());
    }
    let report = both.newer.verify().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    // A rebuild brings documents up to date as it goes.
    let old = request(&ids);
    both.older.create(Arc::clone(&old)).await.unwrap();
    both.age(&old).await;
    both.newer.rebuild().await.unwrap();
    assert_eq!(both.schema(&old).await, [0, 2]);
    assert_eq!(both.newer.get(old.id()).await.unwrap(), Some(old));
}

#[tokio::test]
async fn what_the_newer_wrote_is_never_harmed_by_the_older() {
    let both = Both::open().await;
    let ids = SeededIds::new(1);
    let (mine, theirs, shared) = (request(&ids), request(&ids), request(&ids));
    both.older.create(Arc::clone(&mine)).await.unwrap();
    both.newer.create(Arc::clone(&theirs)).await.unwrap();
    both.older.create(Arc::clone(&shared)).await.unwrap();
    let changed = approve(&shared, act(&ids, "bob"), Membership::default());
    let stored = both
        .newer
        .try_store(Arc::clone(&changed), shared.revision());
    stored.await.unwrap();
    let before = [both.bytes(&theirs).await, both.bytes(&shared).await];

    let refusal = |error: governance_core::StoreError| {
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
        let newer = NewerVersion::of(&error).unwrap();
        assert_eq!((newer.stored(), newer.known()), (2, 1));
    };
    refusal(both.older.get(theirs.id()).await.unwrap_err());
    refusal(
        both.older
            .get_many(&[*mine.id(), *theirs.id()])
            .await
            .unwrap_err(),
    );
    let canceled = cancel(&theirs, act(&ids, "alice"));
    refusal(
        both.older
            .try_store(canceled, theirs.revision())
            .await
            .unwrap_err(),
    );
    // The older one still has this as it wrote it.
    let canceled = cancel(&shared, act(&ids, "alice"));
    refusal(
        both.older
            .try_store(canceled, shared.revision())
            .await
            .unwrap_err(),
    );
    refusal(
        both.older
            .purge(theirs.id(), theirs.revision())
            .await
            .unwrap_err(),
    );
    let key = theirs.proposal().idempotency_key().unwrap();
    let found = both.older.find_by_key(theirs.proposal().scope(), key);
    refusal(found.await.unwrap_err());

    let (found, skipped) = all(&both.older).await;
    assert_eq!(found, [Arc::clone(&mine)]);
    let told: Vec<&str> = skipped.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(told, [theirs.id().to_string(), shared.id().to_string()]);
    for (_, problem) in &skipped {
        assert!(problem.contains("version 2"), "{problem}");
    }
    let report = both.older.verify().await.unwrap();
    let kinds: Vec<_> = report.findings().iter().map(crate::Finding::kind).collect();
    assert_eq!(kinds, [FindingKind::Unreadable; 2], "{report:?}");
    assert_eq!(both.older.rebuild().await.unwrap().unreadable(), 2);
    let everything = crate::Retention::keep_all(std::time::Duration::ZERO);
    let mut options = both.options.clone().retention(everything);
    options.schemas = both.older.shared.options.schemas;
    let purging = RedisStore::connect(both.client.clone(), options)
        .await
        .unwrap();
    let purge = purging.purge_finished(None, 100).await;
    assert_eq!(purge.unwrap().purged(), 0);
    assert_eq!(
        [both.bytes(&theirs).await, both.bytes(&shared).await],
        before,
        "not a bit of what the newer wrote was touched"
    );

    // The older one may even move the store: documents are copied as they are.
    let to = RedisStore::migrate_partitions(both.client.clone(), both.options.clone(), 4, |_| {});
    to.await.unwrap();
    let mut options = both.options.clone().partitions(4);
    options.schemas = NEXT;
    let newer = RedisStore::connect(both.client.clone(), options)
        .await
        .unwrap();
    let (mut found, skipped) = all(&newer).await;
    found.sort_by_key(|request| *request.id());
    let mut expected = vec![mine, theirs, changed];
    expected.sort_by_key(|request| *request.id());
    assert_eq!((found, skipped), (expected, Vec::new()));
    let report = newer.verify().await.unwrap();
    assert!(report.is_clean(), "{report:?}");
}

/// A rolling upgrade: both versions write at the same time, each to what the other may be writing.
/// The requests the newer one has taken over, as it left them.
async fn take_over(
    newer: RedisStore,
    ids: SeededIds,
    mut shared: mpsc::Receiver<Arc<MutationRequest>>,
    done: mpsc::Sender<()>,
) -> Vec<Arc<MutationRequest>> {
    let mut mine = Vec::new();
    while let Some(theirs) = shared.recv().await {
        let own = request(&ids);
        newer.create(Arc::clone(&own)).await.expect("a create");
        mine.push(own);
        let changed = approve(&theirs, act(&ids, "bob"), Membership::default());
        match newer
            .try_store(Arc::clone(&changed), theirs.revision())
            .await
        {
            Ok(_) => mine.push(changed),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}"),
        }
        done.send(()).await.expect("the older program");
    }
    mine
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_program_writes_under_traffic_is_refused_typed_and_never_harmed() {
    const REQUESTS: usize = 100;
    let both = Both::open().await;
    let (sender, shared) = mpsc::channel(1);
    let (done, mut is_done) = mpsc::channel(1);
    let newer = take_over(both.newer.clone(), SeededIds::new(2), shared, done);
    let newer = tokio::spawn(newer);
    let stop = Arc::new(AtomicUsize::new(0));
    let reader = tokio::spawn({
        let (store, stop) = (both.older.clone(), Arc::clone(&stop));
        async move {
            let mut told = BTreeSet::new();
            let mut last = false;
            while !last {
                last = stop.load(Ordering::Acquire) > 0;
                let (readable, skipped) = all(&store).await;
                assert!(readable.iter().all(|r| r.verify_history().is_ok()));
                for (id, problem) in skipped {
                    assert!(problem.contains("version 2"), "{problem}");
                    told.insert(id);
                }
            }
            told
        }
    });
    let ids = SeededIds::new(1);
    let (mut kept, mut refused) = (Vec::new(), 0);
    for turn in 0..REQUESTS {
        let request = request(&ids);
        both.older.create(Arc::clone(&request)).await.unwrap();
        sender.send(Arc::clone(&request)).await.unwrap();
        let canceled = cancel(&request, act(&ids, "alice"));
        let first = request.revision();
        // Every other time both write at the same time, else the newer is first.
        let races = turn % 2 == 0;
        if !races {
            is_done.recv().await.expect("the newer program");
        }
        match both.older.try_store(Arc::clone(&canceled), first).await {
            Ok(_) => kept.push(canceled),
            Err(error) => {
                let newer = NewerVersion::of(&error).map(|newer| newer.stored());
                assert_eq!((error.kind(), newer), (StoreErrorKind::Corrupt, Some(2)));
                refused += 1;
            }
        }
        if races {
            is_done.recv().await.expect("the newer program");
        }
    }
    drop(sender);
    let taken = newer.await.expect("the newer program");
    stop.store(1, Ordering::Release);
    let told = reader.await.expect("the listing goes on");

    assert!(refused >= REQUESTS / 2);
    assert_eq!(taken.len(), REQUESTS + refused);
    let unread: BTreeSet<String> = taken.iter().map(|r| r.id().to_string()).collect();
    // A page has room for a hundred, so not every one of them was on one.
    assert!(told.is_subset(&unread) && !told.is_empty());
    for request in taken.iter().chain(&kept) {
        let found = both.newer.get(request.id()).await.unwrap();
        assert_eq!(found.as_ref(), Some(request));
    }
    assert!(both.newer.verify().await.unwrap().is_clean());
    let report = both.older.verify().await.unwrap();
    for finding in report.findings() {
        assert_eq!(finding.kind(), FindingKind::Unreadable, "{finding:?}");
    }
    // The report keeps the first findings and counts all.
    assert_eq!(report.count(), taken.len() as u64);
}

#[tokio::test]
async fn bytes_of_the_first_release_are_a_record_like_any_other() {
    let both = Both::open().await;
    let ids = SeededIds::new(1);
    let sample = golden::sample();
    // Put where a restored backup would have them: record, id table, journal, idempotency key and
    // counters.
    let partition = &both.older.shared.partitions[0];
    let (stamp, written) = (7_u64.to_be_bytes(), sample.decisions().len());
    assert!(written > 1);
    let entry = JournalEntry {
        stamp: 7,
        ordinal: 0,
        first: 0,
        count: u16::try_from(written).unwrap(),
    };
    both.set(&partition.keys.journal(0), &entry.write()).await;
    let index = IndexRecord::of(&sample);
    let digest = index.key().unwrap();
    let mut holder = redis::cmd("HSET");
    holder.arg(partition.keys.bucket(digest));
    holder.arg(&digest[..]).arg(&sample.id().as_bytes()[..]);
    let mut admin = both.server.connection().await;
    holder.exec_async(&mut admin).await.unwrap();
    for name in ["request-v1.bin", "request-v1-zstd.bin"] {
        let mut bytes = golden::golden(name, &[]);
        bytes[16..24].fill(0);
        bytes[24..32].copy_from_slice(&stamp);
        both.set(&partition.keys.request(sample.id()), &bytes).await;
        let slot = [&sample.id().as_bytes()[..], &stamp].concat();
        both.set(&partition.keys.ids(0), &slot).await;
        let counters = [1_u64, 7, 1].map(u64::to_be_bytes).concat();
        both.set(&partition.keys.counters, &counters).await;
        for store in [&both.older, &both.newer] {
            // The counters of a backup are lower than those of the round before.
            store.accept_regression().await.unwrap();
            assert_eq!(store.rebuild().await.unwrap().requests(), 1);
            let found = store.get(sample.id()).await.unwrap();
            assert_eq!(found.as_deref(), Some(&sample));
            let report = store.verify().await.unwrap();
            assert!(report.is_clean(), "{report:?}");
            both.set(&partition.keys.request(sample.id()), &bytes).await;
        }
    }
    let act = Act::new(&actor("alice"), sample.updated_at(), ids.operation_id());
    let canceled = cancel(&sample, act);
    let stored = both
        .newer
        .try_store(Arc::clone(&canceled), sample.revision());
    stored.await.unwrap();
    assert_eq!(canceled.status(), Status::Canceled);
    assert_eq!(both.newer.get(sample.id()).await.unwrap(), Some(canceled));
    assert!(both.newer.verify().await.unwrap().is_clean());
}
