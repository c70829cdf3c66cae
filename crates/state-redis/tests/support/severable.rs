//! A log whose line can be cut where no proxy can stand: the nodes of a cluster tell their own
//! addresses, and one server may be shared by many cases.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis_client::{Client, Operation, redis};
use state_core::{
    BackendError, Namespace,
    event::{Batch, Bell, EventId, EventStore, Keep},
};
use state_redis::event::RedisEventStore;
use state_testkit::{async_trait, event::Line};
use tokio::sync::watch;

/// Passes everything on until it is cut. A clone is a handle to the same.
#[derive(Debug, Clone)]
pub struct Severable {
    store: RedisEventStore,
    cut: Arc<watch::Sender<bool>>,
}

fn severed() -> BackendError {
    BackendError::unavailable("event.line", "the line is cut")
}

impl Severable {
    pub fn new(store: RedisEventStore) -> Self {
        let cut = Arc::new(watch::Sender::new(false));
        Self { store, cut }
    }

    /// What is on its way when the line is cut does not arrive.
    async fn pass<T>(
        cut: &watch::Sender<bool>,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        let mut cut = cut.subscribe();
        tokio::select! {
            biased;
            _ = cut.wait_for(|cut| *cut) => Err(severed()),
            answer = call => answer,
        }
    }
}

#[async_trait]
impl EventStore for Severable {
    async fn append(
        &self,
        topic: &Namespace,
        message: &Bytes,
        keep: Keep,
    ) -> Result<EventId, BackendError> {
        Self::pass(&self.cut, self.store.append(topic, message, keep)).await
    }

    async fn read(
        &self,
        topic: &Namespace,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<Batch, BackendError> {
        Self::pass(&self.cut, self.store.read(topic, after, limit)).await
    }

    async fn listen(
        &self,
        topic: &Namespace,
        longest: Duration,
    ) -> Result<Box<dyn Bell>, BackendError> {
        let bell = Self::pass(&self.cut, self.store.listen(topic, longest)).await?;
        let cut = Arc::clone(&self.cut);
        Ok(Box::new(SeverableBell { bell, cut }))
    }
}

#[derive(Debug)]
struct SeverableBell {
    bell: Box<dyn Bell>,
    cut: Arc<watch::Sender<bool>>,
}

#[async_trait]
impl Bell for SeverableBell {
    async fn rings(&mut self, after: EventId) -> Result<(), BackendError> {
        Severable::pass(&self.cut, self.bell.rings(after)).await
    }
}

/// What can happen to logs that a client has.
#[derive(Debug)]
pub struct Logs {
    line: Severable,
    client: Client,
}

impl Logs {
    pub const fn new(line: Severable, client: Client) -> Self {
        Self { line, client }
    }

    async fn on(&self, topic: &Namespace, command: &str, arguments: &[String]) {
        let key = self.client.key_prefix().key().part("bus");
        let log = key.tag(topic.as_str()).part("log").finish();
        let log = log.expect("a key");
        let mut command = redis::cmd(command);
        command.arg(&log).arg(arguments);
        let operation = Operation::write("test");
        let done = self.client.query::<u64>(operation, &log, &command).await;
        done.expect("an answer");
    }
}

#[async_trait]
impl Line for Logs {
    async fn cut(&self) {
        self.line.cut.send_replace(true);
    }

    async fn mend(&self) {
        self.line.cut.send_replace(false);
    }

    async fn trim(&self, topic: &Namespace, keep: usize) {
        let arguments = ["MAXLEN".to_owned(), keep.to_string()];
        self.on(topic, "XTRIM", &arguments).await;
    }

    async fn lose(&self, topic: &Namespace) {
        self.on(topic, "DEL", &[]).await;
    }
}
