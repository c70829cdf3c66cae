//! Keys: the prefix, the builder, and the hash slot.

mod build;
mod prefix;
mod slot;

pub use build::{Key, KeyBuilder, KeyTooLong, TaggedKeyBuilder};
pub use prefix::{InvalidPrefix, KeyPrefix};
pub(crate) use slot::common_slot;
pub use slot::{SLOTS, slot};
