//! Moving a store to another number of partitions: nothing is lost, whatever breaks it off.

mod support;

use std::sync::Arc;

use governance_core::{
    ChangeFeed as _, IdSource as _, PageRequest, RequestQueries as _, RequestQuery,
    RequestStore as _, StateStore as _, StateVersion, StateWrite, StoreError, StoreErrorKind,
    WriteCertainty,
};
use governance_redis::{
    MigrationError, MigrationStep, OpenError, PartitionsMoved, RedisStore, RedisStoreOptions,
};
use governance_testkit::fixtures::{RequestBuilder, SeededIds, scope};
use redis_client::{Client, Config, redis};
use redis_harness::{Cluster, Persistence, Server};

use crate::support::{
    client,
    corpus::{NOW, Picture, populate},
    open, options, patient,
    polls::{polls, some_polls},
    server,
};

const REQUESTS: usize = 130;

fn keys(seed: u64) -> Vec<String> {
    (0..REQUESTS)
        .step_by(9)
        .map(|i| format!("key-{seed}-{i}"))
        .collect()
}

async fn migrate(
    client: &Client,
    options: &RedisStoreOptions,
    from: u16,
    to: u16,
) -> Result<governance_redis::MigrationReport, MigrationError> {
    let options = options.clone().partitions(from);
    RedisStore::migrate_partitions(client.clone(), options, to, |_| {}).await
}

fn moved(error: &StoreError) -> Option<PartitionsMoved> {
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert_eq!(error.outcome(), WriteCertainty::NotApplied);
    PartitionsMoved::of(error)
}

/// Everything a handle of before can be asked is refused, and says why.
async fn refuses(store: &RedisStore, expected: PartitionsMoved, reads: bool) {
    let ids = SeededIds::new(999);
    let request = RequestBuilder::new(&ids, NOW).state("state/1").build();
    let create = store
        .create(Arc::clone(&request))
        .await
        .expect_err("a refusal");
    assert_eq!(moved(&create), Some(expected));
    let write = StateWrite {
        scope: scope("state/1"),
        expected: StateVersion::new(0),
        body: None,
        operation: ids.operation_id(),
    };
    let save = store.save(&write).await.expect_err("a refusal");
    assert_eq!(moved(&save), Some(expected));
    let rebuild = store.rebuild().await.expect_err("a refusal");
    assert_eq!(moved(&rebuild), Some(expected));
    if reads {
        return;
    }
    let all = RequestQuery::all_tenants();
    let page = PageRequest::first(10).expect("an answer");
    let key = governance_core::IdempotencyKey::new("key").expect("an answer");
    let decisions = governance_core::DecisionQuery::of(all.clone());
    let errors = [
        store.get(request.id()).await.expect_err("a refusal"),
        store
            .get_many(&[*request.id()])
            .await
            .expect_err("a refusal"),
        store
            .find_by_key(&scope("state/1"), &key)
            .await
            .expect_err("a refusal"),
        store.load(&scope("state/1")).await.expect_err("a refusal"),
        store.requests(&all, &page).await.expect_err("a refusal"),
        store
            .decisions(&decisions, &page)
            .await
            .expect_err("a refusal"),
        store.count(&all).await.expect_err("a refusal"),
        store.read(None, 10).await.expect_err("a refusal"),
        store.head().await.expect_err("a refusal"),
        store.verify().await.expect_err("a refusal"),
        store.stats().await.expect_err("a refusal"),
    ];
    for error in errors {
        assert_eq!(moved(&error), Some(expected), "{error}");
    }
}

async fn all_keys(server: &Server, prefix: &str) -> Vec<String> {
    let mut keys = redis::cmd("KEYS");
    keys.arg(format!("{prefix}*"));
    let mut admin = server.connection().await;
    keys.query_async(&mut admin).await.expect("keys")
}

