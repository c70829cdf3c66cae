//! Configuration: what can be set, its defaults and its bounds.

mod address;
mod builder;
mod env;
mod error;
mod name;
mod parse;
mod secret;
mod settings;

use std::{fmt, time::Duration};

pub use address::Address;
pub use builder::ConfigBuilder;
pub use env::NotUnicode;
pub use error::{ConfigError, ConfigProblem, Problem};
pub use name::{InstanceName, InvalidName};
pub use parse::duration;
pub use secret::Secret;
pub use settings::{SETTINGS, Setting};

use crate::key::KeyPrefix;

/// How the servers are arranged.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// One server.
    Standalone,
    /// A master that sentinels watch; the addresses are those of the sentinels.
    Sentinel {
        /// The name the sentinels know the master by.
        master: String,
    },
    /// A cluster; the addresses are some of its nodes.
    Cluster,
}

impl Topology {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Sentinel { .. } => "sentinel",
            Self::Cluster => "cluster",
        }
    }
}

/// What the pool does before it hands out a used connection.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recycle {
    /// Asks the server every time: one round trip per checkout, no dead connection is handed out.
    Always,
    /// Asks only after the connection was idle for this long.
    AfterIdle(Duration),
    /// Never asks: a connection that died unnoticed fails on its next command.
    Never,
}

/// The version of the wire protocol.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RESP3: a connection the server closed is noticed before the next command.
    Resp3,
    /// RESP2, for proxies that speak no other.
    Resp2,
}

/// TLS of the connections.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Tls {
    pub(crate) ca_pem: Option<Vec<u8>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = if self.ca_pem.is_some() {
            "a CA file"
        } else {
            "platform"
        };
        write!(f, "Tls(roots of {roots})")
    }
}

/// Everything a client is built from, checked.
///
/// `Debug` redacts passwords. Made by [`Config::builder`], [`Config::from_env`] or
/// [`Config::from_lookup`].
///
/// # Examples
///
/// ```
/// use redis_client::Config;
/// use std::time::Duration;
///
/// let config = Config::builder()
///     .address("localhost:6379")
///     .password("hunter2")
///     .read_timeout(Duration::from_millis(250))
///     .key_prefix("app")
///     .build()?;
/// assert!(!format!("{config:?}").contains("hunter2"));
/// # Ok::<(), redis_client::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) name: InstanceName,
    pub(crate) topology: Topology,
    pub(crate) addresses: Vec<Address>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: u32,
    pub(crate) tls: Option<Tls>,
    pub(crate) sentinel_username: Option<String>,
    pub(crate) sentinel_password: Option<Secret>,
    pub(crate) protocol: Protocol,
    pub(crate) client_name: String,
    pub(crate) dial_timeout: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) retry_timeout: Duration,
    pub(crate) pool_size: usize,
    pub(crate) pool_wait_timeout: Duration,
    pub(crate) shared_connections: usize,
    pub(crate) recycle: Recycle,
    pub(crate) ping_on_build: bool,
    pub(crate) ping_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) health_timeout: Duration,
    pub(crate) health_cache_for: Duration,
    pub(crate) health_slow: Duration,
    pub(crate) key_prefix: KeyPrefix,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)+) => {
        impl Config {
            $($(#[$doc])*
            #[must_use]
            pub const fn $name(&self) -> $type {
                self.$name
            })+
        }
    };
}

getters! {
    /// The database, 0 in a cluster.
    database: u32,
    /// The version of the wire protocol.
    protocol: Protocol,
    /// How long making a connection may take, login included.
    dial_timeout: Duration,
    /// How long the answer to a read may take.
    read_timeout: Duration,
    /// How long the answer to a write may take.
    write_timeout: Duration,
    /// How long a command that was certainly not applied is tried again.
    retry_timeout: Duration,
    /// Most connections to one server, shared ones included.
    pool_size: usize,
    /// How long a caller waits for a connection to become free.
    pool_wait_timeout: Duration,
    /// How many connections ordinary commands share; 0 is a checkout per command.
    shared_connections: usize,
    /// What the pool does before it hands out a used connection.
    recycle: Recycle,
    /// Whether building a client includes a ping.
    ping_on_build: bool,
    /// How long that ping may take.
    ping_timeout: Duration,
    /// How long closing may take.
    close_timeout: Duration,
    /// How long a health report may take.
    health_timeout: Duration,
    /// How long a health report is given out again.
    health_cache_for: Duration,
    /// From which latency on a server counts as slow.
    health_slow: Duration,
}

impl Config {
    /// Starts a configuration in code.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// The name of the instance.
    #[must_use]
    pub const fn name(&self) -> &InstanceName {
        &self.name
    }

    /// How the servers are arranged.
    #[must_use]
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The server, the sentinels, or some nodes of the cluster.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The name connections give themselves on the server.
    #[must_use]
    pub fn client_name(&self) -> &str {
        &self.client_name
    }

    /// The prefix of every key.
    #[must_use]
    pub const fn key_prefix(&self) -> &KeyPrefix {
        &self.key_prefix
    }

    /// Whether connections use TLS.
    #[must_use]
    pub const fn tls(&self) -> bool {
        self.tls.is_some()
    }
}
