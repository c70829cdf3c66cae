//! What the scripts answer.

use std::time::Duration;

use redis_client::redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use state_core::{
    BackendError,
    lock::{Acquired, Extended, Fence, GuardedSet, Released},
};

/// A word, and a number with some of them.
#[derive(Debug)]
pub(super) struct Tagged {
    word: String,
    number: Option<u64>,
}

impl FromRedisValue for Tagged {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        if let Value::Array(mut parts) = value {
            let number = if parts.len() > 1 {
                Some(from_redis_value(parts.swap_remove(1))?)
            } else {
                None
            };
            let word = from_redis_value(parts.swap_remove(0))?;
            return Ok(Self { word, number });
        }
        let word = from_redis_value(value)?;
        Ok(Self { word, number: None })
    }
}

impl Tagged {
    pub(super) fn acquired(&self) -> Result<Acquired, BackendError> {
        match (self.word.as_str(), self.number) {
            ("GRANTED", Some(fence)) => Ok(Acquired::Granted {
                fence: Fence::new(fence),
            }),
            ("HELD", Some(millis)) => Ok(Acquired::Held {
                remaining: Duration::from_millis(millis),
            }),
            _ => Err(unexpected("lock.acquire")),
        }
    }

    pub(super) fn extended(&self) -> Result<Extended, BackendError> {
        match self.word.as_str() {
            "EXTENDED" => Ok(Extended::Extended),
            "LOST" => Ok(Extended::Lost),
            _ => Err(unexpected("lock.extend")),
        }
    }

    pub(super) fn released(&self) -> Result<Released, BackendError> {
        match self.word.as_str() {
            "RELEASED" => Ok(Released::Released),
            "EXPIRED" => Ok(Released::Expired),
            "STOLEN" => Ok(Released::Stolen),
            _ => Err(unexpected("lock.release")),
        }
    }

    pub(super) fn guarded(&self) -> Result<GuardedSet, BackendError> {
        match (self.word.as_str(), self.number) {
            ("STORED", _) => Ok(GuardedSet::Stored),
            ("FENCED", Some(current)) => Ok(GuardedSet::Fenced {
                current: Fence::new(current),
            }),
            _ => Err(unexpected("lock.guarded_set")),
        }
    }
}

pub(super) fn unexpected(operation: &'static str) -> BackendError {
    BackendError::unexpected(operation, "the server's answer makes no sense")
}
