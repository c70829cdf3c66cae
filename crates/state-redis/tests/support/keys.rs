//! Every key on a server is one of the table's, of its type, and with a lifetime.

use std::collections::BTreeSet;

use redis_client::redis;
use redis_harness::Server;
use state_redis::{KEYS, KeyPattern, KeyType};

/// Whether a key, without its prefix, has the form of a pattern.
fn has_form(key: &str, pattern: &str) -> bool {
    let (key, pattern): (Vec<_>, Vec<_>) = (key.split(':').collect(), pattern.split(':').collect());
    key.len() == pattern.len()
        && key.iter().zip(&pattern).all(|(part, form)| {
            let is_tag = |text: &str| text.starts_with('{') && text.ends_with('}');
            if form.contains('<') {
                is_tag(part) == is_tag(form)
            } else {
                part == form
            }
        })
}

const fn type_name(kind: KeyType) -> &'static str {
    match kind {
        KeyType::String => "string",
        KeyType::Hash => "hash",
        KeyType::List => "list",
        KeyType::SortedSet => "zset",
        KeyType::Stream => "stream",
        _ => "none",
    }
}

/// Checks every key under a prefix, and gives the patterns that were there.
pub async fn check_keys(server: &Server, prefix: &str) -> BTreeSet<&'static str> {
    let mut connection = server.connection().await;
    let mut seen = BTreeSet::new();
    let mut keys = redis::cmd("KEYS");
    keys.arg(format!("{prefix}:*"));
    let keys: Vec<String> = keys.query_async(&mut connection).await.expect("keys");
    for key in keys {
        let own = &key[prefix.len() + 1..];
        let rows: Vec<&KeyPattern> = KEYS
            .iter()
            .flat_map(|rows| rows.iter())
            .filter(|row| has_form(own, row.pattern))
            .collect();
        let [row] = rows[..] else {
            panic!("{own} has the form of {} patterns: {rows:?}", rows.len());
        };
        let (kind, ttl): (String, i64) = redis::pipe()
            .cmd("TYPE")
            .arg(&key)
            .cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .expect("type and lifetime");
        // It ended meanwhile.
        if kind == "none" || ttl == -2 {
            continue;
        }
        assert_eq!(kind, type_name(row.kind), "{own}");
        assert!(ttl >= 0 || row.lifetime.is_none(), "{own} lives for ever");
        seen.insert(row.pattern);
    }
    seen
}
