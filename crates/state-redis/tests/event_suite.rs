//! The suite of events on a server, a new one for each case, behind a line that can be cut.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

mod support;

use std::sync::Arc;

use redis_client::{Client, Operation, redis};
use redis_harness::{Fault, FaultProxy};
use state_core::{MonotonicClock, Namespace};
use state_redis::{cache::RedisCacheStore, event::RedisEventStore};
use state_testkit::{
    async_trait,
    event::{Bench, Line},
    event_tests,
};

use crate::support::{ServerTime, client, client_with_prefix, server};

struct Cut {
    proxy: Arc<FaultProxy>,
    client: Client,
}

impl Cut {
    async fn on(&self, topic: &Namespace, command: &str, arguments: &[String]) {
        let log = self
            .client
            .key_prefix()
            .key()
            .part("bus")
            .tag(topic.as_str())
            .part("log");
        let log = log.finish().unwrap();
        let mut command = redis::cmd(command);
        command.arg(&log).arg(arguments);
        let done = self
            .client
            .query::<u64>(Operation::write("test"), &log, &command)
            .await;
        done.unwrap();
    }
}

#[async_trait]
impl Line for Cut {
    async fn cut(&self) {
        self.proxy.set(Fault::Refuse);
    }

    async fn mend(&self) {
        self.proxy.set(Fault::None);
    }

    async fn trim(&self, topic: &Namespace, keep: usize) {
        self.on(topic, "XTRIM", &["MAXLEN".to_owned(), keep.to_string()])
            .await;
    }

    async fn lose(&self, topic: &Namespace) {
        self.on(topic, "DEL", &[]).await;
    }
}

async fn bench() -> Bench {
    let server = server().await;
    let proxy = Arc::new(FaultProxy::start(server.port()).await);
    let far = client(server.url()).await;
    let near = client_with_prefix(&proxy.url(), far.key_prefix().as_str()).await;
    let line = Cut {
        proxy,
        client: far.clone(),
    };
    Bench::new(
        (
            Arc::new(RedisEventStore::new(near)),
            Arc::new(RedisEventStore::new(far.clone())),
        ),
        Arc::new(RedisCacheStore::new(far.clone())),
        Arc::new(line),
        Arc::new(ServerTime(far)),
        Arc::new(MonotonicClock::new()),
        server,
    )
}

event_tests!(bench());
