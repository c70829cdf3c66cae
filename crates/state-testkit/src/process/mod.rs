//! The suite of `state_core::process`.
