//! The client: one handle for every topology.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, Pipeline, Value};
use tokio::time::Instant;

use crate::{
    access::Access,
    build::{BuildError, Stage},
    config::{Address, Config, Topology},
    connect::{Job, PoolStatus, Routes},
    connection::Connection,
    dispatch::{Backoff, decode, single},
    error::ClientError,
    exclusive::Exclusive,
    health::HealthCache,
    key::{KeyPrefix, slot},
    life::{CloseErrors, Life, State},
    observe::{NoObserver, Observer},
    operation::Operation,
    script::ScriptCall,
    signal::{Phase, Signal, classify},
};

/// A Redis client. Cloning is cheap; all clones are one client.
///
/// Ordinary commands share a few connections, so that concurrent callers pipeline. Commands that
/// block, or need a connection to themselves, take an [`Exclusive`] one from the pool. The key of a
/// call says which node of a cluster gets it; on one server it makes no difference.
///
/// # Retries
///
/// A command that certainly was not applied (no connection, a redirection, a server that is loading
/// or failing over) is tried again for the retry timeout. A read is also tried again once when its
/// connection broke. A write whose answer was lost is never sent again: the error says
/// [`Outcome::Unknown`](crate::Outcome::Unknown) and the caller settles it.
///
/// # Cancel safety
///
/// Dropping the future of a command does not take it back: once sent, it may be applied. No method
/// leaves the client unusable when its future is dropped.
///
/// # Examples
///
/// ```no_run
/// use redis_client::{Client, Config, Operation, redis};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::connect(Config::from_env()?).await?;
/// let key = client.key_prefix().tag("user 1").part("name").finish()?;
///
/// let mut set = redis::cmd("SET");
/// set.arg(&key).arg("Ada");
/// client.query::<()>(Operation::write("rename"), &key, &set).await?;
///
/// client.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) routes: Routes,
    pub(crate) life: Life,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) health: HealthCache,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("name", &self.0.config.name)
            .field("topology", &self.0.config.topology.as_str())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client, and pings when the configuration says so.
    ///
    /// Without the ping nothing is connected yet, and a wrong address or password shows on first
    /// use. When the ping fails, what was opened is closed again.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with the stage that failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect(config: Config) -> Result<Self, BuildError> {
        // Boxed, so that a caller's future does not hold all of the client's inside its own type.
        let connecting: Pin<Box<dyn Future<Output = Result<Self, BuildError>> + Send>> =
            Box::pin(Self::connect_observed(config, Arc::new(NoObserver)));
        connecting.await
    }

    /// [`connect`](Self::connect) with somebody who is told what the client does.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with the stage that failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn connect_observed(
        config: Config,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, BuildError> {
        let name = config.name.clone();
        let timeout = config.ping_timeout;
        let ping = config.ping_on_build;
        let routes = Routes::open(&config).map_err(|error| {
            let error = classify(error, Phase::Connect, PING);
            BuildError::new(name.clone(), Stage::Open, error)
        })?;
        let client = Self(Arc::new(Inner {
            config,
            routes,
            life: Life::new(),
            observer,
            health: HealthCache::default(),
        }));
        if ping && let Err(error) = client.ping(timeout).await {
            // The ping's error is the one to tell; closing has no steps yet that could fail.
            let _ = client.close().await;
            return Err(BuildError::new(name, Stage::Ping, error));
        }
        Ok(client)
    }

    /// What the client was made from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The prefix of every key.
    #[must_use]
    pub fn key_prefix(&self) -> &KeyPrefix {
        &self.0.config.key_prefix
    }

    /// Where the client stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.life.state()
    }

    /// How the pools are used, all nodes together.
    #[must_use]
    pub fn pool_status(&self) -> PoolStatus {
        self.0.routes.pool_status()
    }

    /// Asks every server for a sign of life and returns how long it took.
    ///
    /// # Errors
    ///
    /// [`ClientError`] of the first server that did not answer in time.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    pub async fn ping(&self, timeout: Duration) -> Result<Duration, ClientError> {
        let started = Instant::now();
        let ping = redis::cmd("PING");
        let answers = tokio::time::timeout(timeout, self.on_each_primary(PING, &ping)).await;
        for (_, answer) in
            answers.map_err(|_| ClientError::new(Signal::ResponseTimeout, PING))??
        {
            answer?;
        }
        Ok(started.elapsed())
    }

    /// Runs one command where `key` lives. Every key of the command must share its slot.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; for a write, see its outcome.
    ///
    /// # Cancel safety
    ///
    /// A write may have been applied when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn query<T: FromRedisValue>(
        &self,
        operation: Operation,
        key: impl AsRef<[u8]>,
        command: &Cmd,
    ) -> Result<T, ClientError> {
        let slot = Some(slot(key.as_ref()));
        let answer = self.one(operation, slot, command).await?;
        decode(answer, operation)
    }

    /// Runs one command that has no key, on the server or on any primary of a cluster.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; for a write, see its outcome.
    ///
    /// # Cancel safety
    ///
    /// A write may have been applied when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn query_any<T: FromRedisValue>(
        &self,
        operation: Operation,
        command: &Cmd,
    ) -> Result<T, ClientError> {
        let answer = self.one(operation, None, command).await?;
        decode(answer, operation)
    }

    /// Runs one command on the server or on every primary of a cluster, all at once.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the servers are not known. The error of each server stands by its
    /// answer.
    ///
    /// # Cancel safety
    ///
    /// A write may have been applied on some servers when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One per server, at the same time.
    pub async fn on_each_primary(
        &self,
        operation: Operation,
        command: &Cmd,
    ) -> Result<Vec<(Option<Address>, Result<Value, ClientError>)>, ClientError> {
        let started = Instant::now();
        let work = self.ask_each(operation, command);
        let result = crate::trace::command(self.instance(), operation, work).await;
        let error = match &result {
            Ok(answers) => answers.iter().find_map(|(_, answer)| answer.as_ref().err()),
            Err(error) => Some(error),
        };
        self.report(operation, started, 1, error);
        result
    }

    async fn ask_each(
        &self,
        operation: Operation,
        command: &Cmd,
    ) -> Result<Vec<(Option<Address>, Result<Value, ClientError>)>, ClientError> {
        let _guard = self.enter(operation)?;
        let nodes = self.0.routes.primaries(operation).await?;
        let timeout = self.timeout(operation);
        let mut running = tokio::task::JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let (node, command) = (Arc::clone(node), command.clone());
            running.spawn(async move {
                let answer = match node.lease(operation).await {
                    Ok(lease) => lease
                        .send(Job::Command(&command), false, timeout)
                        .await
                        .and_then(single)
                        .map_err(|error| classify(error, Phase::Command, operation)),
                    Err(error) => Err(error),
                };
                (index, answer)
            });
        }
        let mut answers: Vec<_> = nodes
            .iter()
            .map(|node| (node.address().cloned(), None))
            .collect();
        while let Some(joined) = running.join_next().await {
            if let Ok((index, answer)) = joined {
                if let Err(error) = &answer {
                    self.0.routes.learn(&nodes[index], error);
                }
                answers[index].1 = Some(answer);
            }
        }
        let unknown = || Err(ClientError::new(Signal::ConnectionLost, operation));
        let answers = answers.into_iter();
        Ok(answers
            .map(|(address, answer)| (address, answer.unwrap_or_else(unknown)))
            .collect())
    }

    /// Runs commands that read where `key` lives, all under way at once.
    ///
    /// They are no step: others may write in between. In a cluster each is sent by itself, so that
    /// each can follow its key while the slot moves.
    ///
    /// # Errors
    ///
    /// [`ClientError`], the first there is. Commands that write are refused: of those a part may be
    /// applied.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn read_together(
        &self,
        operation: Operation,
        key: impl AsRef<[u8]>,
        commands: Vec<Cmd>,
    ) -> Result<Vec<Value>, ClientError> {
        if operation.access() == Access::Write {
            return Err(ClientError::new(Signal::DriverRefused, operation));
        }
        let slot = Some(slot(key.as_ref()));
        if *self.0.config.topology() == Topology::Cluster {
            let answers = commands
                .iter()
                .map(|command| self.one(operation, slot, command));
            return futures_util::future::try_join_all(answers).await;
        }
        let mut pipeline = Pipeline::with_capacity(commands.len());
        let count = commands.len();
        for command in commands {
            pipeline.add_command(command);
        }
        let answers = self.pipeline(operation, slot, &pipeline, 0, count).await?;
        let answers = answers.into_iter().map(Value::extract_error);
        let answers: Result<_, _> = answers.collect();
        answers.map_err(|error| classify(error, Phase::Command, operation))
    }

    /// Calls a script where its keys live: by its hash, and with its text when the server does not
    /// have it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; before anything is sent when the keys break a rule.
    ///
    /// # Cancel safety
    ///
    /// A script that writes may have been applied when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One, two when the server does not have the script.
    pub async fn invoke<T: FromRedisValue>(&self, call: &ScriptCall<'_>) -> Result<T, ClientError> {
        let operation = call.script().operation();
        let slot = call.slot()?;
        let answer = match self.one(operation, slot, &call.by_sha()).await {
            Err(error) if error.signal() == Signal::NoScript => {
                self.0
                    .observer
                    .script_loaded(self.instance(), call.script().name());
                self.one(operation, slot, &call.by_text()).await?
            }
            answer => answer?,
        };
        decode(answer, operation)
    }

    /// A handle for the driver's own interfaces: commands, pipelines, scans.
    ///
    /// It goes where `key` lives and follows the rules of `operation`. Its errors are the driver's;
    /// prefer [`query`](Self::query), which says what an error means. Pipelines are for reads: a
    /// pipeline that writes may stop half way.
    #[must_use]
    pub fn connection(&self, operation: Operation, key: impl AsRef<[u8]>) -> Connection {
        Connection::new(self.clone(), operation, slot(key.as_ref()))
    }

    /// Takes a connection to the server where `key` lives out of the pool, for one caller.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    pub async fn exclusive(&self, key: impl AsRef<[u8]>) -> Result<Exclusive, ClientError> {
        self.checkout(Some(slot(key.as_ref())), Duration::ZERO)
            .await
    }

    /// An [`exclusive`](Self::exclusive) connection whose commands may block on the server for up
    /// to `block`, such as `XREAD BLOCK`.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: nothing was sent. More than a day is refused.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    pub async fn blocking(
        &self,
        key: impl AsRef<[u8]>,
        block: Duration,
    ) -> Result<Exclusive, ClientError> {
        if block > LONGEST_BLOCK {
            return Err(ClientError::new(Signal::BlockTooLong, CHECKOUT));
        }
        self.checkout(Some(slot(key.as_ref())), block).await
    }

    async fn checkout(&self, slot: Option<u16>, block: Duration) -> Result<Exclusive, ClientError> {
        let _guard = self.enter(CHECKOUT)?;
        let started = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            let error = match self.0.routes.node(slot, CHECKOUT).await {
                Ok(node) => match node.checkout(CHECKOUT).await {
                    Ok(object) => return Ok(Exclusive::new(self.clone(), node, object, block)),
                    Err(error) => {
                        self.0.routes.learn(&node, &error);
                        error
                    }
                },
                Err(error) => error,
            };
            self.pause_or_fail(error, started, &mut backoff).await?;
        }
    }

    /// Adds a step to closing. Steps run in reverse order, before the connections are closed, so
    /// what depends on the client ends before it.
    ///
    /// A step that holds a clone of the client keeps it alive until it is closed.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when closing has begun; the step will not run.
    pub fn on_close<F, R>(&self, name: &'static str, step: F) -> Result<(), ClientError>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let added = self
            .0
            .life
            .on_close(name, Box::new(move || Box::pin(step())));
        if added {
            Ok(())
        } else {
            Err(ClientError::new(
                Signal::Closed,
                Operation::read("on_close"),
            ))
        }
    }

    /// Closes the client: runs the steps, waits for commands under way, closes the connections.
    ///
    /// Everything is done even when something fails, and all errors are returned. Closing again
    /// returns the same.
    ///
    /// # Errors
    ///
    /// [`CloseErrors`]. The client is closed all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops closing; the next call goes on from there.
    pub async fn close(&self) -> Result<(), CloseErrors> {
        self.close_within(self.0.config.close_timeout).await
    }

    /// [`close`](Self::close) with a timeout of its own.
    ///
    /// # Errors
    ///
    /// [`CloseErrors`]. The client is closed all the same.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops closing; the next call goes on from there.
    pub async fn close_within(&self, timeout: Duration) -> Result<(), CloseErrors> {
        self.0.life.close(timeout, || self.0.routes.close()).await
    }

    pub(crate) fn instance(&self) -> &str {
        self.0.config.name.as_str()
    }

    pub(crate) const fn timeout_of(config: &Config, operation: Operation) -> Duration {
        match operation.access() {
            Access::Read => config.read_timeout,
            Access::Write => config.write_timeout,
        }
    }

    pub(crate) fn timeout(&self, operation: Operation) -> Duration {
        Self::timeout_of(&self.0.config, operation)
    }

    pub(crate) fn enter(
        &self,
        operation: Operation,
    ) -> Result<crate::life::UnderWay<'_>, ClientError> {
        self.0
            .life
            .enter()
            .ok_or_else(|| ClientError::new(Signal::Closed, operation))
    }
}

const PING: Operation = Operation::read("ping");
const CHECKOUT: Operation = Operation::read("checkout");
const LONGEST_BLOCK: Duration = Duration::from_secs(24 * 60 * 60);
