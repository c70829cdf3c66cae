//! The reference model: what a provider does, written as plainly as it can be.
//!
//! [`ModelStore`] keeps requests in a list and looks at all of them every time; there is no index
//! that could be wrong. It passes the whole conformance suite. [`run`] drives it side by side with
//! a provider through a generated sequence of [`Op`]s and compares everything both answer.

mod data;
#[cfg(test)]
mod mutants;
mod ops;
mod run;
mod seen;
mod store;

pub use ops::{Op, ops};
pub use run::{Differs, Report, run};
pub use store::ModelStore;
