//! The cases.

pub mod gaps;
pub mod topics;
pub mod two_levels;
