use async_trait::async_trait;
use governance_core::{ChangeFeed, FeedBatch, FeedToken, StoreError, StoreErrorKind};

use crate::MemoryStore;

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
        self.shared
            .inner
            .read()
            .feed
            .read(after, usize::from(limit))
    }

    async fn head(&self) -> Result<FeedToken, StoreError> {
        let inner = self.shared.inner.read();
        Ok(inner.feed.token(inner.feed.head()))
    }

    async fn wait(&self, after: &FeedToken) -> Result<(), StoreError> {
        // Tells an expired or foreign token now rather than never.
        let place = self.shared.inner.read().feed.place(after)?;
        let mut head = self.shared.head.subscribe();
        // The sender lives as long as the store, and so does this call's borrow of it.
        let _ = head.wait_for(|head| *head > place).await;
        Ok(())
    }
}
