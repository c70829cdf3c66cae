//! Servers and stores for the tests of this crate.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test is a crate of its own and uses a part of it"
)]

pub mod corpus;
pub mod load;
pub mod polls;
pub mod snapshot;
pub mod topology;

use std::time::Duration;

use governance_redis::{Durability, RedisStore, RedisStoreOptions, Strictness};
use redis_client::{Client, Config, ConfigBuilder};
use redis_harness::{Options, Persistence, Server, unique_prefix};

/// A server with nothing to warn about.
pub async fn server(persistence: Persistence) -> Server {
    Server::start_with(Options::default().persistence(persistence)).await
}

pub fn options() -> RedisStoreOptions {
    RedisStoreOptions::default()
        .key_prefix(unique_prefix("governance"))
        .durability(Durability::Memory, Strictness::Refuse)
}

/// Waits long for answers: a busy machine is not a failure.
pub fn patient(config: ConfigBuilder) -> ConfigBuilder {
    const PATIENCE: Duration = Duration::from_secs(20);
    config
        .dial_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .write_timeout(PATIENCE)
}

pub async fn client(url: &str) -> Client {
    let config = patient(Config::builder().address(url))
        .build()
        .expect("a configuration");
    Client::connect(config).await.expect("a client")
}

pub async fn open(url: &str, options: &RedisStoreOptions) -> RedisStore {
    RedisStore::connect(client(url).await, options.clone())
        .await
        .expect("a store")
}
