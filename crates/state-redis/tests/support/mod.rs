//! Servers and clients for the tests of this crate.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "every test is a crate of its own and uses a part of it"
)]

mod cluster;
mod keys;
mod severable;
mod stores;

use std::time::Duration;

pub use cluster::client_of;
pub use keys::check_keys;
use redis_client::{Client, Config, ConfigBuilder, redis};
use redis_harness::{Options, Persistence, Server, poll_until, unique_prefix};
pub use severable::{Logs, Severable};
use state_testkit::{Passage, async_trait};
pub use stores::{Guard, On, OwnServer, Place};

/// A server without persistence.
pub async fn server() -> Server {
    Server::start_with(Options::default().persistence(Persistence::None)).await
}

/// Waits long for answers: a busy machine is not a failure.
pub fn patient(config: ConfigBuilder) -> ConfigBuilder {
    const PATIENCE: Duration = Duration::from_secs(10);
    config
        .dial_timeout(PATIENCE)
        .read_timeout(PATIENCE)
        .write_timeout(PATIENCE)
}

/// A client with a prefix that no other test has.
pub async fn client(url: &str) -> Client {
    client_with_prefix(url, &unique_prefix("state")).await
}

/// A client with a prefix that others have, too.
pub async fn client_with_prefix(url: &str, prefix: &str) -> Client {
    let config = patient(Config::builder().address(url))
        .key_prefix(prefix)
        .build()
        .expect("a configuration");
    Client::connect(config).await.expect("a client")
}

/// Time on a server passes by itself; this watches it.
#[derive(Debug, Clone)]
pub struct ServerTime(pub Client);

impl ServerTime {
    /// The server's time in microseconds.
    pub async fn micros(&self) -> u64 {
        let key = self
            .0
            .key_prefix()
            .key()
            .part("time")
            .finish()
            .expect("a key");
        let (seconds, micros): (u64, u64) = self
            .0
            .query(
                redis_client::Operation::read("time"),
                &key,
                &redis::cmd("TIME"),
            )
            .await
            .expect("the time");
        seconds * 1_000_000 + micros
    }
}

#[async_trait]
impl Passage for ServerTime {
    async fn pass(&self, time: Duration) {
        // One millisecond more: lifetimes of keys are in whole ones.
        let until =
            self.micros().await + u64::try_from(time.as_micros()).expect("a short time") + 1_000;
        poll_until("time passes", || async {
            (self.micros().await >= until).then_some(())
        })
        .await;
    }
}
