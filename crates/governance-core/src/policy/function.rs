//! Policies that are plain functions.

use std::fmt;

use async_trait::async_trait;

use super::{Policy, PolicyDecision, PolicyFault, PolicySubject};

/// A policy made of a function, by [`policy_fn`].
pub struct PolicyFn<F> {
    name: String,
    function: F,
}

impl<F> fmt::Debug for PolicyFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PolicyFn").field(&self.name).finish()
    }
}

/// A policy made of a function that needs no I/O.
///
/// ```
/// use governance_core::{PolicyDecision, Risk, policy_fn};
///
/// let no_critical = policy_fn("no-critical", |subject| {
///     if subject.intent().risk_level() == Risk::Critical {
///         return Ok(PolicyDecision::deny("risk.critical", "not on a Friday")?);
///     }
///     Ok(PolicyDecision::allow())
/// });
/// ```
pub fn policy_fn<F>(name: impl Into<String>, function: F) -> PolicyFn<F>
where
    F: Fn(&PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> + Send + Sync + 'static,
{
    PolicyFn {
        name: name.into(),
        function,
    }
}

#[async_trait]
impl<F> Policy for PolicyFn<F>
where
    F: Fn(&PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    async fn evaluate(&self, subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
        (self.function)(subject)
    }
}
