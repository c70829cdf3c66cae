//! The cases.
#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a step that fails is a case that fails"
)]

pub mod invalidation;
pub mod loads;
pub mod values;
