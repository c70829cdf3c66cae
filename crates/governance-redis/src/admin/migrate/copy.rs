//! Writes what a new partition is to have, or compares it with what it has.

use bytes::Bytes;
use futures_util::future::try_join_all;
use redis_client::{
    Operation,
    redis::{self, Cmd},
};
use serde::{Deserialize, Serialize};

use super::MigrationError;
use crate::{error::RedisError, partition::Partition, script::COPY, shared::Shared};

const COMPARE: Operation = Operation::read("migrate_compare");
/// Values of one step.
pub(super) const AT_ONCE: usize = 120;

/// What a partition is to have in one place.
pub(super) enum Piece {
    /// A whole string.
    Value(Bytes),
    /// A part of a string.
    Part(u64, Vec<u8>),
    /// A field of a hash.
    Field(Vec<u8>, Vec<u8>),
    /// An event of a stream.
    Event(String, Vec<u8>),
    /// Anything else that is done and cannot be compared.
    Done(&'static str, Vec<Vec<u8>>),
}

/// A key and what is to be under it.
pub(super) type Put = (Vec<u8>, Piece);

/// How far a partition is filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) phase: u8,
    pub(super) done: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Write,
    Compare,
}

pub(super) struct Copier<'a> {
    new: &'a Shared,
    target: &'a Partition,
    mode: Mode,
    differences: u64,
    first: String,
}

impl<'a> Copier<'a> {
    pub(super) const fn new(new: &'a Shared, target: &'a Partition, mode: Mode) -> Self {
        Self {
            new,
            target,
            mode,
            differences: 0,
            first: String::new(),
        }
    }

    pub(super) fn is_writing(&self) -> bool {
        self.mode == Mode::Write
    }

    /// How far somebody came.
    pub(super) async fn progress(&self) -> Result<Progress, MigrationError> {
        let key = [self.target.keys.progress.clone()];
        let text = self.new.mget(COMPARE, self.target, &key).await?;
        let text = text.into_iter().next().flatten();
        // What cannot be read is begun anew, which does no harm.
        Ok(text
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default())
    }

    /// Writes, and says in the same step how far it is then; or compares.
    pub(super) async fn put(
        &mut self,
        puts: Vec<Put>,
        progress: Option<Progress>,
    ) -> Result<(), MigrationError> {
        match self.mode {
            Mode::Write => self.write(puts, progress).await,
            Mode::Compare => {
                for puts in puts.chunks(AT_ONCE) {
                    self.compare(puts).await?;
                }
                Ok(())
            }
        }
    }

    async fn write(
        &self,
        mut puts: Vec<Put>,
        progress: Option<Progress>,
    ) -> Result<(), MigrationError> {
        if let Some(progress) = progress {
            let text = serde_json::to_vec(&progress).unwrap_or_default();
            let key = self.target.keys.progress.as_str().into();
            puts.push((key, Piece::Value(text.into())));
        }
        // The progress is in the last step, so it is never ahead of what was written.
        let mut rest = puts.into_iter().peekable();
        while rest.peek().is_some() {
            let fence = self.target.fence().to_string();
            let mut call = COPY.call().key(&self.target.keys.fence).arg(&fence);
            for (key, piece) in rest.by_ref().take(AT_ONCE + 2) {
                call = call.key(key);
                call = match piece {
                    Piece::Value(value) => call.arg("SET").arg(1).arg(&value[..]),
                    Piece::Part(at, bytes) => call.arg("SETRANGE").arg(2).arg(at).arg(bytes),
                    Piece::Field(field, value) => call.arg("HSET").arg(2).arg(field).arg(value),
                    Piece::Event(id, payload) => {
                        call.arg("XADD").arg(3).arg(id).arg("e").arg(payload)
                    }
                    Piece::Done(command, arguments) => {
                        let mut call = call.arg(command).arg(arguments.len());
                        for argument in arguments {
                            call = call.arg(argument);
                        }
                        call
                    }
                };
            }
            let told: String = self.new.invoke(&call).await?;
            if told != fence {
                return Err(MigrationError::TakenOver);
            }
        }
        Ok(())
    }

    async fn compare(&mut self, puts: &[Put]) -> Result<(), MigrationError> {
        let reads = puts.iter().map(|(key, piece)| self.holds(key, piece));
        let holds = try_join_all(reads).await?;
        for ((key, _), _) in puts.iter().zip(holds).filter(|(_, holds)| !holds) {
            self.differs(&String::from_utf8_lossy(key));
        }
        Ok(())
    }

    pub(super) fn differs(&mut self, what: &str) {
        if self.differences == 0 {
            what.clone_into(&mut self.first);
        }
        self.differences += 1;
    }

    async fn holds(&self, key: &[u8], piece: &Piece) -> Result<bool, RedisError> {
        let command = |name: &str| {
            let mut command = redis::cmd(name);
            command.arg(key);
            command
        };
        Ok(match piece {
            Piece::Value(value) => {
                self.bytes(&command("GET")).await?.as_deref() == Some(&value[..])
            }
            Piece::Part(at, bytes) => {
                let mut range = command("GETRANGE");
                range.arg(at).arg(at + bytes.len() as u64 - 1);
                self.bytes(&range).await?.unwrap_or_default() == *bytes
            }
            Piece::Field(field, value) => {
                let mut get = command("HGET");
                get.arg(field.as_slice());
                self.bytes(&get).await?.as_deref() == Some(value.as_slice())
            }
            Piece::Event(id, payload) => {
                let mut range = command("XRANGE");
                range.arg(id).arg(id);
                let fence = &self.target.keys.fence;
                let found: Vec<(String, Vec<Vec<u8>>)> =
                    self.new.query(COMPARE, fence, &range).await?;
                found.first().and_then(|(_, fields)| fields.get(1)) == Some(payload)
            }
            Piece::Done(..) => true,
        })
    }

    async fn bytes(&self, command: &Cmd) -> Result<Option<Vec<u8>>, RedisError> {
        let fence = &self.target.keys.fence;
        self.new.query(COMPARE, fence, command).await
    }

    /// Whether everything was as it is to be.
    pub(super) fn verdict(self) -> Result<(), MigrationError> {
        if self.differences == 0 {
            return Ok(());
        }
        Err(MigrationError::Differs {
            count: self.differences,
            first: self.first,
        })
    }
}
