//! Servers and stores for the tests of this crate.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test is a crate of its own and uses a part of it"
)]

pub mod corpus;

use std::sync::Arc;

use governance_core::Provider;
use governance_redis::{Durability, RedisStore, RedisStoreOptions, Strictness};
use governance_testkit::{ProviderHarness, async_trait};
use redis_client::{Client, Config};
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

pub async fn client(url: &str) -> Client {
    let config = Config::builder()
        .address(url)
        .build()
        .expect("a configuration");
    Client::connect(config).await.expect("a client")
}

pub async fn open(url: &str, options: &RedisStoreOptions) -> RedisStore {
    RedisStore::connect(client(url).await, options.clone())
        .await
        .expect("a store")
}

/// Stores of the suite, cut into so many partitions.
pub struct Standalone(pub u16);

/// A server of its own, and how its store is opened.
pub struct Guard {
    pub server: Server,
    pub options: RedisStoreOptions,
}

impl Standalone {
    async fn start(&self, options: RedisStoreOptions) -> (Arc<dyn Provider>, Guard) {
        let guard = Guard {
            server: server(Persistence::None).await,
            options: options.partitions(self.0),
        };
        let store = open(guard.server.url(), &guard.options).await;
        (Arc::new(store), guard)
    }
}

#[async_trait]
impl ProviderHarness for Standalone {
    type Guard = Guard;

    async fn fresh(&self) -> (Arc<dyn Provider>, Guard) {
        self.start(options()).await
    }

    async fn reopen(&self, guard: &Guard) -> Option<Arc<dyn Provider>> {
        Some(Arc::new(open(guard.server.url(), &guard.options).await))
    }

    async fn fresh_with_feed(&self, events: usize) -> Option<(Arc<dyn Provider>, Guard)> {
        let events = u64::try_from(events).ok()?;
        Some(self.start(options().feed_capacity(events)).await)
    }
}
