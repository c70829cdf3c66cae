use async_trait::async_trait;
use governance_core::{
    Conflict, Scope, StateSnapshot, StateStore, StateVersion, StateWrite, StoreError,
};
use redis_client::Operation;

use super::write::state_step;
use crate::{
    RedisStore,
    apply::{Answer, Step},
    codec::{StateRecord, decode_state},
    error::RedisError,
    shared::Found,
};

const LOAD: Operation = Operation::read("load");

#[async_trait]
impl StateStore for RedisStore {
    async fn load(&self, scope: &Scope) -> Result<StateSnapshot, StoreError> {
        let partition = self.shared.partition(scope.slot());
        let key = [partition.keys.state(scope)];
        let stored = self.shared.values(LOAD, partition, &key).await;
        let stored = stored.map_err(|error| error.at("load"))?.pop().flatten();
        let Some(stored) = stored else {
            return Ok(StateSnapshot::ABSENT);
        };
        let record =
            decode_state(&stored).map_err(|problem| RedisError::State(problem).at("load"))?;
        Ok(StateSnapshot {
            version: StateVersion::new(record.version),
            body: record.body,
        })
    }

    async fn save(&self, write: &StateWrite) -> Result<StateVersion, StoreError> {
        let shared = &*self.shared;
        shared.check_size("save", write.body.as_ref().map_or(0, bytes::Bytes::len))?;
        let partition = shared.partition(write.scope.slot());
        let state = state_step(shared, partition, write).map_err(|error| error.at("save"))?;
        let step = Step {
            records: Vec::new(),
            state: Some(state),
        };
        let after = write.expected.next();
        let key = partition.keys.state(&write.scope);
        let answer = shared
            .apply(partition, &step)
            .await
            .map_err(|error| error.at("save"))?;
        match answer {
            Answer::Done(_) => Ok(after),
            Answer::State(stored) => {
                let stored = stored_state(&stored).map_err(|error| error.at("save"))?;
                if let Some(record) = &stored
                    && (record.version, record.operation) == (after.get(), write.operation)
                {
                    shared
                        .confirm(partition, Found::State(key, after.get()))
                        .await
                        .map_err(|error| error.at("save"))?;
                    return Ok(after);
                }
                Err(StoreError::conflict(
                    "save",
                    state_conflict(write, stored.as_ref()),
                ))
            }
            _ => Err(RedisError::Reply("apply").at("save")),
        }
    }
}

/// The record a conflict came with, none if there is none.
pub(super) fn stored_state(stored: &[u8]) -> Result<Option<StateRecord>, RedisError> {
    if stored.is_empty() {
        return Ok(None);
    }
    decode_state(stored).map(Some).map_err(RedisError::State)
}

pub(super) fn state_conflict(write: &StateWrite, stored: Option<&StateRecord>) -> Conflict {
    Conflict::State {
        expected: write.expected,
        actual: stored.map_or(StateVersion::ABSENT, |record| {
            StateVersion::new(record.version)
        }),
    }
}
