//! The way to the store.

use std::env;

use governance_redis::{
    Durability, RedisStore, RedisStoreOptions, Retention, StoreLayout, Strictness,
};
use redis_client::{Client, Config, ConfigError, ConfigProblem, InstanceName, NotUnicode, Problem};

use crate::{cli::Store, failure::Failure};

/// Whole partitions are looked at here, so answers may take longer than a request's.
const TIMEOUT: &str = "10s";

/// A client as the options and the environment say.
pub(crate) async fn client(store: &Store) -> Result<Client, Failure> {
    let config = Config::from_lookup(InstanceName::default(), |name| lookup(store, name));
    let config = config.map_err(|error| {
        let failure = Failure::new(error.code(), error.to_string());
        match store.url {
            None if environment("REDIS_ADDR").is_ok_and(|found| found.is_none()) => {
                failure.hint("give --url redis://host:port")
            }
            _ if is_several(&error, store) => {
                failure.hint("several addresses need --cluster or --sentinel-master")
            }
            _ => failure,
        }
    })?;
    Ok(Box::pin(Client::connect(config)).await?)
}

/// Whether there are addresses of several servers, and nothing says how they belong together.
fn is_several(error: &ConfigError, store: &Store) -> bool {
    let contradicts = |problem: &ConfigProblem| {
        problem.setting() == "ADDR" && problem.problem() == Problem::Contradiction
    };
    !store.cluster && store.sentinel_master.is_none() && error.problems().iter().any(contradicts)
}

fn lookup(store: &Store, name: &str) -> Result<Option<String>, NotUnicode> {
    let has_file = store.password_file.is_some();
    let given = match name {
        "REDIS_ADDR" => store.url.clone(),
        "REDIS_CLUSTER" if store.cluster => Some("true".to_owned()),
        "REDIS_CLUSTER" if store.sentinel_master.is_some() => Some("false".to_owned()),
        "REDIS_SENTINEL_MASTER" if store.cluster => return Ok(None),
        "REDIS_SENTINEL_MASTER" => store.sentinel_master.clone(),
        "REDIS_USERNAME" => store.username.clone(),
        "REDIS_PASSWORD" if has_file => return Ok(None),
        "REDIS_PASSWORD_FILE" => match &store.password_file {
            Some(file) => Some(file.to_str().ok_or(NotUnicode)?.to_owned()),
            None => None,
        },
        _ => None,
    };
    let found = match given {
        Some(given) => Some(given),
        None => environment(name)?,
    };
    let slow = matches!(name, "REDIS_READ_TIMEOUT" | "REDIS_WRITE_TIMEOUT");
    Ok(found.or_else(|| slow.then(|| TIMEOUT.to_owned())))
}

fn environment(name: &str) -> Result<Option<String>, NotUnicode> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(NotUnicode),
    }
}

pub(crate) fn options(store: &Store) -> RedisStoreOptions {
    RedisStoreOptions::default()
        .key_prefix(&store.key_prefix)
        .durability(Durability::Memory, Strictness::Warn)
}

/// Opens a store that is there. One that is not is never set up from here.
pub(crate) async fn open(
    client: &Client,
    store: &Store,
    retention: Retention,
) -> Result<RedisStore, Failure> {
    let options = options(store).retention(retention);
    let Some(StoreLayout { partitions, .. }) = RedisStore::layout(client, &options).await? else {
        let text = format!(
            "there is no store under the key prefix {}",
            store.key_prefix
        );
        let hint = "check --key-prefix, REDIS_KEY_PREFIX and --url";
        return Err(Failure::new("admin.no_store", text).hint(hint));
    };
    let partitions = store.partitions.unwrap_or(partitions);
    let opening = RedisStore::connect(client.clone(), options.partitions(partitions));
    Ok(Box::pin(opening).await?)
}
