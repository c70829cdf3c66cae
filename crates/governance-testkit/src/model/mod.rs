//! The reference model: what a provider does, written as plainly as it can be.
//!
//! [`ModelStore`] keeps requests in a list and looks at all of them every time; there is no index
//! that could be wrong. It passes the whole conformance suite.

mod data;
#[cfg(test)]
mod mutants;
mod store;

pub use store::ModelStore;
