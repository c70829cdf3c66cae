//! Policies: what may change, and who has to be asked.
//!
//! A [`Policy`] looks at one change of one state and abstains, allows, denies, or requires
//! approvals. Policies are put together by [`PolicyTree`]; the governor asks all of them at
//! submission and again at execution. Deny wins, requirements unite, and a change no policy
//! allows or requires approval for is denied.

mod decision;
mod evaluate;
mod function;
mod subject;
mod tree;

use std::fmt;

use async_trait::async_trait;

pub use decision::{Amendment, PolicyDecision};
pub use evaluate::{PolicyConflict, Ruling};
pub use function::{PolicyFn, policy_fn};
pub use subject::PolicySubject;
pub use tree::PolicyTree;

/// Judges changes.
///
/// ```
/// use async_trait::async_trait;
/// use governance_core::{
///     ApprovalRules, Group, Policy, PolicyDecision, PolicyFault, PolicySubject, Requirement, Risk,
///     Selector,
/// };
///
/// #[derive(Debug)]
/// struct TwoPersonRule;
///
/// #[async_trait]
/// impl Policy for TwoPersonRule {
///     fn name(&self) -> &str {
///         "two-person-rule"
///     }
///
///     async fn evaluate(&self, subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
///         if subject.intent().risk_level() < Risk::High {
///             return Ok(PolicyDecision::allow());
///         }
///         let security = Selector::group(Group::new("security")?);
///         let rules = ApprovalRules::new([Requirement::seats("security", 2, security)?])?;
///         Ok(PolicyDecision::require(rules))
///     }
/// }
/// ```
#[async_trait]
pub trait Policy: fmt::Debug + Send + Sync + 'static {
    /// Its name, for the history.
    fn name(&self) -> &str;

    /// Judges one change.
    ///
    /// Called at submission and at execution, possibly several times for one request. At
    /// execution [`PolicySubject::granted`] tells what was approved; a policy that requires the
    /// same again does not block.
    ///
    /// # Errors
    ///
    /// [`PolicyFault`] when it cannot tell. That denies a submission and puts off an execution.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the policy's time is up.
    async fn evaluate(&self, subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault>;
}

/// A policy that could not tell. The text is recorded: keep secrets out of it.
///
/// Made from any error by `?`.
#[derive(Debug)]
pub struct PolicyFault(Box<dyn std::error::Error + Send + Sync>);

impl PolicyFault {
    /// The cause.
    #[must_use]
    pub fn cause(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for PolicyFault {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
