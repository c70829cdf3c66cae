//! Where ids come from.

use std::{fmt, sync::Arc};

use crate::ids::{OperationId, RequestId, Slot, Timestamp};

/// Makes ids. Injected, so tests can foretell them.
pub trait IdSource: fmt::Debug + Send + Sync {
    /// An id for a request of a state in this slot.
    fn request_id(&self, at: Timestamp, slot: Slot) -> RequestId;

    /// An id for an operation.
    fn operation_id(&self) -> OperationId;
}

#[deny(clippy::missing_trait_methods)]
impl<T: IdSource + ?Sized> IdSource for Arc<T> {
    fn request_id(&self, at: Timestamp, slot: Slot) -> RequestId {
        (**self).request_id(at, slot)
    }

    fn operation_id(&self) -> OperationId {
        (**self).operation_id()
    }
}

/// Random ids, from the thread's cryptographic generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn request_id(&self, at: Timestamp, slot: Slot) -> RequestId {
        let random = uuid::Uuid::new_v4().into_bytes();
        // Bytes 6 and 8 of a version 4 UUID are not all random; the last 7 and the first 3 are.
        let [a, b, c, .., h, i, j, k, l, m, n] = random;
        RequestId::new(at, slot, [a, b, c, h, i, j, k, l, m, n])
    }

    fn operation_id(&self) -> OperationId {
        OperationId::random()
    }
}
