//! What the scripts answer: a word, and values with some of them.

use bytes::Bytes;
use redis_client::redis::{FromRedisValue, ParsingError, Value, from_redis_value};
use state_core::{
    BackendError, Timestamp,
    session::{Listed, Record, SessionHash, Target, Times},
};

pub(super) struct Reply(Vec<Vec<u8>>);

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        from_redis_value(value).map(Self)
    }
}

impl Reply {
    pub(super) fn word(&self) -> &[u8] {
        self.0.first().map_or(&[], Vec::as_slice)
    }

    pub(super) fn number(
        &self,
        index: usize,
        operation: &'static str,
    ) -> Result<u64, BackendError> {
        let bytes = self.0.get(index);
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| senseless(operation))
    }

    pub(super) fn time(
        &self,
        index: usize,
        operation: &'static str,
    ) -> Result<Timestamp, BackendError> {
        self.number(index, operation).map(Timestamp::from_micros)
    }

    /// What is said of a session that is not good there.
    pub(super) fn dead<T>(&self, operation: &'static str) -> Result<Target<T>, BackendError> {
        match self.word() {
            b"GONE" => Ok(Target::Gone),
            b"EXPIRED" => Ok(Target::Expired),
            b"REVOKED" => Ok(Target::Revoked),
            b"THERE" => {
                let bytes = self.0.get(1);
                let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
                let hash = text.and_then(SessionHash::parse);
                hash.map(Target::Moved).ok_or_else(|| senseless(operation))
            }
            _ => Err(senseless(operation)),
        }
    }

    /// Hash, created, last seen and description of every session; there is no word.
    pub(super) fn listed(&self, operation: &'static str) -> Result<Vec<Listed>, BackendError> {
        let text = |index: usize| {
            let bytes = self.0.get(index);
            let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
            text.ok_or_else(|| senseless(operation))
        };
        let firsts = (0..self.0.len()).step_by(4);
        firsts
            .map(|first| {
                Ok(Listed {
                    handle: SessionHash::parse(text(first)?).ok_or_else(|| senseless(operation))?,
                    created: self.time(first + 1, operation)?,
                    seen: self.time(first + 2, operation)?,
                    meta: text(first + 3)?.to_owned(),
                })
            })
            .collect()
    }

    /// Version, created, last seen, end, user and data, behind the word.
    pub(super) fn record(mut self, operation: &'static str) -> Result<Record, BackendError> {
        let version = self.number(1, operation)?;
        let times = Times {
            created: self.time(2, operation)?,
            seen: self.time(3, operation)?,
            ends: self.time(4, operation)?,
        };
        let (Some(data), Some(user)) = (self.0.pop(), self.0.pop()) else {
            return Err(senseless(operation));
        };
        let user = String::from_utf8(user).map_err(|_| senseless(operation))?;
        Ok(Record {
            version,
            user: (!user.is_empty()).then_some(user),
            data: Bytes::from(data),
            times,
        })
    }
}

pub(super) fn senseless(operation: &'static str) -> BackendError {
    BackendError::unexpected(operation, "the server's answer makes no sense")
}
