//! Health: what the servers say about themselves, and what is wrong with it.

mod facts;
mod report;

use std::sync::Arc;

use redis::{FromRedisValue, Value};
use tokio::{sync::Mutex, time::Instant};

pub use facts::{AppendFsync, Persistence, ReplicaFacts, Role, ServerFacts, Version};
pub use report::{HealthReport, ServerHealth, Status, Warning, WarningKind};

use crate::{
    client::Client, config::Address, error::ClientError, life::State, operation::Operation,
    signal::Signal,
};

const HEALTH: Operation = Operation::read("health");

/// The last report, and the right to make the next.
#[derive(Debug, Default)]
pub(crate) struct HealthCache(Mutex<Option<Cached>>);

#[derive(Debug)]
struct Cached {
    made: Instant,
    report: Arc<HealthReport>,
}

impl Client {
    /// How the servers are: reachable, how fast, what they are set to.
    ///
    /// Never fails and never takes longer than the health timeout; trouble is in the report. Calls
    /// at the same time share one report, and a report is given out again for a while.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// Three to every server, none when a report is fresh.
    pub async fn health(&self) -> Arc<HealthReport> {
        let asked = Instant::now();
        let mut cached = self.0.health.0.lock().await;
        if let Some(last) = &*cached {
            let fresh = last.made.elapsed() < self.0.config.health_cache_for;
            if (fresh || last.made >= asked) && self.state() < State::Draining {
                return Arc::clone(&last.report);
            }
        }
        let report = Arc::new(self.examine().await);
        *cached = Some(Cached {
            made: Instant::now(),
            report: Arc::clone(&report),
        });
        report
    }

    /// What every server says about itself, for checks at start-up.
    ///
    /// Facts a server does not tell, or the user may not ask for, are `None`.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when a server cannot be reached.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// Two to every server.
    pub async fn probe(&self) -> Result<Vec<ServerFacts>, ClientError> {
        let servers = self.ask_all().await?;
        servers.into_iter().map(|(_, facts)| facts).collect()
    }

    async fn examine(&self) -> HealthReport {
        let config = &self.0.config;
        let topology = config.topology.as_str();
        let work = async {
            let latency = self.ping(config.health_timeout).await;
            let servers = self.ask_all().await;
            (latency, servers)
        };
        let (latency, servers) = match tokio::time::timeout(config.health_timeout, work).await {
            Ok((latency, servers)) => (latency.ok(), servers),
            Err(_) => (None, Err(ClientError::new(Signal::ResponseTimeout, HEALTH))),
        };
        HealthReport::judge(config, topology, latency, self.pool_status(), servers)
    }

    async fn ask_all(
        &self,
    ) -> Result<Vec<(Option<Address>, Result<ServerFacts, ClientError>)>, ClientError> {
        let info = self.on_each_primary(HEALTH, &redis::cmd("INFO")).await?;
        let mut question = redis::cmd("CONFIG");
        question.arg("GET").arg(facts::SETTINGS);
        let settings = self.on_each_primary(HEALTH, &question).await?;
        let servers = info.into_iter().map(|(address, info)| {
            let same = settings.iter().find(|(other, _)| *other == address);
            let settings = same.and_then(|(_, settings)| settings.as_ref().ok());
            let facts = match info {
                Ok(info) => Ok(ServerFacts::read(text(info).as_deref(), settings)),
                // A user who may not ask is told nothing, which is not a failure of the server.
                Err(error) if error.signal() == Signal::NotPermitted => {
                    Ok(ServerFacts::read(None, settings))
                }
                Err(error) => Err(error),
            };
            (address, facts)
        });
        Ok(servers.collect())
    }
}

fn text(answer: Value) -> Option<String> {
    String::from_redis_value(answer).ok()
}
