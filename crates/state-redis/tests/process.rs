//! The suite of process state on one server, with one shard and with several.

mod support;

use std::sync::Arc;

use state_core::{MonotonicClock, Namespace, process::ProcessOptions};
use state_redis::process::RedisProcesses;
use state_testkit::{
    async_trait,
    process::{ProcessHarness, ProcessParts},
};

use crate::support::{ServerTime, client, server};

struct Standalone {
    shards: u32,
}

#[async_trait]
impl ProcessHarness for Standalone {
    async fn fresh(&self, options: ProcessOptions) -> ProcessParts {
        let server = server().await;
        let client = client(server.url()).await;
        let namespace = Namespace::new("jobs").expect("a name");
        let store = RedisProcesses::new(client.clone(), &namespace, self.shards, options);
        ProcessParts {
            store: Arc::new(store.expect("valid options")),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(server),
        }
    }
}

mod one_shard {
    use state_testkit::process_contract_tests;

    use super::Standalone;

    process_contract_tests!(Standalone { shards: 1 });
}

mod five_shards {
    use state_testkit::process_contract_tests;

    use super::Standalone;

    process_contract_tests!(Standalone { shards: 5 });
}
