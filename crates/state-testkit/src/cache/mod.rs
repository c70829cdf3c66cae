//! The suite of `state_core::cache`.
