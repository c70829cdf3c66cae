use async_trait::async_trait;
use governance_core::{ChangeFeed, FeedBatch, FeedToken, StoreError, StoreErrorKind};

use crate::{
    MemoryStore,
    feed::{place, token},
};

#[async_trait]
impl ChangeFeed for MemoryStore {
    async fn read(&self, after: Option<&FeedToken>, limit: u16) -> Result<FeedBatch, StoreError> {
        if !(1..=1_000).contains(&limit) {
            let detail = format!("a limit of {limit}, from 1 to 1000 are allowed");
            return Err(StoreError::new(
                StoreErrorKind::InvalidInput,
                "read",
                detail,
            ));
        }
        let after = after.map(place).transpose()?;
        self.shared
            .inner
            .read()
            .feed
            .read(after, usize::from(limit))
    }

    async fn head(&self) -> Result<FeedToken, StoreError> {
        Ok(token(self.shared.inner.read().feed.head()))
    }

    async fn wait(&self, after: &FeedToken) -> Result<(), StoreError> {
        let place = place(after)?;
        // Tells an expired or foreign token now rather than never.
        self.shared.inner.read().feed.read(Some(place), 1)?;
        let mut head = self.shared.head.subscribe();
        // The sender lives as long as the store, and so does this call's borrow of it.
        let _ = head.wait_for(|head| *head > place).await;
        Ok(())
    }
}
