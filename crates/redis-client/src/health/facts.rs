//! What a server says about itself.

use std::{collections::HashMap, fmt};

use redis::{FromRedisValue, Value};

/// The settings that are asked for.
pub(super) const SETTINGS: &[&str] = &[
    "appendfsync",
    "save",
    "min-replicas-to-write",
    "zset-max-listpack-entries",
];

/// A version: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u16, u16, u16);

impl Version {
    /// The oldest server that is supported.
    pub const OLDEST: Self = Self(7, 0, 0);

    /// A version.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self(major, minor, patch)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(str::parse);
        let major = parts.next()?.ok()?;
        let minor = parts.next()?.ok()?;
        Some(Self(
            major,
            minor,
            parts.next().and_then(Result::ok).unwrap_or_default(),
        ))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What a server is in its replication.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Master,
    /// Follows a master.
    Replica,
}

/// When the append-only file reaches the disk.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFsync {
    /// Before a write is acknowledged.
    Always,
    /// Once a second.
    EverySecond,
    /// When the operating system likes.
    No,
}

/// How a server keeps its data over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Persistence {
    aof: Option<bool>,
    fsync: Option<AppendFsync>,
    snapshots: Option<bool>,
    last_write_ok: Option<bool>,
    last_save_ok: Option<bool>,
}

impl Persistence {
    /// Whether there is an append-only file.
    #[must_use]
    pub const fn append_only(self) -> Option<bool> {
        self.aof
    }

    /// When that file reaches the disk.
    #[must_use]
    pub const fn append_fsync(self) -> Option<AppendFsync> {
        self.fsync
    }

    /// Whether snapshots are taken on their own.
    #[must_use]
    pub const fn snapshots(self) -> Option<bool> {
        self.snapshots
    }

    /// Whether the last write to the append-only file worked.
    #[must_use]
    pub const fn last_write_ok(self) -> Option<bool> {
        self.last_write_ok
    }

    /// Whether the last snapshot worked.
    #[must_use]
    pub const fn last_save_ok(self) -> Option<bool> {
        self.last_save_ok
    }

    /// Whether nothing survives a restart, as far as is known.
    #[must_use]
    pub const fn is_none(self) -> bool {
        matches!((self.aof, self.snapshots), (Some(false), Some(false)))
    }
}

/// A replica as its master sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaFacts {
    online: bool,
    lag_seconds: Option<u64>,
}

impl ReplicaFacts {
    /// Whether it follows now.
    #[must_use]
    pub const fn is_online(self) -> bool {
        self.online
    }

    /// How long ago it last confirmed.
    #[must_use]
    pub const fn lag_seconds(self) -> Option<u64> {
        self.lag_seconds
    }
}

/// What one server says about itself. `None` is what it does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerFacts {
    told: bool,
    version: Option<Version>,
    valkey: bool,
    mode: Option<String>,
    role: Option<Role>,
    loading: Option<bool>,
    eviction_policy: Option<String>,
    used_memory: Option<u64>,
    max_memory: Option<u64>,
    evicted_keys: Option<u64>,
    persistence: Persistence,
    replicas: Vec<ReplicaFacts>,
    master_link_up: Option<bool>,
    settings: HashMap<String, String>,
}

impl ServerFacts {
    /// What the text of `INFO` says, without settings.
    #[must_use]
    pub fn of_info(text: &str) -> Self {
        Self::read(Some(text), None)
    }

    pub(crate) fn read(info: Option<&str>, settings: Option<&Value>) -> Self {
        let settings = settings
            .and_then(|answer| HashMap::<String, String>::from_redis_value_ref(answer).ok())
            .unwrap_or_default();
        let lines = info.unwrap_or_default().lines();
        let info: HashMap<&str, &str> = lines.filter_map(|line| line.split_once(':')).collect();
        let text = |name: &str| info.get(name).copied();
        let number = |name: &str| text(name).and_then(|value| value.parse().ok());
        let flag = |name: &str| text(name).map(|value| value != "0");
        let ok = |name: &str| text(name).map(|value| value == "ok");
        Self {
            told: !info.is_empty(),
            version: text("redis_version").and_then(Version::parse),
            valkey: text("server_name") == Some("valkey"),
            mode: text("redis_mode")
                .or_else(|| text("server_mode"))
                .map(str::to_owned),
            role: match text("role") {
                Some("master") => Some(Role::Master),
                Some("slave" | "replica") => Some(Role::Replica),
                _ => None,
            },
            loading: flag("loading"),
            eviction_policy: text("maxmemory_policy").map(str::to_owned),
            used_memory: number("used_memory"),
            max_memory: number("maxmemory").filter(|limit| *limit > 0),
            evicted_keys: number("evicted_keys"),
            persistence: Persistence {
                aof: flag("aof_enabled"),
                fsync: match settings.get("appendfsync").map(String::as_str) {
                    Some("always") => Some(AppendFsync::Always),
                    Some("everysec") => Some(AppendFsync::EverySecond),
                    Some("no") => Some(AppendFsync::No),
                    _ => None,
                },
                snapshots: settings.get("save").map(|save| !save.is_empty()),
                last_write_ok: ok("aof_last_write_status"),
                last_save_ok: ok("rdb_last_bgsave_status"),
            },
            replicas: replicas(&info),
            master_link_up: text("master_link_status").map(|status| status == "up"),
            settings,
        }
    }

