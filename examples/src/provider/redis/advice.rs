//! What to do about a store that does not open.

use std::{error::Error, fmt::Write as _};

use governance_redis::OpenError;
use redis_client::{Address, ClientError, Config, ConfigError, Problem, Signal, Topology, redis};

use crate::provider::CannotOpen;

/// Knows what was asked for, and so what to change.
#[derive(Debug)]
pub(super) struct Advice {
    servers: String,
    first: Option<Address>,
    topology: Topology,
    key_prefix: String,
}

impl Advice {
    pub(super) fn new(config: &Config, key_prefix: &str) -> Self {
        let servers: Vec<String> = config.addresses().iter().map(ToString::to_string).collect();
        Self {
            servers: servers.join(", "),
            first: config.addresses().first().cloned(),
            topology: config.topology().clone(),
            key_prefix: key_prefix.to_owned(),
        }
    }

    /// About a configuration that says nothing, or nonsense.
    pub(super) fn about_config(error: &ConfigError, by_option: bool) -> CannotOpen {
        let address = if by_option {
            "--redis-url"
        } else {
            "REDIS_ADDR"
        };
        let lines: Vec<String> = error
            .problems()
            .iter()
            .map(|problem| match (problem.setting(), problem.problem()) {
                ("ADDR", Problem::Missing) => {
                    "no server is named: add --redis-url redis://localhost:6379, or set REDIS_ADDR"
                        .to_owned()
                }
                ("ADDR", Problem::NotAnAddress) => format!(
                    "{address} is not an address: write redis://[USER:PASSWORD@]HOST[:PORT], or \
                     HOST:PORT"
                ),
                ("ADDR", Problem::Contradiction) => format!(
                    "{address} names several servers that do not go together: add --cluster for \
                     nodes of a cluster or --sentinel-master NAME for sentinels, and one scheme \
                     for all"
                ),
                ("TLS", Problem::FeatureMissing) => {
                    "TLS is not built in: build with --features tls".to_owned()
                }
                ("DB", Problem::Contradiction) => {
                    "a cluster has no databases but 0: leave the number out of the address"
                        .to_owned()
                }
                _ => problem.to_string(),
            })
            .collect();
        CannotOpen(lines.join("; "))
    }

    /// About a store that does not open.
    pub(super) fn about(&self, error: &OpenError) -> CannotOpen {
        let prefix = &self.key_prefix;
        CannotOpen(match error {
            OpenError::Client(client) => self.about_client(client),
            OpenError::Build(build) => match build.client_error() {
                Some(client) => self.about_client(client),
                None => chain(build),
            },
            OpenError::InvalidPartitions { .. } => format!("--partitions: {error}"),
            OpenError::InvalidPrefix(problem) => format!("--key-prefix: {problem}"),
            OpenError::OtherPartitions { stored, wanted } => format!(
                "the store under the key prefix {prefix} has {stored} partitions, not {wanted}: \
                 add --partitions {stored}, or name another --key-prefix"
            ),
            other => format!("{} ({})", chain(other), other.code()),
        })
    }

    fn about_client(&self, error: &ClientError) -> String {
        let servers = &self.servers;
        // What a server answers while a connection is made repeats nothing it was sent.
        let said = error
            .driver_error()
            .filter(|error| error.kind() != redis::ErrorKind::Io)
            .and_then(redis::RedisError::detail);
        let what = match (&self.topology, error.signal()) {
            (_, Signal::LoginFailed) => format!(
                "{servers} refuses the login: put the password into the address, \
                 redis://USER:PASSWORD@HOST:PORT, or into REDIS_PASSWORD"
            ),
            (_, Signal::NotPermitted) => format!(
                "the user may not do what a store does at {servers}: give it the keys \
                 {}:* and the commands it needs",
                self.key_prefix
            ),
            (
                Topology::Sentinel { master },
                Signal::MasterUnknown | Signal::NotASentinel | Signal::ConnectFailed,
            ) => format!(
                "no sentinel at {servers} knows a master {master:?} that serves: are these \
                 sentinels, and is that its name?"
            ),
            (Topology::Cluster, Signal::NotACluster) => format!(
                "{servers} is no node of a cluster: leave --cluster out if this is one server"
            ),
            (
                Topology::Cluster,
                Signal::SlotUnserved
                | Signal::ClusterDown
                | Signal::ConnectFailed
                | Signal::ServerError,
            ) => format!(
                "no cluster serves at {servers}: start it, or leave --cluster out if this is one \
                 server"
            ),
            (Topology::Standalone, Signal::Moved | Signal::ClusterDown) => {
                format!("{servers} is a node of a cluster: add --cluster")
            }
            (Topology::Standalone, Signal::CommandUnknown) => format!(
                "{servers} does not know what a Redis server knows: if it is a sentinel, add \
                 --sentinel-master NAME"
            ),
            (_, Signal::ConnectFailed) if said.is_some() => format!(
                "{servers} refuses the connection: {}",
                said.unwrap_or_default()
            ),
            (_, Signal::ConnectFailed | Signal::ConnectTimeout) => {
                let port = self.first.as_ref().and_then(Address::port).unwrap_or(6379);
                format!(
                    "no server answers at {servers}: start one, for example by `redis-server \
                     --port {port}`, or name another by --redis-url"
                )
            }
            (_, Signal::ResponseTimeout | Signal::ConnectionLost) => {
                format!("the server at {servers} took the connection but does not answer")
            }
            (_, signal) => format!("the server at {servers} cannot be used: {signal}"),
        };
        format!("{what} ({})", error.code())
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a text cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
