//! Process state on Redis.

mod events;
mod keys;
mod listing;
mod record;
mod reply;
mod store;

pub(crate) use keys::KEYS;
pub use store::RedisProcesses;
