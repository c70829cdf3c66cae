//! Makes and checks the connections to one server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use redis::{
    AsyncConnectionConfig, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind,
    RedisConnectionInfo, RedisError, aio::MultiplexedConnection,
};

use crate::{
    config::{Address, Config, Protocol, Recycle, Secret, Tls},
    connect::sentinel::Sentinels,
};

/// What is the same for all connections of a client.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    username: Option<String>,
    password: Option<Secret>,
    database: u32,
    tls: Option<Tls>,
    protocol: Protocol,
    client_name: String,
    dial_timeout: Duration,
    response_timeout: Duration,
}

impl Dialer {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            username: config.username.clone(),
            password: config.password.clone(),
            database: config.database,
            tls: config.tls.clone(),
            protocol: config.protocol,
            client_name: config.client_name.clone(),
            dial_timeout: config.dial_timeout,
            response_timeout: config.read_timeout.max(config.write_timeout),
        }
    }

    /// The same with the login of the sentinels, who have no databases.
    pub(crate) fn for_sentinels(config: &Config) -> Self {
        Self {
            username: config.sentinel_username.clone(),
            password: config.sentinel_password.clone(),
            database: 0,
            ..Self::new(config)
        }
    }

    /// Connects and logs in, within the dial timeout.
    pub(crate) async fn dial(&self, address: &Address) -> Result<NodeConnection, RedisError> {
        let health = Arc::new(Health::default());
        let config = self.driver_config(&health);
        let manager = deadpool_redis::Manager::new_with_config(self.info(address)?, config)?;
        let mut connection = managed::Manager::create(&manager).await?;
        let mut name = redis::cmd("CLIENT");
        name.arg("SETNAME").arg(&self.client_name);
        match name.query_async::<()>(&mut connection).await {
            Ok(()) => {}
            // A name is a convenience; a user who may not set one still gets a connection.
            Err(error) if error.code() == Some("NOPERM") => {}
            Err(error) => return Err(error),
        }
        Ok(NodeConnection { connection, health })
    }

    fn driver_config(&self, health: &Arc<Health>) -> AsyncConnectionConfig {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.dial_timeout))
            .set_response_timeout(Some(self.response_timeout));
        match self.protocol {
            Protocol::Resp2 => config,
            Protocol::Resp3 => {
                let health = Arc::clone(health);
                config.set_push_sender(move |push: PushInfo| {
                    if push.kind == PushKind::Disconnection {
                        health.mark_broken();
                    }
                    Ok::<(), ()>(())
                })
            }
        }
    }

    fn info(&self, address: &Address) -> Result<ConnectionInfo, RedisError> {
        let mut login = RedisConnectionInfo::default()
            .set_db(self.database.into())
            .set_protocol(match self.protocol {
                Protocol::Resp3 => ProtocolVersion::RESP3,
                Protocol::Resp2 => ProtocolVersion::RESP2,
            })
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        if let Some(username) = &self.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.reveal());
        }
        let info = address
            .to_driver(self.tls.is_some())
            .into_connection_info()?;
        self.with_roots(info.set_redis_settings(login))
    }

    #[cfg(feature = "tls")]
    fn with_roots(&self, info: ConnectionInfo) -> Result<ConnectionInfo, RedisError> {
        let Some(pem) = self.tls.as_ref().and_then(|tls| tls.ca_pem.clone()) else {
            return Ok(info);
        };
        let certificates = redis::TlsCertificates {
            client_tls: None,
            root_cert: Some(pem),
        };
        let client = redis::Client::build_with_tls(info, certificates)?;
        Ok(client.get_connection_info().clone())
    }

    #[cfg(not(feature = "tls"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the same signature as with the feature"
    )]
    fn with_roots(&self, info: ConnectionInfo) -> Result<ConnectionInfo, RedisError> {
        Ok(info)
    }
}

/// What was seen on a connection.
#[derive(Debug, Default)]
pub(crate) struct Health {
    broken: AtomicBool,
    timeouts_in_a_row: AtomicU32,
}

impl Health {
    /// So many answers in a row that did not come mean that the connection is dead or stuck.
    const TIMEOUTS: u32 = 3;

    pub(crate) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(crate) fn answered(&self) {
        // Nearly always zero already: do not write to a line that all callers share.
        if self.timeouts_in_a_row.load(Ordering::Relaxed) != 0 {
            self.timeouts_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn timed_out(&self) {
        if self.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= Self::TIMEOUTS {
            self.mark_broken();
        }
    }
}

/// A connection to one server.
#[derive(Debug)]
pub(crate) struct NodeConnection {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) health: Arc<Health>,
}

/// Makes and recycles the connections of one pool.
#[derive(Debug)]
pub(crate) struct NodeManager {
    dialer: Dialer,
    target: Target,
    recycle: Recycle,
    stock: deadpool_redis::Manager,
}

/// Where connections go.
#[derive(Debug)]
enum Target {
    Fixed(Address),
    MasterOf(Sentinels),
}

impl NodeManager {
    pub(crate) fn fixed(
        dialer: Dialer,
        address: Address,
        recycle: Recycle,
    ) -> Result<Self, RedisError> {
        Ok(Self {
            stock: deadpool_redis::Manager::new(dialer.info(&address)?)?,
            target: Target::Fixed(address),
            dialer,
            recycle,
        })
    }

    pub(crate) fn master_of(
        dialer: Dialer,
        sentinels: Sentinels,
        recycle: Recycle,
    ) -> Result<Self, RedisError> {
        Ok(Self {
            stock: deadpool_redis::Manager::new(dialer.info(sentinels.first())?)?,
            target: Target::MasterOf(sentinels),
            dialer,
            recycle,
        })
    }

    /// How long making a connection may take at worst.
    pub(crate) fn create_timeout(&self) -> Duration {
        match &self.target {
            Target::Fixed(_) => self.dialer.dial_timeout,
            Target::MasterOf(sentinels) => self.dialer.dial_timeout * (sentinels.count() + 1),
        }
    }
}

impl managed::Manager for NodeManager {
    type Type = NodeConnection;
    type Error = RedisError;

    async fn create(&self) -> Result<NodeConnection, RedisError> {
        match &self.target {
            Target::Fixed(address) => self.dialer.dial(address).await,
            Target::MasterOf(sentinels) => sentinels.dial_master(&self.dialer).await,
        }
    }

    async fn recycle(
        &self,
        node: &mut NodeConnection,
        metrics: &Metrics,
    ) -> RecycleResult<RedisError> {
        if node.health.is_broken() {
            return Err(RecycleError::message("the connection is broken"));
        }
        let check = match self.recycle {
            Recycle::Always => true,
            Recycle::AfterIdle(idle) => metrics.last_used() >= idle,
            Recycle::Never => false,
        };
        if !check {
            return Ok(());
        }
        match &self.target {
            Target::Fixed(_) => self.stock.recycle(&mut node.connection, metrics).await,
            Target::MasterOf(_) if is_master(&mut node.connection).await? => Ok(()),
            Target::MasterOf(_) => Err(RecycleError::message("the server is no longer the master")),
        }
    }
}

/// Whether a server says it is a master.
pub(crate) async fn is_master(connection: &mut MultiplexedConnection) -> Result<bool, RedisError> {
    let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(connection).await?;
    let name: Option<String> = match role.into_iter().next() {
        Some(first) => Some(redis::from_redis_value(first)?),
        None => None,
    };
    Ok(name.as_deref() == Some("master"))
}
