//! Suites over the whole workspace, and the guides as doctests.

pub mod fixtures;
pub mod guides;
