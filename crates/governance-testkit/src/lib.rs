//! Conformance suite, generators and reference model for providers of governance-core.

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
