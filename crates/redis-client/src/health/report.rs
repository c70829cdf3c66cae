//! The judgement of a client's servers.

use std::{fmt, time::Duration};

use crate::{
    config::{Address, Config, Topology},
    connect::PoolStatus,
    error::ClientError,
    health::facts::{Role, ServerFacts, Version},
};

/// How well the servers serve.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// All is well.
    Up,
    /// It serves, with trouble that somebody should look at.
    Degraded,
    /// It does not serve.
    Down,
}

impl Status {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is worth a look.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WarningKind {
    /// A server cannot be reached or answers with an error.
    Unreachable,
    /// The servers answer slower than the limit.
    Slow,
    /// A server is loading its data.
    Loading,
    /// A server is a replica, which takes no writes.
    NotAMaster,
    /// A server is older than [`Version::OLDEST`].
    TooOld,
    /// A server is part of a cluster and the client is not set so, or the other way round.
    OtherTopology,
    /// The last write to the append-only file failed.
    AppendFailing,
    /// The last snapshot failed.
    SnapshotFailing,
    /// More than nine tenths of the memory limit are in use.
    MemoryNearLimit,
    /// A server evicts keys when memory is full.
    Evicting,
    /// Nothing survives a restart.
    NotPersistent,
    /// A replica does not follow.
    ReplicaBehind,
    /// The user may not ask a server about itself.
    FactsForbidden,
    /// The user may not ask a server for its settings.
    SettingsForbidden,
}

impl WarningKind {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "health.unreachable",
            Self::Slow => "health.slow",
            Self::Loading => "health.loading",
            Self::NotAMaster => "health.not_a_master",
            Self::TooOld => "health.too_old",
            Self::OtherTopology => "health.other_topology",
            Self::AppendFailing => "health.append_failing",
            Self::SnapshotFailing => "health.snapshot_failing",
            Self::MemoryNearLimit => "health.memory_near_limit",
            Self::Evicting => "health.evicting",
            Self::NotPersistent => "health.not_persistent",
            Self::ReplicaBehind => "health.replica_behind",
            Self::FactsForbidden => "health.facts_forbidden",
            Self::SettingsForbidden => "health.settings_forbidden",
        }
    }

    /// Whether it makes the status worse. What does not is a matter of what the server is for.
    #[must_use]
    pub const fn degrades(self) -> bool {
        !matches!(
            self,
            Self::Evicting
                | Self::NotPersistent
                | Self::ReplicaBehind
                | Self::FactsForbidden
                | Self::SettingsForbidden
        )
    }
}

/// Something worth a look, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    kind: WarningKind,
    server: Option<Address>,
    cause: Option<&'static str>,
}

impl Warning {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> WarningKind {
        self.kind
    }

    /// The server, where there are several.
    #[must_use]
    pub const fn server(&self) -> Option<&Address> {
        self.server.as_ref()
    }

    /// The code of the error behind it, if there was one.
    #[must_use]
    pub const fn cause(&self) -> Option<&'static str> {
        self.cause
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.code())?;
        if let Some(server) = &self.server {
            write!(f, " at {server}")?;
        }
        match self.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

/// One server in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHealth {
    address: Option<Address>,
    facts: Option<ServerFacts>,
}

impl ServerHealth {
    /// Where it is. `None` for a master that sentinels name.
    #[must_use]
    pub const fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// What it says about itself. `None` when it does not answer.
    #[must_use]
    pub const fn facts(&self) -> Option<&ServerFacts> {
        self.facts.as_ref()
    }
}

/// How the servers of a client are. Holds no secret and no text of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReport {
    status: Status,
    topology: &'static str,
    latency: Option<Duration>,
    pool: PoolStatus,
    servers: Vec<ServerHealth>,
    warnings: Vec<Warning>,
}

type Answers = Vec<(Option<Address>, Result<ServerFacts, ClientError>)>;

impl HealthReport {
    pub(crate) fn judge(
        config: &Config,
        topology: &'static str,
        latency: Option<Duration>,
        pool: PoolStatus,
        answers: Result<Answers, ClientError>,
    ) -> Self {
        let mut warnings = Vec::new();
        let mut servers = Vec::new();
        match answers {
            Err(error) => warnings.push(unreachable(None, &error)),
            Ok(answers) => {
                for (address, answer) in answers {
                    match &answer {
                        Ok(facts) => judge_server(config, address.as_ref(), facts, &mut warnings),
                        Err(error) => warnings.push(unreachable(address.clone(), error)),
                    }
                    servers.push(ServerHealth {
                        address,
                        facts: answer.ok(),
                    });
                }
            }
        }
        if latency.is_some_and(|latency| latency >= config.health_slow) {
            warnings.push(warning(WarningKind::Slow, None));
        }
        let status = if servers.iter().all(|server| server.facts.is_none()) {
            Status::Down
        } else if warnings.iter().any(|warning| warning.kind.degrades()) {
            Status::Degraded
        } else {
            Status::Up
        };
        Self {
            status,
            topology,
            latency,
            pool,
            servers,
            warnings,
        }
    }

    /// How well the servers serve.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// `standalone`, `sentinel` or `cluster`.
    #[must_use]
    pub const fn topology(&self) -> &'static str {
        self.topology
    }

    /// How long the slowest server took to answer a ping. `None` when one did not.
    #[must_use]
    pub const fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// How the pools are used.
    #[must_use]
    pub const fn pool(&self) -> PoolStatus {
        self.pool
    }

    /// Every server that takes writes, or should.
    #[must_use]
    pub fn servers(&self) -> &[ServerHealth] {
        &self.servers
    }

    /// What is worth a look.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Whether there is a warning of this kind.
    #[must_use]
    pub fn has(&self, kind: WarningKind) -> bool {
        self.warnings.iter().any(|warning| warning.kind == kind)
    }
}

