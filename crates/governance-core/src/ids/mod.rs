//! Identifiers and the small values everything else is made of.
//!
//! Every identifier is its own type, validated when it is made and again when it is read back
//! from a stored document, so the layers above never meet a blank or oversized one.

mod digest;
mod name;
mod request_id;
mod time;
mod version;
mod word;

pub(crate) use digest::json_is_canonical;
pub use digest::{Digest, DigestWriter, ParseDigestError};
pub use name::{
    ActorId, CorrelationId, Group, IdempotencyKey, InvalidName, Label, MutationType, RequirementId,
    Role, StateId, StateType, TenantId,
};
pub(crate) use name::{Shared, is_invisible};
pub use request_id::{OperationId, ParseIdError, RequestId, Slot};
pub use time::{ParseTimestampError, Timestamp};
pub use version::{Revision, StateVersion};
pub use word::ParseNameError;
pub(crate) use word::parse_by_name;
