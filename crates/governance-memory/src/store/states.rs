use async_trait::async_trait;
use governance_core::{Scope, StateSnapshot, StateStore, StateVersion, StateWrite, StoreError};

use crate::MemoryStore;

#[async_trait]
impl StateStore for MemoryStore {
    async fn load(&self, scope: &Scope) -> Result<StateSnapshot, StoreError> {
        Ok(self.shared.inner.read().load(scope))
    }

    async fn save(&self, write: &StateWrite) -> Result<StateVersion, StoreError> {
        let now = self.shared.clock.now().await?;
        self.write(|inner| inner.save(write, now))
    }
}
