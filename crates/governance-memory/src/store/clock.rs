use async_trait::async_trait;
use governance_core::{Clock, StoreError, Timestamp};

use crate::MemoryStore;

#[async_trait]
impl Clock for MemoryStore {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        // Not through the pointer, which would box the future once more.
        (*self.shared.clock).now().await
    }
}
