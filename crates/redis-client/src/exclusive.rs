//! A connection that one caller has to itself.

use std::{fmt, sync::Arc, time::Duration};

use deadpool::managed::Object;
use redis::{
    Cmd, FromRedisValue, Pipeline, RedisError, RedisFuture, Value, aio::ConnectionLike,
    aio::MultiplexedConnection,
};
use tokio::time::Instant;

use crate::{
    access::Access,
    client::Client,
    connect::{Node, NodeManager},
    dispatch::decode,
    error::ClientError,
    operation::Operation,
    script::ScriptCall,
    signal::{Phase, Signal, classify},
};

/// A connection taken out of the pool, to one server.
///
/// For commands that block, for pipelines that write, and for `WAIT`, which speaks for its own
/// connection. It goes back to the pool when dropped; if a command is still under way then, or its
/// answer was lost, the connection is closed instead.
///
/// It does not follow a slot that moves: a redirection is an error, and the next connection taken
/// for the key goes to the right node.
pub struct Exclusive {
    client: Client,
    node: Arc<Node>,
    /// `None` only while being dropped.
    object: Option<Object<NodeManager>>,
    connection: MultiplexedConnection,
    block: Duration,
    /// Set while a command is under way, and for good when its answer was lost.
    tainted: bool,
}

/// The answer of a script, and how many replicas had it when the wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicated<T> {
    answer: T,
    replicas: u32,
}

impl<T> Replicated<T> {
    /// The answer of the script.
    #[must_use]
    pub const fn answer(&self) -> &T {
        &self.answer
    }

    /// The answer of the script, taken out.
    #[must_use]
    pub fn into_answer(self) -> T {
        self.answer
    }

    /// How many replicas confirmed. Fewer than asked for means committed here, not confirmed there.
    #[must_use]
    pub const fn replicas(&self) -> u32 {
        self.replicas
    }
}

impl Exclusive {
    pub(crate) fn new(
        client: Client,
        node: Arc<Node>,
        object: Object<NodeManager>,
        block: Duration,
    ) -> Self {
        Self {
            client,
            node,
            connection: object.connection.clone(),
            object: Some(object),
            block,
            tainted: false,
        }
    }

