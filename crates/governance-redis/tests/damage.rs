//! Every kind of key is lost, cut, overwritten or made into something else, one at a time: a check
//! finds it, and what is called clean afterwards is whole.

mod support;

use std::collections::BTreeSet;

use governance_redis::{FindingKind, RedisStore, RedisStoreOptions};
use redis_client::redis::{self, aio::MultiplexedConnection};
use redis_harness::{Persistence, Server};

use crate::support::{
    client,
    corpus::{Picture, populate},
    open, options, server,
    snapshot::{put_back, snapshot},
};

/// The letter of a key, which says what it is for.
fn kind(key: &[u8]) -> Option<char> {
    let key = std::str::from_utf8(key).ok()?;
    key.split_once("}:")?.1.chars().next()
}

/// What was done to a key.
const DAMAGES: [&str; 4] = ["lost", "a list", "emptied", "half"];

/// Does it; false if it makes no difference to what is there.
async fn damage(admin: &mut MultiplexedConnection, key: &[u8], how: &str) -> bool {
    let mut get = redis::cmd("TYPE");
    let kind: String = get.arg(key).query_async(admin).await.expect("a type");
    let mut change = redis::pipe();
    if kind == "string" && matches!(how, "emptied" | "half") {
        let mut get = redis::cmd("GET");
        let value: Vec<u8> = get.arg(key).query_async(admin).await.expect("a value");
        let left = if how == "half" { value.len() / 2 } else { 0 };
        // Half a bitmap or table may be all that is used of it.
        if value[left..].iter().all(|byte| *byte == 0) {
            return false;
        }
        change.cmd("SET").arg(key).arg(&value[..left]);
    } else if how == "lost" {
        change.cmd("DEL").arg(key);
    } else if how == "a list" {
        change.cmd("DEL").arg(key).cmd("RPUSH").arg(key).arg("x");
    } else {
        return false;
    }
    change.exec_async(admin).await.expect("damaged");
    true
}

/// What can be told from the store itself, without the change feed: that may be trimmed any time.
async fn picture(store: &RedisStore) -> Picture {
    let keys: Vec<String> = (0..40).map(|i| format!("key-1-{i}")).collect();
    Picture::of(store, &keys).await.without_events()
}

async fn filled() -> (Server, RedisStoreOptions) {
    let server = server(Persistence::None).await;
    let options = options();
    let store = open(server.url(), &options).await;
    populate(&store, 1, 40).await;
    (server, options)
}

#[tokio::test]
async fn damage_of_every_kind_is_found_and_what_is_clean_is_whole() {
    let (server, options) = filled().await;
    let mut admin = server.connection().await;
    let whole = snapshot(&mut admin).await;
    let before = picture(&open(server.url(), &options).await).await;
    let mut tried = BTreeSet::new();
    let mut done: BTreeSet<(char, &str)> = BTreeSet::new();
    for key in whole.keys() {
        // The fence and the feed are looked at by everybody who uses them; how a fence that is lost
        // is noticed is a test of its own.
        let Some(kind) = kind(key).filter(|kind| !"ve".contains(*kind)) else {
            continue;
        };
        for how in DAMAGES {
            // A state that is lost is one that never was; and a few keys of a kind are enough.
            if (kind, how) == ('s', "lost") || done.contains(&(kind, how)) {
                continue;
            }
            let store = open(server.url(), &options).await;
            if !damage(&mut admin, key, how).await {
                continue;
            }
            done.insert((kind, how));
            let name = format!("{} {how}", String::from_utf8_lossy(key));
            if (kind, how) == ('n', "half") || (kind, how) == ('n', "emptied") {
                let error = store.verify().await.expect_err("no numbers");
                assert!(error.to_string().contains("counters"), "{error}");
                put_back(&mut admin, &whole).await;
                continue;
            }
            if kind == 'n' {
                // Whoever comes anew would begin to count anew, and write over what there is.
                let client = client(server.url()).await;
                let error = RedisStore::connect(client, options.clone()).await;
                let error = error.expect_err(&name);
                assert_eq!(error.code(), "open.damaged");
                assert!(error.to_string().contains("counters"), "{error}");
            }
            let report = store.verify().await.expect(&name);
            assert!(!report.is_clean(), "{name}");
            if how == "a list" {
                let foreign = FindingKind::Foreign;
                let foreign = report.findings().iter().find(|f| f.kind() == foreign);
                let subject = foreign.expect(&name).subject();
                assert!(name.starts_with(subject.trim_end_matches(" (list)")));
            }
            // Perhaps it cannot even begin.
            let rebuilt = store.rebuild().await.is_ok();
            let report = store.verify().await.expect(&name);
            if report.is_clean() {
                assert_eq!(picture(&store).await, before, "{name}");
                tried.insert(kind);
            } else {
                assert!(
                    how == "a list" || "knorsy".contains(kind),
                    "{name}: {report:?}"
                );
            }
            assert!(rebuilt || how == "a list", "{name}");
            put_back(&mut admin, &whole).await;
        }
    }
    let repaired: String = tried.iter().collect();
    assert_eq!(repaired, "bdqxz", "{done:?}");
    let kinds: BTreeSet<char> = done.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds.iter().collect::<String>(), "bdknoqrsxyz");
}

