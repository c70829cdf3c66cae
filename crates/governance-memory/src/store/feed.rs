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
        // Writers tell the place from here on; what they wrote before is seen below.
        let mut head = self.shared.head.subscribe();
        let place = {
            let inner = self.shared.inner.read();
            // Tells an expired or foreign token now rather than never.
            let place = inner.feed.place(after)?;
            if inner.feed.head() > place {
                return Ok(());
            }
            place
        };
        // The sender lives as long as the store, and so does this call's borrow of it.
        let _ = head.wait_for(|head| *head > place).await;
        Ok(())
    }
}
