//! The system's clock.

use std::time::SystemTime;

use async_trait::async_trait;
use governance_core::{Clock, StoreError, Timestamp};

/// The clock of this machine. Right for one process, whose store lives and dies with it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock everybody else asks"
        )]
        let now = SystemTime::now();
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Ok(Timestamp::EPOCH.saturating_add(since))
    }
}