    /// Whether the server told anything: a user may be forbidden to ask.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        self.told
    }

    /// The version of Redis it is compatible with.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        self.version
    }

    /// Whether it is Valkey.
    #[must_use]
    pub const fn is_valkey(&self) -> bool {
        self.valkey
    }

    /// `standalone`, `cluster` or `sentinel`.
    #[must_use]
    pub fn mode(&self) -> Option<&str> {
        self.mode.as_deref()
    }

    /// What it is in its replication.
    #[must_use]
    pub const fn role(&self) -> Option<Role> {
        self.role
    }

    /// Whether it is loading its data.
    #[must_use]
    pub const fn is_loading(&self) -> Option<bool> {
        self.loading
    }

    /// What it does when memory is full. Anything but `noeviction` loses data in silence.
    #[must_use]
    pub fn eviction_policy(&self) -> Option<&str> {
        self.eviction_policy.as_deref()
    }

    /// Bytes in use.
    #[must_use]
    pub const fn used_memory(&self) -> Option<u64> {
        self.used_memory
    }

    /// The memory limit in bytes, if there is one.
    #[must_use]
    pub const fn max_memory(&self) -> Option<u64> {
        self.max_memory
    }

    /// Keys it has evicted since it started.
    #[must_use]
    pub const fn evicted_keys(&self) -> Option<u64> {
        self.evicted_keys
    }

    /// How it keeps its data over a restart.
    #[must_use]
    pub const fn persistence(&self) -> Persistence {
        self.persistence
    }

    /// The replicas it knows.
    #[must_use]
    pub fn replicas(&self) -> &[ReplicaFacts] {
        &self.replicas
    }

    /// For a replica, whether it reaches its master.
    #[must_use]
    pub const fn is_master_link_up(&self) -> Option<bool> {
        self.master_link_up
    }

    /// How many replicas must follow for it to take writes.
    #[must_use]
    pub fn min_replicas_to_write(&self) -> Option<u32> {
        self.settings.get("min-replicas-to-write")?.parse().ok()
    }

    /// How long a sorted set may be in its compact form.
    #[must_use]
    pub fn zset_max_listpack_entries(&self) -> Option<u64> {
        self.settings.get("zset-max-listpack-entries")?.parse().ok()
    }

    /// Whether it told its settings: a user may be forbidden to ask.
    #[must_use]
    pub fn are_settings_told(&self) -> bool {
        !self.settings.is_empty()
    }
}

/// `slave0:ip=..,port=..,state=online,offset=..,lag=0`, and so on.
fn replicas(info: &HashMap<&str, &str>) -> Vec<ReplicaFacts> {
    (0..)
        .map_while(|index| info.get(format!("slave{index}").as_str()))
        .map(|row| {
            let field = |name| {
                let mut fields = row.split(',').filter_map(|field| field.split_once('='));
                fields
                    .find(|(found, _)| *found == name)
                    .map(|(_, value)| value)
            };
            ReplicaFacts {
                online: field("state") == Some("online"),
                lag_seconds: field("lag").and_then(|lag| lag.parse().ok()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nredis_mode:cluster\r\n\
        # Memory\r\nused_memory:90\r\nmaxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n\
        # Persistence\r\nloading:0\r\naof_enabled:1\r\naof_last_write_status:err\r\n\
        rdb_last_bgsave_status:ok\r\n# Stats\r\nevicted_keys:7\r\n# Replication\r\nrole:master\r\n\
        connected_slaves:2\r\nslave0:ip=1.2.3.4,port=1,state=online,offset=5,lag=1\r\n\
        slave1:ip=1.2.3.4,port=2,state=wait_bgsave,offset=0,lag=0\r\n";

    #[test]
    fn reads_what_is_there() {
        let settings = Value::Array(
            [
                "appendfsync",
                "always",
                "save",
                "",
                "min-replicas-to-write",
                "1",
            ]
            .map(|text| Value::BulkString(text.into()))
            .to_vec(),
        );
        let facts = ServerFacts::read(Some(INFO), Some(&settings));
        assert_eq!(facts.version(), Some(Version::new(7, 2, 4)));
        assert!(facts.is_valkey() && facts.is_told() && facts.are_settings_told());
        assert_eq!(facts.mode(), Some("cluster"));
        assert_eq!(facts.role(), Some(Role::Master));
        assert_eq!(facts.is_loading(), Some(false));
        assert_eq!(facts.eviction_policy(), Some("allkeys-lru"));
        assert_eq!(
            (facts.used_memory(), facts.max_memory()),
            (Some(90), Some(100))
        );
        assert_eq!(facts.evicted_keys(), Some(7));
        let persistence = facts.persistence();
        assert_eq!(persistence.append_only(), Some(true));
        assert_eq!(persistence.append_fsync(), Some(AppendFsync::Always));
        assert_eq!(persistence.snapshots(), Some(false));
        assert_eq!(persistence.last_write_ok(), Some(false));
        assert_eq!(persistence.last_save_ok(), Some(true));
        assert!(!persistence.is_none());
        assert_eq!(facts.min_replicas_to_write(), Some(1));
        assert_eq!(facts.replicas().len(), 2);
        assert!(facts.replicas()[0].is_online() && !facts.replicas()[1].is_online());
        assert_eq!(facts.replicas()[0].lag_seconds(), Some(1));
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        let facts = ServerFacts::read(None, None);
        assert!(!facts.is_told());
        assert_eq!(facts, ServerFacts::default());
        let odd = ServerFacts::read(Some("redis_version:x\r\nrole:other\r\nmaxmemory:0"), None);
        assert_eq!(
            (odd.version(), odd.role(), odd.max_memory()),
            (None, None, None)
        );
    }
}
