//! What policies came to, in the form a request records.

use crate::{
    approval::ApprovalRules,
    decision::{AmendmentEvent, PolicyAnswer, PolicyRecord},
};

/// What policies came to about one request on one version of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    answer: PolicyAnswer,
    rules: ApprovalRules,
    policies: Vec<PolicyRecord>,
    amendments: Vec<AmendmentEvent>,
}

impl Judgement {
    /// Policies allow the change without asking anybody.
    #[must_use]
    pub fn allowed(policies: Vec<PolicyRecord>) -> Self {
        Self {
            answer: PolicyAnswer::Allowed,
            rules: ApprovalRules::default(),
            policies,
            amendments: Vec::new(),
        }
    }

    /// Policies require approvals. Rules that require nothing are an allowance.
    #[must_use]
    pub fn required(rules: ApprovalRules, policies: Vec<PolicyRecord>) -> Self {
        let answer = if rules.is_empty() {
            PolicyAnswer::Allowed
        } else {
            PolicyAnswer::Required
        };
        Self {
            answer,
            rules,
            policies,
            amendments: Vec::new(),
        }
    }

    /// Policies deny the change.
    #[must_use]
    pub fn denied(policies: Vec<PolicyRecord>) -> Self {
        Self {
            answer: PolicyAnswer::Denied,
            rules: ApprovalRules::default(),
            policies,
            amendments: Vec::new(),
        }
    }

    /// Adds what policies changed about the request.
    #[must_use]
    pub fn amending(mut self, amendments: impl IntoIterator<Item = AmendmentEvent>) -> Self {
        self.amendments.extend(amendments);
        self
    }

    /// The common answer: allowed, required or denied.
    #[must_use]
    pub const fn answer(&self) -> PolicyAnswer {
        self.answer
    }

    /// The approvals they require.
    #[must_use]
    pub const fn rules(&self) -> &ApprovalRules {
        &self.rules
    }

    /// What each policy said.
    #[must_use]
    pub fn policies(&self) -> &[PolicyRecord] {
        &self.policies
    }

    /// What policies changed about the request.
    #[must_use]
    pub fn amendments(&self) -> &[AmendmentEvent] {
        &self.amendments
    }

    /// The reasons of the denials that decided.
    pub fn reasons(&self) -> impl Iterator<Item = &crate::decision::DenialReason> {
        self.policies
            .iter()
            .filter(|p| p.decisive)
            .flat_map(|p| &p.reasons)
    }
}
