//! Builds a configuration and judges it as a whole.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    config::{
        Address, Config, ConfigError, ConfigProblem, InstanceName, Problem, Protocol, Recycle,
        SETTINGS, Secret, Tls, Topology,
        address::{self, Written},
        parse::DAY,
    },
    key::KeyPrefix,
};

/// Builds a [`Config`]. Everything but an address has a default; problems are reported together.
#[derive(Debug, Clone, Default)]
#[must_use = "a builder makes a configuration only when built"]
pub struct ConfigBuilder {
    name: InstanceName,
    addresses: Vec<Address>,
    scheme_tls: Option<bool>,
    username: Option<String>,
    password: Option<Secret>,
    database: Option<u32>,
    tls: Option<bool>,
    ca_pem: Option<Vec<u8>>,
    sentinel_master: Option<String>,
    sentinel_username: Option<String>,
    sentinel_password: Option<Secret>,
    cluster: bool,
    protocol: Option<Protocol>,
    client_name: Option<String>,
    dial_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    retry_timeout: Option<Duration>,
    pool_size: Option<usize>,
    pool_wait_timeout: Option<Duration>,
    recycle: Option<Recycle>,
    shared_connections: Option<usize>,
    is_shared: bool,
    ping_on_build: bool,
    ping_timeout: Option<Duration>,
    close_timeout: Option<Duration>,
    health_timeout: Option<Duration>,
    health_cache_for: Option<Duration>,
    health_slow: Option<Duration>,
    key_prefix: KeyPrefix,
    problems: Vec<(&'static str, Problem)>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)+) => {
        impl ConfigBuilder {
            $($(#[$doc])*
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = Some($name);
                self
            })+
        }
    };
}

