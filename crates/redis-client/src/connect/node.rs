//! One server: its pool and the connections that are shared.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use deadpool::{
    Runtime,
    managed::{Object, Pool, PoolError, TimeoutType},
};
use redis::RedisError;

use crate::{
    config::{Address, Config},
    connect::{
        lane::{Lane, Lease},
        manager::NodeManager,
    },
    error::ClientError,
    operation::Operation,
    signal::{Phase, Signal, classify},
};

/// A server, or whoever is the master of a name.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where it is. A master found by sentinels has no fixed place.
    address: Option<Address>,
    pool: Pool<NodeManager>,
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

/// How a pool is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolStatus {
    max: usize,
    open: usize,
    idle: usize,
    waiting: usize,
}

impl PoolStatus {
    /// Most connections.
    #[must_use]
    pub const fn max(&self) -> usize {
        self.max
    }

    /// Open connections, shared ones included.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }

    /// Open connections nobody uses.
    #[must_use]
    pub const fn idle(&self) -> usize {
        self.idle
    }

    /// Callers that wait for a connection.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Both pools taken together.
    #[must_use]
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            max: self.max + other.max,
            open: self.open + other.open,
            idle: self.idle + other.idle,
            waiting: self.waiting + other.waiting,
        }
    }
}

impl Node {
    pub(crate) fn new(
        config: &Config,
        address: Option<Address>,
        manager: NodeManager,
    ) -> Result<Arc<Self>, RedisError> {
        let create = manager.create_timeout();
        // A check that is slower than a command may be is a failed check.
        let recycle = config.read_timeout.max(Duration::from_millis(1));
        let pool = Pool::builder(manager)
            .max_size(config.pool_size)
            .wait_timeout(Some(config.pool_wait_timeout))
            .create_timeout(Some(create))
            .recycle_timeout(Some(recycle))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| {
                RedisError::from((
                    redis::ErrorKind::InvalidClientConfig,
                    "the pool was refused",
                ))
            })?;
        Ok(Arc::new(Self {
            address,
            pool,
            lanes: (0..config.shared_connections)
                .map(|_| Lane::default())
                .collect(),
            next: AtomicUsize::new(0),
        }))
    }

    pub(crate) const fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// A connection for one command: one of the shared ones in turn, or one from the pool.
    pub(crate) async fn lease(&self, operation: Operation) -> Result<Lease, ClientError> {
        if self.lanes.is_empty() {
            return self.checkout(operation).await.map(Lease::pooled);
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let lane = &self.lanes[turn % self.lanes.len()];
        lane.lease(|| self.checkout(operation)).await
    }

    /// A connection of one's own.
    pub(crate) async fn checkout(
        &self,
        operation: Operation,
    ) -> Result<Object<NodeManager>, ClientError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => classify(error, Phase::Connect, operation),
            PoolError::Timeout(TimeoutType::Wait) => {
                ClientError::new(Signal::PoolExhausted, operation)
            }
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                ClientError::new(Signal::ConnectTimeout, operation)
            }
            // The node left the cluster; a closed client is noticed before.
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                ClientError::new(Signal::ConnectFailed, operation)
            }
        })
    }

    /// Drops every connection nobody uses, and those that are shared once their commands end.
    pub(crate) fn retire_all(&self) {
        self.pool.retain(|_, _| false);
        for lane in &self.lanes {
            lane.clear();
        }
    }

    pub(crate) fn close(&self) {
        self.pool.close();
        for lane in &self.lanes {
            lane.clear();
        }
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            max: status.max_size,
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }
}
