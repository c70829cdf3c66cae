use std::sync::Arc;

use async_trait::async_trait;
use governance_core::{Commit, GovernedCommit, StoreError, Written};
use smallvec::SmallVec;

use crate::{MemoryStore, inner::Prepared};

#[async_trait]
impl GovernedCommit for MemoryStore {
    async fn commit(&self, commit: &Commit) -> Result<Written, StoreError> {
        commit.check()?;
        let requests: SmallVec<[_; 1]> = commit
            .requests()
            .iter()
            .map(|write| {
                let stored = self.stored(write.request.id());
                let new = Prepared::next(Arc::clone(&write.request), write.expected, stored);
                (new, write.expected)
            })
            .collect();
        self.write(|inner| inner.write("commit", &requests, commit.state()))
    }
}