    /// Runs one command.
    ///
    /// A command that blocks is broken off when the client is being closed: a read with
    /// [`Signal::Closed`], a write with [`Signal::ConnectionLost`].
    ///
    /// # Errors
    ///
    /// [`ClientError`]; for a write, see its outcome. Nothing is tried again.
    ///
    /// # Cancel safety
    ///
    /// A write may have been applied when the future is dropped. The connection is not used again.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn query<T: FromRedisValue>(
        &mut self,
        operation: Operation,
        command: &Cmd,
    ) -> Result<T, ClientError> {
        let started = Instant::now();
        let client = self.client.clone();
        let work = self.query_unobserved(operation, command);
        let result = crate::trace::command(client.instance(), operation, work).await;
        client.report(operation, started, 1, result.as_ref().err());
        result
    }

    async fn query_unobserved<T: FromRedisValue>(
        &mut self,
        operation: Operation,
        command: &Cmd,
    ) -> Result<T, ClientError> {
        let client = self.client.clone();
        let _guard = client.enter(operation)?;
        let block = self.block;
        let work = self.timed(operation, block, Send::Command(command));
        let answers = if block.is_zero() {
            work.await?
        } else {
            tokio::select! {
                biased;
                answers = work => answers?,
                () = client.0.life.draining() => {
                    return Err(ClientError::new(interrupted(operation), operation));
                }
            }
        };
        let answer = answers.into_iter().next();
        let answer = answer.ok_or_else(|| ClientError::new(Signal::ReplyUndecodable, operation))?;
        decode(self.checked(answer, operation)?, operation)
    }

    /// Calls a script that writes and waits until so many replicas have what it wrote, or `wait`
    /// has passed.
    ///
    /// Both go out together on this connection, so that the wait speaks for this write.
    ///
    /// # Errors
    ///
    /// [`ClientError`] of the script. Too few replicas are no error: see [`Replicated::replicas`].
    ///
    /// # Cancel safety
    ///
    /// The script may have been applied when the future is dropped. The connection is not used
    /// again.
    ///
    /// # Round trips
    ///
    /// One, two when the server does not have the script.
    pub async fn invoke_replicated<T: FromRedisValue>(
        &mut self,
        call: &ScriptCall<'_>,
        replicas: u32,
        wait: Duration,
    ) -> Result<Replicated<T>, ClientError> {
        let operation = call.script().operation();
        let started = Instant::now();
        let client = self.client.clone();
        let work = self.replicated_unobserved(operation, call, replicas, wait);
        let result = crate::trace::command(client.instance(), operation, work).await;
        client.report(operation, started, 1, result.as_ref().err());
        result
    }

    async fn replicated_unobserved<T: FromRedisValue>(
        &mut self,
        operation: Operation,
        call: &ScriptCall<'_>,
        replicas: u32,
        wait: Duration,
    ) -> Result<Replicated<T>, ClientError> {
        call.slot()?;
        let client = self.client.clone();
        let _guard = client.enter(operation)?;
        match self
            .script_and_wait(operation, call.by_sha(), replicas, wait)
            .await
        {
            Err(error) if error.signal() == Signal::NoScript => {
                client
                    .0
                    .observer
                    .script_loaded(client.instance(), call.script().name());
                self.script_and_wait(operation, call.by_text(), replicas, wait)
                    .await
            }
            answer => answer,
        }
    }

    async fn script_and_wait<T: FromRedisValue>(
        &mut self,
        operation: Operation,
        script: Cmd,
        replicas: u32,
        wait: Duration,
    ) -> Result<Replicated<T>, ClientError> {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline
            .add_command(script)
            .cmd("WAIT")
            .arg(replicas)
            .arg(millis);
        let answers = self
            .timed(operation, wait, Send::Pipeline(&pipeline))
            .await?;
        let mut answers = answers.into_iter();
        let (Some(answer), Some(confirmed)) = (answers.next(), answers.next()) else {
            return Err(ClientError::new(Signal::ReplyUndecodable, operation));
        };
        let answer = self.checked(answer, operation)?;
        // The script was applied; a wait that is refused confirms nothing.
        let replicas = confirmed
            .extract_error()
            .ok()
            .and_then(|count| redis::from_redis_value(count).ok())
            .unwrap_or_default();
        Ok(Replicated {
            answer: decode(answer, operation)?,
            replicas,
        })
    }

    fn checked(&self, answer: Value, operation: Operation) -> Result<Value, ClientError> {
        answer
            .extract_error()
            .map_err(|error| self.fail(error, operation))
    }

    fn fail(&self, error: RedisError, operation: Operation) -> ClientError {
        let error = classify(error, Phase::Command, operation);
        self.client.0.routes.learn(&self.node, &error);
        error
    }

    async fn timed(
        &mut self,
        operation: Operation,
        extra: Duration,
        send: Send<'_>,
    ) -> Result<Vec<Value>, ClientError> {
        let timeout = Client::timeout_of(self.client.config(), operation) + extra;
        self.connection.set_response_timeout(timeout);
        let result = self.send(send).await;
        result.map_err(|error| self.fail(error, operation))
    }

    async fn send(&mut self, send: Send<'_>) -> Result<Vec<Value>, RedisError> {
        let was_tainted = std::mem::replace(&mut self.tainted, true);
        let result = match send {
            Send::Command(command) => {
                let answer = self.connection.req_packed_command(command).await;
                answer.map(|answer| vec![answer])
            }
            Send::Pipeline(pipeline) => {
                let count = pipeline.len();
                self.connection
                    .req_packed_commands(pipeline, 0, count)
                    .await
            }
            Send::Driver(pipeline, offset, count) => {
                self.connection
                    .req_packed_commands(pipeline, offset, count)
                    .await
            }
        };
        self.tainted = match &result {
            Ok(_) => was_tainted,
            Err(error) => was_tainted || error.is_io_error() || error.is_unrecoverable_error(),
        };
        result
    }

    /// For the driver's interface: as long as the slower of the two timeouts, and the block.
    fn allow_longest(&mut self) {
        let config = self.client.config();
        let timeout = config.read_timeout().max(config.write_timeout()) + self.block;
        self.connection.set_response_timeout(timeout);
    }
}

/// A read that was broken off changed nothing; of anything else nobody knows.
const fn interrupted(operation: Operation) -> Signal {
    match operation.access() {
        Access::Read => Signal::Closed,
        Access::Write => Signal::ConnectionLost,
    }
}

enum Send<'a> {
    Command(&'a Cmd),
    Pipeline(&'a Pipeline),
    Driver(&'a Pipeline, usize, usize),
}

impl ConnectionLike for Exclusive {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.allow_longest();
            let mut answers = self.send(Send::Command(cmd)).await?;
            Ok(answers.pop().unwrap_or(Value::Nil))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            self.allow_longest();
            self.send(Send::Driver(pipeline, offset, count)).await
        })
    }

    fn get_db(&self) -> i64 {
        self.client.config().database().into()
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && (self.tainted || object.health.is_broken())
        {
            drop(Object::take(object));
        }
    }
}

impl fmt::Debug for Exclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusive")
            .field("block", &self.block)
            .field("tainted", &self.tainted)
            .finish_non_exhaustive()
    }
}