fn unreachable(server: Option<Address>, error: &ClientError) -> Warning {
    Warning {
        kind: WarningKind::Unreachable,
        server,
        cause: Some(error.code()),
    }
}

const fn warning(kind: WarningKind, server: Option<Address>) -> Warning {
    Warning {
        kind,
        server,
        cause: None,
    }
}

fn judge_server(
    config: &Config,
    address: Option<&Address>,
    facts: &ServerFacts,
    warnings: &mut Vec<Warning>,
) {
    let persistence = facts.persistence();
    let clustered = matches!(config.topology, Topology::Cluster);
    let near_limit = match (facts.used_memory(), facts.max_memory()) {
        (Some(used), Some(max)) => u128::from(used) * 10 > u128::from(max) * 9,
        _ => false,
    };
    let found = [
        (WarningKind::Loading, facts.is_loading() == Some(true)),
        (WarningKind::NotAMaster, facts.role() == Some(Role::Replica)),
        (
            WarningKind::TooOld,
            facts
                .version()
                .is_some_and(|version| version < Version::OLDEST),
        ),
        (
            WarningKind::OtherTopology,
            facts
                .mode()
                .is_some_and(|mode| (mode == "cluster") != clustered || mode == "sentinel"),
        ),
        (
            WarningKind::AppendFailing,
            persistence.last_write_ok() == Some(false),
        ),
        (
            WarningKind::SnapshotFailing,
            persistence.last_save_ok() == Some(false),
        ),
        (WarningKind::MemoryNearLimit, near_limit),
        (
            WarningKind::Evicting,
            facts
                .eviction_policy()
                .is_some_and(|policy| policy != "noeviction"),
        ),
        (WarningKind::NotPersistent, persistence.is_none()),
        (
            WarningKind::ReplicaBehind,
            facts.replicas().iter().any(|replica| !replica.is_online()),
        ),
        (WarningKind::FactsForbidden, !facts.is_told()),
        (WarningKind::SettingsForbidden, !facts.are_settings_told()),
    ];
    let found = found.into_iter().filter(|(_, found)| *found);
    warnings.extend(found.map(|(kind, _)| warning(kind, address.cloned())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{operation::Operation, signal::Signal};

    fn judge(info: &str) -> HealthReport {
        let config = Config::builder().address("h:1").build().unwrap();
        let answers = Ok(vec![(None, Ok(ServerFacts::read(Some(info), None)))]);
        let latency = Some(Duration::from_millis(1));
        HealthReport::judge(
            &config,
            "standalone",
            latency,
            PoolStatus::default(),
            answers,
        )
    }

    const WELL: &str = "redis_version:7.0.15\nredis_mode:standalone\nrole:master\nloading:0\n\
        maxmemory_policy:noeviction\nused_memory:1\nmaxmemory:0\naof_enabled:1\n\
        aof_last_write_status:ok\nrdb_last_bgsave_status:ok\n";

    #[test]
    fn each_fact_has_its_warning() {
        let report = judge(WELL);
        assert_eq!(report.status(), Status::Up);
        assert!(report.has(WarningKind::SettingsForbidden));
        assert_eq!(report.warnings().len(), 1);
        for (from, to, kind, status) in [
            ("7.0.15", "6.2.0", WarningKind::TooOld, Status::Degraded),
            (
                "loading:0",
                "loading:1",
                WarningKind::Loading,
                Status::Degraded,
            ),
            (
                "role:master",
                "role:slave",
                WarningKind::NotAMaster,
                Status::Degraded,
            ),
            (
                "standalone",
                "cluster",
                WarningKind::OtherTopology,
                Status::Degraded,
            ),
            (
                "write_status:ok",
                "write_status:err",
                WarningKind::AppendFailing,
                Status::Degraded,
            ),
            (
                "bgsave_status:ok",
                "bgsave_status:err",
                WarningKind::SnapshotFailing,
                Status::Degraded,
            ),
            (
                "maxmemory:0",
                "maxmemory:1",
                WarningKind::MemoryNearLimit,
                Status::Degraded,
            ),
            (
                "noeviction",
                "allkeys-lru",
                WarningKind::Evicting,
                Status::Up,
            ),
        ] {
            let report = judge(&WELL.replace(from, to));
            assert!(report.has(kind), "{kind:?}");
            assert_eq!(report.status(), status, "{kind:?}");
        }
        assert!(judge("").has(WarningKind::FactsForbidden));
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_down() {
        let config = Config::builder().address("h:1").build().unwrap();
        let error = ClientError::new(Signal::ConnectFailed, Operation::read("health"));
        let pool = PoolStatus::default();
        let down = HealthReport::judge(&config, "standalone", None, pool, Err(error.clone()));
        assert_eq!(down.status(), Status::Down);
        assert_eq!(
            down.warnings()[0].to_string(),
            "health.unreachable (redis.connect_failed)"
        );
        let some = vec![
            (Some(Address::tcp("a", 1)), Err(error)),
            (
                Some(Address::tcp("b", 1)),
                Ok(ServerFacts::read(Some(WELL), None)),
            ),
        ];
        let partly = HealthReport::judge(&config, "cluster", None, pool, Ok(some));
        assert_eq!(partly.status(), Status::Degraded);
    }

    #[test]
    fn a_status_is_told_in_small_letters() {
        let told = [Status::Up, Status::Degraded, Status::Down].map(|s| s.to_string());
        assert_eq!(told, ["up", "degraded", "down"]);
    }
}
