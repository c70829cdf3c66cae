//! Sessions on Redis.

mod keys;
mod reply;
mod store;

pub(crate) use keys::KEYS;
pub use store::RedisSessions;
