use std::pin::Pin;

use governance_core::{Clock, StoreError, Timestamp};

use crate::MemoryStore;

impl Clock for MemoryStore {
    // Written out, as what the clock answers is boxed already.
    fn now<'s, 'f>(
        &'s self,
    ) -> Pin<Box<dyn Future<Output = Result<Timestamp, StoreError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        (*self.shared.clock).now()
    }
}
