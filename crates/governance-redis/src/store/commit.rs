use std::sync::Arc;

use async_trait::async_trait;
use governance_core::{Commit, GovernedCommit, StoreError, Written};

use crate::RedisStore;

#[async_trait]
impl GovernedCommit for RedisStore {
    async fn commit(&self, commit: &Commit) -> Result<Written, StoreError> {
        commit.check()?;
        let requests: Vec<_> = commit
            .requests()
            .iter()
            .map(|write| (Arc::clone(&write.request), write.expected))
            .collect();
        self.write("commit", &requests, commit.state()).await
    }
}
