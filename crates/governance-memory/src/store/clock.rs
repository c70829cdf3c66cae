use async_trait::async_trait;
use governance_core::{Clock, StoreError, Timestamp};

use crate::MemoryStore;

#[async_trait]
impl Clock for MemoryStore {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.shared.clock.now().await
    }
}
