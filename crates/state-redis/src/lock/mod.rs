//! Locks on Redis.

mod keys;
mod options;
mod reply;
mod store;

pub(crate) use keys::KEYS;
pub use options::RedisLockOptions;
pub use store::RedisLocks;
