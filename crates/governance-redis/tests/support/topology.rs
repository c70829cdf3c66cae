//! Where the suite runs. The servers of a topology are started once and shared by all cases, each
//! under a key prefix of its own. They end with the process: statics are not dropped, but the
//! harness watches.

use std::sync::Arc;

use governance_core::Provider;
use governance_redis::{RedisStore, RedisStoreOptions};
use governance_testkit::{ProviderHarness, async_trait};
use redis_client::{Client, Config, ConfigBuilder};
use redis_harness::{Cluster, Sentinel, Server};
use tokio::sync::OnceCell;

use super::{options, patient};

static SERVER: OnceCell<Server> = OnceCell::const_new();
static SENTINEL: OnceCell<Sentinel> = OnceCell::const_new();
static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

/// Where a store is, and into how many partitions it is cut.
#[derive(Debug, Clone, Copy)]
pub enum On {
    Standalone(u16),
    Sentinel(u16),
    /// Three masters, each with a replica.
    Cluster(u16),
}

pub fn at_sentinel(sentinel: &Sentinel) -> ConfigBuilder {
    let config = Config::builder().sentinel_master(Sentinel::MASTER);
    sentinel.urls().fold(config, ConfigBuilder::address)
}

pub fn at_cluster(cluster: &Cluster) -> ConfigBuilder {
    let config = Config::builder().cluster();
    patient(cluster.urls().fold(config, ConfigBuilder::address))
}

/// A store through a client of its own.
pub async fn store_at(config: ConfigBuilder, options: &RedisStoreOptions) -> RedisStore {
    let config = config.build().expect("a configuration");
    let client = Client::connect(config).await.expect("a client");
    RedisStore::connect(client, options.clone())
        .await
        .expect("a store")
}

impl On {
    const fn partitions(self) -> u16 {
        match self {
            Self::Standalone(partitions)
            | Self::Sentinel(partitions)
            | Self::Cluster(partitions) => partitions,
        }
    }

    pub async fn config(self) -> ConfigBuilder {
        match self {
            Self::Standalone(_) => {
                let server = SERVER.get_or_init(async || Server::any().await);
                patient(Config::builder().address(server.await.url()))
            }
            Self::Sentinel(_) => patient(at_sentinel(SENTINEL.get_or_init(Sentinel::start).await)),
            Self::Cluster(_) => at_cluster(
                CLUSTER
                    .get_or_init(async || Cluster::start(3, 1).await)
                    .await,
            ),
        }
    }

    async fn open(self, options: RedisStoreOptions) -> (Arc<dyn Provider>, RedisStoreOptions) {
        let options = options.partitions(self.partitions());
        let store = store_at(self.config().await, &options).await;
        (Arc::new(store), options)
    }
}

#[async_trait]
impl ProviderHarness for On {
    type Guard = RedisStoreOptions;

    async fn fresh(&self) -> (Arc<dyn Provider>, RedisStoreOptions) {
        self.open(options()).await
    }

    async fn reopen(&self, options: &RedisStoreOptions) -> Option<Arc<dyn Provider>> {
        Some(self.open(options.clone()).await.0)
    }

    async fn fresh_with_feed(
        &self,
        events: usize,
    ) -> Option<(Arc<dyn Provider>, RedisStoreOptions)> {
        let events = u64::try_from(events).ok()?;
        Some(self.open(options().feed_capacity(events)).await)
    }
}
