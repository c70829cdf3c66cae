use std::sync::Arc;

use async_trait::async_trait;
use governance_core::{
    Creation, IdempotencyKey, MutationRequest, RequestId, RequestStore, Revision, Scope,
    StoreError, Written,
};

use crate::{
    MemoryStore,
    inner::{Leaving, Prepared},
};

#[async_trait]
impl RequestStore for MemoryStore {
    async fn create(&self, request: Arc<MutationRequest>) -> Result<Creation, StoreError> {
        let new = Prepared::new(request);
        self.write(|inner| inner.create(&new))
    }

    async fn try_store(
        &self,
        request: Arc<MutationRequest>,
        expected: Revision,
    ) -> Result<Written, StoreError> {
        let stored = self.stored(request.id());
        let new = [(Prepared::next(request, expected, stored), expected)];
        self.write(|inner| inner.write("try_store", &new, None))
    }

    async fn get(&self, id: &RequestId) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        Ok(self.stored(id))
    }

    async fn get_many(
        &self,
        ids: &[RequestId],
    ) -> Result<Vec<Option<Arc<MutationRequest>>>, StoreError> {
        let inner = self.shared.inner.read();
        let get = |id| inner.by_id.get(id).map(|entry| Arc::clone(&entry.request));
        Ok(ids.iter().map(get).collect())
    }

    async fn find_by_key(
        &self,
        scope: &Scope,
        key: &IdempotencyKey,
    ) -> Result<Option<Arc<MutationRequest>>, StoreError> {
        Ok(self.shared.inner.read().find_by_key(scope, key))
    }

    async fn purge(&self, id: &RequestId, expected: Revision) -> Result<(), StoreError> {
        let now = self.shared.clock.now().await?;
        let leaving = self.stored(id).map(Leaving::of);
        self.write(|inner| inner.purge(id, expected, now, leaving))
    }
}