#[tokio::test]
async fn a_store_goes_to_more_partitions_and_back_and_is_the_same() {
    let server = server(Persistence::None).await;
    let prefix = redis_harness::unique_prefix("migrate");
    let options = options().key_prefix(&prefix);
    let client = client(server.url()).await;
    let first = open(server.url(), &options).await;
    populate(&first, 1, REQUESTS).await;
    let before = Picture::of(&first, &keys(1)).await;
    assert!(before.decisions.len() > 2 * REQUESTS);
    let token = first.head().await.unwrap();
    let page = PageRequest::first(10).unwrap();
    let all = RequestQuery::all_tenants();
    let cursor = first.requests(&all, &page).await.unwrap().next.unwrap();
    let one = all_keys(&server, &prefix).await.len();

    let mut handle = first;
    for (from, to) in [(1, 16), (16, 4), (4, 8), (8, 1)] {
        let mut steps = Vec::new();
        let report = RedisStore::migrate_partitions(
            client.clone(),
            options.clone().partitions(from),
            to,
            |step| steps.push(step),
        )
        .await
        .unwrap();
        assert_eq!(report.states, 14, "{report:?}");
        assert!(
            !report.already && report.keys == report.requests,
            "{report:?}"
        );
        let filled = |step: &&MigrationStep| matches!(step, MigrationStep::Filling { .. });
        assert_eq!(steps.iter().filter(filled).count(), usize::from(to));
        assert_eq!(steps.last(), Some(&MigrationStep::Removing));

        refuses(&handle, PartitionsMoved::Done { to }, false).await;
        let wrong = RedisStore::connect(client.clone(), options.clone().partitions(from)).await;
        let wrong = wrong.unwrap_err();
        assert!(
            matches!(wrong, OpenError::OtherPartitions { stored, wanted } if (stored, wanted) == (to, from)),
            "{wrong}"
        );
        handle = open(server.url(), &options.clone().partitions(to)).await;
        let report = handle.verify().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        let after = Picture::of(&handle, &keys(1)).await;
        assert_eq!(after, before);
        // Done twice is done.
        assert!(migrate(&client, &options, from, to).await.unwrap().already);
    }
    // The same number again, but ordinals and streams are others.
    let error = handle.read(Some(&token), 10).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Expired);
    let page = page.after(cursor);
    let error = handle.requests(&all, &page).await.unwrap_err();
    assert!(error.to_string().contains("cursor"), "{error}");
    // Of all the partitions there were the fences are left.
    let left = all_keys(&server, &prefix).await;
    let fences = left.iter().filter(|key| key.ends_with(":v")).count();
    assert_eq!(fences, 1 + 16 + 4 + 8 + 1);
    assert!(left.len() <= one + fences, "{left:?}");

    // And it goes on as any other.
    let head = handle.head().await.unwrap();
    populate(&handle, 2, 30).await;
    assert!(handle.verify().await.unwrap().is_clean());
    assert!(
        !handle
            .read(Some(&head), 10)
            .await
            .unwrap()
            .events
            .is_empty()
    );
}

/// Waits until what was sent is done. A connection answers in order, and each node has two that are
/// used in turn.
async fn arrived(client: &Client) {
    for _ in 0..client.config().shared_connections() {
        let patience = redis_harness::PATIENCE;
        client.ping(patience).await.expect("an answer");
    }
}

/// Breaks a migration off at one place after the other until it is done.
async fn broken_off(client: &Client, options: &RedisStoreOptions, from: u16, to: u16) {
    let store = RedisStore::connect(client.clone(), options.clone().partitions(from))
        .await
        .expect("an answer");
    populate(&store, 1, REQUESTS).await;
    let mut before = Picture::of(&store, &keys(1)).await;
    // One state, so one partition: they are locked one after the other, and stay so.
    let probe = scope("probe");
    let (mut most, mut breaks, mut locked) = (1, 0, false);
    let (mut written, mut overtaken) = (StateVersion::new(0), 0);
    loop {
        let run = migrate(client, options, from, to);
        match polls(Box::pin(run), most).await {
            Some(Ok(_)) => break,
            // The last thing the one before had sent came after this one had read the record.
            Some(Err(error)) => {
                assert_eq!(error.code(), "migration.taken_over", "{error}");
                overtaken += 1;
            }
            None => {}
        }
        breaks += 1;
        most += 1 + most / 12;
        if breaks % 9 == 3 {
            arrived(client).await;
            // Meanwhile everything can be read, and nothing written.
            let write = StateWrite {
                scope: probe.clone(),
                expected: written,
                body: None,
                operation: SeededIds::new(breaks).operation_id(),
            };
            match store.save(&write).await {
                // Not even begun.
                Ok(version) => {
                    assert!(!locked, "{most}");
                    written = version;
                    before = Picture::of(&store, &keys(1)).await;
                }
                Err(error) => match moved(&error) {
                    Some(PartitionsMoved::UnderWay { to: told }) => {
                        locked = true;
                        assert_eq!(told, to);
                        // In the middle of switching, other partitions cannot be read any more.
                        match store.stats().await {
                            Ok(_) => assert_eq!(Picture::of(&store, &keys(1)).await, before),
                            Err(error) => {
                                let done = PartitionsMoved::Done { to };
                                assert_eq!(moved(&error), Some(done));
                            }
                        }
                    }
                    told => assert_eq!(told, Some(PartitionsMoved::Done { to })),
                },
            }
        }
    }
    assert!(overtaken < breaks / 4, "{overtaken} of {breaks}");
    assert!(breaks > 20, "{breaks}");
    let after = RedisStore::connect(client.clone(), options.clone().partitions(to))
        .await
        .expect("an answer");
    assert_eq!(Picture::of(&after, &keys(1)).await, before);
    let report = after.verify().await.expect("an answer");
    assert!(report.is_clean(), "{report:?}");
    refuses(&store, PartitionsMoved::Done { to }, false).await;
    populate(&after, 2, 20).await;
    assert!(after.verify().await.expect("an answer").is_clean());
}

