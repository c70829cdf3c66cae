#![doc = include_str!("../README.md")]

pub mod cache;
pub mod event;
pub mod lock;
pub mod process;
pub mod rate_limit;
pub mod session;

mod error;
mod keys;

pub use keys::{KEYS, KeyPattern, KeyType};
