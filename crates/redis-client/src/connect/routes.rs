//! From a slot to a server, in every topology.

use std::sync::Arc;

use redis::RedisError;

use crate::{
    config::{Address, Config, Topology},
    connect::{
        cluster::Cluster,
        manager::{Dialer, NodeManager},
        node::{Node, PoolStatus},
        sentinel::Sentinels,
        slots::redirection,
    },
    error::ClientError,
    operation::Operation,
    signal::Signal,
};

/// The servers of a client.
#[derive(Debug)]
pub(crate) enum Routes {
    /// One server, or one master that sentinels name.
    One { node: Arc<Node>, watched: bool },
    /// A cluster.
    Cluster(Box<Cluster>),
}

/// What to do after an error, as far as the way to the server is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Detour {
    /// The same way again.
    None,
    /// There is a new way; it can be tried at once.
    NewRoute,
    /// This once to another node.
    AskAt(Address),
}

impl Routes {
    pub(crate) fn open(config: &Config) -> Result<Self, RedisError> {
        let dialer = Dialer::new(config);
        match &config.topology {
            Topology::Cluster => Ok(Self::Cluster(Box::new(Cluster::new(config, dialer)))),
            Topology::Sentinel { master } => {
                let sentinels = Sentinels::new(
                    config.addresses.clone(),
                    master.clone(),
                    Dialer::for_sentinels(config),
                );
                let manager = NodeManager::master_of(dialer, sentinels, config.recycle)?;
                let node = Node::new(config, None, manager)?;
                Ok(Self::One {
                    node,
                    watched: true,
                })
            }
            Topology::Standalone => {
                let address = config.addresses[0].clone();
                let manager = NodeManager::fixed(dialer, address.clone(), config.recycle)?;
                let node = Node::new(config, Some(address), manager)?;
                Ok(Self::One {
                    node,
                    watched: false,
                })
            }
        }
    }

    /// The node that serves a slot. `None` is any primary.
    pub(crate) async fn node(
        &self,
        slot: Option<u16>,
        operation: Operation,
    ) -> Result<Arc<Node>, ClientError> {
        match self {
            Self::One { node, .. } => Ok(Arc::clone(node)),
            Self::Cluster(cluster) => cluster.node(slot, operation).await,
        }
    }

    pub(crate) fn node_at(
        &self,
        address: &Address,
        operation: Operation,
    ) -> Result<Arc<Node>, ClientError> {
        match self {
            Self::One { node, .. } => Ok(Arc::clone(node)),
            Self::Cluster(cluster) => cluster.node_at(address, operation),
        }
    }

    /// Every server that takes writes.
    pub(crate) async fn primaries(
        &self,
        operation: Operation,
    ) -> Result<Vec<Arc<Node>>, ClientError> {
        match self {
            Self::One { node, .. } => Ok(vec![Arc::clone(node)]),
            Self::Cluster(cluster) => cluster.primaries(operation).await,
        }
    }

    /// Learns from an error of a node.
    pub(crate) fn learn(&self, node: &Node, error: &ClientError) -> Detour {
        match self {
            Self::One { node, watched } => {
                // The master changed: every connection leads to the old one.
                if *watched && matches!(error.signal(), Signal::ReadOnly | Signal::MasterDown) {
                    node.retire_all();
                }
                Detour::None
            }
            Self::Cluster(cluster) => match error.signal() {
                Signal::Moved => {
                    let Some((slot, to)) = redirected(node, error) else {
                        cluster.mark_stale();
                        return Detour::None;
                    };
                    cluster.moved(slot, to);
                    Detour::NewRoute
                }
                Signal::Ask => {
                    redirected(node, error).map_or(Detour::None, |(_, to)| Detour::AskAt(to))
                }
                Signal::ReadOnly
                | Signal::MasterDown
                | Signal::ClusterDown
                | Signal::ConnectionLost
                | Signal::ConnectFailed
                | Signal::ConnectTimeout
                | Signal::ResponseTimeout => {
                    cluster.mark_stale();
                    Detour::None
                }
                _ => Detour::None,
            },
        }
    }

    pub(crate) fn pool_status(&self) -> PoolStatus {
        match self {
            Self::One { node, .. } => node.status(),
            Self::Cluster(cluster) => {
                let nodes = cluster.nodes();
                nodes
                    .iter()
                    .map(|node| node.status())
                    .fold(PoolStatus::default(), PoolStatus::plus)
            }
        }
    }

    pub(crate) fn close(&self) {
        match self {
            Self::One { node, .. } => node.close(),
            Self::Cluster(cluster) => cluster.close(),
        }
    }
}

fn redirected(node: &Node, error: &ClientError) -> Option<(u16, Address)> {
    redirection(error.driver_error()?.detail()?, node.address()?)
}