setters! {
    /// TLS, if the scheme of the address does not say.
    tls: bool,
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
    /// What the pool does before it hands out a used connection.
    recycle: Recycle,
    /// How many connections ordinary commands share; 0 is a checkout per command.
    shared_connections: usize,
    /// How long the ping on build may take.
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

impl ConfigBuilder {
    /// Names the instance.
    pub fn named(mut self, name: InstanceName) -> Self {
        self.name = name;
        self
    }

    /// Adds an address: `host:port`, `redis://`, `rediss://` or `unix://`.
    ///
    /// One server, some sentinels or some nodes of a cluster. Credentials and database may stand in
    /// the address or be set apart, not both.
    pub fn address<T: AsRef<str>>(self, address: T) -> Self {
        match address::parse(address.as_ref().trim()) {
            Ok(written) => self.add(written),
            Err(problem) => self.problem("ADDR", problem),
        }
    }

    fn add(mut self, written: Written) -> Self {
        if self.scheme_tls.is_some_and(|tls| tls != written.tls) {
            self = self.problem("ADDR", Problem::Contradiction);
        }
        self.scheme_tls = Some(self.scheme_tls.unwrap_or(written.tls));
        if !self.addresses.contains(&written.address) {
            self.addresses.push(written.address);
        }
        if let Some(username) = written.username {
            self = self.username(username);
        }
        if let Some(password) = written.password {
            self = self.password(password);
        }
        if let Some(database) = written.database {
            self = self.database(database);
        }
        self
    }

    /// The user of the access list.
    pub fn username(self, username: impl Into<String>) -> Self {
        let username = username.into();
        self.once("USERNAME", username, |this| &mut this.username)
    }

    /// The password.
    pub fn password(self, password: impl Into<Secret>) -> Self {
        self.once("PASSWORD", password.into(), |this| &mut this.password)
    }

    pub(super) fn password_from_file(self, password: &str) -> Self {
        self.once("PASSWORD_FILE", password.into(), |this| &mut this.password)
    }

    /// The database.
    pub fn database(self, database: u32) -> Self {
        self.once("DB", database, |this| &mut this.database)
    }

    /// Sets a value that may be set once, or again to the same.
    fn once<T: PartialEq>(
        mut self,
        setting: &'static str,
        value: T,
        slot: impl FnOnce(&mut Self) -> &mut Option<T>,
    ) -> Self {
        let slot = slot(&mut self);
        let differs = slot.as_ref().is_some_and(|set| *set != value);
        *slot = Some(value);
        if differs {
            return self.problem(setting, Problem::SetTwice);
        }
        self
    }

    /// Trusts these PEM certificates instead of the platform's roots.
    pub fn tls_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// The addresses are sentinels that watch a master of this name.
    pub fn sentinel_master(mut self, master: impl Into<String>) -> Self {
        self.sentinel_master = Some(master.into());
        self
    }

    /// The user at the sentinels.
    pub fn sentinel_username(mut self, username: impl Into<String>) -> Self {
        self.sentinel_username = Some(username.into());
        self
    }

    /// The password at the sentinels.
    pub fn sentinel_password(mut self, password: impl Into<Secret>) -> Self {
        self.sentinel_password = Some(password.into());
        self
    }

    /// The addresses are nodes of a cluster.
    pub const fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// The name of the connections on the server.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.client_name = Some(name.into());
        self
    }

    /// Whether building a client includes a ping.
    pub const fn ping_on_build(mut self, ping: bool) -> Self {
        self.ping_on_build = ping;
        self
    }

    /// The prefix of every key.
    pub fn key_prefix(mut self, prefix: impl AsRef<str>) -> Self {
        match KeyPrefix::new(prefix.as_ref()) {
            Ok(prefix) => {
                self.key_prefix = prefix;
                self
            }
            Err(problem) => self.problem("KEY_PREFIX", Problem::Prefix(problem)),
        }
    }

    pub(super) fn problem(mut self, setting: &'static str, problem: Problem) -> Self {
        if !self.problems.contains(&(setting, problem)) {
            self.problems.push((setting, problem));
        }
        self
    }

    /// There have to be shared connections, as many as is usual.
    pub(super) const fn shared(mut self) -> Self {
        self.is_shared = true;
        self
    }

    pub(super) const fn instance(&self) -> &InstanceName {
        &self.name
    }

    /// Checks everything and makes the configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with everything that is wrong.
    pub fn build(mut self) -> Result<Config, ConfigError> {
        let mut check = Check(std::mem::take(&mut self.problems));
        let topology = self.topology(&mut check);
        let tls = self.tls_settings(&mut check);
        // Without a password there is no login, and a user that is named would not be used.
        check.that(
            self.username.is_none()
                || self.password.is_some()
                || check.has("PASSWORD")
                || check.has("PASSWORD_FILE"),
            "PASSWORD",
            Problem::Missing,
        );
        check.that(
            self.sentinel_username.is_none()
                || self.sentinel_password.is_some()
                || check.has("SENTINEL_USERNAME")
                || check.has("SENTINEL_PASSWORD"),
            "SENTINEL_PASSWORD",
            Problem::Missing,
        );
        let database = self.database.unwrap_or_default();
        check.that(database <= 65_535, "DB", Problem::OutOfBounds);
        let pool_size = self.pool_size.unwrap_or(16);
        let shared_connections = self.shared_connections.unwrap_or(2.min(pool_size / 2));
        check.that(
            (1..=1024).contains(&pool_size),
            "POOL_SIZE",
            Problem::OutOfBounds,
        );
        check.that(shared_connections <= 16, "CONNECTION", Problem::OutOfBounds);
        check.that(
            shared_connections < pool_size && (shared_connections > 0 || !self.is_shared),
            "CONNECTION",
            Problem::Contradiction,
        );
        let client_name = self.client_name.unwrap_or_else(|| self.name.to_string());
        // The server refuses blanks and line ends in names of clients.
        let plain = client_name.len() <= 128 && client_name.bytes().all(|b| b.is_ascii_graphic());
        check.that(
            plain && !client_name.is_empty(),
            "CLIENT_NAME",
            Problem::NotAChoice,
        );
        let recycle = self.recycle.unwrap_or(Recycle::Always);
        if let Recycle::AfterIdle(idle) = recycle {
            check.that(WAIT.contains(&idle), "POOL_RECYCLE", Problem::OutOfBounds);
        }
        let mut time = |setting, value: Option<Duration>, default, bounds: Bounds| {
            let value = value.unwrap_or(Duration::from_millis(default));
            check.that(bounds.contains(&value), setting, Problem::OutOfBounds);
            value
        };
        let config = Config {
            topology,
            addresses: self.addresses,
            username: self.username,
            password: self.password,
            database,
            tls,
            sentinel_username: self.sentinel_username,
            sentinel_password: self.sentinel_password,
            protocol: self.protocol.unwrap_or(Protocol::Resp3),
            client_name,
            dial_timeout: time("DIAL_TIMEOUT", self.dial_timeout, 1_000, WAIT),
            read_timeout: time("READ_TIMEOUT", self.read_timeout, 500, WAIT),
            write_timeout: time("WRITE_TIMEOUT", self.write_timeout, 500, WAIT),
            retry_timeout: time("RETRY_TIMEOUT", self.retry_timeout, 2_000, OR_ZERO),
            pool_size,
            pool_wait_timeout: time("POOL_WAIT_TIMEOUT", self.pool_wait_timeout, 1_000, WAIT),
            shared_connections,
            recycle,
            ping_on_build: self.ping_on_build,
            ping_timeout: time("PING_TIMEOUT", self.ping_timeout, 1_000, WAIT),
            close_timeout: time("CLOSE_TIMEOUT", self.close_timeout, 5_000, WAIT),
            health_timeout: time("HEALTH_TIMEOUT", self.health_timeout, 1_000, WAIT),
            health_cache_for: time("HEALTH_CACHE_FOR", self.health_cache_for, 1_000, OR_ZERO),
            health_slow: time("HEALTH_SLOW", self.health_slow, 100, WAIT),
            key_prefix: self.key_prefix,
            name: self.name,
        };
        check.finish(config)
    }

    fn topology(&mut self, check: &mut Check) -> Topology {
        let named_badly = check.has("ADDR");
        check.that(
            named_badly || !self.addresses.is_empty(),
            "ADDR",
            Problem::Missing,
        );
        let topology = match (self.cluster, self.sentinel_master.take()) {
            (true, Some(_)) => {
                check.that(false, "CLUSTER", Problem::Contradiction);
                Topology::Cluster
            }
            (true, None) => Topology::Cluster,
            (false, Some(master)) => Topology::Sentinel { master },
            (false, None) => Topology::Standalone,
        };
        let sockets = self
            .addresses
            .iter()
            .any(|address| address.host().is_none());
        match topology {
            Topology::Standalone => {
                check.that(self.addresses.len() <= 1, "ADDR", Problem::Contradiction);
            }
            Topology::Cluster => {
                check.that(!sockets, "ADDR", Problem::Contradiction);
                let database = self.database.unwrap_or_default();
                check.that(database == 0, "DB", Problem::Contradiction);
            }
            Topology::Sentinel { .. } => check.that(!sockets, "ADDR", Problem::Contradiction),
        }
        if !matches!(topology, Topology::Sentinel { .. }) {
            let user = self.sentinel_username.is_none();
            check.that(user, "SENTINEL_USERNAME", Problem::Contradiction);
            let password = self.sentinel_password.is_none();
            check.that(password, "SENTINEL_PASSWORD", Problem::Contradiction);
        }
        topology
    }

    fn tls_settings(&mut self, check: &mut Check) -> Option<Tls> {
        let by_scheme = self.scheme_tls.unwrap_or_default();
        let on = self.tls.unwrap_or(by_scheme);
        check.that(on || !by_scheme, "TLS", Problem::Contradiction);
        check.that(!on || cfg!(feature = "tls"), "TLS", Problem::FeatureMissing);
        if let Some(pem) = &self.ca_pem {
            check.that(on, "TLS_CA_FILE", Problem::Contradiction);
            let begins = b"-----BEGIN CERTIFICATE-----";
            let found = pem.windows(begins.len()).any(|window| window == begins);
            check.that(found, "TLS_CA_FILE", Problem::NotACertificate);
        }
        on.then(|| Tls {
            ca_pem: self.ca_pem.take(),
        })
    }
}

type Bounds = RangeInclusive<Duration>;
const WAIT: Bounds = Duration::from_millis(1)..=DAY;
const OR_ZERO: Bounds = Duration::ZERO..=DAY;

/// Collects what is wrong.
struct Check(Vec<(&'static str, Problem)>);

impl Check {
    fn has(&self, setting: &str) -> bool {
        self.0.iter().any(|(found, _)| *found == setting)
    }

    fn that(&mut self, holds: bool, setting: &'static str, problem: Problem) {
        if !holds && !self.0.contains(&(setting, problem)) {
            self.0.push((setting, problem));
        }
    }

    fn finish(mut self, config: Config) -> Result<Config, ConfigError> {
        if self.0.is_empty() {
            return Ok(config);
        }
        let place = |setting| SETTINGS.iter().position(|known| known.name() == setting);
        self.0.sort_by_key(|(setting, _)| place(*setting));
        let problems = self.0.into_iter().map(|(setting, problem)| {
            ConfigProblem::new(setting, config.name.variable(setting), problem)
        });
        Err(ConfigError::new(problems.collect()))
    }
}
