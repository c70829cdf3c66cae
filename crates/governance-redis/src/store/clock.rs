use async_trait::async_trait;
use governance_core::{Clock, StoreError, Timestamp};

use crate::RedisStore;

#[async_trait]
impl Clock for RedisStore {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.shared.now().await.map_err(|error| error.at("now"))
    }
}
