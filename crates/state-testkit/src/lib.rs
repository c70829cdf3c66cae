#![doc = include_str!("../README.md")]
#![allow(
    clippy::missing_panics_doc,
    reason = "a case panics when the backend breaks the contract"
)]

pub mod cache;
pub mod event;
pub mod lock;
pub mod process;
pub mod rate_limit;
pub mod session;

mod clock;
mod entropy;
mod observer;
mod passage;
#[doc(hidden)]
pub mod suite;

pub use async_trait::async_trait;
pub use clock::VirtualClock;
pub use entropy::SeededEntropy;
pub use observer::RecordingObserver;
pub use passage::Passage;
