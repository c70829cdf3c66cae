//! The README and every guide under `docs/`, each compiled and run as a doctest.

pub mod example;

#[cfg(test)]
mod checks;

#[doc = include_str!("../../README.md")]
pub mod readme {}

#[doc = include_str!("../../docs/README.md")]
pub mod index {}

#[doc = include_str!("../../docs/concepts.md")]
pub mod concepts {}

#[doc = include_str!("../../docs/mutations-and-policies.md")]
pub mod mutations_and_policies {}

#[doc = include_str!("../../docs/approvals.md")]
pub mod approvals {}

#[doc = include_str!("../../docs/staleness.md")]
pub mod staleness {}

#[doc = include_str!("../../docs/queries.md")]
pub mod queries {}

#[doc = include_str!("../../docs/write-a-provider.md")]
pub mod write_a_provider {}

#[doc = include_str!("../../docs/errors.md")]
pub mod errors {}

#[doc = include_str!("../../docs/operations.md")]
pub mod operations {}

#[doc = include_str!("../../docs/production.md")]
pub mod production {}
