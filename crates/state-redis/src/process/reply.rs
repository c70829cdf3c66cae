//! What the scripts answer: a word, and texts with some of them.

use redis_client::redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use state_core::BackendError;

#[derive(Debug)]
pub(super) struct Reply(Vec<String>);

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        from_redis_value(value).map(Self)
    }
}

impl Reply {
    pub(super) fn word(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    pub(super) fn text(&self, index: usize) -> &str {
        self.0.get(index).map_or("", String::as_str)
    }

    pub(super) fn number(
        &self,
        index: usize,
        operation: &'static str,
    ) -> Result<u64, BackendError> {
        self.text(index).parse().map_err(|_| senseless(operation))
    }
}

pub(super) fn senseless(operation: &'static str) -> BackendError {
    BackendError::unexpected(operation, "the server's answer makes no sense")
}
