//! The governed state and the one change of it.

use governance_core::{
    Applied, BlastRadius, BlastScope, Change, GovernedState, Intent, InvalidName, Label, Mutation,
    MutationError, Risk, Severity, SideEffect, ValidationErrors,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    document::{Document, NotADocument},
    risk::{self, Finding},
};

/// A managed policy: its document and the provider's name of its version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PolicyState {
    pub(crate) version: Option<String>,
    pub(crate) document: Option<Value>,
}

impl GovernedState for PolicyState {
    const TYPE: &'static str = "iam.policy";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// Puts a new version of a policy in the place of the one it names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PutPolicy {
    pub(crate) policy: String,
    pub(crate) from_version: Option<String>,
    pub(crate) to_version: String,
    pub(crate) document: Value,
    /// What its author says about it. It is checked against the documents: nobody gets past the
    /// reviewers by saying less.
    pub(crate) risk: Risk,
}

/// The gravest thing a document does over the one of a state.
pub(crate) fn finding(state: &PolicyState, document: &Value) -> Result<Finding, NotADocument> {
    let old = state.document.as_ref().map(Document::parse).transpose()?;
    Ok(risk::assess(old.as_ref(), &Document::parse(document)?))
}

/// A version for people; a policy that is not there has none.
pub(crate) fn shown(version: Option<&str>) -> &str {
    version.unwrap_or("nothing")
}

impl PutPolicy {
    fn check_versions(&self, state: &PolicyState) -> Result<(), ValidationErrors> {
        let (from, at) = (self.from_version.as_deref(), state.version.as_deref());
        ValidationErrors::check(
            from == at,
            "from_version",
            "version.chain",
            format!(
                "the change is made to {}, but the policy is at {}",
                shown(from),
                shown(at)
            ),
        )?;
        ValidationErrors::check(
            from != Some(&self.to_version),
            "to_version",
            "version.same",
            format!("the policy is at {} already", self.to_version),
        )
    }

    fn check_risk(&self, state: &PolicyState) -> Result<(), ValidationErrors> {
        let finding = finding(state, &self.document)
            .map_err(|e| ValidationErrors::new("document", "document.shape", e.to_string()))?;
        ValidationErrors::check(
            self.risk == finding.risk(),
            "risk",
            "risk.claim",
            format!(
                "{} is claimed, but it {finding}, which is {}",
                self.risk,
                finding.risk()
            ),
        )
    }
}

impl Mutation for PutPolicy {
    type State = PolicyState;
    const TYPE: &'static str = "iam.put_policy";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let scope = if self.risk >= Risk::High {
            BlastScope::System
        } else {
            BlastScope::Module
        };
        let description = format!(
            "{}: {} to {}",
            self.policy,
            shown(self.from_version.as_deref()),
            self.to_version
        );
        Ok(Intent::new("iam.policy.put", "iam")?
            .risk(self.risk)
            .blast_radius(BlastRadius::new(scope))
            .described(description))
    }

    fn validate(&self, state: &PolicyState) -> Result<(), ValidationErrors> {
        // What a document grants over another one tells nothing if it was written over a third.
        self.check_versions(state)?;
        self.check_risk(state)
    }

    fn apply(self, state: PolicyState) -> Result<Applied<PolicyState>, MutationError> {
        let changes = match state {
            PolicyState {
                version: Some(version),
                document: Some(document),
            } => [
                Change::modified("version", version, self.to_version.as_str()),
                Change::modified("document", document, self.document.clone()),
            ],
            _ => [
                Change::added("version", self.to_version.as_str()),
                Change::added("document", self.document.clone()),
            ],
        };
        let applied = Applied::new(PolicyState {
            version: Some(self.to_version),
            document: Some(self.document),
        })
        .changes(changes);
        if self.risk < Risk::High {
            return Ok(applied);
        }
        // The label is a fixed text; if it ever were refused, the change would still be right.
        let Ok(kind) = Label::new("iam.review_access") else {
            return Ok(applied);
        };
        let text = format!("look at who uses {} now", self.policy);
        Ok(applied.side_effect(SideEffect::new(kind, text).severity(Severity::Warning)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(action: &str) -> Value {
        json!({"Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}})
    }

    fn put(from: Option<&str>, to: &str, action: &str, risk: Risk) -> PutPolicy {
        PutPolicy {
            policy: "Reader".to_owned(),
            from_version: from.map(ToOwned::to_owned),
            to_version: to.to_owned(),
            document: document(action),
            risk,
        }
    }

    fn at(version: &str, action: &str) -> PolicyState {
        PolicyState {
            version: Some(version.to_owned()),
            document: Some(document(action)),
        }
    }

    fn refused(mutation: &PutPolicy, state: &PolicyState) -> String {
        mutation.validate(state).unwrap_err().violations()[0]
            .code
            .clone()
    }

    #[test]
    fn a_change_is_made_to_the_version_it_names() {
        let state = at("v1", "s3:Get");
        let good = put(Some("v1"), "v3", "s3:Put", Risk::Medium);
        assert_eq!(good.validate(&state), Ok(()));
        let other = put(Some("v2"), "v3", "s3:Put", Risk::Medium);
        assert_eq!(refused(&other, &state), "version.chain");
        let first = put(None, "v1", "s3:Get", Risk::Medium);
        assert_eq!(refused(&first, &state), "version.chain");
        assert_eq!(refused(&good, &PolicyState::default()), "version.chain");
        let same = put(Some("v1"), "v1", "s3:Put", Risk::Medium);
        assert_eq!(refused(&same, &state), "version.same");
    }

    #[test]
    fn nobody_gets_past_the_reviewers_by_saying_less() {
        let state = at("v1", "s3:Get");
        for (action, risk) in [
            ("kms:Decrypt", Risk::Low),
            ("kms:Decrypt", Risk::Medium),
            ("s3:Put", Risk::Low),
            ("s3:Get", Risk::High),
        ] {
            let claim = put(Some("v1"), "v2", action, risk);
            assert_eq!(refused(&claim, &state), "risk.claim", "{action} {risk}");
        }
        let mut shapeless = put(Some("v1"), "v2", "s3:Get", Risk::Low);
        shapeless.document = json!({"Statement": 1});
        assert_eq!(refused(&shapeless, &state), "document.shape");
    }

    #[test]
    fn applying_says_what_changed_and_who_has_to_look() {
        let state = at("v1", "s3:Get");
        let put = put(Some("v1"), "v3", "kms:Decrypt", Risk::High);
        let applied = put.apply(state).unwrap();
        let effect = SideEffect::new(
            Label::new("iam.review_access").unwrap(),
            "look at who uses Reader now",
        );
        let expected = Applied::new(at("v3", "kms:Decrypt"))
            .change(Change::modified("version", "v1", "v3"))
            .change(Change::modified(
                "document",
                document("s3:Get"),
                document("kms:Decrypt"),
            ))
            .side_effect(effect.severity(Severity::Warning));
        assert_eq!(applied, expected);
    }
}
