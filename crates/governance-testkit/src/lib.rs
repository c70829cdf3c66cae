#![doc = include_str!("../README.md")]

mod check;
mod harness;

pub mod cases;
pub mod faults;
pub mod fixtures;
pub mod generate;
pub mod model;
#[doc(hidden)]
pub mod suite;

pub use async_trait::async_trait;
pub use harness::{ProviderHarness, Trial};
pub use proptest;
