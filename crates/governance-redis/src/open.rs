//! Opening a store: what is asked of the server, and what everybody has to agree on.

use std::{fmt, sync::Arc};

use futures_util::{FutureExt as _, future::try_join_all};
use governance_core::Status;
use redis_client::{
    AppendFsync, BuildError, Client, ClientError, Config, ConfigError, InvalidPrefix, Key,
    KeyPrefix, Operation, Role, ServerFacts, Signal, Version, redis,
};

use crate::{
    RedisStore,
    error::{PartitionsMoved, RedisError},
    keys::PartitionKeys,
    layout::{Fence, LAYOUT, Layout},
    options::{Durability, RedisStoreOptions, Strictness},
    partition::{Counters, Partition},
    shared::Shared,
};

const OPEN: Operation = Operation::write("open");
const READ: Operation = Operation::read("open");

/// A store that was not opened, and what to do about it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The number of partitions is not a power of two within bounds.
    #[error(
        "{wanted} partitions asked for; a power of two from 1 to {} is allowed",
        RedisStoreOptions::MAX_PARTITIONS
    )]
    InvalidPartitions {
        /// Partitions asked for.
        wanted: u16,
    },
    /// The retention names a status that is not final.
    #[error("the retention names {status}, which is not final: what is under way is never removed")]
    InvalidRetention {
        /// The status.
        status: Status,
    },
    /// The key prefix is not acceptable.
    #[error(transparent)]
    InvalidPrefix(InvalidPrefix),
    /// The store was set up with another number of partitions.
    #[error(
        "the store under this key prefix has {stored} partitions, {wanted} were asked for; open it with {stored}, or move it with `governance-redis-admin migrate-partitions`"
    )]
    OtherPartitions {
        /// Partitions of the store.
        stored: u16,
        /// Partitions asked for.
        wanted: u16,
    },
    /// The key prefix is in use by another version of the layout.
    #[error(
        "the store under this key prefix has layout version {stored}, this version of the library has {known}; use the version that wrote it, or another prefix"
    )]
    OtherLayout {
        /// The stored version.
        stored: u32,
        /// The version of this library.
        known: u32,
    },
    /// The store is being cut into another number of partitions.
    #[error(
        "a migration of this store from {from} to {to} partitions is running or was broken off; wait for it, or run it again to finish it"
    )]
    Migrating {
        /// Partitions of the store before.
        from: u16,
        /// Partitions there will be.
        to: u16,
    },
    /// There is something under the layout key that is no layout record.
    #[error(
        "`{key}` holds something else than a layout record; use another key prefix, or remove what is there"
    )]
    NoLayout {
        /// The key.
        key: String,
    },
    /// The server is too old.
    #[error(
        "the server has version {version}, at least {} is needed",
        Version::OLDEST
    )]
    TooOld {
        /// Its version.
        version: Version,
    },
    /// The server takes no writes.
    #[error("the server is a read-only replica; connect to its master, or through Sentinel")]
    ReadOnlyReplica,
    /// The server cannot keep what the durability tier promises, or would evict data.
    #[error("{0}")]
    NotDurable(Warning),
    /// The address, or the environment, does not say how to reach a server.
    #[error("the connection is set up wrongly")]
    Config(#[from] ConfigError),
    /// There is no client for what the address or the environment says.
    #[error("the client could not be built")]
    Build(#[from] BuildError),
    /// The server could not be asked.
    #[error("the server could not be asked")]
    Client(#[from] ClientError),
    /// What was found on the server makes no sense.
    #[error("what is stored under this key prefix makes no sense: {detail}")]
    Damaged {
        /// What.
        detail: String,
    },
}

impl OpenError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidPartitions { .. } => "open.invalid_partitions",
            Self::InvalidRetention { .. } => "open.invalid_retention",
            Self::InvalidPrefix(_) => "open.invalid_prefix",
            Self::OtherPartitions { .. } => "open.other_partitions",
            Self::OtherLayout { .. } => "open.other_layout",
            Self::Migrating { .. } => "open.migrating",
            Self::NoLayout { .. } => "open.no_layout",
            Self::TooOld { .. } => "open.too_old",
            Self::ReadOnlyReplica => "open.read_only_replica",
            Self::NotDurable(_) => "open.not_durable",
            Self::Config(_) => "open.config",
            Self::Build(_) => "open.build",
            Self::Client(_) => "open.client",
            Self::Damaged { .. } => "open.damaged",
        }
    }
}

impl From<RedisError> for OpenError {
    fn from(error: RedisError) -> Self {
        match error {
            RedisError::Client(error) => Self::Client(error),
            other => Self::Damaged {
                detail: other.to_string(),
            },
        }
    }
}

/// Something the server cannot keep of what the options promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    code: &'static str,
    text: String,
}

