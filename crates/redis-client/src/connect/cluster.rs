//! The nodes of a cluster and the way to them.
//!
//! The driver's cluster client sends a command again on its own when an answer is late, so that a
//! write can arrive several times. Here a slot leads to one node, each node has its own shared
//! connections, and what may be sent again is decided in one place for all topologies.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use redis::{ErrorKind, RedisError};
use tokio::time::Instant;

use crate::{
    config::{Address, Config},
    connect::{
        lane::Job,
        manager::{Dialer, NodeManager},
        node::Node,
        slots::SlotMap,
    },
    error::ClientError,
    operation::Operation,
    signal::{Phase, Signal, classify},
};

/// The list is not asked for more often than this.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

/// A cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    config: Config,
    dialer: Dialer,
    map: RwLock<SlotMap>,
    nodes: Mutex<Nodes>,
    /// Whether the list may be out of date.
    stale: Mutex<bool>,
    /// Held while the list is asked for; says when it last was, and what came of it.
    refreshed: tokio::sync::Mutex<Option<Refreshed>>,
}

#[derive(Debug)]
struct Refreshed {
    at: Instant,
    failure: Option<Signal>,
}

#[derive(Debug, Default)]
struct Nodes {
    by_address: HashMap<Address, Arc<Node>>,
    closed: bool,
}

impl Cluster {
    pub(crate) fn new(config: &Config, dialer: Dialer) -> Self {
        Self {
            config: config.clone(),
            dialer,
            map: RwLock::default(),
            nodes: Mutex::default(),
            stale: Mutex::new(true),
            refreshed: tokio::sync::Mutex::default(),
        }
    }

    /// The node that serves a slot, or any primary.
    pub(crate) async fn node(
        &self,
        slot: Option<u16>,
        operation: Operation,
    ) -> Result<Arc<Node>, ClientError> {
        if *self.stale.lock() {
            // Boxed: it is rare, and the path of every command stays small without it.
            Box::pin(self.refresh(operation)).await?;
        }
        let address = {
            let map = self.map.read();
            match slot {
                Some(slot) => map.primary(slot).cloned(),
                None => map.primaries().into_iter().min().cloned(),
            }
        };
        match address {
            Some(address) => self.node_at(&address, operation),
            None => {
                self.mark_stale();
                Err(ClientError::new(Signal::SlotUnserved, operation))
            }
        }
    }

    /// Every primary.
    pub(crate) async fn primaries(
        &self,
        operation: Operation,
    ) -> Result<Vec<Arc<Node>>, ClientError> {
        if *self.stale.lock() {
            // Boxed: it is rare, and the path of every command stays small without it.
            Box::pin(self.refresh(operation)).await?;
        }
        let mut addresses: Vec<_> = self.map.read().primaries().into_iter().cloned().collect();
        addresses.sort_unstable();
        let nodes = addresses
            .iter()
            .map(|address| self.node_at(address, operation));
        nodes.collect()
    }

    /// The node at an address, known or not.
    pub(crate) fn node_at(
        &self,
        address: &Address,
        operation: Operation,
    ) -> Result<Arc<Node>, ClientError> {
        let mut nodes = self.nodes.lock();
        if nodes.closed {
            return Err(ClientError::new(Signal::Closed, operation));
        }
        if let Some(node) = nodes.by_address.get(address) {
            return Ok(Arc::clone(node));
        }
        let node = self
            .open(address)
            .map_err(|error| classify(error, Phase::Connect, operation))?;
        nodes.by_address.insert(address.clone(), Arc::clone(&node));
        Ok(node)
    }

    fn open(&self, address: &Address) -> Result<Arc<Node>, RedisError> {
        let manager =
            NodeManager::fixed(self.dialer.clone(), address.clone(), self.config.recycle)?;
        Node::new(&self.config, Some(address.clone()), manager)
    }

    /// Takes note of where a slot went.
    pub(crate) fn moved(&self, slot: u16, to: Address) {
        self.map.write().record_move(slot, to);
        self.mark_stale();
    }

