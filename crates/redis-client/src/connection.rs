//! The driver's interface over the shared connections.

use std::io;

use redis::{Cmd, Pipeline, RedisError, RedisFuture, Value, aio::ConnectionLike};

use crate::{access::Access, client::Client, error::ClientError, operation::Operation};

/// A [`Client`] as the driver wants a connection: bound to a key's slot and to an operation.
///
/// Made by [`Client::connection`]. Errors come back as the driver's; the client's own, such as a
/// closed client or an exhausted pool, are input/output errors that hold a [`ClientError`].
#[derive(Debug, Clone)]
pub struct Connection {
    client: Client,
    operation: Operation,
    slot: u16,
}

impl Connection {
    pub(crate) const fn new(client: Client, operation: Operation, slot: u16) -> Self {
        Self {
            client,
            operation,
            slot,
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let answer = self.client.one(self.operation, Some(self.slot), cmd).await;
            answer.map_err(to_driver)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            // Sending a pipeline again repeats those of its writes that were applied.
            if self.operation.access() == Access::Write {
                return Err(RedisError::from((
                    redis::ErrorKind::Client,
                    "pipelines that write need an exclusive connection",
                )));
            }
            let slot = Some(self.slot);
            let answers = self
                .client
                .pipeline(self.operation, slot, pipeline, offset, count)
                .await;
            answers.map_err(to_driver)
        })
    }

    fn get_db(&self) -> i64 {
        self.client.config().database().into()
    }
}

fn to_driver(error: ClientError) -> RedisError {
    match error.driver_error() {
        Some(driver) => driver.clone(),
        None => RedisError::from(io::Error::other(error)),
    }
}
