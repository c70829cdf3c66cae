//! Asks sentinels who the master is.
//!
//! The driver's own Sentinel client uses fixed timeouts towards the sentinels and needs one lock
//! around all of its input and output. What is needed here is short: ask one after the other for
//! the address, connect, and see that the server agrees.

use std::sync::atomic::{AtomicUsize, Ordering};

use redis::{ErrorKind, RedisError};

use crate::{
    config::Address,
    connect::manager::{Dialer, NodeConnection, is_master},
};

/// The sentinels of one master.
#[derive(Debug)]
pub(crate) struct Sentinels {
    addresses: Vec<Address>,
    master: String,
    dialer: Dialer,
    /// The one that gave the last good answer is asked first.
    preferred: AtomicUsize,
}

impl Sentinels {
    /// `addresses` holds at least one, which the configuration sees to.
    pub(crate) const fn new(addresses: Vec<Address>, master: String, dialer: Dialer) -> Self {
        Self {
            addresses,
            master,
            dialer,
            preferred: AtomicUsize::new(0),
        }
    }

    pub(crate) fn first(&self) -> &Address {
        &self.addresses[0]
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.addresses.len()).unwrap_or(u32::MAX)
    }

    /// Connects to the master.
    ///
    /// A sentinel may be down, or its view stale; then the next one is asked. When none helps, the
    /// error of a master that was named says more than that of a sentinel.
    pub(crate) async fn dial_master(&self, dialer: &Dialer) -> Result<NodeConnection, RedisError> {
        let start = self.preferred.load(Ordering::Relaxed);
        let mut of_master = None;
        let mut of_sentinel = None;
        for step in 0..self.addresses.len() {
            let index = (start + step) % self.addresses.len();
            let address = match self.ask(&self.addresses[index]).await {
                Ok(address) => address,
                Err(error) => {
                    of_sentinel = Some(error);
                    continue;
                }
            };
            match dial_if_master(dialer, &address).await {
                Ok(node) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(node);
                }
                Err(error) => of_master = Some(error),
            }
        }
        Err(of_master
            .or(of_sentinel)
            .unwrap_or_else(|| unknown("there are no sentinels")))
    }

    async fn ask(&self, sentinel: &Address) -> Result<Address, RedisError> {
        let mut node = self.dialer.dial(sentinel).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("get-master-addr-by-name").arg(&self.master);
        let answer: Option<(String, u16)> = question.query_async(&mut node.connection).await?;
        answer
            .map(|(host, port)| Address::tcp(&host, port))
            .ok_or_else(|| unknown("the sentinel does not know the name"))
    }
}

async fn dial_if_master(dialer: &Dialer, address: &Address) -> Result<NodeConnection, RedisError> {
    let mut node = dialer.dial(address).await?;
    if is_master(&mut node.connection).await? {
        Ok(node)
    } else {
        Err(unknown("the server does not agree that it is the master"))
    }
}

fn unknown(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, why))
}