    /// The list may be out of date.
    pub(crate) fn mark_stale(&self) {
        *self.stale.lock() = true;
    }

    /// Asks for the list again, unless that was just done or somebody else is at it.
    async fn refresh(&self, operation: Operation) -> Result<(), ClientError> {
        let empty = self.map.read().is_empty();
        let mut last = if empty {
            // Nothing can be sent before the list is there.
            self.refreshed.lock().await
        } else {
            match self.refreshed.try_lock() {
                Ok(last) => last,
                // Somebody asks already; what is known will do meanwhile.
                Err(_) => return Ok(()),
            }
        };
        let just_now = last
            .as_ref()
            .filter(|last| last.at.elapsed() < REFRESH_PAUSE);
        if let Some(last) = just_now {
            // Without a list, why there is none says more than that nobody serves the slot.
            return match last.failure {
                Some(signal) if self.map.read().is_empty() => {
                    Err(ClientError::new(signal, operation))
                }
                _ => Ok(()),
            };
        }
        if !*self.stale.lock() {
            return Ok(());
        }
        let at = Instant::now();
        let fetched = self.fetch(operation).await;
        let failure = fetched.as_ref().err().map(ClientError::signal);
        *last = Some(Refreshed { at, failure });
        match fetched {
            Ok(map) => {
                self.adopt(map);
                Ok(())
            }
            // An old list may still be good for this slot.
            Err(_) if !empty => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks one node after the other until one knows.
    async fn fetch(&self, operation: Operation) -> Result<SlotMap, ClientError> {
        let mut candidates: Vec<Address> = {
            let map = self.map.read();
            map.primaries().into_iter().cloned().collect()
        };
        candidates.extend(self.config.addresses.iter().cloned());
        let mut question = redis::cmd("CLUSTER");
        question.arg("SLOTS");
        let mut error = ClientError::new(Signal::SlotUnserved, operation);
        for address in candidates {
            match self.ask(&address, &question, operation).await {
                Ok(map) if !map.is_empty() => return Ok(map),
                // A node that was reset knows of no slots.
                Ok(_) => {}
                Err(failed) if failed.signal() == Signal::Closed => return Err(failed),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    async fn ask(
        &self,
        address: &Address,
        question: &redis::Cmd,
        operation: Operation,
    ) -> Result<SlotMap, ClientError> {
        let node = self.node_at(address, operation)?;
        let lease = node.lease(operation).await?;
        let timeout = self.config.read_timeout;
        let answers = lease.send(Job::Command(question), false, timeout).await;
        let map = answers.and_then(|answers| {
            let answer = answers.into_iter().next().ok_or_else(|| {
                RedisError::from((
                    ErrorKind::UnexpectedReturnType,
                    "no answer to CLUSTER SLOTS",
                ))
            })?;
            SlotMap::read(answer.extract_error()?, address)
        });
        // Nothing of the caller's was sent, whatever happened.
        map.map_err(|error| classify(error, Phase::Connect, operation))
    }

    fn adopt(&self, map: SlotMap) {
        let gone: Vec<_> = {
            let mut nodes = self.nodes.lock();
            let known = map.primaries();
            let gone = nodes
                .by_address
                .keys()
                .filter(|address| !known.contains(address));
            let gone: Vec<_> = gone.cloned().collect();
            gone.iter()
                .filter_map(|address| nodes.by_address.remove(address))
                .collect()
        };
        *self.map.write() = map;
        *self.stale.lock() = false;
        for node in gone {
            node.close();
        }
    }

    pub(crate) fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.lock().by_address.values().cloned().collect()
    }

    pub(crate) fn close(&self) {
        let nodes = {
            let mut nodes = self.nodes.lock();
            nodes.closed = true;
            std::mem::take(&mut nodes.by_address)
        };
        for node in nodes.into_values() {
            node.close();
        }
    }
}
