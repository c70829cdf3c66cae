//! What the suites share.
#![allow(dead_code, reason = "every suite uses a part of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

use redis_client::{Client, Config, ConfigBuilder, Key, Operation, Script, redis};
use redis_harness::unique_prefix;
use std::sync::LazyLock;

pub(crate) const GET: Operation = Operation::read("get");
pub(crate) const INCR: Operation = Operation::write("incr");

pub(crate) static BUMP: LazyLock<Script> = LazyLock::new(|| {
    Script::embedded("#!lua\n-- test.bump 1\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])")
});
pub(crate) static PEEK: LazyLock<Script> = LazyLock::new(|| {
    Script::embedded(
        "#!lua flags=no-writes\n-- test.peek 1\nreturn redis.call('GET', KEYS[1]) or false",
    )
});
pub(crate) static TEAR: LazyLock<Script> = LazyLock::new(|| {
    Script::embedded(
        "#!lua\n-- test.tear 1\nredis.call('SET', KEYS[1], 'x')\nreturn redis.call('INCR', KEYS[1])",
    )
});

/// A configuration for a server, with a prefix of its own.
pub(crate) fn config(url: &str, test: &str) -> ConfigBuilder {
    Config::builder()
        .address(url)
        .key_prefix(unique_prefix(test))
}

pub(crate) async fn connect(builder: ConfigBuilder) -> Client {
    Client::connect(builder.build().unwrap()).await.unwrap()
}

pub(crate) fn key(client: &Client, tag: &str, part: &str) -> Key {
    client.key_prefix().tag(tag).part(part).finish().unwrap()
}

pub(crate) fn get(key: &Key) -> redis::Cmd {
    let mut command = redis::cmd("GET");
    command.arg(key);
    command
}

pub(crate) fn incr(key: &Key) -> redis::Cmd {
    let mut command = redis::cmd("INCR");
    command.arg(key);
    command
}

/// Reads a counter past the client under test.
pub(crate) async fn count(server: &redis_harness::Server, key: &Key) -> i64 {
    let value: Option<i64> = get(key)
        .query_async(&mut server.connection().await)
        .await
        .unwrap();
    value.unwrap_or_default()
}

/// Nothing an error shows may contain the text.
pub(crate) fn assert_hidden(error: &(dyn std::error::Error + 'static), secret: &str) {
    let mut next = Some(error);
    while let Some(error) = next {
        for text in [
            format!("{error}"),
            format!("{error:?}"),
            format!("{error:#?}"),
        ] {
            assert!(!text.contains(secret), "{text}");
        }
        next = error.source();
    }
}
