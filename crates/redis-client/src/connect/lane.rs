//! A connection that many callers share.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use deadpool::managed::Object;
use parking_lot::Mutex;
use redis::{
    Cmd, Pipeline, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};

use crate::{
    connect::manager::{Health, NodeManager},
    error::ClientError,
};

/// Holds one connection of the pool and hands out handles to it.
///
/// The driver numbers nothing and answers in order, so many callers can have commands under way on
/// one connection. When the connection breaks, the next caller replaces it; those who wait for
/// answers on the old one get its error.
#[derive(Default)]
pub(crate) struct Lane {
    current: Mutex<Option<Shared>>,
    refill: tokio::sync::Mutex<()>,
}

struct Shared {
    object: Object<NodeManager>,
    connection: MultiplexedConnection,
    health: Arc<Health>,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lane")
    }
}

impl Lane {
    /// A handle to the connection, which is made when there is none that works.
    pub(crate) async fn lease<F, R>(&self, checkout: F) -> Result<Lease, ClientError>
    where
        F: FnOnce() -> R,
        R: Future<Output = Result<Object<NodeManager>, ClientError>>,
    {
        if let Some(lease) = self.working() {
            return Ok(lease);
        }
        let _one_at_a_time = self.refill.lock().await;
        if let Some(lease) = self.working() {
            return Ok(lease);
        }
        // The broken one gives its place in the pool back first: the pool may be full.
        self.clear();
        // Boxed: it is rare, and the path of every command stays small without it.
        let object = Box::pin(checkout()).await?;
        let shared = Shared {
            connection: object.connection.clone(),
            health: Arc::clone(&object.health),
            object,
        };
        let lease = shared.lease();
        *self.current.lock() = Some(shared);
        Ok(lease)
    }

    fn working(&self) -> Option<Lease> {
        let current = self.current.lock();
        let shared = current.as_ref()?;
        (!shared.health.is_broken()).then(|| shared.lease())
    }

    /// Lets go of the connection. It ends when the last command on it has its answer.
    pub(crate) fn clear(&self) {
        let shared = self.current.lock().take();
        if let Some(shared) = shared {
            drop(Object::take(shared.object));
        }
    }
}

impl Shared {
    fn lease(&self) -> Lease {
        Lease {
            connection: self.connection.clone(),
            health: Arc::clone(&self.health),
            pooled: None,
        }
    }
}

/// What is sent.
#[derive(Clone, Copy)]
pub(crate) enum Job<'a> {
    Command(&'a Cmd),
    Pipeline {
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    },
}

/// The right to send one command on a connection.
pub(crate) struct Lease {
    connection: MultiplexedConnection,
    health: Arc<Health>,
    /// Set when the connection is not shared but goes back to the pool.
    pooled: Option<Pooled>,
}

/// A checkout whose command may still be under way: it goes back only when its answer came.
struct Pooled {
    object: Option<Object<NodeManager>>,
    answered: bool,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && !self.answered
        {
            drop(Object::take(object));
        }
    }
}

impl Lease {
    pub(crate) fn pooled(object: Object<NodeManager>) -> Self {
        Self {
            connection: object.connection.clone(),
            health: Arc::clone(&object.health),
            pooled: Some(Pooled {
                object: Some(object),
                answered: false,
            }),
        }
    }

    /// Sends and waits for the answers, at most this long.
    pub(crate) async fn send(
        mut self,
        job: Job<'_>,
        asking: bool,
        timeout: Duration,
    ) -> Result<Vec<Value>, RedisError> {
        self.connection.set_response_timeout(timeout);
        let result = match job {
            Job::Command(command) if asking => {
                let mut pipeline = Pipeline::with_capacity(2);
                pipeline.cmd("ASKING").ignore().add_command(command.clone());
                let answers = self.connection.req_packed_commands(&pipeline, 0, 2).await;
                answers.map(|mut answers| answers.split_off(answers.len().min(1)))
            }
            Job::Command(command) => {
                let answer = self.connection.req_packed_command(command).await;
                answer.map(|answer| vec![answer])
            }
            Job::Pipeline {
                pipeline,
                offset,
                count,
            } => {
                self.connection
                    .req_packed_commands(pipeline, offset, count)
                    .await
            }
        };
        self.learn(&result);
        result
    }

    fn learn(&mut self, result: &Result<Vec<Value>, RedisError>) {
        let answered = match result {
            Ok(_) => {
                self.health.answered();
                true
            }
            Err(error) if error.is_timeout() => {
                self.health.timed_out();
                false
            }
            Err(error) if error.is_io_error() || error.is_unrecoverable_error() => {
                self.health.mark_broken();
                false
            }
            Err(_) => true,
        };
        if let Some(pooled) = &mut self.pooled {
            pooled.answered = answered;
        }
    }
}
