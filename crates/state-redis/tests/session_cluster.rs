//! The suite of sessions on a cluster, one after the other.

mod support;

use std::sync::Arc;

use redis_harness::Cluster;
use state_core::{
    MonotonicClock, Namespace,
    session::{SessionOptions, SessionStore},
};
use state_redis::session::RedisSessions;
use state_testkit::{
    async_trait,
    session::{SessionHarness, SessionParts},
    session_contract_in_turn,
};

use crate::support::{ServerTime, client_of};

struct OnCluster(Cluster);

#[async_trait]
impl SessionHarness for OnCluster {
    async fn fresh(&self, options: SessionOptions) -> SessionParts {
        let client = client_of(&self.0).await;
        let namespace = Namespace::new("web").expect("a name");
        let of = client.clone();
        let open = move |options| -> Arc<dyn SessionStore> {
            let store = RedisSessions::new(of.clone(), &namespace, options);
            Arc::new(store.expect("valid options"))
        };
        SessionParts {
            store: open(options),
            reopened: Box::new(open),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(()),
        }
    }
}

session_contract_in_turn!(OnCluster(Cluster::start(3, 0).await));
