//! Who may ask for a change, and who has to be asked.

use governance_core::{
    ApprovalRules, ExecutorRule, Group, PolicyDecision, PolicyFault, PolicySubject, PolicyTree,
    Requirement, Risk, Role, Selector, policy_fn,
};

use crate::{
    mutation::PutPolicy,
    org::{LEAD_ROLE, OWNER_ROLE, SECURITY_GROUP, group_of, team_of},
};

/// All policies of the replay. Every one is asked; a denial of one denies.
pub(crate) fn policies() -> PolicyTree {
    PolicyTree::all_of(
        "iam",
        [
            policy_fn("owners-ask", owners_ask).into(),
            policy_fn("review-by-risk", review_by_risk).into(),
        ],
    )
}

/// Owners ask for changes of their own team's policies, and of the one the request is about.
fn owners_ask(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    let policy = subject.scope().state_id.as_str();
    if subject
        .mutation::<PutPolicy>()
        .is_some_and(|put| put.policy != policy)
    {
        return Ok(PolicyDecision::deny(
            "policy.other",
            "the change is about another policy than the request",
        )?);
    }
    let known = subject.membership();
    let group = group_of(team_of(policy))?;
    if known.groups.contains(&group) && known.roles.contains(&Role::new(OWNER_ROLE)?) {
        Ok(PolicyDecision::abstain())
    } else {
        Ok(PolicyDecision::deny(
            "owner.required",
            format!("only an owner of {group} asks for changes of {policy}"),
        )?)
    }
}

/// Low risk passes, medium is for the owning team, high for security, in two stages.
fn review_by_risk(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    let requirements = match subject.intent().risk_level() {
        Risk::Low => return Ok(PolicyDecision::allow()),
        Risk::Medium => {
            let team = team_of(subject.scope().state_id.as_str());
            let reviewer = Selector::group(group_of(team)?);
            vec![
                Requirement::seats("team-review", 1, reviewer)?
                    .described(format!("one reviewer of team {team}")),
            ]
        }
        Risk::High | Risk::Critical => {
            let security = || Group::new(SECURITY_GROUP).map(Selector::group);
            let lead = security()?.and(Selector::role(Role::new(LEAD_ROLE)?));
            vec![
                Requirement::seats("security-review", 1, security()?)?.described("one of security"),
                Requirement::seats("security-lead", 1, lead)?
                    .in_stage(2)
                    .described("another of security, who leads it"),
            ]
        }
    };
    // One person fills one seat, and whoever asked or approved does not execute.
    let rules = ApprovalRules::new(requirements)?.executor(ExecutorRule::NotRequesterOrApprover);
    Ok(PolicyDecision::require(rules))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use governance_core::{
        Actor, Governor, GovernorError, OnStale, RejectionCause, RequestId, StateId, Status,
    };
    use governance_memory::MemoryStore;
    use serde_json::json;

    use super::*;
    use crate::org::Organisation;

    const POLICY: &str = "Reader";

    fn governor() -> (Governor, Arc<Organisation>) {
        let organisation = Arc::new(Organisation::new().unwrap());
        let governor = Governor::builder(MemoryStore::new())
            .directory(Arc::clone(&organisation))
            .register::<PutPolicy>()
            .policy(policies())
            .build()
            .unwrap();
        (governor, organisation)
    }

    fn put(policy: &str, action: &str, risk: Risk) -> PutPolicy {
        PutPolicy {
            policy: policy.to_owned(),
            from_version: None,
            to_version: "v1".to_owned(),
            document: json!({"Statement":
                {"Effect": "Allow", "Action": action, "Resource": "*"}}),
            risk,
        }
    }

    async fn submitted(action: &str, risk: Risk) -> (Governor, RequestId) {
        let (governor, organisation) = governor();
        let owner = organisation.owner_of(POLICY, 1).unwrap();
        let id = StateId::new(POLICY).unwrap();
        let submission = governor.submit(owner, &id, put(POLICY, action, risk)).await;
        (governor, submission.unwrap().id())
    }

    async fn vote(governor: &Governor, id: &RequestId, by: &str) -> Result<Status, &'static str> {
        let voter = Actor::user(by).unwrap();
        governor
            .approve(id, &voter, "read it")
            .await
            .map(|request| request.status())
            .map_err(|error| error.code())
    }

    #[tokio::test]
    async fn only_owners_of_the_team_ask_and_only_for_the_policy_of_the_request() {
        let (governor, organisation) = governor();
        let owner = organisation.owner_of(POLICY, 1).unwrap();
        let colleague = Actor::user(format!("finn@{}", team_of(POLICY))).unwrap();
        let security = Actor::user("gus@security").unwrap();
        let id = StateId::new(POLICY).unwrap();
        for (by, policy) in [(&colleague, POLICY), (&security, POLICY), (owner, "Other")] {
            let mutation = put(policy, "s3:Get", Risk::Medium);
            let submission = governor.submit(by, &id, mutation).await.unwrap();
            let rejection = submission.request().rejection().cloned();
            assert_eq!(
                rejection,
                Some(RejectionCause::PolicyDenied),
                "{by} {policy}"
            );
        }
    }

    #[tokio::test]
    async fn medium_risk_is_for_one_of_the_owning_team() {
        let (governor, id) = submitted("s3:Get", Risk::Medium).await;
        assert_eq!(
            vote(&governor, &id, "gus@security").await,
            Err("vote.not_eligible")
        );
        let reviewer = format!("finn@{}", team_of(POLICY));
        assert_eq!(vote(&governor, &id, &reviewer).await, Ok(Status::Approved));
        let reviewer = Actor::user(reviewer).unwrap();
        let executed = governor.execute(&id, &reviewer, OnStale::Reject).await;
        assert!(matches!(
            executed,
            Err(GovernorError::ExecutorBarred { .. })
        ));
    }

    #[tokio::test]
    async fn high_risk_is_for_two_of_security_and_the_second_leads() {
        let (governor, id) = submitted("kms:Decrypt", Risk::High).await;
        let reviewer = format!("finn@{}", team_of(POLICY));
        assert_eq!(
            vote(&governor, &id, &reviewer).await,
            Err("vote.not_eligible")
        );
        assert_eq!(
            vote(&governor, &id, "gus@security").await,
            Ok(Status::Pending)
        );
        assert_eq!(
            vote(&governor, &id, "gus@security").await,
            Err("vote.already_voted")
        );
        assert_eq!(
            vote(&governor, &id, "kim@security").await,
            Err("vote.seats_filled")
        );
        assert_eq!(
            vote(&governor, &id, "hana@security").await,
            Ok(Status::Approved)
        );
    }
}
