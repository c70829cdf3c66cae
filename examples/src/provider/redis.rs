//! The Redis provider: where the server is, and how the store is opened.

mod advice;

use std::{env, sync::Arc};

use clap::Args;
use governance_core::{IdSource as _, RandomIds};
use governance_redis::{OpenError, RedisStore, RedisStoreOptions};
use redis_client::{Client, Config, InstanceName, NotUnicode};

use self::advice::Advice;
use super::{CannotOpen, Needs, Opened, Shared};

/// Where a Redis server is, and what of it the example takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "With --provider redis")]
pub(super) struct RedisArgs {
    /// Where the server is: `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`; of a cluster some nodes, of
    /// Sentinel the sentinels. Left out, `REDIS_ADDR` says it, and `REDIS_CLUSTER` or
    /// `REDIS_SENTINEL_MASTER` what it is. The other `REDIS_*` variables of the client hold either
    /// way, such as `REDIS_PASSWORD`
    #[arg(long, value_name = "URL[,URL..]")]
    redis_url: Option<String>,
    /// The addresses are nodes of a cluster
    #[arg(long)]
    cluster: bool,
    /// The addresses are sentinels that watch a master of this name
    #[arg(long, value_name = "NAME")]
    sentinel_master: Option<String>,
    /// What every key starts with. Left out, a new one is made up and told
    #[arg(long, value_name = "P")]
    key_prefix: Option<String>,
    /// Into how many partitions the store is cut: a power of two. Fixed for a key prefix [default:
    /// 1]
    #[arg(long, value_name = "N")]
    partitions: Option<u16>,
}

impl RedisArgs {
    /// The first option that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        [
            ("--redis-url", self.redis_url.is_some()),
            ("--cluster", self.cluster),
            ("--sentinel-master", self.sentinel_master.is_some()),
            ("--key-prefix", self.key_prefix.is_some()),
            ("--partitions", self.partitions.is_some()),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }

    /// The key prefix that was asked for.
    pub(super) fn key_prefix(&self) -> Option<&str> {
        self.key_prefix.as_deref()
    }

    /// Connects, and opens the store.
    pub(super) async fn open(&self, needs: Needs) -> Result<Opened, CannotOpen> {
        if self.cluster && self.sentinel_master.is_some() {
            return Err(CannotOpen(
                "--cluster and --sentinel-master exclude each other: the addresses are nodes of a \
                 cluster, or sentinels"
                    .to_owned(),
            ));
        }
        let config = Config::from_lookup(InstanceName::default(), |name| self.setting(name))
            .map_err(|error| Advice::about_config(&error, self.redis_url.is_some()))?;
        let key_prefix = self.key_prefix.clone().unwrap_or_else(|| {
            // Eight digits at random; two runs that draw the same are told apart by what is there.
            let id = RandomIds.operation_id().to_string();
            let run = id.split('-').next().unwrap_or_default();
            format!("example:{}:{run}", needs.name)
        });
        let partitions = self.partitions.unwrap_or(1);
        let mut options = RedisStoreOptions::default()
            .key_prefix(&key_prefix)
            .partitions(partitions);
        if let Some(bytes) = needs.document_limit {
            options = options.document_limit(bytes);
        }
        if let Some(clock) = needs.clock {
            options = options.clock(clock);
        }
        let advice = Advice::new(&config, &key_prefix);
        let store = connect(config, options)
            .await
            .map_err(|error| advice.about(&error))?;
        let mut notes = vec![format!("kept under the key prefix {key_prefix}")];
        notes.extend(store.warnings().iter().map(|w| format!("warning: {w}")));
        Ok(Opened {
            provider: Arc::new(store),
            notes,
            shared: Some(Shared {
                key_prefix,
                partitions,
            }),
        })
    }

    /// What a variable of the client says: the command line first, then the environment. A server
    /// on the command line is all of it; what the environment says about another does not matter.
    fn setting(&self, variable: &str) -> Result<Option<String>, NotUnicode> {
        let topology = self.cluster || self.sentinel_master.is_some();
        match variable {
            "REDIS_ADDR" if self.redis_url.is_some() => Ok(self.redis_url.clone()),
            "REDIS_CLUSTER" if topology || self.redis_url.is_some() => {
                Ok(Some(self.cluster.to_string()))
            }
            "REDIS_SENTINEL_MASTER" if topology || self.redis_url.is_some() => {
                Ok(self.sentinel_master.clone())
            }
            _ => match env::var(variable) {
                Ok(value) => Ok(Some(value)),
                Err(env::VarError::NotPresent) => Ok(None),
                Err(env::VarError::NotUnicode(_)) => Err(NotUnicode),
            },
        }
    }
}

async fn connect(config: Config, options: RedisStoreOptions) -> Result<RedisStore, OpenError> {
    let client = Client::connect(config).await?;
    RedisStore::connect(client, options).await
}
