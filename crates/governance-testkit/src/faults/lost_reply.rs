//! Writes that are done and whose answer is lost.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use governance_core::{Provider, StoreError};

use super::{
    failing::unknown,
    faulty::{Call, Fault, Faulty},
};

/// Does what it is asked and loses the answers it is told to lose. The caller of a write is told
/// that its outcome is unknown.
pub type LostReplyStore = Faulty<LostReply>;

/// What a [`LostReplyStore`] does.
#[derive(Debug, Default)]
pub struct LostReply {
    /// How many answers of a method are still to be lost.
    left: Mutex<BTreeMap<Call, u32>>,
}

impl Faulty<LostReply> {
    /// The provider, losing nothing yet.
    #[must_use]
    pub fn new(store: impl Provider) -> Self {
        Self::with(store, LostReply::default())
    }

    /// Loses the next answers of a method, so many of them. Replaces what it was told before
    /// about the method; 0 loses nothing any more.
    pub fn lose_next(&self, call: Call, times: u32) {
        let left = &self.fault().left;
        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
        left.insert(call, times);
    }
}

#[async_trait]
impl Fault for LostReply {
    async fn after(&self, call: Call) -> Result<(), StoreError> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        match left.get_mut(&call) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Err(unknown(call))
            }
            _ => Ok(()),
        }
    }
}
