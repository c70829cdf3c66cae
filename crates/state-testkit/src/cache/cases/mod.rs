//! The cases.

pub mod invalidation;
pub mod loads;
pub mod values;
