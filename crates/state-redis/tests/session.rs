//! The suite of sessions on one server.

mod support;

use std::sync::Arc;

use state_core::{
    MonotonicClock, Namespace,
    session::{SessionOptions, SessionStore},
};
use state_redis::session::RedisSessions;
use state_testkit::{
    async_trait,
    session::{SessionHarness, SessionParts},
    session_contract_tests,
};

use crate::support::{ServerTime, client, server};

struct Standalone;

#[async_trait]
impl SessionHarness for Standalone {
    async fn fresh(&self, options: SessionOptions) -> SessionParts {
        let server = server().await;
        let client = client(server.url()).await;
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
            guard: Box::new(server),
        }
    }
}

session_contract_tests!(Standalone);
