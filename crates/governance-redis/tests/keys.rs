//! Every key a store has is in the table, once, with the type it says and no time to live.

mod support;

use std::collections::BTreeSet;

use governance_redis::{KEYS, KeyPattern, RedisStore};
use redis_client::redis;
use redis_harness::{Persistence, Server, unique_prefix};

use crate::support::{client, corpus::populate, open, options, polls::polls, server};

/// Whether the parts of a key are what the parts of a pattern stand for.
fn fits(pattern: &[&str], key: &[&str]) -> bool {
    let (Some((place, pattern)), Some((part, rest))) = (pattern.split_first(), key.split_first())
    else {
        return pattern.is_empty() && key.is_empty();
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let hex = |text: &str, long| text.len() == long && text.bytes().all(|b| b.is_ascii_hexdigit());
    let fit = match *place {
        "T" => part.starts_with('{') && part.ends_with('}'),
        "<chunk>" => digits(part),
        "<bucket>" => hex(part, 4),
        "<id>" => part.len() == 22,
        "<u|r|g>" => ["u", "r", "g"].contains(part),
        "<dimension>" => {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        }
        "<tenant>" | "<type>" | "<state>" | "<value>" | "<name>" => {
            // A long name is an empty part and a digest.
            if let (true, Some((digest, rest))) = (part.is_empty(), rest.split_first()) {
                return hex(digest, 64) && fits(pattern, rest);
            }
            !part.is_empty() && part.len() <= 3 * 128
        }
        literal => match literal.strip_suffix("<g>") {
            Some(kind) => part.strip_prefix(kind).is_some_and(digits),
            None => literal == *part,
        },
    };
    fit && fits(pattern, rest)
}

fn rows(prefix: &str, key: &str) -> Vec<&'static KeyPattern> {
    let key = key.strip_prefix(prefix).expect("the prefix");
    let parts: Vec<&str> = key.trim_start_matches(':').split(':').collect();
    let fits = |row: &&KeyPattern| {
        let pattern = row.pattern.trim_start_matches("<prefix>:");
        // A `|` or a name has no colon in it.
        fits(&pattern.split(':').collect::<Vec<_>>(), &parts)
    };
    KEYS.iter().filter(fits).collect()
}

/// Checks every key under a prefix, and tells which rows there were.
async fn check(server: &Server, prefix: &str) -> BTreeSet<&'static str> {
    let mut admin = server.connection().await;
    let mut all = redis::cmd("KEYS");
    all.arg("*");
    let keys: Vec<String> = all.query_async(&mut admin).await.expect("keys");
    let own = format!("{prefix}:");
    let keys: Vec<&String> = keys.iter().filter(|key| key.starts_with(&own)).collect();
    let mut ask = redis::pipe();
    for key in &keys {
        ask.cmd("TYPE").arg(key).cmd("PTTL").arg(key);
    }
    let told: Vec<(String, i64)> = ask.query_async(&mut admin).await.expect("answers");
    assert_eq!(told.len(), keys.len());
    let mut seen = BTreeSet::new();
    for (key, (kind, left)) in keys.into_iter().zip(told) {
        let rows = rows(prefix, key);
        let [row] = rows[..] else {
            panic!("{key} is of {rows:?}");
        };
        assert_eq!(kind, row.kind, "{key}");
        assert_eq!(left, -1, "{key} expires");
        seen.insert(row.pattern);
    }
    seen
}

#[tokio::test]
async fn every_key_of_a_store_is_in_the_table_once() {
    let server = server(Persistence::None).await;
    let all: BTreeSet<&str> = KEYS.iter().map(|row| row.pattern).collect();
    for partitions in [1, 16] {
        let prefix = unique_prefix("keys");
        let options = options().key_prefix(&prefix).partitions(partitions);
        let store = open(server.url(), &options).await;
        populate(&store, 1, 80).await;
        let mut expected = all.clone();
        expected.remove("T:w");
        assert_eq!(check(&server, &prefix).await, expected);
        store.rebuild().await.unwrap();
        assert_eq!(check(&server, &prefix).await, expected);
        // In the middle of a migration there are keys of both sides.
        let client = client(server.url()).await;
        for most in 1.. {
            let run = RedisStore::migrate_partitions(client.clone(), options.clone(), 4, |_| {});
            let done = polls(Box::pin(run), most * 50).await;
            assert!(done.is_none(), "it was never seen under way");
            let mut filled = redis::cmd("KEYS");
            filled.arg(format!("{prefix}:*:w"));
            let mut admin = server.connection().await;
            let filled: Vec<String> = filled.query_async(&mut admin).await.unwrap();
            if !filled.is_empty() {
                break;
            }
        }
        assert_eq!(check(&server, &prefix).await, all);
        let run = RedisStore::migrate_partitions(client.clone(), options, 4, |_| {});
        run.await.unwrap();
        assert_eq!(check(&server, &prefix).await, expected);
    }
}

#[test]
fn no_two_rows_are_the_same() {
    let patterns: BTreeSet<&str> = KEYS.iter().map(|row| row.pattern).collect();
    assert_eq!(patterns.len(), KEYS.len());
    for row in KEYS {
        assert!(["string", "hash", "set", "zset", "stream"].contains(&row.kind));
        assert!(row.pattern.starts_with("T:") || row.pattern.starts_with("<prefix>:"));
        assert!(!row.content.is_empty() && !row.owner.is_empty() && !row.lifetime.is_empty());
    }
    // The check itself can fail.
    assert!(rows("p", "p:{0}:zz").is_empty());
    assert!(rows("p", "p:{0}:b1:status:pending").is_empty());
    assert!(rows("p", "p:{0}:k:xyz1").is_empty());
}
