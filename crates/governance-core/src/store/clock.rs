//! The store's clock.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::StoreError;
use crate::ids::Timestamp;

/// Tells the time every deadline is compared with. For a shared store it is the store's own
/// clock, so the clocks of its clients do not matter.
///
/// # Contract
///
/// 1. Every process that shares a store is told the time of the same clock.
/// 2. The clock may step back; the library keeps the times within one record in order.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    ///
    /// # Errors
    ///
    /// `Unavailable` or `Timeout` when the store cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    ///
    /// # Round trips
    ///
    /// At most one.
    async fn now(&self) -> Result<Timestamp, StoreError>;
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<T: Clock + ?Sized> Clock for Arc<T> {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        (**self).now().await
    }
}