#[tokio::test]
async fn broken_off_anywhere_it_goes_on_to_more_partitions() {
    let server = server(Persistence::None).await;
    broken_off(&client(server.url()).await, &options(), 1, 16).await;
}

#[tokio::test]
async fn broken_off_anywhere_it_goes_on_to_fewer_partitions() {
    let server = server(Persistence::None).await;
    broken_off(&client(server.url()).await, &options(), 16, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_too() {
    let cluster = Cluster::start(3, 0).await;
    let mut config = Config::builder().cluster();
    for url in cluster.urls() {
        config = config.address(url);
    }
    let config = patient(config).build().unwrap();
    let client = Client::connect(config).await.unwrap();
    for (from, to) in [(1, 16), (16, 4)] {
        broken_off(&client, &options(), from, to).await;
    }
}

#[tokio::test]
async fn what_was_begun_can_be_undone() {
    let server = server(Persistence::None).await;
    let prefix = redis_harness::unique_prefix("undo");
    let options = options().key_prefix(&prefix);
    let client = client(server.url()).await;
    let store = open(server.url(), &options).await;
    populate(&store, 1, 40).await;
    let mut before = Picture::of(&store, &keys(1)).await;
    let mut names = all_keys(&server, &prefix).await.len();
    let undo = || RedisStore::undo_migration(client.clone(), options.clone(), 16);
    let error = undo().await.unwrap_err();
    assert_eq!(error.code(), "migration.not_begun");
    let mut undone = 0;
    for step in 0_usize.. {
        let most = 1 + step * step;
        let run = migrate(&client, &options, 1, 16);
        if let Some(done) = polls(Box::pin(run), most).await {
            done.unwrap();
            break;
        }
        let opened = RedisStore::connect(client.clone(), options.clone()).await;
        // Perhaps it was not even begun.
        let Err(refused) = opened else { continue };
        if refused.code() == "open.other_partitions" {
            // All but done: there is no way back.
            migrate(&client, &options, 1, 16).await.unwrap();
            break;
        }
        assert_eq!(refused.code(), "open.migrating");
        let other = migrate(&client, &options, 1, 4).await.unwrap_err();
        assert_eq!(other.code(), "migration.other_migration");
        // The undoing is broken off, too.
        if polls(Box::pin(undo()), step).await.is_none()
            && let Err(error) = undo().await
        {
            // The last step had been sent, and was done.
            assert_eq!(error.code(), "migration.not_begun");
        }
        undone += 1;
        assert_eq!(all_keys(&server, &prefix).await.len(), names);
        assert_eq!(Picture::of(&store, &keys(1)).await, before);
        assert!(store.verify().await.unwrap().is_clean());
        // A handle of before goes on.
        let write = StateWrite {
            scope: scope(format!("after-{step}")),
            expected: StateVersion::new(0),
            body: None,
            operation: SeededIds::new(most as u64).operation_id(),
        };
        store.save(&write).await.unwrap();
        before = Picture::of(&store, &keys(1)).await;
        names = all_keys(&server, &prefix).await.len();
    }
    assert!(undone > 5, "{undone}");
    let error = undo().await.unwrap_err();
    assert_eq!(error.code(), "migration.other_partitions");
    let store = open(server.url(), &options.partitions(16)).await;
    assert_eq!(Picture::of(&store, &keys(1)).await, before);
}

#[tokio::test]
async fn a_run_that_goes_on_after_it_was_undone_does_no_harm() {
    let server = server(Persistence::None).await;
    let (mut from, mut to) = (8, 2);
    let options = options();
    let client = client(server.url()).await;
    let mut store = open(server.url(), &options.clone().partitions(from)).await;
    populate(&store, 1, 30).await;
    let before = Picture::of(&store, &keys(1)).await;
    let (mut undone, mut written, mut most) = (0, 0, 0);
    loop {
        // Locking out and switching are short, and what matters is done there.
        most += 1 + most / 24;
        let mut run = Box::pin(migrate(&client, &options, from, to));
        if let Some(done) = some_polls(run.as_mut(), most).await {
            done.expect("nobody was in its way");
            break;
        }
        let of = options.clone().partitions(from);
        let undo = RedisStore::undo_migration(client.clone(), of.clone(), to).await;
        // It was only thought dead, and goes on.
        let ended = run.await;
        match undo {
            Ok(()) => {
                undone += 1;
                let error = ended.expect_err("it was undone");
                assert_eq!(error.code(), "migration.taken_over", "{most}: {error}");
                // Every partition takes writes, for those who knew it and those who come.
                for store in [&store, &open(server.url(), &of).await] {
                    for _ in 0..from {
                        written += 1;
                        let write = StateWrite {
                            scope: scope(format!("written-{written}")),
                            expected: StateVersion::new(0),
                            body: None,
                            operation: SeededIds::new(written).operation_id(),
                        };
                        store.save(&write).await.expect("a store that is in use");
                    }
                }
                let report = store.verify().await.expect("a report");
                assert!(report.is_clean(), "{most}: {report:?}");
            }
            Err(error) if error.code() == "migration.not_begun" => {
                ended.expect("nothing was undone");
                (from, to) = (to, from);
                store = open(server.url(), &options.clone().partitions(from)).await;
            }
            // All but done: there is no way back.
            Err(error) if error.code() == "migration.other_partitions" => {
                ended.expect("nothing was undone");
                break;
            }
            Err(error) => panic!("{most}: {error}"),
        }
    }
    assert!(undone > 20, "{undone}");
    let store = open(server.url(), &options.clone().partitions(to)).await;
    let after = Picture::of(&store, &keys(1)).await.without_events();
    assert_eq!(after, before.without_events());
}

#[tokio::test]
async fn of_two_runs_one_gives_way() {
    let server = server(Persistence::None).await;
    let options = options();
    let client = client(server.url()).await;
    let store = open(server.url(), &options).await;
    populate(&store, 1, 60).await;
    let before = Picture::of(&store, &keys(1)).await;
    let (a, b) = tokio::join!(
        migrate(&client, &options, 1, 16),
        migrate(&client, &options, 1, 16)
    );
    for result in [a, b] {
        if let Err(error) = result {
            assert_eq!(error.code(), "migration.taken_over", "{error}");
        }
    }
    migrate(&client, &options, 1, 16).await.unwrap();
    let store = open(server.url(), &options.partitions(16)).await;
    assert_eq!(Picture::of(&store, &keys(1)).await, before);
    assert!(store.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn what_differs_is_not_taken_into_use() {
    let server = server(Persistence::None).await;
    let options = options();
    let client = client(server.url()).await;
    let store = open(server.url(), &options).await;
    populate(&store, 1, 40).await;
    let before = Picture::of(&store, &keys(1)).await;
    // Somebody tampers with what was copied before it is compared.
    let tamper = |step| {
        if step != (MigrationStep::Comparing { partition: 0 }) {
            return;
        }
        let admin = redis::Client::open(server.url()).unwrap();
        let mut admin = admin.get_connection().unwrap();
        let mut keys = redis::cmd("KEYS");
        let found: Vec<String> = keys.arg("*{0s1*:r:*").query(&mut admin).unwrap();
        let mut set = redis::cmd("SETRANGE");
        set.arg(&found[0]).arg(100).arg("!!");
        set.exec(&mut admin).unwrap();
    };
    let run = RedisStore::migrate_partitions(client.clone(), options.clone(), 2, tamper);
    let error = run.await.unwrap_err();
    assert_eq!(error.code(), "migration.differs", "{error}");
    refuses(&store, PartitionsMoved::UnderWay { to: 2 }, true).await;
    RedisStore::undo_migration(client.clone(), options.clone(), 2)
        .await
        .unwrap();
    assert_eq!(Picture::of(&store, &keys(1)).await, before);
}

#[tokio::test]
async fn what_would_be_lost_stops_it_and_what_is_of_others_stays() {
    let server = server(Persistence::None).await;
    let client = client(server.url()).await;
    let mut admin = server.connection().await;
    let counters = "*}:n";
    let table = "*}:o:0";
    let record = "*}:r:*";
    for (pattern, words) in [
        (counters, &["DEL"][..]),
        (table, &["DEL"]),
        (table, &["SETRANGE", "24", "other bytes"]),
        (record, &["SET", "nothing that can be read"]),
    ] {
        let prefix = redis_harness::unique_prefix("unlisted");
        let options = options().key_prefix(&prefix);
        let store = open(server.url(), &options.clone().partitions(2)).await;
        populate(&store, 1, 30).await;
        let mut keys = redis::cmd("KEYS");
        keys.arg(format!("{prefix}:{pattern}"));
        let found: Vec<String> = keys.query_async(&mut admin).await.unwrap();
        let foreign = found[0].split_once("}:").unwrap().0.to_owned() + "}:of somebody else";
        let mut set = redis::cmd("SET");
        set.arg(&foreign).arg("x");
        set.exec_async(&mut admin).await.unwrap();
        let mut damage = redis::cmd(words[0]);
        damage.arg(&found[0]).arg(&words[1..]);
        let mut keep = redis::cmd("DUMP");
        keep.arg(&found[0]);
        let kept: Vec<u8> = keep.query_async(&mut admin).await.unwrap();
        damage.exec_async(&mut admin).await.unwrap();
        // A handle that did not know it before.
        let error = migrate(&client, &options, 2, 4).await.unwrap_err();
        assert_eq!(error.code(), "migration.differs", "{words:?}: {error}");
        let undo = RedisStore::undo_migration(client.clone(), options.clone().partitions(2), 4);
        undo.await.unwrap();
        let mut restore = redis::cmd("RESTORE");
        restore.arg(&found[0]).arg(0).arg(kept).arg("REPLACE");
        restore.exec_async(&mut admin).await.unwrap();
        migrate(&client, &options, 2, 4).await.unwrap();
        let mut get = redis::cmd("GET");
        get.arg(&foreign);
        let left: Option<String> = get.query_async(&mut admin).await.unwrap();
        assert_eq!(left.as_deref(), Some("x"));
        let store = open(server.url(), &options.partitions(4)).await;
        assert!(store.verify().await.unwrap().is_clean());
    }
}

#[tokio::test]
async fn nonsense_is_refused() {
    let server = server(Persistence::None).await;
    let options = options();
    let client = client(server.url()).await;
    for (from, to, code) in [
        (1, 16, "migration.no_store"),
        (4, 4, "migration.same_partitions"),
        (1, 3, "open.invalid_partitions"),
        (0, 4, "open.invalid_partitions"),
    ] {
        let error = migrate(&client, &options, from, to).await.unwrap_err();
        assert_eq!(error.code(), code);
    }
    open(server.url(), &options.clone().partitions(2)).await;
    let error = migrate(&client, &options, 1, 16).await.unwrap_err();
    assert_eq!(error.code(), "migration.other_partitions");
    // An empty store can be moved as well.
    let report = migrate(&client, &options, 2, 1).await.unwrap();
    assert_eq!((report.requests, report.events), (0, 0));
    let store = open(server.url(), &options).await;
    populate(&store, 1, 10).await;
    assert!(store.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_record_that_was_lost_and_keys_of_others_do_not_stop_a_migration() {
    let server = server(Persistence::None).await;
    let prefix = redis_harness::unique_prefix("lost");
    let options = options().key_prefix(&prefix);
    let client = client(server.url()).await;
    let store = open(server.url(), &options).await;
    populate(&store, 1, 40).await;
    let names = all_keys(&server, &prefix).await;
    let record = names.iter().find(|key| key.contains("}:r:"));
    let record = record.expect("a record");
    let base = record.split_once("r:").expect("a record").0;
    let foreign = ["s:a:b:c", "s:mine", "k:mine", "k:ffff"].map(|rest| format!("{base}{rest}"));
    let mut spoil = redis::pipe();
    spoil.cmd("DEL").arg(record);
    for key in &foreign {
        assert!(!names.contains(key), "{key}");
        spoil.cmd("RPUSH").arg(key).arg("of somebody else");
    }
    let mut admin = server.connection().await;
    spoil.exec_async(&mut admin).await.unwrap();
    let found = store.verify().await.unwrap();
    assert!(!found.is_clean());

    let report = migrate(&client, &options, 1, 4).await.unwrap();
    // All of them were created under a key, and one of them is gone.
    assert_eq!(report.keys, report.requests - 1, "{report:?}");
    let store = open(server.url(), &options.partitions(4)).await;
    let found = store.verify().await.unwrap();
    assert!(found.is_clean(), "{found:?}");
    let left = all_keys(&server, &prefix).await;
    assert!(foreign.iter().all(|key| left.contains(key)), "{left:?}");
}
