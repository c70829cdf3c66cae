//! The suite of process state on a cluster, one after the other.

mod support;

use std::sync::Arc;

use redis_harness::Cluster;
use state_core::{MonotonicClock, Namespace, process::ProcessOptions};
use state_redis::process::RedisProcesses;
use state_testkit::{
    async_trait,
    process::{ProcessHarness, ProcessParts},
    process_contract_in_turn,
};

use crate::support::{ServerTime, client_of};

struct OnCluster(Cluster);

#[async_trait]
impl ProcessHarness for OnCluster {
    async fn fresh(&self, options: ProcessOptions) -> ProcessParts {
        let client = client_of(&self.0).await;
        let namespace = Namespace::new("jobs").expect("a name");
        let store = RedisProcesses::new(client.clone(), &namespace, 6, options);
        ProcessParts {
            store: Arc::new(store.expect("valid options")),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(()),
        }
    }
}

process_contract_in_turn!(OnCluster(Cluster::start(3, 0).await));