impl Warning {
    fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl RedisStore {
    /// Opens the store of the default options on one server: `redis://localhost:6379`. What else a
    /// client can be told, such as Sentinel, Cluster or TLS, is for [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`OpenError`]. A store that was there is left as it was.
    ///
    /// # Cancel safety
    ///
    /// That of [`connect`](Self::connect).
    pub async fn at(address: &str) -> Result<Self, OpenError> {
        let config = Config::builder().address(address).build()?;
        let client = Client::connect(config).boxed().await?;
        Self::connect(client, RedisStoreOptions::default()).await
    }

    /// Opens the store under a key prefix, and sets it up if it is new.
    ///
    /// Asks every server for its version, role, eviction policy, persistence and replicas; what it
    /// may not ask for is taken as right.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. A store that was there is left as it was.
    ///
    /// # Cancel safety
    ///
    /// A store that was being set up may be left half set up; opening it again goes on.
    ///
    /// # Round trips
    ///
    /// Five, each to all servers or partitions at once, and one more for a store nobody wrote to.
    pub async fn connect(client: Client, options: RedisStoreOptions) -> Result<Self, OpenError> {
        let wanted = options.partitions;
        if !wanted.is_power_of_two() || wanted > RedisStoreOptions::MAX_PARTITIONS {
            return Err(OpenError::InvalidPartitions { wanted });
        }
        if let Some(status) = options.retention.not_final() {
            return Err(OpenError::InvalidRetention { status });
        }
        let prefix = full_prefix(&client, &options)?;
        // Boxed, here and below: a caller's future would otherwise hold all of the client's inside
        // its own type, deeper than the compiler follows.
        let warnings = examine(&client.probe().boxed().await?, &options)?;
        let layout = layout(&client, &prefix, wanted).boxed().await?;
        let client = &client;
        let partitions = (0..wanted).zip(&layout.tags).map(|(number, tag)| {
            let keys = PartitionKeys::new(&prefix, tag);
            async move {
                let (fence, counters) = partition(client, wanted, &keys).await?;
                Ok::<_, OpenError>(Partition::new(number, keys, fence, counters))
            }
            .boxed()
        });
        let partitions = try_join_all(partitions).await?;
        let mut shared = Shared::new(client.clone(), prefix, options, layout.series, partitions);
        shared.warnings = warnings;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

/// What the layout record of a store says.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLayout {
    /// Into how many partitions the store is cut.
    pub partitions: u16,
    /// Into how many it is being cut, if a migration is under way or was broken off.
    pub migrating_to: Option<u16>,
}

impl RedisStore {
    /// Tells how the store under the key prefix is laid out, without opening it or setting it up;
    /// none if there is no store. The number of partitions in the options is not looked at.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the server cannot be asked, or what is there is no store of this layout.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn layout(
        client: &Client,
        options: &RedisStoreOptions,
    ) -> Result<Option<StoreLayout>, OpenError> {
        let key = layout_key(&full_prefix(client, options)?)?;
        let mut get = redis::cmd("GET");
        get.arg(&key);
        let read = Operation::read("layout");
        let stored: Result<Option<Vec<u8>>, _> = client.query(read, &key, &get).boxed().await;
        let Some(stored) = stored.map_err(|error| of_layout(&key, error))? else {
            return Ok(None);
        };
        let layout = read_layout(&key, &stored)?;
        Ok(Some(StoreLayout {
            partitions: layout.partitions,
            migrating_to: layout.moving.map(|moving| moving.partitions),
        }))
    }
}

/// The prefix of the client, then that of the store.
pub(crate) fn full_prefix(
    client: &Client,
    options: &RedisStoreOptions,
) -> Result<KeyPrefix, OpenError> {
    let own = KeyPrefix::new(&options.key_prefix).map_err(OpenError::InvalidPrefix)?;
    let before = client.key_prefix();
    if before.is_empty() {
        return Ok(own);
    }
    KeyPrefix::new(&format!("{before}:{own}")).map_err(OpenError::InvalidPrefix)
}

/// The key of the layout record.
pub(crate) fn layout_key(prefix: &KeyPrefix) -> Result<Key, OpenError> {
    let key = prefix.key().part("layout").finish();
    key.map_err(|_| OpenError::InvalidPrefix(InvalidPrefix::TooLong))
}

/// Reads what stands under the key of the layout record.
pub(crate) fn read_layout(key: &Key, stored: &[u8]) -> Result<Layout, OpenError> {
    Layout::read(stored).map_err(|version| match version {
        Some(stored) => OpenError::OtherLayout {
            stored,
            known: LAYOUT,
        },
        None => OpenError::NoLayout {
            key: key.as_str().to_owned(),
        },
    })
}

/// What it means that the layout record could not be read.
pub(crate) fn of_layout(key: &Key, error: ClientError) -> OpenError {
    match error.signal() {
        Signal::WrongType => OpenError::NoLayout {
            key: key.as_str().to_owned(),
        },
        _ => OpenError::Client(error),
    }
}

async fn layout(client: &Client, prefix: &KeyPrefix, wanted: u16) -> Result<Layout, OpenError> {
    let key = layout_key(prefix)?;
    let new = Layout::new(prefix, wanted);
    let text = serde_json::to_string(&new).map_err(|error| OpenError::Damaged {
        detail: error.to_string(),
    })?;
    let mut set = redis::cmd("SET");
    set.arg(&key).arg(text).arg("NX").arg("GET");
    let stored: Result<Option<Vec<u8>>, _> = client.query(OPEN, &key, &set).await;
    let Some(stored) = stored.map_err(|error| of_layout(&key, error))? else {
        return Ok(new);
    };
    let layout = read_layout(&key, &stored)?;
    if let Some(moving) = &layout.moving {
        return Err(OpenError::Migrating {
            from: layout.partitions,
            to: moving.partitions,
        });
    }
    if layout.partitions != wanted {
        return Err(OpenError::OtherPartitions {
            stored: layout.partitions,
            wanted,
        });
    }
    Ok(layout)
}

/// Reads fence and counters of a partition; sets the fence of a new one.
async fn partition(
    client: &Client,
    from: u16,
    keys: &PartitionKeys,
) -> Result<(Fence, Counters), OpenError> {
    let (mut fence, mut counters) = stored(client, keys).await?;
    if counters.is_none() && has_ids(client, keys).await? {
        // Numbers that begin anew would lead to requests there are. But somebody else may have
        // begun just now.
        (fence, counters) = stored(client, keys).await?;
        if counters.is_none() {
            return Err(damaged("counters", &keys.counters));
        }
    }
    if fence.is_none() {
        // Counters are only ever written behind a fence, and which generation of the index it named
        // nobody knows: with the first one every listing might be empty.
        if counters.is_some() {
            return Err(damaged("fence", &keys.fence));
        }
        fence = begin(client, keys).await?;
        if fence.is_some() {
            // Somebody else was faster, and may have written already.
            counters = stored(client, keys).await?.1;
        }
    }
    let fence: Fence = match fence {
        Some(text) => text.parse().map_err(|_| damaged("fence", &keys.fence))?,
        None => Fence::FIRST,
    };
    if let Err(PartitionsMoved::UnderWay { to } | PartitionsMoved::Done { to }) =
        fence.for_writing()
    {
        // It began after the layout record was read.
        return Err(OpenError::Migrating { from, to });
    }
    let counters = Counters::read(counters.as_deref());
    let counters = counters.map_err(|_| damaged("counters", &keys.counters))?;
    Ok((fence, counters))
}

/// Refuses a partition that has lost its fence.
pub(crate) async fn has_no_lost_fence(
    client: &Client,
    keys: &PartitionKeys,
) -> Result<(), OpenError> {
    match stored(client, keys).await? {
        (None, Some(_)) => Err(damaged("fence", &keys.fence)),
        _ => Ok(()),
    }
}

/// Fence and counters as they are stored, at one moment.
async fn stored(
    client: &Client,
    keys: &PartitionKeys,
) -> Result<(Option<String>, Option<Vec<u8>>), OpenError> {
    let mut mget = redis::cmd("MGET");
    mget.arg(&keys.fence).arg(&keys.counters);
    Ok(client.query(READ, &keys.fence, &mget).await?)
}

/// Whether any request was ever stored.
async fn has_ids(client: &Client, keys: &PartitionKeys) -> Result<bool, OpenError> {
    let ids = keys.ids(0);
    let mut exists = redis::cmd("EXISTS");
    exists.arg(&ids);
    Ok(client.query(READ, &ids, &exists).await?)
}

/// Sets the fence of a new partition; gives the one that is there already.
async fn begin(client: &Client, keys: &PartitionKeys) -> Result<Option<String>, OpenError> {
    let mut set = redis::cmd("SET");
    set.arg(&keys.fence)
        .arg(Fence::FIRST.to_string())
        .arg("NX")
        .arg("GET");
    // For MGET a value of another type is none; this refuses it.
    let set: Result<_, ClientError> = client.query(OPEN, &keys.fence, &set).await;
    set.map_err(|error| match error.signal() {
        Signal::WrongType => damaged("fence", &keys.fence),
        _ => OpenError::Client(error),
    })
}

fn damaged(what: &str, key: &Key) -> OpenError {
    OpenError::Damaged {
        detail: format!("the {what} under `{}`; restore a backup", key.as_str()),
    }
}

/// What is found of the partitions of a store that was open; an empty server is set up.
pub(crate) async fn found(
    client: &Client,
    prefix: &KeyPrefix,
    partitions: &[Partition],
) -> Result<Vec<(Fence, Counters)>, OpenError> {
    let wanted = u16::try_from(partitions.len()).unwrap_or(u16::MAX);
    let layout = layout(client, prefix, wanted).boxed().await?;
    let known = partitions.iter().zip(&layout.tags);
    let found = known.map(|(known, tag)| {
        let keys = PartitionKeys::new(prefix, tag);
        async move {
            if keys.fence.as_str() != known.keys.fence.as_str() {
                return Err(OpenError::Damaged {
                    detail: format!("partition {} is at other keys than before", known.number),
                });
            }
            partition(client, wanted, &keys).await
        }
        .boxed()
    });
    try_join_all(found).await
}

/// What the servers cannot keep. What cannot work at all is an error whatever the strictness.
fn examine(
    servers: &[ServerFacts],
    options: &RedisStoreOptions,
) -> Result<Vec<Warning>, OpenError> {
    let mut warnings: Vec<Warning> = Vec::new();
    for server in servers {
        if let Some(version) = server.version()
            && version < Version::OLDEST
        {
            return Err(OpenError::TooOld { version });
        }
        if server.role() == Some(Role::Replica) {
            return Err(OpenError::ReadOnlyReplica);
        }
        let found = eviction(server)
            .into_iter()
            .chain(persistence(server, options.durability));
        for warning in found {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    match (options.strictness, warnings.first()) {
        (Strictness::Refuse, Some(first)) => Err(OpenError::NotDurable(first.clone())),
        _ => Ok(warnings),
    }
}

fn eviction(server: &ServerFacts) -> Option<Warning> {
    let policy = server
        .eviction_policy()
        .filter(|policy| *policy != "noeviction")?;
    let text = format!(
        "the server evicts keys when memory is full (maxmemory-policy {policy}); set it to noeviction"
    );
    Some(Warning::new("durability.eviction", text))
}

fn persistence(server: &ServerFacts, tier: Durability) -> Option<Warning> {
    let persistence = server.persistence();
    let log = persistence.append_only();
    let fsync = persistence.append_fsync();
    match tier {
        Durability::Memory => None,
        Durability::Fsync1s | Durability::FsyncAlways if log == Some(false) => Some(Warning::new(
            "durability.no_log",
            format!(
                "the tier {} needs the append-only file; set appendonly to yes",
                tier.as_str()
            ),
        )),
        Durability::Fsync1s if fsync == Some(AppendFsync::No) => Some(Warning::new(
            "durability.fsync",
            "the server leaves syncing to the operating system; set appendfsync to everysec",
        )),
        Durability::FsyncAlways if fsync.is_some_and(|fsync| fsync != AppendFsync::Always) => {
            Some(Warning::new(
                "durability.fsync",
                "the server acknowledges writes before they are on disk; set appendfsync to always",
            ))
        }
        Durability::Replicated { replicas, .. } if server.is_told() => {
            let online = server
                .replicas()
                .iter()
                .filter(|replica| replica.is_online())
                .count();
            let short = u32::try_from(online).unwrap_or(u32::MAX) < replicas;
            short.then(|| {
                Warning::new(
                    "durability.replicas",
                    format!("{online} replicas follow, {replicas} are needed to confirm a write"),
                )
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(info: &str) -> Result<Vec<Warning>, OpenError> {
        let options = RedisStoreOptions::default().durability(Durability::Memory, Strictness::Warn);
        examine(&[ServerFacts::of_info(info)], &options)
    }

    #[test]
    fn versions_are_judged_by_what_the_server_tells() {
        for (version, too_old) in [
            ("6.2.14", true),
            ("5.0.0", true),
            ("7.0.0", false),
            ("7.4.1", false),
            ("8.0.0", false),
        ] {
            let told = judged(&format!("redis_version:{version}\r\nrole:master\r\n"));
            let error = told.err();
            assert_eq!(error.is_some(), too_old, "{version}");
            if let Some(error) = error {
                assert_eq!(error.code(), "open.too_old");
                let text = error.to_string();
                assert!(text.contains(version) && text.contains("7.0"), "{text}");
            }
        }
        // A server that may not be asked is taken as right.
        assert!(judged("").is_ok_and(|warnings| warnings.is_empty()));
    }

    #[test]
    fn a_replica_is_refused_and_an_evicting_server_is_warned_of() {
        let replica = judged("redis_version:7.2.0\r\nrole:slave\r\n");
        assert!(matches!(replica, Err(OpenError::ReadOnlyReplica)));
        let info = "redis_version:7.2.0\r\nrole:master\r\nmaxmemory_policy:volatile-ttl\r\n";
        let warnings = judged(info).unwrap_or_default();
        let codes: Vec<_> = warnings.iter().map(Warning::code).collect();
        assert_eq!(codes, ["durability.eviction"]);
    }
}