#[tokio::test]
async fn a_store_that_lost_its_fence_is_refused_and_left_as_it_is() {
    let (server, options) = filled().await;
    let mut admin = server.connection().await;
    let store = open(server.url(), &options).await;
    let before = picture(&store).await;
    // The index is in its second generation; nothing of the first is left.
    store.rebuild().await.expect("a new index");
    let whole = snapshot(&mut admin).await;
    let of_kind = |letter: char| {
        let mut keys = whole.keys().filter(|key| kind(key) == Some(letter));
        keys.next().expect("a key")
    };
    let (fence, counters) = (of_kind('v'), of_kind('n'));
    for (lost, named) in [
        (vec![fence], "fence"),
        (vec![fence, counters], "counters"),
        (vec![counters], "counters"),
    ] {
        let mut del = redis::cmd("DEL");
        del.arg(&lost).exec_async(&mut admin).await.expect("lost");
        let spoiled = snapshot(&mut admin).await;
        let error = RedisStore::connect(client(server.url()).await, options.clone()).await;
        let error = error.expect_err(named);
        assert_eq!(error.code(), "open.damaged", "{error}");
        assert!(error.to_string().contains(named), "{error}");
        // Nor does a handle of before begin anew what it is told to take as right.
        let error = store.accept_regression().await.expect_err(named);
        assert_eq!(error.code(), "open.damaged", "{error}");
        if lost == [fence] {
            let (client, options) = (client(server.url()).await, options.clone());
            let moved = RedisStore::migrate_partitions(client, options, 4, |_| {}).await;
            let error = moved.expect_err(named);
            assert_eq!(error.code(), "open.damaged", "{error}");
        }
        assert_eq!(snapshot(&mut admin).await, spoiled, "{named}");
        put_back(&mut admin, &whole).await;
    }
    let store = open(server.url(), &options).await;
    assert_eq!(picture(&store).await, before);
}

#[tokio::test]
async fn counters_that_are_far_too_high_are_refused_and_not_gone_over() {
    let (server, options) = filled().await;
    let mut admin = server.connection().await;
    let store = open(server.url(), &options).await;
    let client = client(server.url()).await;
    let whole = snapshot(&mut admin).await;
    let mut keys = whole.keys();
    let counters = keys.find(|key| kind(key) == Some('n')).expect("counters");
    // More than there can be, and more than there are: ordinals, then entries of the journal.
    for (at, byte) in [
        (0, 0x7f),
        (16, 0x7f),
        (3, 0x7f),
        (19, 0x7f),
        (5, 2),
        (21, 2),
    ] {
        let mut change = redis::cmd("SETRANGE");
        change.arg(counters).arg(at).arg(&[byte]);
        change.exec_async(&mut admin).await.expect("damaged");
        let name = format!("{byte} at {at}");
        for told in [
            store.verify().await.map(drop),
            store.rebuild().await.map(drop),
            store.stats().await.map(drop),
        ] {
            let error = told.expect_err(&name);
            assert!(error.to_string().contains("counters"), "{name}: {error}");
        }
        let moved =
            RedisStore::migrate_partitions(client.clone(), options.clone(), 4, |_| {}).await;
        let error = moved.expect_err(&name);
        assert!(error.to_string().contains("counters"), "{name}: {error}");
        put_back(&mut admin, &whole).await;
    }
    assert!(store.verify().await.expect("a report").is_clean());
}
