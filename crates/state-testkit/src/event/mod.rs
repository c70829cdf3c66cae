//! The suite of `state_core::event`.
