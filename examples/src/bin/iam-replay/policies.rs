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
